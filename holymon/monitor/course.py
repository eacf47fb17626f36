"""Which way a move goes, and what each call on it counts: pure.

MoveSteps       the steps, and what each needs
Outcome      what became of a call --> sums_of(...) for the gate, lead(...) for bursts
"""

import math
from dataclasses import dataclass, field
from typing import Final, NamedTuple

import numpy as np

from holymon.errors import PlanError
from holymon.figures import gate
from holymon.plan.slo import Slo, parse
from holymon.structs import require

_WATCHED: Final = ("error_rate", "latency", "response", "ttft")
_MOST_BUDGET: Final = 0.25
"""Of an objective that so many calls may miss, some misses in a row are no burst."""


class Outcome(NamedTuple):
    """What became of a call at one side, 0 or 1 (-1: it says nothing of either).

    NaN and -1 stand for what is not known; `of` is where it was made, as `monitor.side` has it.
    """

    side: int
    failed: bool
    latency_s: float = math.nan
    ttft_s: float = math.nan
    cost: float = math.nan
    tokens: int = -1
    odd: bool = False
    of: str = ""


@dataclass(frozen=True, slots=True)
class MoveSteps:
    """Which shares a move goes through, and what each needs; the same in all processes of it.

    `shadow` is the share of calls that both sides get at first (0: none). A step lasts `min_s`
    seconds and `min_calls` of the candidate at least; blocks last `block_s`. Raise PlanError.
    """

    steps: tuple[float, ...] = (0.05, 0.2, 0.5, 1.0)
    shadow: float = 0.05
    slo: tuple[str, ...] = ()
    margins: gate.Margins = field(default_factory=gate.Margins)
    min_calls: int = 100
    min_s: float = 300.0
    block_s: float = 10.0

    def __post_init__(self) -> None:
        """Raise PlanError for steps that don't rise to 1, or an objective that can't be watched."""
        numbers = all(isinstance(step, int | float) for step in self.steps)
        rises = numbers and all(a < b for a, b in zip((0.0, *self.steps), self.steps, strict=False))
        good = rises and self.steps and self.steps[-1] == 1
        require(bool(good), "steps", "don't rise to 1", "write them like (0.05, 0.2, 0.5, 1)")
        require(0 <= self.shadow <= 1, "shadow", "is no share", "name one from 0 to 1")
        for name in ("min_calls", "min_s", "block_s"):
            good = 0 <= getattr(self, name) < 1e9
            require(good, name, "is out of range", "name a number that is not negative")
        for objective in self.objectives:
            if objective.metric not in _WATCHED or objective.allowed is None:
                raise PlanError(
                    f"slo {objective.text!r} can't be watched call by call: use error_rate<, or "
                    "latency_, response_ or ttft_ with a percentile and an upper limit."
                )

    @property
    def objectives(self) -> tuple[Slo, ...]:
        """The objectives, read."""
        return tuple(map(parse, self.slo))

    @property
    def budgets(self) -> tuple[float, ...]:
        """The shares of calls that may miss them."""
        return tuple(objective.allowed or 0.0 for objective in self.objectives)

    @property
    def together(self) -> int:
        """How many steps share the chance of a false rollback."""
        return len(self.steps) + (self.shadow > 0)

    @property
    def figures(self) -> tuple[str, ...]:
        """What is compared."""
        return (*gate.FIGURES, *(objective.text for objective in self.objectives))

    @property
    def width(self) -> int:
        """How many sums a block of one side has."""
        return len(gate.FIELDS) + 2 * len(self.slo)


def missed(outcome: Outcome, objective: Slo) -> bool | None:
    """Whether a call missed an objective; None if it is none of those that it is about."""
    if objective.metric == "error_rate":
        return outcome.failed
    if outcome.failed:
        return None if objective.of_successes else True
    value = outcome.ttft_s if objective.metric == "ttft" else outcome.latency_s
    return None if math.isnan(value) else not objective.holds(value)


def sums_of(outcome: Outcome, slow_s: float, long_tokens: float, course: MoveSteps) -> gate.Floats:
    """What one call adds to the sums of its side's block, by `gate.FIELDS`."""
    limit = slow_s * (1 + course.margins.slower * outcome.side)
    priced, sized = not math.isnan(outcome.cost), outcome.tokens >= 0 and not outcome.failed
    added = [
        1, outcome.failed, not outcome.failed and outcome.latency_s > limit,
        priced, outcome.cost if priced else 0,
        sized, sized and outcome.tokens > long_tokens, sized and outcome.odd,
    ]  # fmt: skip
    for objective in course.objectives:
        lost = missed(outcome, objective)
        added += [lost is not None, bool(lost)]
    return np.array(added, float)


def burst_of(leads: list[list[int]], outcome: Outcome, course: MoveSteps) -> str:
    """Count one call more; why the move goes back at once, if it does."""
    mine, theirs = leads[outcome.side], leads[1 - outcome.side]
    bad: list[bool | None] = [outcome.failed]
    bad += [missed(outcome, objective) for objective in course.objectives]
    words = ""
    for k, is_bad in enumerate(bad):
        if is_bad is None or (k and course.budgets[k - 1] > _MOST_BUDGET):
            continue
        mine[k] = min(gate.walk(mine[k], is_bad), gate.BURST)
        if outcome.side and mine[k] >= gate.BURST and theirs[k] < gate.BURST // 2 and not words:
            what = "failed than succeeded" if not k else f"missed {course.slo[k - 1]} than met it"
            words = f"{gate.BURST} more of the candidate's calls {what}, and not of the baseline's"
    return words
