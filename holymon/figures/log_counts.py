"""Durations counted in bins of 5 %, as a short text: they add up, and percentiles come of them.

`"94:3 1:10"` is three in bin 94 and ten in the one after it. A percentile lies in its bin by where
it is among the values there; its interval reaches to the outer edges of the bins at its ends, so
that it holds the truth however these lie.
"""

import math
from collections.abc import Iterable, Sequence
from typing import Any, Final

import numpy as np

from holymon.figures.quantiles import (
    PERCENTILES,
    Z95,
    Counts,
    Figure,
    Floats,
    fewest,
    quantile_ranks,
    student,
)
from holymon.structs import Interval

BASE_S: Final = 1e-3
STEP: Final = math.log(1.05)
BINS: Final = 400
"""From 1 ms, and all below it, to some four days, and all above."""

FEWEST_PARTS: Final = 4
"""Parts of a time that tell how alike calls of one moment are."""


def bin_of(seconds: float) -> int:
    """The bin of a duration."""
    if not seconds > BASE_S:
        return 0
    return min(int(math.log(seconds / BASE_S) / STEP), BINS - 1)


def edges(number: int) -> tuple[float, float]:
    """Where a bin begins and ends, in seconds; the first one begins at 0."""
    low, high = (BASE_S * math.exp(k * STEP) for k in (number, number + 1))
    return low if number else 0.0, high


def with_more(text: str, seconds: Iterable[float]) -> str:
    """Counts and some durations more (s); NaN are left out."""
    more = [bin_of(value) for value in seconds if not math.isnan(value)]
    if not more:
        return text
    counts = counts_of(text)
    np.add.at(counts, more, 1)
    return text_of(counts)


def counts_of(*texts: str) -> Counts:
    """How many durations each bin holds, of all texts, shape (`BINS`,). Raises ValueError.

    What a text has beyond the last bin, which is of all that is longer, is in that.
    """
    counts = np.zeros(BINS, np.int64)
    for text in texts:
        at = 0
        for pair in text.split():
            step, _, n = pair.partition(":")
            at += int(step)
            if at < 0 or int(n) < 0:
                raise ValueError("counts of durations are out of range")
            counts[min(at, BINS - 1)] += int(n)
    return counts


def text_of(counts: Counts) -> str:
    """Counts, shape (`BINS`,), as a text."""
    used = np.flatnonzero(counts)
    pairs = zip(np.diff(used, prepend=0).tolist(), counts[used].tolist(), strict=True)
    return " ".join(f"{step}:{n}" for step, n in pairs)


def figure_of(texts: Sequence[str]) -> Figure:
    """The percentiles of durations that were counted part of time by part of time.

    Where parts differ more than calls of their number would by chance, calls count as fewer.
    """
    parts = [counts_of(text) for text in texts]
    whole = sum(parts, np.zeros(BINS, np.int64))
    n = int(whole.sum())
    if not n:
        return Figure(0)
    upto, sizes = whole.cumsum(), np.array([part.sum() for part in parts], float)
    ci: dict[str, Interval | None] = dict.fromkeys(PERCENTILES)
    given: dict[str, Any] = {}
    for name, q in PERCENTILES.items():
        if n < fewest(q):
            continue
        given[name] = _value(whole, upto, q * n)
        here = int(np.searchsorted(upto, q * n))
        beyond = np.array([part[here:].sum() for part in parts], float)
        size = int(n / design_effect(beyond, sizes))
        if (ranks := quantile_ranks(size, q)) is not None:
            low, high = (np.searchsorted(upto, (rank + 0.5) / size * n) for rank in ranks)
            ci[name] = edges(int(low))[0], edges(min(int(high), BINS - 1))[1]
    return Figure(n=n, ci=ci, **given)


def _value(whole: Counts, upto: Counts, rank: float) -> float:
    """Where in its bin the value of a rank lies, as if all there were evenly spread."""
    here = int(np.searchsorted(upto, rank))
    low, high = edges(here)
    before = float(upto[here] - whole[here])
    return low + (high - low) * min(max((rank - before) / float(whole[here]), 0.0), 1.0)


def design_effect(hits: Floats, sizes: Floats) -> float:
    """For how many calls an independent one stands, by parts of time; shapes (k,), at least 1.

    Pearson's statistic over its degrees of freedom (McCullagh and Nelder, Generalized Linear
    Models, 1989, section 4.5), where it is larger than by chance (5 %); k parts are few, so
    Student's t takes the place of the normal.
    """
    there = sizes > 0
    hits, sizes = hits[there], sizes[there]
    k = len(sizes)
    share = float(hits.sum() / sizes.sum()) if k else 0.0
    if k < FEWEST_PARTS or not 0 < share < 1:
        return 1.0
    off = ((hits - share * sizes) ** 2 / (sizes * share * (1 - share))).sum() / (k - 1)
    if off <= 1 + 1.645 * math.sqrt(2 / (k - 1)):
        return 1.0
    return float(off) * (student(k - 1) / Z95) ** 2
