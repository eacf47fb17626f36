"""Intervals of a run hold although successive calls are alike, or are not given.

Latencies are lognormal with an autocorrelation, or slow for stretches of 100 calls.
"""

import math
from statistics import NormalDist

import numpy as np
import pytest

from holymon.figures.effective import effective_number
from holymon.figures.quantiles import (
    PERCENTILES,
    fewest_for_interval,
    figure,
    quantile_ranks,
    share_of,
    wilson,
)

RUNS = 150
RHOS = (0.3, 0.6, 0.9)


def chain(rng, runs, n, rho):
    """Normal values that follow one another, shape (runs, n)."""
    x = rng.normal(size=(n, runs))
    x[1:] *= math.sqrt(1 - rho**2)
    for i in range(1, n):
        x[i] += rho * x[i - 1]
    return x.T


def stretches(rng, runs, n, shift=0.7, length=100):
    """Of every stretch of 100 calls each is slow or not by a toss; they begin anywhere."""
    slow = np.repeat(rng.random((runs, n // length + 2)) < 0.5, length, axis=1)
    begin = rng.integers(0, length, runs)
    there = np.take_along_axis(slow, np.arange(n) + begin[:, np.newaxis], axis=1)
    return rng.normal(size=(runs, n)) + shift * there


def true_of_stretches(q, shift=0.7):
    normal, low, high = NormalDist(), -5.0, 8.0
    for _ in range(60):
        middle = (low + high) / 2
        below = (normal.cdf(middle) + normal.cdf(middle - shift)) / 2
        low, high = (middle, high) if below < q else (low, middle)
    return low


def coverage(values, true, level):
    """How often an interval holds the truth, plain and ours, and how often ours is given."""
    q, n = PERCENTILES[level], values.shape[1]
    ranks, at = list(quantile_ranks(n, q)), np.arange(n, dtype=float)
    low, high = np.partition(values, ranks, axis=1)[:, ranks].T
    ends = [figure(np.exp(row), at).ci[level] for row in values]
    given = [end for end in ends if end]
    held = [low <= math.exp(true) <= high for low, high in given]
    width = np.mean([math.log(high / low) for low, high in given]) if given else math.nan
    return (
        float(np.mean((low <= true) & (true <= high))), float(np.mean(held)) if held else 1.0,
        len(given) / len(ends), float(width / (high - low).mean()),
    )  # fmt: skip


def of_chain(rho, n=1000, level="p50", runs=RUNS):
    values = chain(np.random.default_rng((1, n, int(rho * 10))), runs, n, rho)
    return coverage(values, NormalDist().inv_cdf(PERCENTILES[level]), level)


def of_stretches(level="p50", n=1000):
    values = stretches(np.random.default_rng(2), RUNS, n)
    return coverage(values, true_of_stretches(PERCENTILES[level]), level)


def of_failures(rho, n=1000, share=0.1):
    """How often the interval of an error rate holds it, plain and ours."""
    cut, at = NormalDist().inv_cdf(share), np.arange(n, dtype=float)
    failed = chain(np.random.default_rng((3, int(rho * 10))), RUNS, n, rho) < cut
    both = [(wilson(int(row.sum()), n), share_of(row, at)) for row in failed]
    return tuple(np.mean([pair[k].low <= share <= pair[k].high for pair in both]) for k in (0, 1))


def percents(shares):
    return ", ".join(f"{each:.0%}" for each in shares)


FINDINGS = (
    ("3", "how often the interval of p50 of 1,000 calls holds it, at an autocorrelation of 0.3, "
     "0.6 and 0.9", "91%, 77%, 40%", lambda: percents(of_chain(rho)[1] for rho in RHOS), "95 %"),
    ("3", "the same with slow stretches of 100 calls", "47%, no line",
     lambda: percents([of_stretches()[1]]), "95 %"),
    ("3", "the same of 300 calls, of which each stretch is a third", "61%, no line",
     lambda: percents([of_stretches(n=300)[1]]), "95 %; three stretches that are alike tell nobody"),
    ("3", "how often that of an error rate of 10 % does, at 0, 0.6 and 0.9", "93%, 79%, 43%",
     lambda: percents(of_failures(rho)[1] for rho in (0, 0.6, 0.9)), "95 %"),
    ("3", "how much wider intervals of p50, p95 and p99 of 1,000 independent calls are for that",
     "1", lambda: ", ".join(f"{of_chain(0, level=level)[3]:.2f}" for level in ("p50", "p95", "p99")),
     "1"),
)  # fmt: skip


@pytest.mark.parametrize(("rho", "plain"), [(0.3, 0.9), (0.6, 0.76), (0.9, 0.42)])
def test_the_median_of_calls_that_are_alike_lies_in_its_interval(rho, plain):
    before, now, given, _ = of_chain(rho)
    assert before == pytest.approx(plain, abs=0.06)
    assert now >= 0.91
    assert given == 1


@pytest.mark.parametrize("level", ["p50", "p90", "p95"])
def test_slow_stretches_are_seen(level):
    before, now, given, _ = of_stretches(level)
    assert before < 0.85
    assert now >= 0.9
    assert given >= 0.5


@pytest.mark.parametrize("n", [30, 100, 300])
@pytest.mark.parametrize("rho", RHOS)
def test_what_few_calls_can_not_carry_is_not_given_rather_than_wrong(n, rho):
    """An interval that is given and wrong comes in 5 % of runs, of 30 calls in 10."""
    for level, q in PERCENTILES.items():
        if n >= fewest_for_interval(q):
            _, held, given, _ = of_chain(rho, n, level)
            assert (1 - held) * given <= (0.1 if n < 100 else 0.075), (level, held, given)


@pytest.mark.parametrize("n", [30, 100, 1000])
def test_independent_calls_pay_a_tenth_for_it_at_most(n):
    for level, q in PERCENTILES.items():
        if n >= fewest_for_interval(q):
            _, held, given, width = of_chain(0.0, n, level)
            assert 0.92 <= held <= 0.995
            assert given >= 0.85
            assert width <= 1.13


@pytest.mark.parametrize(("rho", "plain"), [(0.0, 0.95), (0.6, 0.8), (0.9, 0.47)])
def test_the_interval_of_an_error_rate_holds_although_failures_come_in_bursts(rho, plain):
    before, now = of_failures(rho)
    assert before == pytest.approx(plain, abs=0.07)
    assert 0.91 <= now <= 0.99


def test_a_thousand_calls_of_which_each_is_like_the_last_are_worth_as_many_as_the_theory_says():
    """n (1 - r) / (1 + r) (Bayley and Hammersley 1946), less what eight waves cost."""
    for rho in RHOS:
        values = chain(np.random.default_rng(4), RUNS, 1000, rho)
        worth = 1000 / np.mean([1000 / effective_number(row) for row in values])
        assert worth == pytest.approx(1000 * (1 - rho) / (1 + rho) / 1.384, rel=0.15)


def test_a_single_failure_is_no_burst_and_ten_in_a_row_are_one():
    at = np.arange(1000.0)
    assert share_of(at == 3, at) == wilson(1, 1000)
    assert share_of(at < 0, at) == wilson(0, 1000)
    row = share_of((at >= 500) & (at < 510), at)
    assert (row.value, row.of) == (0.01, 1000)
    assert row.high > 2 * wilson(10, 1000).high
