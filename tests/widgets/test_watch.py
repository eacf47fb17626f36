"""The live view of an application's own calls: right to the call, and quick to end."""

import contextlib
import re
import threading
import time
from concurrent.futures import ThreadPoolExecutor

import httpx
import numpy as np
import pytest

import holymon as hm
from holymon.errors import CODES
from holymon.records.attempt import Marks
from holymon.widgets.monitor_view import View, watch

ASKED = {"model": "fast", "max_tokens": 2, "messages": [{"role": "user", "content": "hi"}]}


def until(true, seconds=120.0):
    end = time.monotonic() + seconds
    while not true():
        assert time.monotonic() < end, "it did not come to that"
        time.sleep(0.02)


def ask(monitor, n, **more):
    """Make n requests from eight threads; those that fail are on record."""

    def one(_):
        with contextlib.suppress(hm.CallError):
            monitor.chat("hi", max_tokens=4, **more)

    with ThreadPoolExecutor(8) as pool:
        list(pool.map(one, range(n)))


def tiles(view) -> dict[str, str]:
    found = re.findall("<span>([^<]*)</span><b>([^<]*)</b>", view._alarms.value)
    return dict(found)


def rows(view) -> list[list[str]]:
    """The first cells of every row of both tables: target, requests or attempts, share."""
    found = re.findall('<tr><td[^>]*>([^<]*)</td><td class="num">([0-9,]+)</td>', view._calls.value)
    return [list(one) for one in found]


@pytest.fixture
def shown():
    """Makes views, and ends them."""
    made: list[View] = []

    def show(monitor, **more) -> View:
        made.append(watch(monitor, **more))
        return made[-1]

    yield show
    for one in made:
        one.close()


def test_the_view_counts_what_the_simulator_counted(simulator, shown):
    with hm.Monitor(simulator.target("flaky")) as monitor:
        view = shown(monitor)
        ask(monitor, 150)
        client = hm.monitored(httpx.Client(base_url=simulator.base_url), monitor)
        for _ in range(20):
            client.post("chat/completions", json=ASKED)
        client.close()
        counted, stats = simulator.counted(), monitor.stats()
        assert stats.attempts == counted["flaky"]["requests"] + counted["fast"]["requests"]
        names = ["all/targets", *stats.targets]
        parts = [stats, *stats.targets.values()]
        until(lambda: tiles(view).get("requests") == "170")
    until(lambda: not view._ticker.is_alive())
    assert view._errors.value == ""
    assert rows(view) == [[name, str(one.requests)] for name, one in zip(names, parts, strict=True)] + [
        [name, str(one.attempts)] for name, one in zip(names, parts, strict=True)
    ]  # fmt: skip
    assert tiles(view)["attempts per request"] == f"{stats.amplification:.3g}"
    wrong = ", ".join(f"{name} {n}" for name, n in stats.attempt_errors.items())
    assert f"failed attempts: {wrong}<" in view._calls.value
    assert (stats.requests, len(stats.targets)) == (170, 2)
    assert bytes(view._image.value[:4]) == b"\x89PNG"
    assert ("simulated" in view._top.value, "the monitor was closed" in view._top.value) == (
        True,
        True,
    )


def test_the_same_rules_as_in_a_rehearsal_say_what_fires(simulator, shown):
    with hm.Monitor(simulator.target("flaky")) as monitor:
        view = hm.watch(monitor)
        assert isinstance(view, View)
        assert "No call has ended yet" in view._alarms.value or view._alarms.value == ""
        ask(monitor, 120)
        until(lambda: "✗" in view._alarms.value, 20)
        assert re.search("ErrorBudgetSlowBurn \\(page\\) on url/flaky, since \\d\\d:\\d\\d:\\d\\d: over",
                         view._alarms.value)  # fmt: skip
        assert "hm-trust invalid" in view._alarms.value
        patient = shown(monitor, slo=("latency_p50<60",), limits=hm.Limits(
            rate_limited=0.9, truncated=0.9, retries=0.9))  # fmt: skip
        until(lambda: "nothing has fired; watched: latency_p50&lt;60" in patient._alarms.value)
        assert "another view has taken the place" in view._top.value
        found = hm.rehearse(monitor, every_s=1.0)
        assert found.times("ErrorBudgetSlowBurn") >= 1
    assert not view._ticker.is_alive()


def test_what_is_closed_at_once_shows_everything(simulator, shown):
    """As when all cells of a notebook are run: the last one closes the view."""
    with hm.Monitor(simulator.target()) as monitor:
        view = shown(monitor)
        empty = bytes(view._image.value)
        ask(monitor, 40)
        view.close()
        assert tiles(view)["requests"] == "40"
        assert "closed, 40 attempts in memory" in view._top.value
        assert len(view._image.value) > len(empty) + 1000


def test_a_view_ends_when_it_is_closed_or_its_monitor_is(shown):
    monitor = hm.Monitor()
    view = shown(monitor)
    view.close()
    assert not view._ticker.is_alive()
    assert "closed" in view._top.value
    again = shown(monitor)
    monitor.close()
    until(lambda: not again._ticker.is_alive(), 5)
    assert not [one for one in threading.enumerate() if one.name == "holymon-draws"]


def test_views_of_two_monitors_stand_side_by_side(shown):
    with hm.Monitor() as one, hm.monitored(httpx.Client()) as client:
        views = [shown(one), shown(client)]
        assert views[1].monitor is client.monitor
        assert [view._ticker.is_alive() for view in views] == [True, True]


def test_a_loop_that_was_held_up_is_told(simulator, shown):
    with hm.Monitor(simulator.target("pinned")) as monitor:
        events = monitor.chat("hi", stream=True)
        next(events)
        monitor._calls._loop.call_soon_threadsafe(time.sleep, 0.4)
        list(events)
        assert re.search("woke up to \\d+ ms late|stood still", shown(monitor)._calls.value)


def test_what_breaks_is_shown_and_the_view_goes_on(shown, simulator):
    with hm.Monitor(simulator.target()) as monitor:
        ledger, monitor.ledger = monitor.ledger, None
        view = shown(monitor)
        until(lambda: "AttributeError" in view._errors.value)
        monitor.ledger = ledger
        ask(monitor, 3)
        until(lambda: tiles(view).get("requests") == "3")


def test_what_can_not_be_watched_is_one_clear_sentence():
    for wrong, more in ((3, {}), (hm.Monitor(), {"last_s": 1}), (hm.Monitor(), {"slo": ("x",)})):
        with pytest.raises(hm.PlanError):
            watch(wrong, **more)
    assert not [one for one in threading.enumerate() if one.name == "holymon-draws"]


def test_the_picture_holds_the_last_minutes_and_counts_no_call_twice(shown):
    """A monitor that is an hour old, and an attempt that its SDK repeats only later."""
    monitor = hm.Monitor(hm.Target(provider="a", model="m", base_url="http://127.0.0.1:9"))
    ledger = monitor.ledger
    ledger.zero -= 3600

    def call(number, at, error=""):
        one = Marks(number, ledger.index(monitor.target), ledger.zero + at)
        one.start, one.first, one.end, one.error = one.due, one.due + 0.1, one.due + 0.2, error
        return one

    for k in range(100):
        ledger.add(call(k, 36.0 * k))
    ledger.hold(call(100, 3590, "server_error"), time.perf_counter() + 60)
    view = shown(monitor)
    until(lambda: view._picture._figure is not None)
    view.close()
    picture = view._picture
    assert view._errors.value == ""
    assert 3600 - picture._origin == pytest.approx(300, abs=30)
    ledger.add(call(101, 3592))
    ledger.settle(100, retried=True)
    frames = [bytes(picture.frame(final=final)) for final in (False, True)]
    assert picture._figure._seen == int((ledger.records()["start_s"] >= picture._origin).sum())
    assert {len(one) > 1000 for one in frames} == {True}
    everything = ledger.records()
    assert np.count_nonzero(everything["error"] == CODES["server_error"]) == 1
