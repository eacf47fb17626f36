"""A file that a person names, read within bounds of size and time, whatever it is."""

import os
import select
import stat
import sys
from pathlib import Path
from time import monotonic
from typing import Final

MOST_BYTES: Final = 256 * 1024 * 1024
PATIENCE_S: Final = 30.0
"""How long a pipe may say nothing, as `<(command)` of a shell is one."""

_PIECE: Final = 1 << 20


def raw(path: Path) -> bytes:
    """All of a file, or of a pipe that somebody writes to. Raises OSError, which says why not."""
    fd = os.open(path, os.O_RDONLY | getattr(os, "O_NONBLOCK", 0) | getattr(os, "O_BINARY", 0))
    try:
        kind = os.fstat(fd)
        if not (stat.S_ISREG(kind.st_mode) or stat.S_ISFIFO(kind.st_mode)):
            raise OSError("it is no file")
        if kind.st_size > MOST_BYTES:
            raise OSError(f"it is over {MOST_BYTES} bytes")
        return _all_of(fd)
    finally:
        os.close(fd)


def _all_of(fd: int) -> bytes:
    pieces, size, until = list[bytes](), 0, monotonic() + PATIENCE_S
    while size <= MOST_BYTES:
        try:
            piece = os.read(fd, _PIECE)
        except BlockingIOError:
            left = until - monotonic()
            if left <= 0 or sys.platform == "win32" or not select.select([fd], [], [], left)[0]:
                raise OSError(f"nothing came from it within {PATIENCE_S:g} s") from None
            continue
        if not piece:
            return b"".join(pieces)
        pieces.append(piece)
        size += len(piece)
    raise OSError(f"it is over {MOST_BYTES} bytes")
