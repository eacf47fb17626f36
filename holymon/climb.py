"""Measure one rate after another until the highest that meets the objectives is known."""

from collections.abc import Callable
from pathlib import Path

import msgspec

from holymon.ceiling import Bounds, Capacity, Level, Step, following
from holymon.errors import PlanError, RunError
from holymon.figures import TargetSummary
from holymon.plan import Open, Plan
from holymon.run import Run, measure
from holymon.shapes import Shape, constant
from holymon.verdict import Verdict


def capacity(
    plan: Plan, *, slo: tuple[str, ...] = (), start: float = 1.0, most: float = 1000.0,
    seconds: float = 10.0, precision: float = 0.1, budget_s: float = 600.0,
    max_cost: float | None = None, arrivals: str = "poisson", out: Path | str = "reports",
    seen: Callable[[Capacity], None] = lambda _: None,
) -> Capacity:  # fmt: skip
    """The highest rate at which one target still meets all objectives (by default the plan's).

    Rates begin at `start` calls/s and go up to `most`; each is a run of its own of at least
    `seconds`, its calls spread as `arrivals` says ("constant", "poisson"), and the search ends
    when the highest rate met and the lowest one missed differ by no more than `precision`.
    `budget_s` seconds of load (each run takes a second or two more) and `max_cost` USD are never
    passed. `seen` is given what is known after each level. Ctrl-C ends the search, and what was
    found is returned. Raises PlanError, RunError.
    """
    if len(plan.targets) != 1:
        raise PlanError(f"capacity is of one target, and the plan has {len(plan.targets)}.")
    bounds = Bounds(
        objectives=tuple(slo) or plan.slo, start=start, most=most, seconds=seconds,
        precision=precision, budget_s=budget_s, max_cost=max_cost,
    )  # fmt: skip
    levels: list[Level] = []
    found = _so_far(plan, bounds, levels, "budget")
    while isinstance(step := following(levels, bounds), Step):
        try:
            levels.append(_level(plan, step, bounds, arrivals, levels, out))
        except KeyboardInterrupt:
            return _so_far(plan, bounds, levels, "interrupted")
        found = _so_far(plan, bounds, levels, "interrupted")
        seen(found)
    return _so_far(plan, bounds, levels, step) if levels else found


def _so_far(plan: Plan, bounds: Bounds, levels: list[Level], ended: str) -> Capacity:
    return Capacity(
        target=plan.targets[0].name, objectives=bounds.objectives, levels=tuple(levels),
        ended=ended, simulated=plan.simulated,
    )  # fmt: skip


def _level(
    plan: Plan, step: Step, bounds: Bounds, arrivals: str, levels: list[Level], out: Path | str
) -> Level:
    shape: Shape = constant(step.rate).arriving(arrivals)
    left = None
    if bounds.max_cost is not None:
        left = max(0.0, bounds.max_cost - sum(level.cost_usd or 0.0 for level in levels))
    now = msgspec.structs.replace(
        plan, load=Open(shape), duration_s=step.seconds, requests=None, slo=bounds.objectives,
        max_cost=left, seed=plan.seed + len(levels),
    )  # fmt: skip
    return _judged(measure(now, out=out), step)


def _judged(run: Run, step: Step) -> Level:
    """What a level says. Raises RunError where no call could succeed for the caller's reasons."""
    (target,) = run.summary().targets
    judged = run.verdict()
    if judged.blocked is not None:
        raise RunError(next(one.text for one in judged.reasons if one.level == "invalid"))
    missed = [check for check in judged.checks if not check.met]
    if missed:
        sure = any(check.sure for check in missed)
    else:
        sure = all(check.sure for check in judged.checks)
    return Level(
        rate=step.rate, seconds=step.seconds, calls=target.requests,
        met=_met(judged, target, missed=bool(missed)), sure=sure,
        answers_per_s=target.requests_per_s, goodput_per_s=target.goodput_per_s,
        cost_usd=target.cost_usd, run_id=run.id,
        words=(*(check.text for check in judged.checks), *(one.text for one in judged.reasons)),
    )  # fmt: skip


def _met(judged: Verdict, target: TargetSummary, *, missed: bool) -> bool | None:
    """Whether the objectives were met; None if that says more of the client than of the API.

    A client that is slow makes every time longer, never shorter: what was met with a suspect one
    is met. Calls that could not be sent because thousands were unanswered are the API's doing.
    """
    dropped = target.errors.get("client_dropped", 0) > 0
    if missed:
        return False if judged.measurement == "valid" or dropped else None
    return True if judged.measurement != "invalid" else None
