"""What the runs of a name cost by day, and what a month at that rate comes to.

What a price is not known of is said and never guessed; a rate is only told from a day of runs on.
"""

import math
from collections.abc import Iterable
from dataclasses import dataclass
from datetime import UTC, datetime
from itertools import groupby
from typing import Any, Final

from holymon.catalogue.budgets import runs_before
from holymon.catalogue.entry import Entry
from holymon.catalogue.news import entry_of
from holymon.figures.cost import usd_cell
from holymon.figures.error_budget import PERIOD_S
from holymon.formatting import DASH, Headline, Table, count, number_of, percent, rounded
from holymon.language.said import heads, say
from holymon.load.run import Run
from holymon.structs import check_range

DAY_S: Final = 86400.0
MONTH_DAYS: Final = 365.25 / 12
MOST_DAYS: Final = 14
HEADS: Final = heads("day (UTC)", "runs", "calls", "USD", "USD per 1,000 calls",
                     "from a cache", "spent on reasoning")  # fmt: skip


@dataclass(frozen=True, slots=True)
class Spent:
    """What some runs cost, in USD, and what their tokens were; at least, if any are `unknown`.

    `unknown` is the number of runs of which not all of the cost is known. The shares of tokens are
    of those runs that tell them.
    """

    runs: int
    calls: int
    usd: float
    unknown: int
    cache_hit_rate: float | None
    reasoning_share: float | None

    @property
    def cells(self) -> tuple[str, ...]:
        """As a row has it."""
        whole = None if self.unknown else self.usd
        each = whole / self.calls * 1000 if whole is not None and self.calls else None
        return (count(self.runs), count(self.calls), usd_cell(whole, self.usd), rounded(each, 3),
                percent(self.cache_hit_rate), percent(self.reasoning_share))  # fmt: skip


@dataclass(frozen=True, slots=True)
class Spending:
    """The costs of a name's runs, by the day on which they began, oldest first.

    `per_day` is in USD, None where less than a day of runs tells it; `budget` is that of a month.
    """

    days: tuple[tuple[str, Spent], ...]
    whole: Spent
    span_s: float
    per_day: float | None
    budget: float | None
    simulated: bool
    reasons: tuple[str, ...] = ()

    @property
    def per_month(self) -> float | None:
        """What a month of 30.4 days at that rate comes to; at least, where a cost is unknown."""
        return None if self.per_day is None else self.per_day * MONTH_DAYS

    @property
    def verdict(self) -> Headline:
        """What it comes to, in a line, held against the budget if there is one."""
        label = say(" (simulated, so prices are invented)") * self.simulated
        least = say("at least ") * bool(self.whole.unknown)
        month = self.per_month
        if self.whole.unknown == self.whole.runs and not self.whole.usd:
            why = say("the cost of no run is known")
        elif self.whole.runs == 1:
            why = say("a single run tells no rate: that takes a day of runs")
        elif month is None:
            why = say("{runs} over {hours} h tell no rate: that takes a day of runs",
                      runs=number_of(self.whole.runs, "run"),
                      hours=rounded(self.span_s / 3600, 2))  # fmt: skip
        else:
            line = say(
                "{least}{day} USD a day over {days} days; a month at that rate comes to "
                "{least}{month} USD{label}", least=least, day=rounded(self.per_day, 3),
                days=rounded(self.span_s / DAY_S, 2), month=rounded(month, 3), label=label,
            )  # fmt: skip
            return self._held(line, month)
        return Headline(say("No month can be told{label}: {why}", label=label, why=why),
                        "not judged")  # fmt: skip

    def _held(self, line: str, month: float) -> Headline:
        if self.budget is None:
            return Headline(say("Spent: {line}", line=line), "healthy")
        budget = rounded(self.budget)
        if month > self.budget:
            return Headline(say("Over the budget of {budget} USD a month: {line}", budget=budget,
                                line=line), "unhealthy")  # fmt: skip
        if self.whole.unknown:
            return Headline(say("The budget of {budget} USD a month can't be judged: {line}",
                                budget=budget, line=line), "not judged")  # fmt: skip
        return Headline(say("Within the budget of {budget} USD a month: {line}", budget=budget,
                            line=line), "healthy")  # fmt: skip

    @property
    def table(self) -> Table:
        """A row for each of the last days, and one for all; why a cost is not known."""
        shown = self.days[-MOST_DAYS:]
        rows = [(day, *spent.cells) for day, spent in shown]
        rows += [(say("all {days}", days=number_of(len(self.days), "day")), *self.whole.cells)]
        return Table(HEADS, rows[:1] if len(self.days) == 1 else rows, notes=self.reasons)

    def to_dict(self) -> dict[str, Any]:
        """As JSON has it."""
        return {
            "runs": self.whole.runs, "calls": self.whole.calls, "usd": self.whole.usd,
            "unknown": self.whole.unknown, "cache_hit_rate": self.whole.cache_hit_rate,
            "reasoning_share": self.whole.reasoning_share, "per_day_usd": self.per_day,
            "per_month_usd": self.per_month, "budget_usd": self.budget, "line": str(self.verdict),
            "simulated": self.simulated, "reasons": list(self.reasons),
        }  # fmt: skip

    def __repr__(self) -> str:
        return f"{self.verdict}\n{self.table.text()}"


def spending(run: Run, budget: float | None = None, period_s: float = PERIOD_S) -> Spending:
    """The costs of the runs of a run's name, over the time that ends with it.

    Each run's cost is that of the time until the next one began, so the last one tells no rate.
    `budget` is in USD a month. Raises PlanError for one that can't be.
    """
    check_range("budget", budget, 0, math.inf, "USD")
    mine = entry_of(run)
    known = [*runs_before(run, mine, period_s), mine]
    known = sorted((e for e in known if e.of_targets), key=lambda entry: entry.began or 0.0)
    days = tuple((day, _spent(list(each))) for day, each in groupby(known, _day))
    times = [entry.began for entry in known if entry.began is not None]
    span = times[-1] - times[0] if times else 0.0
    per_day = _spent(known[:-1]).usd / span * DAY_S if span >= DAY_S else None
    reasons = [f"{target.target}: {target.cost.reason}." for target in run.summary().targets
               if target.cost_usd is None and target.cost.reason]  # fmt: skip
    whole = _spent(known)
    if whole.unknown:
        reasons.insert(0, say(
            "of {n:,} of {runs} not all of the cost is known: more was spent than is said.",
            n=whole.unknown, runs=number_of(whole.runs, "run"),
        ))  # fmt: skip
    return Spending(days, whole, span, per_day, budget, run.plan.simulated, tuple(reasons))


def _day(entry: Entry) -> str:
    return DASH if entry.began is None else datetime.fromtimestamp(entry.began, UTC).strftime("%F")


def _spent(runs: list[Entry]) -> Spent:
    each = [(of.figures.get("cost_usd"), of.figures.get("cost_at_least_usd"))
            for entry in runs for of in entry.of_targets or ()]  # fmt: skip
    unknown = sum(any("cost_usd" not in of.figures for of in entry.of_targets or ())
                  for entry in runs)  # fmt: skip
    return Spent(
        len(runs), sum(of.requests for entry in runs for of in entry.of_targets or ()),
        math.fsum(known.value for whole, least in each if (known := whole or least)), unknown,
        _pooled(runs, "cache_hit_rate", "prompt_tokens"),
        _pooled(runs, "reasoning_share", "output_tokens"),
    )  # fmt: skip


def _pooled(runs: Iterable[Entry], share: str, of: str) -> float | None:
    """A share of tokens over runs, each with the weight of its tokens."""
    both = [(each.figures.get(share), each.figures.get(of))
            for entry in runs for each in entry.of_targets or ()]  # fmt: skip
    known = [(part.value, n.value) for part, n in both if part and n and n.value > 0]
    total = math.fsum(n for _, n in known)
    return math.fsum(part * n for part, n in known) / total if total else None
