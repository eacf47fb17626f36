"""The sheet of a migration: each candidate's decision and money, and the tables that show it."""

from collections.abc import Sequence
from dataclasses import asdict, dataclass
from typing import Any, Final

from holymon.figures.bills import Amount
from holymon.figures.comparisons import Comparisons
from holymon.figures.deciding import Decision, Judged, between, earned
from holymon.figures.hours import Hours, table_of
from holymon.figures.migration import CostRow, Saving, Stated
from holymon.figures.same_types import SameModel, SameModels
from holymon.figures.size_types import SizeEffects
from holymon.figures.summary_types import TargetSummary
from holymon.figures.terms import MONTH_DAYS
from holymon.formatting import (
    DASH,
    Cell,
    Headline,
    Table,
    Tables,
    join,
    per_cent,
    rate_cell,
    rounded,
)
from holymon.language.said import glued, heads, say, vocabulary, without_stop
from holymon.plan.price import source_words
from holymon.records.headroom import in_a_line

STATES: Final = {"go": "healthy", "no-go": "unhealthy", "not shown": "not judged"}
DECISIONS: Final = vocabulary("go", "no-go", "not shown")
HEADS: Final = heads("candidate", "decision", "USD a month", "saving, USD a month",
                     "of the cost", "break-even", "first year, USD")  # fmt: skip
COST_TITLE: Final = say("USD for 1,000 calls that succeed")
CLASSES: Final = {
    "input": say("input"), "cached": say("input from a cache"),
    "written": say("written to a cache"), "output": say("output"), "reasoning": say("reasoning"),
}  # fmt: skip
LIMIT_HEADS: Final = heads("target", "failed", "limits that answers told")
FAILURES_PRICED: Final = say(
    "a call that failed is repeated until it succeeds: what all calls cost, for each that succeeded"
)
MINUTES_OF_DAY: Final = 24 * 60
NOT_ASKED: Final = say("whether its answers are as good is not measured here")


@dataclass(frozen=True, slots=True)
class Offer:
    """What the measurement says of one candidate. `saving` is None where `unknown` says why.

    `same` is whether it serves the baseline's model.
    """

    name: str
    judged: Judged
    saving: Saving | None
    same: SameModel
    unknown: str = ""

    @property
    def decision(self) -> Decision:
        """`go`, `no-go` or `not shown`."""
        return self.judged.decision

    @property
    def cells(self) -> tuple[Cell, ...]:
        """Its row under HEADS."""
        known = self.saving
        if known is None:
            return (self.name, DECISIONS[self.decision], *[DASH] * 5)
        share, months = known.share, known.break_even
        return (
            self.name, DECISIONS[self.decision], known.candidate.cell,
            known.per_month.cell, _in_percent(share),
            (earned(months), between(months)), known.first_year.cell,
        )  # fmt: skip

    def to_dict(self) -> dict[str, Any]:
        """As JSON has it; USD and months, null where it is not known or never."""
        known = self.saving
        months = known.break_even if known else None
        return {
            "candidate": self.name,
            "decision": self.decision,
            # Another model may be what is wanted: it is a reason to look at, and decides nothing.
            "reasons": [*self.judged.reasons, *self.same.sentences],
            "more_calls": self.judged.more,
            "cost_per_month": {
                "baseline": known and known.baseline.value,
                "candidate": known and known.candidate.value,
            },
            "saving_per_month": _json(known.per_month if known else None),
            "saving_share": _json(known.share if known else None),
            "break_even_months": months and months.value,
            "break_even_interval": {"low": months and months.low, "high": months and months.high},
            "first_year": _json(known.first_year if known else None),
            "depends_on": [asdict(bar) for bar in known.bars] if known else [],
            "same_model": self.same.to_dict(),
        }


def _json(amount: Amount | None) -> dict[str, float | None]:
    return amount.to_dict() if amount else dict.fromkeys(("value", "low", "high"))


@dataclass(frozen=True, slots=True)
class Sheet:
    """The decision on each candidate, the best one's first, and all that it rests on.

    `costs`, `targets` and `sizes` are in the order of the run: the baseline's first. `cautions`
    are what to keep in mind.
    """

    run_id: str
    baseline: str
    offers: tuple[Offer, ...]
    move: Stated
    costs: tuple[CostRow, ...]
    targets: tuple[TargetSummary, ...]
    comparisons: Comparisons
    sizes: SizeEffects
    hours: tuple[Hours, ...]
    measurement: str
    simulated: bool
    cautions: tuple[str, ...] = ()

    @property
    def best(self) -> Offer:
        """The candidate to look at first: one to go for that saves most, else one that may be."""
        return self.offers[0]

    @property
    def decision(self) -> Decision:
        """That on the best one."""
        return self.best.decision

    @property
    def exit_code(self) -> int:
        """0 go, 1 no-go, 3 not shown or not valid."""
        return {"go": 0, "no-go": 1, "not shown": 3}[self.decision]

    @property
    def verdict(self) -> Headline:
        """The decision in a line."""
        about = without_stop(self.best.judged.line)
        line = {"go": say("Go: {about}", about=about), "no-go": say("No-go: {about}", about=about),
                "not shown": say("Not shown: {about}", about=about)}[self.decision]  # fmt: skip
        label = say(" (simulated)") * self.simulated
        doubt = say(" (the measurement is suspect)") * (self.measurement == "suspect")
        return Headline(glued(line, label, doubt), STATES[self.decision])

    @property
    def _more_reasons(self) -> tuple[str, ...]:
        judged = self.best.judged
        return tuple(reason for reason in judged.reasons if reason != judged.line)

    @property
    def decisions(self) -> Table:
        """A row for each candidate; before it, what else there is to say of the best one."""
        stated = say(
            "{calls:,.0f} calls that succeed a month; the work of moving costs {usd} USD",
            calls=self.move.calls_per_month, usd=rounded(self.move.one_off),
        )  # fmt: skip
        others = tuple(
            say("{decision}: {text}", decision=DECISIONS[each.decision], text=text)
            for each in self.offers[1:] for text in each.judged.reasons
            if text not in self.best.judged.reasons
        )  # fmt: skip
        rows = [offer.cells for offer in self.offers]
        return Table(
            HEADS, rows, "llr",
            lead=(
                say("{b} instead of {a}", b=self.best.name, a=self.baseline), *self._more_reasons,
                *(sentence for each in self.offers for sentence in each.same.sentences[:1]),
            ),
            notes=(*others, stated, *self._unasked, *self.cautions),
        )  # fmt: skip

    @property
    def _unasked(self) -> tuple[str, ...]:
        return () if any(each.same.right for each in self.offers) else (NOT_ASKED,)

    @property
    def same_model(self) -> SameModels:
        """Of each candidate, whether it serves the baseline's model, and what its road adds."""
        return SameModels(offer.same for offer in self.offers)

    @property
    def money(self) -> Table:
        """What 1,000 successful calls of each target cost, by class of tokens, and a month."""
        rows: list[tuple[str, list[Cell]]] = [
            *((title, [_cell(row.parts[name]) for row in self.costs])
              for name, title in CLASSES.items()),
            (say("not counted"), [_cell(row.uncounted) for row in self.costs]),
            (say("all"), [_cell(row.per_thousand) for row in self.costs]),
            (say("USD a month"), [_cell(row.per_month) for row in self.costs]),
            (say("calls for each that succeeds"), [rounded(row.attempts) for row in self.costs]),
        ]  # fmt: skip
        notes: list[str] = [FAILURES_PRICED]
        notes += [
            say("{target}: {text}", target=row.target, text=row.reason)
            for row in self.costs
            if row.reason
        ]
        notes += [say("{target}: price list: {source}, {date}", target=row.target,
                      source=source_words(row.source), date=row.date)
                  for row in self.costs if row.source]  # fmt: skip
        notes += [say("{target}: credit of {lost} expires each month, unused", target=row.target,
                      lost=rounded(row.lost))
                  for row in self.costs if row.lost]  # fmt: skip
        shown = [(title, *cells) for title, cells in rows if {*cells} != {DASH}]
        return Table((COST_TITLE, *(row.target for row in self.costs)), shown, notes=tuple(notes))

    @property
    def limits(self) -> Table:
        """How much of each target's limits was left, beside what the month needs."""
        rows = [
            (target.target, rate_cell(target.error_rate), in_a_line(target.limits) or DASH)
            for target in self.targets
        ]
        a_minute = rounded(self.move.calls_per_month / (MONTH_DAYS * MINUTES_OF_DAY))
        note = say(
            "the month's traffic is {n} calls a minute on average; its peaks are more", n=a_minute
        )
        return Table(LIMIT_HEADS, rows, "lrl", notes=(note,))

    @property
    def by_hour(self) -> Table:
        """How steady each target was over the hours of the day, where there is history of both."""
        return table_of(self.hours)

    @property
    def table(self) -> Tables:
        """All of it: decisions, money, the model, speed, sizes, limits, hours."""
        parts: Sequence[Table] = (*self.comparisons.table, *self.sizes.table)
        first = Table(lead=(self.verdict.sentence,))
        same = self.same_model.table
        return Tables([first, self.decisions, self.money, *same, *parts, self.limits, self.by_hour])

    def to_dict(self) -> dict[str, Any]:
        """As JSON: the best candidate's fields at the top, and all of them in `candidates`."""
        best = self.best.to_dict()
        return {
            "decision": best.pop("decision"), "best": best.pop("candidate"),
            **best,
            "baseline": self.baseline,
            "candidates": [offer.to_dict() for offer in self.offers],
            "calls_per_month": self.move.calls_per_month,
            "one_off": self.move.one_off,
            "min_saving": self.move.min_saving,
            "costs": [
                {
                    "target": row.target, "attempts_per_success": row.attempts,
                    "per_thousand": {**{name: _json(part) for name, part in row.parts.items()},
                                     "not_counted": _json(row.uncounted),
                                     "all": _json(row.per_thousand)},
                    "per_month": _json(row.per_month), "expires_per_month": row.lost,
                    "reason": row.reason, "source": row.source, "date": row.date,
                }
                for row in self.costs
            ],
            "comparison": self.comparisons.to_dict(),
            "by_hour": [asdict(hours) for hours in self.hours],
            "measurement": self.measurement,
            "simulated": self.simulated,
            "run_id": self.run_id,
            "cautions": list(self.cautions),
        }  # fmt: skip

    def __repr__(self) -> str:
        return f"{self.verdict!r}\n{Tables(self._first).text()}"

    @property
    def _first(self) -> list[Table]:
        return [self.decisions, self.money, *self.same_model.table]

    def _repr_html_(self) -> str:
        return join(self.verdict._repr_html_(), Tables(self._first).html())


def _cell(amount: Amount | None) -> Cell:
    if amount is None:
        return DASH
    return amount.cell if amount.value else "0"


def _in_percent(share: Amount) -> Cell:
    value, ends = share.times(100.0).cells(2)
    return per_cent(value), ends


def best_first(offers: Sequence[Offer]) -> tuple[Offer, ...]:
    """Those to go for first, then those that may be, each by what they save."""
    order = ("go", "not shown", "no-go")
    return tuple(sorted(offers, key=lambda offer: (
        order.index(offer.decision),
        -offer.saving.per_month.value if offer.saving else 0.0,
    )))  # fmt: skip
