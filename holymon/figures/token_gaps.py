"""Gaps between received pieces with tokens (ITL): their percentiles, and how sure those are.

Gaps were counted in bins of 1 %. A percentile is read at the middle of its bin; its interval
reaches to the outer edges of the bins at its ends, so that it holds the truth however even the
gaps are. The gaps of one answer are alike (`quantiles.clustered`).
"""

import math
from typing import Any, Final

import numpy as np
import numpy.typing as npt

from holymon.figures.quantiles import (
    PERCENTILES,
    Counts,
    Figure,
    clustered,
    fewest,
    fewest_for_interval,
    rank_correlation,
)
from holymon.records.attempt import gap_edges, gap_value
from holymon.records.gaps import bins_of, counts_of, histogram, sums
from holymon.records.records import Chosen, Records
from holymon.structs import Interval

LONGER: Final = 0.3
"""From this rank correlation of the length of answers and their slowness on it is said."""

BEYOND: Final = 8
ENOUGH: Final = 25
"""Answers beyond a percentile that carry an interval although slow ones are long, if it is made
wider, and that carry it as it is: by simulation (tests/promises/statistics), to cover 0.93."""

Bounds = dict[str, tuple[int, int] | None]


def gap_figure(
    records: Records, where: npt.NDArray[np.bool_], good: Chosen, *, alike: bool = True
) -> tuple[Figure, tuple[str, ...]]:
    """The figures of single gaps of the rows `where`; what is to be known too.

    `good` are the same rows in the order of time; whether successive ones may be `alike`.

    The maximum is exact. Where slower answers are longer too, a few of them hold most of the slow
    gaps: percentiles with fewer than `BEYOND` answers beyond them, of Kish's effective number
    (1965), (sum of sizes)^2 / sum of squares, have no interval then, and the others a wider one.
    """
    pieces, lengths = records.gaps(where), records.gap_counts[where]
    counted_in = histogram(pieces)
    n = int(counted_in.sum())
    if n == 0:
        return Figure(0), ()
    bins, counts = bins_of(pieces), counts_of(pieces)
    largest = float(np.fmax.reduce(good["gap_max_s"]))
    turn = (where.cumsum() - 1)[good.positions]
    sizes = sums(counts, lengths)[turn]
    likeness = _longer(sizes, good)
    bounds = clustered(
        counted_in,
        sizes,
        lambda here: sums(counts * (bins <= here), lengths)[turn],
        alike=alike,
        uneven=likeness is not None,
    )
    notes = () if likeness is None else _of_long_ones(bounds, sizes, likeness)
    used = np.nonzero(counted_in)[0]
    values = gap_value(used)
    figure = Figure(
        n=n,
        mean=float(values @ counted_in[used] / n),
        max=largest,
        ci={name: ends and _between(ends, largest) for name, ends in bounds.items()},
        **_percentiles(values, np.cumsum(counted_in[used]), largest),
    )
    return figure, notes


def _percentiles(values: npt.NDArray[np.float64], upto: Counts, largest: float) -> dict[str, Any]:
    """R-8: between the two values around position n q + (q + 1) / 3, counted from 1."""
    n = int(upto[-1])
    given: dict[str, Any] = dict.fromkeys(PERCENTILES)
    for name, q in PERCENTILES.items():
        if n >= fewest(q):
            below, part = divmod(min(max(n * q + (q + 1) / 3, 1), n), 1)
            first, second = values[np.searchsorted(upto, [below, min(below + 1, n)])]
            given[name] = min(float(first + part * (second - first)), largest)
    return given


def _between(ends: tuple[int, int], largest: float) -> Interval:
    low, high = gap_edges(ends[0])[0], gap_edges(ends[1])[1]
    return min(low, largest), min(high, largest)


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
    lost = f", and not given for {', '.join(gone)}" * bool(gone)
    return (
        f"slower answers are longer too (rank correlation {likeness:.2g}), so {n:,} count as "
        f"{many:.0f}: intervals of ITL are wider for it{lost}.",
    )
