"""Targets x loads x prompts: one list of plans with names, measured in turn or side by side."""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from itertools import product
from pathlib import Path
from typing import Any, Final, TypeVar

from holymon.errors import PlanError
from holymon.experiments.matrix_result import Cell, MatrixResult
from holymon.figures.blocks import FEWEST_PAIRS
from holymon.formatting import Table, count, file_name, number_of, rounded
from holymon.language.said import heads, say
from holymon.load import at_once as side_by_side
from holymon.load.run import Run
from holymon.plan.dataset import Dataset
from holymon.plan.estimate import estimate
from holymon.plan.plan import Closed, Open, Plan
from holymon.plan.prompts import Prompts
from holymon.plan.shapes import Replay, Shape
from holymon.plan.target import Target
from holymon.plan.targets import target
from holymon.records.datasets import dataset
from holymon.safety import plain
from holymon.structs import require, shows_table

AnyTarget = Target | str
AnyTargets = AnyTarget | Sequence[AnyTarget]
AnyLoad = Open | Closed | Shape | Replay
AnyPrompts = Prompts | Dataset | str | Path
_T = TypeVar("_T")
MOST: Final = 1000


def matrix(
    targets: Sequence[AnyTargets] | Mapping[str, AnyTargets],
    shapes: Sequence[AnyLoad] | Mapping[str, AnyLoad],
    datasets: Sequence[AnyPrompts] | Mapping[str, AnyPrompts] = (Prompts(),),
    *, name: str = "", **common: Any,
) -> "Matrix":  # fmt: skip
    """Every target under every shape with every dataset: one plan for each.

    Each argument is a list, or a dict that gives names of its own. A target is a `hm.target`, its
    name, or a tuple of several, which one plan calls in the same time (the best way to compare
    them); a shape is `hm.constant(5)` and its like, `hm.Open` or `hm.Closed`; a dataset is
    `hm.Prompts`, a `hm.dataset` or the path of one. `common` are further fields of every `hm.Plan`,
    such as `duration_s=10`; `name` begins the names of all. Raises PlanError, ConfigError.
    """
    _require_fields(common)
    called = _named(targets, "targets", _targets, _target_label)
    loads = _named(shapes, "shapes", _load, _load_label)
    asked_for = _named(datasets, "datasets", _prompts, _prompts_label)
    number = len(called) * len(loads) * len(asked_for)
    require(number <= MOST, "the matrix", f"has {number:,} plans", f"at most {MOST:,}")
    cells = []
    for (t, some), (s, load), (d, prompts) in product(
        called.items(), loads.items(), asked_for.items()
    ):
        parts = [name, t, s if len(loads) > 1 else "", d if len(asked_for) > 1 else ""]
        plan = Plan(
            targets=some, load=load, prompts=prompts, name=file_name("-".join(filter(None, parts))),
            **common,
        )  # fmt: skip
        cells.append(Cell(t, s, d, plan))
    return Matrix(tuple(cells))


@shows_table
@dataclass(frozen=True, slots=True)
class Matrix:
    """Plans with names, each a `cell`: a target under a load with prompts."""

    cells: tuple[Cell, ...]

    @property
    def plans(self) -> tuple[Plan, ...]:
        """The plans, in the order in which they are measured."""
        return tuple(cell.plan for cell in self.cells)

    def measure(
        self, *, out: Path | str = "reports", at_once: int = 1, rounds: int = 1
    ) -> MatrixResult:
        """Measure all, up to `at_once` in the same time, no two of which share a core.

        What can't be measured is in the result with its reason, and the others go on. Targets of
        different plans are compared where all are measured in at least 5 `rounds`, one round after
        another; those of one plan always. Raises PlanError, and KeyboardInterrupt for Ctrl-C, which
        stops all: what has ended is kept.
        """
        known = rounds == 1 or FEWEST_PAIRS <= rounds <= MOST
        more = f"1, or from {FEWEST_PAIRS} on, so that runs can be compared in pairs"
        require(known, "rounds", f"is {rounds}", more)
        plans, outcomes = self.plans, []
        for _ in range(rounds):
            outcomes.append(tuple(side_by_side.measured(plans, out=out, at_once=at_once)))
            # What first calls found out holds for the next rounds, too.
            plans = tuple(
                run.informed(plan) if isinstance(run, Run) else plan
                for run, plan in zip(outcomes[-1], plans, strict=True)
            )
        return MatrixResult(self.cells, tuple(outcomes))

    @property
    def table(self) -> Table:
        """A row for each plan: what it calls and how, for how long, and what it costs at most."""
        expected = [estimate(plan) for plan in self.plans]
        rows = [
            (plan.name, ", ".join(t.name for t in plan.targets), plan.load.words,
             plan.prompts.words, rounded(plan.seconds), count(known.calls), rounded(known.cost_usd))
            for plan, known in zip(self.plans, expected, strict=True)
        ]  # fmt: skip
        lead = say(
            "{plans}, at most {seconds} s in turn", plans=number_of(len(rows), "plan"),
            seconds=rounded(sum(plan.seconds for plan in self.plans)),
        )  # fmt: skip
        names = heads("plan", "targets", "load", "prompts", "seconds", "calls", "USD at most")
        return Table(names, rows, "llllr", lead=(lead,))


def _require_fields(common: Mapping[str, Any]) -> None:
    fields = {*Plan.__struct_fields__} - {"targets", "load", "prompts", "name"}
    for field in common.keys() - fields:
        raise PlanError(f"a matrix has no {plain(field)!r}: give {', '.join(sorted(fields))}.")


def _named(
    given: Sequence[Any] | Mapping[str, Any], what: str, made: Callable[[Any], _T],
    label: Callable[[_T], str],
) -> dict[str, _T]:  # fmt: skip
    """What was given, each under its name. Raises PlanError for two of one name, or none at all."""
    if isinstance(given, str) or not isinstance(given, Sequence | Mapping):
        raise PlanError(f"{what} are one {type(given).__name__}: give a list of them, or a dict.")
    require(bool(given), what, "are empty", "give at least one")
    if isinstance(given, Mapping):
        return {str(name): made(value) for name, value in given.items()}
    named: dict[str, _T] = {}
    for value in map(made, given):
        text = label(value)
        mend = f"give them names, as in {what}={{'name': ...}}"
        require(text not in named, what, f"hold {plain(text)!r} twice", mend)
        named[text] = value
    return named


def _targets(given: AnyTargets) -> tuple[Target, ...]:
    several: list[Any] = list(given) if isinstance(given, list | tuple) else [given]
    require(bool(several), "targets", "hold an empty list", "name at least one in it")
    return tuple(map(_target, several))


def _target(given: Any) -> Target:
    if isinstance(given, Target):
        return given
    if isinstance(given, str):
        return target(given)
    raise PlanError(f"a target is {type(given).__name__}: name it, as sim/fast.")


def _target_label(targets: tuple[Target, ...]) -> str:
    return "-".join(f"{each.provider}-{file_name(each.model, 30)}" for each in targets[:3])


def _load(given: AnyLoad) -> Open | Closed:
    if isinstance(given, Shape | Replay):
        return Open(given)
    if isinstance(given, Open | Closed):
        return given
    raise PlanError(f"a shape is {type(given).__name__}: give hm.constant(5), hm.Closed and so on.")


def _load_label(load: Open | Closed) -> str:
    if isinstance(load, Closed):
        return f"{load.users}-users"
    shape = load.shape
    spread = shape.arrivals if isinstance(shape, Shape) and shape.arrivals != "constant" else ""
    kind = "" if spread and shape.kind == "constant" else shape.kind
    return "-".join(filter(None, [kind, spread, f"{shape.peak:g}"]))


def _prompts(given: AnyPrompts) -> Prompts:
    if isinstance(given, Prompts):
        return given
    if isinstance(given, str | Path):
        return Prompts(dataset=dataset(given))
    if isinstance(given, Dataset):
        return Prompts(dataset=given)
    raise PlanError(f"a dataset is {type(given).__name__}: give hm.Prompts, hm.dataset or a path.")


def _prompts_label(prompts: Prompts) -> str:
    known = prompts.dataset
    if known is not None:
        return Path(known.source).stem or f"dataset-{known.digest[:6]}"
    return f"{prompts.number}-prompts"
