"""Room for new runs: the calls of old ones go, their figures stay.

excess(out, older_s=90 * 86400, most_runs=1000, most_bytes=5e9)    whose calls are too many
drop_calls(out, entry)                                             one of them
"""

import shutil
import time
from fnmatch import fnmatchcase
from pathlib import Path
from typing import Final

import msgspec

from holymon.catalogue.entries import UNREADABLE, entries, with_figures
from holymon.errors import RunError
from holymon.load import store_entries
from holymon.load.entry import Entry
from holymon.load.publish import unsent
from holymon.records.own_files import require_inside, write_aside
from holymon.records.run_folder import FIGURES_FILE
from holymon.records.run_state import LIVE
from holymon.records.spool import store_of
from holymon.structs import check_range

CALLS: Final = (
    "calls.parquet", "gaps.parquet", "calls.*.journal", "calls.*.underway", "notes.*.jsonl",
    "vitals.*.jsonl", "texts.*.jsonl", "checks.json",
)  # fmt: skip
"""The files of a run that hold its calls one by one."""


def excess(
    out: Path, *, older_s: float | None = None, most_runs: int | None = None,
    most_bytes: float | None = None,
) -> list[Entry]:  # fmt: skip
    """The runs whose calls are to go, oldest first, so that no limit is passed any more.

    `older_s`: of runs that began longer ago; `most_runs`: beyond so many, the latest stay;
    `most_bytes`: of calls in all. Runs that go on, can't be read, or have no calls left are left
    out. Raises PlanError for a limit below 0.
    """
    check_range("older_s", older_s, 0, float("inf"))
    check_range("most_runs", most_runs, 0, float("inf"))
    check_range("most_bytes", most_bytes, 0, float("inf"))
    now, total, sent = time.time(), 0, store_of(out) is not None
    dropped = []
    kept = [entry for entry in entries(out)
            if entry.state not in LIVE | {UNREADABLE} and not entry.calls_gone
            and (entry.files or not sent)]  # fmt: skip
    for number, entry in enumerate(reversed(kept), 1):
        total += size(out, entry)
        old = older_s is not None and now - (entry.began or now) > older_s
        many = most_runs is not None and number > most_runs
        if old or many or (most_bytes is not None and total > most_bytes):
            dropped.append(entry)
    return dropped[::-1]


def size(out: Path, entry: Entry) -> int:
    """The bytes of a run's calls; of one in a store nothing is looked at."""
    if entry.files:
        return sum(entry.files[name] for name in _calls(entry))
    folder = out / entry.run_id
    return sum(path.lstat().st_size for pattern in CALLS for path in folder.glob(pattern))


def _calls(entry: Entry) -> list[str]:
    return [name for name in entry.files if any(fnmatchcase(name, pattern) for pattern in CALLS)]


def drop_calls(out: Path, entry: Entry) -> Path:
    """Keep the figures of a run and delete its calls; the file of its figures.

    The figures are written first: whoever is interrupted has lost none. What a store has of many
    runs in one file is deleted by `packed_calls.forget`; what it lacks of a run stays here. Raises
    OSError, RunError if there are none, for then the calls stay.
    """
    folder, store = out / entry.run_id, store_of(out)
    if store is not None:
        store_entries.add(store, msgspec.structs.replace(entry, calls_gone=True))
        store.drop(f"runs/{entry.run_id}/{name}" for name in _calls(entry))
        if folder.is_dir() and not unsent(folder):
            shutil.rmtree(folder, ignore_errors=True)
        return folder
    require_inside(folder, out)
    if not entry.of_targets:
        entry = with_figures(entry, folder)
    if entry.requests and not entry.of_targets:
        raise RunError(f"{entry.run_id} keeps its calls: no figures can be made of them.")
    path = folder / FIGURES_FILE
    write_aside(path, msgspec.json.encode(entry))
    for pattern in CALLS:
        for file in folder.glob(pattern):
            file.unlink(missing_ok=True)
    return path
