"""Each of several targets is called as if it were alone, and bursts are as many as the rate says.

Before, one schedule was dealt out, which is too even for each target; the table in README.md has
what came of it.
"""

import numpy as np
import pytest

from holymon.plan.arrivals import due
from holymon.plan.plan import Open, Plan, Target
from holymon.plan.shapes import constant, poisson

RATE = 20.0


def dispersion(many):
    """Variance over mean of the calls of a target in each second."""
    counts = np.concatenate([
        np.histogram(times, 200, (0, 200))[0]
        for seed in range(20 // many) for times in streams(many, poisson(RATE), 200, seed)
    ])  # fmt: skip
    assert counts.mean() == pytest.approx(RATE, rel=0.02)
    return counts.var() / counts.mean()


def spread(many):
    """The largest coefficient of variation of evenly spaced gaps."""
    gaps = [np.diff(times) for times in streams(many, constant(RATE), 100, seed=3)]
    return max(each.std() / each.mean() for each in gaps)


def queue(many):
    """The mean over runs of the p95 of waits at a server that is 80 % busy, in seconds."""
    return np.mean([
        wait_p95(times, np.random.default_rng((seed, j)), RATE / 0.8)
        for seed in range(40 // many)
        for j, times in enumerate(streams(many, poisson(RATE), 1000, seed))
    ])  # fmt: skip


def bursts(cv):
    """The mean number of gamma calls where 1,000 are wanted, and its standard error."""
    shape = constant(100).arriving("gamma", cv=cv)
    counts = [len(due(shape, end=10, seed=seed)) for seed in range(2000)]
    return np.mean(counts), np.std(counts) / np.sqrt(len(counts))


def streams(many, shape, seconds, seed):
    """When each target is called."""
    targets = tuple(
        Target(provider="p", model=f"m{k}", base_url="http://127.0.0.1:1/v1") for k in range(many)
    )
    plan = Plan(targets=targets, load=Open(shape), duration_s=seconds, seed=seed)
    times, numbers = plan.schedule()
    return [times[numbers % many == j] for j in range(many)]


def wait_p95(starts, rng, capacity):
    """The p95 of waits in the queue of one server (Lindley 1952), in seconds."""
    service = rng.exponential(1 / capacity, len(starts))
    slack = np.concatenate([[0.0], np.cumsum(service[:-1] - np.diff(starts))])
    return np.quantile(slack - np.minimum.accumulate(slack), 0.95)


FINDINGS = (
    ("5", "two targets, Poisson: variance / mean of the calls of each", "0.52",
     lambda: f"{dispersion(2):.2f}", "1"),
    ("5", "two targets, evenly spaced: cv of the gaps of each", "0.35",
     lambda: f"{spread(2):.2f}", "0"),
    ("5", "p95 wait in a queue that is 80 % busy, with one, two and four targets in the plan",
     "0.551, 0.414, 0.349 s", lambda: ", ".join(f"{queue(many):.3f}" for many in (1, 2, 4)) + " s",
     "0.555 s"),
    ("5", "calls of gamma arrivals of cv 10 where 1,000 are wanted", "1,048",
     lambda: f"{bursts(10)[0]:,.0f}", "1,000"),
)  # fmt: skip


@pytest.mark.parametrize("many", [1, 2, 4])
def test_counts_of_each_poisson_stream_vary_as_they_should(many):
    assert dispersion(many) == pytest.approx(1, abs=0.08)


@pytest.mark.parametrize("many", [1, 2, 4])
def test_evenly_spaced_calls_are_that_for_each_target(many):
    assert spread(many) == pytest.approx(0, abs=1e-9)


@pytest.mark.parametrize("many", [1, 2, 4])
def test_a_queue_waits_as_long_however_many_targets_there_are(many):
    """M/M/1 at 80 %: P(wait > t) = 0.8 exp(-(25 - 20) t), so p95 is ln(0.8 / 0.05) / 5."""
    assert queue(many) == pytest.approx(np.log(0.8 / 0.05) / 5, rel=0.08)


def test_streams_know_nothing_of_one_another():
    pairs = [
        np.corrcoef([np.histogram(times, 300, (0, 300))[0] for times in both])[0, 1]
        for seed in range(20) for both in [streams(2, poisson(RATE), 300, seed)]
    ]  # fmt: skip
    assert abs(np.mean(pairs)) < 4 / np.sqrt(20 * 300)


@pytest.mark.parametrize("cv", [0.3, 3, 10])
def test_bursts_are_as_many_as_the_rate_says(cv):
    mean, error = bursts(cv)
    assert mean == pytest.approx(1000, abs=3.5 * error + 0.5)
    assert error < 10, "so that 50 calls too many would be seen"
