"""The answers to checked questions that targets were asked beside a load: a file of its folder.

They are in no figure of the load. What servers wrote is bounded and without keys; what is read
back is data, to be escaped wherever it is shown.
"""

import json
from pathlib import Path
from typing import Final

from holymon.errors import CODES, PlanError, RunError
from holymon.plan.checks import FEWEST, MOST
from holymon.records.own_files import MOST_OF_JSON, PRIVATE, content, write_json
from holymon.structs import Struct, from_builtins, to_builtins

FILE: Final = "checks.json"
MOST_TEXT: Final = 2000
"""Characters of an answer that are kept; no right one is longer."""


class CheckedCall(Struct, frozen=True):
    """One answer: to question `number`, of the `target`-th target, sent `at_s` after the first.

    `served` is the model that it names itself, `fingerprint` its system_fingerprint. Times are in
    seconds from when it was sent, None where nothing came; tokens are -1 where they were not
    counted by the server. `message` says why it failed.
    """

    number: int
    target: int
    text: str = ""
    served: str = ""
    fingerprint: str = ""
    prompt_tokens: int = -1
    output_tokens: int = -1
    finish: str = ""
    error_type: str = ""
    message: str = ""
    at_s: float = 0.0
    ttft_s: float | None = None
    latency_s: float | None = None
    span_s: float | None = None
    pieces: int = 0
    events: int = 0
    stream: bool = False

    @property
    def ok(self) -> bool:
        """Whether there is an answer."""
        return not self.error_type


class Checked(Struct, frozen=True):
    """All of them, with what it takes to know what was asked: `checks` questions from `seed`.

    `costs` are those of each target in USD, None where they are not known. `unasked` says why
    there are none.
    """

    targets: tuple[str, ...]
    checks: int = 0
    seed: int = 0
    calls: tuple[CheckedCall, ...] = ()
    costs: tuple[float | None, ...] = ()
    unasked: str = ""

    def of(self, target: int) -> dict[int, CheckedCall]:
        """The answers of a target by the number of the question."""
        return {call.number: call for call in self.calls if call.target == target}


def keep(checked: Checked, folder: Path) -> None:
    """Write them into a folder; prompts and answers are nobody else's to read."""
    write_json(folder / FILE, to_builtins(checked), mode=PRIVATE)


def kept(folder: Path) -> Checked | None:
    """Those of a folder, None if nothing was asked. Raises RunError if they can't be read."""
    try:
        raw = content(folder / FILE, MOST_OF_JSON * 4)
    except FileNotFoundError:
        return None
    except OSError as error:
        raise RunError(f"{folder / FILE} can't be read: {error.strerror}.") from None
    try:
        checked: Checked = from_builtins(json.loads(raw), Checked, FILE)
    except (ValueError, PlanError, RecursionError) as error:
        raise RunError(f"{folder / FILE} holds no checked answers: {error}") from None
    numbers, targets = range(checked.checks), range(len(checked.targets))
    if not (checked.checks in {0, *range(FEWEST, MOST + 1)} and checked.seed >= 0 and all(
        call.error_type in CODES and call.number in numbers and call.target in targets
        for call in checked.calls
    )):  # fmt: skip
        raise RunError(f"{folder / FILE} names what there is not: it was damaged.")
    return checked
