"""What a successful call costs, failures and their repeats priced in: with intervals, by class.

    cost of a successful call = what all calls cost / how many succeeded

Whoever repeats what fails until it succeeds pays just that: 1 / (1 - f) attempts at what an attempt
costs. The sums are of blocks of time, drawn again together for baseline and candidate
(`block_ratios`), so that what both met cancels out; blocks count as fewer only where they are shown
to be alike (`effective`), for what calls cost follows what is asked, not the moment. A call that
broke off before a count came cost something between nothing and a whole answer: intervals
reach over both, and the value has it as a whole answer.
"""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Final

import numpy as np

from holymon.figures.block_ratios import drawn_interval, draws_of
from holymon.figures.blocks import FEWEST_PAIRS
from holymon.figures.cost import PARTS, UNCOUNTED, Cost, cost_of, spent
from holymon.figures.effective import effective_number
from holymon.figures.quantiles import Floats
from holymon.formatting import CLOSE, DASH, Cell, rounded
from holymon.language.said import glued, say, say_n
from holymon.plan.target import Target
from holymon.records.chosen import Chosen
from holymon.records.records import Records
from holymon.structs import replace

THOUSAND: Final = 1000
OPEN, OK, CALLS, COLUMNS = len(PARTS), len(PARTS) + 1, len(PARTS) + 2, len(PARTS) + 3
"""Columns of sums behind those of PARTS: what was not counted, successful calls, all calls."""


@dataclass(frozen=True, slots=True)
class Amount:
    """A figure and the ends of its interval; an end is None where nothing bounds it."""

    value: float
    low: float | None = None
    high: float | None = None

    def times(self, factor: float) -> "Amount":
        """It and its ends, so many times; `factor` is above 0."""
        low, high = (None if end is None else end * factor for end in (self.low, self.high))
        return Amount(self.value * factor, low, high)

    @property
    def cell(self) -> Cell:
        """It above its interval."""
        value, ends = self.cells()
        return (value, ends) if ends else value

    def cells(self, figures: int = CLOSE) -> tuple[str, str]:
        """It with so many figures, and its interval, empty without one."""
        value, low, high = (rounded(each, figures) for each in (self.value, self.low, self.high))
        if self.low is None and self.high is None:
            return value, ""
        below = self.low is not None and self.low < 0  # where a dash alone reads as a minus
        return value, glued(low, f" {DASH} " if below else DASH, high)

    def to_dict(self) -> dict[str, float | None]:
        """As JSON has it."""
        return {"value": self.value, "low": self.low, "high": self.high}


@dataclass(frozen=True, slots=True)
class CallCosts:
    """What a target's calls cost at its price list, in the currency of that.

    `whole` has the sums of all calls, shape (COLUMNS,). Where they can't be given they are None,
    and `reason` says why; `notes` are what to keep in mind.
    """

    target: Target
    whole: Floats | None
    cost: Cost
    answer: float = 0.0
    reason: str = ""
    notes: tuple[str, ...] = ()

    @property
    def attempts(self) -> float | None:
        """Calls for each that succeeds, where any does."""
        return None if self.whole is None else float(self.whole[CALLS] / self.whole[OK])


def bill_of(records: Records, index: int) -> CallCosts:
    """The bill of one target: of all its calls that say something of the API."""
    target = records.targets[index]
    rows = records.chosen(records.mask(index) & records.judged)
    cost, notes = cost_of(rows, _in_usd(target))
    if target.billed.input is None or target.billed.output is None:
        return CallCosts(target, None, cost, reason=cost.reason)
    parts, known, _ = spent(rows, target.billed)
    good = rows["error"] == 0
    counted, lacking = int((good & known).sum()), int((good & ~known).sum())
    if not counted or lacking > UNCOUNTED * (counted + lacking):
        why = say("{lacking:,} of {of:,} answers came without the server's token counts",
                  lacking=lacking, of=counted + lacking)  # fmt: skip
        return CallCosts(target, None, cost, reason=why if good.any() else say("no call succeeded"))
    answer = float(parts[good & known].sum()) / counted
    each = _each(rows, target, answer)
    kept = tuple(
        say("{target}: {text}", target=target.name, text=note)
        for note in notes
        if note.endswith("of their own.")
    )
    return CallCosts(target, each.sum(axis=0), cost, answer, notes=kept + _open(target.name, each))


def _each(rows: Chosen, target: Target, answer: float) -> Floats:
    """The sums of each row, shape (n, COLUMNS); what was not counted costs as much as `answer`."""
    parts, known, free = spent(rows, target.billed)
    unknown = np.where(known | free, 0.0, answer)
    good = (rows["error"] == 0).astype(np.float64)
    return np.column_stack([parts, unknown, good, np.ones(len(rows))])


def _in_usd(target: Target) -> Target:
    """The target as if its prices were in USD: what a unit of them costs is not a matter of it."""
    return replace(target, price=replace(target.price, currency="USD"))


def _open(name: str, each: Floats) -> tuple[str, ...]:
    n = int((each[:, OPEN] > 0).sum())
    if not n:
        return ()
    return (
        say_n(
            n,
            "{name}: what {n} call cost was never counted; it is reckoned as a whole answer, and "
            "the intervals reach down to nothing.",
            "{name}: what {n:,} calls cost was never counted; each is reckoned as a whole answer, "
            "and the intervals reach down to nothing.",
            name=name,
        ),
    )


def per_success(sums: Floats, *, whole: bool = True) -> Floats:
    """What a successful call costs, shape (n,), of sums of the shape (n, COLUMNS).

    What was not counted is as `whole` answers, or as nothing.
    """
    money = sums[:, : OPEN + whole].sum(axis=1)
    return _each_of(money, sums[:, OK])


def part_per_success(sums: Floats, part: int) -> Floats:
    """That of one class of tokens, by its place in PARTS, or of OPEN."""
    return _each_of(sums[:, part], sums[:, OK])


def _each_of(money: Floats, many: Floats) -> Floats:
    """Money for each of so many, NaN of none; shapes (n,)."""
    each: Floats = np.divide(money, many, out=np.full(len(many), np.nan), where=many > 0)
    return each


def drawn(
    of: Callable[[Floats], Floats], blocks: Floats, whole: Floats, level: float,
    also: Sequence[Callable[[Floats], Floats]] = (),
) -> Amount:  # fmt: skip
    """A figure of sums with its interval, at a `level` of confidence, from blocks of time.

    `of` makes values, shape (n,), of sums, shape (n, k); `blocks` has shape (m, k), `whole` (k,).
    What `also` makes of the same sums is reckoned in: the interval reaches over all. With fewer
    than `FEWEST_PAIRS` blocks there is none.
    """
    value, many = float(of(whole[None])[0]), len(blocks)
    if many < FEWEST_PAIRS:
        return Amount(value)
    sums = np.einsum("nm,mk->nk", draws_of(many), blocks)
    lows, highs = [], []
    for made in (of, *also):
        middle, series = float(made(whole[None])[0]), made(blocks)
        fewer = max(effective_number(series[np.isfinite(series)]), 1.0)
        low, high = drawn_interval(made(sums), middle, many, fewer, level)
        lows.append(low)
        highs.append(high)
    low, high = min(lows), max(highs)
    return Amount(value, low if np.isfinite(low) else None, high if np.isfinite(high) else None)


def sums_of(pairs: Sequence[tuple[Records, Records]], a: CallCosts, b: CallCosts) -> Floats:
    """The sums of blocks of time, each a pair of records of two targets: shape (m, 2 COLUMNS)."""
    made = [
        np.concatenate([_each(each.chosen(each.mask() & each.judged), bill.target, bill.answer)
                        .sum(axis=0) for each, bill in zip(pair, (a, b), strict=True)])
        for pair in pairs
    ]  # fmt: skip
    return np.array(made).reshape(len(made), 2 * COLUMNS)
