"""Figures are what their definitions say, carry intervals that cover, and are withheld when thin."""

import json
import math

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from holymon.figures.quantiles import (
    PERCENTILES,
    fewest,
    fewest_for_interval,
    figure,
    quantile_ranks,
    wilson,
)
from holymon.figures.summary import summarize
from holymon.figures.summary_types import DURATIONS
from holymon.plan.plan import Closed, Open, Plan, Target
from holymon.plan.price import Price
from holymon.plan.shapes import constant
from holymon.records.attempt import Flag, Marks
from holymon.records.records import from_marks

TARGET = Target(provider="url", model="m", base_url="http://127.0.0.1:1/v1",
                price=Price(input=1.0, output=10.0, cached_input=0.5))  # fmt: skip
PLAN = Plan(targets=(TARGET,), load=Open(constant(20)), duration_s=10)


def call(number, *, rate=20.0, latency=0.5, error="", late=0.0, warm=False, tokens=5, **more):
    """One call on an exact schedule, with `tokens` tokens 10 ms apart before its end."""
    one = Marks(number, 0, number / rate)
    one.start = one.due + late
    one.end = one.start + latency
    one.error = error
    one.flags = int(Flag.STREAM) | (int(Flag.WARMUP) if warm else 0)
    if not error and tokens:
        for k in range(tokens):
            one.token(one.end - 0.01 * (tokens - 1 - k), 1)
        one.content = one.first
        one.output_tokens, one.prompt_tokens = tokens, 7
        one.flags |= Flag.SERVER_TOKENS
    for name, value in more.items():
        setattr(one, name, value)
    return one


def unsent(number, error):
    one = Marks(number, 0, number / 20)
    one.error, one.end = error, one.due
    return one


def of(calls, plan=PLAN):
    return summarize(from_marks(plan.targets, calls), plan).targets[0]


def test_an_exact_schedule_gives_exact_figures():
    found = of([call(i) for i in range(400)])
    assert (found.requests, found.ok, found.errors) == (400, 400, {})
    assert found.latency_s.p50 == pytest.approx(0.5)
    assert found.ttft_s.p99 == pytest.approx(0.46)
    assert found.tpot_s.mean == pytest.approx(0.01)
    assert found.itl_s.p50 == pytest.approx(0.01, rel=0.005)
    assert found.itl_s.n == 400 * 4
    assert found.requests_per_s == pytest.approx(20)
    assert found.output_tokens_per_s == pytest.approx(100)
    assert (found.wanted_per_s, found.sent_per_s) == (pytest.approx(20), pytest.approx(20))


def test_the_last_answers_tail_does_not_dilute_the_rate():
    calls = [call(i) for i in range(100)] + [call(100, latency=60.0)]
    assert of(calls).requests_per_s == pytest.approx(20)


def test_a_server_that_can_not_keep_up_is_seen_at_its_own_rate():
    """20/s are sent, 10/s are answered: the answer to call i comes at i / 10."""
    calls = [call(i, latency=0.1 + i / 20) for i in range(400)]
    assert of(calls).requests_per_s == pytest.approx(10, rel=0.02)


def test_response_counts_from_the_schedule_and_latency_from_the_call():
    found = of([call(i, late=0.2) for i in range(40)])
    assert found.latency_s.p50 == pytest.approx(0.5)
    assert found.schedule_delay_s.p50 == pytest.approx(0.2)
    assert found.response_s.p50 == pytest.approx(0.7)


def test_one_stall_is_hidden_from_send_and_shown_from_the_schedule():
    """Coordinated omission: 100/s, one stop of a second in ten, answers in a millisecond."""
    calls = []
    for i in range(1000):
        due = i / 100
        late = max(0.0, 6.0 - due) if 5.0 <= due < 6.0 else 0.0
        calls.append(call(i, rate=100, latency=0.001, late=late, tokens=0))
    found = of(calls)
    assert found.latency_s.p99 == pytest.approx(0.001, rel=0.01)
    assert found.response_s.p99 == pytest.approx(0.91, abs=0.02)


def test_failures_are_counted_and_are_in_no_latency():
    calls = [call(i) for i in range(90)] + [
        call(i, latency=50, error="server_error") for i in range(90, 100)
    ]
    found = of(calls)
    assert found.latency_s.max == pytest.approx(0.5)
    assert found.errors == {"server_error": 10}
    assert (found.error_rate.value, found.error_rate.of) == (0.1, 100)


def test_what_we_stopped_or_never_sent_says_nothing_of_the_api():
    calls = [call(i) for i in range(8)] + [call(8, error="rate_limited")]
    calls += [call(9, error="cancelled"), unsent(10, "client_dropped")]
    found = of(calls)
    assert found.error_rate == wilson(1, 9)
    assert found.error_rate_without_429 == wilson(0, 8)
    assert found.errors == {"client_dropped": 1, "cancelled": 1, "rate_limited": 1}
    assert found.requests == 11


def test_the_warm_up_is_in_no_figure_and_is_told():
    calls = [call(i, latency=9.0, warm=True) for i in range(20)] + [call(i) for i in range(20, 60)]
    found = of(calls)
    assert (found.requests, found.warmup) == (40, 20)
    assert found.latency_s.max == pytest.approx(0.5)


def test_a_closed_loop_has_no_schedule():
    plan = Plan(targets=(TARGET,), load=Closed(users=1), requests=10)
    found = of([call(i) for i in range(10)], plan)
    assert (found.schedule_delay_s.n, found.response_s.n, found.wanted_per_s) == (0, 0, None)


def test_tokens_say_who_counted_them():
    server = [call(i) for i in range(3)]
    chunks = [call(i, flags=int(Flag.STREAM), output_tokens=5) for i in range(3)]
    assert of(server).tokens.source == "server"
    assert of(chunks).tokens.source == "chunks"
    assert of([*server, *chunks]).tokens.source == "mixed"
    assert of([call(0, error="server_error")]).tokens.source is None


def test_cost_counts_cached_tokens_at_their_own_price():
    found = of([call(0, cached_tokens=4), call(1)])
    assert found.cost_usd == pytest.approx((3 * 1 + 4 * 0.5 + 5 * 10 + 7 * 1 + 5 * 10) / 1e6)


def test_no_more_tokens_are_cached_than_were_asked():
    """Some servers count the cached tokens of earlier turns: a prompt would then cost below 0."""
    found = of([call(0, cached_tokens=7), call(1, cached_tokens=2000), call(2, cached_tokens=-1)])
    assert found.cost_usd == pytest.approx((7 * 0.5 + 7 * 0.5 + 7 + 3 * 5 * 10) / 1e6)


def test_a_cost_that_is_not_known_is_none_and_says_why():
    found = of([call(0), call(1, flags=int(Flag.STREAM))])
    assert found.cost_usd is None
    assert any("without the server's token counts" in note for note in found.notes)
    unpriced = Plan(targets=(Target(provider="p", model="m"),), load=Open(constant(1)), requests=1)
    assert of([call(0)], unpriced).cost_usd is None


def test_a_failed_call_without_tokens_costs_nothing():
    assert of([call(0), call(1, error="rate_limited")]).cost_usd == pytest.approx(57 / 1e6)


def test_a_single_token_has_no_time_per_token():
    found = of([call(i, tokens=1) for i in range(10)])
    assert (found.tpot_s.n, found.itl_s.n) == (0, 0)


def test_tokens_that_came_in_one_piece_have_no_time_between_them():
    calls = []
    for i in range(10):
        one = call(i, tokens=0)
        one.token(one.end, 5)
        one.output_tokens = 5
        calls.append(one)
    assert of(calls).tpot_s.n == 0


def test_goodput_counts_calls_that_meet_every_limit():
    plan = Plan(targets=(TARGET,), load=Open(constant(20)), duration_s=10,
                slo=("latency_p95<0.6", "ttft_p95<1s", "error_rate<1%"))  # fmt: skip
    calls = [call(i, latency=0.5 if i % 2 else 0.7) for i in range(400)]
    assert of(calls, plan).goodput_per_s == pytest.approx(10, rel=0.02)


@pytest.mark.parametrize("n", [0, 1, 2])
def test_no_run_is_too_short(n):
    found = of([call(i) for i in range(n)])
    assert found.requests == n
    assert found.latency_s.p50 == (pytest.approx(0.5) if n > 1 else None)


def test_nothing_that_could_not_be_measured_is_a_zero():
    found = of([call(i, error="server_error") for i in range(50)])
    assert (found.latency_s.p50, found.ttft_s.mean, found.itl_s.max) == (None, None, None)
    assert found.tokens.output is None


# ---------------------------------------------------------------------------- statistics


def test_the_fewest_values_an_interval_needs():
    needed = [fewest_for_interval(q) for q in (0.5, 0.9, 0.95, 0.99, 0.999)]
    assert needed == [6, 36, 72, 368, 3688]
    for q, n in zip((0.5, 0.9, 0.95, 0.99, 0.999), needed, strict=True):
        assert quantile_ranks(n, q) is not None
        assert quantile_ranks(n - 1, q) is None


def test_percentiles_are_withheld_below_one_in_so_many():
    assert [fewest(q) for q in PERCENTILES.values()] == [2, 10, 20, 100]
    found = figure(np.arange(99.0))
    assert found.p95 is not None
    assert found.p99 is None
    assert figure(np.arange(100.0)).p99 is not None


@pytest.mark.parametrize(("q", "n"), [(0.5, 20), (0.9, 60), (0.95, 200), (0.99, 368), (0.99, 1000)])
def test_intervals_cover_the_truth_as_often_as_they_say(q, n):
    rng = np.random.default_rng(7)
    low, high = quantile_ranks(n, q)
    trials = 4000
    values = np.sort(rng.random((trials, n)), axis=1)
    covered = ((values[:, low] <= q) & (q <= values[:, high])).mean()
    assert 0.945 <= covered <= 0.99


@settings(max_examples=40)
@given(st.lists(st.floats(0, 1e5), min_size=100, max_size=300))
def test_percentiles_are_numpys_median_unbiased(values):
    found = figure(np.array(values))
    for name, q in PERCENTILES.items():
        expected = np.quantile(values, q, method="median_unbiased")
        assert getattr(found, name) == pytest.approx(float(expected))
        low_high = found.ci[name]
        if low_high is not None:
            assert low_high[0] <= getattr(found, name) <= low_high[1]


def test_gaps_from_bins_agree_with_the_gaps_themselves():
    rng = np.random.default_rng(3)
    gaps = rng.lognormal(-4, 0.7, 5000)
    one = Marks(0, 0, 0.0)
    one.start, now = 0.0, 0.1
    one.token(now, 1)
    for gap in gaps:
        now += gap
        one.token(now, 1)
    one.end, one.output_tokens = now, 5001
    found = of([one]).itl_s
    for name, q in PERCENTILES.items():
        exact = np.quantile(gaps, q, method="median_unbiased")
        assert getattr(found, name) == pytest.approx(float(exact), rel=0.012)
    assert found.max == pytest.approx(gaps.max(), rel=1e-4)
    assert found.mean == pytest.approx(gaps.mean(), rel=0.005)


@pytest.mark.parametrize(
    ("hits", "n", "low", "high"),
    [(0, 20, 0.0, 0.1611), (0, 100, 0.0, 0.0370), (0, 300, 0.0, 0.0126), (5, 10, 0.2366, 0.7634),
     (20, 20, 0.8389, 1.0)],
)  # fmt: skip
def test_wilsons_interval(hits, n, low, high):
    found = wilson(hits, n)
    assert (found.low, found.high) == (pytest.approx(low, abs=1e-4), pytest.approx(high, abs=1e-4))


def test_a_rate_of_nothing_is_nothing():
    assert wilson(0, 0).value is None


@given(st.integers(6, 100_000), st.sampled_from([0.5, 0.9, 0.95, 0.99]))
def test_ranks_are_inside_the_sample_and_around_the_quantile(n, q):
    ranks = quantile_ranks(n, q)
    if n < fewest_for_interval(q):
        assert ranks is None
    else:
        low, high = ranks
        assert 0 <= low < high < n
        assert low <= math.floor(n * q) <= high + 1


def test_every_figure_is_a_plain_number():
    def leaves(value):
        if isinstance(value, dict):
            return [leaf for one in value.values() for leaf in leaves(one)]
        if isinstance(value, list | tuple):
            return [leaf for one in value for leaf in leaves(one)]
        return [value]

    found = of([call(i) for i in range(400)]).to_dict()
    plain = (float, int, str, type(None))  # a sentence that knows another language is a str, too
    assert [leaf for leaf in leaves(found) if not isinstance(leaf, plain)] == []
    assert not any(isinstance(leaf, np.generic) for leaf in leaves(found))
    written = json.dumps(found)
    assert json.dumps(json.loads(written)) == written


def correlated(rng, n, rho):
    x = rng.normal(size=n)
    for i in range(1, n):
        x[i] = rho * x[i - 1] + x[i] * math.sqrt(1 - rho**2)
    return x


@pytest.mark.parametrize("rho", [0.0, 0.9])
def test_calls_that_are_alike_count_as_fewer_and_it_is_said(rho):
    latencies = 0.5 * np.exp(0.3 * correlated(np.random.default_rng(1), 300, rho))
    calls = [call(i, latency=s) for i, s in enumerate(latencies)]
    np.random.default_rng(2).shuffle(calls)  # they end in any order
    found = of(calls)
    alike = [note for note in found.notes if "successive calls are alike" in note]
    assert len(alike) == (rho > 0)
    low, high = np.sort(latencies)[list(quantile_ranks(300, 0.5))]
    assert (found.latency_s.ci["p50"] == pytest.approx((low, high))) == (rho == 0)
    if alike:
        worth = found.latency_s.counts_as["p90"]
        assert f"300 count as {worth:,}, and 36 are needed: no interval for latency p9" in alike[0]
        assert (found.latency_s.ci["p95"], found.latency_s.p95) == (
            None,
            pytest.approx(0.8, abs=0.2),
        )


@pytest.mark.parametrize("length", [1, 10])
def test_failures_in_a_row_count_as_fewer_and_it_is_said(length):
    rng = np.random.default_rng(2)
    failed = np.repeat(rng.random(600 // length) < 0.1, length)
    calls = [call(i, error="server_error" if bad else "") for i, bad in enumerate(failed)]
    found = of(calls)
    plain = wilson(int(failed.sum()), 600)
    assert (found.error_rate == plain) == (length == 1)
    assert (found.error_rate.value, found.error_rate.of) == (plain.value, 600)
    said = sum("failures come one after another: for the error rate, 600 calls count as" in note
               for note in found.notes)  # fmt: skip
    assert said == (length > 1)


def test_independent_calls_are_hardly_ever_said_to_be_alike():
    rng, said = np.random.default_rng(3), 0
    for _ in range(100):
        found = of([call(i, latency=s) for i, s in enumerate(rng.lognormal(size=60))])
        said += any("alike" in note for note in found.notes)
    assert said <= 15


def test_calls_that_all_took_as_long_count_as_all_whatever_the_clock_rounds():
    """Moments since some boot, in floats: their differences are noise that is alike."""
    calls = [call(i, latency=0.1 + 1e-16 * i) for i in range(400)]
    found = of(calls)
    assert found.latency_s.counts_as == found.ttft_s.counts_as == found.tpot_s.counts_as == {}
    assert found.latency_s.ci["p99"] == pytest.approx((0.1, 0.1))


def test_a_percentile_without_an_interval_has_a_line_that_says_why():
    """Calls that leave late do so together, and answers with slow gaps come one after another."""
    rng = np.random.default_rng(3)
    late, gaps = np.exp(0.3 * np.array([correlated(rng, 300, 0.9) for _ in range(2)])) / 100
    calls = []
    for number, (delay, gap) in enumerate(zip(late, gaps, strict=True)):
        one = call(number, late=delay, tokens=0, latency=0.1 + 5 * gap)
        for k in range(5):
            one.token(one.start + 0.1 + k * gap, 1)
        calls.append(one)
    found = of(calls)
    bare = [
        (title, level)
        for title, field in DURATIONS
        for level, q in PERCENTILES.items()
        if len(calls) >= fewest_for_interval(q)
        and getattr(found, field).n
        and getattr(found, field).ci[level] is None
    ]
    assert {title for title, _ in bare} >= {"ITL", "schedule delay"}
    for title, level in bare:
        assert any(title in note and level in note for note in found.notes), (title, level)


def test_failures_in_a_row_tell_less_than_as_many_that_are_scattered():
    rows = [call(k, error="rate_limited" if k < 100 else "") for k in range(200)]
    apart = [call(k, error="rate_limited" if k * 37 % 200 < 100 else "") for k in range(200)]
    row, scattered = (of(calls).error_rate for calls in (rows, apart))
    assert row.value == scattered.value == 0.5
    assert row.high - row.low > 2 * (scattered.high - scattered.low)
    times = [of(calls).of_all.latency_s.figure for calls in (rows, apart)]
    assert times[0] != times[1]
