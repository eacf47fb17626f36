"""A comparison's percentiles are those of the summary, of all calls, and a drift is cautioned.

Runs have 600 calls of each of two targets, alternately due, with seeds.
"""

from functools import cache

import numpy as np
import pytest

from holymon.errors import CODES
from holymon.figures.block_ratios import block_ratio
from holymon.figures.blocks import blocks
from holymon.figures.comparison import compare_pairs
from holymon.figures.summary import summarize_target
from tests.figures.test_comparison import latencies, records, rows

RUNS, CALLS = 16, 600


def compared(*sides, deadline=np.inf):
    """Of the latencies of A and of B in one run; what takes longer than `deadline` is cut off."""
    run = run_of(*sides, deadline=deadline)
    return compare_pairs(blocks(run, 0, 1), one_run=True)


def run_of(*sides, deadline=np.inf):
    parts = []
    for k, latency in enumerate(sides):
        part = rows(np.minimum(latency, deadline), k, np.arange(k, 2 * len(latency), 2) / 20)
        part["error"][latency > deadline] = CODES["deadline_exceeded"]
        parts.append(part)
    return records(*parts)


def p95_of(found):
    return next(
        ratio for ratio in found.ratios if (ratio.metric, ratio.stat) == ("latency_s", "p95")
    )


def with_stretches(seed, scale=1.0):
    """Latencies of which those of one call in seven are slow, one after another."""
    slow = (np.arange(CALLS) // 50) % 7 == 3
    return scale * latencies(np.random.default_rng(seed), CALLS, 0.0) * np.where(slow, 2.5, 1.0)


def test_percentiles_are_those_of_the_summary():
    run = run_of(with_stretches(1), with_stretches(2, 1.3))
    found = p95_of(compare_pairs(blocks(run, 0, 1), one_run=True))
    for side, index in ((found.a, 0), (found.b, 1)):
        assert side == pytest.approx(summarize_target(run, index).latency_s.p95, rel=0.01)
    assert found.ratio == pytest.approx(found.b / found.a, rel=0.05)


def cut_off(seed):
    """B is 20 % slower, and a tenth of its calls, which take 3.6 s with A, is cut off at 4 s."""
    rng = np.random.default_rng(seed)
    a, b = (
        scale * np.exp(0.05 * rng.normal(size=CALLS)) * np.where(rng.random(CALLS) < 0.1, 3.5, 1.0)
        for scale in (1.0, 1.2)
    )
    return compared(a, b, deadline=4.0)


@cache
def of_cut_off():
    return [p95_of(cut_off(seed)).result for seed in range(RUNS)]


def test_whoever_cuts_off_what_is_slow_is_not_the_quicker_one():
    results = of_cut_off()
    assert "lower" not in results
    assert results.count("higher") >= 0.7 * RUNS
    assert p95_of(cut_off(1)).cells[2:5] == ("never", "–", "–")
    ends = next(each for each in cut_off(1).to_dict()["ratios"] if each["stat"] == "p95")
    assert (ends["b"], ends["ratio"]) == (None, None), "JSON knows no inf"


def drifting(seed):
    """A service and itself, one side of which becomes slower by a quarter in the course of a run."""
    rng = np.random.default_rng(seed)
    a, b = (latencies(rng, CALLS, 0.3) for _ in range(2))
    return compared(a, b * np.linspace(1.0, 1.25, CALLS))


@cache
def of_drifts():
    """How many are shown, of these how many with a caution, and with one that names the drift."""
    found = [drifting(seed) for seed in range(RUNS)]
    texts = ["; ".join(each.cautions) for each in found if each.shown]
    named = ("looks like a difference", "drifts over the run, from")
    return len(texts), *(sum(words in text for text in texts) for words in named)


def test_a_drift_of_one_side_alone_is_cautioned_every_time():
    shown, cautioned, named = of_drifts()
    assert shown == cautioned > 0.2 * RUNS
    assert named > 0.3 * shown


def test_what_is_not_shown_names_the_effect_that_it_was_held_against():
    rng = np.random.default_rng(1)
    found = compared(latencies(rng, 20_000, 0.0), 1.03 * latencies(rng, 20_000, 0.0))
    first = found.ratios[0]
    assert first.interval[0] > 1
    assert first.interval[1] > 1.05 or first.result == "same"
    small = compared(latencies(rng, CALLS, 0.0), 1.03 * latencies(rng, CALLS, 0.0))
    assert "no difference of 5 % or more shown" in str(small)


def coverage(rho, q, runs=60):
    rng, held = np.random.default_rng(3), 0
    for _ in range(runs):
        a, b = (np.array_split(latencies(rng, CALLS, rho), 20) for _ in range(2))
        low, high = block_ratio(a, b, q, 0.95).interval
        held += low <= 0 <= high
    return held / runs


@pytest.mark.parametrize("q", [0.5, 0.95])
def test_the_interval_holds_the_truth(q):
    assert coverage(0.6, q) >= 0.9


def beside_the_summary():
    run = run_of(with_stretches(1), with_stretches(2, 1.3))
    found = p95_of(compare_pairs(blocks(run, 0, 1), one_run=True))
    return f"{1e3 * found.a:,.0f} beside {1e3 * summarize_target(run, 0).latency_s.p95:,.0f} ms"


def in_words():
    results = of_cut_off()
    return f"{results.count('lower')}, {results.count('higher')}"


FINDINGS = (
    ("1", "B is 20 % slower, and cut off at 4 s: of 16 times its p95 is shown as lower, as higher",
     "14, 0", in_words, "never lower"),
    ("7", "p95 by `compare` beside that of the summary, with slow stretches",
     "782 beside 1,521 ms", beside_the_summary, "the same"),
    ("7", "one side of a service and itself drifts, 16 times: shown, and of these with a caution",
     "8, 0", lambda: "{}, {} ({} name the drift)".format(*of_drifts()), "a caution each time"),
)  # fmt: skip
