"""Sums and figures of calls that were repeated, worked out by hand."""

from itertools import pairwise

import numpy as np
import pytest

from holymon.errors import PlanError
from holymon.figures.quantiles import wilson
from holymon.figures.request_stats import request_stats
from holymon.figures.totals import Edges, Histogram, totals
from holymon.plan.plan import Target
from holymon.plan.price import Price
from holymon.records.attempt import Flag, Marks
from holymon.records.records import from_marks

URL = "http://127.0.0.1:1/v1"
PRICED = Target(provider="url", model="a", base_url=URL, price=Price(input=1.0, output=10.0))
BARE = Target(provider="url", model="b", base_url=URL)
EUROS = Target(provider="url", model="c", base_url=URL,
               price=Price(input=1.0, output=10.0, currency="EUR"))  # fmt: skip
RETRIED, UNDECIDED = int(Flag.RETRIED), int(Flag.UNDECIDED)


def attempt(request, number, start, took, *, error="", status=200, flags=0, target=0, due=None,
            output=5, prompt=7):  # fmt: skip
    one = Marks(request, target, start if due is None else due, number)
    one.start, one.end, one.error, one.status = start, start + took, error, status
    one.flags = int(Flag.STREAM) | flags
    if not error:
        one.token(start + took / 2, 1)
        one.token(start + took, output - 1)
        one.prompt_tokens, one.output_tokens = prompt, output
        one.flags |= Flag.SERVER_TOKENS
    return one


def records(*marks, targets=(PRICED,)):
    return from_marks(targets, marks)


# Request 0: refused, 2 s of waiting, refused again, 3 s, and an answer. Request 1: an answer.
# Request 2: a failure. Request 3: a failure that its caller may yet repeat.
CALLS = (
    attempt(0, 0, 10.0, 0.5, error="unavailable", status=503, flags=RETRIED),
    attempt(0, 1, 12.5, 0.5, error="rate_limited", status=429, flags=RETRIED, due=10.0),
    attempt(0, 2, 16.0, 1.0, due=10.0),
    attempt(1, 0, 11.0, 2.0),
    attempt(2, 0, 12.0, 0.25, error="authentication", status=401),
    attempt(3, 0, 13.0, 0.25, error="server_error", status=500, flags=UNDECIDED),
)


def test_requests_and_their_attempts_by_hand():
    found = request_stats(records(*CALLS))
    assert (found.requests, found.ok, found.attempts, found.retries) == (3, 2, 6, 2)
    assert found.success == wilson(2, 3)
    assert found.first_attempts == wilson(1, 4)
    assert found.amplification == pytest.approx(6 / 4)
    assert (found.undecided, found.backoff_s) == (1, pytest.approx(2.0 + 3.0))
    assert found.errors == {"authentication": 1}
    assert found.attempt_errors == {
        "unavailable": 1, "rate_limited": 1, "authentication": 1, "server_error": 1,
    }  # fmt: skip
    assert (found.latency_s.n, found.latency_s.mean, found.latency_s.max) == (2, pytest.approx(4.5), pytest.approx(7))  # fmt: skip
    assert (found.attempt_s.n, found.attempt_s.mean) == (2, pytest.approx(1.5))
    assert (found.failure_s.n, found.failure_s.max) == (1, pytest.approx(0.25))
    assert "1 failed attempt may yet be repeated by their caller" in found.lines
    assert "failed requests: authentication 1" in found.lines
    assert found.cost_usd == pytest.approx(2 * 57e-6)
    assert found.cost_of_failures_usd == 0
    assert not found.simulated


def test_a_request_that_was_never_sent_waited_too():
    """Its caller gave up during the wait before its second attempt."""
    given_up = Marks(0, 0, 10.0, 1)
    given_up.error, given_up.end = "cancelled", 11.75
    found = request_stats(records(CALLS[0], given_up))
    assert found.backoff_s == pytest.approx(1.25)
    assert (found.attempts, found.requests, found.amplification) == (1, 1, 1.0)


def test_waits_are_of_one_request_and_in_the_order_of_its_attempts():
    later = [attempt(5, 0, 100.0, 1.0), attempt(6, 0, 200.0, 1.0)]
    assert request_stats(records(*later)).backoff_s == 0
    assert request_stats(records(*reversed(CALLS))).backoff_s == pytest.approx(5.0)
    # One that began before the last one ended (it was hedged) did not wait.
    early = attempt(0, 1, 10.25, 1.0, due=10.0)
    assert request_stats(records(CALLS[0], early)).backoff_s == 0


def test_money_of_several_targets_is_known_where_it_is_known_of_each():
    both = request_stats(records(*CALLS, attempt(9, 0, 1.0, 1.0, target=1), targets=(PRICED, BARE)))
    assert (both.target, list(both.targets)) == ("all/targets", ["url/a", "url/b"])
    assert (both.requests, both.cost_usd, both.cost_of_failures_usd) == (4, None, None)
    assert both.known_cost_usd == pytest.approx(2 * 57e-6)
    assert (both.targets["url/b"].known_cost_usd, both.targets["url/b"].cost_usd) == (None, None)
    priced = request_stats(records(*CALLS, attempt(9, 0, 1.0, 1.0, target=1),
                           targets=(PRICED, Target(provider="url", model="d", price=PRICED.price))))  # fmt: skip
    assert priced.cost_usd == pytest.approx(3 * 57e-6)
    euros = request_stats(records(attempt(0, 0, 1.0, 1.0), targets=(EUROS,)))
    assert (euros.cost_usd, euros.known_cost_usd) == (None, None)


def test_a_target_that_was_not_called_has_no_row():
    found = request_stats(records(*CALLS, targets=(PRICED, BARE)))
    assert (found.target, list(found.targets), len(found.rows)) == ("url/a", ["url/a"], 1)


def test_nothing_has_no_amplification():
    found = request_stats(records())
    assert (found.attempts, found.amplification, found.cost_usd, found.known_cost_usd) == (0, None, None, None)  # fmt: skip


# ---------------------------------------------------------------------------- sums


def test_sums_by_hand():
    found = totals(records(*CALLS)).targets["url/a"]
    assert (found.provider, found.model, found.currency) == ("url", "a", "USD")
    assert found.attempts == {
        (503, "unavailable"): 1, (429, "rate_limited"): 1, (200, ""): 2, (401, "authentication"): 1,
        (500, "server_error"): 1,
    }  # fmt: skip
    assert found.requests == {(200, ""): 2, (401, "authentication"): 1}
    assert (found.retries, found.dropped, found.unpriced) == (2, 0, 0)
    assert {error: (h.count, pytest.approx(h.sum)) for error, h in found.duration.items()} == {
        "": (2, 9.0), "authentication": (1, 0.25),
    }  # fmt: skip
    assert (found.ttft.count, found.ttft.sum) == (2, pytest.approx(1.5))
    assert (found.prompt_tokens.sum, found.output_tokens.sum) == (14, 10)
    assert totals(records(*CALLS, targets=(EUROS,))).targets["url/c"].currency == "EUR"


def test_tokens_that_the_server_did_not_count_are_in_no_sum():
    here = attempt(0, 0, 1.0, 1.0)
    here.flags, here.prompt_tokens = int(Flag.STREAM), -1
    none = attempt(1, 0, 1.0, 1.0, output=1, prompt=0)
    none.output_tokens = 0
    found = totals(records(here, none)).targets["url/a"]
    assert (found.prompt_tokens.count, found.prompt_tokens.sum) == (1, 0)
    assert (found.output_tokens.count, found.output_tokens.sum) == (1, 0)
    assert found.unpriced == 1


def test_the_first_edges_of_tokens_and_times():
    edges = Edges()
    assert edges.tokens == (1, 4, 16, 64, 256, 1024, 4096, 16384, 65536, 262144, 1048576, 4194304,
                            16777216, 67108864)  # fmt: skip
    assert {0.1, 0.25, 0.5, 1, 2.5, 5, 10, 30, 60, 120, 300} <= set(edges.latency)
    for times, in_a_doubling in ((edges.latency, 4), (edges.ttft, 4), (edges.duration, 2)):
        assert (times[0] <= 0.01, times[-1] >= 600) == (True, True)
        assert max(b / a for a, b in pairwise(times)) <= 2 ** (1 / in_a_doubling) * 1.0001
    assert edges.ttft == edges.chunk
    for wrong in ((), (1.0, 1.0), (2.0, 1.0)):
        with pytest.raises(PlanError, match="the edges of ttft must ascend"):
            Edges(ttft=wrong)


def test_sums_of_two_parts_have_the_targets_of_both():
    a = totals(records(*CALLS))
    b = totals(records(*CALLS, targets=(BARE,)))
    both = a + b
    assert both.targets == {**a.targets, **b.targets}
    twice = a + a
    assert twice.targets["url/a"].attempts[200, ""] == 4
    assert twice.targets["url/a"].cost == pytest.approx(4 * 57e-6)
    assert twice.targets["url/a"].currency == "USD"
    assert twice.targets["url/a"].duration[""].count == 4
    with pytest.raises(PlanError, match="one kind"):
        a.targets["url/a"] + b.targets["url/b"]
    with pytest.raises(PlanError, match="one kind"):
        Histogram((1.0,), (0, 0), 0.0) + Histogram((2.0,), (0, 0), 0.0)


def test_calls_that_were_due_and_never_sent_are_dropped_and_nothing_else():
    dropped = Marks(7, 0, 1.0)
    dropped.error, dropped.end = "client_dropped", 1.0
    found = totals(records(*CALLS, dropped)).targets["url/a"]
    assert (found.dropped, sum(found.attempts.values()), sum(found.requests.values())) == (1, 6, 3)
    assert found.unpriced == 0


def test_gaps_between_chunks_are_of_successful_streams():
    one, failed = attempt(0, 0, 0.0, 1.0), attempt(1, 0, 0.0, 1.0)
    failed.error = "stream_truncated"
    found = totals(records(one, failed), Edges(chunk=(0.4, 0.6))).targets["url/a"].chunk
    assert (found.counts, found.sum) == ((0, 1, 0), pytest.approx(0.5))
    assert np.isclose(found.sum, 0.5)
