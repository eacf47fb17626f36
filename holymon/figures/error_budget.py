"""What is left of the error budgets of a service: the share of calls that may miss an objective.

    left = 1 - (calls that missed it / all calls) / allowed share        burn = the same ratio, now

So The Site Reliability Workbook has it (Beyer et al., 2018, chapters 2 and 5,
https://sre.google/workbook/implementing-slos/): the budget is 1 minus the objective, over a rolling
window of four weeks. A burn rate of 1 would use all of it up in just this time.
"""

import math
from dataclasses import dataclass
from typing import Any, Final

import numpy as np

from holymon.figures.quantiles import Floats, wilson
from holymon.formatting import DASH, Cell, Table, count, number_of, per_cent, percent, rounded
from holymon.language.said import glued, heads, say
from holymon.structs import Interval, Rate, shows_table

PERIOD_S: Final = 28 * 86400.0
HEADS: Final = heads("objective", "target", "may miss it", "missed it", "calls", "runs",
                     "budget left", "burn rate, this run")  # fmt: skip
MEANING: Final = say(
    "budget left = 1 - share of calls that missed an objective / share that may; at a burn rate of "
    "1 it lasts just as long as the period"
)


@dataclass(frozen=True, slots=True)
class ErrorBudget:
    """The budget of one objective at one target: of the calls of `runs`, `missed` is the share.

    `burn` is the burn rate of the last run; None if its measurement was invalid.
    """

    slo: str
    target: str
    allowed: float
    missed: Rate
    runs: int
    burn: float | None

    @property
    def left(self) -> float | None:
        """The share of the budget that is left, below 0 where more was used; None without calls."""
        return None if self.missed.value is None else self._left(self.missed.value)

    @property
    def interval(self) -> Interval | None:
        """Its 95 % interval."""
        low, high = self.missed.low, self.missed.high
        return None if low is None or high is None else (self._left(high), self._left(low))

    def _left(self, missed: float) -> float:
        if self.allowed:
            return 1 - missed / self.allowed
        return -math.inf if missed else 1.0

    @property
    def cells(self) -> tuple[Cell, ...]:
        """Its row in a table."""
        ends = self.interval
        between = glued(_percent(ends[0]), say(" to "), _percent(ends[1])) if ends else ""
        return (
            self.slo, self.target, percent(self.allowed), percent(self.missed.value),
            count(self.missed.of), count(self.runs), (_percent(self.left), between),
            DASH if self.burn is None else rounded(self.burn),
        )  # fmt: skip

    def to_dict(self) -> dict[str, Any]:
        """As JSON has it: null for what is left where nothing may be missed and something was."""
        ends = self.interval
        return {
            "slo": self.slo, "target": self.target, "allowed": self.allowed,
            "missed": self.missed.value, "calls": self.missed.of, "runs": self.runs,
            "left": _finite(self.left), "ci": ends and tuple(map(_finite, ends)),
            "burn_rate": self.burn,
        }  # fmt: skip


@shows_table
@dataclass(frozen=True, slots=True)
class ErrorBudgets:
    """The budgets of objectives that have one; `over` says of which time, `notes` what lacks."""

    budgets: tuple[ErrorBudget, ...]
    over: str
    simulated: bool
    notes: tuple[str, ...] = ()

    @property
    def least(self) -> ErrorBudget | None:
        """The one of which the smallest share is left; None where nothing is known of any."""
        known = [budget for budget in self.budgets if budget.left is not None]
        return min(known, key=lambda budget: budget.left or 0.0, default=None)

    @property
    def table(self) -> Table:
        """The least that is left, in a sentence; then a row for each."""
        least = self.least
        if least is None or least.left is None:
            return Table(lead=(say("No error budget: {why}.", why=self.notes[0]),),
                         notes=self.notes[1:])  # fmt: skip
        left, several = least.left, sum(budget.left is not None for budget in self.budgets) > 1
        what = say("{share} of the error budget of {slo} is left", share=_percent(left),
                   slo=least.slo)  # fmt: skip
        if left <= 0:
            what = say("The error budget of {slo} is used up", slo=least.slo)
        lead = say("{what}{target}, {over}{simulated}.", what=what, over=self.over,
                   target=say(" at {target}", target=least.target) * several,
                   simulated=say(" (simulated)") * self.simulated)  # fmt: skip
        rows = [budget.cells for budget in self.budgets]
        return Table(HEADS, rows, "llr", lead=(lead,), notes=(MEANING, *self.notes))

    def to_dict(self) -> dict[str, Any]:
        """As JSON has it: `left` is the least of all; it is null where none is, and why.

        A budget of nothing that was used up has no number that JSON knows, and is null, too.
        """
        least = self.least
        used_up = least is not None and least.left == -math.inf
        why = ["an objective that allows no miss has none left: it was missed"] * used_up
        return {
            "left": None if least is None else _finite(least.left),
            "slo": None if least is None else least.slo,
            "target": None if least is None else least.target,
            "over": self.over or None, "budgets": [budget.to_dict() for budget in self.budgets],
            "simulated": self.simulated, "reasons": [*why, *map(str, self.notes)],
        }  # fmt: skip


def pooled(bad: Floats, valid: Floats) -> Rate:
    """The share of bad ones over runs, counts of shape (n,), with a 95 % interval.

    Failures come in bursts, so calls of one run are alike: Wilson's interval is that of as many
    independent calls as would scatter from run to run like these (a ratio over clusters, Cochran,
    Sampling Techniques, 1977; the design effect of Kish, 1965), of all of them at most.
    """
    n, runs = float(valid.sum()), int((valid > 0).sum())
    share = float(bad.sum()) / n if n else 0.0
    if runs < 2 or not 0 < share < 1:
        return wilson(float(bad.sum()), n)
    variance = runs / (runs - 1) * float(((bad - share * valid) ** 2).sum()) / n**2
    worth = min(n, share * (1 - share) / variance) if variance > 0 else n
    rate = wilson(share * worth, worth)
    return Rate(share, rate.low, rate.high, round(n))


def budget_of(
    slo: str, target: str, allowed: float, counts: list[tuple[float, float]],
    last: tuple[float, float] | None,
) -> ErrorBudget:  # fmt: skip
    """A budget from how many calls missed an objective, and of how many, in each run.

    `last` is that of the last run, if its measurement can be relied on.
    """
    bad, valid = np.array(counts, float).reshape(-1, 2).T
    share = last[0] / last[1] if last and last[1] else None
    burn = None if share is None or not allowed else share / allowed
    return ErrorBudget(slo, target, allowed, pooled(bad, valid), len(counts), burn)


def period_in_words(seconds: float, runs: int) -> str:
    """Of which time: `over 28 days with 336 runs`."""
    if seconds < 2 * 86400:
        return say("over {hours} h with {runs}", hours=rounded(seconds / 3600, 2),
                   runs=number_of(runs, "run"))  # fmt: skip
    return say("over {days} days with {runs}", days=rounded(seconds / 86400, 2),
               runs=number_of(runs, "run"))  # fmt: skip


def _finite(share: float | None) -> float | None:
    return None if share is None or math.isinf(share) else share


def _percent(share: float | None) -> str:
    """A share that may lie below 0."""
    if share is None or math.isinf(share):
        return DASH
    size = per_cent(rounded(abs(share) * 100, 2))
    return glued("\u2212", size) if share < 0 else size
