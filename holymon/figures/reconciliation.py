"""Whether a bill is right: the verdict on its differences, in words, as a table and as JSON."""

from dataclasses import dataclass
from typing import Any, Final

from holymon.figures.bill_difference import Differences, Row
from holymon.formatting import CLOSE, DASH, Table, count, percent, rounded
from holymon.records.bill import ProviderBill
from holymon.structs import shows_table

HEADS: Final = ("day", "model", "what", "ours", "theirs", "difference", "may be explained by")
MOST_ROWS: Final = 60
AGREES: Final = "agrees"
DIFFERS: Final = "differs"
NOT_COMPARABLE: Final = "not comparable"


@shows_table
@dataclass(frozen=True, slots=True)
class Reconciliation:
    """A provider's bill against our records, by day, model and class of tokens.

    `verdict` is `agrees`, `differs` (by more than `tolerance`, a share of our tokens or of our
    cost) or `not comparable`. `sources` says what ours is made of.
    """

    bill: ProviderBill
    differences: Differences
    tolerance: float
    sources: str = ""
    notes: tuple[str, ...] = ()

    @property
    def token_share(self) -> float | None:
        """The tokens that stand elsewhere or are too many or too few, as a share of ours."""
        ours = self.differences.tokens[0]
        return self.differences.moved / ours if ours and self.bill.classes else None

    @property
    def cost_share(self) -> float | None:
        """What they take more or less, as a share of our cost; either way not below 0."""
        ours, theirs = self.differences.usd
        return None if not ours or theirs is None else abs(theirs - ours) / ours

    @property
    def why_not(self) -> str:
        """Why nothing can be said; empty if something can."""
        if self.differences.unfit:
            return self.differences.unfit
        if self.token_share is None and self.cost_share is None:
            if self.bill.classes:
                return "no server counted tokens of our calls"
            return "the bill has no tokens, and our calls no cost: their price is not known in " + (
                self.bill.currency or "USD"
            )
        return ""

    @property
    def verdict(self) -> str:
        """One of AGREES, DIFFERS and NOT_COMPARABLE."""
        if self.why_not:
            return NOT_COMPARABLE
        shares = [share for share in (self.token_share, self.cost_share) if share is not None]
        return DIFFERS if max(shares) > self.tolerance else AGREES

    @property
    def exit_code(self) -> int:
        """0 where it agrees, 1 where it differs, 3 where nothing can be claimed."""
        return {AGREES: 0, DIFFERS: 1}.get(self.verdict, 3)

    @property
    def sentence(self) -> str:
        """The verdict in a sentence."""
        if self.why_not:
            return f"Not comparable: {self.why_not}."
        ours, theirs = self.differences.tokens
        more, moved = theirs - ours, self.differences.moved
        if self.verdict == AGREES:
            return f"The bill agrees within {percent(self.tolerance)}: {self._compared}."
        if self.token_share is None or self.token_share <= self.tolerance:
            return f"They bill the same tokens at another price: {self._compared}."
        if abs(more) <= self.tolerance * ours:
            return (f"They bill as many tokens, but {moved // 2:,} of them as of another kind"
                    f"{self._worth}: {self._compared}.")  # fmt: skip
        word, share = "more" if more > 0 else "fewer", percent(abs(more) / ours)
        return f"They bill {abs(more):,} tokens {word}: {share}{self._worth}."

    @property
    def _worth(self) -> str:
        """What a difference is in money: by the bill if that says so, else by our prices."""
        ours, theirs = self.differences.usd
        if ours is not None and theirs is not None:
            return f" ({theirs - ours:+.4g} USD)"
        worth = self.differences.worth
        return "" if worth is None else f" ({worth:+.4g} USD by our prices)"

    @property
    def _compared(self) -> str:
        parts = []
        if self.token_share is not None:
            ours, theirs = self.differences.tokens
            parts.append(f"{theirs:,} tokens of theirs, {ours:,} of ours")
        if self.cost_share is not None:
            mine, charged = self.differences.usd
            parts.append(f"{rounded(charged, CLOSE)} USD of theirs, {rounded(mine, CLOSE)} of ours")
        return "; ".join(parts)

    @property
    def table(self) -> Table:
        """A row for each day, model and class, those that differ first in mind: with its reasons.

        Of very many only the days that differ are shown; the JSON has all.
        """
        rows = [row for row in self.differences.rows if row.ours or row.theirs or row.why]
        hidden = 0
        if len(rows) > MOST_ROWS:
            most = sorted(rows, key=lambda row: -_weight(row))[:MOST_ROWS]
            hidden, kept = len(rows) - MOST_ROWS, {id(row) for row in most}
            rows = [row for row in rows if id(row) in kept]
        first, last = self.bill.days
        form = f", known as {self.bill.source}" if self.bill.source else ""
        theirs = f"theirs: {self.bill.name}{form}, {first} to {last}, days of {self.bill.zone}"
        lead = (self.sentence, theirs, *([f"ours: {self.sources}"] if self.sources else ()))
        more = (f"{hidden:,} more rows, which differ less, are in the JSON.",) * (hidden > 0)
        cells = [_cells(row) for row in rows]
        return Table(HEADS if cells else (), cells, "lllrrrl", lead, (*more, *self.all_notes))

    @property
    def all_notes(self) -> tuple[str, ...]:
        """What else has to be known."""
        gaps, notes = self.differences, [*self.notes, *self.bill.notes, *self.differences.notes]
        more = gaps.tokens[1] - gaps.tokens[0]
        if gaps.explained and self.verdict == DIFFERS:
            notes.insert(0, f"Calls that no server counted may have had {gaps.explained:,} of "
                         f"these {more:,} tokens.")  # fmt: skip
        if gaps.strangers:
            tokens, money = sum(gaps.others.tokens.values()), gaps.others.money
            paid = f", {rounded(money, CLOSE)} {self.bill.currency}" if money is not None else ""
            notes.append(
                f"Not compared: {tokens:,} tokens{paid} for which we have no call, other traffic "
                f"on the same key ({'; '.join(gaps.strangers[:3])}"
                f"{'; ...' * (len(gaps.strangers) > 3)})."
            )
        return tuple(notes)

    def to_dict(self) -> dict[str, Any]:
        """All of it as plain data."""
        gaps = self.differences
        return {
            "verdict": self.verdict, "sentence": self.sentence, "tolerance": self.tolerance,
            "source": self.bill.source, "zone": self.bill.zone, "days": list(self.bill.days),
            "tokens": {
                "ours": gaps.tokens[0], "theirs": gaps.tokens[1],
                "difference": gaps.tokens[1] - gaps.tokens[0], "moved": gaps.moved,
                "share": self.token_share, "may_be_uncounted_calls": gaps.explained,
            },
            "cost": {
                "ours": gaps.usd[0], "theirs": gaps.usd[1], "currency": self.bill.currency,
                "share": self.cost_share, "difference_by_our_prices": gaps.worth,
            },
            "not_ours": {
                "tokens": sum(gaps.others.tokens.values()), "cost": gaps.others.money,
                "requests": gaps.others.requests,
            },
            "rows": [
                {"day": row.day, "model": row.model, "what": row.kind, "ours": row.ours,
                 "theirs": row.theirs, "difference": row.difference, "why": list(row.why)}
                for row in gaps.rows
            ],
            "notes": list(self.all_notes),
        }  # fmt: skip


def _weight(row: Row) -> float:
    return abs(row.difference or 0) / max(abs(row.ours or 0), abs(row.theirs or 0), 1e-12)


def _cells(row: Row) -> tuple[str, ...]:
    shown = rounded if row.kind == "cost" else _whole
    gap = row.difference
    by = DASH if gap is None else "0" if not gap else ("+" if gap > 0 else "-") + shown(abs(gap))
    return (row.day, row.model, row.kind, shown(row.ours), shown(row.theirs), by,
            "; ".join(row.why))  # fmt: skip


def _whole(value: float | None) -> str:
    return count(None if value is None else int(value))
