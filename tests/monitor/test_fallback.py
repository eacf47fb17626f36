"""A call that fails at a candidate and is answered by the baseline is one request of its caller."""

import asyncio
import time
from contextlib import ExitStack, suppress

import httpx
import openai
import pytest
from prometheus_client import generate_latest

import holymon as hm
from holymon.errors import CallError
from holymon.figures.request_stats import request_stats
from holymon.plan.plan import Target
from holymon.prometheus.conditions import Count
from holymon.prometheus.counting import Counted
from holymon.prometheus.exporter import Collector
from holymon.records.attempt import Flag
from holymon.records.datasets import dataset
from tests.promises.faults.server import FIN, HANG, HELLO, answer, completion, stream

GENEROUS = hm.Policy(budget=1.0, loan=20, burst=20)
NO_BUDGET = hm.Policy(budget=0.0, loan=1, burst=1)
WELL, FAILS = [answer(completion())], [answer({}, "500 No")]
BUSY = [answer({}, "429 Too Many")]
VECTORS = [answer({"object": "list", "model": "m", "data": [{"index": 0, "embedding": [0.5]}],
                   "usage": {"prompt_tokens": 1, "total_tokens": 1}})]  # fmt: skip
CHAT = {"model": "m", "messages": [{"role": "user", "content": "hi"}]}
N = 12
TURN = {"steps": (1.0,), "shadow": 0.0, "min_calls": 10**6}


@pytest.fixture
def moving(tmp_path):
    """A router of two servers; all calls are the candidate's."""
    with ExitStack() as stack:

        def make(old, new, endpoint="chat", **options):
            sides = [Target(provider=name, model="m", base_url=at.url, endpoint=endpoint)
                     for name, at in (("old", old), ("new", new))]  # fmt: skip
            made = {**TURN, "policy": GENEROUS, "state": tmp_path / "r.json", **options}
            return stack.enter_context(hm.Router(*sides, **made))

        yield make


def _by_router(kind):
    """Ask a router so often, one after the other."""

    async def go(r):
        for _ in range(N):
            if kind == "achat":
                assert (await r.achat("hi")).text == "Hello"
            else:
                assert [event async for event in await r.achat("hi", stream=True)]

    def ask(old, new, moving, _):
        r = moving(old, new, "embeddings" if kind == "embed" else "chat")
        if kind[0] == "a":
            asyncio.run(go(r))
        for _ in range(N * (kind[0] != "a")):
            if kind == "chat":
                assert r.chat("hi").text == "Hello"
            elif kind == "embed":
                assert r.embed("hi")["data"]
            else:
                assert list(r.chat("hi", stream=True))
        return r.monitor, r.move

    return ask


def _by_client(kind, retries=0):
    """The same through clients of two libraries, for threads and for asyncio."""
    of_sdk = kind in {openai.OpenAI, openai.AsyncOpenAI}

    def made(at):
        if of_sdk:
            return kind(api_key="sk-1234567890", base_url=at.url, max_retries=retries)
        return kind(base_url=at.url)

    def ask(old, new, _, folder):
        options = {**TURN, "policy": GENEROUS, "state": folder / "r.json"}
        client, other = made(old), made(new)
        hm.routed(client, other, **options)

        def one():
            if of_sdk:
                return client.chat.completions.create(**CHAT)
            return client.post("/chat/completions", json=CHAT)

        async def go():
            async with client, other:
                for _ in range(N):
                    await one()

        if kind in {httpx.AsyncClient, openai.AsyncOpenAI}:
            asyncio.run(go())
        else:
            with client, other:
                for _ in range(N):
                    one()
        return client.monitor, client.router

    return ask


WAYS = {
    **{kind: _by_router(kind) for kind in ("chat", "stream", "achat", "astream", "embed")},
    "httpx": _by_client(httpx.Client), "httpx, asyncio": _by_client(httpx.AsyncClient),
    "openai": _by_client(openai.OpenAI), "openai, asyncio": _by_client(openai.AsyncOpenAI),
    "openai, which repeats": _by_client(openai.OpenAI, retries=2),
}  # fmt: skip


@pytest.mark.parametrize("way", WAYS)
def test_a_call_that_falls_back_is_one_request_with_two_attempts(server, moving, tmp_path, way):
    good = {"stream": stream(*HELLO), "astream": stream(*HELLO), "embed": VECTORS}.get(way, WELL)
    old, new = server(good), server(*[FAILS, good] * (N // 2))
    monitor, move = WAYS[way](old, new, moving, tmp_path)
    stats = monitor.stats()
    half = N // 2
    assert (stats.requests, stats.ok, stats.attempts, stats.retries) == (N, N, N + half, half)
    assert (stats.success.value, stats.first_attempts.value) == (1.0, 0.5)
    assert (stats.errors, stats.undecided, stats.amplification) == ({}, 0, 1.5)
    assert stats.attempt_errors == {"server_error": half}
    words = f"{half} requests failed at one target and went on at another: each counts at both, and"
    assert f"{words} once in all" in stats.lines
    by_side = {len(part.errors): part for part in stats.targets.values()}
    was, is_new = by_side[0], by_side[1]
    assert (was.requests, was.ok, was.attempts, was.retries) == (half, half, half, 0)
    assert (is_new.requests, is_new.ok, is_new.attempts, is_new.retries) == (N, half, N, 0)
    assert (was.first_attempts.value, is_new.first_attempts.value) == (1.0, 0.5)
    assert (was.amplification, is_new.amplification) == (1.0, 1.0)
    frame = monitor.to_frame()
    assert frame["request"].nunique() == len(monitor.requests) == N
    assert sorted(frame["attempt"][frame["came_over"]]) == [1] * half
    assert sorted(frame["attempt"][frame["went_on"] & frame["retried"]]) == [0] * half
    move.keeper.flush()  # what leads the move counts as it did
    assert move.route.totals == {"candidate": N, "fallback": half}


def test_a_callers_time_has_both_tries_and_a_target_only_its_own(server, moving):
    old, new = server(WELL), server([HANG])
    r = moving(old, new, patience_s=0.4)
    for _ in range(4):
        assert r.chat("hi").text == "Hello"
    stats = r.monitor.stats()
    was, is_new = stats.targets["old/m"], stats.targets["new/m"]
    assert is_new.failure_s.p50 >= 0.4
    assert stats.latency_s.p50 >= was.latency_s.p50 + 0.4


@pytest.mark.parametrize("kind", ["router", "httpx"])
def test_what_does_not_fall_back_has_failed_at_once(server, moving, tmp_path, kind):
    old, new = server(WELL), server(FAILS)
    if kind == "router":
        r = moving(old, new, policy=NO_BUDGET)
        for _ in range(5):
            with suppress(CallError):
                r.chat("hi")
        monitor = r.monitor
    else:
        with httpx.Client(base_url=old.url) as client, httpx.Client(base_url=new.url) as other:
            hm.routed(client, other, **TURN, policy=NO_BUDGET, state=tmp_path / "r.json")
            for _ in range(5):
                client.post("/chat/completions", json=CHAT)
            monitor = client.monitor
    stats = monitor.stats()
    assert (len(old.seen), len(new.seen)) == (1, 5)
    assert (stats.requests, stats.ok, stats.attempts, stats.undecided) == (5, 1, 6, 0)
    assert monitor.ledger.held == 0


def test_a_stream_that_has_begun_is_not_held_open_when_it_breaks(server, moving):
    broken = [*stream(HELLO[0])[:-1], FIN]
    old, new = server(stream(*HELLO)), server(broken)
    r = moving(old, new)
    with pytest.raises(CallError):
        list(r.chat("hi", stream=True))
    stats = r.monitor.stats()
    assert (stats.requests, stats.ok, stats.attempts, stats.undecided) == (1, 0, 1, 0)
    assert len(old.seen) == r.monitor.ledger.held == 0


def test_the_baseline_repeats_as_often_after_a_fall_as_without(server, moving):
    old, new = server(BUSY, BUSY, WELL), server(FAILS)
    r = moving(old, new, policy=hm.Policy(budget=1.0, loan=20, burst=20, wait_s=0.01))
    assert r.chat("hi").text == "Hello"
    rows = r.monitor.records.rows
    rows.sort(order="attempt")
    assert rows["attempt"].tolist() == [0, 1, 2, 3]
    assert len({*rows["request"].tolist()}) == 1
    stats = r.monitor.stats()
    assert (stats.requests, stats.ok, stats.retries, stats.amplification) == (1, 1, 3, 4.0)
    was = stats.targets["old/m"]
    assert (was.requests, was.ok, was.retries, was.amplification) == (1, 1, 2, 3.0)
    assert was.first_attempts.value == 0.0


def test_what_an_sdk_repeats_at_the_other_side_is_one_request_too(server, tmp_path):
    """There is no budget left to fall back, so the SDK asks again by itself, at the baseline."""
    old, new = server(WELL), server(FAILS)
    a, b = (openai.OpenAI(api_key="sk-1234567890", base_url=at.url, max_retries=2)
            for at in (old, new))  # fmt: skip
    with a, b:
        client = hm.routed(a, b, **TURN, policy=NO_BUDGET, state=tmp_path / "r.json")
        for _ in range(3):
            client.chat.completions.create(**CHAT)
    stats = client.monitor.stats()
    assert (stats.requests, stats.ok, stats.attempts) == (3, 3, 6)
    was, is_new = (stats.targets[f"127.0.0.1:{at.port}/m"] for at in (old, new))
    assert (was.requests, was.ok, was.retries) == (3, 3, 0)
    assert (is_new.requests, is_new.ok) == (3, 0)


def test_prometheus_and_the_alerts_count_at_each_target_what_was_asked_of_it(server, moving):
    old, new = server(WELL), server(*[FAILS, WELL] * (N // 2))
    r = moving(old, new)
    for _ in range(N):
        r.chat("hi")
    text = generate_latest(Collector(r)).decode()
    for line in (
        'api_requests_total{model="m",provider="new",status="500"} 6.0',
        'api_requests_total{model="m",provider="new",status="200"} 6.0',
        'api_requests_total{model="m",provider="old",status="200"} 6.0',
        'api_errors_total{error_type="server_error",model="m",provider="new"} 6.0',
        'holymon_retries_total{model="m",provider="old"} 0.0',
    ):
        assert f"{line}\n" in text
    for name, failed in (("new/m", 6), ("old/m", 0)):
        counted = Counted(name, [r.monitor.records])
        ends = [counted._make(Count(kind))[1][-1] for kind in ("requests", "errors", "retries")]
        assert ends == [N if failed else N // 2, failed, 0]


def test_what_spills_is_replayed_as_often_as_callers_asked(server, moving, tmp_path):
    old, new = server(WELL), server(*[FAILS, WELL] * (N // 2))
    r = moving(old, new)
    r.monitor.ledger.folder = tmp_path / "spilled"
    for _ in range(N):
        r.chat("hi")
    r.close()
    assert r.monitor.ledger.spilled == N + N // 2
    assert len(dataset(tmp_path / "spilled")) == N


def test_a_fall_whose_first_try_has_left_memory_is_still_one_request(server, moving):
    r = moving(server(WELL), server(FAILS))
    r.chat("hi")
    records = r.monitor.records
    late = records.select(records["flags"] & Flag.CAME_OVER != 0)
    stats = request_stats(late)
    assert (stats.requests, stats.ok, stats.attempts) == (1, 1, 1)


def test_a_caller_who_leaves_during_the_fall_leaves_nothing_open(server, moving):
    old, new = server([HANG]), server(FAILS)
    r = moving(old, new)

    async def go():
        task = asyncio.create_task(r.achat("hi"))
        while not old.seen:  # noqa: ASYNC110 - a server in another thread is looked at
            await asyncio.sleep(0.005)
        task.cancel()
        with suppress(asyncio.CancelledError):
            await task

    asyncio.run(go())
    until = time.monotonic() + 20
    while r.monitor.ledger.taken < 2:
        assert time.monotonic() < until
        time.sleep(0.005)
    stats = r.monitor.stats()
    assert (stats.requests, stats.errors, stats.undecided) == (1, {"cancelled": 1}, 0)


@pytest.mark.parametrize("kind", ["router", "httpx"])
def test_a_copy_for_the_candidate_is_nobodys_request(server, moving, tmp_path, kind):
    old, new = server(WELL), server(*[FAILS, WELL] * (N // 2))
    shadow = {"steps": (0.05, 1.0), "shadow": 1.0}
    with ExitStack() as stack:
        if kind == "router":
            r = moving(old, new, **shadow)
            monitor, close = r.monitor, r.close
            for _ in range(N):
                assert r.chat("hi").text == "Hello"
        else:
            client, other = (
                stack.enter_context(httpx.Client(base_url=at.url)) for at in (old, new)
            )
            hm.routed(client, other, **TURN | shadow, state=tmp_path / "r.json")
            monitor, close = client.monitor, client.monitor.close
            for _ in range(N):
                assert client.post("/chat/completions", json=CHAT).status_code == 200
        until = time.monotonic() + 30
        while monitor.ledger.taken < 2 * N:
            assert time.monotonic() < until
            time.sleep(0.005)
        stats = monitor.stats()
        assert (stats.requests, stats.ok, stats.attempts, stats.retries) == (N, N, 2 * N, 0)
        assert (stats.success.value, stats.first_attempts.value, stats.errors) == (1.0, 1.0, {})
        words = f"copies of calls for a router's candidate: {N}, requests of that target and of no"
        assert f"{words} caller" in stats.lines
        assert len(monitor.requests) == N
        assert {(part.requests, part.ok) for part in stats.targets.values()} == {
            (N, N),
            (N, N // 2),
        }
        monitor.ledger.folder = tmp_path / "spilled"
        close()
    assert len(dataset(tmp_path / "spilled")) == N
