"""What a search for a capacity calls certain is true of servers with a queue, however short levels.

`tests/bench/capacity.py` has all servers, and many searches of each.
"""

import numpy as np
import pytest

from holymon.experiments.bounds import Bounds, Step, error_of
from tests.queues import QUEUES, measured, searched

BY_NAME = {queue.name: queue for queue in QUEUES}


def wrong_of(queue, found):
    """How many certain statements of a search there are, and how many of them are wrong."""
    true = queue.capacity()
    met, missed = found.surely_met, found.surely_missed
    wrong = (met is not None and met.rate > true) + (missed is not None and missed.rate < true)
    return wrong, (met is not None) + (missed is not None)


def at_the_limit(name, seconds, above, levels):
    """How many levels are for certain on the wrong side of a limit so close."""
    queue = BY_NAME[name]
    bounds = Bounds((f"ttft_p95<{queue.limit_s}",), seconds=seconds)
    step = Step(queue.capacity() * above, seconds, error_of(0))
    made = [measured(queue, step, bounds, seed) for seed in range(levels)]
    return sum(level.sure and level.met == (above > 1) for level in made)


def of_searches(name, seconds, searches):
    queue = BY_NAME[name]
    counts = [wrong_of(queue, searched(queue, seconds, seed)) for seed in range(searches)]
    return sum(wrong for wrong, _ in counts), sum(of for _, of in counts)


def of_certain(seconds):
    wrong, of = of_searches("M/M/8", seconds, 60)
    return f"{wrong} of {of}"


def of_limit():
    return f"{at_the_limit('M/M/8', 10, 1.001, 100)} of 100"


FINDINGS = (
    ("2", "M/M/8, levels of 10 s: certain statements of 60 searches that are wrong", "26 of 119",
     lambda: of_certain(10), "5 % at most"),
    ("2", "M/M/8, levels of 30 s: certain statements of 60 searches that are wrong", "23 of 120",
     lambda: of_certain(30), "5 % at most"),
    ("2", "M/M/8 just above its limit: levels of 10 s that surely met it", "43 of 100", of_limit,
     "5 % at most"),
)  # fmt: skip


@pytest.mark.parametrize("name", ["M/M/8", "M/D/8", "batches of 16"])
def test_no_level_is_certain_to_be_on_the_wrong_side_of_its_limit(name):
    assert at_the_limit(name, 10, 1.01, 20) + at_the_limit(name, 10, 0.99, 15) <= 1


def test_what_a_search_is_certain_of_is_true_and_what_it_finds_is_near():
    for name in ("M/M/8", "M/D/8"):
        queue = BY_NAME[name]
        found = [searched(queue, 10, seed) for seed in range(2)]
        counts = [wrong_of(queue, each) for each in found]
        assert sum(wrong for wrong, _ in counts) == 0
        assert sum(of for _, of in counts) >= 2
        rates = [each.best.rate / queue.capacity() for each in found]
        assert all(0.85 < rate < 1.2 for rate in rates)
        assert np.median(rates) == pytest.approx(1, abs=0.1)
