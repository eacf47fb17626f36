"""What a search for a capacity may do, what is left of it, and how much each level may err. Pure.

As every level may be taken for certain by chance, each has its own part of `ERROR` (alpha spending,
Lan and DeMets 1983; by Bonferroni's inequality no more than that is wrong in all of a search),
however often a rate is measured again, and however it was chosen.
"""

import math
from collections.abc import Sequence
from dataclasses import dataclass
from statistics import median
from typing import Final

from holymon.errors import PlanError
from holymon.experiments.load_level import LoadLevel
from holymon.figures.quantiles import PERCENTILES
from holymon.plan.slo import Slo, parse
from holymon.structs import check_range

FEW: Final = 10
"""No level has fewer calls."""

FAR: Final = 0.25
"""A level far from the limit takes that part of the usual time."""

WAITS: Final = 4.0
"""And so many times the longest that an objective allows a call to take."""

CLIMB: Final = 7
"""Levels that a search usually has before the first one that is missed, it included."""

NEAR: Final = 5
"""Near the limit it usually has as many as take so many times the usual time."""

LEAST: Final = 12
"""A limit that was found sooner is made certain for as long as that many levels take."""

BUDGET_S: Final = 600.0
AGAIN: Final = 1.0
"""What a search without a budget takes at most; and that many times what finding the limit took."""

START_S: Final = 2.0
"""What a level takes beside its load, until that is known: to begin, and for the last answers."""

MOST_FOR_ERRORS: Final = 2000
"""A level has no more calls than that for the sake of a low error rate."""

_WHOLE: Final = ("latency", "response")
"""Durations of whole answers."""

ERROR: Final = 0.05
SPENT: Final = 0.05
"""Of the error that is left each level may spend this part."""


@dataclass(frozen=True, slots=True)
class Step:
    """What to measure next: calls per second, for so many seconds, and how it may err."""

    rate: float
    seconds: float
    error: float = ERROR * SPENT


@dataclass(frozen=True, slots=True)
class Bounds:
    """What a search may do: rates from `start` up to `most`, to a ratio of 1 + `precision`.

    A level lasts `seconds`, and longer near the limit. `budget_s` (of the clock on the wall),
    `max_calls` and `max_cost` (USD) limit all levels together. Objectives that were `added` are
    judged, too, by their values: no level is longer, or less certain, for them. To be certain of
    a limit takes no more than `again` times what it took to find it, or `LEAST` levels' time.
    """

    objectives: tuple[str, ...]
    start: float = 1.0
    most: float = 1000.0
    seconds: float = 10.0
    precision: float = 0.1
    budget_s: float = BUDGET_S
    max_calls: int | None = None
    max_cost: float | None = None
    added: tuple[str, ...] = ()
    again: float = math.inf

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
    def all_objectives(self) -> tuple[str, ...]:
        """Those given and those added."""
        return (*self.objectives, *self.added)

    def short(self, rate: float) -> float:
        """Seconds of a level that need not be sure."""
        return max(self.seconds, FEW / rate)

    def far(self, rate: float) -> float:
        """Seconds of a level that is to show only on which side of a limit far away it is.

        Long enough for a queue to grow over the slowest objective.
        """
        goals = map(parse, self.objectives)
        slowest = max(goal.limit * bool(goal.stat) for goal in goals)
        return max(min(self.seconds, max(FAR * self.seconds, WAITS * slowest)), FEW / rate)

    @property
    def given_s(self) -> float | None:
        """The budget that may be used up to be certain; None where there is none."""
        return self.budget_s if math.isinf(self.again) else None

    @property
    def answer_s(self) -> float:
        """How long answers take at the limit, as far as objectives tell; 0 where none does.

        A limit on a whole answer is about as long as one takes there. One on its first token or on
        those after it says too little: how many there are is not known.
        """
        goals = map(parse, self.objectives)
        limits = (goal.limit for goal in goals if goal.metric in _WHOLE and goal.op[0] == "<")
        return min(limits, default=0.0)

    def usual_s(self, levels: Sequence[LoadLevel] = ()) -> float:
        """About how long it takes to find a limit, where the rate is doubled six times for that.

        So many levels far from the limit, and `NEAR` of them near it. Each lasts until its last
        answer came: `levels` tell how long that is, and before there are any, the objectives do.
        """
        climb = [self.far(min(self.start * 2**k, self.most)) for k in range(CLIMB)]
        beside = _beside(levels) if levels else START_S + self.answer_s
        whole = math.fsum(climb) + NEAR * self.seconds + (CLIMB + NEAR) * beside
        return min(self.budget_s, whole)

    def certainty_s(self, found_s: float) -> float:
        """How long being certain of a limit may take, that was found in so many seconds."""
        most = max(self.again * found_s, LEAST * self.seconds)
        return max(0.0, min(self.budget_s - found_s, most))

    def calls(self, error: float) -> int:
        """Calls by which all objectives can be sure where nothing is over, however they arrive."""
        need = max(_calls_for(parse(text), error) for text in self.objectives)
        return need + math.ceil(3 * math.sqrt(need))


def time_of(budget_s: float | None) -> tuple[float, float]:
    """`budget_s` and `again` of a search with a budget of the user's, or without one."""
    return (BUDGET_S, AGAIN) if budget_s is None else (budget_s, math.inf)


def time_left(levels: Sequence[LoadLevel], bounds: Bounds) -> float:
    """Seconds of load for which the budget suffices, in one level."""
    return bounds.budget_s - math.fsum(level.took_s for level in levels) - _beside(levels)


def _beside(levels: Sequence[LoadLevel]) -> float:
    return median([level.took_s - level.seconds for level in levels]) if levels else START_S


def error_of(number: int) -> float:
    """What the level of that number, from 0, may err: all of them `ERROR`."""
    return ERROR * SPENT * (1 - SPENT) ** number


def fits(levels: Sequence[LoadLevel], step: Step, bounds: Bounds) -> bool:
    """Whether a step fits into what is left: in time, in calls, and by what calls have cost."""
    if step.seconds > time_left(levels, bounds):
        return False
    calls = step.rate * step.seconds
    made = sum(level.calls for level in levels)
    if bounds.max_calls is not None and made + math.ceil(calls) > bounds.max_calls:
        return False
    if bounds.max_cost is None:
        return True
    costs = [level.cost_usd for level in levels if level.cost_usd is not None]
    each = math.fsum(costs) / made if made else 0.0
    return math.fsum(costs) + each * calls <= bounds.max_cost


def _calls_for(objective: Slo, error: float) -> int:
    """So many that none over the limit would be so rare by chance."""
    if objective.stat in PERCENTILES:
        return _none_over(1 - PERCENTILES[objective.stat], error)
    if objective.metric.startswith("error_rate") and objective.limit > 0:
        return min(_none_over(objective.limit, error), MOST_FOR_ERRORS)
    return FEW


def _none_over(share: float, error: float) -> int:
    return math.ceil(math.log(error) / math.log1p(-share)) if share < 1 else 1
