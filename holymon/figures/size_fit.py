"""Lines through calls of many sizes, and how certain they are: robust, and with no chance in it.

    line(x, y) -> (a, b)      weighted_median(y / x, x) -> c, of a line through zero

The slope is the weighted median of the slopes between pairs of calls that lie a third, half or two
thirds of all calls apart in size: Theil's incomplete method (1950, after Sen 1968), weighted by how
far the sizes lie apart (Jaeckel 1972, Scholz 1978). Up to 29 % of calls may be as slow as they like
(Rousseeuw and Leroy 1987, section 3.7), and queues make some of them so. A slope through zero is
the median of the ratios, weighted by size: the line of least absolute deviations.

Intervals come from leaving out one of `BLOCKS` blocks of successive calls after the other (the
jackknife by groups, Kott 2001; by blocks, since successive calls are alike, Kuensch 1989), with
Student's t. For medians that holds where many are left out at a time (Shao and Wu 1989): from
`FEWEST` calls on. How often they hold stands in `tests/bench/sizes.py`.
"""

from collections.abc import Callable
from typing import Final

import numpy as np
import numpy.typing as npt

from holymon.figures.quantiles import Floats, student
from holymon.structs import Interval

Positions = npt.NDArray[np.intp]

BLOCKS: Final = 20
FEWEST: Final = 100
"""Calls for an interval: of 60 calls that are alike 84 % of intervals held."""

MOST: Final = 5_000
"""Of more calls every k-th is looked at: intervals are narrow by then."""

_APART: Final = ((1, 3), (1, 2), (2, 3))


def line(x: Floats, y: Floats) -> tuple[float, float]:
    """Intercept and slope, shapes (n,); NaN where all sizes are the same."""
    order = np.argsort(x, kind="stable")
    x, y, n = x[order], y[order], len(x)
    lags = [max(1, n * k // of) for k, of in _APART]
    dx = np.concatenate([x[lag:] - x[:-lag] for lag in lags])
    dy = np.concatenate([y[lag:] - y[:-lag] for lag in lags])
    apart = dx > 0
    if not apart.any():
        return np.nan, np.nan
    b = weighted_median(dy[apart] / dx[apart], dx[apart])
    return float(np.median(y - b * x)), b


def weighted_median(values: Floats, weights: Floats) -> float:
    """The value, of shapes (n,), below which lies half of all weight; NaN of none."""
    if not len(values):
        return np.nan
    order = np.argsort(values)
    below = np.cumsum(weights[order])
    return float(values[order[np.searchsorted(below, below[-1] / 2)]])


def left_out(n: int, fit: Callable[[Positions], tuple[float, ...]]) -> Floats:
    """What `fit` gives of all but one block of `n` calls in the order of time, (BLOCKS, k)."""
    which = np.arange(n) * BLOCKS // max(n, 1)
    return np.array([fit(np.flatnonzero(which != block)) for block in range(BLOCKS)])


def interval(value: float, without: Floats) -> Interval | None:
    """The 95 % interval of a value by what it is without each block, shape (BLOCKS,)."""
    if np.isnan(value) or np.isnan(without).any():
        return None
    spread = (BLOCKS - 1) / BLOCKS * float(((without - without.mean()) ** 2).sum())
    half = student(BLOCKS - 1) * spread**0.5
    return value - half, value + half
