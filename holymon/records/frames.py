"""Rows as bytes: the header of a journal, and its frames read back piece by piece.

journal = header line, frame, frame, ...     frame = length | row | gaps
"""

import json
import re
from typing import Any, Final

import numpy as np

from holymon.errors import NAMES, RunError
from holymon.records.attempt import DTYPE, FIELDS, FINISH, FORMAT, GAP, Rows, blank
from holymon.records.chosen import Columns

_LONGEST_HEADER: Final = 65536
_NAMES: Final = tuple(name for name, _, _ in FIELDS)
_TIMES: Final = tuple(name for name, kind, _ in FIELDS if kind[0] == "f")
_KIND: Final = re.compile(r"[<>=|]?[fiuS]\d{1,2}")
_ALIKE: Final = {"i": "u"}
"""Kinds of numbers that are read for each other: a field may have been signed once."""

LONGEST_S: Final = 1e9
"""No time of a run is longer (31 years): what a server may ask to wait."""


def header(worker: int) -> bytes:
    """The first line of a journal: what its rows look like, readable by any JSON parser."""
    about = {"holymon": FORMAT, "worker": worker, "dtype": [[n, k] for n, k, _ in FIELDS]}
    return json.dumps(about).encode() + b"\n"


class Frames:
    """Reads a journal piece by piece; a torn last frame waits for its rest.

    Bytes that can't be a frame are never rows: reading ends before them, `torn` counts them.
    """

    def __init__(self) -> None:
        """Expect the header of a journal."""
        self._rest = b""
        self._started = False
        self._written = DTYPE
        self.damaged = False
        """Whether nothing further can be read."""

    def feed(self, data: bytes) -> tuple[bytes, bytes, list[int]]:
        """Complete rows, their gaps, and the number of gap pairs of each row.

        Raises RunError for a journal of another format.
        """
        data = self._rest + data
        at = 0
        if not self._started:
            end = data.find(b"\n", 0, _LONGEST_HEADER)
            if end < 0 and len(data) < _LONGEST_HEADER:
                self._rest = data
                return b"", b"", []
            self._written = _layout(data[: max(end, 0)])
            self._started, at = True, end + 1
        rows, gaps, counts = [], [], []
        size, width = len(data), self._written.itemsize
        while at + 2 <= size:
            length = data[at] | data[at + 1] << 8
            stop = at + 2 + length
            if stop > size or length < width or (length - width) % GAP.itemsize:
                self.damaged = length < width or (length - width) % GAP.itemsize != 0
                break  # or torn: its rest is yet to come
            rows.append(data[at + 2 : at + 2 + width])
            gaps.append(data[at + 2 + width : stop])
            counts.append((length - width) // GAP.itemsize)
            at = stop
        self._rest = data[at:]
        return self._as_now(b"".join(rows)), b"".join(gaps), counts

    def _as_now(self, rows: bytes) -> bytes:
        """Rows as they were written, in the layout of today."""
        if self._written == DTYPE:
            return rows
        old = np.frombuffer(rows, self._written)
        new = blank(len(old))
        for name in self._written.names or ():
            new[name] = old[name]
        raw: bytes = new.tobytes()
        return raw

    @property
    def torn(self) -> int:
        """Bytes that are no whole frame (yet)."""
        return len(self._rest)


def _layout(line: bytes) -> np.dtype[np.void]:
    """The layout of a journal's rows, by its header. Raises RunError for one that is not known.

    An earlier version's rows had fewer fields, or narrower ones.
    """
    try:
        about = json.loads(line)
        fields = [(name, kind) for name, kind in about["dtype"] if _KIND.fullmatch(kind)]
        layout = np.dtype(fields)
        known = 2 <= about["holymon"] <= FORMAT and len(fields) == len(about["dtype"])
        known = known and all(_fits(layout[name], name) for name in layout.names or "?")
    except (ValueError, KeyError, TypeError, RecursionError):
        known = False
    if not known:
        raise RunError("this journal was written by another version of holymon: use that one.")
    return layout


def _fits(kind: np.dtype[Any], name: str) -> bool:
    """Whether a field of that kind can be one of today's."""
    if name not in _NAMES:
        return False
    now = DTYPE[name]
    alike = _ALIKE.get(kind.kind, kind.kind) == _ALIKE.get(now.kind, now.kind)
    return alike and 0 < kind.itemsize <= now.itemsize


def implausible(rows: Rows | Columns, targets: int) -> str:
    """What no run measures of so many targets, in rows that others may have written; else `""`."""
    if not len(rows["target"]):
        return ""
    target, error, finish = (rows[name].max() for name in ("target", "error", "finish"))
    if target >= targets:
        return "it has calls to a target that its plan has not"
    if error >= len(NAMES) or finish >= len(FINISH):
        return "its calls ended in ways that this version does not know"
    # A NaN is not known, and none is longer than that.
    if any(np.fmax.reduce(rows[name]) > LONGEST_S or np.fmin.reduce(rows[name]) < -LONGEST_S
           for name in _TIMES):  # fmt: skip
        return "it has times that are none"
    if np.isnan(rows["due_s"]).any():
        return "it has calls that were never due"
    times = rows["start_s"] + rows["end_s"]
    if (np.isnan(times) & (rows["error"] == 0)).any():
        return "it has calls that succeeded and never ended"
    return ""
