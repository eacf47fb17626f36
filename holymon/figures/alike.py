"""What is said of intervals where successive calls are alike: sentences, from figures."""

from collections.abc import Mapping
from typing import Final

import numpy as np

from holymon.figures.effective import Bools, effective_number
from holymon.figures.quantiles import PERCENTILES, Figure, Floats, fewest_for_interval
from holymon.language.said import glued, listed, say

TOLD: Final = 3.6
"""From this design effect on it is said: independent calls have it once in 130 times."""
FEW: Final = 20
"""With fewer independent values than this, intervals are rough themselves."""


Worth = tuple[float, str, str, int]
"""As what part of their number values count, of which duration, for which percentile, how many."""


def about_alike(figures: Mapping[str, Figure], beside: Mapping[str, Figure]) -> tuple[str, ...]:
    """What became of the intervals of durations, by their names, in a sentence or two if anything.

    One speaks of those that lost theirs, the other, where no duration in `figures` did, of the
    median among these that is worth least. How sure medians of those `beside` are nobody asks.
    """
    ours, others = _worth(figures), _worth(beside)
    lost = [some for some in (*ours, *others) if not _carries(*some) and _carries(1, *some[1:])]
    medians = [some for some in ours if some[2] == "p50" and some[0] * TOLD < 1]
    notes = []
    if medians and not any(some in lost for some in ours):
        few = min(medians)
        rough: str = say("; so few may still be too narrow: a longer run tells more")
        rough *= int(few[0] * few[3]) < FEW
        notes.append(say("{alike}, and intervals are that much wider{rough}.", alike=_count(*few),
                         rough=rough))  # fmt: skip
    if lost:
        need = fewest_for_interval(PERCENTILES[lost[0][2]])
        names = listed(", ", (glued(name, " ", level) for _, name, level, _ in lost))
        notes.append(say("{alike}, and {need} are needed: no interval for {names}; a longer run "
                         "has it.", alike=_count(*lost[0]), need=need, names=names))  # fmt: skip
    return tuple(notes)


def _worth(figures: Mapping[str, Figure]) -> list[Worth]:
    return [
        (figure.counts_as.get(level, figure.n) / figure.n, name, level, figure.n)
        for name, figure in figures.items()
        for level in PERCENTILES
        if getattr(figure, level) is not None
    ]


def _count(part: float, name: str, level: str, n: int) -> str:
    return say("successive calls are alike: for {name} {level}, {n:,} count as {worth:,}",
               name=name, level=level, n=n, worth=int(part * n))  # fmt: skip


def _carries(part: float, _: str, level: str, n: int) -> bool:
    """Whether so large a part of n values makes an interval of a percentile."""
    return int(part * n) >= fewest_for_interval(PERCENTILES[level])


def about_failures(failed: Bools) -> tuple[str, ...]:
    """Whether failures come in bursts; shape (n,), in the order of time."""
    n = len(failed)
    worth = int(effective_number(failed)) if failed.sum() > 1 else n
    if worth * TOLD >= n:
        return ()
    return (say("failures come one after another: for the error rate, {n:,} calls count as "
                "{worth:,}, and its interval is that much wider.", n=n, worth=worth),)  # fmt: skip


def about_course(latencies: Floats) -> tuple[str, ...]:
    """Whether durations changed with a load that was to change; shape (n,), in the order of time.

    Its slow waves are the plan's own, so nothing is known of other likeness.
    """
    known = latencies[~np.isnan(latencies)]
    if effective_number(known) * TOLD >= len(known):
        return ()
    return (say("the load changed by plan, and latencies with it: intervals take calls for "
                "independent, and may be too narrow."),)  # fmt: skip
