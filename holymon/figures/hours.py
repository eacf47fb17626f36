"""How steady a figure is over the hours of the day, from all runs that are known: pure arithmetic.

    swing = the highest median of an hour / the lowest one

Medians, so that one bad run does not make a bad hour; only of hours in which both targets ran.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Final

import numpy as np

from holymon.figures.quantiles import Floats
from holymon.formatting import Table, count, ms
from holymon.language.said import Digits, heads, say

FEWEST_HOURS: Final = 3
HOUR_S: Final = 3600.0
DAY: Final = 24
HEADS: Final = heads("target", "runs", "hours", "quietest hour (UTC)", "latency p95, ms",
                "worst hour (UTC)", "latency p95, ms", "worst / quietest")  # fmt: skip


@dataclass(frozen=True, slots=True)
class Hours:
    """A figure of a target by hour of the day (UTC): the hours with the lowest and highest median.

    `runs` of `hours` hours were looked at, which begin at `covered`; figures are in seconds.
    """

    target: str
    runs: int
    hours: int
    low: tuple[int, float]
    high: tuple[int, float]
    covered: tuple[int, ...]

    @property
    def cells(self) -> tuple[str, ...]:
        """Its row under HEADS."""
        swing = Digits(f"{self.high[1] / self.low[1]:.3g}") if self.low[1] > 0 else ""
        return (self.target, count(self.runs), count(self.hours), f"{self.low[0]:02d}:00",
                ms(self.low[1]), f"{self.high[0]:02d}:00", ms(self.high[1]), swing)  # fmt: skip


def by_hour(runs: Sequence[tuple[str, Floats, Floats]]) -> tuple[Hours, ...]:
    """Each target in the hours that all of them have; () where these are fewer than FEWEST_HOURS.

    `runs` are (target, when each run began in seconds since 1970, a figure), arrays of shape (n,).
    """
    hour_of = [(at // HOUR_S % DAY).astype(np.int64) for _, at, _ in runs]
    shared = set(range(DAY)).intersection(*(set(hours.tolist()) for hours in hour_of))
    if not runs or len(shared) < FEWEST_HOURS:
        return ()
    made = []
    for (target, _, values), hours in zip(runs, hour_of, strict=True):
        medians = {hour: float(np.median(values[hours == hour])) for hour in sorted(shared)}
        low, high = min(medians, key=medians.__getitem__), max(medians, key=medians.__getitem__)
        made.append(Hours(target, int(np.isin(hours, [*shared]).sum()), len(shared),
                          (low, medians[low]), (high, medians[high]),
                          tuple(sorted(shared))))  # fmt: skip
    return tuple(made)


def table_of(hours: Sequence[Hours]) -> Table:
    """A row for each target; a sentence where there is no such history."""
    if not hours:
        return Table(lead=(
            say("No stability by hour: it takes runs of both in {n} hours of the day.",
                n=FEWEST_HOURS),
        ))  # fmt: skip
    notes = (
        say("of all runs in this folder, whatever their load was"),
        say("all of them ran in every hour of the day") if hours[0].hours == DAY else
        say("hours in which all ran (UTC): {hours}; of the rest of the day nothing is known",
            hours=spans(hours[0].covered)),
    )  # fmt: skip
    return Table(HEADS, [each.cells for each in hours], "lrr", notes=notes)


def spans(hours: Sequence[int]) -> str:
    """Hours of the day, sorted, as spans of time, each without the hour that it ends with."""
    begins = [hour for hour in hours if hour - 1 not in hours]
    ends = [hour + 1 for hour in hours if hour + 1 not in hours]
    return ", ".join(f"{a:02d}:00–{b:02d}:00" for a, b in zip(begins, ends, strict=True))
