"""Whether a server was steady while it was watched, and how many looks at it that was. Pure.

Calls that wait in one queue are alike, and a queue that starts empty flatters at first. What is
watched is the number of calls under way, of which nothing is noise: its start is discarded up to
where it is steady, and what is left counts as so many looks as it is longer than its memory.

    calls under way --> warm_cells, memory, grows --> Stretch      marks of calls --> effective
"""

import math
from dataclasses import dataclass
from functools import lru_cache
from statistics import NormalDist
from typing import Final

import numpy as np
import numpy.typing as npt

from holymon.figures.quantiles import Floats, student

CELLS: Final = 500
BATCH: Final = 5
WINDOW: Final = 5.0
STEPS: Final = 10
BLOCKS: Final = (10, 30)


@dataclass(frozen=True, slots=True)
class Stretch:
    """The steady part of a level, in seconds from its start, and how long its queue remembers."""

    since_s: float
    until_s: float
    memory_s: float
    grows: bool

    @property
    def seconds(self) -> float:
        """How long it lasted."""
        return self.until_s - self.since_s

    @property
    def looks(self) -> float:
        """As how many independent looks it counts."""
        return self.seconds / self.memory_s

    @property
    def many(self) -> int:
        """In how many blocks it is cut, each twice as long as its memory where that can be."""
        return int(min(max(self.looks / 2, BLOCKS[0]), BLOCKS[1]))

    @property
    def freedom(self) -> int:
        """Degrees of freedom of what blocks say: no more than there are looks."""
        return max(int(min(self.many, self.looks)) - 1, 1)

    @property
    def beside(self) -> float:
        """The memory as a part of a block."""
        return self.memory_s * self.many / self.seconds


def stretch_of(starts: Floats, ends: Floats, seconds: float, error: float) -> Stretch:
    """The steady part of a level of so many seconds, by the calls that were sent, shapes (n,)."""
    series, cell = under_way(starts, ends, np.linspace(0.0, seconds, CELLS + 1)), seconds / CELLS
    skipped = warm_cells(series)
    rest = series[skipped:]
    return Stretch(skipped * cell, seconds, cell * memory(rest), grows(series, error / 2))


def under_way(starts: Floats, ends: Floats, edges: Floats) -> Floats:
    """How many calls were under way between each two edges on average, shape (m,).

    `ends` are NaN for calls that never ended.
    """
    sums = [_passed(times, edges) for times in (starts, np.where(np.isnan(ends), np.inf, ends))]
    mean: Floats = np.diff(sums[0] - sums[1]) / np.diff(edges)
    return mean


def _passed(times: Floats, edges: Floats) -> Floats:
    """The integral up to each edge of how many of `times` had passed."""
    ordered = np.sort(times)
    k = np.searchsorted(ordered, edges)
    summed: Floats = k * edges - np.concatenate([[0.0], np.cumsum(ordered)])[k]
    return summed


def warm_cells(series: Floats) -> int:
    """How much of the start to discard: what makes the standard error of the rest the least.

    MSER-5 (White 1997; Spratt 1998): over batches of five, and never more than half. As a queue
    starts empty, only a start that was less busy than the rest: what is left when a busy time is
    discarded would flatter more than all of it.
    """
    means = series[: len(series) // BATCH * BATCH].reshape(-1, BATCH).mean(axis=1)
    n = len(means)
    if n < 2:
        return 0
    back = means[::-1] - means.mean()
    rest = np.arange(1, n + 1)
    error = (np.cumsum(back**2) - np.cumsum(back) ** 2 / rest) / rest**2
    half = n // 2 + 1
    quiet = np.concatenate(
        [
            [True],
            np.cumsum(means)[: half - 1] / rest[: half - 1]
            < (np.cumsum(means[::-1]) / rest)[::-1][1:half],
        ]
    )
    return BATCH * int(np.argmin(np.where(quiet, error[::-1][:half], np.inf)))


def memory(series: Floats) -> float:
    """For how many values a stationary series of them, shape (m,), is like itself.

    So many values say of its mean what one says that is independent of the others: 1 + 2 times the
    sum of autocorrelations, up to the first lag that is five times their integral (Sokal 1997),
    which m values make too small by (2 lag + 1) / m (Wolff 2004). m where there is no such lag.
    """
    n = len(series)
    off = series - series.mean()
    whole = float(off @ off)
    if n < 2 or whole <= 1e-18 * n * float(np.abs(series).max() ** 2):
        return 1.0
    spectrum = np.abs(np.fft.rfft(off, 2 * n)) ** 2
    likeness = np.fft.irfft(spectrum)[:n] / whole
    integral = np.cumsum(likeness) - 0.5
    lags = np.flatnonzero(np.arange(n) >= WINDOW * integral)
    if not len(lags):
        return float(n)
    lag = int(lags[0])
    return float(min(max(2 * integral[lag] * (1 + (2 * lag + 1) / n), 1.0), n))


def grows(series: Floats, error: float) -> bool:
    """Whether a series rose from stretch to stretch, which a stationary one does with `error`.

    Student's t of the steps between the means of ten stretches: those of a stationary series are
    0 on average, and undo each other, so that it errs more rarely still.
    """
    if len(series) < STEPS:
        return False
    steps = np.diff([part.mean() for part in np.array_split(series, STEPS)])
    spread = float(steps.std(ddof=1))
    t = student(len(steps) - 1, 1 - 2 * error)
    return bool(steps.mean() > t * spread / math.sqrt(len(steps)) and steps.mean() > 0)


def effective(
    marks: Floats, sizes: Floats, block: npt.NDArray[np.int64], many: int, *, beside: float = 0.0
) -> float:
    """As how many independent ones calls count for a share of them (Korn and Graubard 1998).

    `marks` of the `sizes` values of each call are counted, both of shape (n,), in `many` blocks of
    time, whose numbers `block` has. The share's variance is that of a ratio of totals of blocks.
    Blocks of a memory of `beside` of their length hold some of it in common, and their variance
    is too small by half of that (as for an exponential autocorrelation). The waves of
    `effective.effective_number`, for runs whose memory nobody knows, are as seldom wrong here; but
    what they call certain is farther from the limit (a server of batches, levels of 10 s: missed
    from 1.23 of it on instead of 1.16).
    """
    total = float(sizes.sum())
    share = float(marks.sum()) / total
    if not 0 < share < 1:
        return total
    off = np.bincount(block, marks - share * sizes, many)
    spread = float(off @ off) * many / (many - 1) / total**2 / (1 - min(beside, 1.0) / 2)
    return min(share * (1 - share) / spread, total) if spread > 0 else total


def smaller(df: int, error: float) -> float:
    """By how much fewer calls count for `df` degrees of freedom: normal over Student's, squared."""
    return (NormalDist().inv_cdf(1 - error) / student(df, 1 - 2 * error)) ** 2


@lru_cache(maxsize=4096)
def tail(k: int, n: int, p: float) -> float:
    """The chance of at most `k` of `n` independent ones where each has the chance `p`."""
    if k < 0 or k >= n:
        return float(k >= n)
    if not 0 < p < 1:
        return float(p <= 0)
    few = np.arange(k + 1)
    steps = np.log((n - few[:-1]) / (few[:-1] + 1)) + math.log(p / (1 - p))
    logs = n * math.log1p(-p) + np.concatenate([[0.0], np.cumsum(steps)])
    return float(min(np.exp(logs).sum(), 1.0))
