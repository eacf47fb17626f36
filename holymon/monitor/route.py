r"""A move of traffic from one provider to another, as values: no clock, no file, no call.

    observe(route, outcomes, course, now, who) -> route      by_hand(route, ...) -> route

    shadow --> canary, step by step --> done
        \------------ back <-----------/      and from there only by hand

Each step has a gate (`figures.gate`); whatever changes a share is in the history, with a reason.
"""

from collections.abc import Iterable
from datetime import UTC, datetime
from typing import Any, Final, Literal

import numpy as np

from holymon.figures import gate
from holymon.monitor.course import MoveSteps, Outcome, burst_of, sums_of
from holymon.monitor.measured import Moment, MoveSpan, recorded
from holymon.monitor.whys import why_worse
from holymon.structs import Struct, replace, require

Phase = Literal["shadow", "canary", "done", "back"]
FORMAT: Final = 2
"""Of the file: one more whenever it gets a field. What lacks one is read, a later file is not."""

MOST_CHANGES: Final = 1000
WARM: Final = 20
"""Successes of the baseline that tell what is slow and what is long, to begin with."""


class ShareChange(Struct, frozen=True):
    """One change of a share: when (UTC), from what to what, why, and by whom.

    `since` is that moment in s since 1970, `by` is `gate` or `hand`, and `paused` says that only
    the going on was stopped. Of the step that ended it has the candidate's `calls` that its gate
    had counted, and how each of the `figures` stood. Files of before have none of these.
    """

    at: str
    before: float
    after: float
    phase: Phase
    reason: str
    who: str
    since: Moment = 0.0
    by: Literal["", "gate", "hand"] = ""
    paused: bool = False
    calls: int = -1
    figures: dict[str, str] = {}  # noqa: RUF012 - copied for each instance


class Gate(Struct, frozen=True):
    """How a step stands: sums of the step and of its open block, and what bettors have."""

    since: Moment
    block_since: Moment
    block: tuple[tuple[float, ...], ...]
    step: tuple[tuple[float, ...], ...]
    worse: tuple[tuple[float, ...], ...]
    well: tuple[tuple[float, ...], ...]
    best: tuple[float, ...]
    blocks: tuple[float, ...]


class Route(Struct, frozen=True):
    """How far a move has come; one JSON file holds it for all processes.

    `share` of the calls go to the candidate, and of the rest `shadow` to both. `leads` are by how
    many failures (then misses of each objective) lead over successes of each side. `spans` are what
    was measured, `course` is what steps need, as the router that wrote last has it.
    """

    baseline: str
    candidate: str
    phase: Phase
    share: float
    shadow: float
    gate: Gate
    paused: bool = False
    waits: str = ""
    warm: tuple[tuple[float, float], ...] = ()
    slow_s: float | None = None
    long_tokens: float | None = None
    remembered: tuple[float, ...] = ()
    leads: tuple[tuple[int, ...], ...] = ((0,), (0,))
    totals: dict[str, int] = {}  # noqa: RUF012 - copied for each instance
    history: tuple[ShareChange, ...] = ()
    format: int = FORMAT
    course: MoveSteps | None = None
    spans: tuple[MoveSpan, ...] = ()

    @property
    def step_since(self) -> float:
        """When its step began (s since 1970); 0 if that was not written."""
        return next((each.since for each in reversed(self.history) if not each.paused), 0.0)

    def stands(self) -> dict[str, str]:
        """How each figure stands at the gate: `no worse`, `worse`, `open` or `not known`."""
        course = self.course
        if course is None or len(self.gate.best) != len(course.figures):
            return {}
        capital = _capital(self.gate)
        failing = gate.fails(capital, course.margins, course.together)
        passed = gate.passes(capital, course.margins)
        return {
            name: "worse" if bad else "not known" if not n else "no worse" if well else "open"
            for name, bad, well, n in zip(
                course.figures, failing, passed, capital.blocks, strict=True
            )
        }


def new(baseline: str, candidate: str, course: MoveSteps, now: float, who: str) -> Route:
    """A move at its beginning."""
    phase: Phase = "shadow" if course.shadow else "canary"
    share = 0.0 if course.shadow else course.steps[0]
    route = Route(baseline=baseline, candidate=candidate, phase=phase, share=0.0,
                  shadow=course.shadow, gate=fresh(course.width, now), course=course,
                  leads=_none(course))  # fmt: skip
    reason = f"the move begins: {100 * course.shadow:g} % of the calls go to both"
    return _changed(route, phase, share, reason if course.shadow else "the move begins", now, who)


def fresh(width: int, now: float) -> Gate:
    """The gate of a step that begins."""
    figures = len(gate.FIGURES) + (width - len(gate.FIELDS)) // 2
    capital, none = gate.Capital.new(figures), (0.0,) * width
    return Gate(since=now, block_since=now, block=(none, none), step=(none, none),
                **_written(capital))  # fmt: skip


def observe(
    route: Route, outcomes: Iterable[Outcome], course: MoveSteps, now: float, who: str
) -> Route:
    """The move after some calls have ended: perhaps one step further, or back."""
    outcomes = [*outcomes]
    spans = recorded(route.spans, outcomes, route.step_since, now, course)
    route = replace(route, course=course, spans=spans, format=FORMAT)
    if route.phase == "back":
        return route
    route = _not_after(route, now)
    if len(route.gate.block[0]) != course.width:  # begun with other objectives
        route = replace(route, gate=fresh(course.width, now), leads=_none(course), remembered=())
    block, leads = np.array(route.gate.block), [list(side) for side in route.leads]
    warm, burst = list(route.warm), ""
    for outcome in outcomes:
        if outcome.side < 0:
            continue
        burst = burst or burst_of(leads, outcome, course)
        if route.slow_s is None:
            if outcome.side == 0 and not outcome.failed:
                warm.append((outcome.latency_s, float(outcome.tokens)))
        else:
            block[outcome.side] += sums_of(outcome, route.slow_s, route.long_tokens or 0.0, course)
    route = replace(route, gate=replace(route.gate, block=_rows(block)),
                    leads=tuple(map(tuple, leads)), warm=tuple(warm))  # fmt: skip
    if burst:
        return _changed(route, "back", 0.0, burst, now, who)
    if route.slow_s is None:
        return _warmed(route, now) if len(warm) >= WARM else route
    return route if route.phase == "done" else _judged(route, course, now, who)


def _not_after(route: Route, now: float) -> Route:
    """The move with what began later than now begun now: somebody's clock was set back."""
    ahead = route.gate.block_since - now
    if ahead <= 0:
        return route
    since = route.gate.since - ahead
    return replace(route, gate=replace(route.gate, since=since, block_since=now))


def _none(course: MoveSteps) -> tuple[tuple[int, ...], ...]:
    return ((0,) * (1 + len(course.slo)),) * 2


def _warmed(route: Route, now: float) -> Route:
    seconds, tokens = np.array(route.warm).T
    long = float(np.median(tokens[tokens >= 0])) if (tokens >= 0).any() else 0.0
    return replace(route, slow_s=float(np.quantile(seconds, 1 - gate.TAIL)), long_tokens=long,
                   warm=(), gate=replace(route.gate, block_since=now))  # fmt: skip


def _judged(route: Route, course: MoveSteps, now: float, who: str) -> Route:
    """The move after its block, if that is whole by now."""
    at, block = route.gate, np.array(route.gate.block)
    alone = route.share >= 1 and bool(route.remembered)
    base = np.array(route.remembered) if alone else block[0]
    whole = block[1, 0] >= gate.FEWEST and base[0] >= gate.FEWEST
    if not whole or now - at.block_since < course.block_s:
        return route
    score = gate.scores(block[1], base, course.margins, course.budgets)
    capital = gate.bet(_capital(at), score)
    step = np.array(at.step) + block
    route = replace(
        route,
        slow_s=float(gate.slow_limit(route.slow_s or 0.0, block[0])),
        long_tokens=float(gate.long_limit(route.long_tokens or 0.0, block[0])),
        gate=replace(at, block=_rows(0 * block), block_since=now, step=_rows(step),
                     **_written(capital)),
    )  # fmt: skip
    failing = gate.fails(capital, course.margins, course.together)
    if failing.any():
        return _changed(route, "back", 0.0, why_worse(course, failing, *_compared(route)), now, who)
    waits = waits_for(route, course, now)
    if route.paused or waits:
        return replace(route, waits=waits)
    return _next(route, course, now, who)


def waits_for(route: Route, course: MoveSteps, now: float) -> str:
    """What a step still lacks; empty if all is shown."""
    calls, seconds = int(route.gate.step[1][0]), now - route.gate.since
    if calls < course.min_calls:
        return f"{calls} of {course.min_calls} calls of the candidate"
    if seconds < course.min_s:
        return f"{seconds:.0f} of {course.min_s:g} s"
    passed = gate.passes(_capital(route.gate), course.margins)
    lacking = [name for name, well in zip(course.figures, passed, strict=True) if not well]
    return f"not shown yet: {', '.join(lacking)}" if lacking else ""


def _next(route: Route, course: MoveSteps, now: float, who: str) -> Route:
    calls, seconds = int(route.gate.step[1][0]), now - route.gate.since
    reason = f"no figure is worse than it may be, by {calls} calls in {seconds:.0f} s"
    if route.share >= 1:
        return _changed(route, "done", 1.0, reason, now, who)
    share = next(step for step in course.steps if step > route.share + 1e-9)
    return _changed(route, "canary", share, reason, now, who)


def _changed(
    route: Route, phase: Phase, share: float, reason: str, now: float, who: str, *,
    by: Literal["gate", "hand"] = "gate", paused: bool = False,
) -> Route:  # fmt: skip
    """The move with another share, and that on record; its gate begins anew."""
    at = datetime.fromtimestamp(now, UTC).strftime("%Y-%m-%dT%H:%M:%SZ")
    change = ShareChange(
        at=at, before=route.share, after=share, phase=phase, reason=reason, who=who, since=now,
        by=by, paused=paused, calls=int(route.gate.step[1][0]) if route.history else -1,
        figures=route.stands() if route.history else {},
    )  # fmt: skip
    known = route.gate.step[0] if route.gate.step[0][0] >= gate.FEWEST else route.remembered
    return replace(
        route, phase=phase, share=share, shadow=route.shadow if phase == "shadow" else 0.0,
        gate=fresh(len(route.gate.block[0]), now), remembered=known,
        leads=tuple((0,) * len(side) for side in route.leads), waits="",
        history=(*route.history, change)[-MOST_CHANGES:], format=FORMAT,
    )  # fmt: skip


def by_hand(
    route: Route, now: float, who: str, reason: str, *, share: float | None = None,
    paused: bool = False,
) -> Route:  # fmt: skip
    """The move as somebody wants it: at another share (0: back), or paused where it is.

    A share that is set goes on from there by itself; what is back, or paused, already stays as it
    is. Raises PlanError for what is no share, and for a pause of what does not go on.
    """
    if (route.phase == "back" and share == 0) or (paused and route.paused):
        return route
    if share is None:
        ended = {"back": "taken back", "done": "done"}.get(route.phase)
        require(not ended, "the move", f"is {ended}, and goes no further", "set a share to go on")
        at = _changed(route, route.phase, route.share, reason, now, who, by="hand", paused=True)
        return replace(at, paused=paused, shadow=route.shadow, gate=route.gate, leads=route.leads)
    require(0 <= share <= 1, "share", f"{share:g} is none", "name one from 0 to 1, such as 20%")
    phase: Phase = "canary" if share else "back"
    return replace(_changed(route, phase, share, reason, now, who, by="hand"), paused=paused)


def _compared(route: Route) -> tuple[tuple[float, ...], tuple[float, ...]]:
    """The sums of the step, of the baseline (or what is remembered of it) and the candidate."""
    base, mine = route.gate.step
    return route.remembered if route.share >= 1 and route.remembered else base, mine


def _capital(at: Gate) -> gate.Capital:
    return gate.Capital(*(np.array(getattr(at, name)) for name in gate.Capital.__slots__))


def _written(capital: gate.Capital) -> dict[str, Any]:
    return {name: _rows(getattr(capital, name)) for name in gate.Capital.__slots__}


def _rows(values: gate.Floats) -> tuple[Any, ...]:
    rows = values.tolist()
    return tuple(tuple(row) if isinstance(row, list) else row for row in rows)
