"""Whom to tell of a report, and when: on a change, a failure and a recovery, else nobody.

What each channel was told last is kept beside the reports, in FILE. What could not be sent was not
told, so it is tried again with the next report.
"""

import contextlib
import time
from collections.abc import Sequence
from pathlib import Path
from typing import Any, Final

import msgspec

from holymon.errors import RunError
from holymon.records.own_files import MOST_OF_JSON, content, locked, write_aside
from holymon.report.channels import Channel, send

FILE: Final = "notified.json"
LOCK: Final = ".notified.lock"
AGAIN_S: Final = 86400.0
"""What is not well is told again once a day, as long as it lasts."""

LOCK_S: Final = 5.0
BAD: Final = frozenset({"unhealthy", "not judged", "unfinished"})


class Notice(msgspec.Struct, frozen=True):
    """What a channel was told last of a name: the state, the changes, and when (s since 1970)."""

    state: str
    changes: tuple[str, ...] = ()
    at: float = 0.0


class _File(msgspec.Struct):
    format: int = 1
    names: dict[str, dict[str, Notice]] = {}
    """By name of the report, then by channel."""


def event(summary: dict[str, Any], changes: Sequence[str], last: Notice | None, now: float) -> str:
    """What is to be told of a report after what was told `last`; nothing where it is `""`.

    `changes` are names of what changed, the same for as long as it is the same.
    """
    state = summary["state"]
    if state in BAD:
        if last is None or last.state != state:
            return "failure"
        return "still so" if now - last.at >= AGAIN_S else ""
    if last is not None and last.state in BAD:
        return "recovery"
    return "change" if set(changes) - set(last.changes if last else ()) else ""


def changes_of(about: dict[str, Any]) -> tuple[str, ...]:
    """What changed: figure, target, direction. At which run it began is learned better later."""
    return tuple(sorted({
        f"{change.get('figure')} of {change.get('target')} {'worse' * bool(change.get('worse'))}"
        for change in about.get("changes") or () if isinstance(change, dict)
    }))  # fmt: skip


def notify(
    out: Path, channels: Sequence[Channel], summary: dict[str, Any], changes: Sequence[str]
) -> tuple[str, ...]:
    """Tell each channel what there is to tell; a sentence for each that could not be told.

    Never raises for what can't be read, written or sent.
    """
    notes: list[str] = []
    name, now = summary["name"], time.time()
    before = _read(out).names.get(name, {})
    for channel in channels:
        last = before.get(channel.key)
        what = event(summary, changes, last, now)
        if what:
            try:
                send(channel, summary, what)
            except RunError as error:
                notes.append(f"{error} It is tried again with the next report.")
                continue
        at = now if what or last is None else last.at
        after = Notice(summary["state"], tuple(changes), at)
        if after != last:
            notes += _keep(out, name, channel.key, after)
    return tuple(notes)


def _read(out: Path) -> _File:
    """The file; an empty one where there is none, or none of ours."""
    with contextlib.suppress(OSError, RunError, msgspec.MsgspecError, RecursionError):
        return msgspec.json.decode(content(out / FILE, MOST_OF_JSON), type=_File)
    return _File()


def _keep(out: Path, name: str, key: str, notice: Notice) -> list[str]:
    """Write down what was told, beside what others wrote meanwhile."""
    try:
        with locked(out / FILE, out / LOCK, LOCK_S, 0.01):
            known = _read(out)
            known.names.setdefault(name, {})[key] = notice
            write_aside(out / FILE, msgspec.json.format(msgspec.json.encode(known), indent=1))
    except (OSError, RunError) as error:
        return [f"{out / FILE} can't be written ({type(error).__name__}): the next report tells "
                "the same again."]  # fmt: skip
    return []
