"""Percentiles, rates and their intervals from raw values: pure arithmetic on arrays.

Percentiles are R-8 (median-unbiased; Hyndman and Fan 1996) of the raw values. Their 95 %
intervals are order statistics: the ranks between which the true quantile lies by the binomial
law, whatever the distribution. Values that come in clusters (the gaps of one answer) are alike,
so they count as fewer: Korn and Graubard's effective sample size (1998) takes the place of n.
Rates carry Wilson's score interval (1927), their differences Newcombe's (1998, method 10).
"""

import math
from collections.abc import Callable
from dataclasses import dataclass, field
from functools import lru_cache
from statistics import NormalDist
from typing import Any, Final

import numpy as np
import numpy.typing as npt

from holymon.formatting import Cell, ms_cell
from holymon.structs import Interval, Rate

Floats = npt.NDArray[np.float64]
Counts = npt.NDArray[np.int64]
PERCENTILES: Final = {"p50": 0.5, "p90": 0.9, "p95": 0.95, "p99": 0.99}
Z95: Final = 1.959963984540054
MOST_ALIKE: Final = 0.95
"""The highest autocorrelation that is reckoned with: above it, nothing is known of the mean."""


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
    ci: dict[str, Interval | None] = field(default_factory=lambda: dict.fromkeys(PERCENTILES))

    def cell(self, stat: str) -> Cell:
        """One of them in milliseconds, with its interval, for a table."""
        return ms_cell(getattr(self, stat), self.ci.get(stat))


def figure(values: Floats) -> Figure:
    """The figures of raw values in seconds, shape (n,); NaN are left out."""
    values = np.sort(values[~np.isnan(values)])
    n = len(values)
    if n == 0:
        return Figure(0)
    points = np.quantile(values, list(PERCENTILES.values()), method="median_unbiased")
    return Figure(
        n=n,
        mean=float(values.mean()),
        max=float(values[-1]),
        ci={name: _interval(values, q) for name, q in PERCENTILES.items()},
        **{
            name: float(point) if n >= fewest(q) else None
            for (name, q), point in zip(PERCENTILES.items(), points, strict=True)
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


def clustered(
    histogram: Counts, sizes: Counts, below: Callable[[int], Counts]
) -> dict[str, tuple[int, int] | None]:
    """For each percentile the two bins between which it lies with 95 %, for clustered values.

    `histogram` counts the values in each bin, shape (bins,), `sizes` those in each cluster, shape
    (n,); `below(bin)` those of each cluster in bins up to that one, shape (n,). None where there
    are fewer clusters than an interval needs single values: the values of one cluster may be all
    alike.
    """
    bounds: dict[str, tuple[int, int] | None] = dict.fromkeys(PERCENTILES)
    upto = np.cumsum(histogram)
    n = int(upto[-1]) if len(upto) else 0
    many = int((sizes > 0).sum())
    for name, q in PERCENTILES.items():
        if many < fewest_for_interval(q):
            continue
        here = int(np.searchsorted(upto, q * n))
        share = float(upto[here]) / n
        # The variance of a ratio of totals over clusters, linearised.
        off = below(here) - share * sizes
        spread = float((off**2).sum()) * many / (many - 1) / n**2
        alike = spread > 0 and 0 < share < 1
        effective = min(share * (1 - share) / spread, n) if alike else many
        effective *= (Z95 / student(many - 1)) ** 2
        ranks = quantile_ranks(int(effective), q)
        if ranks is not None:
            low, high = (ranks[0] + 0.5) / int(effective), (ranks[1] + 0.5) / int(effective)
            ends = np.searchsorted(upto, [low * n, min(high * n, n)])
            bounds[name] = (int(ends[0]), int(ends[1]))
    return bounds


@lru_cache(maxsize=1024)
def student(df: int, level: float = 0.95) -> float:
    """Where Student's t with `df` degrees of freedom is within plus or minus with `level`.

    By the finite series for whole degrees (Abramowitz and Stegun, 26.7.3 and 26.7.4).
    """
    if df > 2000:
        return NormalDist().inv_cdf((1 + level) / 2)
    low, high = 0.0, 1e6
    for _ in range(200):
        middle = (low + high) / 2
        low, high = (middle, high) if _within(middle, df) < level else (low, middle)
    return high


def _within(t: float, df: int) -> float:
    angle = math.atan(t / math.sqrt(df))
    square = math.cos(angle) ** 2
    odd = df % 2
    term = total = (math.cos(angle) if df > 1 else 0.0) if odd else 1.0
    for k in range(3 if odd else 2, df - 1, 2):
        term *= square * (k - 1) / k
        total += term
    if odd:
        return 2 / math.pi * (angle + math.sin(angle) * total)
    return math.sin(angle) * total


def autocorrelation(values: Floats) -> float | None:
    """That of successive values (lag 1), shape (n,); None for fewer than three or all the same."""
    rest = values - values.mean()
    whole = float(rest @ rest)
    return float(rest[1:] @ rest[:-1]) / whole if len(values) > 2 and whole > 0 else None


def rank_correlation(x: npt.NDArray[Any], y: npt.NDArray[Any]) -> float | None:
    """How far two rows of values rise together, by their ranks (Spearman 1904); shapes (n,)."""
    a, b = (ranks - ranks.mean() for ranks in map(_ranks, (x, y)))
    whole = math.sqrt(float(a @ a) * float(b @ b))
    return float(a @ b) / whole if whole > 0 else None


def _ranks(values: npt.NDArray[Any]) -> Floats:
    """Their ranks; those that are equal share the middle of theirs."""
    _, which, counts = np.unique(values, return_inverse=True, return_counts=True)
    middles: Floats = np.cumsum(counts) - (counts - 1) / 2
    return middles[which]


def mean_interval(values: Floats, level: float, *, neighbours: bool = False) -> Interval:
    """Where the mean lies of what at least two values are drawn from: Student's interval.

    `neighbours` are values that follow one another in time, such as those of blocks of one run: as
    far as each is like the one before, they count as fewer, n (1 - r) / (1 + r) (Bayley and
    Hammersley 1946). r is their autocorrelation, which few values make too small by (1 + 4 r) / n
    (Kendall 1954, Marriott and Pope 1954).
    """
    n, r = len(values), autocorrelation(values) or 0.0
    r = min(max(r + (1 + 4 * r) / n, 0.0), MOST_ALIKE) if neighbours else 0.0
    fewer = n * (1 - r) / (1 + r)
    middle = float(values.mean())
    half = student(max(round(fewer) - 1, 1), level) * float(values.std(ddof=1)) / math.sqrt(fewer)
    return middle - half, middle + half


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


def newcombe(a: Rate, b: Rate, z: float = Z95) -> Interval | None:
    """The interval of the difference b - a of two rates, from Wilson's of each."""
    if not a.of or not b.of or a.value is None or b.value is None:
        return None
    rate_a, rate_b = wilson(round(a.value * a.of), a.of, z), wilson(round(b.value * b.of), b.of, z)
    if rate_a.low is None or rate_a.high is None or rate_b.low is None or rate_b.high is None:
        return None
    gap = b.value - a.value
    down = math.hypot(b.value - rate_b.low, rate_a.high - a.value)
    return gap - down, gap + math.hypot(rate_b.high - b.value, a.value - rate_a.low)
