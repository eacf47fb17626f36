"""What moving to another provider saves: a month's cost of both, the return, the break-even. Pure.

    a month of one = paid(calls that succeed x cost of a successful call)
    saving = a month of the baseline - one of the candidate       break-even = work / saving

Both costs are of the same prompts in the same blocks of time (`bills`), so that the interval of
their difference is that of pairs. What is stated (traffic, work, terms) has no interval: what else
it may be is tried in `bars`, one input at a time.
"""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import partial
from typing import Any, Final

import numpy as np

from holymon.figures.bills import (
    COLUMNS,
    OPEN,
    THOUSAND,
    Amount,
    CallCosts,
    drawn,
    part_per_success,
    per_success,
    sums_of,
)
from holymon.figures.cost import PARTS
from holymon.figures.quantiles import Floats
from holymon.figures.terms import Terms
from holymon.formatting import per_cent, rounded
from holymon.language.said import Digits, glued, say
from holymon.records.records import Records
from holymon.safety import plain
from holymon.structs import Struct, check_range

TRIED: Final = 0.25
"""What is stated is tried so much lower and higher, as a share."""

PRICES: Final = 0.10
"""So are price lists and exchange rates."""

YEAR: Final = 12
LEVEL: Final = 0.95


class Stated(Struct, frozen=True):
    """What is to be moved: calls that are to succeed each month, what the work of it costs in USD.

    `min_saving` is the least share of the baseline's cost that is worth it.
    """

    calls_per_month: float
    one_off: float = 0.0
    min_saving: float = 0.1

    def __post_init__(self) -> None:
        """Raise PlanError for traffic, work or a share that can't be."""
        super().__post_init__()
        check_range("calls_per_month", self.calls_per_month, 1, 1e15)
        check_range("one_off", self.one_off, 0, 1e12, "USD")
        check_range("min_saving", self.min_saving, 0, 0.99, "as a share")


@dataclass(frozen=True, slots=True)
class Bar:
    """An input, lowered and raised, in words, and the outcome of each; None is never."""

    name: str
    low: str
    high: str
    at_low: float | None
    at_high: float | None

    @property
    def span(self) -> float:
        """How far the outcome moves; inf where it is never reached on one side."""
        if self.at_low is None or self.at_high is None:
            return 0.0 if self.at_low is self.at_high else np.inf
        return abs(self.at_high - self.at_low)


@dataclass(frozen=True, slots=True)
class CostRow:
    """What 1,000 successful calls of a target cost in USD, by class of tokens, and a month of them.

    `uncounted` is what calls may have cost whose tokens were not counted. What can't be given is
    None, and `reason` says why. `lost` is credit that expires each month, in units of the list.
    """

    target: str
    attempts: float | None
    parts: dict[str, Amount | None]
    uncounted: Amount | None
    per_thousand: Amount | None
    per_month: Amount | None
    lost: float = 0.0
    reason: str = ""
    source: str = ""
    date: str = ""


@dataclass(frozen=True, slots=True)
class Saving:
    """What the candidate saves in USD: a month, as a share of the baseline's cost, in a first year.

    `break_even` is in months; None where it is never, and its high end None where nothing bounds
    it. `bars` are on the break-even, or, where there is no work to earn back, on the saving.
    """

    baseline: Amount
    candidate: Amount
    per_month: Amount
    share: Amount
    break_even: Amount | None
    first_year: Amount
    bars: tuple[Bar, ...]


def unpriced(bill: CallCosts, terms: Terms) -> str:
    """Why a target's cost in USD can't be given; empty if it can."""
    if bill.whole is None:
        return bill.reason
    currency = bill.target.billed.currency
    if currency == "USD" or terms.fx is not None:
        return ""
    return say("its price is in {currency}: say by fx (--fx) what one of them costs in USD",
               currency=plain(currency))  # fmt: skip


def cost_row(
    bill: CallCosts,
    other: CallCosts,
    pairs: Sequence[tuple[Records, Records]],
    terms: Terms,
    move: Stated,
) -> CostRow:
    """What a target costs; `pairs` are blocks of time of it and of another one."""
    price = bill.target.billed
    reason = unpriced(bill, terms)
    if reason or bill.whole is None:
        none: dict[str, Amount | None] = dict.fromkeys(PARTS)
        return CostRow(bill.target.name, bill.attempts, none, None, None, None, reason=reason)
    blocks = sums_of(pairs, bill, other if other.whole is not None else bill)[:, :COLUMNS]

    def amount(of: Callable[[Floats], Floats], *also: Callable[[Floats], Floats]) -> Amount:
        return drawn(of, blocks, bill.whole, LEVEL, also)  # type: ignore[arg-type]

    uncounted = bill.whole[OPEN] > 0
    least = (partial(per_success, whole=False),) * bool(uncounted)
    never = {name: getattr(bill.cost, f"{name}_usd") is None and bill.whole[k] == 0
             for k, name in enumerate(PARTS)}  # fmt: skip
    each = terms.factor * THOUSAND
    parts = {
        name: None if never[name] else amount(partial(part_per_success, part=k)).times(each)
        for k, name in enumerate(PARTS)
    }
    used = float(per_success(bill.whole[None])[0]) * move.calls_per_month
    return CostRow(
        bill.target.name, bill.attempts, parts,
        amount(partial(part_per_success, part=OPEN)).times(each) if uncounted else None,
        amount(per_success, *least).times(each),
        amount(partial(_month, terms=terms, move=move),
               *(partial(_month, terms=terms, move=move, whole=False),) * bool(uncounted)),
        terms.lost(used), "", price.source, price.date,
    )  # fmt: skip


def _month(sums: Floats, *, terms: Terms, move: Stated, whole: bool = True) -> Floats:
    """USD a month, shape (n,), of sums of the shape (n, COLUMNS)."""
    return terms.paid(per_success(sums, whole=whole) * move.calls_per_month)


def saving(
    a: CallCosts, b: CallCosts, pairs: Sequence[tuple[Records, Records]],
    terms: tuple[Terms, Terms], move: Stated, level: float = LEVEL,
) -> Saving | None:  # fmt: skip
    """What moving from `a` to `b` saves, from blocks of time in which both were called.

    None where the cost of one of them is not known, or the baseline costs nothing. `level` is the
    confidence of all its intervals.
    """
    if a.whole is None or b.whole is None or unpriced(a, terms[0]) or unpriced(b, terms[1]):
        return None
    blocks, whole = sums_of(pairs, a, b), np.concatenate([a.whole, b.whole])

    def month(k: int, sums: Floats, *, answers: bool = True) -> Floats:
        part = sums[:, k * COLUMNS : (k + 1) * COLUMNS]
        return _month(part, terms=terms[k], move=move, whole=answers)

    if not month(0, whole[None])[0] > 0:
        return None
    # What was not counted of the one, or of the other, may have cost nothing.
    sides = [(True, True)]
    sides += [(False, True)] * bool(a.whole[OPEN]) + [(True, False)] * bool(b.whole[OPEN])

    def gap(sums: Floats, side: tuple[bool, bool]) -> Floats:
        return month(0, sums, answers=side[0]) - month(1, sums, answers=side[1])

    def share(sums: Floats, side: tuple[bool, bool]) -> Floats:
        return gap(sums, side) / month(0, sums, answers=side[0])

    def amount(of: Any, given: list[Any]) -> Amount:
        first, *also = (partial(of, **each) for each in given)
        return drawn(first, blocks, whole, level, also)

    both = [{"side": side} for side in sides]
    per_month = amount(gap, both)
    baseline, candidate = (
        amount(partial(month, k),
               [{"answers": True}, *[{"answers": False}] * bool(bill.whole[OPEN])])
        for k, bill in enumerate((a, b)) if bill.whole is not None
    )  # fmt: skip
    case = _Case(move, terms, *(float(per_success(bill.whole[None])[0]) for bill in (a, b)
                                if bill.whole is not None))  # fmt: skip
    names = (a.target.name, b.target.name)
    return Saving(
        baseline, candidate, per_month, amount(share, both), break_even(per_month, move.one_off),
        _first_year(per_month, move.one_off), _bars(case, names, (baseline, candidate)),
    )  # fmt: skip


def break_even(per_month: Amount, one_off: float) -> Amount | None:
    """Months until savings have paid for the work; None where they never do."""
    if per_month.value <= 0:
        return None
    low, high = per_month.low, per_month.high
    return Amount(
        one_off / per_month.value,
        one_off / high if high is not None and high > 0 else None,
        one_off / low if low is not None and low > 0 else None,
    )


def _first_year(per_month: Amount, one_off: float) -> Amount:
    ends = (per_month.value, per_month.low, per_month.high)
    value, low, high = (None if end is None else YEAR * end - one_off for end in ends)
    assert value is not None
    return Amount(value, low, high)


@dataclass(frozen=True, slots=True)
class _Case:
    """All that the outcome depends on: costs are of a successful call, in units of each list."""

    move: Stated
    terms: tuple[Terms, Terms]
    baseline: float
    candidate: float

    def outcome(
        self, *, calls: float = 1.0, work: float = 1.0, costs: tuple[float, float] = (1.0, 1.0),
        months: tuple[float | None, float | None] = (None, None),
    ) -> float | None:  # fmt: skip
        """Months until break-even, or USD saved a month without work; inputs are so many times.

        `months` are those of both in USD, where they are given. None is never.
        """
        used = self.move.calls_per_month * calls
        paid = [
            float(terms.paid(used * cost)) * times if month is None else month
            for terms, cost, times, month in zip(
                self.terms, (self.baseline, self.candidate), costs, months, strict=True
            )
        ]
        gain, one_off = paid[0] - paid[1], self.move.one_off * work
        if not self.move.one_off:
            return gain
        return one_off / gain if gain > 0 else None


def _bars(
    case: _Case, names: tuple[str, str], months: tuple[Amount, Amount]
) -> tuple[Bar, ...]:  # fmt: skip
    """Each input lowered and raised, what moves the outcome most first."""
    around, about, down, up = (1 - TRIED, 1 + TRIED), (1 - PRICES, 1 + PRICES), "−", "+"
    low, high, cheap, dear = (
        glued(sign, per_cent(Digits(f"{share * 100:g}"))) for share in (TRIED, PRICES)
        for sign in (down, up)
    )  # fmt: skip
    bars = [Bar(say("calls a month"), low, high, *(case.outcome(calls=x) for x in around))]
    if case.move.one_off:
        bars.append(Bar(say("work of moving"), low, high, *(case.outcome(work=x) for x in around)))
    for k, (name, month) in enumerate(zip(names, months, strict=True)):
        scaled = [(x, 1.0) if k == 0 else (1.0, x) for x in about]
        bars.append(Bar(say("prices of {name}", name=name), cheap, dear,
                        *(case.outcome(costs=pair) for pair in scaled)))  # fmt: skip
        words = (rounded(month.low), rounded(month.high))
        if month.low is not None and month.high is not None and words[0] != words[1]:
            ends = [(end, None) if k == 0 else (None, end) for end in (month.low, month.high)]
            bars.append(Bar(say("USD a month of {name}", name=name), *words,
                            *(case.outcome(months=pair) for pair in ends)))  # fmt: skip
    return tuple(sorted(bars, key=lambda bar: -bar.span))
