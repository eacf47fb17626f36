"""Runs of a store that somebody opens: their files come into the folder that stands for it."""

import contextlib
import shutil
from pathlib import Path

from holymon.errors import PlanError, RunError
from holymon.load import arriving, store_entries
from holymon.load.entry import Entry
from holymon.load.publish import is_file_of_run, mark, unsent
from holymon.records import run_folder
from holymon.records.own_files import room
from holymon.records.run_state import is_run_id
from holymon.records.spool import folder_of, shown, store_of
from holymon.records.store import Store, is_url
from holymon.safety import plain


def find(out: Path, wanted: str) -> Path:
    """The folder of the run `name/UTC`, of the latest run `name`, or of a path to one.

    One that is in a store only is fetched. Raises RunError with what there is.
    """
    store = store_of(out)
    here = False
    with contextlib.suppress(OSError):  # the name is too long for one
        here = any((place / "plan.json").is_file() for place in (out / wanted, Path(wanted)))
    if store is None or (here and not arriving.is_copy(out / wanted)):
        return run_folder.find(out, wanted)
    if is_run_id(wanted):
        arriving.fetched(store, out, wanted)
    named = [
        (run_id, entry) for run_id, entry in _known(out, store)
        if wanted in {run_id, run_id.partition("/")[0], "last"}
    ]  # fmt: skip
    if not named:
        raise RunError(
            f"there is no run {plain(wanted)!r} in {shown(out)}: `holymon runs` lists them."
        )
    return _fetched(out, *named[-1], store)


def named(out: Path, name: str) -> list[Path]:
    """The folders of all runs of a name, oldest first; those of a store are fetched."""
    store = store_of(out)
    if store is None:
        return [folder for folder in run_folder.folders(out) if folder.parent.name == name]
    of_name = [known for known in _known(out, store) if known[0].partition("/")[0] == name]
    return [_fetched(out, *known, store) for known in of_name]


def folder_in(out: Path, entry: Entry) -> Path:
    """The folder of a run that is known; one that is in a store only is fetched."""
    store = store_of(out)
    return out / entry.run_id if store is None else _fetched(out, entry.run_id, entry, store)


def page(path: Path | str) -> Path:
    """The file of a page; of one in a store (`.../runs/NAME/UTC/report.html`) that of its run."""
    if not is_url(path):
        return Path(path)
    address, _, rest = str(path).rpartition("/runs/")
    run_id, _, name = rest.rpartition("/")
    if not is_run_id(run_id) or not is_file_of_run(name):
        raise PlanError("a report in a store has an address like s3://BUCKET/PREFIX/runs/NAME/UTC/"
                        "report.html.")  # fmt: skip
    return find(folder_of(address), run_id) / name


def _known(out: Path, store: Store) -> list[tuple[str, Entry | None]]:
    """The ids of all runs here and in the store, oldest first, and what the store knows of them."""
    here: dict[str, Entry | None] = {run_folder.run_id(f): None for f in run_folder.folders(out)}
    known = here | store_entries.known(store)
    return sorted(known.items(), key=lambda item: item[0].partition("/")[::-1])


def _fetched(out: Path, run_id: str, entry: Entry | None, store: Store) -> Path:
    folder = out / run_id
    if entry is not None and run_folder.made_elsewhere(folder) and unsent(folder):
        shutil.rmtree(folder)  # made here of pieces that its sender was deleting by then
    if entry is None or (folder / "plan.json").is_file():
        return folder
    if entry.calls_gone:
        raise run_folder.no_calls(run_id)
    folder.parent.mkdir(mode=0o700, exist_ok=True)
    with room(out) as inner:
        made = inner / "run"
        made.mkdir(mode=0o700)
        for name in filter(is_file_of_run, entry.files):
            store.get(f"runs/{run_id}/{name}", made / name)
        mark(made)
        made.replace(folder)
    return folder
