"""A load in every dialect: what is sent is what its documentation asks for, and what comes is
timed, counted and named as in chat."""

import asyncio
import gc
import json
from collections import Counter

import pytest

from holymon.load.caller import Caller
from holymon.plan.plan import Closed, Plan, Prompts
from holymon.plan.target import ENDPOINTS, Target
from holymon.records.attempt import Flag
from tests.promises.faults.server import FIN, Server

EACH = pytest.mark.parametrize("endpoint", [name for name in ENDPOINTS if name != "embeddings"])
STREAMED = pytest.mark.parametrize("stream", [True, False], ids=["streamed", "whole"])
TRIES = 5  # a busy machine may read a first token late, but hardly each time
KEY = "sk-canary-1234567890abcdef"


def calls(target: Target, n: int, **prompts):
    """The marks of `n` calls at once."""

    async def go():
        plan = Plan(targets=(target,), load=Closed(users=1), requests=1, prompts=Prompts(**prompts))
        caller = Caller(plan, keep=True)
        try:
            return await asyncio.gather(*(caller.send(k, 0, 0.0) for k in range(n))), caller.kept
        finally:
            await caller.aclose()

    return asyncio.run(go())


@EACH
def test_a_stream_of_any_dialect_has_true_times_tokens_and_its_end(shared_simulator, endpoint):
    target = shared_simulator.target("pinned", endpoint=endpoint)
    for _ in range(TRIES):
        all_marks, kept = calls(target, 3, texts=("one two three",), max_tokens=None)
        if all(marks.last - marks.first >= 0.6 for marks in all_marks):
            break
    for marks in all_marks:
        assert (marks.error, marks.finish, marks.status) == ("", "stop", 200)
        assert (marks.events, marks.output_tokens, marks.prompt_tokens) == (64, 64, 3)
        assert len(kept[marks.request].split()) == 64
        # The first token comes after 100 ms and the last 630 ms later, whatever came before it.
        assert marks.first - marks.start >= 0.1
        assert marks.content == marks.first
        assert marks.last - marks.first >= 0.6
        assert marks.chunk <= marks.first < marks.last <= marks.end
        # Of the older completions the first event is a word; in all others it is a beginning.
        assert (marks.chunk < marks.first) == (endpoint != "completions")
        assert marks.flags & Flag.STREAM
        assert marks.flags & Flag.SERVER_TOKENS
        assert marks.flags & Flag.SIMULATED


@EACH
@STREAMED
def test_a_limit_of_tokens_is_asked_for_and_told(shared_simulator, endpoint, stream):
    target = shared_simulator.target("fast", endpoint=endpoint)
    (marks,), kept = calls(target, 1, max_tokens=6, stream=stream)
    assert (marks.error, marks.finish, marks.output_tokens) == ("", "length", 6)
    assert len(kept[0].split()) == 6
    assert bool(marks.flags & Flag.STREAM) == stream


@EACH
@STREAMED
def test_failures_of_any_dialect_have_their_names(simulator, endpoint, stream):
    target = simulator.target("flaky", endpoint=endpoint, stall_s=1)
    all_marks, _ = calls(target, 120, max_tokens=4, stream=stream)
    faults = {name: n for name, n in simulator.counted()["flaky"]["faults"].items() if n}
    assert faults.pop("ok") < 115
    assert Counter(marks.error for marks in all_marks if marks.error) == faults


def test_what_odd_servers_answer_is_called_what_it_is(shared_simulator):
    """Limits and no credit inside a 200, usage in odd places, and all of it said once more."""
    target = shared_simulator.target("odd")
    all_marks, kept = calls(target, 120, texts=("one two three",), max_tokens=4)
    faults = shared_simulator.counted()["odd"]["faults"]
    good = [marks for marks in all_marks if not marks.error]
    assert len(good) == faults.pop("ok")
    assert Counter(marks.error for marks in all_marks if marks.error) == faults
    refused = {marks.status for marks in all_marks if marks.error == "rate_limited"}
    assert refused == {200, 429}
    for marks in good:
        assert (marks.prompt_tokens, marks.output_tokens, marks.finish) == (3, 4, "length")
        assert len(kept[marks.request].split()) == 4
    assert 0 < sum(bool(marks.flags & Flag.NO_DONE) for marks in good) < len(good)


@STREAMED
def test_llama_cpp_is_understood_at_its_own_path(shared_simulator, stream):
    root = shared_simulator.base_url.removesuffix("/v1")
    target = Target(provider="url", model="fast", base_url=root, endpoint="completions")
    (marks,), kept = calls(target, 1, texts=("one two three",), max_tokens=6, stream=stream)
    assert (marks.error, marks.finish) == ("", "length")
    assert (marks.prompt_tokens, marks.output_tokens, len(kept[0].split())) == (3, 6, 6)


@pytest.mark.parametrize(
    ("endpoint", "path", "headers", "body"),
    [
        ("chat", "/v1/chat/completions", ["authorization: Bearer KEY"],
         {"messages": [{"role": "user", "content": "hi"}], "stream": True,
          "stream_options": {"include_usage": True}}),
        ("messages", "/v1/messages", ["x-api-key: KEY", "anthropic-version: 2023-06-01"],
         {"messages": [{"role": "user", "content": "hi"}], "stream": True, "max_tokens": 4096}),
        ("responses", "/v1/responses", ["authorization: Bearer KEY"],
         {"input": "hi", "stream": True, "store": False}),
        ("completions", "/v1/completions", ["authorization: Bearer KEY"],
         {"prompt": "hi", "stream": True, "stream_options": {"include_usage": True}}),
        ("embeddings", "/v1/embeddings", ["authorization: Bearer KEY", "accept: application/json"],
         {"input": "hi"}),
    ],
    ids=ENDPOINTS,
)  # fmt: skip
def test_what_is_sent_is_what_the_dialect_asks_for(monkeypatch, endpoint, path, headers, body):
    monkeypatch.setenv("CALLER_KEY", KEY)

    async def go():
        async with Server([FIN]) as server:
            target = Target(provider="url", model="m", base_url=f"{server.url}/",
                            endpoint=endpoint, api_key_env="CALLER_KEY")  # fmt: skip
            prompts = Prompts(texts=("hi",), max_tokens=None)
            caller = Caller(Plan(targets=(target,), load=Closed(users=1), requests=1,
                                 prompts=prompts))  # fmt: skip
            await caller.send(0, 0, 0.0)
            await caller.aclose()
            return server.seen[0]

    head, _, sent = asyncio.run(go()).partition(b"\r\n\r\n")
    lines = head.decode().split("\r\n")
    assert lines[0] == f"POST {path} HTTP/1.1"
    assert {line.replace("KEY", KEY) for line in headers} <= set(lines)
    assert head.count(KEY.encode()) == 1
    assert json.loads(sent) == {"model": "m", **body}


@EACH
@STREAMED
def test_a_call_leaves_nothing_for_the_collector(shared_simulator, endpoint, stream):
    """What keeps itself alive by a cycle made each call a third dearer."""
    target = shared_simulator.target("fast", endpoint=endpoint)
    plan = Plan(targets=(target,), load=Closed(users=1), requests=1, prompts=Prompts(stream=stream))
    left = []

    async def go():
        caller = Caller(plan)
        try:
            await asyncio.create_task(caller.send(0, 0, 0.0))
            gc.collect()
            gc.disable()
            for number in range(5):
                await asyncio.create_task(caller.send(number, 0, 0.0))
            gc.set_debug(gc.DEBUG_SAVEALL)
            gc.collect()
            left.extend(type(thing).__name__ for thing in gc.garbage)
        finally:
            gc.set_debug(0)
            gc.garbage.clear()
            gc.enable()
            await caller.aclose()

    asyncio.run(go())
    assert {"Reading", "Deadlines", "Response", "Marks", "Task"} & set(left) == set()
