"""Every dialect under load and in a monitor, against a simulator whose truth is known: reasoning, text
and calls of tools have their times, caches and reasoning their counts, JSON is judged.
"""

import asyncio
import json

import pytest

from holymon.errors import PlanError
from holymon.figures.sizes import sizes_of
from holymon.figures.summary import summarize
from holymon.load.caller import Caller
from holymon.load.first_call import FirstCalls
from holymon.monitor.monitor import Monitor
from holymon.plan.plan import Closed, Plan, Prompts
from holymon.plan.target import Target
from holymon.records.attempt import Flag
from holymon.records.first_call import informed
from holymon.records.records import from_marks
from holymon.sim.models import fate_of
from holymon.sim.process import simulator as started
from holymon.sim.question import question_in

TOOL = {"name": "weather", "description": "d"}
SCHEMA = {"type": "object", "properties": {}}
TOOLS = {
    "chat": {"type": "function", "function": {**TOOL, "parameters": SCHEMA}},
    "messages": {**TOOL, "input_schema": SCHEMA},
    "responses": {"type": "function", **TOOL, "parameters": SCHEMA},
}
SPOKEN = ("chat", "messages", "responses", "completions")
MODELS = ("fast", "reasoning", "tools", "cached")
WORDS = " ".join(f"w{k}" for k in range(100))
QUESTION = question_in(
    {"model": "tools", "prompt": "x", "tools": [TOOL], "max_tokens": 16, "stream": True}, "chat"
)
KEY = "sk-sim-0123456789"


@pytest.fixture(scope="module")
def log(tmp_path_factory):
    return tmp_path_factory.mktemp("dialects") / "sim.jsonl"


@pytest.fixture(scope="module")
def server(log):
    with started(log=log, auth="api-key") as one:
        yield one


def target(server, endpoint: str, model: str, **more) -> Target:
    body = {"tools": [TOOLS[endpoint]]} if model == "tools" and endpoint in TOOLS else {}
    return Target(**{"provider": "url", "model": model, "base_url": server.base_url, "auth": "api-key",
                     "endpoint": endpoint, "api_key_env": "SIM_KEY", "body": body, **more})  # fmt: skip


def calls(plan: Plan, number: int):
    """So many rounds of calls, each to all targets at once."""

    async def go():
        caller, loop = Caller(plan, keep=True), asyncio.get_running_loop()
        try:
            n, made = len(plan.targets), []
            for k in range(number):
                made += await asyncio.gather(
                    *(caller.send(k * n + t, t, loop.time()) for t in range(n))
                )
            return made, caller.kept
        finally:
            await caller.aclose()

    return asyncio.run(go())


@pytest.fixture(scope="module")
def asked(server):
    """All dialects and models, streamed and not, two rounds each with the same 100 words."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("SIM_KEY", KEY)
        made = {}
        for stream in (True, False):
            # Another beginning, or one dialect's cache would be the other's.
            targets = tuple(
                target(server, endpoint, model, provider=endpoint)
                for endpoint in SPOKEN
                for model in MODELS
            )
            plan = Plan(targets=targets, load=Closed(users=1), requests=2, first_call=False,
                        prompts=Prompts(texts=(f"{stream} {WORDS}",), stream=stream, max_tokens=16))  # fmt: skip
            made[stream] = calls(plan, 2)[0]
        return made


@pytest.fixture
def marks(asked):
    def of(endpoint: str, model: str, *, stream: bool = True, turn: int = 0):
        at = SPOKEN.index(endpoint) * len(MODELS) + MODELS.index(model)
        return asked[stream][turn * len(SPOKEN) * len(MODELS) + at]

    return of


@pytest.mark.parametrize("stream", [True, False])
@pytest.mark.parametrize("endpoint", SPOKEN)
def test_every_dialect_has_its_counts_and_an_end(marks, endpoint, stream):
    for model in MODELS:
        one = marks(endpoint, model, stream=stream)
        assert (one.error, one.message, one.prompt_tokens) == ("", "", 101), model
        assert one.flags & Flag.SERVER_TOKENS
        assert not one.flags & (Flag.SKIPPED | Flag.LENIENT | Flag.EMPTY | Flag.NO_FINISH), model
        assert 0 < one.output_tokens <= 16
        if stream:
            assert one.start < one.first <= one.last <= one.end
            assert one.events == one.output_tokens


@pytest.mark.parametrize("stream", [True, False])
@pytest.mark.parametrize("endpoint", ["chat", "messages", "responses"])
def test_reasoning_comes_before_the_text_and_is_counted_where_a_dialect_counts_it(
    marks, endpoint, stream
):
    one = marks(endpoint, "reasoning", stream=stream)
    counted = one.reasoning_tokens
    assert counted == (-1 if endpoint == "messages" else round(one.output_tokens / 2))
    if stream:
        assert one.first <= one.content <= one.last
        assert not one.flags & Flag.VEILED
        assert marks(endpoint, "fast").content == marks(endpoint, "fast").first


@pytest.mark.parametrize("stream", [True, False])
@pytest.mark.parametrize("endpoint", ["chat", "messages", "responses"])
def test_a_call_of_a_tool_is_timed_and_judged(marks, endpoint, stream):
    """One in twenty lacks its end."""
    one = marks(endpoint, "tools", stream=stream)
    call = fate_of(0, int(one.request_id.rpartition("-")[2]), QUESTION, 0, 0.0).text("call")
    broken = 0 if call.endswith("}") else Flag.BAD_ARGUMENTS
    assert one.flags & (Flag.TOOLS | Flag.BAD_ARGUMENTS) == Flag.TOOLS | broken
    assert one.finish == "tool_calls"
    assert not marks(endpoint, "fast", stream=stream).flags & Flag.TOOLS
    if stream:
        assert one.tool == one.first
        assert one.content != one.content


@pytest.mark.parametrize("endpoint", SPOKEN)
def test_what_is_in_a_prompt_cache_is_told_and_costs_no_time(marks, endpoint):
    """A block is 16 words: of 101 words 96 are known the second time, at 0.2 ms each."""
    first, second = (marks(endpoint, "cached", turn=turn) for turn in (0, 1))
    assert second.cached_tokens == 96
    assert (first.prompt_tokens, second.prompt_tokens) == (101, 101)
    assert marks(endpoint, "fast", turn=1).cached_tokens == -1


def test_the_log_of_the_simulator_knows_what_was_asked(asked, log):
    lines = [json.loads(line) for line in log.read_text().splitlines()]
    first = lines[: 2 * len(SPOKEN) * len(MODELS)]
    assert {(line["dialect"], line["model"]) for line in first} == {
        (e, m) for e in SPOKEN for m in MODELS
    }
    for line in first:
        assert (line["stream"], line["prompt_tokens"], line["max_tokens"]) == (True, 101, 16)
    hashes = {}
    for line in first:
        hashes.setdefault((line["dialect"], line["model"]), set()).add(line["asked"])
    assert all(len(same) == 1 for same in hashes.values())
    assert len({*map(str, hashes.values())}) == len(hashes)


def test_embeddings_have_vectors_and_tokens_of_prompts_per_second_and_no_ttft(server, monkeypatch):
    monkeypatch.setenv("SIM_KEY", KEY)
    one = target(server, "embeddings", "fast", body={"input": ["two words", "and three more"]})
    plan = Plan(targets=(one,), load=Closed(users=1), requests=40, first_call=False)
    made, _ = calls(plan, 4)
    assert {
        (m.error, m.prompt_tokens, m.output_tokens, m.events, m.flags & Flag.STREAM) for m in made
    } == {("", 5, -1, 2, 0)}
    (of,) = summarize(from_marks((one,), made), plan).targets
    assert (of.ttft_s.n, of.itl_s.n, of.tpot_s.n, of.latency_s.n) == (0, 0, 0, 4)
    assert of.items_per_s == pytest.approx(2 * of.requests_per_s)
    assert of.prompt_tokens_per_s == pytest.approx(5 * of.requests_per_s)
    assert (of.tokens.prompt, of.tokens.output, of.tokens.source) == (20, None, "server")
    text = " ".join([*of.facts, *of.notes])
    assert "vectors/s" in text
    assert "output tokens/s" not in text
    assert "came without a count" not in text
    throughput = of.to_dict()["throughput"]
    assert throughput["items_per_s"] == of.items_per_s
    assert throughput["output_tokens_per_s"] is None


def test_a_server_is_told_its_key_where_it_wants_it_and_refuses_without(server, monkeypatch):
    monkeypatch.setenv("SIM_KEY", KEY)
    wrong = target(server, "chat", "fast", auth="bearer")
    plan = Plan(targets=(wrong,), load=Closed(users=1), requests=1, first_call=False)
    (one,), _ = calls(plan, 1)
    assert (one.error, one.status) == ("authentication", 401)
    assert "api-key" in one.message


def first_of(server, **more):
    """What the first calls to a strict model find out, and then two calls as they say."""
    plan = Plan(targets=(target(server, "chat", "strict", **more),), load=Closed(users=1), requests=2,
                prompts=Prompts(max_tokens=24))  # fmt: skip
    known = asyncio.run(FirstCalls(plan).run())
    return known[0], informed(plan, tuple(known))


def test_a_model_that_is_strict_as_gpt_5_is_asked_as_it_wants(server, monkeypatch):
    monkeypatch.setenv("SIM_KEY", KEY)
    call, plan = first_of(server)
    assert call.quirks.max_tokens == "max_completion_tokens"
    assert "'max_tokens' is not supported with this model" in call.refused[0]
    made, _ = calls(plan, 2)
    assert [(m.error, m.output_tokens <= 24) for m in made] == [("", True)] * 2
    plain = Plan(targets=(target(server, "chat", "strict"),), load=Closed(users=1), requests=1,
                 first_call=False)  # fmt: skip
    (refused,), _ = calls(plain, 1)
    assert (refused.error, refused.status, refused.code) == (
        "bad_request",
        400,
        "unsupported_parameter",
    )


@pytest.mark.parametrize(
    ("endpoint", "body", "words"),
    [
        ("chat", {"temperature": 0.2, "max_tokens": None}, "'temperature' does not support 0.2 with this model"),
        ("chat", {"top_k": 3, "max_tokens": None}, "Unrecognized request argument supplied: top_k"),
        ("responses", {"top_k": 3}, "Unknown parameter: 'top_k'."),
        ("responses", {"temperature": 0}, "Unsupported parameter: 'temperature'"),
        ("messages", {"min_p": 3}, "min_p: Extra inputs are not permitted"),
        ("completions", {}, "not supported in the v1/completions endpoint"),
        ("embeddings", {}, "not allowed to generate embeddings"),
    ],
)  # fmt: skip
def test_what_a_strict_model_refuses_is_told_in_its_providers_words(
    server, monkeypatch, endpoint, body, words
):
    monkeypatch.setenv("SIM_KEY", KEY)
    one = target(server, endpoint, "strict", body=body)
    (made,), _ = calls(Plan(targets=(one,), load=Closed(users=1), requests=1, first_call=False), 1)
    assert made.status in {400, 403, 404}
    assert words in made.message


@pytest.mark.parametrize(
    ("fields", "tokens"),
    [
        ({"max_tokens": 200, "ignore_eos": True}, 200), ({"max_tokens": 200, "min_tokens": 150}, 150),
        ({"max_tokens": 5}, 5), ({"min_tokens": 90, "max_tokens": None}, 90),
    ],
)  # fmt: skip
def test_the_sizes_that_are_asked_for_are_those_that_come(server, monkeypatch, fields, tokens):
    monkeypatch.setenv("SIM_KEY", KEY)
    one = target(server, "chat", "cached", body={**fields})
    plan = Plan(targets=(one,), load=Closed(users=1), requests=1, first_call=False,
                prompts=Prompts(stream=False))  # fmt: skip
    assert calls(plan, 1)[0][0].output_tokens == tokens


def test_what_a_token_of_a_prompt_costs_is_found(server, monkeypatch):
    """The truth is 20 ms, and 0.2 ms for each token that is in no cache."""
    monkeypatch.setenv("SIM_KEY", KEY)
    texts = tuple(" ".join([f"u{k}", *["w"] * (60 * k)]) for k in range(1, 37))
    plan = Plan(targets=(target(server, "chat", "cached"),), load=Closed(users=1), requests=36, first_call=False,
                prompts=Prompts(texts=texts, max_tokens=4))  # fmt: skip

    async def six_at_a_time():
        caller, room = Caller(plan), asyncio.Semaphore(6)

        async def send(k):
            async with room:
                return await caller.send(k, 0, 0.0)

        try:
            return await asyncio.gather(*map(send, range(36)))
        finally:
            await caller.aclose()

    for _ in range(4):  # a busy machine may be late for the small ones
        effect = sizes_of(from_marks(plan.targets, asyncio.run(six_at_a_time()))).targets[0]
        if (found := effect.per_prompt_token_s.value) == pytest.approx(0.0002, rel=0.2):
            break
    assert found == pytest.approx(0.0002, rel=0.2)


@pytest.mark.parametrize("endpoint", SPOKEN)
def test_a_monitor_asks_in_the_dialect_of_its_target(server, monkeypatch, endpoint):
    monkeypatch.setenv("SIM_KEY", KEY)
    with Monitor(target(server, endpoint, "reasoning")) as monitor:
        reply = monitor.chat("two words")
        assert len(reply.text.split()) > 3
        assert len([*monitor.chat("two words", stream=True)]) > 5
        if endpoint == "messages":
            system = [
                {"role": "system", "content": "be brief"},
                {"role": "user", "content": "two words"},
            ]
            assert monitor.chat(system)["usage"]["input_tokens"] == 4
        records = monitor.records
    assert (records["error"] == 0).all()
    assert records["prompt_tokens"][:2].tolist() == [2, 2]
    assert (records["output_tokens"] > 0).all()
    streamed = records.rows[1]
    assert streamed["content_s"] > streamed["first_s"] or endpoint == "completions"


def test_a_monitor_asks_for_vectors(server, monkeypatch):
    monkeypatch.setenv("SIM_KEY", KEY)
    with Monitor(target(server, "embeddings", "fast")) as monitor:
        reply = monitor.embed(["a b", "c"])
        assert [item["index"] for item in reply["data"]] == [0, 1]
        assert asyncio.run(monitor.aembed("a"))["usage"]["prompt_tokens"] == 1
        with pytest.raises(PlanError, match="embed"):
            monitor.chat("x")
        records = monitor.records
    assert records["prompt_tokens"].tolist() == [3, 1]
    assert records["events"].tolist() == [2, 1]
    with pytest.raises(PlanError, match="vectors"):
        Monitor(target(server, "chat", "fast")).embed("x")
    with pytest.raises(PlanError, match="one text"):
        Monitor(target(server, "completions", "fast")).chat([{"role": "user", "content": "x"}])
