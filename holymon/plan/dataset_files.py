"""Files of requests, known by what is in them: text, JSONL, JSON and CSV, packed by gzip or not.

    read(path) --> Dataset

Whatever is wrong is one sentence: which file and line, and the mend. A file that others handed over
is read within bounds, also when it is packed: all of it is in memory, at its peak eight times.
"""

import zlib
from collections import Counter
from collections.abc import Iterable, Iterator
from math import isfinite
from pathlib import Path
from typing import Any, Final

import msgspec

from holymon.errors import ConfigError, HolymonError, PlanError
from holymon.plan.conversations import joined, split
from holymon.plan.dataset import Dataset, dataset_of
from holymon.plan.dataset_bodies import request_of
from holymon.plan.dataset_forms import AS_IT_IS, How, form_of
from holymon.plan.entries import Unfit
from holymon.plan.given_file import MOST_BYTES, decoded, over, raw
from holymon.plan.replay_file import comma_of, rows_of, timed_names
from holymon.plan.requests import Request
from holymon.plan.sample import drawn, lines_of
from holymon.plan.traces import Sessions, delay_of, is_whole
from holymon.safety import plain, short

COLUMNS: Final = ("prompt", "text", "question", "messages")
"""Columns that are taken for what is asked, if there is one of them."""

MOST_VALUES: Final = 20_000_000
"""In a file: an empty list of two bytes takes sixty in memory."""

PART: Final = "of .jsonl and Parquet --sample 10000; head -n 10000; of JSON jq -c '.[:10000][]'"
"""What makes a smaller file of one that is too large."""

_GZIP: Final = b"\x1f\x8b"
_OTHERS: Final = {
    b"PK\x03\x04": "a zip archive", b"\x28\xb5\x2f\xfd": "packed by zstd",
    b"BZh": "packed by bzip2", b"\xfd7zXZ": "packed by xz",
}  # fmt: skip
_BOOKS: Final = frozenset({".xlsx", ".xlsm"})
_OF_A_BOOK: Final = b"[Content_Types].xml"
_MEMBER: Final = 64  # bytes of the name of the first file in an archive
LINES: Final = frozenset({".jsonl", ".ndjson"})
_TABLES: Final = frozenset({".csv", ".tsv"})

Placed = Iterator[tuple[str, Any]]
"""Entries of a file, each with where it stands."""


def content(path: Path, what: str = "requests") -> bytes:
    """What is in a file of `what`, unpacked. Raises ConfigError if it can't be read."""
    try:
        data = raw(path)
    except OSError as error:
        mend = f": take a part of it ({PART})" * (str(error) == over(MOST_BYTES))
        raise ConfigError(f"can't read {what} from {path}: {error}{mend}.") from None
    for mark, kind in _OTHERS.items():
        if data.startswith(mark):
            if suffix_of(path) in _BOOKS or _OF_A_BOOK in data[:_MEMBER]:
                raise ConfigError(f"{path} is an Excel workbook: save it as CSV UTF-8.")
            raise ConfigError(f"{path} is {kind}: unpack it first.")
    return unpacked(path, data) if data.startswith(_GZIP) else data


def unpacked(path: Path, data: bytes, most: int = MOST_BYTES) -> bytes:
    """What gzip packed, of `most` bytes. Raises ConfigError for more, and for what is damaged."""
    pieces, size = list[bytes](), 0
    try:
        while data:
            member = zlib.decompressobj(wbits=31)
            piece = member.decompress(data, most - size + 1)
            size += len(piece)
            if size > most:
                raise ConfigError(
                    f"{path} unpacks to over {most >> 20:,} MB: take a part of it (zcat FILE | "
                    "head -n 10000)."
                )
            pieces.append(piece)
            if not member.eof:
                raise ConfigError(f"{path} ends too early: it was not copied whole.")
            data = member.unused_data.lstrip(b"\0")
    except zlib.error as error:
        raise ConfigError(f"{path} is no gzip file, or damaged: {error}.") from None
    return b"".join(pieces)


def read(path: Path, how: How = AS_IT_IS) -> Dataset:
    """The requests in a file. Raises ConfigError if it can't be read, PlanError naming the line."""
    return of_data(path, content(path), how)


def of_data(path: Path, data: bytes, how: How = AS_IT_IS) -> Dataset:
    """The requests in what is in a file; as `read`."""
    if data.count(b",") + data.count(b"\n") > MOST_VALUES:
        raise ConfigError(f"{path} holds over {MOST_VALUES:,} values: take a part of it.")
    try:
        text = decoded(data)
    except UnicodeDecodeError as error:
        raise ConfigError(f"can't read requests from {path}: {error}.") from None
    lines = text.split("\n")
    kind = _kind(path, text, lines)
    if kind == "CSV" or (how.column and kind == "text"):
        column, entries = _of_table(path, lines, how.column)
        return of_entries(path, "CSV", entries, how._replace(column=column))
    made = {
        "JSON": lambda: _of_json(path, text),
        "JSONL": lambda: _of_lines(path, enumerate(lines, 1)),
    }
    return of_entries(path, kind, made.get(kind, lambda: _texts(lines))(), how)


def of_lines(path: Path, how: How) -> Dataset:
    """A sample of a file of lines of JSON, however large it is; as `read`."""
    lines, others = drawn(lines_of(path), how.sample)
    texts = ((n, line.decode("utf-8-sig", "replace")) for n, line in lines)
    return of_entries(path, "JSONL", _of_lines(path, texts), how, others)


def suffix_of(path: Path) -> str:
    """How a file's name ends, but for what packed it."""
    name = path.name.lower().removesuffix(".gz")
    return Path(name).suffix


def _kind(path: Path, text: str, lines: list[str]) -> str:
    """What a file is, by its name's end where that says it, else by its first line."""
    first = next((line for line in lines if line.strip()), "")
    suffix, start = suffix_of(path), first.lstrip()[:1]
    if suffix in LINES:
        return "JSONL"
    if suffix in _TABLES:
        return "CSV"
    alone = start == "{" and first.strip() == text.strip()  # a list may be inside
    if start in ("{", '"') and not alone and _json(first) is not None:
        return "JSONL"
    if suffix == ".json" or (start in ("{", "[") and _json(text) is not None):
        return "JSON"
    cells = [cell.lower() for cell in _names(first)]
    named = set(cells) & set(COLUMNS) or form_of(dict.fromkeys(_names(first)))[0]
    return "CSV" if len(cells) > 1 and named else "text"


def _names(head: str) -> list[str]:
    return [cell.strip().strip('"') for cell in head.split(comma_of(head))]


def _json(text: str) -> Any:
    """What JSON says; None for what is none."""
    try:
        return msgspec.json.decode(text)
    except (msgspec.MsgspecError, RecursionError, UnicodeError):
        return None


def _texts(lines: list[str]) -> Placed:
    return ((f"line {n}", line.strip()) for n, line in enumerate(lines, 1) if line.strip())


def _of_lines(path: Path, lines: Iterable[tuple[int, str]]) -> Placed:
    for n, line in lines:
        if not line.strip():
            continue
        entry = _json(line)
        if entry is None:
            raise PlanError(f"{path}, line {n} is not JSON: write a string in quotes.")
        yield f"line {n}", entry


def _of_json(path: Path, text: str) -> Placed:
    whole = _json(text)
    if whole is None:
        raise PlanError(f"{path} is not JSON: write a list, or a line of JSON for each request.")
    if isinstance(whole, dict):  # as an API's answer holds them
        named = (value for name, value in whole.items() if name != "features")
        lists = [value for value in named if isinstance(value, list) and value]
        inner = [value for value in lists if isinstance(value[0], dict)]
        whole = inner[0] if len(inner) == 1 and not form_of(whole)[0] else [whole]
    if not isinstance(whole, list):
        raise PlanError(f"{path} holds no list of requests.")
    yield from ((f"entry {n}", entry) for n, entry in enumerate(whole, 1))


def _of_table(path: Path, lines: list[str], column: str) -> tuple[str, Placed]:
    """The column of a table that holds what is asked, if one does, and its rows."""
    (_, head), *rows = rows_of(path, lines) or [(0, [])]
    names = timed_names(path, [cell.strip() for cell in head], rows)
    if column or not form_of(dict.fromkeys(names))[0]:
        column = chosen(path, names, column)
    entries = ((f"line {n}", dict(zip(names, row, strict=False))) for n, row in rows)
    return column, ((place, row) for place, row in entries if not column or row.get(column))


def chosen(path: Path, names: list[str], column: str) -> str:
    """The column that holds what is asked: the one named, or the only one that it can be."""
    listed = ", ".join(short(name, 40) for name in names[:20])
    if column:
        if column not in names:
            raise PlanError(f"{path} has no column {plain(column)!r}: it has {plain(listed)}.")
        return column
    known = [name for name in names if name.lower() in COLUMNS]
    if len(known) != 1:
        what = f"several columns that may be it ({', '.join(known)})" if known else (
            f"no column named {', '.join(COLUMNS)}, but {listed or 'nothing'}"
        )  # fmt: skip
        raise PlanError(f"{path} has {plain(what)}: name the one to ask with --column.")
    return known[0]


def of_entries(
    path: Path | None, kind: str, entries: Iterable[tuple[str, Any]], how: How, outside: int = 0
) -> Dataset:
    """Entries as a dataset; those that are no requests are left out. Raises PlanError.

    `outside`: how many a sample was drawn from besides.
    """
    out, requests, kinds = Counter[str](), list[Request](), set[str]()
    sessions = Gathered(how)
    where = path or "the list"
    if how.sample:
        entries, others = drawn(entries, how.sample)
        out["outside of the sample"] = others + outside
    for place, entry in entries:
        try:
            name, request = _request(entry, how)
            sessions.take(entry, request, requests)
        except Unfit as reason:
            out[str(reason)] += 1
        except (HolymonError, ValueError, TypeError) as error:
            why = str(error).rstrip(".")
            raise PlanError(f"{where}, {place} is no request: {why}.") from None
        else:
            kinds.add(name)
    sessions.join(requests, out)
    left = "; ".join(f"{n:,} {reason}" for reason, n in out.items() if n)
    if not requests:
        raise PlanError(f"{where} holds no request{f' ({left})' * bool(left)}: write one a line.")
    if how.recorded and not any(turn.has_answer for each in requests for turn in each.then):
        raise PlanError(f"{where} holds no recorded answers: say again those that come.")
    timed = all(request.at is not None and isfinite(request.at) for request in requests)
    if timed:
        requests.sort(key=lambda request: request.at or 0.0)
    name = ", ".join(filter(None, sorted(kinds))) or kind
    return dataset_of(requests, plain(path.name) if path else "", name, left, timed=timed)


class Gathered:
    """The turns of each conversation that several entries of a file hold."""

    def __init__(self, how: How) -> None:
        """Gather none unless conversations are asked for."""
        self._how, self._sessions = how, Sessions()
        self._places, self._turns = dict[str, int](), dict[int, list[Request]]()

    def take(self, entry: Any, request: Request, requests: list[Request]) -> None:
        """Add the request of an entry, unless it is a further turn of one that is there."""
        key = self._sessions.key(entry) if self._how.conversations and not request.then else ""
        if key and self._how.sample:
            raise PlanError("a sample would tear its conversation apart: take all, or no turns")
        if not key:
            wanted = self._how.conversations
            held = split(request, recorded=self._how.recorded) if wanted else request
            requests.append(held)
            return
        delay = delay_of(entry) if request.at is None else None
        request = request.changed(whole=is_whole(entry), think_s=delay)
        if key not in self._places:
            self._places[key] = len(requests)
            requests.append(request)
        self._turns.setdefault(self._places[key], []).append(request)

    def join(self, requests: list[Request], out: Counter[str]) -> None:
        """Put conversations in the places of their first turns; `out` says of what is none."""
        gone = list[int]()
        for place, turns in self._turns.items():
            try:
                requests[place] = joined(turns, recorded=self._how.recorded)
            except Unfit as reason:
                out[str(reason)] += 1
                gone.append(place)
        for place in sorted(gone, reverse=True):
            del requests[place]


def _request(entry: Any, how: How) -> tuple[str, Request]:
    if isinstance(entry, Request):
        return "", entry
    if isinstance(entry, str | list):
        return "", request_of(entry)
    if not isinstance(entry, dict):
        raise PlanError("it holds no prompt: write a string, or an object with a field 'prompt'")
    if "row_idx" in entry and isinstance(entry.get("row"), dict):  # as Hugging Face serves them
        entry = entry["row"]
    name, form = form_of(entry, how)
    return name, form(entry)
