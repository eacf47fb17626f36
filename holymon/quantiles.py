"""Percentiles, rates and their intervals from raw values: pure arithmetic on arrays.

Percentiles are R-8 (median-unbiased; Hyndman and Fan 1996) of the raw values. Their 95 %
intervals are order statistics: the ranks between which the true quantile lies by the binomial
law, whatever the distribution. Rates carry Wilson's score interval (1927).
"""

import math
from dataclasses import dataclass, field
from functools import lru_cache
from typing import Final

import numpy as np
import numpy.typing as npt

Floats = npt.NDArray[np.float64]
LEVELS: Final = {"p50": 0.5, "p90": 0.9, "p95": 0.95, "p99": 0.99}
Interval = tuple[float, float]
Z95: Final = 1.959963984540054


@dataclass(frozen=True, slots=True)
class Figure:
    """The distribution of one duration in seconds; `ci` holds 95 % intervals of percentiles."""

    n: int
    mean: float | None = None
    p50: float | None = None
    p90: float | None = None
    p95: float | None = None
    p99: float | None = None
    max: float | None = None
    ci: dict[str, Interval | None] = field(default_factory=lambda: dict.fromkeys(LEVELS))


@dataclass(frozen=True, slots=True)
class Rate:
    """A share of `of` calls, with Wilson's 95 % interval; all None for no calls at all."""

    value: float | None
    low: float | None
    high: float | None
    of: int


def figure(values: Floats) -> Figure:
    """The figures of raw values in seconds, shape (n,); NaN are left out."""
    values = np.sort(values[~np.isnan(values)])
    n = len(values)
    if n == 0:
        return Figure(0)
    points = np.quantile(values, list(LEVELS.values()), method="median_unbiased")
    return Figure(
        n=n,
        mean=float(values.mean()),
        max=float(values[-1]),
        ci={name: _interval(values, q) for name, q in LEVELS.items()},
        **{
            name: float(point) if n >= fewest(q) else None
            for (name, q), point in zip(LEVELS.items(), points, strict=True)
        },
    )


def fewest(q: float) -> int:
    """The fewest values for which a percentile is given at all: 1 / (1 - q)."""
    return max(1, round(1 / (1 - q)))


def fewest_for_interval(q: float) -> int:
    """The fewest values for which the 95 % interval of a percentile has both its ends."""
    return math.ceil(math.log(0.025) / math.log(max(q, 1 - q)))


def _interval(values: Floats, q: float) -> Interval | None:
    ranks = quantile_ranks(len(values), q)
    return None if ranks is None else (float(values[ranks[0]]), float(values[ranks[1]]))


@lru_cache(maxsize=1024)
def quantile_ranks(n: int, q: float, alpha: float = 0.05) -> tuple[int, int] | None:
    """Positions in n sorted values between which the true quantile lies with at least 1 - alpha.

    Distribution-free (David and Nagaraja, Order Statistics, section 7.1): the number of values
    below the quantile is binomial(n, q). None if n is too small for one of the ends.
    """
    spread = 12 * math.sqrt(n * q * (1 - q)) + 2
    low, high = max(0, int(n * q - spread)), min(n, int(n * q + spread))
    k = np.arange(low, high + 1)
    # Each probability from the one before it; outside of twelve deviations there is nothing.
    steps = np.log((n - k[:-1]) / (k[:-1] + 1)) + math.log(q / (1 - q))
    logs = np.concatenate([[0.0], np.cumsum(steps)])
    mass = np.exp(logs - logs.max())
    mass /= mass.sum()
    below = np.cumsum(mass)  # P(B <= k)
    lower = k[below <= alpha / 2]
    upper = k[np.concatenate([[0.0], below[:-1]]) >= 1 - alpha / 2]
    # The j-th smallest value (from 1) is over the quantile with P(B <= j - 1).
    if len(lower) == 0 or len(upper) == 0:
        return None
    first, last = int(lower[-1]), int(upper[0]) - 1
    return (first, last) if first < last < n else None


def wilson(hits: int, n: int, z: float = Z95) -> Rate:
    """The share hits / n with Wilson's score interval."""
    if n <= 0:
        return Rate(None, None, None, 0)
    share = hits / n
    scale = 1 + z * z / n
    middle = (share + z * z / (2 * n)) / scale
    half = z * math.sqrt(share * (1 - share) / n + z * z / (4 * n * n)) / scale
    low = 0.0 if hits == 0 else max(0.0, middle - half)
    return Rate(share, low, 1.0 if hits == n else min(1.0, middle + half), n)
