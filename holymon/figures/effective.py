"""How many independent values those are worth that follow one another in time: pure arithmetic.

Calls of one moment share a queue, a cache, a slow minute: they are alike, and a thousand of them
may tell no more than fifty would. What a share of n such values varies by is its long-run variance,
not p (1 - p) / n. It is estimated by projections on the eight slowest cosine waves of the run (the
equal-weighted cosine estimate: Lazarus, Lewis, Stock and Watson 2018; Müller 2004), as if the run
were cut into some eight blocks of time, but with less bias than blocks have. The ratio of the two
is the design effect (Kish 1965), and n divided by it the effective number of values, which takes
the place of n in the interval of a percentile (Woodruff 1952; Francisco and Fuller 1991) and of a
rate (Korn and Graubard 1998). Eight waves are few, so Student's t takes the place of the normal.

Nobody pays for what is not there: where neither neighbours nor waves speak for it (each at 5 %),
values count as independent. Chosen by simulation over blocks of time, which cover less at the same
width; tests/promises/statistics holds what it covers, tests/bench/intervals.py the whole table.
What goes on for a tenth of a run or longer is seen too seldom: a run that met nothing else looks
like any steady one, and no estimate tells it.

The levels of a search for a capacity are counted in blocks instead (`steady.effective`): how long a
queue remembers is measured there, so that blocks of twice that may be up to 30, and at its small
errors Student's t of 29 is a fifth less than that of eight waves.
"""

import math
from collections.abc import Mapping
from functools import lru_cache
from typing import Any, Final

import numpy as np
import numpy.typing as npt

Floats = npt.NDArray[np.float64]
Bools = npt.NDArray[np.bool_]
Counts = npt.NDArray[np.int64]

FEWEST: Final = 12
"""Fewer values than this tell nothing of their likeness, and count as independent."""

WAVES: Final = 8
WIDER: Final = (2.306004 / 1.959964) ** 2
"""Student's t of 8 degrees of freedom over the normal, squared: what so few waves cost."""

CELLS: Final = 128
"""Values are summed up in so many stretches of time first: enough for eight waves."""

ENOUGH: Final = 4_000
NEIGHBOURS: Final = 1.645
"""Standard errors that an autocorrelation may have by chance, one-sided at 5 %."""
CHANCE: Final = 1.94
"""What the power of eight waves may be of independent values: chi-squared of 8 at 95 %, over 8."""

UNRESOLVED: Final = 400
"""Of fewer values than this, waves may be too short to see how far likeness reaches."""
OF_MEDIAN: Final = 0.85
OF_TAIL: Final[Mapping[str, float]] = {"p50": 1.0, "p90": 0.6, "p95": 0.45, "p99": 0.2}
"""Design effects less 1 of normal values: that of the median as a part of the mean's (0.65, and
more as few values tell little), those of percentiles as parts of the median's, at an
autocorrelation of 0.3. With more they are larger: these are least values, for where the few values
beyond a percentile show too little by chance."""

SAME: Final = 1e-9
"""What differs by less is the same: of durations, a nanosecond, which no clock can tell."""


def effective_sizes(values: Floats, points: Mapping[str, float]) -> dict[str, float]:
    """For each percentile in `points` (s), how many independent values `values` are worth.

    `values` are in the order of time, in seconds without NaN, shape (n,). At most n.
    """
    n = len(values)
    if n < FEWEST or not points:
        return dict.fromkeys(points, float(n))
    near, seen = _neighbours(values)
    beyond = values > np.array([[point + SAME] for point in points.values()])
    powers = dict(zip(points, _powers(beyond).tolist(), strict=True))
    median = powers.get("p50", 1.0)
    short = _of_neighbours(near, n) if n < UNRESOLVED else 0.0
    sizes = {}
    for name, power in powers.items():
        effect = 1.0
        if seen or max(power, median) > CHANCE:
            least = OF_TAIL[name] * max(median * WIDER - 1, short)
            effect = max(power * WIDER, 1 + least, 1.0)
        sizes[name] = n / effect
    return sizes


def effective_number(values: Floats | Bools) -> float:
    """How many independent values those in the order of time are worth for their mean; (n,)."""
    n = len(values)
    if n < FEWEST:
        return float(n)
    power = float(_powers(values[np.newaxis])[0])
    if power <= CHANCE and not _neighbours(values)[1]:
        return float(n)
    return n / max(power * WIDER, 1.0)


def spread_of_total(cells: Floats) -> float:
    """The standard deviation of the sum of equally long stretches of time, shape (m,).

    Wider by t over the normal: 1.96 of it hold 95 %.
    """
    waves = _waves(len(cells))[0]
    return math.sqrt(float((2 * (waves @ (cells - cells.mean())) ** 2).mean()) * WIDER)


def _powers(rows: Floats | Bools) -> Floats:
    """For each row of values the mean power of the slowest waves in units of its variance.

    It is 1 for independent values; `rows` has shape (m, n), what comes back (m,).
    """
    n = rows.shape[1]
    waves, edges, counts = _waves(n)
    if rows.dtype == np.bool_:
        sums = np.add.reduceat(rows.view(np.uint8), edges, axis=1, dtype=np.int64)
        means = sums.sum(axis=1) / n
        variances = means * (1 - means)
    else:
        sums = np.add.reduceat(rows, edges, axis=1)
        means, variances = rows.mean(axis=1), rows.var(axis=1)
    powers = (2 * ((sums - np.outer(means, counts)) @ waves.T) ** 2).mean(axis=1) / n
    ratios: Floats = np.divide(powers, variances, out=np.ones(len(rows)), where=variances > 0)
    return ratios


@lru_cache(maxsize=64)
def _waves(n: int) -> tuple[Floats, Counts, Counts]:
    """The slowest cosine waves of n values in stretches, where those begin, how long they are."""
    many = min(n, CELLS)
    edges = np.arange(many) * n // many
    counts = np.diff(np.append(edges, n))
    middles = (edges + counts / 2) / n
    return np.cos(np.pi * np.outer(np.arange(1, WAVES + 1), middles)), edges, counts


def _neighbours(values: Floats | Bools) -> tuple[float, bool]:
    """The autocorrelation of successive values by their ranks, and whether it is more than chance.

    Ranks, so that one very slow call does not hide that the others are alike; what it is of normal
    values with such ranks (Pearson 1907). Of very many values, those in the middle will do.
    """
    off = max(len(values) - ENOUGH, 0) // 2
    part = values[off : off + ENOUGH]
    near = autocorrelation(ranks(np.rint(part / SAME))) or 0.0
    near = 2 * math.sin(math.pi / 6 * near)
    return near, near > NEIGHBOURS / math.sqrt(len(part)) - 1 / len(part)


def ranks(values: npt.NDArray[Any]) -> Floats:
    """Their ranks, shape (n,); those that are equal share the middle of theirs."""
    _, which, counts = np.unique(values, return_inverse=True, return_counts=True)
    middles: Floats = np.cumsum(counts) - (counts - 1) / 2
    return middles[which]


def rank_correlation(x: npt.NDArray[Any], y: npt.NDArray[Any]) -> float | None:
    """How far two rows of values rise together, by their ranks (Spearman 1904); shapes (n,)."""
    a, b = (ranked - ranked.mean() for ranked in map(ranks, (x, y)))
    whole = math.sqrt(float(a @ a) * float(b @ b))
    return float(a @ b) / whole if whole > 0 else None


def autocorrelation(values: Floats) -> float | None:
    """That of successive values (lag 1), shape (n,); None for fewer than three or all the same.

    Values that differ by their rounding only are the same: such noise is alike, and means nothing.
    """
    if len(values) < 3:
        return None
    rest = values - values.mean()
    if np.abs(rest).max() <= SAME * max(1.0, float(np.abs(values).max())):
        return None
    return float((rest[1:] * rest[:-1]).sum() / (rest * rest).sum())


def _of_neighbours(near: float, n: int) -> float:
    """The design effect of the median less 1, were each value like the one before only.

    (1 + r) / (1 - r) for the mean (Bayley and Hammersley 1946).
    """
    r = min(unbiased(near, n), 0.97)
    return OF_MEDIAN * 2 * r / (1 - r)


def unbiased(r: float, n: int) -> float:
    """An autocorrelation of n values, at least 0, which few of them make too small.

    By (1 + 4 r) / n (Kendall 1954, Marriott and Pope 1954).
    """
    return max(r + (1 + 4 * r) / n, 0.0)
