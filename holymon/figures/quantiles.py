"""Percentiles, rates and their intervals from raw values: pure arithmetic on arrays.

Percentiles are R-8 (median-unbiased; Hyndman and Fan 1996) of the raw values. Their 95 %
intervals are order statistics: the ranks between which the true quantile lies by the binomial
law, whatever the distribution. Values that follow one another (calls of one minute), and those
that come in clusters (the gaps of one answer: `clusters`), are alike, so they count as fewer: Korn
and Graubard's effective sample size (1998) takes the place of n (`effective`). Rates carry Wilson's
score interval (1927), their differences Newcombe's (1998, method 10).
"""

import math
from collections.abc import Mapping
from dataclasses import dataclass, field
from functools import lru_cache
from statistics import NormalDist
from typing import Any, Final

import numpy as np
import numpy.typing as npt

from holymon.figures.effective import (
    Bools,
    autocorrelation,
    effective_number,
    effective_sizes,
    unbiased,
)
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
    """The distribution of one duration in seconds; `ci` holds 95 % intervals of percentiles.

    `counts_as` says how many independent values they are worth for each percentile, where values
    that follow one another are alike.
    """

    n: int
    mean: float | None = None
    p50: float | None = None
    p90: float | None = None
    p95: float | None = None
    p99: float | None = None
    max: float | None = None
    ci: dict[str, Interval | None] = field(default_factory=lambda: dict.fromkeys(PERCENTILES))
    counts_as: dict[str, int] = field(default_factory=dict)

    def cell(self, stat: str) -> Cell:
        """One of them in milliseconds, with its interval, for a table."""
        return ms_cell(getattr(self, stat), self.ci.get(stat))


def figure(values: Floats, at: Floats | None = None) -> Figure:
    """The figures of raw values in seconds, shape (n,); NaN are left out.

    `at` is when each call was sent: values that lie near each other in time may be alike. Without
    it they count as independent. A value of inf is that of a call that took for ever (`all_calls`):
    percentiles and ends of intervals that reach into these are inf, and so are mean and maximum.
    """
    return figure_and_order(values, at)[0]


def figure_and_order(values: Floats, at: Floats | None = None) -> tuple[Figure, Floats]:
    """The figures of raw values, and the known ones of these in their order."""
    known = ~np.isnan(values)
    values = values if known.all() else values[known]
    n, ordered = len(values), np.sort(values)
    sizes: dict[str, int] = {}
    if n and at is not None:
        given = {name: point(ordered, q) for name, q in PERCENTILES.items() if n >= fewest(q)}
        if math.isinf(ordered[-1]):  # whether a call failed is what is alike there
            last = np.searchsorted(ordered, np.inf) - 1
            given = {name: min(value, float(ordered[last])) for name, value in given.items()}
        worth = effective_sizes(in_time(values, at if known.all() else at[known]), given)
        sizes = {name: int(size) for name, size in worth.items()}
    return of_ordered(ordered, sizes), ordered


def of_ordered(ordered: Floats, sizes: Mapping[str, int]) -> Figure:
    """The figures of ordered values, shape (n,), which count as `sizes` for each percentile."""
    n = len(ordered)
    if n == 0:
        return Figure(0)
    ci = {name: _interval(ordered, q, sizes.get(name, n)) for name, q in PERCENTILES.items()}
    # Where even the lower end is inf, so is the percentile, however few there are.
    given = {
        name: point(ordered, q)
        for name, q in PERCENTILES.items()
        if n >= fewest(q) or (ci[name] or (0, 0))[0] == math.inf
    }
    return Figure(
        n=n,
        mean=float(ordered.mean()),
        max=float(ordered[-1]),
        ci=ci,
        counts_as={name: size for name, size in sizes.items() if size < n},
        **given,
    )


def point(ordered: Floats, q: float) -> float:
    """R-8 of ordered values, shape (n,): numpy's `median_unbiased` without ordering them again."""
    n, third = len(ordered), 1 / 3
    below, part = divmod(min(max(n * q + (third + q * third) - 1, 0.0), n - 1.0), 1)
    low, high = (float(ordered[min(int(below) + k, n - 1)]) for k in (0, 1))
    if not part or math.isinf(high):  # of calls that never ended there is no way between
        return high if part else low
    return low + (high - low) * part if part < 0.5 else high - (high - low) * (1 - part)


def in_time(values: npt.NDArray[Any], at: Floats) -> npt.NDArray[Any]:
    """The values, shape (n,), in the order of their moments `at`, shape (n,)."""
    return values if (at[1:] >= at[:-1]).all() else values[np.argsort(at)]


def fewest(q: float) -> int:
    """The fewest values for which a percentile is given at all: 1 / (1 - q)."""
    return max(1, round(1 / (1 - q)))


def fewest_for_interval(q: float) -> int:
    """The fewest values for which the 95 % interval of a percentile has both its ends."""
    return math.ceil(math.log(0.025) / math.log(max(q, 1 - q)))


def _interval(ordered: Floats, q: float, size: int) -> Interval | None:
    """Between which ordered values, shape (n,), a percentile lies if they count as `size`.

    Where these are too few for an upper end, but the last are inf, nothing bounds it: it is inf.
    """
    low, high = outer_ranks(size, q)
    if low is None or (high is None and ordered[-1] < math.inf):
        return None
    first, *last = (
        int((rank + 0.5) / size * len(ordered)) for rank in (low, high) if rank is not None
    )
    return float(ordered[first]), float(ordered[last[0]]) if last else math.inf


def quantile_ranks(n: int, q: float, alpha: float = 0.05) -> tuple[int, int] | None:
    """Positions in n sorted values between which the true quantile lies with at least 1 - alpha.

    Distribution-free (David and Nagaraja, Order Statistics, section 7.1): the number of values
    below the quantile is binomial(n, q). None if n is too small for one of the ends.
    """
    low, high = outer_ranks(n, q, alpha)
    return None if low is None or high is None else (low, high)


@lru_cache(maxsize=1024)
def outer_ranks(n: int, q: float, alpha: float = 0.05) -> tuple[int | None, int | None]:
    """As `quantile_ranks`, each end alone; None where n is too small for it."""
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
    first = int(lower[-1]) if len(lower) else None
    last = int(upper[0]) - 1 if len(upper) else n
    return first, last if first is not None and first < last < n else None


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


def fewer_alike(values: Floats) -> float:
    """For how many independent values those count that follow one another in time, shape (n,).

    As far as each is like the one before, for fewer: n (1 - r) / (1 + r) (Bayley and Hammersley
    1946), where r is their autocorrelation.
    """
    n = len(values)
    r = min(unbiased(autocorrelation(values) or 0.0, n), MOST_ALIKE)
    return n * (1 - r) / (1 + r)


def mean_interval(values: Floats, level: float, *, neighbours: bool = False) -> Interval:
    """Where the mean lies of what at least two values are drawn from: Student's interval.

    `neighbours` are values that follow one another in time, such as those of blocks of one run.
    """
    fewer = fewer_alike(values) if neighbours else len(values)
    middle = float(values.mean())
    half = student(max(round(fewer) - 1, 1), level) * float(values.std(ddof=1)) / math.sqrt(fewer)
    return middle - half, middle + half


def wilson(hits: float, n: float, z: float = Z95) -> Rate:
    """The share hits / n with Wilson's score interval."""
    if n <= 0:
        return Rate(None, None, None, 0)
    share = hits / n
    scale = 1 + z * z / n
    middle = (share + z * z / (2 * n)) / scale
    half = z * math.sqrt(share * (1 - share) / n + z * z / (4 * n * n)) / scale
    low = 0.0 if hits == 0 else max(0.0, middle - half)
    return Rate(share, low, 1.0 if hits == n else min(1.0, middle + half), round(n))


def share_of(hits: Bools, at: Floats | None = None) -> Rate:
    """The share of hits, shape (n,), with Wilson's interval for as many as they are worth.

    `at`, shape (n,), is when each was sent; without it they count as independent. A single hit, or
    a single miss, is no cluster.
    """
    n, many = len(hits), int(hits.sum())
    if at is None or min(many, n - many) < 2:
        return wilson(many, n)
    worth = effective_number(in_time(hits, at))
    rate = wilson(many * worth / n, worth)
    return Rate(many / n, rate.low, rate.high, n)


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
