"""Threads of a dashboard: work goes on after a failure, dear work is rare, drawing steps aside."""

import os
import sys
import threading
import time

import pytest

from holymon.widgets.threads import YIELDS, Jobs, Pace, Ticker, owners


def test_work_is_done_in_turn_and_goes_on_after_a_failure():
    told, done = [], threading.Event()
    jobs = Jobs(told.append, owner="me")
    for work in (lambda: told.append(1), lambda: 1 / 0, lambda: told.append(2), done.set):
        jobs.do(work)
    assert done.wait(10)
    assert (told[0], type(told[1]), told[2]) == (1, ZeroDivisionError, 2)
    assert "me" in owners()
    jobs.close()
    jobs.join(10)
    assert "me" not in owners()


def test_the_thread_that_draws_steps_aside_and_the_one_that_works_does_not():
    if sys.platform != "linux":
        pytest.skip("only Linux has a niceness of each thread")
    seen = {}

    def nice() -> int:
        return os.getpriority(os.PRIO_PROCESS, threading.get_native_id())

    def tick() -> bool:
        seen["draws"] = nice()
        return False

    ticker = Ticker(tick)
    ticker.join(10)
    jobs = Jobs(lambda _: None, None)
    jobs.do(lambda: seen.setdefault("works", nice()))
    jobs.close()
    jobs.join(10)
    usual = nice()
    assert seen == {"draws": max(usual, YIELDS), "works": usual}
    assert os.sched_getscheduler(0) == os.SCHED_OTHER


def test_a_ticker_ticks_until_closed_and_never_after():
    ticks, enough = [], threading.Event()

    def tick() -> bool:
        ticks.append(1)
        enough.set()
        return True

    ticker = Ticker(tick)
    assert enough.wait(10)
    ticker.close()
    n = len(ticks)
    assert not ticker.is_alive()
    time.sleep(0.3)
    assert len(ticks) == n


def test_a_tick_may_close_its_own_thread():
    made = threading.Event()
    box = {}

    def tick() -> bool:
        made.wait(10)
        box["ticker"].close()
        return True

    box["ticker"] = Ticker(tick)
    made.set()
    box["ticker"].join(10)
    assert not box["ticker"].is_alive()


def test_dear_work_is_done_less_often():
    def busy():
        until = time.thread_time() + 0.05
        while time.thread_time() < until:
            pass
        return "a"

    cheap, dear = Pace(0.0, share=1.0), Pace(0.0, share=0.001)
    assert [cheap.due(lambda: "a") for _ in range(3)] == ["a"] * 3
    assert dear.due(busy) == "a"
    assert dear.due(busy) == "a", "the first time does not count"
    assert dear.due(lambda: "b") is None
    assert dear.due(lambda: "c", now=True) == "c"
    waits = Pace(0.0, share=0.05)
    for _ in range(3):
        assert waits.due(lambda: time.sleep(0.05) or "a") == "a", "to wait costs nothing"
