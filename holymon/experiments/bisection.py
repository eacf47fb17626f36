"""Which rate a search for a capacity tries next, within its bounds, or why it has ended. Pure.

    levels so far --> following(levels, bounds) --> the next Step, or a key of ceiling.ENDINGS
    double while objectives are met, halve while they are missed, then halve the ratio between

A level that can't tell met from missed, or whose times were still rising when it ended, is measured
once more, longer.
"""

import math
from collections.abc import Sequence
from dataclasses import dataclass
from statistics import median
from typing import Final

from holymon.errors import PlanError
from holymon.experiments.capacity import LoadLevel, best_of, latest
from holymon.figures.quantiles import PERCENTILES, Z95, fewest_for_interval
from holymon.plan.slo import Slo, parse
from holymon.structs import check_range

LONGER: Final = 3.0
"""A level that could not tell is measured once more, for so many times as long."""

START_S: Final = 2.0
"""What a level takes beside its load, until that is known: to begin, and for the last answers."""

LOWEST: Final = 64.0
"""The search goes no lower than this part of the rate that it began with."""

MOST_FOR_ERRORS: Final = 2000
"""A level has no more calls than that for the sake of a low error rate."""


@dataclass(frozen=True, slots=True)
class Step:
    """What to measure next: calls per second, for so many seconds."""

    rate: float
    seconds: float


@dataclass(frozen=True, slots=True)
class Bounds:
    """What a search may do: rates from `start` up to `most`, to a ratio of 1 + `precision`.

    A level lasts `seconds`, and longer where its objectives need more calls. `budget_s` (of the
    clock on the wall), `max_calls` and `max_cost` (USD) limit all levels together.
    """

    objectives: tuple[str, ...]
    start: float = 1.0
    most: float = 1000.0
    seconds: float = 10.0
    precision: float = 0.1
    budget_s: float = 600.0
    max_calls: int | None = None
    max_cost: float | None = None

    def __post_init__(self) -> None:
        """Raise PlanError for a search that can't be."""
        if not self.objectives:
            raise PlanError("capacity needs an objective: give one, such as ttft_p95<1.")
        for text in self.objectives:
            parse(text)
        check_range("from", self.start, 1e-3, 1e6, "calls per second")
        check_range("to", self.most, self.start, 1e6, "calls per second")
        check_range("duration", self.seconds, 0.1, 86400, "seconds")
        check_range("precision", self.precision, 0.01, 1)
        check_range("budget", self.budget_s, self.seconds + START_S, 7 * 86400, "seconds")
        check_range("max_calls", self.max_calls, 1, 1e9)
        check_range("max_cost", self.max_cost, 0, 1e9)

    @property
    def calls(self) -> int:
        """Calls to want of a level, so that its objectives can be judged however they arrive."""
        need = max(map(_calls_for, map(parse, self.objectives)))
        return need + math.ceil(3 * math.sqrt(need))


def following(levels: Sequence[LoadLevel], bounds: Bounds) -> Step | str:
    """The next step of a search, or, a key of `ENDINGS`, why there is none."""
    rate, longer = _next(levels, bounds)
    if isinstance(rate, str):
        return rate
    seconds = max(bounds.seconds, bounds.calls / rate) * (LONGER if longer else 1.0)
    spent = sum(level.took_s for level in levels)
    beside = median([level.took_s - level.seconds for level in levels]) if levels else START_S
    in_time = spent + seconds + beside <= bounds.budget_s
    affordable = in_time and _affordable(levels, rate * seconds, bounds)
    return Step(rate, seconds) if affordable else "budget"


def _next(levels: Sequence[LoadLevel], bounds: Bounds) -> tuple[float | str, bool]:
    """The next rate, or why there is none; and whether it is one that could not tell."""
    if not levels:
        return bounds.start, False
    last = levels[-1]
    tried = sum(level.rate == last.rate for level in levels)
    if tried == 1 and (last.met is None or not last.sure):
        return last.rate, last.met is not None
    known = latest(levels)
    best = best_of(known)
    above = [level for level in known if best is None or level.rate > best.rate]
    stops = [level for level in above if level.met is not True]
    if best is not None and not stops:
        higher = min(_round(2 * best.rate), bounds.most)
        return (higher if best.rate < bounds.most else "all met"), False
    first = stops[0]
    if best is None:
        lower = _round(first.rate / 2)
        if lower < bounds.start / LOWEST:
            return ("none met" if first.met is False else "client"), False
        return lower, False
    if first.rate <= best.rate * (1 + bounds.precision) * (1 + 1e-9):
        return ("found" if first.met is False else "client"), False
    return _round(math.sqrt(best.rate * first.rate)), False


def _affordable(levels: Sequence[LoadLevel], calls: float, bounds: Bounds) -> bool:
    """Whether so many calls fit into what is left, by what calls have cost so far."""
    made = sum(level.calls for level in levels)
    if bounds.max_calls is not None and made + math.ceil(calls) > bounds.max_calls:
        return False
    if bounds.max_cost is None:
        return True
    costs = [level.cost_usd for level in levels if level.cost_usd is not None]
    each = math.fsum(costs) / made if made else 0.0
    return math.fsum(costs) + each * calls <= bounds.max_cost


def _calls_for(objective: Slo) -> int:
    """So many that a figure well within its limit leaves no doubt."""
    if objective.stat in PERCENTILES:
        return fewest_for_interval(PERCENTILES[objective.stat])
    if objective.metric.startswith("error_rate") and objective.limit > 0:
        # Wilson's upper end for no errors at all is z^2 / (n + z^2).
        return min(math.ceil(Z95**2 * (1 / objective.limit - 1)) + 1, MOST_FOR_ERRORS)
    return fewest_for_interval(0.5)


def _round(rate: float) -> float:
    """Three figures: nobody wants to read more."""
    return float(f"{rate:.3g}")
