"""A move as JSON has it: what its report shows, for other programs; null where it is not known."""

import json
import os
from typing import Any, Final

from holymon.catalogue.handed import popped
from holymon.figures.move_figures import of_rate
from holymon.language.said import shown
from holymon.monitor.measured import SIDES
from holymon.monitor.route import ShareChange
from holymon.plan.slo import parse
from holymon.records.own_files import finite
from holymon.report.move_page import headline
from holymon.report.move_tables import GATED
from holymon.report.moved import Moved, MoveStep, when
from holymon.report.reported import STATES
from holymon.report.runbook import runbook
from holymon.safety import redact, short
from holymon.structs import to_builtins

KIND: Final = "application/vnd.holymon.move+json"
MOST: Final = 1_000_000
"""Characters of it."""


def facts(move: Moved) -> dict[str, Any]:
    """The move ready for JSON: durations in seconds, costs in USD, moments in UTC."""
    route, line = move.route, headline(move)
    made: dict[str, Any] = finite({
        "file": str(move.file), "baseline": route.baseline, "candidate": route.candidate,
        "verdict": str(line), "state": line.state, "phase": route.phase, "share": route.share,
        "shadow": route.shadow, "paused": route.paused, "simulated": move.simulated,
        "as_of": when(move.as_of), "totals": dict(route.totals), "uncounted": move.uncounted,
        "steps": [_step(move, step) for step in move.steps],
        "changes": [_change(change) for change in route.history],
        "harm": {
            "failed": move.harm.failed, "asked_again": move.harm.again,
            "asked_again_failed": move.harm.again_failed, "reached_callers": move.harm.reached,
            "expected_at_baseline": move.harm.expected,
        },
        "bill": move.bill.to_dict() if move.bill else None,
        "bill_reason": None if move.bill else str(move.no_bill or move.no_saving),
        "saving_per_call_usd": move.per_call.to_dict() if move.per_call else None,
        "saving_per_month_usd": move.per_month.to_dict() if move.per_month else None,
        "saving_reason": None if move.per_month else str(move.no_month),
        "calls_per_month": move.calls_per_month,
        "alerts": move.alerts or None,
        "runbook": [
            {"what": str(each.what), "line": each.line or None, "also": str(each.also)}
            for each in runbook(move)
        ],
    })  # fmt: skip
    return made


def _step(move: Moved, step: MoveStep) -> dict[str, Any]:
    course, ended = move.route.course, step.ended
    calls = ended.calls if ended else int(move.route.gate.step[1][0])
    known = bool(step.spans)
    return {
        "phase": step.began.phase, "share": step.began.after, "began": step.began.at,
        "ended": ended.at if ended else None, "seconds": step.seconds,
        "calls": {name: step.calls(name) for name in SIDES} if known else None,
        "baseline": step.baseline.to_dict() if known else None,
        "candidate": step.candidate.to_dict() if known else None,
        "missing": str(step.missing) or None,
        "gate": None if step.began.phase not in GATED else {
            "calls": calls if calls >= 0 else None,
            "min_calls": course.min_calls if course else None,
            "min_s": course.min_s if course else None,
            "figures": (ended.figures if ended else move.route.stands()) or None,
        },
        "slo": [_objective(text, step) for text in step.candidate.slo],
        "ended_by": _change(ended) if ended else None,
    }  # fmt: skip


def _objective(text: str, step: MoveStep) -> dict[str, Any]:
    missed = {name: of_rate(getattr(step, name).slo[text])
              for name in ("baseline", "candidate") if text in getattr(step, name).slo}  # fmt: skip
    return {"slo": text, "allowed": parse(text).allowed, "missed": missed}


def _change(change: ShareChange) -> dict[str, Any]:
    known: dict[str, Any] = to_builtins(change)
    reason = redact(short(change.reason, 300))
    return {**known, "by": change.by or None, "reason": reason, "since": change.since or None,
            "calls": change.calls if change.calls >= 0 else None,
            "figures": change.figures or None}  # fmt: skip


def handed(move: Moved) -> dict[str, Any]:
    """What goes with an output of a notebook that runs without a screen; nothing in others."""
    if not os.environ.get("HOLYMON_HEADLESS"):
        return {}
    line = headline(move)
    return {KIND: {"move": facts(move), "shown": {str(line): shown(line.sentence)}}}


def taken(notebook: Any) -> dict[str, Any]:
    """Take out of a notebook's outputs what was handed on of a move, for its run.json.

    Anything may stand there, for the kernel ran what it was given.
    """
    return next(filter(None, map(_checked, reversed(popped(notebook, KIND)))), {})


def _checked(given: Any) -> dict[str, Any]:
    """What run.json gets of it: the move, its line as the health, and that in other languages."""
    move = given.get("move") if isinstance(given, dict) else None
    if not isinstance(move, dict) or len(json.dumps(given)) > MOST:
        return {}
    line, state = move.get("verdict"), move.get("state")
    if not isinstance(line, str) or state not in STATES:
        return {}
    words = given.get("shown")
    return {
        "health": {"state": state, "line": line}, "simulated": bool(move.get("simulated")),
        "move": move, "shown": words if isinstance(words, dict) else {},
    }  # fmt: skip
