"""What runs cost by day, and what a month at that rate comes to; pure.

What a price is not known of is said and never guessed; a rate is only told from a day of runs on.
"""

import math
from collections.abc import Sequence
from dataclasses import dataclass
from itertools import groupby
from operator import attrgetter
from typing import Any, Final, NamedTuple

from holymon.figures.cost import per_call, usd_cell
from holymon.figures.token_sums import pooled_share
from holymon.formatting import Headline, Table, count, number_of, percent, rounded
from holymon.language.said import heads, say

DAY_S: Final = 86400.0
MONTH_DAYS: Final = 365.25 / 12
MOST_DAYS: Final = 14
HEADS: Final = heads("day (UTC)", "runs", "calls", "USD", "USD per 1,000 calls",
                     "from a cache", "spent on reasoning")  # fmt: skip


class TargetSpending(NamedTuple):
    """What the calls of one target of a run cost (USD), and its sums of tokens; None: not known."""

    calls: int
    usd: float | None = None
    at_least_usd: float | None = None
    prompt_tokens: float | None = None
    output_tokens: float | None = None
    cache_hit_rate: float | None = None
    reasoning_share: float | None = None


class RunSpending(NamedTuple):
    """One run: when it began (s since 1970; None: not known), on which day, what targets cost."""

    began: float | None
    day: str
    targets: Sequence[TargetSpending]


@dataclass(frozen=True, slots=True)
class Spent:
    """What some runs cost, in USD, and what their tokens were; at least, if any are `unknown`.

    `unknown` is the number of runs of which not all of the cost is known. The shares of tokens are
    of those runs that tell them.
    """

    runs: int
    calls: int
    least: float
    unknown: int
    cache_hit_rate: float | None
    reasoning_share: float | None

    @property
    def usd(self) -> float | None:
        """All of it; None where some is not known."""
        return None if self.unknown else self.least

    @property
    def at_least_usd(self) -> float | None:
        """What is known to have been spent; None where nothing is."""
        return None if self.unknown and not self.least else self.least

    @property
    def cells(self) -> tuple[str, ...]:
        """As a row has it."""
        each = per_call(self.usd, self.calls)
        return (count(self.runs), count(self.calls), usd_cell(self.usd, self.least),
                rounded(None if each is None else each * 1000),
                percent(self.cache_hit_rate), percent(self.reasoning_share))  # fmt: skip

    def to_dict(self) -> dict[str, Any]:
        """As JSON has it: null for what is not known."""
        return {
            "runs": self.runs, "calls": self.calls, "usd": self.usd,
            "at_least_usd": self.at_least_usd, "cache_hit_rate": self.cache_hit_rate,
            "reasoning_share": self.reasoning_share,
        }  # fmt: skip


@dataclass(frozen=True, slots=True)
class Spending:
    """The costs of a name's runs, by the day on which they began, oldest first.

    `per_day` is in USD, at least that where a cost is not known, and None where less than a day of
    runs tells it; `budget` is that of a month.
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
    def lacking(self) -> str:
        """Why no month can be told; empty where one can."""
        if self.whole.unknown == self.whole.runs and not self.whole.least:
            return say("the cost of no run is known")
        if self.whole.runs == 1:
            return say("a single run tells no rate: that takes a day of runs")
        if self.per_day is None:
            hours, minutes = (rounded(self.span_s / unit, 2) for unit in (3600, 60))
            return say("{runs} over {span} tell no rate: that takes a day of runs",
                       runs=number_of(self.whole.runs, "run"),
                       span=say("{n} h", n=hours) if self.span_s >= 3600 else
                       say("{n} min", n=minutes))  # fmt: skip
        return ""

    @property
    def verdict(self) -> Headline:
        """What it comes to, in a line, held against the budget if there is one."""
        label = say(" (simulated, so prices are invented)") * self.simulated
        month = self.per_month
        if month is None or self.lacking:
            return Headline(say("No month can be told{label}: {why}", label=label,
                                why=self.lacking), "not judged")  # fmt: skip
        least = say("at least ") * bool(self.whole.unknown)
        line = say(
            "{least}{day} USD a day over {days} days; a month at that rate comes to "
            "{least}{month} USD{label}", least=least, day=rounded(self.per_day),
            days=rounded(self.span_s / DAY_S, 2), month=rounded(month), label=label,
        )  # fmt: skip
        return self._held(line, month)

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
        """As JSON has it: null for what can't be given, and in `reasons` why."""
        known = not self.lacking
        sure = known and not self.whole.unknown
        return {
            **self.whole.to_dict(), "days": [{"day": day, **of.to_dict()} for day, of in self.days],
            "per_day_usd": self.per_day if sure else None,
            "per_month_usd": self.per_month if sure else None,
            "at_least_per_month_usd": self.per_month if known else None, "budget_usd": self.budget,
            "state": self.verdict.state, "line": str(self.verdict), "simulated": self.simulated,
            "reasons": [text for text in (str(self.lacking), *self.reasons) if text],
        }  # fmt: skip

    def __repr__(self) -> str:
        return f"{self.verdict}\n{self.table.text()}"


def spending_of(
    runs: Sequence[RunSpending], budget: float | None, *, simulated: bool,
    reasons: Sequence[str] = (),
) -> Spending:  # fmt: skip
    """The costs of runs, whose order is no matter.

    Each run's cost is that of the time until the next one began, so the last one tells no rate.
    """
    known = sorted(runs, key=lambda run: run.began or 0.0)
    days = tuple((day, _spent(list(each))) for day, each in groupby(known, attrgetter("day")))
    times = [run.began for run in known if run.began is not None]
    span = times[-1] - times[0] if times else 0.0
    rate = _spent(known[:-1]).least / span * DAY_S if span >= DAY_S else None
    whole, why = _spent(known), list(reasons)
    if whole.unknown:
        runs_of = number_of(whole.runs, "run")
        why.insert(0, say(
            "not all of the cost of {runs} is known: more was spent than is said.",
            runs=runs_of if whole.unknown == whole.runs else
            say("{n:,} of {runs}", n=whole.unknown, runs=runs_of),
        ))  # fmt: skip
    return Spending(days, whole, span, rate, budget, simulated, tuple(why))


def _spent(runs: Sequence[RunSpending]) -> Spent:
    each = [target for run in runs for target in run.targets]
    known = [of.at_least_usd if of.usd is None else of.usd for of in each]
    return Spent(
        len(runs), sum(of.calls for of in each), math.fsum(usd for usd in known if usd is not None),
        sum(any(of.usd is None for of in run.targets) for run in runs),
        pooled_share((of.cache_hit_rate, of.prompt_tokens) for of in each),
        pooled_share((of.reasoning_share, of.output_tokens) for of in each),
    )  # fmt: skip
