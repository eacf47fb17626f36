"""What is said of intervals where successive calls are alike: sentences, from figures."""

from collections.abc import Mapping
from typing import Final

import numpy as np

from holymon.figures.effective import Bools, effective_number
from holymon.figures.quantiles import PERCENTILES, Figure, Floats, fewest_for_interval

TOLD: Final = 3.6
"""From this design effect on it is said: independent calls have it once in 130 times."""
FEW: Final = 20
"""With fewer independent values than this, intervals are rough themselves."""


def about_alike(figures: Mapping[str, Figure]) -> tuple[str, ...]:
    """What became of the intervals of these durations, by their names, in one sentence if any.

    It speaks of the first that lost its interval, else of the median that is worth least.
    """
    each = [
        (figure.counts_as.get(level, figure.n) / figure.n, name, level, figure.n)
        for name, figure in figures.items()
        for level in PERCENTILES
        if getattr(figure, level) is not None
    ]
    lost = [some for some in each if not _carries(*some) and _carries(1, *some[1:])]
    medians = [some for some in each if some[2] == "p50" and some[0] * TOLD < 1]
    if not lost and not medians:
        return ()
    part, name, level, n = lost[0] if lost else min(medians)
    worth = int(part * n)
    text = f"successive calls are alike: for {name} {level}, {n:,} count as {worth:,}"
    if not lost:
        rough = "; so few may still be too narrow: a longer run tells more" * (worth < FEW)
        return (f"{text}, and intervals are that much wider{rough}.",)
    names = ", ".join(f"{name} {level}" for _, name, level, _ in lost)
    return (f"{text}, and {fewest_for_interval(PERCENTILES[level])} are needed: no interval for "
            f"{names}; a longer run has it.",)  # fmt: skip


def _carries(part: float, _: str, level: str, n: int) -> bool:
    """Whether so large a part of n values makes an interval of a percentile."""
    return int(part * n) >= fewest_for_interval(PERCENTILES[level])


def about_failures(failed: Bools) -> tuple[str, ...]:
    """Whether failures come in bursts; shape (n,), in the order of time."""
    n = len(failed)
    worth = int(effective_number(failed)) if failed.sum() > 1 else n
    if worth * TOLD >= n:
        return ()
    return (f"failures come one after another: for the error rate, {n:,} calls count as {worth:,}, "
            "and its interval is that much wider.",)  # fmt: skip


def about_course(latencies: Floats) -> tuple[str, ...]:
    """Whether durations changed with a load that was to change; shape (n,), in the order of time.

    Its slow waves are the plan's own, so nothing is known of other likeness.
    """
    known = latencies[~np.isnan(latencies)]
    if effective_number(known) * TOLD >= len(known):
        return ()
    return ("the load changed by plan, and latencies with it: intervals take calls for "
            "independent, and may be too narrow.",)  # fmt: skip
