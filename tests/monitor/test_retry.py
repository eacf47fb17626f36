"""Only what certainly left nothing behind is asked again, patiently and within a budget."""

import dataclasses
import itertools
import math
import random
from math import nan

import pytest
from hypothesis import given
from hypothesis import strategies as st

from holymon.errors import ERRORS, PlanError
from holymon.monitor.retry import Budget, Policy, next_wait
from holymon.protocols.retry_after import retry_after

POLICY = Policy()
SAFE = {
    "dns_failure", "connection_refused", "connect_timeout", "proxy_error", "connect_error",
    "request_timeout", "conflict", "rate_limited", "unavailable", "overloaded",
}  # fmt: skip


def wait(attempt=0, error="unavailable", asked=nan, u=0.5, policy=POLICY, **more):
    return next_wait(policy, attempt, error, asked, u, **more)


def test_what_is_asked_again_is_exactly_what_left_nothing_behind():
    assert {error for error in ERRORS if wait(error=error) is not None} == SAFE


def test_the_ambiguous_are_asked_again_only_where_asked_for():
    bold = Policy(retry_ambiguous=True)
    more = {error for error in ERRORS if wait(error=error, policy=bold) is not None} - SAFE
    assert more == {error for error, known in ERRORS.items() if known.retryable == "ambiguous"}


def test_success_and_the_unknown_are_the_end():
    assert wait(error="") is None
    assert wait(error="something new") is None


def test_there_are_three_attempts():
    assert [wait(attempt) is not None for attempt in range(4)] == [True, True, False, False]


def test_patience_unless_it_is_asked_for_otherwise():
    assert dataclasses.asdict(POLICY) == {
        "attempts": 3, "deadline_s": 120.0, "wait_s": 0.5, "wait_max_s": 8.0,
        "retry_after_max_s": 60.0, "budget": 0.1, "burst": 10, "loan": 2, "retry_ambiguous": False,
    }  # fmt: skip


@given(st.integers(0, 30), st.floats(0, 1))
def test_waits_are_drawn_from_all_of_a_growing_range(attempt, u):
    found = wait(attempt, u=u, policy=Policy(attempts=20)) if attempt < 19 else None
    if found is not None:
        assert found == pytest.approx(u * min(8.0, 0.5 * 2**attempt))


@given(st.floats(0, 60), st.floats(0, 1))
def test_what_the_server_asks_for_is_a_floor(asked, u):
    assert asked <= wait(asked=asked, u=u) <= max(asked, 0.5) + 0.1 * asked


@given(st.floats(5, 60), st.floats(0, 1))
def test_callers_that_are_told_the_same_moment_come_back_over_a_tenth_of_that_time(asked, u):
    assert wait(asked=asked, u=u) == pytest.approx(asked * (1 + u / 10))


def test_a_wait_that_ends_just_at_the_deadline_is_not_begun():
    assert wait(asked=2.0, u=0.0, left=2.0) is None
    assert wait(asked=2.0, u=0.0, left=math.nextafter(2.0, 3.0)) == 2.0
    assert wait(error="server_disconnected", stale=True, left=0.0) is None
    assert wait(error="server_disconnected", stale=True, left=1e-9) == 0.0


def test_an_hour_is_not_waited_for_nor_anything_beyond_the_deadline():
    assert wait(asked=3600.0) is None
    assert wait(asked=60.0) is not None
    assert wait(asked=math.nextafter(60.0, 61.0)) is None
    assert wait(asked=60.0, left=50.0) is None
    assert wait(u=1.0, left=0.4) is None


def test_the_server_may_forbid_it_and_may_settle_a_doubt_but_not_more():
    assert wait(should_retry="false") is None
    assert wait(error="server_error", should_retry="true") is not None
    for error in ("authentication", "quota_exhausted", "bad_request", "stream_truncated"):
        assert wait(error=error, should_retry="true") is None


def test_a_request_that_met_a_closing_connection_is_sent_again_at_once():
    assert wait(error="server_disconnected") is None
    assert wait(error="server_disconnected", stale=True) == 0.0
    assert wait(error="server_error", stale=True) is None
    assert wait(attempt=2, error="server_disconnected", stale=True) is None
    assert wait(error="server_disconnected", stale=True, should_retry="false") is None


def amplified(calm_s, rate, outage_s=60.0, slower=1.0, **policy):
    """Attempts per request when all fail, as soon as they are sent, after a time when none did."""
    budget, n = Budget(Policy(**policy)), max(1, int(outage_s * rate / slower))
    for k in range(int(calm_s * rate)):
        budget.earn(k / rate)
    attempts = 0
    for k in range(n):
        now = calm_s + k * slower / rate
        budget.earn(now)
        attempts += 1 + sum(budget.spend(now) for _ in range(2))
    return attempts / n


@given(st.lists(st.integers(0, 3), max_size=200), st.integers(1, 4), st.integers(1, 12))
def test_a_retry_is_made_just_where_no_requests_in_a_row_get_more_than_their_share(
    wanted, loan, cost
):
    budget, made = Budget(Policy(loan=loan, burst=loan, budget=1 / cost)), []
    for want in wanted:
        budget.earn(0.0)
        made.append(0)
        for _ in range(want):
            sums = itertools.accumulate(reversed(made))
            fits = all(k < max(loan, int(m / cost + 1e-9)) for m, k in enumerate(sums, start=1))
            assert budget.spend(0.0) == fits
            made[-1] += fits


@given(st.floats(0, 600), st.floats(1 / 3, 60), st.floats(1, 2))
def test_an_outage_of_a_minute_is_amplified_by_a_tenth_at_most_whatever_went_before(
    calm_s, rate, slower
):
    assert amplified(calm_s, max(rate, slower / 3 + 0.01), slower=slower) <= 1.1


@given(st.floats(0, 60), st.floats(0, 600), st.floats(0.01, 20))
def test_an_outage_of_any_length_gets_a_tenth_or_ten_retries(outage_s, calm_s, rate):
    n = max(1, int(outage_s * rate))
    assert (amplified(calm_s, rate, outage_s) - 1) * n <= max(10, n / 10) + 1e-6


@given(st.floats(0, 10_000), st.integers(2, 19))
def test_an_outage_of_a_few_calls_gets_the_two_retries_of_a_single_one(calm_s, n):
    assert amplified(calm_s, n / 60 + 1e-9) == pytest.approx(1 + 2 / n)


@given(st.lists(st.integers(0, 3), max_size=300))
def test_after_forty_calm_calls_one_that_fails_has_all_its_attempts(wanted):
    budget = Budget(Policy(burst=2))
    for want in [*wanted, *[0] * 40]:
        budget.earn(0.0)
        for _ in range(want):
            budget.spend(0.0)
    budget.earn(0.0)
    assert [budget.spend(0.0) for _ in range(3)] == [True, True, False]


@pytest.mark.parametrize(("rate", "most"), [(0.1, 0.02), (10, 0.004)])
def test_most_of_scattered_failures_are_made_good(rate, most):
    budget, draw, n, failed = Budget(POLICY), random.Random(1), 20_000, 0
    for k in range(n):
        budget.earn(k / rate)
        more = 2
        while draw.random() < 0.05:
            if not more or not budget.spend(k / rate):
                failed += 1
                break
            more -= 1
    assert failed / n < most


@pytest.mark.parametrize(
    ("calls", "loan"), [(1, 2), (59, 2), (60, 3), (100, 5), (199, 9), (200, 10), (5000, 10)]
)
def test_half_of_what_a_minute_of_calls_earns_is_lent_at_once(calls, loan):
    budget = Budget(POLICY)
    for k in range(calls):
        budget.earn(k / calls)
    budget.earn(100.0)  # the minute is over: none of those count any more
    assert [budget.spend(100.0) for _ in range(3)] == [True, True, False]
    budget = Budget(POLICY)
    for k in range(calls):
        budget.earn(40.001 + k / calls)
    assert [budget.spend(100.0) for _ in range(20)] == [True] * loan + [False] * (20 - loan)


def test_a_call_of_a_minute_ago_is_not_of_the_last_minute():
    budget = Budget(POLICY)
    for _ in range(100):
        budget.earn(40.0)
    assert [budget.spend(100.0) for _ in range(3)] == [True, True, False]


def test_without_a_share_only_the_loan_is_spent_once():
    assert amplified(0, 10, budget=0) == amplified(100, 10, budget=0) == pytest.approx(1 + 2 / 600)


DATE = "Mon, 23 Nov 2026 10:00:00 GMT"


@pytest.mark.parametrize(
    ("asked", "date", "ms", "expected"),
    [
        ("2", "", "", 2.0), ("0.5", "", "", 0.5), ("2", "", "250", 0.25), ("", "", "", nan),
        ("2", "", "soon", 2.0), ("Mon, 23 Nov 2026 10:00:07 GMT", DATE, "", 7.0),
        ("Mon, 23 Nov 2026 09:00:00 GMT", DATE, "", nan), ("-1", "", "", nan),
        ("abc", DATE, "", nan), ("1e999", "", "", nan), ("nan", "", "", nan),
        ("Mon, 23 Nov 2026 10:00:07 GMT", "", "", nan), ("Mon, 99 Foo", DATE, "", nan),
        ("Mon, 23 Nov 2026 10:00:07 -0000", DATE, "", nan),
        ("0", "", "", 0.0), (DATE, DATE, "", 0.0), ("999999999", "", "", 999999999.0),
        ("1000000000", "", "", nan),
        ("Mon Nov 23 10:00:07 2026", DATE, "", 7.0), ("Monday, 23-Nov-26 10:00:07 GMT", DATE, "", 7.0),
        ("1795428007", DATE, "", 7.0), ("1m30s", "", "", 90.0), ("500ms", "", "", 0.5), ("7", "", "-5", 7.0), ("7", "", "0", 0.0), ("7", "", DATE, 7.0),
    ],
)  # fmt: skip
def test_what_a_server_asks_for(asked, date, ms, expected):
    found = retry_after(asked, date, ms)
    assert found == expected or (math.isnan(found) and math.isnan(expected))


@pytest.mark.parametrize("name", ["attempts", "burst", "loan"])
def test_counts_go_from_1_to_20(name):
    assert [getattr(Policy(**{name: n}), name) for n in (1, 20)] == [1, 20]
    for wrong in (0, 21, 1.0):
        with pytest.raises(PlanError, match=f"{name} must be a whole number from 1 to 20"):
            Policy(**{name: wrong})


@pytest.mark.parametrize(
    "name", ["deadline_s", "wait_s", "wait_max_s", "retry_after_max_s", "budget"]
)
def test_times_and_shares_go_to_a_million(name):
    assert getattr(Policy(**{name: 1e6}), name) == 1e6
    least = 1e-9 if name == "deadline_s" else 0.0
    assert getattr(Policy(**{name: least}), name) == least
    for wrong in (-1e-9, math.nextafter(1e6, 2e6), math.inf):
        with pytest.raises(PlanError, match=f"{name} must be a number"):
            Policy(**{name: wrong})


@pytest.mark.parametrize(
    "wrong",
    [
        {"attempts": 0},
        {"deadline_s": 0},
        {"wait_s": -1},
        {"budget": nan},
        {"loan": 0},
        {"loan": 2.5},
    ],
)
def test_a_policy_that_can_not_be_is_refused(wrong):
    with pytest.raises(PlanError, match="must"):
        Policy(**wrong)
