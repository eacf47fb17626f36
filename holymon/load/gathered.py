"""A run whose shares were made elsewhere, each on its own: when all are over, they are one run.

job.json        how many shares there are, when they begin, and until when any may go on
share.K.begun   share K was begun, and never will be again
share.K.json    what it says of itself; without a last word by then, it is lost
"""

import contextlib
import json
import time
from collections.abc import Collection
from datetime import UTC, datetime
from math import inf
from pathlib import Path
from typing import Any, Final, NamedTuple

import numpy as np

from holymon.errors import HolymonError, RunError
from holymon.load.settle import settle
from holymon.plan.plan import Plan
from holymon.records import run_folder
from holymon.records.journal import Follower
from holymon.records.own_files import MOST_OF_JSON, content, lock_file, try_lock
from holymon.records.records import Records
from holymon.records.run_state import LIVE, is_moment
from holymon.records.shares import MachineShare
from holymon.records.spool import store_of
from holymon.safety import plain, short
from holymon.structs import replace, to_builtins

LIMITS: Final = frozenset({"max_errors", "max_cost", "hopeless"})


class Shares(NamedTuple):
    """How many there are, when they begin and until when any may go on (s since 1970)."""

    of: int
    start: float
    until: float


def gathered(folder: Path) -> Path:
    """The folder of a run; if its shares were made elsewhere and are over, they are one run now.

    Raises RunError, PlanError if its files can't be read.
    """
    known = run_folder.made_elsewhere(folder)
    if known is None or run_folder.is_compacted(folder) or store_of(run_folder.out_of(folder)):
        return folder
    with lock_file(folder / "gather.lock") as lock:
        if try_lock(lock) and run_folder.read_raw_state(folder)["state"] in LIVE:
            gather(folder, Shares(*known))
    return folder


def gather(
    folder: Path, shares: Shares, *, over: bool | None = None, unseen: Collection[int] = ()
) -> None:
    """Write down how the run ended, unless any of its shares may still go on.

    Whether all are `over` their words say, if it is not known; of those `unseen` nobody knows what
    else they have sent. Raises RunError, PlanError.
    """
    words = [_word(folder, part) for part in range(shares.of)]
    if over is None:
        over = all(word.get("state") not in {None, "ready", "running"} for word in words)
    if not over and time.time() < shares.until:
        return
    plan = replace(run_folder.read_plan(folder), workers=shares.of)
    stopped = (folder / "stop").exists() and not any(word.get("ended") in LIMITS for word in words)
    whole = {"finished", "stopped"} if stopped else {"finished"}
    lost = [p for p, word in enumerate(words) if p in unseen or word.get("state") not in whole]
    counts, latest = _seen(folder, plan)
    # Of a run that was stopped, what was due after its last record was due no more.
    until_s = max(latest) if stopped else inf
    left = settle(folder, plan, {p: inf if p in unseen else -inf for p in lost}, until_s)
    known = [
        MachineShare(
            part=part, name=f"pod {part}", host=str(word.get("host", "")), records=counts[part],
            lost_s=round(latest[part], 3) if part in lost else None,
            unsent=left[part].unsent if part in left else 0,
            unknown=left[part].unknown + left[part].under_way if part in left else 0,
        )
        for part, word in enumerate(words)
    ]  # fmt: skip
    limit: dict[str, Any] = next((word for word in words if word.get("ended") in LIMITS), {})
    trouble = next(filter(None, (word.get("trouble") for word in words)), "")
    why = next((word.get("detail", "") for word in words if word.get("state") == "failed"), "")
    state = "interrupted" if len(lost) == shares.of else "stopped" if stopped else "finished"
    ending = {
        "state": state, "ended": limit.get("ended", state), "detail": limit.get("detail") or why,
        "started_at": datetime.fromtimestamp(shares.start, UTC).isoformat(), "trouble": trouble,
        "workers": shares.of, "shares": to_builtins(known),
        "ended_at": max(filter(is_moment, (word.get("ended_at", "") for word in words)),
                        default=run_folder.now().isoformat()),
    }  # fmt: skip
    run_folder.write_state(folder, **{**run_folder.read_raw_state(folder), **ending})


def _word(folder: Path, part: int) -> dict[str, Any]:
    """What a share says of itself: texts; nothing if it never came."""
    with contextlib.suppress(OSError, ValueError, RecursionError, HolymonError):
        word = json.loads(content(folder / f"share.{part}.json", MOST_OF_JSON))
        if isinstance(word, dict):
            return {key: short(value) for key, value in word.items() if isinstance(value, str)}
    return {}


def _seen(folder: Path, plan: Plan) -> tuple[list[int], list[float]]:
    """Of each share: how many records it has, and when the last one ended (s of the run)."""
    records = Records(plan.targets)
    Follower(folder, records).poll()
    rounds = len(plan.targets) * plan.prompts.turns
    parts = records["request"].astype(np.int64) // rounds % plan.workers
    counts = np.bincount(parts, minlength=plan.workers)
    latest = np.zeros(plan.workers)
    np.maximum.at(latest, parts, np.nan_to_num(records["end_s"]))
    return counts.tolist(), latest.tolist()


def begin(folder: Path, part: int) -> None:
    """Note that a share is begun. Raises RunError if it was before: nothing is called twice."""
    try:
        with (folder / f"share.{part}.begun").open("xb"):
            pass
    except FileExistsError:
        raise RunError(
            f"share {part} of {plain(run_folder.run_id(folder))} was begun before: what it called "
            "is not called again."
        ) from None
