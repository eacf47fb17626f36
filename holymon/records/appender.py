"""A file that only grows, so that whoever is killed, what was written is there."""

import contextlib
import os
from collections.abc import Iterator
from pathlib import Path
from time import perf_counter
from typing import Final

from holymon.errors import RunError
from holymon.safety import short

RETRY_S: Final = 1.0


class Appender:
    """A file that only grows: each piece is one write, straight to the operating system.

    When the disk is full the pieces stay in memory (`kept`), are tried again every second, and
    `trouble` says what happened.
    """

    def __init__(self, path: Path) -> None:
        """Create `path`; an existing file is never written over."""
        flags = os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_APPEND | getattr(os, "O_BINARY", 0)
        self._fd = os.open(path, flags, 0o600)
        self._size = 0
        self._tried = 0.0
        self.kept: list[bytes] = []
        self.trouble = ""

    def write(self, piece: bytes, *, now: bool = False) -> None:
        """Append one piece, whole or not at all."""
        if self.kept:
            self.kept.append(piece)
            if not now and perf_counter() - self._tried < RETRY_S:
                return
            piece, self.kept = b"".join(self.kept), []
        try:
            written = os.write(self._fd, piece)
            while written < len(piece):
                written += os.write(self._fd, piece[written:])
            self._size += len(piece)
        except OSError as error:
            os.ftruncate(self._fd, self._size)  # half a frame would make the next unreadable
            self.kept, self._tried = [piece], perf_counter()
            self.trouble = f"{error.strerror}: records had to wait in memory to be written"

    def close(self) -> None:
        """Close the file; what could not be written is tried once more."""
        if self.kept:
            self.write(b"", now=True)
        os.close(self._fd)


def unreadable(path: Path, why: object) -> RunError:
    """What to raise for a file of a run that can't be read."""
    run = f"{path.parent.parent.name}/{path.parent.name}"
    return RunError(f"{run}: {path.name} can't be read: {short(str(why), 120)}.")


@contextlib.contextmanager
def reading(path: Path) -> Iterator[None]:
    """Raise RunError if `path` is closed to this user: what servers said is its owner's to show."""
    try:
        yield
    except PermissionError:
        why = "it belongs to another user, who alone may read it until it is opened with chmod"
        raise unreadable(path, why) from None
