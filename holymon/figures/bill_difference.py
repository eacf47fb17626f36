"""A provider's bill against our own sums: what differs, in which class of tokens, and why.

    differences(own, bill, ...) -> Differences

Days and models are compared that both have; what only the bill has is traffic that is not ours.
"""

import math
import re
from collections import Counter
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from typing import Final

from holymon.errors import PlanError
from holymon.figures.own_bill import Own
from holymon.formatting import number_of
from holymon.records.bill import CLASSES, ProviderBill, Sums
from holymon.safety import short

_VERSION: Final = re.compile(r"[-@](\d{4}-\d{2}-\d{2}|20\d{6}|\d{4}|latest)$")
ALL: Final = "all models"
SAME: Final = 0.01
"""Sums that are so near each other are those of the same tokens."""


@dataclass(frozen=True, slots=True)
class Row:
    """One class of tokens, or the cost in the bill's currency, of a day and a model."""

    day: str
    model: str
    kind: str
    ours: float | None
    theirs: float | None
    why: tuple[str, ...] = ()

    @property
    def difference(self) -> float | None:
        """What they have more than we."""
        known = self.ours is not None and self.theirs is not None
        return (self.theirs or 0) - (self.ours or 0) if known else None


@dataclass(frozen=True, slots=True)
class Differences:
    """All rows, and what they come to.

    `tokens` are the sums of ours and of theirs; `moved` is the sum of the differences of each model
    and class over all days, whichever way; `usd` those of money, None where one is not known;
    `worth` is what the difference costs by our prices. `others` is what the bill has besides.
    `unfit` says why nothing can be compared.
    """

    rows: tuple[Row, ...] = ()
    tokens: tuple[int, int] = (0, 0)
    moved: int = 0
    usd: tuple[float | None, float | None] = (None, None)
    worth: float | None = None
    explained: int = 0
    others: Sums = field(default_factory=Sums)
    strangers: tuple[str, ...] = ()
    unfit: str = ""
    notes: tuple[str, ...] = ()


def base(name: str) -> str:
    """The model that a name is of, without who sells it and its version's date.

    `Claude Opus 4.6`, as people read it, is `claude-opus-4-6`.
    """
    known = _VERSION.sub("", name.rpartition("/")[2].strip().lower())
    return re.sub("[ .]", "-", known) if " " in known else known


def differences(
    own: Mapping[tuple[str, str], Own], bill: ProviderBill, *, since: str = "", until: str = "9999"
) -> Differences:
    """Compare by day and model. Raises PlanError where several APIs are called for one model."""
    first, last = max(bill.days[0], since), min(bill.days[1], until)
    whole = any(not model for _, model in bill.cells)
    billed = {base(model) for _, model in bill.cells}
    mine = {key: it for key, it in own.items() if whole or base(key[1]) in billed}
    within = {key: it for key, it in mine.items() if first <= key[0] <= last}
    if not within:
        return Differences(unfit=_unfit(own, mine, bill, first, last))
    _require_one_api({name for _, name in within}, whole=whole)
    ours, theirs = dict[tuple[str, str], Own](), dict[tuple[str, str], Sums]()
    for (day, name), it in within.items():
        ours.setdefault((day, ALL if whole else base(name)), Own()).add(it)
    for (day, name), sums in bill.cells.items():
        if first <= day <= last:
            _add(theirs.setdefault((day, ALL if whole else base(name)), Sums()), sums)
    others, strangers = Sums(), set[str]()
    for key in theirs.keys() - ours.keys():
        _add(others, theirs[key])
        strangers.add(f"{short(key[1], 60)} on {key[0]}")
    outside = sum(it.counts["calls"] for it in mine.values()) - sum(
        it.counts["calls"] for it in ours.values()
    )
    notes = (f"{outside:,} of our calls fell on days that the bill does not reach ({first} to "
             f"{last}): they are left out.",) * (outside > 0)  # fmt: skip
    return _summed(ours, theirs, bill, others, tuple(sorted(strangers)), notes)


def _unfit(
    own: Mapping[tuple[str, str], Own], mine: Mapping[tuple[str, str], Own], bill: ProviderBill,
    first: str, last: str,
) -> str:  # fmt: skip
    if not own:
        return "there are no calls of ours"
    if mine:
        days = [day for day, _ in mine]
        return f"the bill is of {first} to {last}, our calls of {min(days)} to {max(days)}"
    names = sorted({model for _, model in bill.cells})[:5]
    called = sorted({name for _, name in own})[:5]
    return short(f"the bill is of {', '.join(names)}, our calls are of {', '.join(called)}", 400)


def _require_one_api(names: set[str], *, whole: bool) -> None:
    """Raise PlanError if one bill can't be that of all targets: a `whole` one names no models."""
    by_model: dict[str, set[str]] = {}
    for name in names:
        by_model.setdefault("" if whole else base(name), set()).add(name)
    for several in by_model.values():
        if len({name.partition("/")[0] for name in several}) > 1:
            listed = short(", ".join(sorted(several)), 200)
            raise PlanError(f"{listed} were called, and the bill is of one: say which by --target.")


def _add(to: Sums, sums: Sums) -> None:
    for name, n in sums.tokens.items():
        to.tokens[name] = to.tokens.get(name, 0) + n
    if sums.money is not None:
        to.money = (to.money or 0.0) + sums.money
    if sums.requests is not None:
        to.requests = (to.requests or 0) + sums.requests


def _summed(
    ours: dict[tuple[str, str], Own], theirs: dict[tuple[str, str], Sums], bill: ProviderBill,
    others: Sums, strangers: tuple[str, ...], notes: tuple[str, ...],
) -> Differences:  # fmt: skip
    rows, moved, sums = list[Row](), Counter[tuple[str, str]](), [0, 0]
    worth, explained = 0.0, 0
    for key in sorted(ours):
        it, sent = ours[key], theirs.get(key, Sums())
        mine, charged = by_class(it.tokens, bill.classes), by_class(sent.tokens, bill.classes)
        sums[0] += sum(mine.values())
        sums[1] += sum(charged.values())
        for name in bill.classes:
            gap = charged[name] - mine[name]
            moved[key[1], name] += gap
            worth += gap * _rate(it, ours, key[1], name)
            why = _why(key, name, it, sent, ours, theirs, bill) if gap else ()
            rows.append(Row(*key, name, mine[name], charged[name], why))
        explained += _explained(it, mine, charged, ours, key[1])
        rows += _cost_row(key, it, sent, bill, mine, charged)
    money = [(row.ours, row.theirs) for row in rows if row.kind == "cost"]
    usd = _total(mine for mine, _ in money), _total(charged for _, charged in money)
    priced = all(it.usd is not None for it in ours.values())
    return Differences(
        tuple(rows), (sums[0], sums[1]), sum(map(abs, moved.values())), usd,
        worth if priced else None, explained, others, strangers, notes=notes,
    )  # fmt: skip


def _total(amounts: Iterable[float | None]) -> float | None:
    """The sum of amounts, None if there are none or one is not known."""
    known = [*amounts]
    return None if not known or None in known else math.fsum(each or 0.0 for each in known)


def by_class(tokens: Mapping[str, int], classes: tuple[str, ...]) -> dict[str, int]:
    """Tokens by the classes that a bill tells apart: to it all of a prompt may be input."""
    sums = {name: tokens.get(name, 0) for name in classes}
    if classes:
        others = (name for name in ("cached", "written") if name not in classes)
        sums["input"] += sum(tokens.get(name, 0) for name in others)
    return sums


def _cost_row(
    key: tuple[str, str], it: Own, sent: Sums, bill: ProviderBill,
    mine: Mapping[str, int], charged: Mapping[str, int],
) -> list[Row]:  # fmt: skip
    if not bill.currency:
        return []
    ours = it.usd if bill.currency == "USD" else None
    theirs = sent.money or 0.0
    why: tuple[str, ...] = ()
    alike = bool(mine) and _alike(sum(charged.values()), sum(mine.values()))
    if ours is None:
        why = ("no price of ours is known" if bill.currency == "USD" else
               f"the bill is in {bill.currency}, our prices in USD",)  # fmt: skip
    elif alike and ours and not _alike(theirs, ours):
        why = (f"another price: {theirs / ours:.4g} times that of our price book",)
    return [Row(*key, "cost", ours, theirs, why)]


def _alike(a: float, b: float) -> bool:
    return abs(a - b) <= SAME * max(abs(a), abs(b))


def _rate(it: Own, ours: dict[tuple[str, str], Own], model: str, name: str) -> float:
    """What a token of a class costs by our prices, on that day or on any."""
    for own in (it, *(own for key, own in ours.items() if key[1] == model)):
        if own.tokens[name]:
            return own.usd_of.get(name, 0.0) / own.tokens[name]
    return 0.0


def _explained(
    it: Own, mine: Mapping[str, int], charged: Mapping[str, int],
    ours: dict[tuple[str, str], Own], model: str,
) -> int:  # fmt: skip
    """How many of the tokens that they bill more the calls that nobody counted may have had.

    Of each the mean prompt of the model, and the pieces that came.
    """
    more = sum(charged.values()) - sum(mine.values())
    known = [own for key, own in ours.items() if key[1] == model]
    prompts = sum(own.tokens[name] for own in known for name in CLASSES if name != "output")
    counted = sum(own.counts["calls"] - own.uncounted - own.counts["free"] for own in known)
    most = it.came + it.uncounted * (prompts / counted if counted else 0.0)
    return max(0, min(more, round(most)))


def _why(
    key: tuple[str, str], name: str, it: Own, sent: Sums, ours: dict[tuple[str, str], Own],
    theirs: dict[tuple[str, str], Sums], bill: ProviderBill,
) -> tuple[str, ...]:  # fmt: skip
    """What may explain a difference of one class, in words."""
    charged, mine = by_class(sent.tokens, bill.classes), by_class(it.tokens, bill.classes)
    gap, counts = charged[name] - mine[name], it.counts
    why = []
    if not sent.tokens:
        why.append("they bill nothing that day")
    if moved := _other_class(name, mine, charged):
        why.append(f"billed as {moved}" if gap < 0 else f"ours are {moved}")
    for other in _neighbours(key, ours):
        charged_there = by_class(theirs.get(other, Sums()).tokens, bill.classes)
        gap_there = charged_there[name] - by_class(ours[other].tokens, bill.classes)[name]
        if gap * gap_there < 0 and abs(gap + gap_there) <= SAME * abs(gap):
            why.append(f"their day begins at another hour: as many are on {other[0]}")
    n = counts["over_midnight"]
    why += [f"{number_of(n, 'call')} that ran over midnight"] if n else []
    requests = counts["calls"] if sent.requests is None else sent.requests
    if gap < 0:
        lost = counts["calls"] - requests
        why += [f"{number_of(lost, 'request')} of ours that they do not have"] if lost > 0 else []
        return tuple(why) or ("not explained",)
    reasons = (
        (requests - counts["calls"], "request", " that we have no record of"),
        (counts["broken"], "call", " broken off without a count"),
        (counts["answers"], "answer", " without a count"),
        (it.first_calls, "first call", ", in no record"),
        (counts["free"], "failed call", " that we take for free"),
    )
    why += [number_of(n, noun) + rest for n, noun, rest in reasons if n > 0]
    return tuple(why) or ("not explained",)


def _other_class(name: str, mine: Mapping[str, int], charged: Mapping[str, int]) -> str:
    """The class where as many tokens are that are missing here, or too many."""
    gap = charged[name] - mine[name]
    for other in ("input", "cached", "written"):
        if other in mine and other != name != "output":
            there = charged[other] - mine[other]
            if gap * there < 0 and abs(gap + there) <= SAME * abs(gap):
                return other
    return ""


def _neighbours(key: tuple[str, str], ours: dict[tuple[str, str], Own]) -> list[tuple[str, str]]:
    """The days of a model beside one, of those on which it was called."""
    days = sorted(day for day, model in ours if model == key[1])
    at = days.index(key[0])
    return [(day, key[1]) for day in (*days[max(0, at - 1) : at], *days[at + 1 : at + 2])]
