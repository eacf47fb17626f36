"""The file in which all processes of a move agree on it: one JSON, its lock, whole or as before.

    read(path) -> Route       change(path, how) -> Route, after whoever else changes it

A process that is killed leaves the lock to the next one, and the file as it was before. The time
is that of whoever keeps the file, so that machines that share it need not agree on theirs.
"""

import os
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Final

import msgspec
import numpy as np

from holymon.errors import PlanError, RunError
from holymon.figures import gate
from holymon.monitor.route import FORMAT, WARM, Route
from holymon.records.own_files import aside, content, locked
from holymon.safety import plain, short
from holymon.structs import fields_in, require

MOST_BYTES: Final = 2**22
MOST_SUM: Final = 1e15
WAIT_S: Final = 5.0
_TRY_S: Final = 0.002


def read(path: Path) -> Route | None:
    """The move in a file; None if there is no file. Raises RunError for one that is damaged."""
    _require_file(path)
    data = b""
    try:
        data = content(path, MOST_BYTES)
        return decode(data)
    except FileNotFoundError:
        return None
    except OSError as error:
        raise _unusable(path, f"can't be read: {error.strerror}") from None
    except (ValueError, PlanError, msgspec.MsgspecError, RecursionError) as error:
        if _is_later(data):
            raise RunError(
                f"{plain(str(path))} was written by a later holymon: only the baseline is called "
                "by this one, until it is as new."
            ) from None
        raise RunError(
            f"{plain(str(path))} holds no move that can be read ({short(str(error), 80)}): only "
            "the baseline is called until it is deleted, whereupon the move begins anew."
        ) from None


def _is_later(data: bytes) -> bool:
    """Whether a later version wrote a file, whatever else is in it."""
    with suppress(ValueError, RecursionError, TypeError):
        return bool(fields_in(data, MOST_BYTES, "format")["format"] > FORMAT)
    return False


def decode(data: bytes) -> Route:
    """A move from its JSON. Raises ValueError for what is none, or could not be gone on with."""
    route = msgspec.json.decode(data, type=Route)
    require(route.format <= FORMAT, "format", f"{route.format} is a later one", "read it by that")
    if not (0 <= route.share <= 1 and 0 <= route.shadow <= 1 and _fits(route) and _add_up(route)):
        raise ValueError("its figures don't belong together")
    return route


def _fits(route: Route) -> bool:
    """Whether all sums of a move are of the same figures. Raises ValueError for uneven rows."""
    at, goals = route.gate, len(route.leads[0]) - 1 if route.leads else -1
    width, figures = len(gate.FIELDS) + 2 * goals, len(gate.FIGURES) + goals
    sums, bets = (2, width), (figures, len(gate.SHARES))
    wanted = (
        (at.block, sums), (at.step, sums), (at.worse, bets), (at.well, bets), (at.best, (figures,)),
        (at.blocks, (figures,)), (route.leads, (2, 1 + goals)),
        (route.remembered, (width if route.remembered else 0,)),
    )  # fmt: skip
    return goals >= 0 and len(route.warm) <= 2 * WARM and all(
        np.shape(values) == shape and bool((np.abs(np.array(values, float)) < MOST_SUM).all())
        for values, shape in wanted
    )  # fmt: skip


def _add_up(route: Route) -> bool:
    return all(sums.fits for span in route.spans for sums in span.sides.values())


def change(
    path: Path, how: Callable[[Route | None, float], Route], *, surely: bool = False
) -> Route:
    """What `how` makes of the move and the time (s since 1970), written before anybody reads it.

    A changed share outlives a machine that loses its power. What is as before is written only
    `surely`, to see whether that can be done. Raises RunError, BusyError.
    """
    try:
        with _locked(path) as now:
            before = read(path)
            after = how(before, now)
            if surely or after != before:
                lasting = before is None or before.history != after.history
                with aside(path, lasting=lasting) as file:
                    file.write(written(after))
            return after
    except OSError as error:
        why = error.strerror if path.parent.is_dir() else "its folder is not there"
        raise _unusable(path, f"can't be written: {why}") from None


def _require_file(path: Path) -> None:
    """Raise RunError for what is there and is no file."""
    if path.is_symlink():
        raise _unusable(path, "is a link, which is not followed")
    if path.exists() and not path.is_file():
        raise _unusable(path, "is no file, and can't be the state of a move")


def _unusable(path: Path, why: str) -> RunError:
    return RunError(f"{plain(str(path))} {why}; only the baseline is called until that is mended.")


@contextmanager
def _locked(path: Path) -> Iterator[float]:
    """Hold the lock, and tell the time by the clock of the file system that it is on."""
    beside = path.with_name(f".{path.name}.lock")
    with locked(path, beside, WAIT_S, _TRY_S) as lock:
        os.utime(beside)
        yield os.fstat(lock.fileno()).st_mtime


def written(route: Route) -> bytes:
    """A move as JSON that people can read."""
    return msgspec.json.format(msgspec.json.encode(route), indent=1) + b"\n"


def stamp(path: Path) -> tuple[int, int, int]:
    """What tells this file from the one before it; zeros if there is none."""
    with suppress(OSError):
        about = path.stat()
        return about.st_ino, about.st_mtime_ns, about.st_size
    return 0, 0, 0
