"""The catalogue of a folder of runs: `.catalogue.json`, which spares opening their folders.

    entries(out)            an Entry for each run, oldest first
    entries(out, figures=fit)   ... with the figures of those that have ended and fit

The folders are the truth: whatever the catalogue lacks, or knows from before a folder changed, is
read there, so that nothing is lost with it, or when two processes write it at once.
"""

import contextlib
import logging
import os
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Final, NamedTuple

import msgspec

from holymon.errors import RunError
from holymon.load import store_entries
from holymon.load.entry import Entry, of_targets, shapes_of, shown
from holymon.load.run import Run
from holymon.records.own_files import MOST_OF_JSON, content, write_aside
from holymon.records.run_folder import (
    FIGURES_FILE,
    count,
    is_compacted,
    lies_in,
    read_plan,
    read_state,
    run_id,
)
from holymon.records.run_state import LIVE, STATES
from holymon.records.spool import store_of
from holymon.structs import fields_in

FILE: Final = ".catalogue.json"
FORMAT: Final = 3
YOUNG_S: Final = 2.0
"""A folder that changed this lately may change again within the same tick of its clock."""

SAVED_EACH_S: Final = 3.0
"""So much of a long reading of folders is lost at most, where it is interrupted."""

UNREADABLE: Final = "unreadable"
_LOG: Final = logging.getLogger("holymon")

_DAMAGED: Final = (OSError, RunError, msgspec.MsgspecError, UnicodeError, RecursionError)
"""What reading one of these files may raise: others may have written it."""


class _Catalogue(msgspec.Struct):
    format: int
    entries: list[Entry]


class _Place(NamedTuple):
    folder: Path
    changed: int


def entries(out: Path, *, figures: Callable[[Entry], bool] | None = None) -> list[Entry]:
    """What is known of each run in `out`, oldest first; of a store, of all that were sent there.

    With `figures`, which says of which runs they are wanted, also those of runs that have ended;
    a store has them of all. Raises RunError if a store can't be asked.
    """
    store = store_of(out)
    if store is None:
        return entries_here(out, figures=figures)
    sent = store_entries.known(store)

    def wanted(entry: Entry) -> bool:
        return entry.run_id not in sent and figures is not None and figures(entry)

    here = {entry.run_id: entry for entry in entries_here(out, figures=wanted)}
    return sorted((here | sent).values(), key=_begin)


def entries_here(
    out: Path, *, figures: Callable[[Entry], bool] | None = None
) -> list[Entry]:  # fmt: skip
    """As `entries`, of what lies in the folder alone."""
    before, saved = _read(out), time.monotonic()
    known: dict[str, Entry] = {}
    for place in _places(out):
        entry = before.get(run_id(place.folder))
        if entry is None or entry.changed != place.changed or entry.state in LIVE:
            if not (place.folder / "plan.json").exists():
                continue
            entry = _entry(place)
        missing = entry.of_targets is None and entry.state not in LIVE
        if missing and figures is not None and figures(entry):
            entry = with_figures(entry, place.folder)
        known[entry.run_id] = entry
        if entry is not before.get(entry.run_id) and time.monotonic() - saved > SAVED_EACH_S:
            if is_own(out):
                _write(out, list((before | _lasting(known)).values()))
            saved = time.monotonic()
    lasting = _lasting(known)
    if lasting != before and is_own(out):
        _write(out, list(lasting.values()))
    return sorted(known.values(), key=_begin)


def _lasting(known: dict[str, Entry]) -> dict[str, Entry]:
    """Those that will be the same at the next look, unless their folders change."""
    newest = (time.time() - YOUNG_S) * 1e9
    return {k: e for k, e in known.items() if e.state not in LIVE and e.changed < newest}


def entries_at_hand(
    out: Path, *, figures: Callable[[Entry], bool] | None = None
) -> list[Entry]:  # fmt: skip
    """As `entries`; of a store that can't be asked, which is logged, those that are here."""
    try:
        return entries(out, figures=figures)
    except RunError as error:
        _LOG.warning("%s Earlier runs are those of this machine.", error)
        return entries_here(out, figures=figures)


def is_own(out: Path) -> bool:
    """Whether the folder is this user's: in another's nothing is left behind by looking at it."""
    return not hasattr(os, "getuid") or out.stat().st_uid == os.getuid()


def _begin(entry: Entry) -> tuple[str, str]:
    name, _, stamp = entry.run_id.partition("/")
    return stamp, name


def _places(out: Path) -> Iterator[_Place]:
    """The folders in which a run may lie, and when each of them changed last."""
    for name in _folders(out):
        with contextlib.suppress(OSError):  # it may be gone by now
            for folder in _folders(name.path):
                linked = name.is_symlink() or folder.is_symlink()
                if not linked or lies_in(Path(folder.path), out):
                    yield _Place(Path(folder.path), folder.stat().st_mtime_ns)


def _folders(path: Path | str) -> list["os.DirEntry[str]"]:
    try:
        with os.scandir(path) as inner:
            return [entry for entry in inner if entry.is_dir()]
    except OSError:
        return []


def _entry(place: _Place) -> Entry:
    folder = place.folder
    with contextlib.suppress(*_DAMAGED):
        left = msgspec.json.decode(content(folder / FIGURES_FILE, MOST_OF_JSON), type=Entry)
        # Whoever sent it may have called it another run.
        if left.state in STATES and not is_compacted(folder):
            return msgspec.structs.replace(
                shown(left), run_id=run_id(folder), changed=place.changed, calls_gone=True,
                shapes=_shapes(folder),
            )  # fmt: skip
    try:
        plan, state, calls = read_plan(folder), read_state(folder), count(folder)
    except (RunError, ValueError) as error:
        return Entry(run_id(folder), place.changed, UNREADABLE, detail=str(error))
    return Entry(
        run_id(folder), place.changed, state["state"], calls, state.get("started_at"),
        state.get("ended"), state.get("detail", ""), tuple(t.name for t in plan.targets),
        plan.simulated, (folder / "report.html").exists(), shapes=shapes_of(plan),
        place=state.get("place", ""),
    )  # fmt: skip


def _shapes(folder: Path) -> tuple[str, ...]:
    with contextlib.suppress(OSError, RunError, ValueError):
        return shapes_of(read_plan(folder))
    return ()


def with_figures(entry: Entry, folder: Path) -> Entry:
    """An entry with the figures of its run: those of its report, or else of its records."""
    about = {}
    with contextlib.suppress(OSError, RunError, ValueError, RecursionError):
        about = fields_in(content(folder / "run.json"), MOST_OF_JSON, "targets", "verdict")
    if not isinstance(about.get("targets"), list):
        try:
            about = Run(folder).to_dict() if entry.state != UNREADABLE else {}
        except (RunError, ValueError):
            about = {}
    verdict = about.get("verdict")
    measurement = verdict.get("measurement") if isinstance(verdict, dict) else ""
    return msgspec.structs.replace(
        entry, of_targets=of_targets(about.get("targets", [])),
        measurement=measurement if measurement in {"valid", "suspect", "invalid"} else "",
    )  # fmt: skip


def _read(out: Path) -> dict[str, Entry]:
    with contextlib.suppress(*_DAMAGED):
        known = msgspec.json.decode(content(out / FILE), type=_Catalogue)
        if known.format == FORMAT:
            return {entry.run_id: shown(entry) for entry in known.entries
                    if entry.state in STATES or entry.state == UNREADABLE}  # fmt: skip
    return {}


def _write(out: Path, known: list[Entry]) -> None:
    with contextlib.suppress(OSError):  # another's folder, or a full disk: it only spares time
        write_aside(out / FILE, msgspec.json.encode(_Catalogue(FORMAT, known)))
