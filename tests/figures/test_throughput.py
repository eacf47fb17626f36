"""Throughput counts the answers of a time in which there could be answers, worked out by hand."""

import math

import numpy as np
import pytest

from holymon.figures.summary import summarize
from holymon.figures.throughput import rate_interval
from holymon.plan.plan import Closed, Open, Plan, Target
from holymon.plan.shapes import constant
from holymon.records.attempt import Flag, Marks, blank
from holymon.records.records import from_marks

TARGET, OTHER = (
    Target(provider="url", model=model, base_url="http://127.0.0.1:1/v1") for model in "ab"
)
OPEN = Plan(targets=(TARGET,), load=Open(constant(1)), duration_s=100, slo=("latency_p95<=2",))
# A call a second, and from the fifth second on two.
STARTS = [0, 1, 2, 3, 4, *(k / 2 for k in range(10, 21))]


def call(number, start, took, *, error="", target=0, tokens=2):
    one = Marks(number, target, start)
    one.start, one.end, one.error, one.flags = start, start + took, error, int(Flag.STREAM)
    if not error:
        one.token(one.end, tokens)
        one.output_tokens = tokens
    return one


def rate(calls, plan=OPEN, target=0):
    return summarize(from_marks(plan.targets, calls), plan).targets[target]


@pytest.mark.parametrize("zero", [0.0, 100.0])
@pytest.mark.parametrize(
    ("took", "expected"),
    [
        # The window begins with the answer at 1; then come those at 2, 3, 4, 5, 6, 6.5, ... 10.
        ({}, 13 / 9),
        # One slow call of sixteen is not usual. The window begins at 2: 3, 3, 4, 5, 6, 6.5, ... 10.
        ({0: 3}, 13 / 8),
        # Two are, half: it begins at 2 at the earliest, so with the answers at 4.
        ({1: 3, 2: 3}, 11 / 6),
    ],
)
def test_an_open_loop_counts_answers_from_when_most_could_be_there_to_the_last_that_was_sent(
    zero, took, expected
):
    calls = [call(k, zero + at, took.get(k, 1)) for k, at in enumerate(STARTS)]
    found = rate(calls)
    assert found.requests_per_s == pytest.approx(expected)
    assert found.output_tokens_per_s == pytest.approx(2 * expected)


def test_where_most_answers_had_no_time_to_come_there_is_no_rate_and_a_line_says_so():
    found = rate([call(k, at, 1.5 if k == 4 else 7) for k, at in enumerate(STARTS)])
    assert (found.requests_per_s, found.output_tokens_per_s, found.goodput_per_s) == (None,) * 3
    (line,) = (note for note in found.notes if "answers/s" in note)
    assert line == (
        "answers took about as long as calls were sent (p90 7 s of 10 s), so most had no time to "
        "come: no answers/s, tokens/s and goodput; send for 14 s or longer."
    )


def test_an_answer_that_comes_with_the_last_call_counts_and_one_after_it_does_not():
    calls = [call(k, float(k), 1) for k in range(11)]
    assert rate(calls).requests_per_s == pytest.approx(9 / 9)
    calls[5].end += 5.5  # from 6 to 11.5, when nothing was sent any more
    assert rate(calls).requests_per_s == pytest.approx(8 / 9)


def test_failures_take_their_time_but_are_no_answers_and_what_was_stopped_is_neither():
    calls = [call(k, float(k), 1, error="server_error" * (k % 2)) for k in range(11)]
    # Of nine calls that end after the one that opens the window, five failed.
    assert rate(calls).requests_per_s == pytest.approx(4 / 9)
    stopped = call(11, 50.0, 1, error="cancelled")
    assert rate([*calls, stopped]).requests_per_s == pytest.approx(4 / 9)
    never = Marks(12, 0, 60.0)
    never.error, never.end = "client_dropped", 60.0
    assert rate([*calls, never]).requests_per_s == pytest.approx(4 / 9)


@pytest.mark.parametrize("n", [0, 1])
def test_where_no_time_passed_there_is_no_rate(n):
    found = rate([call(k, 0.0, 1) for k in range(n)])
    assert (found.requests_per_s, found.output_tokens_per_s, found.goodput_per_s) == (None,) * 3
    assert rate([call(0, 0.0, 1, error="cancelled")]).requests_per_s is None


def test_goodput_counts_answers_on_the_limit_where_the_objective_says_so():
    calls = [call(k, float(k), 2) for k in range(12)]
    assert rate(calls).goodput_per_s == pytest.approx(1)
    strict = Plan(targets=(TARGET,), load=OPEN.load, duration_s=100, slo=("latency_p95<2",))
    assert rate(calls, strict).goodput_per_s == 0
    bare = Plan(targets=(TARGET,), load=OPEN.load, duration_s=100, slo=("error_rate<1%",))
    assert rate(calls, bare).goodput_per_s is None


def test_tokens_that_nobody_counted_leave_no_rate_of_tokens():
    calls = [call(k, float(k), 1) for k in range(6)]
    assert rate(calls).output_tokens_per_s == pytest.approx(2)
    calls[3].output_tokens = 0
    assert rate(calls).output_tokens_per_s == pytest.approx(1.5)
    calls[3].output_tokens = -1
    assert rate(calls).output_tokens_per_s is None
    assert rate(calls).requests_per_s == pytest.approx(1)


@pytest.mark.parametrize("zero", [0.0, 100.0])
def test_a_closed_loop_counts_over_the_mean_time_of_its_users(zero):
    plan = Plan(targets=(TARGET,), load=Closed(users=2), requests=3)
    # One user calls twice in 2 s, the other once in 4 s: three answers in 3 s on the average.
    calls = [call(0, zero, 1), call(1, zero, 4), call(2, zero + 1, 1)]
    assert rate(calls, plan).requests_per_s == pytest.approx(1)
    # The wait of the first one between its calls is a part of its time.
    calls[2].start, calls[2].end = zero + 2, zero + 3
    assert rate(calls, plan).requests_per_s == pytest.approx(3 / 3.5)
    assert rate([*calls, call(4, zero + 3, 50, error="cancelled")], plan).requests_per_s == (
        pytest.approx(3 / 3.5)
    )


def test_in_a_closed_loop_the_users_of_each_target_are_its_own():
    plan = Plan(targets=(TARGET, OTHER), load=Closed(users=1), requests=2)
    calls = [call(0, 0, 1), call(1, 0, 3, target=1), call(2, 1, 1), call(3, 3, 5, target=1)]
    assert rate(calls, plan).requests_per_s == pytest.approx(2 / 2)
    assert rate(calls, plan, target=1).requests_per_s == pytest.approx(2 / 8)


def test_the_interval_of_answers_that_come_by_chance_is_that_of_their_number():
    rng = np.random.default_rng(5)
    rows = blank(2000)
    rows["end_s"] = np.sort(rng.uniform(0, 200, 2000))
    rows["start_s"] = rows["end_s"] - 0.1
    low, high = rate_interval(rows, np.ones(2000), 200.0, closed=False)
    assert (low + high) / 2 == pytest.approx(10)
    assert high - low == pytest.approx(2 * 1.96 * math.sqrt(2000) / 200, rel=0.5)
    rows["end_s"] = np.linspace(0.05, 199.95, 2000)  # these come evenly
    low, high = rate_interval(rows, np.ones(2000), 200.0, closed=False)
    assert high - low < 0.15


def test_the_interval_of_a_closed_loop_is_that_of_the_times_that_its_answers_take():
    rng = np.random.default_rng(6)
    rows = blank(900)
    took = rng.exponential(1.0, 900)
    rows["start_s"] = np.cumsum(took) - took
    rows["end_s"] = rows["start_s"] + took
    low, high = rate_interval(rows, np.ones(900), float(took.sum()), closed=True)
    rate = 900 / took.sum()
    assert (low + high) / 2 == pytest.approx(rate)
    assert high - low == pytest.approx(2 * 1.96 * rate / math.sqrt(900), rel=0.35)
    assert rate_interval(rows[:29], np.ones(29), 29.0, closed=True) is None
