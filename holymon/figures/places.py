"""One target measured from several places: by hour of the day, and place beside place.

Two places are compared hour by hour (their medians over the runs of an hour), so what the target
does to both in an hour cancels out. Hours that follow one another are alike, and count as fewer
(`quantiles.mean_interval`); each interval shares the 5 % with all others (Bonferroni).
"""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Final

import numpy as np

from holymon.figures.blocks import FEWEST_PAIRS
from holymon.figures.comparison import ALPHA, EFFECT
from holymon.figures.effective import Bools
from holymon.figures.pair_tests import ErrorDifference, Ratio, difference_of_rates
from holymon.figures.quantiles import Floats, wilson
from holymon.figures.ratios import HeldAgainst, ratio_of_percentiles

HOUR_S: Final = 3600.0
DAY: Final = 24
TESTS: Final = 3


@dataclass(frozen=True, slots=True)
class PlaceRuns:
    """What one place measured: arrays of shape (n,), a run each.

    `at` is when each began, in seconds since 1970; `p50` and `p95` are latencies in seconds, NaN
    where not known; of `calls` so many `failed`.
    """

    place: str
    at: Floats
    p50: Floats
    p95: Floats
    failed: Floats
    calls: Floats

    def by_hour(self) -> tuple[Floats, Floats, Floats]:
        """Medians of p50 and p95 in each hour of the day (UTC), and the share that failed.

        Each of shape (24,), NaN where nothing was measured.
        """
        hour = (self.at // HOUR_S % DAY).astype(np.int64)
        made = np.full((TESTS, DAY), np.nan)
        for k in np.unique(hour).tolist():
            made[:, k] = self._of(hour == k)
        return made[0], made[1], made[2]

    def hours(self) -> dict[int, tuple[float, float, float]]:
        """The same for each hour since 1970 in which it was measured."""
        hour = (self.at // HOUR_S).astype(np.int64)
        return {k: self._of(hour == k) for k in np.unique(hour).tolist()}

    def _of(self, rows: Bools) -> tuple[float, float, float]:
        calls = float(self.calls[rows].sum())
        share = float(self.failed[rows].sum()) / calls if calls else np.nan
        return _median(self.p50[rows]), _median(self.p95[rows]), share


@dataclass(frozen=True, slots=True)
class Beside:
    """One place beside another, in the hours in which both measured."""

    p50: Ratio
    p95: Ratio
    failed: ErrorDifference

    @property
    def shown(self) -> tuple[Ratio | ErrorDifference, ...]:
        """The differences that are shown."""
        all_of_them = (self.p50, self.p95, self.failed)
        return tuple(each for each in all_of_them if each.result in {"higher", "lower"})


def beside(a: PlaceRuns, b: PlaceRuns, others: int = 1) -> Beside:
    """Place B beside place A, one of so many `others` that are compared with it."""
    level = 1 - ALPHA / (TESTS * others)
    first, second = a.hours(), b.hours()
    shared = sorted(first.keys() & second.keys())
    pairs = np.array([(first[k], second[k]) for k in shared]).reshape(-1, 2, TESTS)
    test = HeldAgainst(EFFECT, level, claims=len(shared) >= FEWEST_PAIRS)

    def ratio(k: int, stat: str) -> Ratio:
        both = pairs[:, :, k]
        known = both[np.isfinite(both).all(axis=1) & (both > 0).all(axis=1)]
        return ratio_of_percentiles(known, "latency_s", stat, test, neighbours=True)

    gaps = pairs[:, 1, 2] - pairs[:, 0, 2]
    rates = [wilson(*_sums(place, shared)) for place in (a, b)]
    failed = difference_of_rates(
        rates[0], rates[1], gaps[np.isfinite(gaps)].tolist(), level, claims=test.claims,
        neighbours=True,
    )  # fmt: skip
    return Beside(ratio(0, "p50"), ratio(1, "p95"), failed)


def _sums(place: PlaceRuns, hours: Sequence[int]) -> tuple[float, float]:
    rows = np.isin((place.at // HOUR_S).astype(np.int64), hours)
    return float(place.failed[rows].sum()), float(place.calls[rows].sum())


def _median(values: Floats) -> float:
    known = values[np.isfinite(values)]
    return float(np.median(known)) if len(known) else np.nan
