"""Quantiles, rates and their intervals are those of the books, to the last rank."""

import math
from itertools import accumulate, pairwise

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from holymon.figures.clusters import bounds_of, clusters_worth
from holymon.figures.effective import autocorrelation
from holymon.figures.quantiles import (
    PERCENTILES,
    fewest,
    figure,
    mean_interval,
    newcombe,
    quantile_ranks,
    student,
    wilson,
)
from holymon.structs import Rate


def below(n, q):
    """P(B <= k) for a binomial B and each k below n."""
    return list(accumulate(math.comb(n, i) * q**i * (1 - q) ** (n - i) for i in range(n)))


@given(st.integers(1, 300), st.sampled_from([0.05, 0.5, 0.9, 0.95, 0.99]), st.sampled_from([0.01, 0.05, 0.2]))  # fmt: skip
def test_ranks_are_the_narrowest_that_leave_out_half_of_alpha_on_either_side(n, q, alpha):
    found, mass = quantile_ranks(n, q, alpha), below(n, q)
    first = max((j for j in range(n) if mass[j] <= alpha / 2), default=None)
    last = min((j for j in range(n) if mass[j] >= 1 - alpha / 2), default=None)
    possible = first is not None and last is not None and first < last
    assert found == ((first, last) if possible else None)


@pytest.mark.parametrize(
    ("n", "q", "ranks"),
    [(10, 0.5, (2, 9)), (20, 0.5, (6, 15)), (100, 0.5, (40, 61)), (100, 0.9, (84, 96)),
     (1000, 0.95, (936, 964)), (1_000_000, 0.5, (499_020, 500_981))],
)  # fmt: skip
def test_ranks_of_the_tables(n, q, ranks):
    """Conover, Practical Nonparametric Statistics; ranks from 1, as the tables count."""
    first, last = quantile_ranks(n, q)
    assert (first + 1, last + 1) == ranks


def test_the_figures_of_a_hundred_values_by_hand():
    found = figure(np.array([*range(100, 0, -1), math.nan]) / 1.0)
    assert (found.n, found.mean, found.max) == (100, 50.5, 100)
    # position n q + (q + 1) / 3, counted from 1.
    expected = {name: 100 * q + (q + 1) / 3 for name, q in PERCENTILES.items()}
    assert {name: getattr(found, name) for name in PERCENTILES} == pytest.approx(expected)
    assert found.ci == {"p50": (40, 61), "p90": (84, 96), "p95": (90, 100), "p99": None}


def test_the_figures_of_nothing_are_none():
    found = figure(np.array([math.nan]))
    assert (found.n, found.mean, found.max, found.p50) == (0, None, None, None)
    assert found.ci == dict.fromkeys(PERCENTILES)


@pytest.mark.parametrize(("q", "n"), [(0.0, 1), (0.3, 1), (0.5, 2), (0.75, 4), (0.999, 1000)])
def test_a_percentile_needs_a_value_that_may_lie_above_it(q, n):
    assert fewest(q) == n


@pytest.mark.parametrize(
    ("hits", "n", "low", "high"),
    [(81, 263, 0.2553, 0.3662), (15, 148, 0.0624, 0.1605), (0, 20, 0.0, 0.1611),
     (1, 29, 0.0061, 0.1718), (29, 29, 0.8830, 1.0)],
)  # fmt: skip
def test_wilsons_interval_is_that_of_newcombes_table(hits, n, low, high):
    """Newcombe 1998 (Two-sided confidence intervals for the single proportion), table I."""
    rate = wilson(hits, n)
    assert (rate.value, rate.of) == (hits / n, n)
    assert (round(rate.low, 4), round(rate.high, 4)) == (low, high)


@given(st.integers(0, 1000), st.integers(0, 1000))
def test_the_interval_of_a_rate_lies_around_it_and_mirrors_that_of_its_opposite(hits, more):
    n = hits + more
    if n == 0:
        assert wilson(0, 0) == Rate(None, None, None, 0)
        return
    rate, other = wilson(hits, n), wilson(more, n)
    assert 0 <= rate.low <= rate.value <= rate.high <= 1
    assert (rate.low, rate.high) == pytest.approx((1 - other.high, 1 - other.low))
    assert (rate.low == 0) == (hits == 0)
    assert (rate.high == 1) == (more == 0)


@pytest.mark.parametrize(
    ("a", "b", "low", "high"),
    [((48, 80), (56, 70), 0.0524, 0.3339), ((3, 10), (9, 10), 0.1705, 0.8090),
     ((0, 29), (5, 56), -0.0381, 0.1926), ((0, 20), (10, 10), 0.6791, 1.0),
     ((0, 10), (0, 10), -0.2775, 0.2775)],
)  # fmt: skip
def test_the_interval_of_a_difference_is_that_of_newcombes_table(a, b, low, high):
    """Newcombe 1998 (Interval estimation for the difference), table II, method 10."""
    found = newcombe(*(Rate(hits / n, None, None, n) for hits, n in (a, b)))
    assert [round(end, 4) for end in found] == pytest.approx([low, high], abs=1e-4)


def test_a_rate_of_nothing_has_no_difference_from_another():
    none, some = Rate(None, None, None, 0), Rate(0.5, None, None, 10)
    assert newcombe(none, some) is None
    assert newcombe(some, none) is None
    assert newcombe(Rate(None, None, None, 10), some) is None
    assert newcombe(some, Rate(None, None, None, 10)) is None


@pytest.mark.parametrize(
    ("df", "level", "t"),
    [(1, 0.5, 1.0), (1, 0.99, 63.6567), (2, 0.9, 2.9200), (3, 0.99, 5.8409), (5, 0.99, 4.0321),
     (6, 0.95, 2.4469), (7, 0.8, 1.4149), (120, 0.95, 1.9799), (2000, 0.95, 1.9612)],
)  # fmt: skip
def test_students_quantiles_at_other_levels(df, level, t):
    assert student(df, level) == pytest.approx(t, abs=1e-4)


def test_students_quantiles_fall_to_the_normal_one_without_a_step():
    found = [student(df) for df in (*range(1, 40), 1999, 2000, 2001, 10**6)]
    assert all(a >= b for a, b in pairwise(found))
    assert found[-1] == pytest.approx(1.959964, abs=1e-6)
    assert student(2000) - student(2001) < 0.0015


def test_autocorrelation_by_hand():
    assert autocorrelation(np.array([1.0, 2.0, 3.0, 4.0])) == pytest.approx(0.25)
    assert autocorrelation(np.array([1.0, -1.0, 1.0, -1.0])) == pytest.approx(-0.75)
    assert autocorrelation(np.array([1.0, 2.0, 3.0])) == 0
    assert autocorrelation(np.array([1.0, 2.0])) is None
    assert autocorrelation(np.array([0.5, 0.5, 0.5])) is None


def test_the_interval_of_neighbours_by_hand():
    """n = 4, r = 0.25 + (1 + 4 * 0.25) / 4 = 0.75: 4 / 7 values, so Student's at one degree."""
    low, high = mean_interval(np.array([1.0, 2.0, 3.0, 4.0]), 0.95, neighbours=True)
    half = 12.7062 * math.sqrt(5 / 3) / math.sqrt(4 * 0.25 / 1.75)
    assert (low, high) == pytest.approx((2.5 - half, 2.5 + half), rel=1e-4)
    # Values that jump to and fro are not taken for more than they are.
    jumps = np.array([1.0, -1.0] * 10)
    assert mean_interval(jumps, 0.95, neighbours=True) == mean_interval(jumps, 0.95)


def test_the_likeness_of_neighbours_has_a_bound_so_that_their_interval_has_one():
    x = np.array([0.0] * 10 + [1.0] * 10)  # r + (1 + 4 r) / n is over 1
    low, high = mean_interval(x, 0.95, neighbours=True)
    half = 12.7062 * x.std(ddof=1) / math.sqrt(20 * 0.05 / 1.95)
    assert (low, high) == pytest.approx((0.5 - half, 0.5 + half), rel=1e-4)


def test_the_degrees_of_freedom_of_neighbours_are_those_of_the_values_they_count_as():
    x = np.random.default_rng(4).normal(size=60)
    x[1:] += 0.5 * x[:-1]
    r = autocorrelation(x)
    r += (1 + 4 * r) / 60
    fewer = 60 * (1 - r) / (1 + r)
    half = student(round(fewer) - 1, 0.99) * x.std(ddof=1) / math.sqrt(fewer)
    assert mean_interval(x, 0.99, neighbours=True) == pytest.approx((x.mean() - half, x.mean() + half))  # fmt: skip


def clustered(histogram, sizes, below):
    def upto(bins):
        return [below(here) for here in bins]

    return bounds_of(histogram, clusters_worth(histogram, sizes, upto, alike=True, uneven=False))


def of_clusters(bins):
    """The intervals of values in bins, shape (clusters, values in each)."""
    return clustered(np.bincount(bins.ravel()), np.full(len(bins), bins.shape[1]),
                     lambda here: (bins <= here).sum(axis=1))  # fmt: skip


def test_values_of_clusters_that_are_all_alike_count_once_for_each_cluster():
    """Ten times the same value in each of n clusters tells no more than n values."""
    single = np.random.default_rng(1).permutation(100)[:, np.newaxis]
    once, often = of_clusters(single), of_clusters(np.repeat(single, 10, axis=1))
    assert often == once
    ranks = {name: quantile_ranks(100, q) for name, q in PERCENTILES.items()}
    for name in ("p50", "p90", "p95"):
        assert np.abs(np.subtract(once[name], ranks[name])).max() <= 3
    assert once["p99"] is None


def test_values_that_lie_in_one_bin_have_their_interval_there():
    """Nine clusters tell as much as six values: their likeness is not known, but estimated."""
    assert of_clusters(np.full((9, 4), 3)) == {"p50": (3, 3), "p90": None, "p95": None, "p99": None}
    assert of_clusters(np.full((8, 4), 3))["p50"] is None
    assert of_clusters(np.full((400, 2), 7))["p99"] == (7, 7)


def test_clusters_without_values_are_none():
    bins = np.arange(50)[:, np.newaxis] % 7
    sizes = np.repeat([1, 0], [50, 30])
    within = lambda here: np.concatenate([(bins[:, 0] <= here), np.zeros(30)]).astype(np.int64)  # noqa: E731
    with_empty = clustered(np.bincount(bins.ravel()), sizes, within)
    assert with_empty == of_clusters(bins)


def test_the_interval_of_clustered_values_by_hand():
    """Korn and Graubard: 40 pairs of unlike values, half of them in bin 0 and half in bin 1.

    Each cluster has one value of each: the share of bin 0 does not vary at all from cluster to
    cluster, so that the pairs count as what they are, 80 values at most, less the t over the normal.
    """
    opposite = np.array([[0, 1]] * 40)
    assert of_clusters(opposite)["p50"] == (0, 1)
    # Alike in pairs of clusters: variance of the share 1 / 40, so 40 clusters for the median.
    alike = np.array([[k, k] for k in np.random.default_rng(1).permutation(40)])
    q, t = 0.5, student(39)
    share = 20 / 40  # of the values, those up to the bin that holds the median (bins 0 to 19)
    spread = 40 * (2 * share) ** 2 * 40 / 39 / 80**2
    effective = int(min(share * (1 - share) / spread, 80) * (1.959963984540054 / t) ** 2)
    low, high = quantile_ranks(effective, q)
    ends = [math.ceil((rank + 0.5) / effective * 80 / 2) - 1 for rank in (low, high)]
    assert of_clusters(alike)["p50"] == tuple(ends)


def test_percentiles_are_numpys_median_unbiased_and_may_be_infinite():
    rng = np.random.default_rng(1)
    for n in (1, 2, 10, 19, 100, 333):
        values = rng.lognormal(size=n)
        found = figure(values)
        for name, q in PERCENTILES.items():
            if n >= fewest(q):
                assert getattr(found, name) == np.quantile(values, q, method="median_unbiased")
    never = figure(np.where(np.arange(100) < 92, 1.0, np.inf))
    assert (never.p90, never.p95, never.ci["p90"]) == (1.0, math.inf, (1.0, math.inf))


def test_values_that_differ_by_rounding_only_have_no_autocorrelation():
    """Moments late in a day have fewer digits left: what they differ by is alike, and is nothing."""
    ends = 80_000 + np.arange(100) / 7
    assert autocorrelation((ends + 0.1) - ends) is None
    assert autocorrelation(np.log((ends + 0.1) - ends)) is None
    assert autocorrelation(np.array([1.0, 2.0])) is None
    assert autocorrelation(np.arange(50.0)) > 0.9
