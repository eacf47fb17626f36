"""Measure one rate after another until the highest that meets the objectives is known."""

import time
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Final

from holymon.errors import PlanError, RunError
from holymon.experiments.alternate import require_access
from holymon.experiments.bisection import following, needs
from holymon.experiments.bounds import Bounds, Step, time_of
from holymon.experiments.capacity import Capacity
from holymon.experiments.level import level_of
from holymon.experiments.load_level import LoadLevel
from holymon.load.run import Run
from holymon.load.run import start as start_run
from holymon.plan.plan import Open, Plan
from holymon.plan.shapes import Shape, constant
from holymon.plan.slo import missing_error_limit
from holymon.structs import replace

SEEDS: Final = 64
EVEN: Final = 0.01
STOP_S: Final = 1.0
"""A stop takes about that long: so much earlier it is asked for."""


def capacity(
    plan: Plan, *, slo: tuple[str, ...] = (), start: float = 1.0, most: float = 1000.0,
    seconds: float = 10.0, precision: float = 0.1, budget_s: float | None = None,
    max_calls: int | None = None, max_cost: float | None = None, arrivals: str = "poisson",
    out: Path | str = "reports", seen: Callable[[Capacity], None] = lambda _: None,
) -> Capacity:  # fmt: skip
    """The highest rate at which one target still meets all objectives (by default the plan's).

    A call that failed took for ever, as far as objectives on durations go; where none is on an
    error rate, `slo.ERROR_LIMIT` is added.
    Rates begin at `start` calls/s and go up to `most`; each is a run of its own of at least
    `seconds` (the plan's own load and warm-up are not used), longer near the limit and shorter
    far from it, its calls spread as `arrivals` says ("constant", "poisson"). The search ends when
    the highest rate met and the lowest one missed differ by no more than `precision` and are as
    certain as the time lets them be: of all that a search calls certain no more than 5 % is wrong.
    To be certain may take all of `budget_s` seconds; without a budget as long again as it took to
    find the two (see `Bounds.certainty_s`), and ten minutes in all.
    A level that would pass the budget is stopped; neither `max_calls` nor `max_cost` USD
    is passed. `seen` is given what is known after each level. Ctrl-C ends the search, and what was
    found is returned. Raises PlanError, RunError.
    """
    if len(plan.targets) != 1:
        raise PlanError(f"capacity is of one target, and the plan has {len(plan.targets)}.")
    given = tuple(slo) or plan.slo
    whole_s, again = time_of(budget_s)
    bounds = Bounds(
        objectives=given, added=missing_error_limit(given), start=start, most=most,
        seconds=seconds, precision=precision, max_calls=max_calls,
        max_cost=max_cost, budget_s=whole_s, again=again,
    )  # fmt: skip
    levels: list[LoadLevel] = []
    while isinstance(step := following(levels, bounds), Step):
        try:
            level, plan = _level(plan, step, bounds, arrivals, levels, out)
            levels.append(level)
        except KeyboardInterrupt:
            return _so_far(plan, bounds, levels, "interrupted")
        seen(_so_far(plan, bounds, levels, "interrupted"))
    if not levels:
        raise PlanError(
            f"the budget does not suffice for a first level: {bounds.far(start):.3g} s at "
            f"{start:g} calls/s. Begin at a higher rate, or allow more."
        )
    return _so_far(plan, bounds, levels, step)


def _so_far(plan: Plan, bounds: Bounds, levels: list[LoadLevel], ended: str) -> Capacity:
    return Capacity(
        target=plan.targets[0].name, objectives=bounds.all_objectives, levels=tuple(levels),
        ended=ended, simulated=plan.simulated, budget_s=bounds.given_s, added=bounds.added,
        needs=needs(levels, bounds),
    )  # fmt: skip


def _level(
    plan: Plan, step: Step, bounds: Bounds, arrivals: str, levels: list[LoadLevel], out: Path | str
) -> tuple[LoadLevel, Plan]:
    """One level, and the plan of the next, with what the first call found out."""
    now = level_plan(plan, step, bounds, arrivals, levels)
    begun = time.monotonic()
    until = begun + bounds.budget_s - sum(level.took_s for level in levels) - STOP_S
    run = _measured(now, until, out)
    return _judged(run, step, bounds, time.monotonic() - begun), run.informed(plan)


def level_plan(
    plan: Plan, step: Step, bounds: Bounds, arrivals: str, levels: Sequence[LoadLevel]
) -> Plan:
    """The plan of one level, after `levels`."""
    shape: Shape = constant(step.rate).arriving(arrivals)
    left = most = None
    if bounds.max_cost is not None:
        left = max(0.0, bounds.max_cost - sum(level.cost_usd or 0.0 for level in levels))
    if bounds.max_calls is not None:
        most = bounds.max_calls - sum(level.calls for level in levels)
    now = replace(
        plan, load=Open(shape), duration_s=step.seconds, requests=most, warmup_s=0.0,
        slo=bounds.all_objectives, max_cost=left, seed=plan.seed + SEEDS * len(levels),
    )  # fmt: skip
    return even(now)


def even(plan: Plan) -> Plan:
    """The plan with a seed by which as many calls are due as its rate stands for.

    Three seconds of 50 random calls/s may well hold 44/s or 56/s: what is found would then be the
    chance's. Given their number, the calls of a Poisson process are as random as before.
    """
    wanted = plan.load.shape.peak * plan.seconds if isinstance(plan.load, Open) else 0.0
    nearest, off = plan, float("inf")
    for seed in range(plan.seed, plan.seed + SEEDS):
        tried = replace(plan, seed=seed)
        miss = abs(len(tried.due()) - wanted)
        if miss < off:
            nearest, off = tried, miss
        if off <= max(0.5, EVEN * wanted):
            break
    return nearest


def _measured(plan: Plan, until: float, out: Path | str) -> Run:
    """The run of one level, stopped at `until` of the monotonic clock, or by Ctrl-C."""
    run = start_run(plan, out=out, detached=False)

    def in_time(going: Run) -> None:
        if time.monotonic() > until:
            going.stop()

    try:
        return run.wait(in_time)
    except KeyboardInterrupt:
        run.stop()
        run.wait()
        raise


def _judged(run: Run, step: Step, bounds: Bounds, took_s: float) -> LoadLevel:
    """What a level says. Raises RunError where no call could succeed for the caller's reasons."""
    require_access(run)
    judged = run.verdict()
    if judged.blocked is not None:
        raise RunError(next(reason.text for reason in judged.reasons if reason.level == "invalid"))
    whole = run.status.get("ended") in {None, "finished"}
    return level_of(
        run.records,
        run.summary(),
        judged,
        step,
        took_s=took_s,
        whole=whole,
        run_id=run.id,
        added=bounds.added,
    )
