"""Sums that only grow: what a row adds depends on no other row."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from holymon.errors import PlanError
from holymon.figures.summary import summarize
from holymon.figures.totals import Edges, Histogram, Totals, histogram, totals
from holymon.plan.plan import Closed, Plan, Target
from holymon.plan.price import Price
from holymon.records.attempt import Flag, Marks
from holymon.records.records import from_marks

TARGETS = (
    Target(provider="sim", model="a", price=Price(input=1.0, output=10.0)),
    Target(provider="sim", model="b"),
)
PLAN = Plan(targets=TARGETS, load=Closed(users=1), requests=1)
EDGES = Edges()


def attempt(request=0, number=0, *, due=0.0, start=0.0, took=0.3, error="", status=200, target=0,
            tokens=4, flags=0):  # fmt: skip
    one = Marks(request, target, due, number)
    one.start, one.end, one.error, one.status = start, start + took, error, status
    one.flags = int(Flag.STREAM) | flags
    if not error:
        for k in range(tokens):
            one.token(start + 0.1 + 0.02 * k, 1)
        one.prompt_tokens, one.output_tokens = 7, tokens
        one.flags |= Flag.SERVER_TOKENS
    return one


def of(*marks) -> Totals:
    return totals(from_marks(PLAN.targets, marks))


def test_a_request_of_three_attempts_is_one_request_with_two_retries():
    found = of(
        attempt(0, 0, error="unavailable", status=503, took=0.1, flags=Flag.RETRIED),
        attempt(0, 1, start=1.0, error="rate_limited", status=429, took=0.1, flags=Flag.RETRIED),
        attempt(0, 2, start=3.0, took=0.4),
    ).targets["sim/a"]
    assert found.attempts == {(503, "unavailable"): 1, (429, "rate_limited"): 1, (200, ""): 1}
    assert found.requests == {(200, ""): 1}
    assert found.retries == 2
    assert found.latency.sum == pytest.approx(0.4)
    assert found.duration[""].sum == pytest.approx(3.4)
    assert found.ttft.sum == pytest.approx(0.1)
    assert found.chunk.sum == pytest.approx(0.06)
    assert found.chunk.count == 3
    assert (found.prompt_tokens.sum, found.output_tokens.sum) == (7, 4)
    assert found.cost == pytest.approx((7 * 1 + 4 * 10) / 1e6)
    assert (found.unpriced, found.cost_of_failures) == (0, 0.0)


def test_what_may_be_asked_again_is_no_request_yet():
    asked = attempt(error="unavailable", status=503, flags=Flag.UNDECIDED)
    assert of(asked).targets["sim/a"].requests == {}
    assert of(asked).targets["sim/a"].attempts == {(503, "unavailable"): 1}


def test_calls_that_were_never_sent_are_no_attempts():
    dropped, waiting = Marks(0, 0, 1.0), Marks(1, 0, 1.0, 1)
    dropped.error, dropped.end, waiting.error, waiting.end = "client_dropped", 1.0, "cancelled", 2.0
    found = of(dropped, waiting).targets["sim/a"]
    assert (found.dropped, found.attempts, found.retries) == (1, {}, 0)
    assert found.requests == {(0, "cancelled"): 1}


def test_the_warm_up_is_in_no_sum():
    assert of(attempt(flags=Flag.WARMUP)) == of()


def test_money_spent_on_failures_is_told_apart_and_unknown_prices_are_counted():
    failed = attempt(error="stream_truncated", tokens=0)
    failed.prompt_tokens, failed.output_tokens = 10, 20
    failed.events, failed.flags = 3, failed.flags | Flag.SERVER_TOKENS
    found = of(failed, attempt(), attempt(target=1))
    assert found.targets["sim/a"].cost_of_failures == pytest.approx(210e-6)
    assert found.targets["sim/a"].cost == pytest.approx(257e-6)
    assert (found.targets["sim/b"].cost, found.targets["sim/b"].unpriced) == (0.0, 1)


def test_the_sums_agree_with_the_summary_of_the_same_records():
    rng = np.random.default_rng(0)
    marks = [attempt(i, start=float(i), took=t, target=i % 2, error=e, status=s)
             for i, (t, (e, s)) in enumerate(zip(rng.lognormal(-1, 1, 500),
                [[("", 200), ("server_error", 500)][k] for k in rng.integers(0, 2, 500)],
                strict=True))]  # fmt: skip
    records = from_marks(PLAN.targets, marks)
    for one, summed in zip(
        summarize(records).targets, totals(records).targets.values(), strict=True
    ):
        assert sum(summed.requests.values()) == one.requests
        assert summed.requests[200, ""] == one.ok
        assert summed.latency.sum / summed.latency.count == pytest.approx(one.latency_s.mean)
        assert summed.output_tokens.sum == one.tokens.output
        assert summed.chunk.count == one.itl_s.n
        assert summed.chunk.sum / summed.chunk.count == pytest.approx(one.itl_s.mean, rel=0.01)


rows = st.builds(
    attempt, number=st.integers(0, 2), took=st.floats(0, 1000), target=st.integers(0, 1),
    error=st.sampled_from(["", "unavailable", "cancelled"]), tokens=st.integers(0, 5),
    flags=st.sampled_from([0, Flag.RETRIED, Flag.UNDECIDED, Flag.WARMUP]),
)  # fmt: skip


@given(st.lists(rows), st.integers(0, 20))
def test_parts_add_up_to_the_whole_wherever_it_is_cut(marks, cut):
    a, b, whole = of(*marks[:cut]), of(*marks[cut:]), of(*marks)
    both = a + b
    assert both == b + a
    for name, one in whole.targets.items():
        found = both.targets[name]
        assert (found.attempts, found.requests) == (one.attempts, one.requests)
        assert (found.retries, found.dropped, found.unpriced) == (
            one.retries, one.dropped, one.unpriced,
        )  # fmt: skip
        assert found.latency.counts == one.latency.counts
        assert found.latency.sum == pytest.approx(one.latency.sum)
        assert found.cost == pytest.approx(one.cost)


def test_a_value_on_an_edge_is_below_it():
    assert histogram(np.array([1.0, 1.1, np.nan, 9.0]), (1.0, 2.0)) == Histogram(
        (1.0, 2.0), (1, 1, 1), pytest.approx(11.1)
    )


def test_sums_of_different_edges_are_refused():
    other = totals(from_marks(PLAN.targets, []), Edges(ttft=(1.0, 2.0)))
    with pytest.raises(PlanError, match="one kind"):
        _ = of() + other


def test_edges_ascend():
    with pytest.raises(PlanError, match="latency must ascend"):
        Edges(latency=(1.0, 0.5))


def test_the_first_edges_are_those_that_dashboards_know():
    assert {0.1, 0.25, 0.5, 1.0, 2.5, 5.0, 10.0} < {*EDGES.latency}
    assert {0.01 * 2**k for k in range(14)} < {*EDGES.duration}
