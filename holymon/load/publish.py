"""From the folder that stands for a store to that store: runs that have ended, each whole or not.

The files of a run go first, each seen to be there, its entry last: who reads the store sees no half
of one. What can't be sent stays, and goes with the next run or with `holymon runs --sync`; whoever
was killed in the middle does it again.
"""

import contextlib
import json
import logging
import re
import shutil
import time
from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING, Final

import msgspec

from holymon.errors import HolymonError, RunError
from holymon.formatting import number_of
from holymon.load import arriving, store_entries
from holymon.load.entry import Entry, of_targets, shapes_of
from holymon.records import run_folder
from holymon.records.own_files import content, lock_file, try_lock, write_aside
from holymon.records.run_state import LIVE
from holymon.records.spool import store_of
from holymon.records.store import Store
from holymon.safety import plain, short

if TYPE_CHECKING:
    from holymon.load.run import Run

SENT: Final = ".sent"
"""The file that says which files of a run are in the store: their sizes and times of change."""

KEPT_S: Final = 86400.0
"""So long what is in the store stays here, too: somebody may be reading it."""

_FILES: Final = re.compile(
    r"(plan|state|run|figures|support|checks)\.json|(calls|gaps)\.parquet|requests\.jsonl"
    r"|(vitals|notes|limits|texts)\.\d{1,4}\.jsonl|report\.(html|ipynb|pdf)"
)
"""What a run is read from, and its report; not what only its worker needed."""

_LOG: Final = logging.getLogger("holymon")


def is_file_of_run(name: str) -> bool:
    """Whether a file of that name is one of a run in a store."""
    return bool(_FILES.fullmatch(name))


def entry_of(run: "Run") -> Entry:
    """A run as a catalogue knows it, with its figures."""
    targets = [target.to_dict() for target in run.summary().targets]
    return Entry(
        run.id, 0, run.state, run.calls, run.status.get("started_at"),
        run.status.get("ended"), run.status.get("detail", ""),
        tuple(t.name for t in run.plan.targets), run.plan.simulated,
        (run.folder / "report.html").exists(), of_targets=of_targets(targets),
        shapes=shapes_of(run.plan), place=run.status.get("place", ""),
    )  # fmt: skip


def send(out: Path, run_in: "Callable[[Path], Run]") -> str:
    """Send what has ended in a folder to the store it stands for; a sentence if not all of it.

    `run_in` opens the run in a folder. Nothing is done for a folder that stands for no store. The
    sentence is logged, too.
    """
    store = store_of(out)
    if store is None:
        return ""
    left, reason = 0, ""
    for folder in run_folder.folders(out):
        try:
            if not reason:
                _send(folder, store, run_in)
        except (HolymonError, OSError) as error:
            reason = reason or short(str(error).rstrip("."))
        left += bool(reason) and bool(unsent(folder))
    if not reason:
        with contextlib.suppress(RunError):  # it only spares time
            store_entries.pack(store)
        return ""
    wait = "waits" if left == 1 else "wait"
    sentence = (
        f"{number_of(left, 'run')} {wait} in {plain(str(out))} for the next one, or for "
        f"`holymon runs {plain(store.url)} --sync`: {reason}."
    )
    _LOG.warning("%s", sentence)
    return sentence


def mark(folder: Path) -> None:
    """Say that the files in a folder are in the store as they are now."""
    write_aside(folder / SENT, json.dumps(_states(folder)), mode=0o600)


def _states(folder: Path) -> dict[str, list[int]]:
    """Size and time of change of each file that belongs into a store."""
    made = {}
    for path in sorted(folder.iterdir()):
        if _FILES.fullmatch(path.name) and path.is_file() and not path.is_symlink():
            about = path.stat()
            made[path.name] = [about.st_size, about.st_mtime_ns]
    return made


def unsent(folder: Path) -> list[str]:
    """The files that are not in the store yet, the largest kind first."""
    sent = {}
    with contextlib.suppress(OSError, ValueError, RunError):
        sent = json.loads(content(folder / SENT, 2**20))
    now = _states(folder)
    return [name for name in now if not isinstance(sent, dict) or sent.get(name) != now[name]]


def _send(folder: Path, store: Store, run_in: "Callable[[Path], Run]") -> None:
    """Send one run, if it has ended and nobody else does it. Raises OSError, HolymonError."""
    if run_folder.read_state(folder)["state"] in LIVE or arriving.is_copy(folder):
        return
    names = unsent(folder)
    if not names:
        if time.time() - folder.stat().st_mtime > KEPT_S:
            shutil.rmtree(folder, ignore_errors=True)
        return
    with lock_file(folder / "send.lock") as lock:
        if not try_lock(lock):
            return
        run = run_in(folder)
        run.close()
        if not run_folder.is_compacted(folder) and not (folder / run_folder.FIGURES_FILE).exists():
            raise RunError(f"{run.id} is not whole here")
        names = unsent(folder)
        ahead = None
        for name in names:
            ahead = store.put(f"runs/{run.id}/{name}", folder / name)
        sizes = {name: size for name, (size, _) in _states(folder).items()}
        entry = msgspec.structs.replace(
            entry_of(run), measurement=run.verdict().measurement, ahead_s=ahead, files=sizes
        )
        store_entries.add(store, entry)
        mark(folder)
        if run_folder.made_elsewhere(folder):
            arriving.drop(store, run.id)
