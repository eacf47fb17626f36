"""Gaps between received pieces with tokens (ITL): their percentiles, and how sure those are.

Gaps were counted in bins of 1 %. A percentile is read at the middle of its bin; its interval
reaches to the outer edges of the bins at its ends, so that it holds the truth however even the
gaps are. The gaps of one answer are alike (`quantiles.clustered`).
"""

import math
from typing import Final

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

ENOUGH: Final = 25
"""Answers beyond a percentile that carry its interval although slow ones are long: found by
simulation (tests/promises/statistics), which covers 0.9 and more from there on."""

Bounds = dict[str, tuple[int, int] | None]


def gap_figure(
    records: Records, where: npt.NDArray[np.bool_], good: Chosen
) -> tuple[Figure, tuple[str, ...]]:
    """The figures of single gaps of the rows `where`, which are `good`; what is to be known too.

    The maximum is exact. Where slower answers are longer too, a few of them hold most of the slow
    gaps: then answers count as Kish's effective number (1965), (sum of sizes)^2 / sum of squares.
    """
    pieces, lengths = records.gaps(where), records.gap_counts[where]
    counted_in = histogram(pieces)
    n = int(counted_in.sum())
    if n == 0:
        return Figure(0), ()
    bins, counts = bins_of(pieces), counts_of(pieces)
    largest = float(np.fmax.reduce(good["gap_max_s"]))
    sizes = sums(counts, lengths)
    bounds = clustered(counted_in, sizes, lambda here: sums(counts * (bins <= here), lengths))
    notes = _of_long_ones(bounds, sizes, good)
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


def _percentiles(
    values: npt.NDArray[np.float64], upto: Counts, largest: float
) -> dict[str, float | None]:
    """R-8: between the two values around position n q + (q + 1) / 3, counted from 1."""
    n = int(upto[-1])
    given: dict[str, float | None] = dict.fromkeys(PERCENTILES)
    for name, q in PERCENTILES.items():
        if n >= fewest(q):
            below, part = divmod(min(max(n * q + (q + 1) / 3, 1), n), 1)
            first, second = values[np.searchsorted(upto, [below, min(below + 1, n)])]
            given[name] = min(float(first + part * (second - first)), largest)
    return given


def _between(ends: tuple[int, int], largest: float) -> Interval:
    low, high = gap_edges(ends[0])[0], gap_edges(ends[1])[1]
    return min(low, largest), min(high, largest)


def _of_long_ones(bounds: Bounds, sizes: Counts, good: Chosen) -> tuple[str, ...]:
    """Take out of `bounds` what too few answers carry where slow ones are long; and say so."""
    many = float(sizes.sum()) ** 2 / float((sizes.astype(np.float64) ** 2).sum())
    there = sizes > 0
    shown = [
        name
        for name, q in PERCENTILES.items()
        if many * (1 - q) < ENOUGH and there.sum() >= fewest_for_interval(q)
    ]
    if not shown:
        return ()
    each = (good["last_s"] - good["first_s"])[there] / sizes[there]
    likeness = rank_correlation(sizes[there], each)
    if likeness is None or likeness < max(LONGER, 3 / math.sqrt(there.sum())):
        return ()
    bounds |= {name: None for name in shown if many < fewest_for_interval(PERCENTILES[name])}
    narrow = [name for name in shown if bounds[name]]
    gone = [name for name in shown if not bounds[name]]
    parts = [f"{', '.join(names)} {what}" for names, what in
             ((narrow, "too narrow"), (gone, "not given")) if names]  # fmt: skip
    return (
        f"slower answers are longer too (rank correlation {likeness:.2g}), so {there.sum():,} "
        f"count as {many:.0f}: intervals of ITL {', '.join(parts)}.",
    )
