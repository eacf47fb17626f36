"""The interval of answers/s holds what a server can do: of users who wait, and of an open loop."""

import math

import numpy as np
import pytest

from holymon.figures.throughput import rate_interval
from tests.promises.statistics.test_successive_calls import chain

RUNS, USERS, CALLS = 120, 4, 400


def closed(rho, seed):
    """Answers of users who wait for each: lognormal times, alike from one to the next."""
    took = 0.5 * np.exp(0.5 * chain(np.random.default_rng((6, seed)), 1, CALLS, rho)[0])
    free, starts = np.zeros(USERS), np.zeros(CALLS)
    for i in range(CALLS):
        user = free.argmin()
        starts[i], free[user] = free[user], free[user] + took[i]
    return {"start_s": starts, "end_s": starts + took}, float(free.mean())


def open_loop(rho, seed):
    """Answers of a server that is always busy, one after the other."""
    took = 0.05 * np.exp(0.5 * chain(np.random.default_rng((7, seed)), 1, CALLS, rho)[0])
    ends = took.cumsum()
    return {"start_s": ends - took, "end_s": ends}, float(ends[-1])


def coverage(make, rho, true, *, is_closed):
    held, widths = [], []
    for seed in range(RUNS):
        rows, seconds = make(rho, seed)
        low, high = rate_interval(rows, np.ones(CALLS), seconds, closed=is_closed)
        held.append(low <= true <= high)
        widths.append((high - low) / true)
    return np.mean(held), np.mean(widths)


@pytest.mark.parametrize("rho", [0.0, 0.6])
def test_the_rate_of_users_who_wait_is_in_its_interval(rho):
    """A user makes an answer in 0.5 exp(0.5^2 / 2) s on average."""
    mean = 0.5 * math.exp(0.125)
    held, width = coverage(closed, rho, USERS / mean, is_closed=True)
    assert 0.9 <= held <= 1
    assert width < (0.2 if rho == 0 else 0.35)


@pytest.mark.parametrize("rho", [0.0, 0.6])
def test_the_rate_of_a_server_that_is_always_busy_is_in_its_interval(rho):
    held, width = coverage(open_loop, rho, 1 / (0.05 * math.exp(0.125)), is_closed=False)
    assert 0.9 <= held <= 1
    assert width < (0.2 if rho == 0 else 0.35)


def test_evenly_spaced_answers_have_a_narrow_interval_and_few_have_none():
    ends = np.arange(1.0, 201.0)
    rows = {"start_s": ends - 0.5, "end_s": ends}
    low, high = rate_interval(rows, np.ones(200), 200.0, closed=False)
    assert (low, high) == pytest.approx((1, 1), abs=0.02)
    few = {name: values[:29] for name, values in rows.items()}
    assert rate_interval(few, np.ones(29), 29.0, closed=False) is None
    assert rate_interval(rows, np.zeros(200), 200.0, closed=False) is None
