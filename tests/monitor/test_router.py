"""Calls move from one provider to another over real sockets, and take themselves back."""

import asyncio
import itertools
import json
import logging
import multiprocessing
import os
import re
import signal
import time
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack, suppress
from functools import partial
from pathlib import Path

import pytest
from prometheus_client import generate_latest

import holymon as hm
from holymon.errors import CallError, ConfigError, PlanError
from holymon.figures.gate import BURST, Margins
from holymon.monitor import move, route_file
from holymon.monitor.route import by_hand
from holymon.monitor.shadows import Shadows
from holymon.monitor.split import EvenTurns, of_key
from holymon.plan.plan import Target
from holymon.prometheus.exporter import Collector
from holymon.structs import replace
from tests.conftest import simulating
from tests.promises.faults.server import HANG, answer, completion, stream, usage

QUICK = {"min_s": 0, "min_calls": 10, "block_s": 0.05}
AT_ONCE = {"steps": (0.5, 1.0), "shadow": 0.0, **QUICK}
LAX = {"more_errors": 0.5, "slower": 5.0, "drift": 1.0}
GENEROUS = hm.Policy(budget=1.0, loan=20, burst=20)
FAILS = [answer({"error": {"message": "no such luck"}})]


@pytest.fixture(scope="module")
def pair():
    with simulating() as old, simulating() as new:
        yield old, new


def target(simulator, provider, cost=1.0):
    price = hm.Price(input=cost, output=cost)
    return Target(provider=provider, model="fast", base_url=simulator.base_url, price=price)


def scripted(provider, server):
    return Target(provider=provider, model="m", base_url=server.url)


def moving(old, new, folder, **options):
    return hm.Router(
        scripted("old", old), scripted("new", new), state=folder / "route.json", **options
    )


def charged(cost):
    """An answer that tells what it was charged, as OpenRouter's do."""
    return completion(usage={**usage(3, 2), "cost": cost, "is_byok": False})


@pytest.fixture
def router(pair, tmp_path):
    """A router between the two simulators."""
    with ExitStack() as stack:
        yield lambda cost=1.0, **options: stack.enter_context(
            hm.Router(
                target(pair[0], "old"), target(pair[1], "new", cost),
                state=tmp_path / "route.json", **options,
            )
        )  # fmt: skip


def asked(simulator):
    return simulator.log()["requests"]


def ask(router, n=1, workers=8):
    with ThreadPoolExecutor(workers) as pool:
        return list(pool.map(lambda k: router.chat("hi", max_tokens=1, key=str(k)), range(n)))


def state(router):
    router.move.keeper.flush()
    return router.route


def _work(router, n):
    ask(router, n, 2)
    router.close()


def test_threads_and_forked_workers_are_counted_to_the_request(router, pair):
    """Eight threads here, and four forked workers with two each, on one state."""
    before = [asked(simulator) for simulator in pair]
    r = router(steps=(0.4, 1.0), shadow=0.0, min_calls=10**6, block_s=0.05)
    ask(r, 8)
    fork = multiprocessing.get_context("fork")
    workers = [fork.Process(target=_work, args=(r, 30)) for _ in range(4)]
    for worker in workers:
        worker.start()
    ask(r, 80)
    for worker in workers:
        worker.join(60)
    assert [worker.exitcode for worker in workers] == [0] * 4
    totals = state(r).totals
    calls = [asked(simulator) - n for simulator, n in zip(pair, before, strict=True)]
    assert [totals["baseline"], totals["candidate"]] == calls
    assert sum(calls) == 8 + 80 + 4 * 30
    under = [of_key(str(k)) < 0.4 for k in range(80)]
    assert calls[1] == sum(under[:8]) + sum(under) + 4 * sum(under[:30])


def _killed(path, after):
    replace = Path.replace

    def dying(beside, there):
        if after:
            replace(beside, there)
        os.kill(os.getpid(), signal.SIGKILL)

    Path.replace = dying
    route_file.change(path, lambda route, now: by_hand(route, now, "me", "promoted", share=1.0))


@pytest.mark.parametrize("after", [False, True])
def test_a_process_killed_in_the_middle_of_a_promotion_leaves_the_old_state_or_the_new(
    router, after, monkeypatch
):
    r = router(**AT_ONCE)
    worker = multiprocessing.get_context("fork").Process(
        target=_killed, args=(r.move.keeper.path, after)
    )
    worker.start()
    worker.join(60)
    assert worker.exitcode == -signal.SIGKILL
    monkeypatch.setattr(route_file, "WAIT_S", 100)
    begun = time.monotonic()
    assert state(r).share == (1.0 if after else 0.5)
    ask(r, 8)
    assert state(r).totals
    assert time.monotonic() - begun < route_file.WAIT_S  # its lock went with it


def test_a_candidate_that_doubles_its_price_on_the_way_takes_the_move_back(server, tmp_path):
    """A gateway tells what each call was charged: no price book knows that its own is doubled."""
    plain, double = ([answer(charged(cost))] for cost in (0.001, 0.002))
    old, new = server(plain), server(*[plain] * 60, double)
    with moving(old, new, tmp_path, **AT_ONCE | {"min_calls": 10**6}, **LAX) as r:
        while r.route.phase == "canary":
            ask(r, 16)
        assert re.search(r"cost \(0.001\d+ against 0.001\)", r.route.history[-1].reason)
        assert (r.share, r.move.keeper.moved) == (0.0, {"rollbacks": 1})
        assert 60 < len(new.seen) < 2000, "how many go into a block of time depends on the machine"


@pytest.mark.parametrize(
    ("length", "finish", "figure"), [(90, "stop", "longer"), (5, "length", "ends")]
)
def test_answers_that_drift_take_the_move_back(server, tmp_path, length, finish, figure):
    lengths = itertools.cycle(range(1, 10))
    drifts = completion(usage=usage(3, length))
    drifts["choices"][0]["finish_reason"] = finish
    old = server(lambda: [answer(completion(usage=usage(3, next(lengths))))])
    new = server([answer(drifts)])
    with moving(old, new, tmp_path, **AT_ONCE, **LAX | {"drift": 0.2}) as r:
        while r.route.phase == "canary":
            ask(r, 16)
        assert (r.route.phase, r.share) == ("back", 0.0)
        assert f"{figure} (100.0 % against " in r.route.history[-1].reason


def test_a_move_goes_from_shadow_to_all_by_tasks_and_each_call_is_in_both_logs(
    server, tmp_path, monkeypatch
):
    old, new = server([answer(completion())]), server([answer(completion())])
    keys = [f"user {k}" for k in range(2000)]
    few = [key for key in keys if of_key(key) < 0.05][:6]
    others = [key for key in keys if of_key(key) >= 0.5][:6]  # so that few calls are enough
    quick = {"min_s": 0, "min_calls": 5, "block_s": 0.01, **LAX, "slower": 100.0}
    monkeypatch.setattr(move, "Margins", partial(Margins, alpha=0.5))  # as is a weaker proof
    with moving(old, new, tmp_path, shadow=1.0, **quick) as r:

        async def go():
            while r.route.phase != "done":
                replies = await asyncio.gather(*(r.achat("hi", key=key) for key in few + others))
                assert {reply.text for reply in replies} == {"Hello"}
                r.move.keeper.flush()
                assert len(old.seen) + len(new.seen) < 5000
            assert r.share == 1.0

        asyncio.run(go())
        while r._shadows._out or len(r._shadows._later):
            time.sleep(0.01)
        totals = state(r).totals
        assert totals["shadow"] >= 20
        assert totals["baseline"] == len(old.seen)
        assert totals["candidate"] + totals["shadow"] == len(new.seen)
        assert "fallback" not in totals
        assert [change.after for change in r.route.history] == [0, 0.05, 0.2, 0.5, 1, 1]
        assert r.move.keeper.moved == {"promotions": 4}


@pytest.mark.parametrize("endpoint", ["chat", "responses", "messages", "completions", "embeddings"])
def test_whatever_a_monitor_asks_a_router_asks_at_either_side(pair, tmp_path, endpoint):
    """In each dialect, streamed or not, by threads and by tasks, with tools and with a system."""
    sides = [replace(target(simulator, name), endpoint=endpoint)
             for simulator, name in zip(pair, ("old", "new"), strict=True)]  # fmt: skip
    before = [asked(simulator) for simulator in pair]
    tool = {"type": "function", "name": "f", "parameters": {}, "input_schema": {"type": "object"}}
    tools = [{"type": "function", "function": tool} if endpoint == "chat" else tool]
    orders = [{"role": "system", "content": "Be kind."}, {"role": "user", "content": "hi"}]
    more = {} if endpoint == "completions" else {"tools": tools}
    question = "hi" if endpoint == "completions" else orders
    with hm.Router(*sides, state=tmp_path / "r.json", steps=(0.5, 1.0), shadow=0.0) as r:

        async def go(key):
            if endpoint == "embeddings":
                return len((await r.aembed(["a", "b"], key=key))["data"])
            assert (await r.achat(question, key=key, **more)).text
            return len([event async for event in await r.achat(question, key=key, stream=True)])

        for key in ("user 1", "user 2"):
            if endpoint == "embeddings":
                assert len(r.embed(["a", "b"], user=key)["data"]) == 2
                with pytest.raises(PlanError, match=r"speaks embeddings: ask it with embed\(\)"):
                    r.chat("hi")
            else:
                assert r.chat(question, user=key, **more).text
                assert len(list(r.chat(question, key=key, stream=True))) > 2
                with pytest.raises(PlanError, match="only embeddings has vectors"):
                    r.embed("hi")
            assert asyncio.run(go(key)) >= 2
        each = 2 if endpoint == "embeddings" else 4
        assert {of_key(key) < 0.5 for key in ("user 1", "user 2")} == {True, False}
        assert state(r).totals == {"baseline": each, "candidate": each}
    assert [asked(simulator) for simulator in pair] == [n + each for n in before]


def test_a_key_stays_at_its_side_over_restarts_versions_and_processes():
    """What is hashed into a side here was hashed into it yesterday, and is on another machine."""
    assert [round(of_key(f"user {k}"), 6) for k in range(3)] == [0.786676, 0.509572, 0.27944]


def test_a_baseline_that_goes_down_takes_no_candidate_back_that_is_well(server, tmp_path):
    old, new = (
        server(*[[answer(completion())]] * 60, [answer({}, "500 No")]),
        server([answer(completion())]),
    )
    policy = hm.Policy(attempts=1)
    with moving(old, new, tmp_path, **AT_ONCE | {"min_calls": 10**6}, **LAX, policy=policy) as r:
        for k in range(300):
            with suppress(CallError):
                r.chat("hi", key=str(k))
        assert (state(r).share, r.route.phase) == (0.5, "canary")
        assert len(old.seen) > 60 + BURST
        assert r.route.totals["candidate"] == len(new.seen) > 100


def test_both_down_costs_a_caller_one_more_call_at_most_and_that_within_the_budget(
    server, tmp_path
):
    old, new = server([answer({}, "500 No")]), server([answer({}, "500 No")])
    policy = hm.Policy(attempts=1, loan=3, budget=0.0)
    with moving(old, new, tmp_path, steps=(1.0,), shadow=0.0, policy=policy) as r:
        for _ in range(20):
            with pytest.raises(CallError):
                r.chat("hi")
        calls = len(old.seen), len(new.seen)
        assert sum(calls) == 23
        totals = state(r).totals
        assert (totals["fallback"], totals["candidate"]) == (3, calls[1])


def test_what_cannot_be_a_router_is_refused_before_any_call(tmp_path, monkeypatch):
    monkeypatch.delenv("NO_SUCH_KEY", raising=False)
    old = Target(provider="old", model="m", base_url="http://127.0.0.1:1")
    new = replace(old, provider="new", base_url="http://127.0.0.1:2")
    state = tmp_path / "route.json"
    for candidate, words in (
        (old, "need names of their own"),
        (replace(new, endpoint="messages"), "answers of two shapes; give the candidate endpoint"),
        (replace(new, api_key_env="NO_SUCH_KEY"), "set the environment variable NO_SUCH_KEY"),
    ):
        with pytest.raises((PlanError, ConfigError), match=words):
            hm.Router(old, candidate, state=state)
    for options, words in (
        ({"steps": ("5%", "100%")}, "steps don't rise to 1"),
        ({"steps": 0.5}, "steps don't rise to 1"),
        ({"slo": "nonsense"}, "'nonsense' is not an objective"),
        ({"more_errors": 2}, "more_errors must lie between 0 and 1"),
        ({"patience_s": 0}, "patience_s is out of range"),
    ):
        with pytest.raises(PlanError, match=words):
            hm.Router(old, new, state=state, **options)
    assert not state.exists()


@pytest.mark.parametrize(
    "script", [[HANG], FAILS, [answer({}, "500 No")]], ids=["hangs", "200", "500"]
)
def test_a_candidate_that_fails_costs_a_caller_nothing_and_is_left(server, tmp_path, script):
    old, new = server([answer(completion())]), server(script)
    with hm.Router(
        scripted("old", old), scripted("new", new), state=tmp_path / "route.json", steps=(1.0,),
        shadow=0.0, policy=GENEROUS, patience_s=0.1,
    ) as r:  # fmt: skip
        while r.share:
            assert {reply.text for reply in ask(r, 8)} == {"Hello"}
        failed = len(new.seen)
        assert {reply.text for reply in ask(r, 4)} == {"Hello"}
        assert len(new.seen) == failed < 40
        totals = state(r).totals
        assert totals["fallback"] == totals["candidate"] == failed
        assert totals["fallback"] + totals.get("baseline", 0) == len(old.seen)
        assert "8 more of the candidate's calls failed" in r.route.history[-1].reason


def test_more_than_the_budget_for_retries_is_not_asked_again(server, tmp_path):
    old, new = server([answer(completion())]), server(FAILS)
    with hm.Router(
        scripted("old", old), scripted("new", new), state=tmp_path / "route.json", steps=(1.0,),
        shadow=0.0, policy=hm.Policy(budget=0.0, loan=2),
    ) as r:  # fmt: skip
        assert [r.chat("hi").text for _ in range(2)] == ["Hello"] * 2
        with pytest.raises(CallError, match="no such luck"):
            r.chat("hi")


def test_streams_and_tasks_fall_back_too_before_anything_came(server, tmp_path):
    old, new = server(stream(completion_event("Hello"))), server([answer({}, "503 No")])
    with hm.Router(
        scripted("old", old), scripted("new", new), state=tmp_path / "route.json", steps=(1.0,),
        shadow=0.0, policy=GENEROUS,
    ) as r:  # fmt: skip

        async def go():
            return [event async for event in await r.achat("hi", stream=True)]

        assert [event["id"] for event in r.chat("hi", stream=True) if event] == ["Hello"]
        assert [event["id"] for event in asyncio.run(go()) if event] == ["Hello"]
        assert len(new.seen) == 2


def completion_event(name):
    choice = {"index": 0, "delta": {"content": name}, "finish_reason": "stop"}
    return f"data: {json.dumps({'id': name, 'choices': [choice]})}\n\ndata: [DONE]\n\n".encode()


def test_a_copy_takes_nothing_from_the_options_of_its_call():
    shadows, options = Shadows(hm.Monitor()), {"model": "", "stream": True, "max_tokens": 5}
    shadows._later.put = lambda work: work()  # as on a busy machine: before the call is made
    shadows.send("Hello", options)
    assert options == {"model": "", "stream": True, "max_tokens": 5}


def test_a_shadow_is_the_candidates_and_nobody_waits_for_it(server, tmp_path):
    old, new = server([answer(completion())]), server([HANG])
    with hm.Router(
        scripted("old", old), scripted("new", new), state=tmp_path / "route.json", shadow=1.0,
    ) as r:  # fmt: skip
        begun = time.perf_counter()
        assert {reply.text for reply in ask(r, 20)} == {"Hello"}
        assert time.perf_counter() - begun < 60
        while len(new.seen) < 20:
            time.sleep(0.01)
    assert (len(old.seen), len(new.seen)) == (20, 20)
    assert r.route.totals == {"baseline": 20, "shadow": 20}


def test_a_damaged_state_means_the_baseline_only_in_one_sentence(router, pair, tmp_path, caplog):
    path = tmp_path / "route.json"
    path.write_text('{"share": 1.0, "phase"')
    with caplog.at_level(logging.WARNING, "holymon"):
        r = router(**AT_ONCE)
    before = asked(pair[1])
    ask(r, 10)
    r.move.keeper.flush()
    assert r.problem.startswith(f"{path} holds no move that can be read (")
    assert r.problem.endswith(
        "only the baseline is called until it is deleted, whereupon the move begins anew."
    )
    assert [record.message for record in caplog.records] == [r.problem]
    assert (asked(pair[1]), path.read_text()) == (before, '{"share": 1.0, "phase"')
    path.unlink()
    assert (state(r).share, r.problem) == (0.5, "")


def test_what_is_done_by_hand_holds_for_all_and_for_the_next_start(router):
    r = router(**AT_ONCE)
    route_file.change(
        r.move.keeper.path, lambda route, now: by_hand(route, now, "ann", "no", share=0.0)
    )
    assert (state(r).share, r.route.history[-1].who) == (0.0, "ann")
    assert router(**AT_ONCE).share == 0.0
    with pytest.raises(PlanError, match="is of the move from old/fast to new/fast: name another"):
        hm.Router("sim/fast", "sim/slow", state=r.move.keeper.path)


def test_a_move_is_live_and_in_prometheus(router):
    r = router(shadow=0.1)
    r.move.keeper.moved["rollbacks"] += 1
    text = generate_latest(Collector(r)).decode()
    whose = '{baseline="old/fast",candidate="new/fast"}'
    route_file.change(
        r.move.keeper.path, lambda route, now: by_hand(route, now, "ann", "<b>no", share=0.0)
    )
    state(r)
    view = hm.watch(r)
    view.close()
    for line in ("share", "problem", "promotions_total"):
        assert f"holymon_route_{line}{whose} 0.0\n" in text
    assert f"holymon_route_rollbacks_total{whose} 1.0\n" in text
    shown = view._move.value
    assert "taken back: 0 % of the calls go to new/fast" in shown
    assert "All calls go to the baseline" in shown
    assert "&lt;b&gt;no" in shown


def test_a_key_stays_at_its_side_while_the_share_grows():
    keys = [of_key(f"user {k}") for k in range(4000)]
    assert keys == [of_key(f"user {k}") for k in range(4000)]
    for share in (0.05, 0.2, 0.5):
        assert sum(key < share for key in keys) / 4000 == pytest.approx(share, abs=0.02)
    turns = EvenTurns()
    drawn = [turns.next() for _ in range(200)]
    assert [sum(u < share for u in drawn) for share in (0.05, 0.2, 0.5)] == [11, 41, 100]
