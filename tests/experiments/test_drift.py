"""Times that rise until the load ends are seen, and steady ones are hardly ever taken for rising."""

import numpy as np
import pytest

from holymon.experiments.drift import FEWEST, rising


@pytest.mark.parametrize("n", [60, 400])
def test_a_queue_that_grows_is_seen(n):
    noise = np.random.default_rng(1).lognormal(0, 0.1, n)
    assert rising(0.1 * noise + np.linspace(0, 0.2, n))


def test_steady_times_are_taken_for_rising_in_one_of_a_hundred_at_most():
    rng = np.random.default_rng(2)
    assert sum(rising(rng.lognormal(-2, 0.5, 150)) for _ in range(1000)) <= 10


def test_a_rise_too_small_to_matter_and_a_fall_are_none():
    assert not rising(np.linspace(1.0, 1.1, 1000))
    assert not rising(np.linspace(2.0, 1.0, 100))
    assert not rising(np.ones(100))


def test_few_times_show_nothing():
    assert not rising(np.arange(2 * FEWEST - 1) + 1.0)
    assert rising(np.arange(2 * FEWEST) + 1.0)
    assert not rising(np.empty(0))
