"""Calls move from one provider to another over real sockets, and take themselves back."""

import asyncio
import json
import logging
import multiprocessing
import os
import signal
import time
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack
from pathlib import Path

import httpx
import openai
import pytest
from prometheus_client import generate_latest

import holymon as hm
from holymon.errors import CallError, PlanError
from holymon.monitor import route_file
from holymon.monitor.route import by_hand
from holymon.monitor.split import EvenTurns, of_key
from holymon.plan.plan import Target
from holymon.prometheus.exporter import Collector
from tests.conftest import simulating
from tests.promises.faults.server import HANG, answer, completion, stream

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
    route_file.change(path, lambda route: by_hand(route, 0.0, "me", "promoted", share=1.0))


@pytest.mark.parametrize("after", [False, True])
def test_a_process_killed_in_the_middle_of_a_promotion_leaves_the_old_state_or_the_new(
    router, after
):
    r = router(**AT_ONCE)
    worker = multiprocessing.get_context("fork").Process(
        target=_killed, args=(r.move.keeper.path, after)
    )
    worker.start()
    worker.join(60)
    assert worker.exitcode == -signal.SIGKILL
    begun = time.monotonic()
    assert state(r).share == (1.0 if after else 0.5)
    ask(r, 8)
    assert state(r).totals
    assert time.monotonic() - begun < route_file.WAIT_S / 2  # its lock went with it


def test_a_candidate_that_doubles_its_price_takes_the_move_back(router):
    r = router(2.0, **AT_ONCE, **LAX)
    while r.route.phase == "canary":
        ask(r, 16)
    assert "cost (" in r.route.history[-1].reason
    assert (r.share, r.move.keeper.moved) == (0.0, {"rollbacks": 1})


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


def test_a_shadow_is_the_candidates_and_nobody_waits_for_it(server, tmp_path):
    old, new = server([answer(completion())]), server([HANG])
    with hm.Router(
        scripted("old", old), scripted("new", new), state=tmp_path / "route.json", shadow=1.0,
    ) as r:  # fmt: skip
        begun = time.perf_counter()
        assert {reply.text for reply in ask(r, 20)} == {"Hello"}
        assert time.perf_counter() - begun < 10
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
    route_file.change(r.move.keeper.path, lambda route: by_hand(route, 0.0, "ann", "no", share=0.0))
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
        r.move.keeper.path, lambda route: by_hand(route, 0.0, "ann", "<b>no", share=0.0)
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


def test_calls_of_an_sdk_are_carried_over_without_its_key(server, tmp_path):
    old, new = server([answer(completion("old"))]), server([answer(completion("new"))])
    a = openai.OpenAI(
        api_key="sk-old-1234567890", base_url=old.url, organization="mine", max_retries=0
    )
    b = openai.OpenAI(api_key="sk-new-1234567890", base_url=f"{new.url}/deep", max_retries=0)
    client = hm.routed(a, b, models={"m": "n"}, state=tmp_path / "r.json", steps=(1.0,), shadow=0.0)
    messages = [{"role": "user", "content": "hi"}]
    reply = client.chat.completions.create(
        model="m", messages=messages, extra_headers={"x-holymon-key": "k"}
    )
    assert (reply.choices[0].message.content, len(old.seen), len(new.seen)) == ("new", 0, 1)
    (seen,) = new.seen
    assert seen.startswith(b"POST /v1/deep/chat/completions HTTP/1.1\r\n")
    assert b"Bearer sk-new-1234567890" in seen
    assert json.loads(seen.partition(b"\r\n\r\n")[2]) == {"messages": messages, "model": "n"}
    assert not any(word in seen.lower() for word in (b"sk-old", b"mine", b"x-holymon-key"))
    for used in (client.router, a, b):
        used.close()
    assert client.router.route.totals == {"candidate": 1}


@pytest.mark.parametrize("kind", [httpx.Client, httpx.AsyncClient])
def test_a_client_whose_candidate_fails_gets_the_baselines_answer(server, tmp_path, kind):
    old, new = server([answer(completion("old"))]), server(FAILS)
    body = {"model": "m", "messages": [{"role": "user", "content": "hi"}]}
    made = {"state": tmp_path / "r.json", "steps": (1.0,), "shadow": 0.0, "policy": GENEROUS}
    other = kind(base_url=new.url)
    client = hm.routed(kind(base_url=old.url), other, **made)

    async def go():
        async with client, other:
            return [await client.post("/chat/completions", json=body) for _ in range(12)]

    if kind is httpx.AsyncClient:
        replies = asyncio.run(go())
    else:
        with client, other:
            replies = [client.post("/chat/completions", json=body) for _ in range(12)]
    assert {r.json()["choices"][0]["message"]["content"] for r in replies} == {"old"}
    client.router.close()
    assert client.router.route.totals["fallback"] == len(new.seen)
    assert len(old.seen) == 12
    assert client.router.share == (0.0 if len(new.seen) >= 8 else 1.0)


def test_clients_that_cannot_take_each_others_calls_are_refused():
    a = httpx.Client(base_url="http://127.0.0.1:1/v1")
    with pytest.raises(PlanError, match="can't take each other's calls"):
        hm.routed(a, httpx.AsyncClient(base_url="http://127.0.0.1:2/v1"))
    with pytest.raises(PlanError, match="each one of its own"):
        hm.routed(a, httpx.Client(base_url="http://127.0.0.1:1/v1"))
