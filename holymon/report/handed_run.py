"""A run's figures, as the kernel of its report's notebook computed them: handed on, not made twice.

The records of a run are opened once then, by the kernel, which draws them anyway.
"""

import json
import os
from typing import Any, Final, NamedTuple

from holymon.catalogue.handed import popped
from holymon.errors import PlanError
from holymon.formatting import Html, element
from holymon.language.catalogue import ENGLISH
from holymon.language.said import language
from holymon.load.carried import MOST_BYTES, packed, unpacked
from holymon.load.opened import BLOCK
from holymon.load.requests import known_secrets
from holymon.load.run import Run
from holymon.records.own_files import MOST_OF_JSON, finite

KIND: Final = "application/vnd.holymon.run+json"
MOST: Final = MOST_OF_JSON + 16 * MOST_BYTES
"""Characters of it."""


class Figured(NamedTuple):
    """A run as its run.json begins, and the block that its page carries."""

    figures: dict[str, Any]
    block: Html


def figured(run: Run) -> Figured:
    """What a report needs of a run beside its notebook. Raises HolymonError, PlanError."""
    return Figured(run.to_dict(), _block(packed(run, known_secrets(run.plan))))


def _block(text: str) -> Html:
    """An element that no browser shows or runs."""
    return element("template", text, id=BLOCK)


def handed(run: Run) -> dict[str, Any]:
    """What goes with an output of a notebook that runs without a screen; nothing in others.

    Sentences lose what they would be in another language, so of such a report nothing is.
    """
    if not os.environ.get("HOLYMON_HEADLESS") or language() != ENGLISH:
        return {}
    return {KIND: json.dumps([finite(run.to_dict()), packed(run, known_secrets(run.plan))])}


def taken(notebook: Any, run: Run | None) -> Figured | None:
    """Take out of a notebook's outputs what was handed on; lend `run` the last that can be so.

    Anything may stand there, for the kernel ran what it was given: it must be about this run.
    """
    known = [_checked(given, run) for given in popped(notebook, KIND) if run is not None]
    return next(filter(None, reversed(known)), None)


def _checked(given: Any, run: Run) -> Figured | None:
    if not isinstance(given, str) or len(given) > MOST or language() != ENGLISH:
        return None
    try:
        figures, text = json.loads(given)
        header, plan, _ = unpacked(text.encode(), str(run.folder))
    except (ValueError, TypeError, AttributeError, RecursionError, MemoryError, PlanError):
        return None
    names = [[target.name for target in each.targets] for each in (plan, run.plan)]
    if not isinstance(figures, dict) or names[0] != names[1]:
        return None
    if {figures.get("run_id"), header.run_id} != {run.id}:
        return None
    run.lend(header.calls, header.summary, header.verdict)
    return Figured(figures, _block(text))
