"""Whether candidates serve the baseline's model: questions asked beside a run, or by themselves.

check_run(run, 300)   asks, and keeps what came in the run's folder
same_models(run)      judges each candidate by that, and by the run's own calls
probe_same(a, b)      both without any load
"""

import math
from collections.abc import Callable
from datetime import UTC, datetime
from pathlib import Path
from typing import Final

from holymon.errors import PlanError, RunError
from holymon.experiments.alternate import require_access
from holymon.figures.blocks import couples
from holymon.figures.roads import Road, road_of_rows
from holymon.figures.same_model import Sides, same_model
from holymon.figures.same_types import SameModel
from holymon.language.said import say
from holymon.load.checking import ask, plan_of_checks
from holymon.load.requests import require_ways
from holymon.load.run import Run
from holymon.plan.checks import CHECKS, checks
from holymon.plan.estimate import estimate
from holymon.plan.plan import Plan
from holymon.plan.target import Target
from holymon.plan.targets import with_prices
from holymon.records.checked import Checked, keep, kept
from holymon.records.own_files import PRIVATE, require_inside, write_json
from holymon.structs import require

UNASKED: Final = {
    "cost": say("no checked answers were asked for: they could cost more than was left"),
    "embeddings": say("vectors are no answers that could be checked"),
    "ended": say("no checked answers were asked for: the load did not end by itself"),
}
"""Why there are none, by the word that a folder keeps."""

Tell = Callable[[str], object]


def check_run(run: Run, number: int = CHECKS, *, tell: Tell = str) -> None:
    """Ask the targets of a finished run so many questions each, within what its plan may cost.

    Raises what `ask` does, and as `require_access` for a run whose first call failed.
    """
    require_access(run)
    names = tuple(target.name for target in run.plan.targets)
    if any(target.endpoint == "embeddings" for target in run.plan.targets):
        keep(Checked(targets=names, unasked="embeddings"), run.folder)
        return
    if run.state != "finished":
        keep(Checked(targets=names, unasked="ended"), run.folder)
        return
    plan = run.informed(plan_of_checks(run.plan.targets, number, run.plan.seed))
    most, words = _most(plan)
    if run.plan.max_cost is not None:
        spent = run.summary().cost_usd
        left = -math.inf if spent is None else run.plan.max_cost - spent
        if most is None or most > left:
            keep(Checked(targets=names, unasked="cost"), run.folder)
            return
    tell(f"checked answers: {words}")
    keep(ask(plan), run.folder)


def _most(plan: Plan) -> tuple[float | None, str]:
    """What the questions can cost at most (USD), None where that is not known; and in words."""
    expected = estimate(plan)
    return expected.cost_usd, expected.words


def same_models(run: Run) -> tuple[SameModel, ...]:
    """The verdict on each candidate of a run, whose first target is the baseline.

    Raises RunError if what was kept can't be read.
    """
    checked = kept(run.folder) or Checked(targets=())
    targets, figures = run.plan.targets, run.summary().targets
    battery = checks(checked.checks, checked.seed) if checked.calls else ()
    answers = [checked.of(k) for k in range(len(targets))]
    many = len(targets) - 1
    return tuple(
        same_model(
            Sides((targets[0].name, targets[k].name), (answers[0], answers[k]),
                  (figures[0], figures[k])),
            battery, candidates=many, road=_road(run, k), cost_usd=_cost(checked, k),
            unasked=UNASKED.get(checked.unasked, ""), simulated=run.summary().simulated,
        )
        for k in range(1, many + 1)
    )  # fmt: skip


def _road(run: Run, k: int) -> Road:
    """How the calls of the load to the k-th target differ from those to the first."""
    records = run.records
    first, second = couples(records, records.mask(0), records.mask(k))
    return road_of_rows(records.at(first), records.at(second))


def _cost(checked: Checked, k: int) -> float | None:
    costs = [checked.costs[i] for i in (0, k)] if len(checked.costs) > k else []
    known = [cost for cost in costs if cost is not None]
    return math.fsum(known) if known and len(known) == len(costs) else None


def probe_same(
    baseline: Target, candidate: Target, *, max_cost: float, number: int = CHECKS,
    out: Path | str = "reports", tell: Tell = str,
) -> SameModel:  # fmt: skip
    """Ask both the same questions, and say whether they serve one model.

    Raises PlanError for a limit that may be passed or a number out of range, ConfigError, RunError.
    """
    require(math.isfinite(max_cost) and max_cost > 0, "max_cost", "is none", "give USD above 0")
    plan = with_prices(plan_of_checks((baseline, candidate), number))
    most, words = _most(plan)
    if most is None:
        raise PlanError(f"{words.partition('; ')[2]} A probe needs a price in USD to keep its "
                        "limit: put it into targets.toml.")  # fmt: skip
    if most > max_cost:
        raise PlanError(f"{words}, over the limit of {max_cost:g}: raise --max-cost, or ask for "
                        "less with --checks.")  # fmt: skip
    require_ways(plan.targets)
    tell(f"{words} (limit {max_cost:g})")
    began = datetime.now(UTC)
    folder = Path(out) / "probe-same" / began.strftime("%Y%m%dT%H%M%S.%fZ")
    require_inside(folder.parent, Path(out))
    try:
        folder.mkdir(parents=True)
    except OSError as error:
        raise RunError(f"{folder} can't be written: {error.strerror}.") from None
    checked = ask(plan)
    keep(checked, folder)
    sides = Sides((baseline.name, candidate.name), (checked.of(0), checked.of(1)))
    result = same_model(
        sides, checks(number, plan.seed), cost_usd=_cost(checked, 1), simulated=plan.simulated
    )
    kept_result = {"probe": "same", "began": began.isoformat(timespec="seconds")}
    write_json(folder / "probe.json", {**kept_result, **result.to_dict()}, mode=PRIVATE)
    return result
