"""A bad second of the client counts by the calls that fell in it, not as the worst of an hour.

Calls come twice a second and know nothing of the client: whatever is flagged is flagged for
nothing, unless much of the run is bad.
"""

from functools import cache

import numpy as np
import pytest

from holymon.figures.summary import summarize
from holymon.figures.verdict import judge
from holymon.plan.plan import Open, Plan, Target
from holymon.plan.shapes import constant
from holymon.records.attempt import blank
from holymon.records.client_health import ClientHealth
from holymon.records.records import Records
from holymon.structs import to_builtins

TARGET = Target(provider="p", model="m", base_url="http://127.0.0.1:1/v1")
LENGTHS = (10, 30, 100, 300, 1000, 3600)
RUNS, CHANCE, RATE = 60, 0.001, 2


@cache
def a_run(seconds):
    """A plan, what came of it, and its figures."""
    rows = blank(RATE * seconds)
    rows["due_s"] = rows["start_s"] = (np.arange(len(rows)) + 0.5) / RATE
    took = np.random.default_rng(seconds).lognormal(-2, 0.4, len(rows))
    rows["first_s"] = rows["last_s"] = rows["start_s"] + took / 2
    rows["end_s"] = rows["start_s"] + took
    records = Records((TARGET,))
    records.extend(rows, np.zeros(0, [("bin", "u2"), ("n", "u2")]), np.zeros(len(rows), int))
    plan = Plan(targets=(TARGET,), load=Open(constant(RATE)), duration_s=seconds)
    return plan, records, summarize(records, plan)


def client(seconds, bad=(), *, kind="busy"):
    """A calm client but for the seconds that are `bad`."""
    n = seconds + 1
    worst = {"busy": {"cpu": 0.91}, "starved": {"waited": 0.5, "late_s": 0.004},
             "paused": {"pause_s": 0.02}}[kind]  # fmt: skip
    noted = {"cpu": np.full(n, 0.1), "waited": np.full(n, 0.02), "late_s": np.full(n, 1e-4),
             "pause_s": np.zeros(n)}  # fmt: skip
    for name, value in worst.items():
        noted[name][list(bad)] = value
    return ClientHealth(
        t_s=np.arange(1.0, n + 1), lag_s=np.full(20 * n, 0.0003), in_flight=np.ones(n, int),
        rss_mb=np.full(n, 60.0), **noted,
    )  # fmt: skip


def judged(seconds, bad, kind="busy"):
    plan, records, summary = a_run(seconds)
    return judge(summary, plan, client(seconds, bad, kind=kind), records=records)


def flagged(seconds, kind="busy", chance=CHANCE):
    """The share of runs that are not valid, each second being bad by chance."""
    rng = np.random.default_rng((4, seconds))
    return np.mean([
        judged(seconds, np.flatnonzero(rng.random(seconds) < chance), kind).measurement != "valid"
        for _ in range(RUNS)
    ])  # fmt: skip


FINDINGS = (
    ("9", "how often a run of 10 s, 100 s and an hour is flagged, at a chance of 0.1 % a second",
     "1%, 10%, 97%", lambda: ", ".join(f"{flagged(n):.0%}" for n in (10, 100, 3600)),
     "it is fit to measure"),
    ("9", "an hour of which one second was at 91 % of a core", "invalid",
     lambda: judged(3600, [1800]).measurement, "valid, with a note"),
)  # fmt: skip


@pytest.mark.parametrize("seconds", LENGTHS)
def test_runs_of_any_length_are_hardly_ever_flagged_for_chance(seconds):
    assert flagged(seconds) <= 0.05


@pytest.mark.parametrize("kind", ["busy", "starved", "paused"])
def test_one_bad_second_of_an_hour_is_a_note_with_what_it_did(kind):
    found = judged(3600, [1800], kind)
    assert (found.measurement, found.reasons, found.exit_code) == ("valid", (), 0)
    (note,) = found.about_client
    words = {"busy": "was short of CPU", "starved": "waited for its core",
             "paused": "stopped for garbage collection"}  # fmt: skip
    assert note in found.notes
    assert note.startswith(f"in 1 of 3,601 s the client {words[kind]}; 2 of 7,200 calls fell in")
    assert (found.touched.seconds, found.touched.calls) == (1, 2)


@pytest.mark.parametrize("seconds", LENGTHS)
def test_a_client_that_was_unfit_for_a_tenth_or_more_is_so_at_any_length(seconds):
    for share, level in ((0.2, "invalid"), (0.08, "suspect")):
        bad = np.arange(0, seconds, round(1 / share)) if seconds > 10 else range(int(share * 15))
        if len(bad):
            assert judged(seconds, bad).measurement == level, share
    assert judged(seconds, range(seconds), "starved").measurement == "suspect"
    assert judged(seconds, range(seconds)).measurement == "invalid"


def test_calls_that_a_few_bad_seconds_made_slow_are_told_by_what_figures_are_without_them():
    plan, records, _ = a_run(300)
    bad = np.arange(0, 300, 40)
    slow = Records((TARGET,))
    rows = records.rows.copy()
    hit = np.isin(rows["start_s"].astype(int), bad)
    rows["end_s"][hit] += 2.0
    slow.extend(rows, np.zeros(0, [("bin", "u2"), ("n", "u2")]), np.zeros(len(rows), int))
    found = judge(summarize(slow, plan), plan, client(300, bad), records=slow)
    assert [reason.level for reason in found.reasons] == ["suspect"]
    assert "in 8 of 301 s: it, not the API, may be the limit" in found.reasons[0].text
    shift = found.touched.largest
    assert (shift.metric, shift.stat) == ("latency_s", "p99")
    assert shift.value > 2
    assert shift.without < 1
    assert f"latency p99 without them {shift.without * 1e3:.0f} ms instead of" in found.notes[-1]
    shown = to_builtins(found.touched)
    assert (shown["seconds"], shown["of_seconds"], shown["of_calls"]) == (8, 301, 600)
    assert {shift["stat"] for shift in shown["shifts"]} == {"p50", "p95", "p99"}
