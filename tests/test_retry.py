"""Only what certainly left nothing behind is asked again, patiently and within a budget."""

import math
from math import nan

import pytest
from hypothesis import given
from hypothesis import strategies as st

from holymon.errors import ERRORS, PlanError
from holymon.retry import Budget, Policy, next_wait, retry_after

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


@given(st.integers(0, 30), st.floats(0, 1))
def test_waits_are_drawn_from_all_of_a_growing_range(attempt, u):
    found = wait(attempt, u=u, policy=Policy(attempts=20)) if attempt < 19 else None
    if found is not None:
        assert found == pytest.approx(u * min(8.0, 0.5 * 2**attempt))


@given(st.floats(0, 60), st.floats(0, 1))
def test_what_the_server_asks_for_is_a_floor(asked, u):
    assert asked <= wait(asked=asked, u=u) <= max(asked, 0.5) + 0.1 * asked


def test_an_hour_is_not_waited_for_nor_anything_beyond_the_deadline():
    assert wait(asked=3600.0) is None
    assert wait(asked=60.0) is not None
    assert wait(asked=60.0, left=50.0) is None
    assert wait(u=1.0, left=0.4) is None


def test_the_server_may_forbid_it_and_may_settle_a_doubt_but_not_more():
    assert wait(told="false") is None
    assert wait(error="server_error", told="true") is not None
    for error in ("authentication", "quota_exhausted", "bad_request", "stream_truncated"):
        assert wait(error=error, told="true") is None


def test_a_request_that_met_a_closing_connection_is_sent_again_at_once():
    assert wait(error="server_disconnected") is None
    assert wait(error="server_disconnected", stale=True) == 0.0
    assert wait(error="server_error", stale=True) is None


@given(st.lists(st.booleans(), max_size=2000))
def test_retries_stay_a_tenth_of_all_requests(wanted):
    budget, retries = Budget(POLICY), 0
    for n, one in enumerate(wanted, start=1):
        budget.earn()
        retries += one and budget.spend()
        assert retries <= max(3, n / 10 + 1e-6)


def test_a_calm_day_saves_up_ten_retries_and_no_more():
    budget = Budget(POLICY)
    for _ in range(100_000):
        budget.earn()
    assert sum(budget.spend() for _ in range(1000)) == 10


def test_ten_requests_earn_one_retry():
    budget = Budget(Policy(loan=0.0))
    found = []
    for _ in range(20):
        budget.earn()
        found.append(budget.spend())
    assert [n for n, one in enumerate(found, start=1) if one] == [10, 20]


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
    ],
)  # fmt: skip
def test_what_a_server_asks_for(asked, date, ms, expected):
    found = retry_after(asked, date, ms)
    assert found == expected or (math.isnan(found) and math.isnan(expected))


@pytest.mark.parametrize(
    "wrong", [{"attempts": 0}, {"deadline_s": 0}, {"wait_s": -1}, {"budget": nan}]
)
def test_a_policy_that_can_not_be_is_refused(wrong):
    with pytest.raises(PlanError, match="must"):
        Policy(**wrong)
