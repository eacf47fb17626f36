"""What changed from run to run: what is found, what is not claimed, and what is only noise."""

import math

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from holymon.figures.change import KINDS, Change
from holymon.figures.changes import Findings, beside, courses, line, since, steps
from holymon.figures.level_model import OverRuns
from holymon.figures.shifts import Course, walk

HOUR = 3600.0
MONDAY = 20_760 * 86_400.0  # midnight, UTC
RNG = np.random.default_rng(7)


def figure(name, values, *, error=0.02, requests=300, every=HOUR, start=MONDAY):
    value = np.asarray(values, float)
    n = len(value)
    half = np.full(n, math.exp(1.96 * error)) if error else np.full(n, math.nan)
    ids = [f"hourly/{k:03}" for k in range(n)]
    return line(name, "sim/fast", ids, start + every * np.arange(n), value, value / half,
                value * half, np.full(n, float(requests)))  # fmt: skip


def last(each, days=7.0):
    return since([each], each.ids[-1], each.runs.at[-1] - days * 86_400)


def noise(n, phi=0.5, spread=0.02, seed=1):
    """A memory of `phi`, as the loads of successive hours have."""
    rng, kept, out = np.random.default_rng(seed), 0.0, []
    for _ in range(n):
        kept = phi * kept + rng.normal(0, spread * math.sqrt(1 - phi**2))
        out.append(kept)
    return np.array(out)


@pytest.mark.parametrize("before", [1, 2, 3])
@pytest.mark.parametrize("name", ["latency_p50", "latency_p95", "ttft_p50", "requests_per_s"])
def test_with_few_runs_before_30_percent_is_found_and_3_percent_is_not_claimed(name, before):
    for run in range(6):
        usual = 0.4 * np.exp(noise(before + 1, seed=run))
        for factor, found in ((1.3, 1), (1.03, 0), (1 / 1.3, 1)):
            values = usual * ([1.0] * before + [factor])
            changes = last(figure(name, values, error=0.01)).changes
            assert len(changes) == found, (run, factor)
            assert all(c.worse is (KINDS[name].worse_up is (factor > 1)) for c in changes)


def test_a_change_says_before_after_and_the_run_that_began_it():
    values = 0.4 * np.exp(noise(40)) * np.where(np.arange(40) >= 36, 1.3, 1.0)
    (change,) = last(figure("latency_p95", values)).changes
    assert change.since_run == "hourly/036"
    assert change.ratio == pytest.approx(1.3, rel=0.06)
    assert change.after == pytest.approx(0.52, rel=0.06)
    assert change.before == pytest.approx(change.after / change.ratio)
    low, high = change.interval
    assert 1.05 < low < 1.3 < high < 1.5
    assert change.text.startswith("sim/fast: 95 % of all answers take up to ")
    assert " longer (latency p95; 95 % interval +" in change.text
    assert change.text.endswith("since run hourly/036.")
    assert change.to_dict()["worse"] is True


def test_what_was_taken_back_is_no_change_any_more():
    values = 0.4 * np.exp(noise(60)) * np.where((np.arange(60) // 5) == 9, 1.5, 1.0)
    each = figure("latency_p50", values)
    ((_, course),) = courses([each])
    assert [shift.since for shift in course.shifts] == [45, 50]
    assert set(course.levels.tolist()) == {0, 1}
    assert last(each).changes == ()
    assert [change.since_run for change in steps(each, course)] == ["hourly/045", "hourly/050"]
    assert [change.worse for change in steps(each, course)] == [True, False]
    assert [least.figure for least in last(each).least] == ["latency_p50"]


def test_a_change_before_the_time_that_was_asked_for_is_what_is_usual():
    values = 0.4 * np.exp(noise(60)) * np.where(np.arange(60) >= 30, 1.5, 1.0)
    each = figure("latency_p50", values)
    assert len(last(each).changes) == 1
    assert last(each, days=1).changes == ()
    assert len(beside([each], each.ids[-1], each.ids[10]).changes) == 1
    assert beside([each], each.ids[-1], each.ids[40]).changes == ()


def test_a_burst_of_errors_is_found_on_its_run_and_over_on_the_next():
    failed = RNG.binomial(300, 0.004, 60) / 300
    failed[50] = 0.06
    each = figure("error_rate", failed)
    upto = [Findings(*since([cut(each, n)], each.ids[n - 1], 0.0)) for n in (50, 51, 52)]
    assert [len(found.changes) for found in upto] == [0, 1, 0]
    (change,) = upto[1].changes
    assert (change.after, change.since_run, change.worse) == (0.06, "hourly/050", True)
    assert change.text == (
        f"sim/fast: 6 % of calls fail instead of {change.before * 100:.2g} %, since run hourly/050."
    )


def cut(each, n):
    return each._replace(ids=each.ids[:n], value=each.value[:n], requests=each.requests[:n],
                         runs=each.runs.until(n))  # fmt: skip


def test_errors_that_come_from_none_have_no_ratio_and_those_that_go_are_better():
    (come,) = last(figure("error_rate", [0.0] * 10 + [0.5])).changes
    assert (come.ratio, come.before, come.worse) == (None, 0.0, True)
    (gone,) = last(figure("error_rate", [0.5] * 10 + [0.0])).changes
    assert (gone.ratio, gone.worse) == (0.0, False)


def test_what_comes_back_each_day_is_no_change_and_a_step_beside_it_is_found():
    hours = np.arange(24 * 10)
    day = 0.2 * np.sin(2 * np.pi * hours / 24)
    usual = 0.4 * np.exp(day + noise(len(hours), spread=0.015))
    assert courses([figure("latency_p50", usual)])[0][1].shifts == []
    ((_, course),) = courses(
        [figure("latency_p50", usual * np.where(hours >= 200, 1.15, 1.0), error=0.01)]
    )
    assert [s.since in (199, 200, 201) and s.shown_at <= 201 for s in course.shifts] == [True]


def test_times_that_move_together_are_found_where_none_is_alone():
    hours = np.arange(60)
    names = ("latency_p50", "latency_p95", "ttft_p50", "ttft_p95")
    lines = [figure(name, 0.4 * np.exp(noise(60, phi=0.0, spread=0.04, seed=k))
                    * np.where(hours >= 59, 1.17, 1.0), error=0.03)
             for k, name in enumerate(names)]  # fmt: skip
    alone = [last(each).changes for each in lines]
    together = since(lines, lines[0].ids[-1], 0.0).changes
    assert sum(map(len, alone)) < len(together)
    assert {change.since_run for change in together} == {"hourly/059"}


@pytest.mark.parametrize("n", [0, 1, 2])
def test_without_enough_runs_nothing_is_said(n):
    each = figure("latency_p50", [0.4] * n)
    assert since([each], "hourly/000", 0.0).changes == ()
    assert beside([each], "hourly/000", "hourly/000") == Findings((), ())


numbers = st.floats() | st.sampled_from([0.0, -1.0, 1e-300, 1e299, math.inf, math.nan, 0.4])


@settings(max_examples=30, deadline=None)
@given(st.lists(st.tuples(numbers, numbers, numbers, numbers, numbers), max_size=8),
       st.sampled_from(sorted(KINDS)))  # fmt: skip
def test_whatever_a_history_holds_what_is_said_is_a_number_or_nothing(rows, name):
    at, value, low, high, n = np.array(rows, float).reshape(-1, 5).T
    ids = [str(k) for k in range(len(rows))]
    each = line(name, "t", ids, np.clip(np.nan_to_num(at), 0, 4e9), value, low, high, n)
    last_id = each.ids[-1] if each.ids else ""
    for found in (since([each], last_id, 0.0), beside([each], last_id, "0")):
        for change in found.changes:
            assert math.isfinite(change.before + change.after)
            assert change.brief


def test_a_change_of_less_than_5_percent_is_no_news_however_sure():
    values = np.where(np.arange(200) >= 150, 1.04, 1.0)
    assert last(figure("cost_per_call", values, error=0)).changes == ()
    (change,) = last(figure("cost_per_call", values**5, error=0)).changes
    assert "1,000 calls cost 1,217 USD instead of 1,000 USD, 22 % more" in change.text


def test_a_course_is_what_each_run_was_told():
    """What is said at a run depends on no later one."""
    y = noise(60) + np.where(np.arange(60) >= 40, 0.2, 0.0)
    runs = OverRuns(MONDAY + HOUR * np.arange(60), y, np.full(60, 0.01))
    whole = walk(runs, 0.05)
    assert whole.shifts
    for n in (39, 41, 42, 50):
        part = walk(runs.until(n), 0.05)
        assert isinstance(part, Course)
        assert part.shifts == [shift for shift in whole.shifts if shift.shown_at < n]


def test_each_figure_has_words_for_both_directions():
    for name, kind in KINDS.items():
        for after in (1.0, 0.25):
            change = Change(name, "t", 0.5, after, after / 0.5, (1.0, 3.0), "r/1")
            assert change.worse is (kind.worse_up is (after > 0.5))
            assert change.text.endswith("since run r/1.")
            assert kind.short in change.brief
