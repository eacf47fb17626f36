"""An application's own calls: answered as by the provider, repeated by policy, all on record."""

import asyncio
import contextlib
import multiprocessing
import os
import sys
import threading
import time
from concurrent.futures import ThreadPoolExecutor

import duckdb
import psutil
import pytest
from prometheus_client import generate_latest

import holymon
from holymon.errors import NAMES, CallError, ConfigError, PlanError
from holymon.figures.reasons import of_loop
from holymon.monitor.monitor import HolySheepMonitor, Monitor
from holymon.monitor.requests import Requests
from holymon.monitor.retry import Policy
from holymon.plan.plan import Target
from holymon.prometheus import metric_names
from holymon.prometheus.exporter import Collector
from tests.promises.faults.server import (
    CHUNKED,
    HELLO,
    LAST,
    Server,
    answer,
    chunk,
    completion,
    stream,
)

BUSY = [answer({"error": {"message": "busy"}}, "503 Busy")]
GOOD = [answer(completion())]


@pytest.fixture
def monitor(simulator):
    with Monitor(simulator.target()) as one:
        yield one


def errors(monitor):
    return [NAMES[code] for code in monitor.records["error"]]


def until_on_record(monitor):
    for _ in range(500):
        if len(monitor.records):
            return
        time.sleep(0.01)
    raise AssertionError("nothing is on record")


def against(*scripts, **policy):
    """Runs `work(monitor)` in a thread of its own against a server of scripts."""

    def go(work):
        async def serve():
            async with Server(*scripts) as server:
                target = Target(provider="url", model="m", base_url=server.url)
                with Monitor(target, policy=Policy(**policy)) as monitor:
                    return await asyncio.to_thread(work, monitor), monitor, len(server.seen)

        return asyncio.run(serve())

    return go


def test_an_answer_is_the_providers(monitor):
    found = monitor.chat("one two three", max_tokens=6)
    assert found["usage"]["completion_tokens"] == 6
    assert len(found.text.split()) == 6
    assert monitor.chat([{"role": "user", "content": "x"}], max_tokens=2)["model"] == "fast"


def test_a_stream_hands_out_the_providers_events_as_they_come(monitor):
    events = list(monitor.chat("hi", max_tokens=6, stream=True))
    words = [
        event["choices"][0]["delta"].get("content", "") for event in events if event["choices"]
    ]
    assert len("".join(words).split()) == 6
    assert events[-1]["usage"]["completion_tokens"] == 6
    # Tokens that a busy machine received in one piece have no gap between them.
    assert 1 <= monitor.stats().itl_s.n <= 5


def test_a_call_that_names_a_model_is_a_row_of_that_model_with_its_own_price(
    simulator, tmp_path, monkeypatch, samples
):
    base = {"url": simulator.base_url}
    (tmp_path / "targets.toml").write_text(
        "[mine]\nbase_url = '{url}'\n[mine.models.fast]\ninput = 0.0\noutput = 1.0\n"
        "[mine.models.slow]\ninput = 0.0\noutput = 100.0\n".format(**base)
    )
    monkeypatch.chdir(tmp_path)
    with Monitor("mine/fast") as monitor:
        assert (monitor.chat("hi", max_tokens=2)["model"], monitor.name) == ("fast", "mine/fast")
        assert monitor.chat("hi", model="slow", max_tokens=2)["model"] == "slow"
        assert list(monitor.chat("hi", model="slow", stream=True, max_tokens=2))
        found = asyncio.run(monitor.achat("hi", model="busy", max_tokens=2))
        assert found["model"] == "busy"
        with pytest.raises(CallError, match="mine/none"):
            monitor.chat("hi", model="none")
        stats, shown = monitor.stats().targets, repr(monitor)
        exported = samples(generate_latest(Collector(monitor)))
    assert {name: of.requests for name, of in stats.items()} == {
        "mine/fast": 1, "mine/slow": 2, "mine/busy": 1, "mine/none": 1}  # fmt: skip
    assert stats["mine/slow"].cost_usd == pytest.approx(200 * stats["mine/fast"].cost_usd)
    assert stats["mine/busy"].cost_usd is None
    assert shown.startswith("<Monitor of mine's models: ")
    rows = {(dict(had)["model"], dict(had)["status"]): value
            for (name, had), value in exported.items() if name == "api_requests_total"}  # fmt: skip
    assert rows == {("fast", "200"): 1, ("slow", "200"): 2, ("busy", "200"): 1, ("none", "404"): 1}
    lags = {dict(had)["model"] for name, had in exported if name == metric_names.LAG}
    assert lags == {"fast", "slow", "busy", "none"}


def test_a_model_that_can_be_none_is_refused_before_it_is_called():
    with Monitor("sim/fast") as monitor, pytest.raises(PlanError, match="no model 'none'"):
        monitor.chat("hi", model="none")


def test_from_a_running_loop_too(monitor):
    async def go():
        found = await monitor.achat("hi", max_tokens=3)
        events = [event async for event in await monitor.achat("hi", max_tokens=3, stream=True)]
        return found.text, events[-1]["usage"]["completion_tokens"], monitor.chat("hi").text

    text, count, more = asyncio.run(go())
    assert (len(text.split()), count, bool(more)) == (3, 3, True)
    asyncio.run(go())  # and from another loop
    assert monitor.stats().ok == 6


def test_what_is_safe_is_repeated_and_each_attempt_is_on_record():
    text, monitor, seen = against(BUSY, BUSY, GOOD, wait_s=0.01)(lambda m: m.chat("hi").text)
    stats = monitor.stats()
    assert (text, seen, errors(monitor)) == ("Hello", 3, ["unavailable", "unavailable", ""])
    assert (stats.requests, stats.ok, stats.attempts, stats.retries) == (1, 1, 3, 2)
    assert (stats.success.value, stats.first_attempts.value) == (1.0, 0.0)
    assert stats.latency_s.max > stats.attempt_s.max
    assert list(monitor.records["attempt"]) == [0, 1, 2]
    assert len(monitor.requests) == 1
    assert len(monitor.errors) == 2


def test_the_last_failure_is_an_exception_that_says_all():
    def work(monitor):
        with pytest.raises(CallError) as caught:
            monitor.chat("hi")
        return caught.value

    error, monitor, seen = against(BUSY, wait_s=0.01)(work)
    assert (error.error_type, error.status, error.attempts, seen) == ("unavailable", 503, 3, 3)
    assert str(error) == "the call to url/m failed after 3 attempts: unavailable (HTTP 503): busy"
    assert monitor.stats().errors == {"unavailable": 1}


def test_the_ambiguous_is_repeated_only_if_asked_for():
    broken = [answer(b"", "502 Bad")]
    with_doubt = against(broken, GOOD, wait_s=0.01, retry_ambiguous=True)
    assert with_doubt(lambda m: m.chat("hi").text)[0] == "Hello"

    def fails(monitor):
        with pytest.raises(CallError):
            monitor.chat("hi")

    assert against(broken, GOOD)(fails)[2] == 1


def test_nothing_is_repeated_once_a_piece_was_handed_out():
    cut = [CHUNKED, chunk(HELLO[0]), LAST]

    def work(monitor):
        events = monitor.chat("hi", stream=True)
        assert next(events)["choices"][0]["delta"]["content"] == "Hel"
        with pytest.raises(CallError, match="stream_truncated"):
            next(events)

    _, monitor, seen = against(cut, stream(*HELLO), retry_ambiguous=True)(work)
    assert (seen, errors(monitor)) == (1, ["stream_truncated"])


def test_a_stream_that_fails_at_once_raises_at_once():
    def work(monitor):
        with pytest.raises(CallError):
            monitor.chat("hi", stream=True)
        return len(list(monitor.chat("hi", stream=True)))

    assert against(BUSY, BUSY, BUSY, stream(*HELLO), wait_s=0.01)(work)[0] == 3


def test_a_stream_that_is_left_is_cancelled_on_record():
    def work(monitor):
        events = monitor.chat("hi", stream=True)
        next(events)
        events.close()
        until_on_record(monitor)

    _, monitor, _ = against([CHUNKED, chunk(HELLO[0]), 5.0])(work)
    assert errors(monitor) == ["cancelled"]


def test_a_call_that_a_close_breaks_off_says_so():
    def work(monitor):
        async def go():
            await monitor.achat("hi")

        asks = (lambda: monitor.chat("hi"), lambda: list(monitor.chat("hi", stream=True)),
                lambda: asyncio.run(go()))  # fmt: skip
        with ThreadPoolExecutor(3) as pool:
            waiting = [pool.submit(ask) for ask in asks]
            until = time.monotonic() + 10
            while monitor._calls is None or monitor._calls._open < 3:
                assert time.monotonic() < until
                time.sleep(0.01)
            monitor.close()
            return [str(one.exception(10)) for one in waiting]

    said, monitor, _ = against(*([CHUNKED, chunk(HELLO[0]), 30.0],) * 3)(work)
    why = "cancelled: the monitor was closed before the answer had come."
    assert said == [f"the call to url/m failed: {why}"] * 3
    assert errors(monitor) == ["cancelled"] * 3


def test_a_stream_that_nobody_reads_is_called_off_when_it_is_dropped():
    def dropped(monitor):
        monitor.chat("hi", stream=True)
        until_on_record(monitor)

    def dropped_with_its_loop(monitor):
        async def go():
            await monitor.achat("hi", stream=True)

        asyncio.run(go())
        until_on_record(monitor)

    for work in (dropped, dropped_with_its_loop):
        _, monitor, _ = against([CHUNKED, chunk(HELLO[0]), 30.0])(work)
        assert errors(monitor) == ["cancelled"]


def test_no_call_begins_on_what_is_being_closed():
    def called_as_it_is_closed(monitor):
        monitor.chat("hi")
        about_to_begin, closed = threading.Event(), threading.Event()

        def trace(frame, *_):
            if frame.f_code is Requests.begin.__code__:
                about_to_begin.set()
                closed.wait(0.3)

        def call():
            sys.settrace(trace)
            with contextlib.suppress(CallError):
                monitor.chat("hi")
            return "ended"

        with ThreadPoolExecutor(1) as pool:
            other = pool.submit(call)
            about_to_begin.wait(10)
            monitor.close()
            closed.set()
            return other.result(10)

    assert against(GOOD)(called_as_it_is_closed)[0] == "ended"


def test_a_forgotten_monitor_ends_its_thread(simulator, capsys):
    before = {*threading.enumerate()}
    Monitor(simulator.target()).chat("hi", max_tokens=1)
    for _ in range(500):
        left = {one for one in threading.enumerate() if one.name == "holymon"} - before
        if not left:
            break
        time.sleep(0.01)
    assert not left
    assert not capsys.readouterr().err


def test_the_deadline_holds_for_all_attempts_together():
    def work(monitor):
        with pytest.raises(CallError) as caught:
            monitor.chat("hi")
        return caught.value.error_type

    error, monitor, _ = against(BUSY, [30.0], deadline_s=0.6, wait_s=0.1)(work)
    assert error == "deadline_exceeded"
    assert errors(monitor) == ["unavailable", "deadline_exceeded"]
    words = "not over within 0.6 s: the policy's deadline_s sets this limit"
    assert monitor.stats().messages == {"unavailable": "busy", "deadline_exceeded": words}


def test_a_task_cancelled_while_it_waits_leaves_no_doubt():
    slow = [answer({"error": {}}, "503 Busy", "application/json", "retry-after: 30")]

    async def go():
        async with Server(slow) as server:
            target = Target(provider="url", model="m", base_url=server.url)
            with Monitor(target) as monitor:
                asking = asyncio.ensure_future(monitor.achat("hi"))
                while not errors(monitor):  # noqa: ASYNC110 - the monitor tells nobody
                    await asyncio.sleep(0.01)
                asking.cancel()
                with pytest.raises(asyncio.CancelledError):
                    await asking
                while len(errors(monitor)) < 2:  # noqa: ASYNC110 - as before
                    await asyncio.sleep(0.01)
                return monitor

    monitor = asyncio.run(go())
    stats = monitor.stats()
    assert errors(monitor) == ["unavailable", "cancelled"]
    assert (stats.requests, stats.attempts, stats.errors) == (1, 1, {"cancelled": 1})


def test_eight_threads_are_counted_to_the_request(simulator, monitor):
    with ThreadPoolExecutor(8) as pool:
        list(pool.map(lambda _: monitor.chat("hi", max_tokens=2), range(160)))
    assert simulator.counted()["fast"] == {"requests": 160, "faults": {"ok": 160}}
    assert (monitor.stats().requests, monitor.stats().tokens.output) == (160, 320)


def test_200_tasks_at_once_are_counted_to_the_request(simulator):
    async def one(monitor, k):
        try:
            if k % 2:
                async for _ in await monitor.achat("hi", max_tokens=4, stream=True):
                    pass
            else:
                await monitor.achat("hi", max_tokens=4)
        except CallError:
            return

    async def go():
        with Monitor(simulator.target("flaky", stall_s=1.0), policy=Policy(wait_s=0.01)) as monitor:
            await asyncio.gather(*(one(monitor, k) for k in range(200)))
            return monitor

    monitor = asyncio.run(go())
    faults = simulator.counted()["flaky"]["faults"]
    stats = monitor.stats()
    assert stats.requests == 200
    assert stats.attempts == sum(faults.values())
    assert stats.ok == faults["ok"]
    assert stats.attempt_errors == {k: v for k, v in faults.items() if v and k != "ok"}
    sums = monitor.tally().targets["url/flaky"]
    assert sum(sums.attempts.values()) == stats.attempts
    assert sum(sums.requests.values()) == 200


def test_what_leaves_the_memory_stays_in_the_sums_and_on_disk(simulator, tmp_path):
    with Monitor(simulator.target(), keep=20, spill=tmp_path / "calls") as monitor:
        with ThreadPoolExecutor(8) as pool:
            list(pool.map(lambda _: monitor.chat("hi", max_tokens=2), range(100)))
        assert len(monitor.records) <= 20
        before = monitor.tally().targets["url/fast"]
    after = monitor.tally().targets["url/fast"]
    assert before.attempts == after.attempts == {(200, ""): 100}
    assert before.output_tokens.sum == 200
    with duckdb.connect() as connection:
        query = f"SELECT count(*), count(DISTINCT request), min(target) FROM '{tmp_path}/calls/*.parquet'"
        assert connection.execute(query).fetchone() == (100, 100, "url/fast")


def _child(monitor, results):
    text = monitor.chat("hi", max_tokens=2).text
    results.put((os.getpid(), bool(text), monitor.stats().requests))
    monitor.close()


@pytest.mark.filterwarnings("ignore:.*fork.*:DeprecationWarning")
def test_a_child_forked_in_the_middle_of_a_first_call_can_call(monitor):
    fork = multiprocessing.get_context("fork")
    results = fork.SimpleQueue()
    with monitor._lock:  # as another thread holds it meanwhile
        child = fork.Process(target=_child, args=(monitor, results))
        child.start()
        child.join(20)
    if child.is_alive():
        child.kill()
    assert child.exitcode == 0


@pytest.mark.filterwarnings("ignore:.*fork.*:DeprecationWarning")
def test_a_simulated_monitor_can_be_closed_while_a_forked_child_lives():
    fork = multiprocessing.get_context("fork")
    over = fork.Event()
    monitor = Monitor("sim/fast")
    monitor.chat("hi", max_tokens=1)
    simulator = monitor._calls._simulator
    child = fork.Process(target=over.wait, args=(60,))
    child.start()
    try:
        monitor.close()
        assert not psutil.pid_exists(simulator.pid)
    finally:
        over.set()
        child.join(20)


@pytest.mark.filterwarnings("ignore:.*fork.*:DeprecationWarning")
def test_a_forked_child_begins_anew_and_can_call(simulator, monitor):
    monitor.chat("hi", max_tokens=2)
    fork = multiprocessing.get_context("fork")
    results = fork.SimpleQueue()
    children = [fork.Process(target=_child, args=(monitor, results)) for _ in range(2)]
    for child in children:
        child.start()
    found = [results.get() for _ in children]
    for child in children:
        child.join(20)
    assert [child.exitcode for child in children] == [0, 0]
    assert [requests for _, _, requests in found] == [1, 1]
    monitor.chat("hi", max_tokens=2)
    assert monitor.stats().requests == 2
    assert simulator.counted()["fast"]["requests"] == 4


def test_a_simulated_target_starts_its_own_simulator():
    with holymon.Monitor("sim/fast") as monitor:
        assert monitor.chat("hi", max_tokens=2).text
        assert monitor.stats().simulated


def test_a_monitor_samples_its_own_loop_while_calls_are_under_way(simulator):
    with Monitor(simulator.target("pinned")) as monitor:
        assert monitor.vitals is None
        began = time.perf_counter()
        monitor.chat("hi")  # some 0.7 s
        seen = monitor.vitals.lag_s
        assert 0 < len(seen) <= (time.perf_counter() - began) / 0.05
        assert (seen >= 0).all()
        busy = len(monitor.vitals.lag_s)
        time.sleep(0.3)
        assert len(monitor.vitals.lag_s) <= busy + 1, "nothing is sampled while nothing is asked"


def test_a_loop_that_is_held_up_is_seen(simulator):
    with Monitor(simulator.target("pinned")) as monitor:
        events = monitor.chat("hi", stream=True)
        next(events)
        monitor._calls._loop.call_soon_threadsafe(time.sleep, 0.4)
        list(events)
        assert monitor.vitals.lag_s.max() > 0.25
        (reason,) = of_loop(monitor.vitals, [None])
        assert reason.level == "suspect"


def test_holysheeps_monitor_wants_its_key_when_it_calls(monkeypatch):
    monkeypatch.delenv("HOLYSHEEP_API_KEY", raising=False)
    monitor = HolySheepMonitor()
    assert monitor.target.base_url == "https://api.holysheep.ai/v1"
    assert monitor.target.name == "holysheep/gpt-4.1"
    with pytest.raises(ConfigError, match="HOLYSHEEP_API_KEY"):
        monitor.chat("hi")


def test_holysheeps_key_goes_to_no_other_address(simulator, monkeypatch):
    monkeypatch.setenv("HOLYSHEEP_API_KEY", "sk-canary")
    with HolySheepMonitor("fast", base_url=simulator.base_url) as monitor:
        assert monitor.target.api_key_env == ""
        assert monitor.chat("hi", max_tokens=2)["model"] == "fast"
        assert monitor.stats().target == "holysheep/fast"
    with pytest.raises(PlanError, match="base_url"):
        HolySheepMonitor(base_url="ftp://nowhere")


@pytest.mark.parametrize("wrong", [{"temperature": float("nan")}, {"x": object()}, {"x": "\ud800"}])
def test_what_can_not_be_asked_is_one_clear_sentence(monitor, wrong):
    with pytest.raises(PlanError, match="JSON can't carry"):
        monitor.chat("hi", **wrong)
    assert len(monitor.records) == 0


def test_a_monitor_without_a_target_calls_nobody():
    with pytest.raises(PlanError, match="no target"):
        Monitor().chat("hi")
    assert Monitor().stats().requests == 0
    assert Monitor().tally().targets == {}


def test_limits_that_can_not_be_are_refused():
    for wrong in ({"keep": 0}, {"keep_s": 0}, {"keep_s": float("nan")}):
        with pytest.raises(PlanError, match="keep"):
            Monitor(**wrong)
