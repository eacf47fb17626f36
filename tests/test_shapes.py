"""Schedules are arrays with the counts, rates and gaps that their theory says."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from holymon.shapes import cumulative, due


def flat(rate, seconds):
    return [(0.0, rate), (seconds, rate)]


@given(st.floats(0.1, 500), st.floats(0.1, 20))
def test_a_constant_rate_is_one_call_each_interval_from_the_start(rate, seconds):
    times = due(flat(rate, seconds), "constant")
    assert len(times) == pytest.approx(np.ceil(rate * seconds), abs=1)
    np.testing.assert_allclose(times, np.arange(len(times)) / rate, atol=1e-9)
    assert times[-1] < seconds


@pytest.mark.parametrize(("rate", "seconds", "n"), [(20, 10, 200), (5, 30, 150), (3, 1, 3)])
def test_whole_products_give_exactly_so_many_calls(rate, seconds, n):
    assert len(due(flat(rate, seconds), "constant")) == n


def test_poisson_counts_have_the_mean_and_the_variance_of_their_rate():
    counts = np.array([len(due(flat(50, 4), "poisson", seed=seed)) for seed in range(800)])
    assert counts.mean() == pytest.approx(200, abs=4 * np.sqrt(200 / 800))
    assert counts.var() == pytest.approx(200, rel=0.2)


def test_poisson_gaps_are_exponential():
    gaps = np.diff(due(flat(100, 100), "poisson", seed=1), prepend=0)
    x = np.sort(gaps)
    theory = 1 - np.exp(-100 * x)
    distance = np.abs(theory - np.arange(1, len(x) + 1) / len(x)).max()
    assert distance < 1.63 / np.sqrt(len(x)), "Kolmogorov and Smirnov at 1 %"


@given(st.integers(0, 1000), st.floats(1, 100))
def test_a_seed_is_a_schedule_and_its_times_are_in_order(seed, rate):
    times = due(flat(rate, 3), "poisson", seed=seed)
    np.testing.assert_array_equal(times, due(flat(rate, 3), "poisson", seed=seed))
    assert (np.diff(times) >= 0).all()
    assert len(times) == 0 or (times[0] >= 0 and times[-1] < 3)


@given(
    st.lists(st.tuples(st.floats(0.1, 5), st.floats(0, 50)), min_size=2, max_size=6),
    st.sampled_from(["constant", "poisson"]),
)
def test_on_any_polyline_the_area_up_to_call_n_is_its_step(pieces, arrivals):
    t = np.cumsum([0, *(width for width, _ in pieces)][: len(pieces)])
    points = [(float(a), rate) for a, (_, rate) in zip(t, pieces, strict=True)]
    times = due(points, arrivals, seed=3)
    assert (np.diff(times) >= -1e-9).all()
    assert ((times >= 0) & (times <= points[-1][0] + 1e-9)).all()
    if arrivals == "constant" and len(times):
        corners, area = cumulative(points)
        rates = np.array([rate for _, rate in points])
        at = np.interp(times, corners, rates)
        k = np.clip(np.searchsorted(corners, times, side="right") - 1, 0, len(corners) - 2)
        upto = area[k] + (times - corners[k]) * (rates[k] + at) / 2
        np.testing.assert_allclose(upto, np.arange(len(times)), atol=1e-3)


def test_a_limit_keeps_the_first():
    times = due(flat(10, 10), "constant", limit=7)
    np.testing.assert_allclose(times, np.arange(7) / 10)
