"""What changed, as the kernel of a notebook judged it: handed on, so that it is judged once."""

import os
from math import isfinite
from typing import Any, Final

import msgspec

from holymon.catalogue.news import News
from holymon.figures.change import KINDS
from holymon.load.run import Run
from holymon.structs import plain_text

KIND: Final = "application/vnd.holymon.news+json"
MOST: Final = 64_000
"""Bytes of it."""


def handed(news: News) -> dict[str, Any]:
    """What goes with an output of a notebook that runs without a screen; nothing in others."""
    if not os.environ.get("HOLYMON_HEADLESS"):
        return {}
    return {KIND: msgspec.json.decode(msgspec.json.encode(news, enc_hook=plain_text))}


def taken(notebook: Any, run: Run | None, baseline: str) -> News | None:
    """Take out of a notebook's outputs what was handed on, and return the last that can be so.

    Anything may stand there, for the kernel ran what it was given: it must be about this run, the
    baseline that was asked for, targets of the plan and figures that are followed.
    """
    known = [_checked(given, run, baseline) for given in popped(notebook, KIND) if run is not None]
    return next(filter(None, reversed(known)), None)


def popped(notebook: Any, kind: str) -> list[Any]:
    """Take out of a notebook's outputs what is there of a kind."""
    outputs = (output for cell in notebook.cells for output in cell.get("outputs", ()))
    return [output["data"].pop(kind) for output in outputs if kind in output.get("data", {})]


def _checked(given: Any, run: Run, baseline: str) -> News | None:
    try:
        text = msgspec.json.encode(given)
        news = msgspec.json.decode(text, type=News) if len(text) <= MOST else None
    except (msgspec.MsgspecError, RecursionError, TypeError, ValueError):
        return None
    if news is None or (news.run_id, news.baseline) != (run.id, baseline):
        return None
    targets = {target.name for target in run.plan.targets}
    about, numbers = set[tuple[str, str]](), list[float]()
    for least in news.least:
        about.add((least.figure, least.target))
        numbers.append(least.size)
    for change in news.changes:
        about.add((change.figure, change.target))
        numbers += [change.before, change.after, change.ratio or 0.0, *change.interval]
    followed = all(figure in KINDS and target in targets for figure, target in about)
    return news if followed and all(map(isfinite, numbers)) else None
