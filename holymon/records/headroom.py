"""How much of an API's limits was left, beside the rows: what headers told, in a small file.

limits.K.jsonl   by worker K: a line when there is news, once a second at first and ever more
                 rarely, each with all that is known by then; the last one is the whole truth

What a line holds is data: a server may tell any numbers, and whoever sent the folder others.
"""

import contextlib
import json
from collections.abc import Mapping
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any, Final

from holymon.formatting import rounded
from holymon.language.said import listed, say
from holymon.records.appender import Appender, reading
from holymon.records.own_files import opened

MOST_BYTES: Final = 2**20
"""Of the file of one worker, but for its last line."""

LINES: Final = 300
"""After so many lines each time the next ones are half as many."""

UNNAMED: Final = "unnamed"
"""The limit of refusals that name none."""

_TAIL: Final = 2**18
_MOST_KINDS: Final = 32
_MOST: Final = 1e15
_NO_LINE: Final = (ValueError, RecursionError, TypeError, AttributeError, LookupError)


@dataclass(frozen=True, slots=True)
class Headroom:
    """What is known of one limit: its size, what remained at last and at least, when it is whole.

    `reset_s` is what the last answer said, from then on. `hits` are the calls that were refused for
    it. None is what no answer told. Of more than five answers a second, one in 0.2 s is read.
    """

    limit: float | None = None
    remaining: float | None = None
    remaining_min: float | None = None
    reset_s: float | None = None
    hits: int = 0

    def then(
        self, limit: float | None, remaining: float | None, reset_s: float | None
    ) -> "Headroom":
        """With what a later answer told."""
        known = [left for left in (self.remaining_min, remaining) if left is not None]
        return Headroom(
            self.limit if limit is None else limit,
            self.remaining if remaining is None else remaining,
            min(known, default=None), self.reset_s if reset_s is None else reset_s, self.hits,
        )  # fmt: skip

    def words(self, kind: str) -> str:
        """It in words: `480 of 500 requests left, 479 at least, refused 3 times`."""
        name = kind.replace("_", " ")
        parts = []
        if self.remaining is not None:
            left = rounded(self.remaining, 6)
            if self.limit is None:
                parts.append(say("{left} {name} left", left=left, name=name))
            else:
                parts.append(say("{left} of {limit} {name} left", left=left, name=name,
                                 limit=rounded(self.limit, 6)))  # fmt: skip
            if self.remaining_min is not None and self.remaining_min < self.remaining:
                parts.append(say("{least} at the least", least=rounded(self.remaining_min, 6)))
        elif self.limit is not None:
            parts.append(say("{limit} {name} allowed", limit=rounded(self.limit, 6), name=name))
        if self.hits:
            whose = say("a limit that was not named") if kind == UNNAMED else name
            parts.append(say("{hits:,} refused for {whose}", hits=self.hits, whose=whose))
        return listed(", ", parts)


Known = dict[str, Headroom]
"""By what the limit is of: `requests`, `tokens`, `input_tokens`, `requests_day`, ..."""


def in_a_line(known: Known) -> str:
    """All that is known of a target's limits; those that say nothing are left out."""
    each = (about.words(kind) for kind, about in sorted(known.items()))
    return listed("; ", filter(None, each))


class Tally:
    """What is known by now of the limits of each target, by its position; in memory."""

    __slots__ = ("known", "news")

    def __init__(self) -> None:
        """Nothing yet."""
        self.known: dict[int, Known] = {}
        self.news = False

    def take(self, target: int, limits: Mapping[str, tuple[float | None, ...]]) -> None:
        """Take in what an answer told of its limits: size, what remains, seconds until reset."""
        if limits:
            known, self.news = self.known.setdefault(target, {}), True
            for kind, (limit, remaining, reset_s) in limits.items():
                if kind in known or len(known) < _MOST_KINDS:
                    known[kind] = known.get(kind, Headroom()).then(limit, remaining, reset_s)

    def hit(self, target: int, kind: str) -> None:
        """A call was refused for a limit, `""` if nobody said which."""
        known, self.news = self.known.setdefault(target, {}), True
        kind = kind or UNNAMED
        if kind in known or len(known) < _MOST_KINDS:
            about = known.get(kind, Headroom())
            known[kind] = Headroom(**{**asdict(about), "hits": about.hits + 1})


class HeadroomFile:
    """The side file of one worker; there is none as long as no answer tells of limits."""

    def __init__(self, folder: Path, worker: int, tally: Tally) -> None:
        """Write what `tally` knows."""
        self._path, self._tally = folder / f"limits.{worker}.jsonl", tally
        self._file: Appender | None = None
        self._asked = self._lines = self._bytes = 0

    def write(self, seconds: float, *, last: bool = False) -> None:
        """Write a line if there is news, and if it is time for one; asked for once a second."""
        self._asked += 1
        due = self._asked % (1 << self._lines // LINES) == 0 and self._bytes < MOST_BYTES
        if not self._tally.news or not (due or last):
            return
        by_target = {
            str(target): {kind: list(asdict(about).values()) for kind, about in known.items()}
            for target, known in self._tally.known.items()
        }
        line = json.dumps({"t": round(seconds, 3), "limits": by_target}).encode() + b"\n"
        if self._file is None:
            try:
                self._file = Appender(self._path)
            except OSError:  # a full disk, no more files: the next time, then
                return
        self._file.write(line)
        self._tally.news, self._lines = False, self._lines + 1
        self._bytes += len(line)

    def close(self, seconds: float) -> None:
        """Write the last line, and close the file."""
        self.write(seconds, last=True)
        if self._file is not None:
            self._file.close()


def headroom(folder: Path) -> dict[int, Known]:
    """What the workers of a run know of each target's limits, by its position: data.

    What remains is by the worker that wrote last; refusals are added up.
    """
    last = sorted((_last(path) for path in folder.glob("limits.*.jsonl")), key=lambda of: of[0])
    whole: dict[int, Known] = {}
    for _, by_target in last:
        for target, known in by_target.items():
            mine = whole.setdefault(target, {})
            for kind, about in known.items():
                mine[kind] = _both(mine[kind], about) if kind in mine else about
    return whole


def _both(a: Headroom, b: Headroom) -> Headroom:
    merged = a.then(b.limit, b.remaining, b.reset_s)
    least = [left for left in (a.remaining_min, b.remaining_min) if left is not None]
    values = {"remaining_min": min(least, default=None), "hits": a.hits + b.hits}
    return Headroom(**{**asdict(merged), **values})


def _last(path: Path) -> tuple[float, dict[int, Known]]:
    """The last whole line of a file: its moment, and what it holds by target."""
    with reading(path), opened(path) as file:
        size = file.seek(0, 2)
        file.seek(max(0, size - _TAIL))
        lines = file.read(_TAIL).splitlines()
    for line in reversed(lines):
        with contextlib.suppress(*_NO_LINE):
            about = json.loads(line)
            moment = _number(about["t"]) if isinstance(about, dict) and "t" in about else None
            if moment is not None:
                return moment, {int(target): _checked(known)
                                for target, known in about["limits"].items()}  # fmt: skip
    return 0.0, {}


def _checked(known: dict[str, Any]) -> Known:
    """What has the shape of a limit, under a name as we have them."""
    good: Known = {}
    for kind, numbers in list(known.items())[:_MOST_KINDS]:
        limit, remaining, least, reset_s, hits = map(_number, numbers)
        if kind.replace("_", "").isalpha() and len(kind) <= 40:
            good[kind] = Headroom(limit, remaining, least, reset_s, int(hits or 0))
    return good


def _number(value: Any) -> float | None:
    good = isinstance(value, int | float) and not isinstance(value, bool) and 0 <= value <= _MOST
    return float(value) if good else None
