"""A provider's usage export, CSV, JSON or JSONL, as sums for each day and model.

    read(path, columns, zone) -> ProviderBill

What is wrong is one sentence: which line or entry, and which column.
"""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from datetime import UTC, tzinfo
from pathlib import Path
from typing import Any, Final

from holymon.errors import ConfigError, PlanError
from holymon.plan.dataset_files import content
from holymon.plan.given_file import decoded
from holymon.records.bill_forms import MAPPED, Form, form_of, normal
from holymon.records.bill_rows import Row, Rows, rows_in
from holymon.records.written import day, money, month_first, tokens
from holymon.safety import plain, short

CLASSES: Final = ("input", "cached", "written", "output")
MOST_CELLS: Final = 200_000
MOST_VALUES: Final = 10_000_000
"""In a file: half a million calls of a form with twenty columns, which take half a gigabyte."""

_CONSUMED: Final = 2
"""The type of entries of one-api's log that are calls; others are top-ups and errors."""


@dataclass(slots=True)
class Sums:
    """What a bill says of a day and a model, as far as its form tells."""

    tokens: dict[str, int] = field(default_factory=dict)
    money: float | None = None
    requests: int | None = None


@dataclass(frozen=True, slots=True)
class ProviderBill:
    """What a provider says it counted, by day (in `zone`) and model; "" where it names none.

    `classes` of tokens are told apart; what is not is in `input`. `notes` say what it lacks.
    """

    name: str
    source: str
    cells: Mapping[tuple[str, str], Sums]
    classes: tuple[str, ...]
    currency: str
    notes: tuple[str, ...]
    zone: str = "UTC"

    @property
    def days(self) -> tuple[str, str]:
        """The first and the last day."""
        days = [day for day, _ in self.cells]
        return min(days), max(days)


def read(path: Path, columns: Mapping[str, str] | None = None, zone: tzinfo = UTC) -> ProviderBill:
    """The bill in a file, whose columns are known, or named by `columns` (see MAPPED).

    Raises ConfigError if it can't be read, PlanError naming the line and the column.
    """
    given = _checked(dict(columns or {}))
    data = content(path, "a bill")
    if sum(map(data.count, (b",", b";", b"\t", b"\n"))) > MOST_VALUES:
        raise ConfigError(f"{path} holds over {MOST_VALUES:,} values: export fewer days at once.")
    try:
        text = decoded(data)
    except UnicodeDecodeError as error:
        raise ConfigError(f"can't read a bill from {path}: {error}.") from None
    return _Reader(path, given, zone).bill(rows_in(path, text))


def _checked(columns: dict[str, str]) -> dict[str, str]:
    for name, column in columns.items():
        if name not in MAPPED or not normal(column):
            raise PlanError(
                f"columns {plain(f'{name}={column}')!r} says nothing: write NAME=COLUMN, with "
                f"a NAME of {', '.join(MAPPED)}."
            )
    return columns


class _Reader:
    """Adds up rows; the first one says which columns there are."""

    def __init__(self, path: Path, given: dict[str, str], zone: tzinfo) -> None:
        self.path, self.given, self.zone = path, given, zone
        self.cells: dict[tuple[str, str], Sums] = {}
        self.names: set[str] = set()
        self.currencies: set[str] = set()
        self.models: dict[str, str] = {}
        self.skipped, self.more = 0, False
        self.form = Form()

    def bill(self, rows: Rows) -> ProviderBill:
        for _, row in rows():
            self.names |= row.keys()
        self.more = "" in self.names
        if not self.names:
            raise PlanError(f"{self.path} holds no line of a bill.")
        self.form = self._form()
        self.month_first = month_first(self._value(row, self.form.date) for _, row in rows())
        for place, row in rows():
            self._add(place, row)
        if not self.cells:
            raise PlanError(f"{self.path} holds no call that was billed.")
        return ProviderBill(
            short(self.path.name, 80), self.form.source, self.cells, self._classes(),
            self._currency(), tuple(self._notes()), str(self.zone),
        )  # fmt: skip

    def _form(self) -> Form:
        """The columns that are there. Raises PlanError if it is not clear which is which."""
        listed = short(", ".join(sorted(self.names - {""})[:30]), 400)
        for column in self.given.values():
            if normal(column) not in self.names:
                raise PlanError(f"{self.path} has no column {plain(column)!r}: it has {listed}.")
        form = form_of(self.names, self.given)
        there: dict[str, Any] = {
            name: tuple(column for column in getattr(form, name) if column in self.names)
            for name in (*MAPPED, "apart")
        }
        form = form._replace(**there)
        if not form.date:
            raise PlanError(f"{self.path} has no column of days that is known, but {listed}: name "
                            "it, as in --columns date=COLUMN.")  # fmt: skip
        if not (form.prompt or form.input or form.cost):
            raise PlanError(
                f"{self.path} has neither columns of prompt and completion tokens nor one of cost "
                f"that are known, but {listed}: name them, as in --columns "
                "prompt=COLUMN,completion=COLUMN,cost=COLUMN."
            )
        return form

    def _add(self, place: str, row: Row) -> None:
        form = self.form
        if form.source == "one-api's log" and str(row.get("type", _CONSUMED)) != str(_CONSUMED):
            self.skipped += 1
            return
        when = self._read(place, row, form.date, self._day)
        if when is None:
            raise PlanError(f"{self.path}, {place}, column {form.date[0]} holds no day.")
        named = self._value(row, form.model)
        model = "" if named is None else str(named)
        if model not in self.models:
            self.models[model] = short(model, 120)
        key = when, self.models[model]
        if key not in self.cells and len(self.cells) >= MOST_CELLS:
            raise PlanError(f"{self.path} has over {MOST_CELLS:,} days and models: take a part.")
        sums = self.cells.setdefault(key, Sums())
        if form.prompt or form.input:
            for name, n in self._tokens(place, row).items():
                sums.tokens[name] = sums.tokens.get(name, 0) + n
        paid = self._read(place, row, form.cost, money)
        if paid is not None:
            amount, currency = paid
            code = currency or str(self._value(row, form.currency) or "").strip().upper()
            self.currencies.add(code or "USD")
            sums.money = (sums.money or 0.0) + amount * form.unit
        requests = 1 if form.each else self._read(place, row, form.requests, tokens)
        if requests is not None:
            sums.requests = (sums.requests or 0) + requests

    def _day(self, value: Any) -> str:
        return day(value, self.zone, self.month_first)

    def _tokens(self, place: str, row: Row) -> dict[str, int]:
        """The tokens of a row by class: those told apart are no part of `input`."""
        form = self.form
        whole = self._read(place, row, form.prompt or form.input, tokens) or 0
        cached = self._read(place, row, form.cached, tokens) or 0
        written = sum(self._read(place, row, (name,), tokens) or 0 for name in form.written)
        apart = form.input or self._value(row, form.apart) in (True, "true", "True", 1)
        rest = whole if apart else whole - cached - written
        if rest < 0:
            raise PlanError(
                f"{self.path}, {place}: {cached + written:,} cached tokens are more than the "
                f"{whole:,} in column {(form.prompt or form.input)[0]}: if that is without them, "
                "say --columns input=COLUMN."
            )
        output = self._read(place, row, form.completion, tokens) or 0
        return dict(zip(CLASSES, (rest, cached, written, output), strict=True))

    def _value(self, row: Row, names: tuple[str, ...]) -> Any:
        """What stands in the first of these columns that holds anything."""
        values = (row.get(name) for name in names)
        blank = (None, "", "null", "None", "-")
        return next(
            (v for v in values if (v.strip() if isinstance(v, str) else v) not in blank), None
        )

    def _read(self, place: str, row: Row, names: tuple[str, ...], reading: Any) -> Any:
        value = self._value(row, names)
        if value is None:
            return None
        try:
            return reading(value)
        except (ValueError, OverflowError, OSError) as error:
            column = next(name for name in names if row.get(name) is value)
            why = str(error) if isinstance(error, ValueError) else "is out of bounds"
            raise PlanError(
                f"{self.path}, {place}, column {short(column, 60)}: {short(str(value), 60)!r} "
                f"{why}."
            ) from None

    def _classes(self) -> tuple[str, ...]:
        form = self.form
        if not (form.prompt or form.input):
            return ()
        parts = {"cached": form.cached, "written": form.written, "output": form.completion}
        return tuple(name for name in CLASSES if parts.get(name, True))

    def _currency(self) -> str:
        if len(self.currencies) > 1:
            some = short(", ".join(sorted(self.currencies)[:10]), 80)
            raise PlanError(f"{self.path} mixes {some}: take one.")
        return short(next(iter(self.currencies), ""), 12)

    def _notes(self) -> Iterator[str]:
        if self.more:
            yield "The bill says has_more: further pages of it are missing, so it is not whole."
        if self.skipped:
            yield f"{self.skipped:,} entries of the log that are no calls were left out."
        if self.form.source.startswith("OpenRouter"):
            yield "Calls paid by a key of your own (BYOK) cost nothing in this export."
