"""What runs asked, each dataset once: `<out>/.requests/<hash>.jsonl`, linked into their folders.

Whoever deletes the runs that asked it has deleted it with the next one that is started. They may be
anybody's words: only their owner may read them.
"""

import contextlib
import os
import stat
from functools import partial
from pathlib import Path
from typing import Final

from holymon.errors import RunError
from holymon.plan.dataset import MOST_BYTES
from holymon.plan.plan import Plan
from holymon.records.appender import reading
from holymon.records.own_files import PRIVATE, aside, content, opened

NAME: Final = "requests.jsonl"
_PLACE: Final = ".requests"


def keep(plan: Plan, folder: Path) -> None:
    """Put what a plan asks into the folder of its run, if that is a dataset.

    Raises ConfigError if it is not there to be put, RunError if it can't be written.
    """
    dataset = plan.prompts.dataset
    if dataset is None:
        return
    data, mine = dataset.packed.data, folder / NAME
    store = folder.parents[1] / _PLACE
    known = store / f"{dataset.digest}.jsonl"
    try:
        if _holds(known, data):
            with contextlib.suppress(OSError, NotImplementedError):  # no links
                os.link(known, mine, follow_symlinks=False)
        if not mine.exists():
            with aside(mine, PRIVATE) as file:
                file.write(data)
    except OSError as error:
        raise RunError(f"what is asked can't be written to {folder}: {error.strerror}.") from None
    with contextlib.suppress(OSError, NotImplementedError):
        store.mkdir(mode=0o700, exist_ok=True)
        if _is_own(store) and not known.exists():
            os.link(mine, known, follow_symlinks=False)
            _forget(store)


def _is_own(store: Path) -> bool:
    """Whether a folder is none that somebody else chose."""
    about = store.lstat()
    return stat.S_ISDIR(about.st_mode) and about.st_uid == getattr(os, "getuid", lambda: 0)()


def _holds(known: Path, data: bytes) -> bool:
    """Whether a file is there and holds that, to be read by its owner alone."""
    try:
        with opened(known) as file:
            about = os.fstat(file.fileno())
            private = not about.st_mode & 0o077 and _is_own(known.parent)
            return private and about.st_size == len(data) and file.read() == data
    except (OSError, RunError):
        return False


def _forget(store: Path) -> None:
    """Delete what no run has any more."""
    for path in store.glob("*.jsonl"):
        if len(path.stem) == 64 and path.lstat().st_nlink == 1:
            path.unlink()


def forget(out: Path) -> None:
    """Delete what no run in a folder asks any more, because its folder was deleted."""
    store = out / _PLACE
    with contextlib.suppress(OSError):
        if _is_own(store):
            _forget(store)


def lend(plan: Plan, folder: Path) -> None:
    """Let the dataset of a run's plan read its requests there, when they are wanted."""
    if plan.prompts.dataset is not None:
        plan.prompts.dataset.kept_by(partial(_read, folder / NAME))


def _read(path: Path) -> bytes:
    """The requests of a run. Raises RunError if they can't be read."""
    with reading(path):
        try:
            return content(path, MOST_BYTES + 1)
        except FileNotFoundError:
            raise RunError(f"{path} is not there: what was asked is lost.") from None
