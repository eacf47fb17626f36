"""Rows as bytes: the header of a journal, and its frames read back piece by piece.

journal = header line, frame, frame, ...     frame = length | row | gaps
"""

import json
from typing import Final

from holymon.errors import RunError
from holymon.records.attempt import DTYPE, FIELDS, FORMAT, GAP

_LONGEST_HEADER: Final = 65536


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
            _check_header(data[: max(end, 0)])
            self._started, at = True, end + 1
        rows, gaps, counts = [], [], []
        size, width = len(data), DTYPE.itemsize
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
        return b"".join(rows), b"".join(gaps), counts

    @property
    def torn(self) -> int:
        """Bytes that are no whole frame (yet)."""
        return len(self._rest)


def _check_header(line: bytes) -> None:
    try:
        about = json.loads(line)
        same = about["holymon"] == FORMAT and about["dtype"] == [[n, k] for n, k, _ in FIELDS]
    except (ValueError, KeyError, TypeError, RecursionError):
        same = False
    if not same:
        raise RunError("this journal was written by another version of holymon: use that one.")
