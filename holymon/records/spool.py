"""The folder of this user's that stands for a store: runs are measured there, and sent from there.

folder_of("s3://bucket/prefix")    ~/.local/state/holymon/stores/...: a folder like any other
store_of(folder)                   the store it stands for; None for all other folders

What could not be sent stays there. A folder elsewhere that says to stand for a store stands for
none: whoever sent it would choose where runs go.
"""

import contextlib
import os
from pathlib import Path
from typing import Final

from holymon.errors import ConfigError, PlanError
from holymon.formatting import file_name
from holymon.records.own_files import content, write_aside
from holymon.records.store import Store, check_url, is_url, opened
from holymon.safety import plain

ADDRESS: Final = ".store"
"""The file with the address of a store."""


def folder_of(out: Path | str) -> Path:
    """The folder that `out` names: a path, or the one that stands for a store at an address.

    Raises PlanError for a file and an address that is none, ConfigError if what that takes is not
    here.
    """
    if not is_url(out):
        if os.path.isfile(out):  # noqa: PTH113 - Path's raises where it may not look
            raise PlanError(f"{plain(str(out))} is a file: name the folder of all runs.")
        return Path(out)
    url = check_url(str(out))
    opened(url)
    folder = _place(url)
    try:
        folder.mkdir(parents=True, exist_ok=True, mode=0o700)
        if _address(folder) != url:
            write_aside(folder / ADDRESS, url, mode=0o600)
    except OSError as error:
        raise ConfigError(
            f"runs for a store are measured in {folder}, which can't be written: {error.strerror}."
        ) from None
    return folder


def store_of(folder: Path) -> Store | None:
    """The store that a folder stands for. Raises as `folder_of`."""
    with contextlib.suppress(ConfigError):
        if folder.parent == _stores():
            url = _address(folder)
            return opened(url) if url and _place(url) == folder else None
    return None


def shown(folder: Path) -> str:
    """What to call a folder: a store by its address."""
    store = store_of(folder)
    return str(folder) if store is None else store.url


def _address(folder: Path) -> str:
    with contextlib.suppress(OSError, UnicodeError):
        return content(folder / ADDRESS, 4096).decode()
    return ""


def _place(url: str) -> Path:
    return _stores() / file_name(url, 60)


def _stores() -> Path:
    """Where the folders are that stand for stores. Raises ConfigError where there is no home."""
    named = os.environ.get("LOCALAPPDATA" if os.name == "nt" else "XDG_STATE_HOME", "")
    try:
        home = Path(named) if Path(named).is_absolute() else Path.home() / ".local" / "state"
    except RuntimeError:
        raise ConfigError("there is no home folder for runs on their way to a store.") from None
    return home / "holymon" / "stores"
