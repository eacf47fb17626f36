"""How a move stands, as a table: for a notebook, a terminal and the live view."""

from typing import Any

from holymon.figures.gate import FIELDS
from holymon.formatting import DASH, Table, Tables, count, percent, rounded
from holymon.monitor.route import Route, ShareChange
from holymon.safety import short
from holymon.structs import to_builtins

PHASES = {
    "shadow": "in shadow", "canary": "on its way", "done": "done", "back": "taken back",
}  # fmt: skip
_SHOWN = 12


def headline(route: Route, problem: str = "") -> str:
    """How the move stands, in a line."""
    if problem:
        return f"baseline only: {problem}"
    state = "paused" if route.paused else PHASES[route.phase]
    also = f", {percent(route.shadow)} of the rest to both" if route.shadow else ""
    waits = f"; waits for {route.waits}" if route.waits else ""
    return (
        f"{state}: {percent(route.share)} of the calls go to {short(route.candidate, 80)}{also}"
        f"{waits}"
    )


def _sides(route: Route) -> list[dict[str, float]]:
    """What the step has summed up so far, of the baseline and of the candidate."""
    return [dict(zip(FIELDS, map(sum, zip(*both, strict=True)), strict=False))
            for both in zip(route.gate.step, route.gate.block, strict=True)]  # fmt: skip


def route_dict(route: Route) -> dict[str, Any]:
    """How the move stands, ready for JSON."""
    names = "baseline candidate phase share shadow paused waits totals".split()
    steps = dict(zip(("baseline", "candidate"), _sides(route), strict=True))
    return {
        **{name: getattr(route, name) for name in names}, "problem": None,
        "step": steps, "history": to_builtins(route.history),
    }  # fmt: skip


def moment(at: str) -> str:
    """A moment of a history (UTC), as a table has room for."""
    return short(at, 20).replace("T", " ").removesuffix("Z")


def share_change(change: ShareChange) -> str:
    """A change of a share: `5 % → 20 %`."""
    return f"{percent(change.before)} → {percent(change.after)}"


def route_table(route: Route, problem: str = "") -> Tables:
    """How the move stands, what its step has seen, and the latest changes of its share."""
    totals = [count(route.totals.get(side, 0)) for side in ("baseline", "candidate")]
    rows = [(short(name, 80), answered, *_figures(sums)) for name, answered, sums in
            zip((route.baseline, route.candidate), totals, _sides(route), strict=True)]  # fmt: skip
    other = [
        f"{count(route.totals[side])} {words}" for side, words in _OTHER if route.totals.get(side)
    ]
    now = Table(
        ("side", "calls answered", "in this step", "failed", "slow", "cost per call"), rows, "lr",
        (headline(route, problem),), (f"besides, calls: {' and '.join(other)}.",) if other else (),
    )  # fmt: skip
    changes = [
        (moment(change.at), share_change(change), change.phase, change.reason, change.who)
        for change in reversed(route.history[-_SHOWN:])
    ]
    return Tables((now, Table(("when (UTC)", "share", "phase", "why", "who"), changes, "lrl")))


_OTHER = (
    ("shadow", "copied to the candidate"),
    ("fallback", "made at the baseline after they failed at the candidate"),
)


def _figures(sums: dict[str, float]) -> tuple[str, ...]:
    calls, priced = sums["calls"], sums["priced"]
    shares = [percent(sums[name] / calls) if calls else DASH for name in ("failed", "slow")]
    return count(int(calls)), *shares, rounded(sums["cost"] / priced) if priced else DASH
