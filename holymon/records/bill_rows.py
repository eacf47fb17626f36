"""The rows of a usage export: lines of CSV or JSONL, entries of JSON and what they lie in."""

import json
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any, Final

from holymon.errors import PlanError
from holymon.plan.replay_file import rows_of
from holymon.records.bill_forms import normal

_DEEP: Final = 4
_PACKED: Final = frozenset({"other", "metadata"})
"""Columns in which gateways keep more, as JSON in a text."""

Row = dict[str, Any]
Rows = Callable[[], Iterator[tuple[str, Row]]]
"""The rows of a file, each with its place, and names as they are compared; as often as asked."""


def rows_in(path: Path, text: str) -> Rows:
    """The rows of a file's text. Raises PlanError for what is neither CSV nor JSON."""
    start = text.lstrip()[:1]
    if start not in ("{", "["):
        lines = text.split("\n")
        table = rows_of(path, lines) or [(0, [])]
        return lambda: _of_table(path, table)
    try:
        whole = json.loads(text)
    except (ValueError, RecursionError):
        return lambda: _of_lines(path, text.split("\n"))
    return lambda: _opened(whole, "", {})


def _of_table(path: Path, table: list[tuple[int, list[str]]]) -> Iterator[tuple[str, Row]]:
    (_, names), *rows = table
    heads = [normal(name) for name in names]
    for n, row in rows:
        if any(cell.strip() for cell in row):
            if any(cell.strip() for cell in row[len(heads) :]):
                raise PlanError(f"{path}, line {n} has more columns than the first line names.")
            cells: Row = dict(zip(heads, row, strict=False))
            yield f"line {n}", _flat(cells) if _PACKED & cells.keys() else cells


def _of_lines(path: Path, lines: list[str]) -> Iterator[tuple[str, Row]]:
    for n, line in enumerate(lines, 1):
        if line.strip():
            try:
                entry = json.loads(line)
            except (ValueError, RecursionError):
                raise PlanError(f"{path}, line {n} is not JSON.") from None
            for place, row in _opened(entry, "", {}):
                yield f"line {n}" + f", {place}" * bool(place), row


def _opened(value: Any, place: str, above: Row, deep: int = 0) -> Iterator[tuple[str, Row]]:
    """The rows in pages, buckets and lists, which have the times of their buckets."""
    if isinstance(value, list) and deep <= _DEEP:
        for n, item in enumerate(value, 1):
            inner = f"{place}, " * bool(place) + f"entry {n}"
            yield from _opened(item, inner, above, deep + 1)
    elif isinstance(value, dict):
        name = next((n for n in ("data", "results", "items", "logs") if _holds(value.get(n))), "")
        if not name or deep > _DEEP:
            yield place or "entry 1", {**above, **_flat(value)}
            return
        own = {k: v for k, v in value.items() if not isinstance(v, dict | list)}
        more = {"": True} if value.get("has_more") is True else {}
        yield from _opened(value[name], place, {**above, **_flat(own), **more}, deep + 1)
    else:
        yield place or "entry 1", {**above, "value": value}


def _holds(value: Any) -> bool:
    return isinstance(value, list) or (
        isinstance(value, dict) and isinstance(value.get("items"), list)
    )


def _flat(entry: dict[str, Any], before: str = "", deep: int = 0) -> Row:
    row: Row = {}
    for key, value in entry.items():
        name = f"{before}_{normal(key)}".strip("_")
        if name in _PACKED and isinstance(value, str) and value[:1] == "{":
            try:
                value = json.loads(value)  # noqa: PLW2901 - a gateway's JSON in a text
            except (ValueError, RecursionError):
                value = None  # noqa: PLW2901
        if isinstance(value, dict) and deep < _DEEP:
            row |= _flat(value, name, deep + 1)
        else:
            row[name] = value
    return row
