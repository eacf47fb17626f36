"""How long a queue remembers, what of its start is discarded, and as how many calls count."""

import math

import numpy as np
import pytest

from holymon.figures.steady import (
    BLOCKS,
    effective,
    grows,
    memory,
    smaller,
    stretch_of,
    tail,
    under_way,
    warm_cells,
)


def autoregressive(rng, n, keeps):
    values = np.empty(n)
    values[0] = rng.normal() / math.sqrt(1 - keeps**2)
    for i, step in enumerate(rng.normal(size=n - 1)):
        values[i + 1] = keeps * values[i] + step
    return values


def test_calls_under_way_are_counted_by_their_time():
    starts, ends = np.array([0.0, 0.5, 2.5]), np.array([1.0, np.nan, 2.75])
    edges = np.array([0.0, 1.0, 2.0, 3.0])
    assert under_way(starts, ends, edges) == pytest.approx([1.5, 1.0, 1.25])
    assert list(under_way(starts[:0], ends[:0], edges)) == [0, 0, 0]


@pytest.mark.parametrize("keeps", [0.0, 0.5, 0.8, 0.9])
def test_memory_is_the_sum_of_autocorrelations(keeps):
    rng = np.random.default_rng(1)
    found = np.median([memory(autoregressive(rng, 500, keeps)) for _ in range(60)])
    assert found == pytest.approx((1 + keeps) / (1 - keeps), rel=0.2)


@pytest.mark.parametrize("values", [np.zeros(50), np.full(50, 0.3), np.ones(1)])
def test_what_never_changes_remembers_nothing(values):
    assert memory(values) == 1


def test_a_walk_is_like_itself_for_a_large_part_of_its_length():
    rng = np.random.default_rng(2)
    found = [memory(rng.normal(size=500).cumsum()) for _ in range(40)]
    assert np.quantile(found, 0.05) > 500 / 20


def test_a_start_that_was_still_filling_is_discarded_and_a_busy_one_is_not():
    rng = np.random.default_rng(3)
    noise, ramp = rng.normal(size=500), np.minimum(np.arange(500) / 100, 1)
    assert 50 <= warm_cells(10 * ramp + noise) <= 120
    assert warm_cells(10 * (1 - ramp) + noise) < 20
    assert warm_cells(np.arange(500.0)) <= 255, "never more than half"
    assert warm_cells(np.zeros(3)) == 0


def test_what_is_stationary_grows_as_rarely_as_was_asked():
    rng = np.random.default_rng(4)
    for keeps in (0.0, 0.9, 0.99):
        seen = [grows(autoregressive(rng, 500, keeps), 0.05) for _ in range(100)]
        assert np.mean(seen) <= 0.05
    assert all(grows(np.arange(500) / 50 + rng.normal(size=500), 0.001) for _ in range(20))
    assert not grows(-np.arange(500.0), 0.05)
    assert not grows(np.arange(9.0), 0.05)


def test_independent_calls_count_for_themselves_and_clusters_for_one():
    rng = np.random.default_rng(5)
    block = np.repeat(np.arange(30), 100)
    alone = [effective((rng.random(3000) < 0.05) * 1.0, np.ones(3000), block, 30)
             for _ in range(50)]  # fmt: skip
    together = [
        effective(np.repeat(rng.random(300) < 0.05, 10) * 1.0, np.ones(3000), block, 30)
        for _ in range(50)
    ]
    assert np.median(alone) == pytest.approx(3000, rel=0.1)
    assert np.median(together) == pytest.approx(300, rel=0.15)
    assert effective(np.zeros(3000), np.ones(3000), block, 30) == 3000


def test_few_blocks_and_short_ones_make_calls_count_for_less():
    rng = np.random.default_rng(6)
    marks, block = np.repeat(rng.random(300) < 0.3, 10) * 1.0, np.repeat(np.arange(30), 100)
    long, short = (effective(marks, np.ones(3000), block, 30, beside=b) for b in (0.0, 0.5))
    assert short == pytest.approx(long * 0.75)
    assert smaller(9, 0.025) == pytest.approx((1.95996 / 2.26216) ** 2, rel=1e-4)
    assert smaller(5000, 0.025) == pytest.approx(1)


@pytest.mark.parametrize(
    ("k", "n", "p"), [(0, 20, 0.05), (3, 20, 0.05), (19, 20, 0.5), (7, 9, 0.9)]
)
def test_the_tail_is_that_of_the_binomial_law(k, n, p):
    exact = sum(math.comb(n, i) * p**i * (1 - p) ** (n - i) for i in range(k + 1))
    assert tail(k, n, p) == pytest.approx(exact)


def test_the_tail_has_ends():
    assert (tail(-1, 20, 0.1), tail(20, 20, 0.1), tail(0, 0, 0.1)) == (0, 1, 1)
    assert (tail(3, 20, 0.0), tail(3, 20, 1.0)) == (1, 0)
    assert tail(900, 20_000, 0.05) == pytest.approx(0.0005, abs=2e-4)


def test_a_level_that_fills_at_first_is_steady_from_then_on_and_is_cut_by_its_memory():
    starts = np.arange(0, 60, 0.01)
    level = stretch_of(starts, starts + 3.0, 60.0, 0.05)  # 300 under way, from the third second on
    assert 2.0 <= level.since_s <= 30.0
    assert (level.until_s, level.grows) == (60.0, False)
    assert level.seconds == pytest.approx(60 - level.since_s)
    assert level.looks == pytest.approx(level.seconds / level.memory_s)
    rng = np.random.default_rng(3)
    busy = stretch_of(np.sort(rng.uniform(0, 60, 6000)), np.full(6000, np.nan), 60.0, 0.05)
    assert busy.grows  # what never ends piles up
    noisy = np.sort(rng.uniform(0, 60, 6000))
    other = stretch_of(noisy, noisy + 0.05, 60.0, 0.05)
    assert BLOCKS[0] <= other.many <= BLOCKS[1]
    assert other.many == int(min(max(other.looks / 2, BLOCKS[0]), BLOCKS[1]))
    assert other.beside == pytest.approx(other.memory_s * other.many / other.seconds)
