"""Files in a folder that came from elsewhere, or that others may write to: nothing leads out of it.

Whoever can write there may put links and pipes where our files are to be (CWE-59, CWE-377), so none
is followed: what is written is made exclusively, under a name that nobody can guess, and renamed,
which replaces a link itself; what is read must be a plain file.
"""

import contextlib
import errno
import json
import math
import os
import re
import secrets
import stat
import sys
import tempfile
import time
from collections.abc import Iterator
from pathlib import Path
from typing import IO, Any, Final

from holymon.errors import RunError
from holymon.records.appender import unreadable
from holymon.safety import plain

PRIVATE: Final = 0o600
"""The mode of what may hold prompts, keys or the words of servers."""

OURS: Final = 0o660
"""The mode of locks: whoever may read one can hold it, and keep all others waiting (flock(2))."""

_PAGE: Final = re.compile(rb"default-src 'none'; img-src data:.{0,500}<title>holymon: ", re.DOTALL)
_NEW: Final = os.O_RDWR | os.O_CREAT | getattr(os, "O_NOFOLLOW", 0) | getattr(os, "O_BINARY", 0)
_OLD: Final = (
    os.O_RDONLY | getattr(os, "O_NOFOLLOW", 0) | getattr(os, "O_BINARY", 0)
    | getattr(os, "O_NONBLOCK", 0)  # or a pipe would wait for whoever writes to it
)  # fmt: skip


def new_file(path: Path, mode: int = PRIVATE) -> IO[bytes]:
    """A file that was not there before, to be written. Raises OSError."""
    return os.fdopen(os.open(path, _NEW | os.O_EXCL, mode), "wb")


@contextlib.contextmanager
def aside(path: Path, mode: int = 0o666, *, lasting: bool = True) -> Iterator[IO[bytes]]:
    """A new file that takes the place of `path` once it is whole; `mode` is that of open(2).

    If it is `lasting`, it outlives a machine that loses its power.
    """
    beside = path.with_name(f".{path.name[:100]}.{secrets.token_hex(8)}")
    try:
        with new_file(beside, mode) as file:
            yield file
            file.flush()
            if lasting:
                os.fsync(file.fileno())
        beside.replace(path)
    except BaseException:
        beside.unlink(missing_ok=True)
        raise


def write_aside(path: Path, data: bytes | str, *, mode: int = 0o666) -> None:
    """Write a file so that readers see the old one or the new one, whole."""
    with aside(path, mode) as file:
        file.write(data.encode() if isinstance(data, str) else data)


def write_json(path: Path, value: Any, *, mode: int = 0o666) -> None:
    """Write a value as JSON, with null for what JSON has no number for."""
    write_aside(path, json.dumps(finite(value), indent=1), mode=mode)


def finite(value: Any) -> Any:
    """`value` with None for NaN and the infinities."""
    if isinstance(value, dict):
        return {key: finite(item) for key, item in value.items()}
    if isinstance(value, list | tuple):
        return [finite(item) for item in value]
    if isinstance(value, float) and not math.isfinite(value):
        return None
    return value


def write_page(path: Path, page: str | bytes) -> str:
    """Write a page where there is none, or one of ours; else a sentence on why it was left."""
    with contextlib.suppress(FileNotFoundError):
        about = path.lstat()
        if not stat.S_ISREG(about.st_mode) or not _PAGE.search(_head(path)):
            return f"{path} was not written by holymon, and stays as it is."
    write_aside(path, page)
    return ""


def _head(path: Path) -> bytes:
    with opened(path) as file:
        return file.read(4096)


def lock_file(path: Path, mode: int = OURS) -> IO[bytes]:
    """A file to be locked, made if there is none; what is in it stays. Raises as `opened`."""
    return _plain(path, _NEW, "r+b", mode)


def opened(path: Path) -> IO[bytes]:
    """A file of a run's folder, to be read. Raises OSError, and RunError for what is no file."""
    return _plain(path, _OLD, "rb")


def _plain(path: Path, flags: int, how: str, mode: int = 0o666) -> IO[bytes]:
    try:
        fd = os.open(path, flags, mode)
    except OSError as error:
        if error.errno == errno.ELOOP:
            raise unreadable(path, "it is a link, which is not followed") from None
        raise
    # Where the system has no O_NOFOLLOW, a link that was followed is seen here.
    if not stat.S_ISREG(os.fstat(fd).st_mode) or path.is_symlink():
        os.close(fd)
        raise unreadable(path, "it is no plain file")
    return os.fdopen(fd, how)


MOST_BYTES: Final = 2**29
"""Of a file of a run's folder that is read at once, at most."""

MOST_OF_JSON: Final = 2**21
"""Of one whose JSON may be anything: an empty list of two bytes takes sixty in memory."""


def content(path: Path, most: int = MOST_BYTES) -> bytes:
    """All of a file of a run's folder, of `most` bytes. Raises as `opened`."""
    with opened(path) as file:
        size = os.fstat(file.fileno()).st_size
        if size > most:
            raise unreadable(path, f"it is over {most} bytes")
        return file.read(size)  # a larger number would be allocated


def last_line(path: Path) -> str:
    """The last line of a log in a run's folder, as far as it may be shown. Raises as `opened`."""
    with opened(path) as file:
        file.seek(max(0, os.fstat(file.fileno()).st_size - _LINE))
        return file.read(_LINE).decode("utf-8", "replace").strip().rpartition("\n")[2]


_LINE: Final = 4096


def mode_beside(path: Path) -> int:
    """The mode of a new file that is as private as the one at `path`, if there is any."""
    with contextlib.suppress(OSError):
        if not path.stat().st_mode & 0o044:
            return PRIVATE
    return 0o666


def try_lock(file: IO[bytes], *, shared: bool = False) -> bool:
    """Whether an open file could be locked, which lasts until it is closed or the process ends."""
    try:
        if sys.platform == "win32":
            import msvcrt

            msvcrt.locking(file.fileno(), msvcrt.LK_NBLCK, 1)
        else:
            import fcntl

            fcntl.flock(file, (fcntl.LOCK_SH if shared else fcntl.LOCK_EX) | fcntl.LOCK_NB)
    except OSError:
        return False
    return True


def lock_within(file: IO[bytes], limit_s: float = 2.0, pause_s: float = 0.002) -> bool:
    """Whether an open file could be locked within so many seconds, tried again after each pause.

    Whoever only looks whether a lock is held has it, too, for a moment.
    """
    until = time.monotonic() + limit_s
    while not (held := try_lock(file)) and time.monotonic() <= until:
        time.sleep(pause_s)
    return held


class BusyError(RunError):
    """Others had a lock for too long: nothing is lost, and it may be tried again."""


@contextlib.contextmanager
def locked(path: Path, beside: Path, limit_s: float, pause_s: float) -> Iterator[IO[bytes]]:
    """Hold the lock of `path`, the file `beside`, waited for so long. Raises BusyError, OSError."""
    with lock_file(beside) as file:
        if not lock_within(file, limit_s, pause_s):
            raise BusyError(f"{plain(str(path))} is held by another process.")
        try:
            yield file
        finally:
            unlock(file)


def unlock(file: IO[bytes]) -> None:
    """Take a lock off; to close the file is not enough where a forked child has it open, too."""
    if sys.platform == "win32":
        import msvcrt

        msvcrt.locking(file.fileno(), msvcrt.LK_UNLCK, 1)
    else:
        import fcntl

        fcntl.flock(file, fcntl.LOCK_UN)


@contextlib.contextmanager
def room(folder: Path) -> Iterator[Path]:
    """A folder inside of `folder` that nobody else can write to, for as long as the block lasts."""
    with tempfile.TemporaryDirectory(prefix=".holymon-", dir=folder) as inner:
        yield Path(inner)


def open_to_all(folder: Path) -> Path | None:
    """The folder, on the way to this one, where any user may put another in its place; else None.

    Against that no file inside of it can be defended.
    """
    if sys.platform == "win32":
        return None
    here = folder.resolve()
    modes = ((place, place.stat().st_mode) for place in (here, *here.parents) if place.exists())
    return next((place for place, m in modes if m & stat.S_IWOTH and not m & stat.S_ISVTX), None)


def _is_planted(link: Path) -> bool:
    """Whether a link lies where all may put one, and is of neither this user nor that place's.

    Linux has the same rule (fs.protected_symlinks), where it is switched on.
    """
    if sys.platform == "win32" or not link.is_symlink():
        return False
    place, owner = link.parent.stat(), link.lstat().st_uid
    return bool(place.st_mode & stat.S_IWOTH) and owner not in {os.geteuid(), place.st_uid}


def require_inside(path: Path, folder: Path) -> None:
    """Raise RunError if a link leads from `folder` to elsewhere, where `path` would be written.

    So it does if another user put one on the way to that folder.
    """
    if path.is_symlink() and not path.resolve().is_relative_to(folder.resolve()):
        raise RunError(f"{path} is a link that leads out of {folder}: remove it, or name another.")
    here = path.absolute()
    for place in filter(_is_planted, (here, *here.parents)):
        raise RunError(f"{place} is another user's link: name the folder that it leads to.")
