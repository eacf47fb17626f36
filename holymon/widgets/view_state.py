"""How the calls of a run were looked at last, kept beside the runs for the next kernel."""

import contextlib
import json
from pathlib import Path
from typing import Any, Final

from holymon.catalogue.entries import is_own
from holymon.errors import PlanError, RunError
from holymon.load.run import Run
from holymon.records import run_folder
from holymon.records.own_files import MOST_OF_JSON, content, write_json
from holymon.structs import Interval, Struct, from_builtins, to_builtins
from holymon.widgets.calls_picture import Duration

FILE: Final = ".views.json"
MOST_RUNS: Final = 50
"""Of so many runs it is kept, those that were looked at last."""


class Selection(Struct, frozen=True):
    """What is shown of the calls of a run.

    `span` is from when to when, in seconds from its start, None for all of it; `hidden` are the
    targets left out, by name; `marked` is a call by its number and its attempt.
    """

    what: Duration = "latency"
    log: bool = False
    span: Interval | None = None
    hidden: tuple[str, ...] = ()
    marked: tuple[int, int] | None = None


def last_view(run: Run) -> Selection:
    """As the run was looked at last; all of it where that is not known."""
    about = _known(run).get(run.id)
    with contextlib.suppress(PlanError):
        view: Selection = from_builtins(about, Selection, FILE)
        if view.span is None or 0 <= view.span[0] < view.span[1]:
            return view
    return Selection()


def keep_view(run: Run, view: Selection) -> None:
    """Keep it for the next kernel; where that can't be written, it ends with this one."""
    known = _known(run)
    known.pop(run.id, None)
    known[run.id] = to_builtins(view)
    with contextlib.suppress(OSError):
        if is_own(_path(run).parent):
            write_json(_path(run), dict(list(known.items())[-MOST_RUNS:]))


def _path(run: Run) -> Path:
    return run_folder.out_of(run.folder) / FILE


def _known(run: Run) -> dict[str, Any]:
    """What the file holds; nothing where there is none, or somebody else wrote nonsense."""
    with contextlib.suppress(OSError, RunError, ValueError, RecursionError):
        known = json.loads(content(_path(run), MOST_OF_JSON))
        return known if isinstance(known, dict) else {}
    return {}
