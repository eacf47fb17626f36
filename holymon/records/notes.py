"""What servers said, beside the rows: words of failures, and the ids by which they know a call.

Of the same calls, where in an answer the longest gap was.

Redacted and bounded: a server may send anything, and a load is long. What is read back is data.
"""

import contextlib
import heapq
import json
from collections import Counter
from collections.abc import Callable
from functools import partial
from math import inf, isfinite
from pathlib import Path
from typing import Any, Final

from holymon.errors import CODES
from holymon.records.appender import Appender, reading
from holymon.records.attempt import Marks
from holymon.records.own_files import MOST_OF_JSON, content
from holymon.records.records import Records
from holymon.safety import short

WORDS_OF_A_KIND: Final = 5
WORDS: Final = 200
FAILED_IDS: Final = 1000
SLOWEST: Final = 50
"""A call that took longer than all but so many before it is one to ask a provider about. Of n calls
whose times have no trend, about 50 (1 + ln(n / 50)) are."""

ID_MAX: Final = 200
MOST_S: Final = 1e7
"""No call is longer (four months)."""


class Notes:
    """The side file of one worker.

    `masked` takes keys out of what a server sent; words come to here without them. `words` gives
    those of a call.
    """

    def __init__(
        self, folder: Path, worker: int, masked: Callable[[str], str],
        words: Callable[[Marks], str],
    ) -> None:  # fmt: skip
        """Create the file."""
        self._file = Appender(folder / f"notes.{worker}.jsonl")
        self._masked, self._words = masked, words
        self._said: Counter[tuple[int, str]] = Counter()
        self._failed = 0
        self._slowest: list[float] = []
        self.slow_s = -inf
        """A call that took longer, in s, is among the slowest so far."""

    def take(self, marks: Marks) -> None:
        """Write down the words and the id of a call, those of them that are wanted."""
        gap_at = marks.gap_at - marks.start
        if not (marks.message or marks.request_id or isfinite(gap_at)):
            return
        words = self._words(marks) if marks.message and self._wants_words(marks) else ""
        wanted = self._is_wanted(marks) or bool(words)
        if not wanted or not (words or marks.request_id or isfinite(gap_at)):
            return
        note = {
            "request": marks.request, "target": marks.target, "error_type": marks.error,
            "status": marks.status, "code": marks.code, "message": words,
            "request_id": self._masked(short(marks.request_id, ID_MAX)),
        }  # fmt: skip
        if isfinite(gap_at):
            note["gap_at_s"] = round(gap_at, 6)
        self._file.write(json.dumps(note).encode() + b"\n")

    def close(self) -> None:
        """Close the file."""
        self._file.close()

    def _wants_words(self, marks: Marks) -> bool:
        kind = (marks.target, marks.error)
        if self._said[kind] >= WORDS_OF_A_KIND or self._said.total() >= WORDS:
            return False
        self._said[kind] += 1
        return True

    def _is_wanted(self, marks: Marks) -> bool:
        """Whether a call has failed, or is among the slowest so far."""
        if marks.error:
            self._failed += 1
            return self._failed <= FAILED_IDS
        seconds = marks.end - marks.start
        if seconds <= self.slow_s:
            return False
        if len(self._slowest) < SLOWEST:
            heapq.heappush(self._slowest, seconds)
        else:
            heapq.heapreplace(self._slowest, seconds)
        if len(self._slowest) == SLOWEST:
            self.slow_s = self._slowest[0]
        return True


def notes(folder: Path) -> list[dict[str, Any]]:
    """The words of failures in a run's folder, as data: escape them wherever they are shown."""
    return [line for line in lines(folder) if line.get("message")]


def messages(folder: Path) -> dict[int, dict[str, str]]:
    """The first words of each error type by the position of the target: data, as above."""
    first: dict[int, dict[str, str]] = {}
    for note in notes(folder):
        of_target = first.setdefault(note["target"], {})
        of_target.setdefault(str(note["error_type"]), short(str(note["message"])))
    return first


def lend(folder: Path, records: Records) -> None:
    """Have the records of a run know what lies beside them in its folder."""
    records.request_ids = partial(request_ids, folder)
    records.messages = partial(messages, folder)
    records.asides = partial(lines, folder)


def request_ids(folder: Path) -> dict[int, str]:
    """The servers' ids of failed and of the slowest calls, by the number of the call: data."""
    return {line["request"]: line["request_id"] for line in lines(folder) if line.get("request_id")}


def lines(folder: Path) -> list[dict[str, Any]]:
    """All that a run's folder holds beside the rows, as data: words, ids and gaps of calls."""
    known = []
    for path in sorted(folder.glob("notes.*.jsonl")):
        with reading(path):
            raw = content(path, 2 * MOST_OF_JSON)
        for line in raw.splitlines():
            with contextlib.suppress(ValueError, RecursionError):  # a torn last line
                known += _checked(json.loads(line))
    return known


def _checked(line: Any) -> list[dict[str, Any]]:
    """A line that has the shape of a note: whoever sent the folder may have written another."""
    if not isinstance(line, dict):
        return []
    numbers = {name: line.get(name, 0) for name in ("request", "target", "status")}
    texts = {name: line.get(name, "") for name in ("error_type", "code", "message", "request_id")}
    good = all(type(n) is int for n in numbers.values()) and all(
        isinstance(text, str) for text in texts.values()
    )
    gap_at = line.get("gap_at_s")
    known = isinstance(gap_at, float) and 0 <= gap_at <= MOST_S
    about = {**numbers, **texts, "gap_at_s": gap_at if known else None}
    return [about] if good and texts["error_type"] in CODES else []
