"""The folder of runs: `<out>/<name>/<UTC>/`, what lies in it, and which state a run is in.

    plan.json     what was to be measured            calls.*.journal   while it is measured
    state.json    what the worker says of itself     calls.parquet     afterwards, with
    run.lock      held by the worker while it lives  gaps.parquet      the single gaps
    run.json      figures and verdict                report.*          made from them
    requests.jsonl  what was asked, where that is a dataset

A state file can't say that its writer was killed; the lock can: a run that says `running` and
whose lock is free is `interrupted`.
"""

import contextlib
import json
import logging
import os
import secrets
import time
from datetime import UTC, datetime
from functools import cache
from pathlib import Path
from typing import IO, Any, Final

import numpy as np

from holymon.errors import PlanError, RunError
from holymon.formatting import file_name
from holymon.plan.plan import Plan
from holymon.records import parquet, request_store
from holymon.records.appender import reading
from holymon.records.journal import Follower
from holymon.records.own_files import (
    MOST_OF_JSON,
    PRIVATE,
    content,
    lock_file,
    lock_within,
    mode_beside,
    open_to_all,
    opened,
    require_inside,
    try_lock,
    write_aside,
)  # fmt: skip
from holymon.records.records import Records
from holymon.records.run_state import LIVE, STATES, checked
from holymon.records.spool import store_of
from holymon.safety import plain, short

START_S: Final = 30.0
JOB: Final = "job.json"
MOST_SHARES: Final = 64
FIGURES_FILE: Final = "figures.json"
"""What is left of a run whose calls were deleted to make room."""
_LOG: Final = logging.getLogger("holymon")


def now() -> datetime:
    """This moment in UTC."""
    return datetime.now(UTC)


def new_folder(out: Path, name: str) -> Path:
    """A folder of its own for a run that starts now, even if another one starts too."""
    parent = out / file_name(name)
    require_inside(parent, out)
    stamp = now().strftime("%Y%m%dT%H%M%SZ")
    if store_of(out) is not None:  # another place may start one of that name in this second
        stamp += f"-{secrets.token_hex(4)}"
    try:
        parent.mkdir(parents=True, exist_ok=True)
        for k in range(1, 1000):
            folder = parent / (stamp if k == 1 else f"{stamp}-{k}")
            with contextlib.suppress(FileExistsError):
                folder.mkdir(mode=0o755)
                _tell_of(open_to_all(parent))
                return folder
    except OSError as error:
        raise RunError(
            f"can't write to {out}: {error.strerror}. Name another folder with --out, or with out= "
            "in Python."
        ) from None
    raise RunError(f"a thousand runs named {name} in this second: give them different names.")


@cache
def _tell_of(place: Path | None) -> None:
    """Say, once, where others could put another folder in the place of a run's."""
    if place is not None:
        _LOG.warning(
            "in %s every user of this machine may replace what is measured: make it sticky "
            "(chmod +t) or name a folder of your own.", plain(str(place)),
        )  # fmt: skip


def run_id(folder: Path) -> str:
    """The id of a run: `name/UTC`."""
    return f"{folder.parent.name}/{folder.name}"


def out_of(folder: Path) -> Path:
    """The folder of everything generated that a run's folder lies in."""
    return (folder if len(folder.parts) > 1 else folder.absolute()).parents[1]


def find(out: Path, wanted: str) -> Path:
    """The folder of the run `name/UTC`, of the latest run `name`, or of a path to one.

    Raises RunError with what there is.
    """
    for folder in (out / wanted, Path(wanted)):
        try:
            with reading(folder / "plan.json"):
                if (folder / "plan.json").is_file():
                    return folder
        except OSError:  # the name is too long for one
            continue
    named = [f for f in folders(out) if wanted in {f.parent.name, "last"}]
    if named:
        return named[-1]
    raise RunError(f"there is no run {plain(wanted)!r} in {out}: `holymon runs` lists them.")


def folders(out: Path, holding: str = "plan.json") -> list[Path]:
    """The folders of all runs, oldest first, or of all that hold another file."""
    all_runs = [path.parent for path in out.glob(f"*/*/{holding}") if lies_in(path.parent, out)]
    return sorted(all_runs, key=lambda folder: (folder.name, folder.parent.name))


def lies_in(folder: Path, out: Path) -> bool:
    """Whether no link leads from a folder of runs to one elsewhere, as if it were one of them."""
    linked = folder.is_symlink() or folder.parent.is_symlink()
    return not linked or folder.resolve().is_relative_to(out.resolve())


def mode_of(plan: Plan) -> int:
    """The mode of files that hold a plan: prompts of one's own are nobody else's to read."""
    return PRIVATE if plan.prompts.private else 0o666


def read_plan(folder: Path) -> Plan:
    """The plan of a run. Raises RunError if it is none, or was damaged."""
    try:
        plan = Plan.from_json(content(folder / "plan.json"), str(folder))
    except OSError as error:
        raise RunError(f"{folder} is not a run: {error.strerror}.") from None
    except PlanError as error:
        raise RunError(f"{run_id(folder)} can't be read, it was damaged, or another version of "
                       f"holymon may have written it: {error}") from None  # fmt: skip
    request_store.lend(plan, folder)
    return plan


def write_state(folder: Path, **state: Any) -> None:
    """Say in `state.json` how the run is doing; for its worker. It is as private as the plan."""
    text, mode = json.dumps(state, indent=1), mode_beside(folder / "plan.json")
    write_aside(folder / "state.json", text, mode=mode)


def read_state(folder: Path) -> dict[str, Any]:
    """How the run is doing.

    `state` is starting, first call, running, finished, stopped, failed or interrupted.
    """
    state: dict[str, Any] = {}
    for _ in range(2):
        state = read_raw_state(folder)
        if state["state"] not in LIVE or is_locked(folder) or _is_new(folder, state):
            return state
        # The worker may have said its last word between the two looks.
    return {**state, "state": "interrupted"}


def made_elsewhere(folder: Path) -> tuple[int, float, float] | None:
    """Of a run whose shares are made elsewhere: how many, and begin and last end (s since 1970)."""
    with contextlib.suppress(OSError, ValueError, KeyError, TypeError, RecursionError, RunError):
        about = json.loads(content(folder / JOB, MOST_OF_JSON))
        begin, end = (datetime.fromisoformat(about[key]) for key in ("start_at", "until_at"))
        if 1 <= about["of"] <= MOST_SHARES:
            return int(about["of"]), begin.timestamp(), end.timestamp()
    return None


def read_raw_state(folder: Path) -> dict[str, Any]:
    """What `state.json` says, whether or not its writer lives."""
    with contextlib.suppress(OSError, ValueError, RecursionError, RunError):
        state = json.loads(content(folder / "state.json", MOST_OF_JSON))
        if (
            isinstance(state, dict)
            and isinstance(state.get("state"), str)
            and state["state"] in STATES
        ):
            return checked(state)
    return {"state": "starting"}


def _is_new(folder: Path, state: dict[str, Any]) -> bool:
    """Whether a worker may still be on its way, or elsewhere until an end that is written down."""
    age, (_, _, end) = START_S, made_elsewhere(folder) or (0, 0.0, 0.0)
    with contextlib.suppress(OSError):
        age = time.time() - (folder / "state.json").stat().st_mtime
    return time.time() < end or (state["state"] == "starting" and age < START_S)


def take_lock(folder: Path) -> IO[bytes]:
    """Hold the run's lock for as long as the file returned is open, or the process lives."""
    file = lock_file(folder / "run.lock", 0o666)  # by which others see that it is alive
    if not lock_within(file):
        file.close()
        raise RunError(f"{run_id(folder)} is already being measured.")
    return file


def is_locked(folder: Path) -> bool:
    """Whether a living worker holds the run's lock; looked at without writing."""
    try:
        file = opened(folder / "run.lock")
    except (OSError, RunError):
        return False
    with file:
        return not try_lock(file, shared=True)


def is_compacted(folder: Path) -> bool:
    """Whether all records of a run are in Parquet, or something is in its place."""
    return os.path.lexists(folder / "calls.parquet")


def began(folder: Path) -> float | None:
    """When the clock of a run's records was zero, in seconds since 1970; None if it is not known.

    Earlier versions wrote down a moment up to 20 ms before it.
    """
    try:
        return datetime.fromisoformat(read_raw_state(folder)["started_at"]).timestamp()
    except (KeyError, TypeError, ValueError):
        return None


def no_calls(run_id: str) -> RunError:
    """What to raise where the calls of a run are asked for that has figures alone."""
    left = "only its figures, as `holymon prune` leaves them: see `holymon runs` or hm.history()"
    return RunError(f"there are no calls of {run_id}, {left}.")


def load(folder: Path) -> Records:
    """The records of a run: from Parquet if it was compacted, else from its journals.

    Of a run that has ended, the calls that a killed worker left under way are `unfinished`.
    Nothing is written. Raises RunError.
    """
    plan = read_plan(folder)
    if (folder / FIGURES_FILE).exists() and not is_compacted(folder):
        raise no_calls(run_id(folder))
    records = Records(plan.targets, began(folder), plan.prompts.turns)
    if not is_compacted(folder):
        ended = read_state(folder)["state"] not in LIVE
        follower = Follower(folder, records)
        follower.poll()
        if ended:
            follower.unfinished(plan)
        if not is_compacted(folder):
            return records
        # Journals vanish while another process compacts; what it wrote is whole.
        records = Records(plan.targets, records.began, records.turns)
    parquet.read(folder, records)
    if any(folder.glob("calls.*.journal")):
        # Saved elsewhere when the disk was full, and put back; or a compaction was cut short.
        more = Records(plan.targets)
        Follower(folder, more).poll()
        more = more.select(~np.isin(more["request"], records["request"]))
        records.extend(more.rows, more.gap_pairs, more.gap_counts)
    return records


def compact(folder: Path, records: Records) -> bool:
    """Write `calls.parquet` and `gaps.parquet` of a run that has ended, then drop its journals.

    For the run's worker, or whoever it belongs to; false where another process does or did it.
    Nothing is ever lost: if it can't be written, RunError is raised and the journals stay.
    """
    lock = folder / "compact.lock"
    try:
        with lock_file(lock) as file:
            mine = try_lock(file) and not is_compacted(folder)
            if mine:
                parquet.write(folder, records)
                for pattern in ("calls.*.journal", "calls.*.underway"):
                    for path in folder.glob(pattern):
                        path.unlink()
                lock.unlink(missing_ok=True)
            return mine
    except OSError as error:
        what = f"{run_id(folder)} stays uncompacted, it can't be written"
        raise RunError(f"{what}: {short(str(error))}") from None


def count(folder: Path) -> int:
    """How many calls a run has recorded; cheap for one that was compacted."""
    return parquet.count(folder) if is_compacted(folder) else len(load(folder))
