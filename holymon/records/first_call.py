"""What came of the one call that each target gets before its load, as a run's state keeps it."""

import math
from collections.abc import Mapping
from typing import Any

from holymon.errors import CODES, ERRORS, UNREACHABLE, HolymonError
from holymon.formatting import ms
from holymon.language.said import glued, listed, say, without_stop
from holymon.plan.plan import Plan
from holymon.plan.quirks import Quirks
from holymon.structs import Struct, from_builtins, replace


class FirstCall(Struct, frozen=True):
    """One target's first call, which is no record and in no figure.

    `calls` were made, because what the earlier ones sent was refused with the words in `refused`;
    `quirks` is how the load is sent for that. `ended` tells that it ended the run. `cost_usd` is
    None if the server counted no tokens or the target has no price.
    """

    target: str
    error_type: str = ""
    status: int = 0
    code: str = ""
    message: str = ""
    seconds: float = 0.0
    calls: int = 1
    refused: tuple[str, ...] = ()
    quirks: Quirks = Quirks()
    cost_usd: float | None = None
    ended: bool = False

    @property
    def exit_code(self) -> int | None:
        """That of a run that it ended: 4 if there never was a connection, else 2."""
        if not self.ended:
            return None
        return 4 if self.error_type in UNREACHABLE else 2

    @property
    def kind(self) -> str:
        """The type of its failure with the status; empty if it was answered."""
        return self.error_type + f" (HTTP {self.status})" * bool(self.status and self.error_type)

    @property
    def failure(self) -> str:
        """What went wrong, with the server's words; empty if nothing did."""
        known = ERRORS.get(self.error_type)
        words = self.message or (known.meaning if known else "")
        return glued(self.kind, ": ", words) if self.kind else ""

    @property
    def adapted(self) -> str:
        """What the load asks for otherwise than planned, and why; empty if nothing."""
        if self.quirks == Quirks():
            return ""
        return say(
            "{words} (the API refused what was asked: {refused})",
            words=self.quirks.words,
            refused="; ".join(self.refused),
        )

    @property
    def words(self) -> str:
        """Its outcome, in a line."""
        outcome = (
            say("failed with {failure}", failure=self.failure) if self.failure else say("answered")
        )
        several = say(" at attempt {calls}", calls=self.calls) * (self.calls > 1)
        took = say(" after {ms} ms", ms=ms(self.seconds))
        return listed("; ", filter(None, [outcome + several + took, self.adapted]))

    @property
    def note(self) -> str:
        """What whoever reads the figures must know of it; empty if it went as planned."""
        failed = (
            say("it failed with {failure}", failure=self.failure)
            if self.failure and not self.ended
            else ""
        )
        parts = [*filter(None, [failed, self.adapted])]
        words = without_stop(listed("; ", parts))
        known = say("{target}: first call: {words}.", target=self.target, words=words)
        return known if parts else ""


def first_calls(state: Mapping[str, Any]) -> tuple[FirstCall, ...]:
    """The first calls of a run, from its state."""
    try:
        calls = [from_builtins(item, FirstCall, "first_calls") for item in state["first_calls"]]
    except (HolymonError, KeyError, TypeError):
        return ()
    return tuple(call for call in calls if call.error_type in CODES)


def outcome(state: Mapping[str, Any]) -> str:
    """The state of a run in words: of one without calls, that its first call ended it."""
    by_first = state.get("ended") == "first_call"
    return say("ended by its first call") if by_first else str(state["state"])


def informed(plan: Plan, known: tuple[FirstCall, ...]) -> Plan:
    """The plan with what first calls found out, and so without any of its own."""
    quirks = {call.target: call.quirks for call in known if call.quirks != Quirks()}
    targets = tuple(
        replace(target, quirks=quirks[target.name]) if target.name in quirks else target
        for target in plan.targets
    )
    return replace(plan, targets=targets, first_call=False)


def with_cost(of_calls: float | None, known: tuple[FirstCall, ...]) -> float | None:
    """What a run cost in USD, with its first calls; None if any of it is not known."""
    money = [of_calls, *(call.cost_usd for call in known)]
    costs = [cost for cost in money if cost is not None]
    return math.fsum(costs) if len(costs) == len(money) else None
