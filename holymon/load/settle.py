"""What shares of a run that were lost leave open, written down as records in the run's folder.

calls.K.lost.journal   of share K: its calls that were due and were never sent, or of which nobody
                       knows whether they were sent and how they ended
"""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from math import inf
from pathlib import Path
from typing import Final

import numpy as np

from holymon.plan.plan import Plan
from holymon.records.appender import Appender
from holymon.records.attempt import Marks, frame
from holymon.records.frames import header
from holymon.records.journal import Follower, without_end
from holymon.records.records import Records

NEVER_SENT: Final = "client_dropped"
NO_END: Final = "unfinished"


@dataclass(frozen=True, slots=True)
class Lost:
    """What is recorded of a share's calls without an end: how many never left, how many may have.

    `under_way` are those that its own worker had written down as sent, beside the other two.
    """

    unsent: int = 0
    unknown: int = 0
    under_way: int = 0


def settle(
    folder: Path, plan: Plan, lost: Mapping[int, float], until_s: float = inf
) -> dict[int, Lost]:
    """Record what the journals of a run that has ended do not have of lost shares' calls.

    `lost` says, by share, up to when (s of the run) calls of it may have been sent that nobody
    knows of; -inf where its own files were all read. The run itself went on until `until_s`: what
    was due later was not due. `plan.workers` is the number of shares. Of a closed loop, whose calls
    are due when others have ended, only calls under way are known. Raises RunError.
    """
    records = Records(plan.targets)
    follower = Follower(folder, records)
    follower.poll()
    ended = set(records["request"].tolist())
    follower.unfinished(plan)
    known = set(records["request"].tolist())
    counted: dict[int, Lost] = {}
    for part, sent_until in lost.items():
        marks = [*_open_calls(plan, part, _begun(plan, known), sent_until, until_s)]
        _write(folder / f"calls.{part}.lost.journal", part, marks)
        unknown = sum(each.error == NO_END for each in marks)
        counted[part] = Lost(len(marks) - unknown, unknown, _of(plan, part, known - ended))
    return counted


def _begun(plan: Plan, known: set[int]) -> set[int]:
    """The numbers by which the schedule knows the calls, or conversations, that were begun."""
    targets, turns = len(plan.targets), plan.prompts.turns
    return {n // (targets * turns) * targets + n % targets for n in known}


def _of(plan: Plan, part: int, numbers: set[int]) -> int:
    """How many of these calls are of a share."""
    rounds = len(plan.targets) * plan.prompts.turns
    return sum(n // rounds % plan.workers == part for n in numbers)


def _open_calls(
    plan: Plan, part: int, begun: set[int], sent_until: float, until_s: float
) -> Iterator[Marks]:
    targets, turns = len(plan.targets), plan.prompts.turns
    due, numbers = plan.share(part, plan.workers)
    left = ~np.isin(numbers, np.fromiter(begun, np.int64, len(begun))) & (due <= until_s)
    for at, number in zip(due[left].tolist(), numbers[left].tolist(), strict=True):
        conversation, target = divmod(number, targets)
        marks = without_end(plan, conversation * turns * targets + target, target, at)
        if at <= sent_until:
            marks.start, marks.error = at, NO_END
        else:
            marks.end, marks.error = at, NEVER_SENT
        yield marks


def _write(path: Path, part: int, marks: list[Marks]) -> None:
    if not marks:
        return
    file = Appender(path)
    file.write(b"".join([header(part), *map(frame, marks)]))
    file.close()
