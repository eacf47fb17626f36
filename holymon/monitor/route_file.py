"""The file in which all processes of a move agree on it: one JSON, its lock, whole or as before.

    read(path) -> Route       change(path, how) -> Route, after whoever else changes it

A process that is killed leaves the lock to the next one, and the file as it was before.
"""

import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Final

import msgspec

from holymon.errors import PlanError, RunError
from holymon.monitor.route import Route, decode
from holymon.records.own_files import aside, content, lock_file, try_lock, unlock
from holymon.safety import plain, short

MOST_BYTES: Final = 2**22
WAIT_S: Final = 5.0
_TRY_S: Final = 0.002


class BusyError(RunError):
    """Others had the lock for too long: nothing is lost, and it may be tried again."""


def read(path: Path) -> Route | None:
    """The move in a file; None if there is no file. Raises RunError for one that is damaged."""
    try:
        return decode(content(path, MOST_BYTES))
    except FileNotFoundError:
        return None
    except OSError as error:
        raise RunError(f"{plain(str(path))} can't be read: {error.strerror}.") from None
    except (ValueError, PlanError, msgspec.MsgspecError, RecursionError) as error:
        raise RunError(
            f"{plain(str(path))} holds no move that can be read ({short(str(error), 80)}): only "
            "the baseline is called until it is deleted, whereupon the move begins anew."
        ) from None


def change(path: Path, how: Callable[[Route | None], Route]) -> Route:
    """What `how` makes of the move, written before anybody else reads it.

    A changed share outlives a machine that loses its power. Raises RunError, BusyError.
    """
    try:
        with _locked(path):
            before = read(path)
            after = how(before)
            if after != before:
                lasting = before is None or before.history != after.history
                with aside(path, lasting=lasting) as file:
                    file.write(written(after))
            return after
    except OSError as error:
        raise RunError(f"{plain(str(path))} can't be written: {error.strerror}.") from None


@contextmanager
def _locked(path: Path) -> Iterator[None]:
    with lock_file(path.with_name(f".{path.name}.lock")) as lock:
        until = time.monotonic() + WAIT_S
        while not try_lock(lock):
            if time.monotonic() > until:
                raise BusyError(f"{plain(str(path))} is held by another process.")
            time.sleep(_TRY_S)
        try:
            yield
        finally:
            unlock(lock)


def written(route: Route) -> bytes:
    """A move as JSON that people can read."""
    return msgspec.json.format(msgspec.json.encode(route), indent=1) + b"\n"


def stamp(path: Path) -> tuple[int, int, int]:
    """What tells this file from the one before it; zeros if there is none."""
    with suppress(OSError):
        about = path.stat()
        return about.st_ino, about.st_mtime_ns, about.st_size
    return 0, 0, 0
