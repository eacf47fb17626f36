"""What a run says of itself in `state.json`: words of closed lists, and texts that may be shown."""

import contextlib
import re
from datetime import datetime
from pathlib import Path
from typing import Any, Final

from holymon.errors import RunError
from holymon.records.first_call import FirstCall, first_calls
from holymon.records.own_files import last_line
from holymon.records.shares import MachineShare, shares
from holymon.safety import short

LIVE: Final = frozenset({"starting", "first call", "running"})
"""The states of a run that goes on."""

STATES: Final = LIVE | {"finished", "stopped", "failed", "interrupted"}
ENDED: Final = STATES - LIVE | {"max_errors", "max_cost", "hopeless", "first_call"}
"""Why a run ended; of a later version's it is `unknown`."""

MOST_STEP_S: Final = 1e10


def checked(state: dict[str, Any]) -> dict[str, Any]:
    """What may be known of a run, as it may be shown: whoever sent its folder may have lied."""
    known = {
        name: short(text, 4096) for name, text in state.items()
        if isinstance(text, str) and (not name.endswith("_at") or is_moment(text))
    }  # fmt: skip
    if known.get("ended", "finished") not in ENDED:
        known["ended"] = "unknown"
    kinds = {"pid": int, "workers": int, "proxies": dict, "first_calls": list, "shares": list,
             "clock_step_s": float}  # fmt: skip
    return known | {
        name: state[name] for name, kind in kinds.items() if type(state.get(name)) is kind
    }


_RUN_ID: Final = re.compile(r"[A-Za-z0-9_][A-Za-z0-9._-]{0,99}/\d{8}T\d{6}Z[A-Za-z0-9-]{0,40}")


def is_run_id(text: str) -> bool:
    """Whether a text is the id of a run, which names a folder and nothing else."""
    return bool(_RUN_ID.fullmatch(text))


def is_moment(text: str) -> bool:
    """Whether a text is a moment with its time zone, in the years that pandas has room for."""
    with contextlib.suppress(ValueError):
        moment = datetime.fromisoformat(text)
        return moment.tzinfo is not None and 1970 <= moment.year < 2200
    return False


def require_folder(folder: Path, name: str) -> None:
    """Raise RunError if the folder of a run that has ended is gone, and all that it kept."""
    if not folder.is_dir():
        raise RunError(f"{name} is lost: its folder was removed while it was measured.")


def why_failed(folder: Path, state: dict[str, Any]) -> str:
    """Why a run could not be measured: its worker's words, or the last ones of its log."""
    reason, log = str(state.get("detail", "")), folder / "worker.log"
    with contextlib.suppress(OSError, RunError):
        last = last_line(log)
        reason = reason or (last and f"{short(last)} (see {log})")
    return reason or "the worker ended without a word: look whether the disk is full."


def ended_early(state: dict[str, Any]) -> str:
    """Why a run ended before its plan was through, from its state; `""` if it did not."""
    ended = state.get("ended") or "finished"
    early = state["state"] not in LIVE and ended not in {"finished", "stopped"}
    return str(state.get("detail") or ended) if early else ""


def ending(
    state: dict[str, Any],
) -> tuple[str, str, str, tuple[FirstCall, ...], dict[str, str], tuple[MachineShare, ...], float]:
    """What a verdict needs of a run's state.

    Word, trouble, why it ended early, first calls, proxies, machines, how far the clock was set.
    """
    trouble, early = str(state.get("trouble", "")), ended_early(state)
    word, calls = str(state["state"]), first_calls(state)
    step_s = state.get("clock_step_s", 0.0)
    step_s = step_s if abs(step_s) < MOST_STEP_S else 0.0  # as whoever sent the folder likes
    return word, trouble, early, calls, proxies(state), shares(state), step_s


def proxies(state: dict[str, Any]) -> dict[str, str]:
    """Through which proxy, as `host:port`, the targets were called that have one, by name."""
    known = state.get("proxies")
    items = known.items() if isinstance(known, dict) else ()
    return {str(target): short(str(proxy)) for target, proxy in items}
