"""Intervals cover the truth as often as they say, and no figure is given that n can't carry."""

import math

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from holymon.figures.quantiles import (
    PERCENTILES,
    fewest_for_interval,
    figure,
    mean_interval,
    newcombe,
    quantile_ranks,
    student,
    wilson,
)
from holymon.figures.summary import summarize
from holymon.plan.plan import Open, Plan, Target
from holymon.plan.shapes import constant
from holymon.records.attempt import Flag, Marks
from holymon.records.records import from_marks
from holymon.structs import Rate
from tests.figures.test_quantiles import of_clusters

TARGET = Target(provider="p", model="m", base_url="http://127.0.0.1:1/v1")


@pytest.mark.parametrize(("q", "n"), [(0.5, 6), (0.9, 36), (0.95, 72), (0.99, 368), (0.999, 3688)])
def test_the_fewest_values_that_carry_an_interval(q, n):
    assert fewest_for_interval(q) == n
    assert quantile_ranks(n, q) is not None
    assert quantile_ranks(n - 1, q) is None


@pytest.mark.parametrize("draw", ["lognormal", "bimodal"])
@pytest.mark.parametrize(
    ("n", "level"), [(40, "p50"), (100, "p90"), (200, "p95"), (500, "p99"), (2000, "p99")]
)
def test_95_percent_intervals_of_percentiles_cover_95_percent(draw, n, level):
    rng = np.random.default_rng(7)

    def sample(*shape):
        values = rng.lognormal(-1, 0.8, shape)
        return (
            np.where(rng.random(shape) < 0.1, values * 20, values) if draw == "bimodal" else values
        )

    truth = np.quantile(sample(1_000_000), PERCENTILES[level])
    samples = sample(1500, n)
    lows, highs = np.sort(samples)[:, quantile_ranks(n, PERCENTILES[level])].T
    assert figure(samples[-1]).ci[level] == (lows[-1], highs[-1])
    covered = ((lows <= truth) & (truth <= highs)).sum()
    # Order statistics are a little on the safe side: ranks are whole numbers.
    assert 0.93 <= covered / 1500 <= 0.985


@pytest.mark.parametrize(("n", "p"), [(20, 0.05), (100, 0.01), (100, 0.3), (1000, 0.002)])
def test_wilsons_interval_covers_on_average_over_rates_near_this_one(n, p):
    rng = np.random.default_rng(3)
    covered = []
    for share in rng.uniform(p * 0.5, p * 1.5, 3000):
        rate = wilson(int(rng.binomial(n, share)), n)
        covered.append(rate.low <= share <= rate.high)
    assert 0.93 <= np.mean(covered) <= 0.985


def test_no_errors_have_an_upper_bound():
    assert [round(wilson(0, n).high, 3) for n in (20, 100, 300)] == [0.161, 0.037, 0.013]


@pytest.mark.parametrize(
    ("calls", "gaps", "between", "within", "level"),
    [(30, 15, 0.3, 0.3, "p50"), (100, 15, 0.3, 0.3, "p95"), (100, 63, 0.5, 0.2, "p90"),
     (400, 15, 0.8, 0.1, "p99"), (400, 15, 0.0, 0.4, "p95")],
)  # fmt: skip
def test_intervals_of_gaps_cover_although_gaps_of_one_call_are_alike(
    calls, gaps, between, within, level
):
    rng = np.random.default_rng(11)

    def sample(n):
        return between * rng.normal(size=(n, 1)) + within * rng.normal(size=(n, gaps))

    truth = int((np.quantile(sample(40_000), PERCENTILES[level]) + 20) / 0.01)
    covered, naive = [], []
    ranks = list(quantile_ranks(calls * gaps, PERCENTILES[level]))
    for _ in range(600):
        bins = ((sample(calls) + 20) / 0.01).astype(np.int64)
        if ends := of_clusters(bins)[level]:
            covered.append(ends[0] <= truth <= ends[1])
        low, high = np.partition(bins.ravel(), ranks)[ranks]
        naive.append(low <= truth <= high)
    assert 0.93 <= np.mean(covered) <= 0.99
    assert len(covered) > 500, "by chance some calls look alike, and then are too few"
    if between > within:
        assert np.mean(naive) < 0.8, "single gaps taken for independent are far off"


def test_gaps_of_few_calls_have_no_interval_however_many_they_are():
    bins = (np.arange(20_000) % 50).reshape(20, 1000)
    assert {name for name, ends in of_clusters(bins).items() if ends} == {"p50"}
    assert of_clusters(bins[:0])["p50"] is None


@pytest.mark.parametrize(
    ("df", "t"), [(1, 12.7062), (2, 4.3027), (4, 2.7764), (9, 2.2622), (30, 2.0423), (3000, 1.96)]
)
def test_students_quantiles_are_those_of_the_tables(df, t):
    assert student(df) == pytest.approx(t, abs=1e-3)


def test_newcombes_interval_is_that_of_his_paper():
    """Newcombe 1998, table II, method 10: 56/70 - 48/80."""
    low, high = newcombe(Rate(48 / 80, None, None, 80), Rate(56 / 70, None, None, 70))
    assert (round(low, 4), round(high, 4)) == (0.0524, 0.3339)


def calls(n, seed=0):
    rng = np.random.default_rng(seed)
    made = []
    for i in range(n):
        one = Marks(i, 0, i / 100)
        one.start = one.due + rng.exponential(1e-4)
        one.flags = int(Flag.STREAM)
        at = one.start + rng.lognormal(-3, 0.5)
        for _ in range(int(rng.integers(1, 9))):
            one.token(at, 1)
            at += rng.lognormal(-5, 0.4)
        one.end, one.error = one.last, "" if rng.random() < 0.95 else "server_error"
        made.append(one)
    return made


@settings(max_examples=40)
@given(st.integers(1, 5), st.integers(0, 100))
def test_figures_of_several_workers_are_those_of_all_raw_records(workers, seed):
    plan = Plan(targets=(TARGET,), load=Open(constant(100)), duration_s=3)
    marks = calls(120, seed)
    merged = [one for k in range(workers) for one in marks[k::workers]]
    whole, parts = (
        summarize(from_marks(plan.targets, part), plan).targets[0] for part in (marks, merged)
    )
    assert whole.latency_s.ci == parts.latency_s.ci
    for name in ("latency_s", "ttft_s", "itl_s", "tpot_s", "response_s", "schedule_delay_s"):
        one, two = getattr(whole, name), getattr(parts, name)
        assert (one.n, one.p50, one.p95, one.p99, one.max) == (
            two.n,
            two.p50,
            two.p95,
            two.p99,
            two.max,
        )
        assert one.mean == pytest.approx(two.mean) if one.n else two.mean is None
    assert whole.errors == parts.errors


def test_percentiles_of_workers_are_never_averaged():
    """Four workers, one of them slow: the mean of their p99 would be half of the truth."""
    rng = np.random.default_rng(1)
    parts = [rng.lognormal(-2, 0.3, 1000) * scale for scale in (1, 1, 1, 5)]
    mean = np.mean([figure(part).p99 for part in parts])
    assert mean < 0.75 * figure(np.concatenate(parts)).p99


def test_coordinated_omission_is_seen_in_the_response_latency():
    """100 calls/s, a server that does one at a time in 1 ms, and one stall of 1 s."""
    plan = Plan(targets=(TARGET,), load=Open(constant(100)), duration_s=10)
    free, made = 0.0, []
    for i, due in enumerate(plan.due().tolist()):
        one = Marks(i, 0, due)
        one.start = max(due, free)  # a client that waits for the last answer
        one.end = free = one.start + (1.0 if i == 500 else 0.001)
        made.append(one)
    found = summarize(from_marks(plan.targets, made), plan).targets[0]
    assert found.latency_s.p99 == pytest.approx(0.001, abs=1e-4)
    assert found.response_s.p99 == pytest.approx(0.9, abs=0.03)
    assert found.response_s.p90 == pytest.approx(0.101, abs=0.03)
    assert found.schedule_delay_s.p99 == pytest.approx(0.9, abs=0.03)
    assert not math.isclose(found.latency_s.p99, found.response_s.p99)


@given(st.lists(st.floats(-100, 100), min_size=2, max_size=30), st.sampled_from([0.9, 0.95, 0.99]))
def test_the_interval_of_a_mean_is_students_and_wider_for_neighbours(values, level):
    x = np.array(values)
    low, high = mean_interval(x, level)
    half = student(len(x) - 1, level) * x.std(ddof=1) / np.sqrt(len(x))
    assert (low, high) == pytest.approx((x.mean() - half, x.mean() + half))
    wide = mean_interval(x, level, neighbours=True)
    assert wide[0] <= low
    assert wide[1] >= high


@pytest.mark.parametrize(
    ("rho", "share", "plain"), [(0.0, 0.95, 0.95), (0.5, 0.91, 0.8), (0.8, 0.87, 0.5)]
)
def test_the_interval_of_neighbours_holds_the_mean_nearly_as_often_as_it_says(rho, share, plain):
    rng, held, n = np.random.default_rng(2), {True: 0, False: 0}, 20
    for _ in range(1000):
        x = rng.normal(size=n)
        for i in range(1, n):
            x[i] = rho * x[i - 1] + x[i] * np.sqrt(1 - rho**2)
        for neighbours in held:
            low, high = mean_interval(x, 0.95, neighbours=neighbours)
            held[neighbours] += low <= 0 <= high
    assert held[True] >= 1000 * share - 5
    assert abs(held[False] - 1000 * plain) < 50, "without a look at the neighbours"
