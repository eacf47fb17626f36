"""Arrival times from a file of recorded traffic: CSV or JSONL, seconds or dates, one a line."""

import csv
import json
import re
from collections.abc import Iterator, Sequence
from datetime import UTC, datetime
from pathlib import Path
from typing import Any, Final

import numpy as np

from holymon.errors import ConfigError, PlanError
from holymon.plan.given_file import decoded, raw
from holymon.plan.shapes import Replay
from holymon.plan.slash_dates import as_iso
from holymon.safety import plain

COLUMNS: Final = (
    "timestamp", "time", "arrival_time", "arrived_at", "due_s", "start_s", "start_time",
    "timegenerated", "t",
)  # fmt: skip

_SAYS_COMMA: Final = re.compile(r'"?sep=(.)"?')
"""The first line of a table, by which Excel is told what stands between its columns."""

_WITH_COMMA: Final = re.compile(r"\s*\d+(?:,(\d+))?\s*", re.ASCII)

UNITS: Final = {"s": 1.0, "ms": 1e-3, "us": 1e-6, "ns": 1e-9}


def replay(source: str | Path | Sequence[float], *, speed: float = 1.0) -> Replay:
    """Calls as they came once: from a file, or from times in seconds.

    A CSV file has a column named timestamp, time, t, arrival_time, arrived_at, start_time, start_s,
    due_s or TimeGenerated, or numbers in its first column; a line of JSONL is a time or an object
    with such a field. A time is in seconds or an ISO 8601 date, in CSV also one as Azure's portal
    writes it. Times are sorted, the first becomes 0, gaps are kept to the microsecond; `speed`
    divides them (1000 for a trace written in milliseconds, 2 to play it twice as fast). Raises
    ConfigError, PlanError naming the line.
    """
    if not 0 < speed < float("inf"):
        raise PlanError(f"speed is {speed:g}: it must be above 0.")
    given = list(_read(Path(source)) if isinstance(source, str | Path) else source)
    times = np.sort(np.asarray(given, dtype=np.float64))
    if not len(times):
        raise PlanError(f"{plain(str(source))} holds no times: write one a line.")
    if not np.isfinite(times).all():
        raise PlanError("a time is not a finite number: take it out.")
    if speed == 1 and (unit := epoch_unit(float(times[0]))) not in {"", "s"}:
        raise PlanError(f"{times[0]:.0f} looks like {unit} since 1970, not seconds: give "
                        f"speed={1 / UNITS[unit]:.0f}.")  # fmt: skip
    with np.errstate(over="ignore"):
        due = np.round((times - times[0]) / speed, 6)
    if not np.isfinite(due).all():
        raise PlanError("the times lie too far apart for any run: look for one that is no time.")
    return Replay(times=tuple(due.tolist()))


def _read(path: Path) -> Iterator[float]:
    try:
        lines = decoded(raw(path)).split("\n")
    except (OSError, UnicodeDecodeError) as error:
        raise ConfigError(f"can't read times from {path}: {error}.") from None
    if path.suffix.lower() in {".jsonl", ".ndjson", ".json"}:
        for n, line in enumerate(lines, 1):
            if line.strip():
                yield _from_json(path, n, line)
        return
    rows = rows_of(path, lines)
    head = rows[0][1] if rows else []
    column = _column_of_times(head)
    if column is None and rows and time_of(head[0].strip()) is None:
        raise PlanError(f"{path} has no column of times: name one of them 'timestamp'.")
    at, rows = column or 0, rows if column is None else rows[1:]
    _write_alike(path, rows, at)
    for n, row in rows:
        yield _known(time_of(row[at].strip()) if at < len(row) else None, path, n)


def timed_names(path: Path, names: list[str], rows: list[tuple[int, list[str]]]) -> list[str]:
    """The names of a table's columns, times without a zone; their dates are written alike.

    Azure's portal names one `TimeGenerated [UTC]`. Raises PlanError for dates of unknown order.
    """
    at = _column_of_times(names)
    if at is None:
        return names
    _write_alike(path, rows, at)
    return [*names[:at], names[at].partition(" [")[0], *names[at + 1 :]]


def _column_of_times(names: Sequence[str]) -> int | None:
    known = [name.lower().partition(" [")[0].strip() for name in names]
    return next((known.index(name) for name in COLUMNS if name in known), None)


def _write_alike(path: Path, rows: list[tuple[int, list[str]]], at: int) -> None:
    """Bring the times of a column into one form: the order of month and day, decimal commas."""
    full = [row for _, row in rows if len(row) > at]
    try:
        cells = _with_points(as_iso([row[at] for row in full]))
    except PlanError as error:
        raise PlanError(f"{path}: {error}.") from None
    for row, cell in zip(full, cells, strict=True):
        row[at] = cell


def _with_points(cells: list[str]) -> list[str]:
    """Numbers with a decimal comma with a point; all others, and what may be thousands, as is."""
    numbers = [match for match in map(_WITH_COMMA.fullmatch, cells) if match]
    if len(numbers) < len(cells) or all(len(match[1] or "123") == 3 for match in numbers):
        return cells
    return [cell.replace(",", ".") for cell in cells]


def comma_of(head: str) -> str:
    """What stands between the columns of a table whose first line is `head`."""
    if match := _SAYS_COMMA.fullmatch(head.strip()):
        return match[1]
    return max(",;\t", key=head.count)


def rows_of(path: Path, lines: list[str]) -> list[tuple[int, list[str]]]:
    """The rows of a CSV file that hold anything, with their numbers, however long a cell is."""
    before = csv.field_size_limit(sum(map(len, lines)) + len(lines) + 1)
    first = next((line for line in lines if line.strip()), "")
    comma = comma_of(first)
    if _SAYS_COMMA.fullmatch(first.strip()):  # it is no row, but keeps its number
        lines = ["" if line is first else line for line in lines]
    try:
        # A cell may hold line ends.
        reader = csv.reader((f"{line}\n" for line in lines), delimiter=comma)
        rows, begins = list[tuple[int, list[str]]](), 1
        for row in reader:
            rows.append((begins, row))
            begins = reader.line_num + 1
        return [(n, row) for n, row in rows if row]
    except csv.Error as error:
        raise PlanError(f"{path} is not CSV: {error}.") from None
    finally:
        csv.field_size_limit(before)


def _from_json(path: Path, n: int, line: str) -> float:
    try:
        value: Any = json.loads(line)
    except (ValueError, RecursionError):
        raise PlanError(f"{path}, line {n} is not JSON.") from None
    if isinstance(value, dict):
        value = next((value[name] for name in COLUMNS if name in value), None)
    return _known(time_of(value), path, n)


def _known(seconds: float | None, path: Path, n: int) -> float:
    if seconds is None:
        raise PlanError(f"{path}, line {n} holds no time: seconds, or a date like "
                        "2026-01-31T08:00:00Z.")  # fmt: skip
    return seconds


def epoch_unit(number: float) -> str:
    """The unit in which a number is a moment of this century, since 1970; `""` if none is."""
    units = (unit for unit, scale in UNITS.items() if 9.7e8 <= number * scale < 4.2e9)
    return next(units, "")


def time_of(value: Any) -> float | None:
    """Seconds of a number or of an ISO 8601 date; None for what is neither."""
    if isinstance(value, bool):
        return None
    try:
        return float(value)
    except OverflowError:
        return None
    except (TypeError, ValueError):
        pass
    try:
        moment = datetime.fromisoformat(value)
    except (TypeError, ValueError):
        return None
    return (moment if moment.tzinfo else moment.replace(tzinfo=UTC)).timestamp()
