"""A move of traffic by its file: each step of it, who changed what, whom it harmed, what it saved.

    moved(file) -> Moved      from what routers wrote there, and nothing else

What was not written is None, and a sentence says why.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import Final

from holymon.errors import ConfigError, RunError
from holymon.figures.bills import Amount
from holymon.figures.move_figures import (
    CallCost,
    MoveBill,
    SideFigures,
    SideSums,
    bill,
    call_cost,
    saved_per_call,
    side_figures,
)
from holymon.figures.terms import MONTH_DAYS
from holymon.language.said import say
from holymon.monitor import route_file
from holymon.monitor.measured import SIDES, MoveSpan
from holymon.monitor.route import Route, ShareChange
from holymon.safety import plain

DAY_S: Final = 86_400.0
NOT_KEPT: Final = say("its figures are not in the file: it was written by an earlier version")
NO_CALLS: Final = say("no call of it has come to its end")


@dataclass(frozen=True, slots=True)
class MoveStep:
    """One step of a move, from the change that began it to the one that ended it, if any.

    `baseline` and `candidate` are its figures, the latter with the copies of a shadow; `missing`
    says why there are none.
    """

    began: ShareChange
    ended: ShareChange | None
    spans: tuple[MoveSpan, ...]
    baseline: SideFigures
    candidate: SideFigures
    missing: str = ""

    def sums(self, *names: str) -> list[SideSums]:
        """The sums of some sides, span by span."""
        return [each.sides[name] for each in self.spans for name in names if name in each.sides]

    def calls(self, name: str) -> int:
        """The calls of a side."""
        return sum(each.calls for each in self.sums(name))

    def failed(self, name: str) -> int:
        """Those that failed."""
        return sum(each.failed for each in self.sums(name))

    @property
    def seconds(self) -> float | None:
        """From its beginning to its end, or to the last call so far; None if that is not known."""
        end = self.ended.since if self.ended else (self.spans[-1].end if self.spans else 0.0)
        return end - self.began.since if end and self.began.since else None


@dataclass(frozen=True, slots=True)
class Harm:
    """Calls that the candidate failed, and those of them that were asked again at the baseline.

    `reached` is how many failures callers met, `expected` how many of the candidate's calls would
    have failed at the baseline, as it was then; None if that is not known.
    """

    failed: int
    again: int
    again_failed: int
    expected: float | None

    @property
    def reached(self) -> int:
        """Failures that reached callers: those that nobody made good."""
        return max(0, self.failed - self.again + self.again_failed)


@dataclass(frozen=True, slots=True)
class Moved:
    """A move as its file tells it. What is None has a sentence beside it that says why."""

    file: Path
    route: Route
    steps: tuple[MoveStep, ...]
    harm: Harm
    bill: MoveBill | None
    per_call: Amount | None
    per_month: Amount | None
    no_bill: str = ""
    no_saving: str = ""
    no_month: str = ""
    calls_per_month: float | None = None
    alerts: str = ""

    @property
    def now(self) -> MoveStep:
        """The step that it is in."""
        return self.steps[-1]

    @property
    def simulated(self) -> bool:
        """Whether one of its sides is the built-in simulator."""
        names = (self.route.baseline, self.route.candidate)
        return any(name.startswith("sim/") for name in names)

    @property
    def as_of(self) -> float | None:
        """When the last call in the file ended, or its share was changed last (s since 1970)."""
        ends = [span.end for span in self.route.spans[-1:]]
        return (
            max((*ends, *(change.since for change in self.route.history[-1:])), default=0) or None
        )

    @property
    def uncounted(self) -> int:
        """Calls in no figure: callers called them off, or no figures were kept yet."""
        kept = sum(each.calls for span in self.route.spans for each in span.sides.values())
        return max(0, sum(self.route.totals.get(name, 0) for name in SIDES) - kept)


def when(since: float | None) -> str | None:
    """A moment (s since 1970) as 2026-01-31T12:00:00Z."""
    return datetime.fromtimestamp(since, UTC).strftime("%Y-%m-%dT%H:%M:%SZ") if since else None


def moved(
    file: Path | str, *, calls_per_month: float | None = None, alerts: str = ""
) -> Moved:  # fmt: skip
    """The move in a file. Raises ConfigError if there is none, RunError if it can't be read."""
    path = Path(file)
    route = route_file.read(path)
    if route is None:
        raise ConfigError(
            f"{plain(str(path))} is not there: name the file that the router has as its state."
        )
    if all(change.paused for change in route.history):
        raise RunError(f"{plain(str(path))} does not say how the move began: it can't be told.")
    steps = _steps(route)
    known = _per_call_of(steps)
    no_bill = _unpriced(steps)
    per_call, no_saving = _saved(steps) if not no_bill else (None, no_bill)
    per_month, rate, no_month = _month(route, per_call, calls_per_month)
    return Moved(
        path.absolute(), route, steps, _harm(steps), None if no_bill else _bill(steps, known),
        per_call, per_month, no_bill, no_saving, no_saving or no_month, rate, alerts,
    )  # fmt: skip


def _steps(route: Route) -> tuple[MoveStep, ...]:
    begins = [change for change in route.history if not change.paused]
    last_of = {change.since: k for k, change in enumerate(begins)}
    by_step: dict[int, list[MoveSpan]] = {}
    for span in route.spans:
        by_step.setdefault(last_of.get(span.step, -1), []).append(span)
    return tuple(
        _step(began, ended, tuple(by_step.get(k, ())))
        for k, (began, ended) in enumerate(zip(begins, [*begins[1:], None], strict=True))
    )


def _step(began: ShareChange, ended: ShareChange | None, spans: tuple[MoveSpan, ...]) -> MoveStep:
    baseline, candidate = (
        side_figures([span.sides[name] for span in spans for name in names if name in span.sides])
        for names in (("baseline",), ("candidate", "shadow"))
    )
    missing = "" if spans else NO_CALLS if began.since else NOT_KEPT
    return MoveStep(began, ended, spans, baseline, candidate, missing)


def _per_call_of(steps: tuple[MoveStep, ...]) -> dict[int, CallCost | None]:
    """For each step what a call of the baseline costs: in it, or the last before that tells."""
    known, last = {}, None
    for k, step in enumerate(steps):
        last = call_cost(step.sums("baseline")) or last
        known[k] = last
    return known


def _unpriced(steps: tuple[MoveStep, ...]) -> str:
    """Why there is no bill; empty if there is one."""
    if not any(step.spans for step in steps):
        return NOT_KEPT if not steps[-1].began.since else NO_CALLS
    for name in SIDES[:3]:
        sums = [each for step in steps for each in step.sums(name)]
        if sum(each.calls - each.failed for each in sums) and not any(each.priced for each in sums):
            whose = "baseline" if name == "baseline" else "candidate"
            return _NO_PRICE[whose]
    return ""


_NO_PRICE: Final = {
    "baseline": say("no price of the baseline is known: state one in targets.toml"),
    "candidate": say("no price of the candidate is known: state one in targets.toml"),
}


def _bill(steps: tuple[MoveStep, ...], known: Mapping[int, CallCost | None]) -> MoveBill | None:
    paid = {name: sum(each.cost for step in steps for each in step.sums(name)) for name in SIDES}
    taken = [(step.calls("candidate"), known[k]) for k, step in enumerate(steps)]
    if any(calls and each is None for calls, each in taken):
        return None
    return bill(paid, [(calls, each) for calls, each in taken if calls and each is not None])


def _saved(steps: tuple[MoveStep, ...]) -> tuple[Amount | None, str]:
    """What a call costs less at the candidate, by its last step that tells; or why not.

    The baseline's is that of the same step, or of the last one before that tells.
    """
    ours = None
    saved = None
    for step in steps:
        ours = step.baseline.per_call or ours
        theirs = step.candidate.per_call
        saved = saved_per_call(ours, theirs) if ours and theirs else saved
    if saved is not None:
        return saved, ""
    return None, say("too few calls of both sides have a known cost")


def _month(
    route: Route, per_call: Amount | None, calls: float | None
) -> tuple[Amount | None, float | None, str]:  # fmt: skip
    """The saving of a month, of how many calls, or why it is not given."""
    spans = route.spans
    seconds = spans[-1].end - spans[0].begin if spans else 0.0
    if calls is None and seconds >= DAY_S:
        of_callers = sum(span.sides[name].calls for span in spans
                         for name in ("baseline", "candidate") if name in span.sides)  # fmt: skip
        calls = of_callers / seconds * DAY_S * MONTH_DAYS
    if calls is None:
        return None, None, say("less than a day of traffic is no month's: state calls_per_month")
    if per_call is None or calls <= 0:
        return None, calls, say("no saving of a call is known")
    return per_call.times(calls), calls, ""


def _harm(steps: tuple[MoveStep, ...]) -> Harm:
    expected: float | None = 0.0
    rate: float | None = None
    for step in steps:
        rate = step.baseline.failed.value if step.baseline.calls else rate
        if calls := step.calls("candidate"):
            expected = None if rate is None or expected is None else expected + rate * calls
    return Harm(
        sum(step.failed("candidate") for step in steps),
        sum(step.calls("fallback") for step in steps),
        sum(step.failed("fallback") for step in steps), expected,
    )  # fmt: skip
