"""Rows as bytes: the header of a journal, and its frames read back piece by piece.

journal = header line, frame, frame, ...     frame = length | row | gaps
"""

import json
from typing import Final

import numpy as np

from holymon.errors import RunError
from holymon.records.attempt import DTYPE, FIELDS, FORMAT, GAP, blank

_LONGEST_HEADER: Final = 65536
_NAMES: Final = tuple(name for name, _, _ in FIELDS)


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
                break  # torn, or damaged: from there on nothing can be read
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
        layout = np.dtype([(str(name), str(kind)) for name, kind in about["dtype"]])
        known = 2 <= about["holymon"] <= FORMAT and set(layout.names or "?") <= set(_NAMES)
    except (ValueError, KeyError, TypeError, RecursionError):
        known = False
    if not known:
        raise RunError("this journal was written by another version of holymon: use that one.")
    return layout
