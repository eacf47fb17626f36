"""B. Good answers are good, whatever form they come in; what is worth knowing is a flag."""

import asyncio
from math import inf

import pytest

from holymon.load import timeouts
from holymon.records.attempt import Flag
from tests.promises.faults.server import CHUNKED, FIN, HANG, LAST, chunk

from .cases import (
    DONE,
    END,
    HEL,
    LO,
    STOP,
    USAGE,
    WHOLE,
    Case,
    body,
    check,
    data,
    event,
    load,
    pair,
    said,
    usage,
    whole,
)  # fmt: skip

ALIVE, SKIPPED, LENIENT = int(Flag.KEEP_ALIVE), int(Flag.SKIPPED), int(Flag.LENIENT)
SSE = "content-type: text/event-stream\r\n"
CREATED = b'event: response.created\ndata: {"type":"response.created","response":{"status":"in_progress"}}\n\n'


def between(name: str, source: str, alive: bytes, flags: int = ALIVE, **more) -> Case:
    """A case in which something stands between the tokens, before them and behind them."""
    return Case(
        name, source, alive + HEL + alive + LO + STOP + alive + USAGE + DONE, flags=flags, **more
    )


def piece(**choice) -> dict:
    return {"id": "1", "object": "chat.completion.chunk", "choices": [{"index": 0, **choice}]}


def answer_of(bytes_: bytes, **more) -> Case:
    return Case(more.pop("name"), more.pop("source"), bytes_, streamed=False,
                **{"kind": "application/json", **more})  # fmt: skip


def lines(*pieces: bytes) -> list:
    """Events under headers that end with the last piece, and a connection that stays open."""
    return [CHUNKED, *map(chunk, pieces)]


LISTED = [
    between("a ping without a name", "openai-php/client#556", b'data: {"type": "ping"}\n\n'),
    between("an empty object", "openai/openai-python#3833", b"data: {}\n\n"),
    between("empty data", "netease-lcap/wave-agent#1326; NousResearch/hermes-agent#111887", b"data:\n\n"),
    between("a named ping with empty data", "caozhiyuan/copilot-api#88", b"event: ping\ndata:\n\n", 0),
    Case("-Infinity in logprobs", "sgl-project/sglang#4097",
         data(b'{"choices":[{"index":0,"delta":{"content":"Hel"},"logprobs":{"content":[{"logprob":-Infinity}]}}]}')
         + LO + END, flags=LENIENT),
    answer_of(body(whole()).replace(b'"usage"', b'"timings":{"prompt_ms":NaN},"usage"'),
              name="NaN in timings", source="Aleph-Alpha/pharia-skill#265; sgl-project/sglang#20323", flags=LENIENT),
    answer_of(body(whole()), name="status 201", source="docs.nestjs.com, controllers: status code of POST", status="201 Created", flags=LENIENT),
    Case("events under text/plain", "54xzh/FLIT#71", WHOLE, kind="text/plain; charset=utf-8",
         flags=LENIENT),
    Case("Content-Length beside chunked", "timoklimmer/powerproxy-aoai#53", WHOLE,
         head="content-length: 5\r\n", watched=False),  # httpx refuses it before anybody reads it
    Case("an empty list for a delta", "variant of openai-php/client#408, no delta",
         HEL + LO + data(piece(delta=[], finish_reason="stop")) + USAGE + DONE, flags=LENIENT),
    Case("a reason that is an object", "sgl-project/sglang#4097",
         HEL + LO + data(piece(delta={}, finish_reason={"type": "stop", "matched": 128009})) + USAGE + DONE,
         wanted={"finish": "stop"}),
    answer_of(body(whole()) + b"\n\ndata: [DONE]\n\n", name="JSON and DONE", source="decolua/9router#3492",
              kind="text/event-stream", flags=LENIENT),
]  # fmt: skip

OTHERS = [
    between("null", "variant of openai/openai-python#3833", b"data: null\n\n"),
    between("an empty list", "variant of openai/openai-python#3833", b"data: []\n\n"),
    between("a comment", "openrouter.ai/docs, streaming", b": OPENROUTER PROCESSING\n\n", 0),
    between("a word", "sysid/sse-starlette pings as data", b"data: ping - 2026-01-01 00:00:00\n\n"),
    between("a name alone", "Wei-Shaw/sub2api#7097", b"event: ping\n\n", 0),
    between("a heartbeat by its event", "variant of openai-php/client#556", b'data: {"event":"heartbeat"}\n\n'),
    between("an unknown named event", "variant of Wei-Shaw/sub2api#7097", b'event: citation\ndata: {"url":"x"}\n\n', 0),
    between("an object of its own", "microsoft/semantic-kernel#3650", b'data: {"id":"","object":"","prompt_filter_results":[]}\n\n', 0),
    between("an unknown object", "variant of docs.perplexity.ai, citations", b'data: {"citations":["x"]}\n\n', SKIPPED),
    between("a comment of one letter", "variant of openrouter.ai/docs, streaming", b": x\n\n", 0),
    Case("progress of the prompt", "ggml-org/llama.cpp#15827",
         data({"object": "chat.completion.chunk", "choices": [], "prompt_progress": {"total": 9}}) + WHOLE),
    Case("no empty lines between events", "songquanpeng/one-api#277", WHOLE.replace(b"\n\n", b"\n") + b"\n",
         flags=LENIENT),
    Case("no content type", "nearai/private-ml-sdk#20", WHOLE, kind="", flags=LENIENT),
    Case("events under JSON", "microsoft/foundry-dev-tools#195", WHOLE, kind="application/json", flags=LENIENT),
    Case("a stream where none was asked for", "kaito-project/kaito#1880", WHOLE, streamed=False, flags=LENIENT),
    Case("a stream as JSON where none was asked for", "kaito-project/kaito#1880", WHOLE, streamed=False,
         kind="application/json", flags=LENIENT),
    answer_of(body(whole()), name="JSON under HTML", source="variant of decolua/9router#3301", kind="text/html", flags=LENIENT),
    answer_of(body(whole()), name="JSON as events", source="decolua/9router#3301", kind="text/event-stream",
              flags=LENIENT),
    answer_of(b"\n\n\n " + body(whole()), name="empty lines first", source="api-docs.deepseek.com, rate limit"),
    answer_of(b": OPENROUTER PROCESSING\n\n" + body(whole()) + b"\n\n", name="comments, then JSON",
              source="openrouter.ai/docs", flags=LENIENT | Flag.NO_DONE),
    Case("choices null in between", "variant of infiniflow/ragflow#17292", HEL + data({"id": "1", "choices": None}) + LO + END),
    Case("an empty reason", "sgl-project/sglang#3912", data(piece(delta={"content": "Hel"}, finish_reason="")) + LO + END),
    Case("false as content", "variant of an empty list for a delta", data(piece(delta={"content": False})) + WHOLE, flags=LENIENT),
    Case("content as parts", "mistralai, magistral; pydantic/pydantic-ai#2713",
         data(piece(delta={"content": [{"type": "thinking", "thinking": [{"type": "text", "text": "hm"}]}]}))
         + data(piece(delta={"content": [{"type": "text", "text": "Hel"}]})) + LO + END,
         wanted={"events": 3}),
    Case("one choice that is no list", "variant of an empty list for a delta",
         data({"choices": {"index": 0, "delta": {"content": "Hel"}}}) + LO + END, flags=LENIENT),
    Case("choices by number", "variant of one choice that is no list",
         data({"choices": {"0": {"index": "0", "delta": {"content": "Hel"}}}}) + LO + END, flags=LENIENT),
    Case("a number as content", "variant of false as content", data(piece(delta={"content": 42})) + STOP + USAGE + DONE, text="42",
         flags=LENIENT),
    Case("usage of odd kinds", "variant of waybarrios/vllm-mlx#628",
         HEL + LO + STOP + data({"choices": [], "usage": {"prompt_tokens": "3", "completion_tokens": 2.0}}) + DONE,
         wanted={"prompt_tokens": 3, "output_tokens": 2}),
    Case("a control character in a string", "variant of sgl-project/sglang#4097",
         data(b'{"choices":[{"index":0,"delta":{"content":"He\tl"}}]}') + LO + END, text="He\tllo", flags=LENIENT),
    Case("the end as an event", "replicate.com/docs, streaming", HEL + LO + STOP + b"event: done\ndata: {}\n\n"),
    Case("the end as a word", "variant of replicate.com/docs, streaming", HEL + LO + STOP + b"data: DONE\n\n"),
    Case("a finish of Gemini's", "ai.google.dev", HEL + LO + event(said(finish="STOP")) + DONE, wanted={"finish": "stop"}),
    Case("a finish of Anthropic's", "genkit-ai/genkit#6259", HEL + LO + event(said(finish="max_tokens")) + DONE,
         wanted={"finish": "length"}),
    Case("no finish reason, but DONE", "waybarrios/vllm-mlx#628", HEL + LO + DONE, flags=int(Flag.NO_FINISH)),
    Case("fields in capitals and spaces", "variant of songquanpeng/one-api#277", WHOLE.replace(b"data: ", b"Data : "), flags=0),
    Case("messages with a ping and an odd start", "platform.claude.com, streaming",
         b'event: ping\ndata: {"type": "ping"}\n\n'
         + data({"type": "message_start", "message": []}) + data({"type": "content_block_delta", "delta": {"text": "Hel"}})
         + data({"type": "content_block_delta", "delta": {"type": "text_delta", "text": "lo"}})
         + data({"type": "message_delta", "delta": {"stop_reason": "end_turn"}, "usage": {"output_tokens": 2}})
         + data({"type": "message_stop"}), endpoint="messages", wanted={"output_tokens": 2}),
    Case("responses with a keep-alive", "openai/codex, keepalive events",
         CREATED + data({"type": "keepalive"}) + data({"type": "response.output_text.delta", "delta": "Hel"})
         + data({"type": "response.output_text.delta", "delta": "lo"})
         + data({"type": "response.completed", "response": {"status": "completed", "output": [], "usage": []}}),
         endpoint="responses", flags=ALIVE),
]  # fmt: skip


test_a_load_takes_it, test_a_watched_client_takes_it_too = pair([*LISTED, *OTHERS])


FINISHED = {
    "finish and usage": ([HEL, LO, STOP, USAGE], "_COUNTED"),
    "finish alone": ([HEL, LO, STOP], ""),
    "finish with its usage": ([HEL, LO, data(piece(delta={}, finish_reason="stop") | {"usage": usage(3, 2)})], "_COUNTED"),
    "finish, then comments for ever": ([HEL, LO, STOP, *[b": ping\n\n"] * 3], ""),
}  # fmt: skip


@pytest.mark.parametrize("name", FINISHED)
def test_a_finished_stream_that_stays_open_is_whole_and_ends_soon(name, monkeypatch):
    """oobabooga/textgen#4778: neither DONE nor an end for a minute."""
    pieces, grace = FINISHED[name]
    monkeypatch.setattr(timeouts, f"GRACE{grace}_S", 0.4)
    case = Case(name, "oobabooga/textgen#4778", [*lines(*pieces), HANG], flags=int(Flag.NO_DONE))
    marks, text = asyncio.run(load(case, stall_s=8.0))
    check(case, marks, text)
    assert marks.end - marks.last < 0.4, "it ended with what it needed, not with the wait"


def test_usage_that_comes_late_is_waited_for(monkeypatch):
    monkeypatch.setattr(timeouts, "GRACE_S", 1.0)
    case = Case("late", "variant of oobabooga/textgen#4778", [*lines(HEL, LO, STOP), 0.1, chunk(USAGE), chunk(DONE), LAST],
                wanted={"output_tokens": 2})  # fmt: skip
    check(case, *asyncio.run(load(case)))


def test_a_connection_that_breaks_behind_the_finish_changes_nothing():
    case = Case(
        "cut",
        "variant of oobabooga/textgen#4778",
        [*lines(HEL, LO, STOP), FIN],
        flags=int(Flag.NO_DONE),
    )
    check(case, *asyncio.run(load(case)))


def test_a_whole_answer_where_a_stream_was_asked_for_names_the_option():
    case = Case("whole", "litellm 1.108.7, /v1/messages of a mock", body(whole("x" * 9)), "unexpected_content_type", "--no-stream",
                kind="application/json")  # fmt: skip
    marks, _ = asyncio.run(load(case))
    check(case, marks, "")
    assert "xxxxxxxxx" not in marks.message
    long = Case("long", "variant of the one before it", body(whole("x" * 90_000)), "unexpected_content_type", "--no-stream",
                kind="application/json")  # fmt: skip
    check(long, *asyncio.run(load(long)))


def test_a_page_is_no_answer_under_any_type():
    for kind in ("text/html", "application/json", "text/event-stream", ""):
        for streamed in (True, False):
            page = Case("page", "variant of crmne/ruby_llm#606", b"<html><h1>502 Bad Gateway</h1></html>", "unexpected_content_type",
                        streamed=streamed, kind=kind)  # fmt: skip
            check(page, *asyncio.run(load(page)))


def test_nothing_lasts_for_ever():
    assert timeouts.GRACE_COUNTED_S < timeouts.GRACE_S < inf
