"""The view of a monitor: its picture and its tables tell the same, however seldom it is drawn."""

import contextlib
import math
import re
import time
from functools import partial

import pytest

import holymon as hm
from holymon.records.attempt import Marks
from holymon.widgets import live_figure
from holymon.widgets.monitor_view import View, watch
from holymon.widgets.threads import Pace

KINDS = ("server_error", "rate_limited", "")


@pytest.fixture
def view(monkeypatch):
    # What a panel may cost is asked elsewhere: here a slow core would leave some out of a frame.
    monkeypatch.setattr(live_figure, "Pace", partial(Pace, share=math.inf))
    monitor = hm.Monitor(hm.Target(provider="a", model="m", base_url="http://127.0.0.1:9"))
    made = watch(monitor)
    made._ticker.close()
    made._ticker.join(60)  # it steps aside; from here on a frame is drawn when the test says so
    later(made, 1.0)  # `call` makes calls of the past: none began before the monitor was there
    yield made
    with contextlib.suppress(Exception):
        monitor.close()


def later(view: View, seconds: float) -> None:
    """Let time pass for the ledger, whose clock counts from its zero."""
    view.monitor.ledger.zero -= seconds


def call(view: View, number: int) -> None:
    ledger, now = view.monitor.ledger, time.perf_counter()
    marks = Marks(number, ledger.index(view.monitor.target), now - 0.3)
    marks.start, marks.first, marks.end = now - 0.3, now - 0.2, now - 0.1
    marks.error = KINDS[number % len(KINDS)]
    ledger.add(marks)


def test_counts_in_the_panels_are_those_of_the_tables_when_frames_are_seconds_apart(view):
    done = 0
    for _ in range(4):
        for _ in range(30):
            call(view, done)
            done += 1
        later(view, 3.0)
        view._read("")
        view._draw("")
        tables = dict(
            re.findall(r"(\w+) (\d+)", view._calls.value.partition("failed attempts: ")[2])
        )
        panel = [text.get_text() for text in view._picture._figure.figure.axes[5].texts]
        for kind in KINDS[:2]:
            assert int(tables[kind]) == done // 3
            assert f"{kind}   {done // 3}" in panel
        answered = view._picture._figure._series[0].answered
        assert answered.get_xdata()[-1] >= done // 10 - 1, "3 s for each 30 calls"
