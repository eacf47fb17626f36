"""F. Numbers: usage wherever providers put it, priced as what it is; empty answers are told."""

import asyncio
import json

import pytest

import holymon as hm
from holymon.figures.summary import summarize
from holymon.plan.plan import Target
from holymon.plan.price import Price
from holymon.records.attempt import Flag
from holymon.records.records import from_marks
from tests.promises.faults.server import Server

from .cases import (
    DONE,
    END,
    HEL,
    LO,
    STOP,
    USAGE,
    Case,
    body,
    data,
    event,
    load,
    pair,
    said,
    whole,
)  # fmt: skip

EMPTY, THOUGHT = int(Flag.EMPTY), int(Flag.THOUGHT)


def counted(name: str, source: str, last: dict, **wanted: int) -> Case:
    """A stream whose counts stand in its last chunk."""
    wanted = {"prompt_tokens": -1, "cached_tokens": -1, "written_tokens": -1, "reasoning_tokens": -1,
              **wanted}  # fmt: skip
    return Case(name, source, HEL + LO + STOP + data(last) + DONE, wanted=wanted)


def choice_usage(usage: dict) -> bytes:
    choice = {"index": 0, "delta": {}, "finish_reason": "stop", "usage": usage}
    return HEL + LO + data({"id": "1", "choices": [choice]}) + DONE


LISTED = [
    Case("usage in a choice", "AstrBotDevs/AstrBot#6614 (Moonshot)",
         choice_usage({"prompt_tokens": 1336, "completion_tokens": 31, "total_tokens": 1367,
                       "cached_tokens": 1280, "prompt_tokens_details": {"cached_tokens": 1280}}),
         wanted={"prompt_tokens": 1336, "output_tokens": 31, "cached_tokens": 1280}),
    counted("cache hits of DeepSeek", "BerriAI/litellm#5017; api-docs.deepseek.com, context caching",
            {"choices": [], "usage": {"prompt_tokens": 1000, "completion_tokens": 40,
                                      "prompt_cache_hit_tokens": 896, "prompt_cache_miss_tokens": 104}},
            prompt_tokens=1000, output_tokens=40, cached_tokens=896),
]  # fmt: skip

OTHERS = [
    counted("OpenAI", "platform.openai.com, prompt caching",
            {"choices": [], "usage": {
                "prompt_tokens": 2006, "completion_tokens": 300, "total_tokens": 2306,
                "prompt_tokens_details": {"cached_tokens": 1920, "audio_tokens": 0},
                "completion_tokens_details": {"reasoning_tokens": 256}}},
            prompt_tokens=2006, output_tokens=300, cached_tokens=1920, reasoning_tokens=256),
    counted("Groq", "console.groq.com, streaming; x_groq",
            {"choices": [], "x_groq": {"id": "req_1", "usage": {"prompt_tokens": 3, "completion_tokens": 2,
                                                                "total_time": 0.1}}},
            prompt_tokens=3, output_tokens=2),
    counted("llama.cpp", "ggml-org/llama.cpp#15827",
            {"choices": [], "timings": {"cache_n": 236, "prompt_n": 1, "predicted_n": 35, "prompt_ms": 30.9}},
            prompt_tokens=237, output_tokens=35, cached_tokens=236),
    counted("llama.cpp, usage and timings at once", "ggml-org/llama.cpp, tools/server: usage beside timings",
            {"choices": [], "usage": {"prompt_tokens": 237, "completion_tokens": 35, "total_tokens": 272,
                                      "prompt_tokens_details": {"cached_tokens": 236}},
             "timings": {"cache_n": 236, "prompt_n": 1, "predicted_n": 35}},
            prompt_tokens=237, output_tokens=35, cached_tokens=236),
    counted("vLLM with --enable-prompt-tokens-details", "vllm-project/vllm#18149",
            {"choices": [], "usage": {"prompt_tokens": 24, "total_tokens": 97, "completion_tokens": 73,
                                      "prompt_tokens_details": {"cached_tokens": 16}}},
            prompt_tokens=24, output_tokens=73, cached_tokens=16),
    counted("vLLM without it", "vllm-project/vllm-ascend#9030",
            {"choices": [], "usage": {"prompt_tokens": 25, "total_tokens": 1049, "completion_tokens": 1024,
                                      "prompt_tokens_details": None}},
            prompt_tokens=25, output_tokens=1024),
    Case("vLLM's counts in two chunks", "can1357/oh-my-pi#5022",
         HEL + LO + data({**said(finish="stop"), "usage": {"prompt_tokens": 35227, "completion_tokens": 2}})
         + data({"choices": [], "usage": {"prompt_tokens": 35227, "completion_tokens": 2, "total_tokens": 35229,
                                          "prompt_tokens_details": {"cached_tokens": 32512}}}) + DONE,
         wanted={"prompt_tokens": 35227, "output_tokens": 2, "cached_tokens": 32512}),
    counted("Fireworks", "docs.fireworks.ai, prompt caching; perf_metrics_in_response",
            {"choices": [], "usage": {"prompt_tokens": 900, "completion_tokens": 12, "total_tokens": 912,
                                      "prompt_tokens_details": {"cached_tokens": 800}},
             "perf_metrics": {"cached-prompt-tokens": "800", "prompt-tokens": "900"}},
            prompt_tokens=900, output_tokens=12, cached_tokens=800),
    counted("Gemini's own names", "ai.google.dev, usageMetadata",
            {"choices": [], "usage": {"promptTokenCount": 10, "candidatesTokenCount": 5,
                                      "thoughtsTokenCount": 20, "cachedContentTokenCount": 4,
                                      "totalTokenCount": 35}},
            prompt_tokens=10, output_tokens=25, cached_tokens=4, reasoning_tokens=20),
    counted("xAI", "docs.x.ai, reasoning: not in completion_tokens",
            {"choices": [], "usage": {"prompt_tokens": 9, "completion_tokens": 9, "total_tokens": 112,
                                      "completion_tokens_details": {"reasoning_tokens": 94}}},
            prompt_tokens=9, output_tokens=103, reasoning_tokens=94),
    counted("Perplexity", "docs.perplexity.ai, usage",
            {"choices": [], "usage": {"prompt_tokens": 9, "completion_tokens": 30, "reasoning_tokens": 12,
                                      "citation_tokens": 4}},
            prompt_tokens=9, output_tokens=30, reasoning_tokens=12),
    counted("Bedrock", "docs.aws.amazon.com, TokenUsage",
            {"choices": [], "usage": {"inputTokens": 10, "outputTokens": 5, "cacheReadInputTokens": 100,
                                      "cacheWriteInputTokens": 20}},
            prompt_tokens=130, output_tokens=5, cached_tokens=100, written_tokens=20),
    counted("Cohere", "docs.cohere.com, chat usage",
            {"choices": [], "usage": {"billed_units": {"input_tokens": 1}, "tokens": {"input_tokens": 71,
                                                                                      "output_tokens": 9}}},
            prompt_tokens=71, output_tokens=9),
    counted("Ollama's own names", "ollama/ollama, api.md",
            {"choices": [], "usage": {"prompt_eval_count": 26, "eval_count": 298}},
            prompt_tokens=26, output_tokens=298),
    counted("litellm for Anthropic", "docs.litellm.ai, prompt caching",
            {"choices": [], "usage": {"prompt_tokens": 130, "completion_tokens": 5,
                                      "cache_read_input_tokens": 100, "cache_creation_input_tokens": 20}},
            prompt_tokens=130, output_tokens=5, cached_tokens=100, written_tokens=20),
    counted("OpenRouter", "openrouter.ai/docs, usage accounting",
            {"choices": [], "usage": {"prompt_tokens": 194, "completion_tokens": 2, "cost": 0.95,
                                      "prompt_tokens_details": {"cached_tokens": 0, "cache_write_tokens": 100}}},
            prompt_tokens=194, output_tokens=2, cached_tokens=0, written_tokens=100),
    counted("nothing that counts", "variant of Azure, ollama/ollama#12420", {"choices": [], "usage": None, "object": "x"}, output_tokens=2),
    Case("a running total", "vllm, continuous_usage_stats",
         data({**said("Hel"), "usage": {"prompt_tokens": 3, "completion_tokens": 1}})
         + data({**said("lo"), "usage": {"prompt_tokens": 3, "completion_tokens": 2}}) + STOP + DONE,
         wanted={"prompt_tokens": 3, "output_tokens": 2}),
    Case("a body with timings alone", "ggml-org/llama.cpp#15827",
         body({**whole(usage=None), "timings": {"prompt_n": 7, "predicted_n": 2}}), streamed=False,
         kind="application/json", wanted={"prompt_tokens": 7, "output_tokens": 2}),
    Case("Anthropic's cache", "docs.anthropic.com, prompt caching",
         data({"type": "message_start", "message": {"usage": {
             "input_tokens": 10, "cache_read_input_tokens": 100, "cache_creation_input_tokens": 20,
             "output_tokens": 1}}})
         + data({"type": "content_block_delta", "delta": {"text": "Hello"}})
         + data({"type": "message_delta", "delta": {"stop_reason": "end_turn"}, "usage": {"output_tokens": 5}})
         + data({"type": "message_stop"}), endpoint="messages",
         wanted={"prompt_tokens": 130, "cached_tokens": 100, "written_tokens": 20, "output_tokens": 5}),
    Case("details of responses", "platform.openai.com, responses",
         data({"type": "response.output_text.delta", "delta": "Hello"})
         + data({"type": "response.completed", "response": {"status": "completed", "usage": {
             "input_tokens": 50, "input_tokens_details": {"cached_tokens": 40}, "output_tokens": 9,
             "output_tokens_details": {"reasoning_tokens": 4}}}}), endpoint="responses",
         wanted={"prompt_tokens": 50, "cached_tokens": 40, "output_tokens": 9, "reasoning_tokens": 4}),
]  # fmt: skip

EMPTIES = [
    Case("stop and not one token", "anomalyco/opencode#37735",
         event(said(role="assistant")) + END, text="", flags=EMPTY),
    Case("all tokens spent on reasoning", "anomalyco/opencode#41469",
         event(said(reasoning_content="hm")) + event(said(finish="length")) + USAGE + DONE, text="",
         flags=EMPTY, wanted={"finish": "length"}),
    Case("an empty body", "BerriAI/litellm#24462", body(whole("")), text="", streamed=False,
         kind="application/json", flags=EMPTY),
    Case("a message of thinking alone", "docs.anthropic.com, extended thinking",
         body({"content": [{"type": "thinking", "thinking": "hm"}], "stop_reason": "max_tokens"}), text="",
         streamed=False, kind="application/json", endpoint="messages", flags=EMPTY),
    Case("a response of reasoning alone", "platform.openai.com, reasoning",
         body({"status": "incomplete", "output": [{"type": "reasoning"}],
               "incomplete_details": {"reason": "max_output_tokens"}}), text="", streamed=False,
         kind="application/json", endpoint="responses", flags=EMPTY),
    Case("a tool call is not empty", "platform.openai.com, function calling",
         event(said(tool_calls=[{"index": 0, "function": {"name": "f"}}])) + event(said(finish="tool_calls"))
         + DONE, text=""),
    Case("a refusal is not empty", "platform.openai.com, refusals", event(said(refusal="no")) + END, text=""),
]  # fmt: skip


test_a_load_counts_what_the_server_counted, test_a_watched_client_counts_the_same = pair(
    [*LISTED, *OTHERS, *EMPTIES]
)


def summary_of(cases: list[Case], price: Price) -> hm.figures.summary_types.TargetSummary:
    async def go():
        return [(await load(case))[0] for case in cases]

    target = Target(provider="url", model="m", price=price)
    (summary,) = summarize(from_marks((target,), asyncio.run(go()))).targets
    return summary


def test_cached_tokens_cost_what_they_cost_and_the_rate_of_hits_is_a_figure():
    """BerriAI/litellm#5017: 2.6 times too much, where a hit costs a tenth."""
    summary = summary_of([LISTED[1]], Price(input=1.0, output=1.0, cached_input=0.1))
    assert summary.cost_usd == pytest.approx((104 + 89.6 + 40) / 1e6)
    assert (summary.tokens.cached, summary.tokens.cache_hit_rate) == (896, 0.896)
    bedrock = next(case for case in OTHERS if case.name == "Bedrock")
    written = summary_of(
        [bedrock], Price(input=1.0, output=1.0, cached_input=0.1, cache_write=1.25)
    )
    assert written.cost_usd == pytest.approx((10 + 10 + 25 + 5) / 1e6)
    openai = next(case for case in OTHERS if case.name == "OpenAI")
    assert summary_of([openai], Price()).tokens.reasoning_share == pytest.approx(256 / 300)


def test_oddities_are_counted_and_told():
    lone = Case("no finish", "", HEL + LO + DONE)
    pinged = Case("pings", "", b"data: {}\n\n" + HEL + LO + END)
    summary = summary_of([EMPTIES[0], EMPTIES[1], EMPTIES[1], lone, pinged], Price())
    assert summary.oddities == {
        "no_finish": 1,
        "keep_alive": 1,
        "empty": 3,
        "empty_after_reasoning": 2,
    }
    assert (summary.empty.value, summary.empty.of) == (0.6, 5)
    assert (summary.empty_after_reasoning.value, summary.empty_after_reasoning.of) == (2 / 3, 3)
    told = [
        "1 of 5 answers came without a finish reason.",
        "1 of 5 answers held keep-alives without a name.",
        "3 of 5 answers succeeded and hold neither text nor a tool call: 2 of them spent their tokens "
        "on reasoning.",
    ]
    assert summary.odd == told
    assert set(told) <= set(summary.notes), "so they are in terminal, JSON and report"
    flat = summary.to_dict()
    assert flat["oddities"]["empty"] == 3
    assert flat["tokens"]["source"]


def test_the_dashboard_tells_them_too():
    from holymon.figures.summary_types import Summary
    from holymon.figures.verdict import Verdict
    from holymon.widgets.panels_html import figures

    empty = summary_of([EMPTIES[0]], Price())
    summary = Summary((empty,), simulated=False, duration_s=1.0, cost_usd=None)
    shown = figures(summary, Verdict("valid", (), (), ()))
    assert "url/m: 1 of 1 answers succeeded and hold neither text nor a tool call." in shown


def test_a_load_on_the_command_line_tells_them(holymon):
    async def go():
        async with Server(EMPTIES[1].steps) as server:
            options = ("--model", "m", "--requests", "3", "--rate", "20", "--json")
            return await asyncio.to_thread(holymon, "load", "--base-url", server.url, *options)

    done = asyncio.run(go())
    shown = json.loads(done.stdout)
    (target,) = shown["targets"]
    assert target["oddities"] == {"empty": 3, "empty_after_reasoning": 3}
    assert (target["empty"]["value"], target["empty_after_reasoning"]["value"]) == (1.0, 1.0)
    told = (
        "url/m: 3 of 3 answers succeeded and hold neither text nor a tool call: 3 of them spent "
        "their tokens on reasoning."
    )
    assert told in shown["verdict"]["reasons"]
