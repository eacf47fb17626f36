"""Gaps between received pieces with tokens (ITL): their percentiles, and how sure those are.

Gaps were counted in bins of 1 %. A percentile is read at the middle of its bin; its interval
reaches to the outer edges of the bins at its ends, so that it holds the truth however even the
gaps are. The gaps of one answer are alike (`quantiles.clustered`).
"""

import math
from collections.abc import Sequence
from typing import Any, Final

import numpy as np
import numpy.typing as npt

from holymon.figures.all_calls import OfAll
from holymon.figures.clusters import Bounds, bounds_of, clusters_worth, with_lost
from holymon.figures.effective import Bools, rank_correlation
from holymon.figures.quantiles import (
    PERCENTILES,
    Counts,
    Figure,
    fewest,
    fewest_for_interval,
    figure,
)
from holymon.language.said import say
from holymon.records.attempt import gap_edges, gap_value
from holymon.records.chosen import Chosen
from holymon.records.gaps import BINS, counts_of, histogram, sums, sums_upto
from holymon.records.records import Records

LONGER: Final = 0.3
"""From this rank correlation of the length of answers and their slowness on it is said."""

BEYOND: Final = 8
ENOUGH: Final = 25
"""Answers beyond a percentile that carry an interval although slow ones are long, if it is made
wider, and that carry it as it is: by simulation (tests/promises/statistics), to cover 0.93."""


def gap_figure(
    records: Records, where: Bools, good: Chosen, *, alike: bool = True, lost: int = 0,
    part: float = 1.0,
) -> tuple[Figure, OfAll, tuple[str, ...]]:  # fmt: skip
    """The figures of single gaps of the rows `where`, and of all; what is to be known too.

    `good` are the same rows in the order of time; whether successive ones may be `alike`. `lost`
    more failed, and judging by these, calls are worth a `part` of their number.

    The maximum is exact. Where slower answers are longer too, a few of them hold most of the slow
    gaps: percentiles with fewer than `BEYOND` answers beyond them, of Kish's effective number
    (1965), (sum of sizes)^2 / sum of squares, have no interval then, and the others a wider one.
    """
    pieces, lengths = records.gaps(where), records.gap_counts[where]
    counted_in = histogram(pieces)
    n = int(counted_in.sum())
    if n == 0:
        return Figure(0), OfAll(figure(np.full(0 if len(good) else lost, np.inf))), ()
    largest = float(np.fmax.reduce(good["gap_max_s"]))
    turn = (where.cumsum() - 1)[good.positions]
    sizes = sums(counts_of(pieces), lengths)[turn]

    def below(bins: Sequence[int]) -> list[Counts]:
        return [of_each[turn] for of_each in sums_upto(pieces, lengths, bins, int(sizes.max()))]

    likeness = _longer(sizes, good)
    worth = clusters_worth(counted_in, sizes, below, alike=alike, uneven=likeness is not None)
    bounds = bounds_of(counted_in, worth)
    bare = [name for name, q in PERCENTILES.items()
            if bounds[name] is None and len(good) >= fewest_for_interval(q)]  # fmt: skip
    notes = _of_few(bare, len(good)) if likeness is None else _of_long_ones(bounds, sizes, likeness)
    of_good = _figure(counted_in, bounds, largest)
    if not lost:
        return of_good, OfAll(of_good), notes
    # One bin more, after all others, holds the gaps of calls that failed.
    every = np.append(counted_in, lost * max(1, round(n / len(sizes))))
    of_all = with_lost(every, worth, (int((sizes > 0).sum()) + lost) * part)
    gone = [name for name in worth if bounds[name] is None]
    return of_good, OfAll(_figure(every, of_all | dict.fromkeys(gone), largest)), notes


def _figure(counted_in: Counts, bounds: Bounds, largest: float) -> Figure:
    """From how many gaps each bin holds; a bin after the usual ones holds those that are inf."""
    used = np.nonzero(counted_in)[0]
    values = np.where(used < BINS, gap_value(used), np.inf)
    counts = counted_in[used]
    return Figure(
        n=int(counts.sum()),
        mean=float(values @ counts / counts.sum()),
        max=math.inf if np.isinf(values[-1]) else largest,
        ci={
            name: ends and (_edge(ends[0], 0, largest), _edge(ends[1], 1, largest))
            for name, ends in bounds.items()
        },
        **_percentiles(values, np.cumsum(counts), largest),
    )


def _percentiles(values: npt.NDArray[np.float64], upto: Counts, largest: float) -> dict[str, Any]:
    """R-8: between the two values around position n q + (q + 1) / 3, counted from 1."""
    n = int(upto[-1])
    given: dict[str, Any] = dict.fromkeys(PERCENTILES)
    for name, q in PERCENTILES.items():
        if n >= fewest(q):
            below, part = divmod(min(max(n * q + (q + 1) / 3, 1), n), 1)
            first, second = values[np.searchsorted(upto, [below, min(below + 1, n)])]
            step = part * (second - first) if part and first < second else 0.0
            value = float(first + step)
            given[name] = value if math.isinf(value) else min(value, largest)
    return given


def _edge(number: int, end: int, largest: float) -> float:
    return min(gap_edges(number)[end], largest) if number < BINS else math.inf


def _of_few(bare: list[str], n: int) -> tuple[str, ...]:
    """Why percentiles have no interval that so many single values would carry."""
    return (
        say(
            "gaps of one answer are alike, and those of successive ones may be: {n:,} answers "
            "carry no interval for ITL {bare}; a longer run has it.",
            n=n,
            bare=", ".join(bare),
        ),
    ) * bool(bare)


def _kish(sizes: Counts) -> float:
    return float(sizes.sum()) ** 2 / float((sizes.astype(np.float64) ** 2).sum())


def _longer(sizes: Counts, good: Chosen) -> float | None:
    """The rank correlation of length and slowness, where it is high and few answers tell."""
    there, many = sizes > 0, _kish(sizes)
    n = int(there.sum())
    if not any(many * (1 - q) < ENOUGH and n >= fewest_for_interval(q)
               for q in PERCENTILES.values()):  # fmt: skip
        return None
    each = (good["last_s"] - good["first_s"])[there] / sizes[there]
    likeness = rank_correlation(sizes[there], each)
    return likeness if likeness is not None and likeness >= max(LONGER, 3 / math.sqrt(n)) else None


def _of_long_ones(bounds: Bounds, sizes: Counts, likeness: float) -> tuple[str, ...]:
    """Take out of `bounds` what too few answers carry where slow ones are long; and say so."""
    many, n = _kish(sizes), int((sizes > 0).sum())
    bounds |= {name: None for name, q in PERCENTILES.items() if many * (1 - q) < BEYOND}
    gone = [name for name, q in PERCENTILES.items()
            if bounds[name] is None and n >= fewest_for_interval(q)]  # fmt: skip
    lost = say(", and not given for {gone}", gone=", ".join(gone)) * bool(gone)
    return (
        say(
            "slower answers are longer too (rank correlation {likeness:.2g}), so {n:,} count as "
            "{many:.0f}: intervals of ITL are wider for it{lost}.",
            likeness=likeness,
            n=n,
            many=many,
            lost=lost,
        ),
    )
