"""Percentiles of values that come in clusters, as the gaps of one answer do: how sure they are."""

from collections.abc import Callable, Mapping, Sequence

import numpy as np

from holymon.figures.effective import effective_number
from holymon.figures.quantiles import (
    PERCENTILES,
    Z95,
    Counts,
    fewest_for_interval,
    outer_ranks,
    quantile_ranks,
    student,
)

Bounds = dict[str, tuple[int, int] | None]


def clusters_worth(
    histogram: Counts, sizes: Counts, below: Callable[[Sequence[int]], list[Counts]], *,
    alike: bool, uneven: bool,
) -> dict[str, float]:  # fmt: skip
    """How many independent values those are worth for each percentile that clusters may carry.

    `histogram` counts the values in each bin, shape (bins,), `sizes` those in each cluster, shape
    (n,), in the order of time; `below(bins)` for each of some bins those of each cluster up to it,
    shape (n,). Clusters that follow one another may be `alike`, too. Where few clusters make most
    of the variance (`uneven`), it has as many degrees of freedom as Satterthwaite (1946) gives: for
    clusters, Bell and McCaffrey (2002).
    """
    worth = {}
    upto = np.cumsum(histogram)
    n = int(upto[-1]) if len(upto) else 0
    there = sizes > 0
    many = int(there.sum())
    given = [name for name, q in PERCENTILES.items() if many >= fewest_for_interval(q)]
    heres = [int(np.searchsorted(upto, PERCENTILES[name] * n)) for name in given]
    for name, here, of_each in zip(given, heres, below(heres), strict=True):
        share = float(upto[here]) / n
        # The variance of a ratio of totals over clusters, linearised.
        off = of_each - share * sizes
        spread = float((off**2).sum()) * many / (many - 1) / n**2
        spread *= many / effective_number(off[there]) if alike else 1.0
        varies = spread > 0 and 0 < share < 1
        effective = min(share * (1 - share) / spread, n) if varies else many
        df = float((off**2).sum()) ** 2 / float((off**4).sum()) if uneven and varies else many - 1
        worth[name] = effective * (Z95 / student(max(int(df), 1))) ** 2
    return worth


def bounds_of(histogram: Counts, worth: Mapping[str, float]) -> Bounds:
    """For each percentile the two bins between which it lies with 95 %.

    None where clusters are worth too few values, or fewer than an interval needs single ones: the
    values of one cluster may be all alike.
    """
    upto = histogram.cumsum()
    bounds: Bounds = dict.fromkeys(PERCENTILES)
    for name, size in worth.items():
        ranks = quantile_ranks(int(size), PERCENTILES[name])
        if ranks is not None:
            low, high = ((rank + 0.5) / int(size) * int(upto[-1]) for rank in ranks)
            ends = np.searchsorted(upto, [low, min(high, upto[-1])])
            bounds[name] = int(ends[0]), int(ends[1])
    return bounds


def with_lost(histogram: Counts, worth: Mapping[str, float], most: float) -> Bounds:
    """The bins of percentiles where the last bin holds the values of calls that failed, all inf.

    Those in the other bins are `worth` so many of them; all together no more than `most`.
    """
    upto = histogram.cumsum()
    n, known = int(upto[-1]), int(upto[-2])
    bounds: Bounds = dict.fromkeys(PERCENTILES)
    for name, q in PERCENTILES.items():
        size = int(min(worth[name] / known * n, most) if name in worth else most)
        low, high = outer_ranks(size, q)
        if low is not None:
            ends = [(rank + 0.5) / size * n for rank in (low, high) if rank is not None]
            at = np.searchsorted(upto, ends).tolist()
            bounds[name] = at[0], at[1] if len(at) > 1 else len(upto) - 1
    return bounds
