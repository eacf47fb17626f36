"""Targets of one run, each with arrivals of its own, are told apart where they differ, only there.

Prompts differ much (their logs by 0.8), the network wanders for both (over 20 s, logs by 0.3).
"""

import numpy as np
import pytest

from holymon.figures.blocks import blocks
from holymon.figures.comparison import compare_pairs
from holymon.plan.plan import Open, Plan
from holymon.plan.shapes import constant, poisson
from tests.figures.test_comparison import A, B, records, rows

RUNS, CALLS, WANDER_S = 20, 600, 20.0


def wander(rng, seconds):
    keeps, steps = np.exp(-1 / WANDER_S), rng.normal(size=seconds)
    level = np.zeros(seconds)
    for i in range(1, seconds):
        level[i] = keeps * level[i - 1] + np.sqrt(1 - keeps**2) * steps[i]
    return level


def run(seed, shape, slower):
    times, numbers = Plan(
        targets=(A, B), load=Open(shape), requests=CALLS, seed=seed
    ).schedule()  # fmt: skip
    rng = np.random.default_rng((1, seed))
    prompt, network = 0.8 * rng.normal(size=CALLS), 0.3 * wander(rng, 150)
    parts = []
    for target, scale in enumerate((1.0, slower)):
        here = numbers % 2 == target
        due, own = times[here], 0.2 * rng.normal(size=CALLS)
        logs = prompt[numbers[here] // 2] + np.interp(due, np.arange(150), network) + own
        part = rows(0.5 * scale * np.exp(logs), target, due)
        part["request"] = numbers[here]
        parts.append(part)
    return records(*parts)


def shown(shape, slower, *, scheduled=True):
    found = 0
    for seed in range(RUNS):
        made = run(seed, shape, slower)
        compared = compare_pairs(blocks(made, 0, 1, scheduled=scheduled), one_run=True)
        found += any(ratio.result in {"higher", "lower"} for ratio in compared.ratios)
    return found


@pytest.mark.parametrize("shape", [poisson(10), constant(10)], ids=lambda s: s.arrivals)
def test_a_service_is_hardly_ever_told_from_itself(shape):
    assert shown(shape, 1.0) <= 1


def test_a_difference_is_seen_more_often_in_couples_than_in_blocks_of_time_alone():
    couples, alone = (shown(poisson(10), 1.15, scheduled=how) for how in (True, False))
    assert couples >= RUNS * 0.6
    assert couples > alone
