"""A file that a person names, read within bounds of size and time, whatever it is, and its text."""

import codecs
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


def over(most: int) -> str:
    """That a file is larger than so many bytes, in a unit that people use."""
    return f"it is over {most >> 20:,} MB" if most >= 1 << 20 else f"it is over {most:,} bytes"


def raw(path: Path, most: int = MOST_BYTES) -> bytes:
    """All of a file, or of a pipe that somebody writes to. Raises OSError, which says why not."""
    try:
        fd = os.open(path, os.O_RDONLY | getattr(os, "O_NONBLOCK", 0) | getattr(os, "O_BINARY", 0))
    except OSError as error:
        raise type(error)(error.strerror) from None  # whoever says it has named the path already
    try:
        kind = os.fstat(fd)
        if not (stat.S_ISREG(kind.st_mode) or stat.S_ISFIFO(kind.st_mode)):
            raise OSError("it is no file")
        if kind.st_size > most:
            raise OSError(over(most))
        return _all_of(fd, most)
    finally:
        os.close(fd)


def begins(path: Path, with_: bytes) -> bool:
    """Whether a file begins with these bytes; False for what is none, as a pipe."""
    try:
        if not path.is_file():
            return False
        with path.open("rb") as file:
            return file.read(len(with_)) == with_
    except OSError:
        return False


def _all_of(fd: int, most: int) -> bytes:
    pieces, size, until = list[bytes](), 0, monotonic() + PATIENCE_S
    while size <= most:
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
        until = monotonic() + PATIENCE_S
    raise OSError(over(most))


def decoded(data: bytes) -> str:
    """The text of a file that a person wrote: UTF-8, or whatever its byte-order mark names.

    PowerShell writes UTF-16, editors on Windows marks and lines that end in CR LF; here a line
    ends in LF. Raises UnicodeDecodeError, which says how to mend it.
    """
    marks = (
        (codecs.BOM_UTF32_LE, "utf-32"), (codecs.BOM_UTF32_BE, "utf-32"),
        (codecs.BOM_UTF16_LE, "utf-16"), (codecs.BOM_UTF16_BE, "utf-16"),
    )  # fmt: skip
    kind = next((kind for mark, kind in marks if data.startswith(mark)), "utf-8-sig")
    try:
        text = data.decode(kind)
    except UnicodeDecodeError as error:
        error.reason = "save it as UTF-8"  # it is in some code page, and no byte tells which
        raise
    return text.replace("\r\n", "\n").replace("\r", "\n")
