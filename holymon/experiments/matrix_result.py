"""What a matrix of plans measured: one table of all its runs, and comparisons where they hold."""

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any, NamedTuple

from holymon.errors import HolymonError
from holymon.experiments.alternate import compare, compare_all
from holymon.figures.blocks import FEWEST_PAIRS
from holymon.figures.comparison import Comparison
from holymon.figures.reasons import SHOWN
from holymon.figures.standing import KEY
from holymon.formatting import Table, Tables, count, number_of, rate_cell, rounded
from holymon.language.said import glued, heads, say
from holymon.load.at_once import Outcome
from holymon.load.run import Run
from holymon.plan.plan import Plan


class Cell(NamedTuple):
    """One plan of a matrix, and the names of what it is made of."""

    target: str
    load: str
    prompts: str
    plan: Plan


@dataclass(frozen=True, slots=True)
class MatrixResult:
    """What came of each cell in each round: `rounds[k][i]` is a run, or why there is none."""

    cells: tuple[Cell, ...]
    rounds: tuple[tuple[Outcome, ...], ...]

    @property
    def runs(self) -> list[Run]:
        """All runs, in the order of the plans, round by round."""
        return [run for outcomes in self.rounds for run in outcomes if isinstance(run, Run)]

    @property
    def failed(self) -> dict[str, HolymonError]:
        """Why there is no run, by the name of the plan."""
        return {
            cell.plan.name: why for outcomes in self.rounds
            for cell, why in zip(self.cells, outcomes, strict=True) if isinstance(why, HolymonError)
        }  # fmt: skip

    @property
    def table(self) -> Table:
        """A row for each run and target, with intervals; what could not be measured below."""
        rows, notes = [], []
        for cell, run in self._measured():
            judged = run.verdict()
            rows += [
                (target.target, cell.load, cell.prompts, count(target.requests),
                 rounded(target.requests_per_s), rate_cell(target.error_rate),
                 *(getattr(target, metric).cell(stat) for metric, stat in KEY),
                 SHOWN[judged.measurement])
                for target in run.summary().targets
            ]  # fmt: skip
            notes += [glued(run.id, ": ", reason.line) for reason in judged.reasons]
        notes += [glued(name, ": ", str(why)) for name, why in self.failed.items()]
        names = heads("target", "load", "prompts", "calls", "answers/s", "failed",
                      "latency p50, ms", "p95", "TTFT p50, ms", "p95", "measurement")  # fmt: skip
        label = say("   SIMULATED") * any(run.plan.simulated for run in self.runs)
        lost = say(", {n} could not be measured", n=len(self.failed)) * bool(self.failed)
        lead = glued(number_of(len(self.cells), "plan"), ", ", number_of(len(self.runs), "run"),
                     lost, label)  # fmt: skip
        return Table(names, rows, "lllr", lead=(lead,), notes=tuple(notes))

    def _measured(self) -> Iterator[tuple[Cell, Run]]:
        for outcomes in self.rounds:
            for cell, run in zip(self.cells, outcomes, strict=True):
                if isinstance(run, Run):
                    yield cell, run

    @property
    def comparisons(self) -> list[Comparison]:
        """Other targets against the first, under the same load with the same prompts.

        Targets of one plan, and those of plans that were measured in at least 5 rounds.
        """
        made: list[Comparison] = []
        first: dict[tuple[str, str], list[Run]] = {}
        for k, cell in enumerate(self.cells):
            runs = self._whole(k)
            if len(cell.plan.targets) > 1:
                made += compare_all(runs[-1]) if runs else ()
            elif len(runs) >= FEWEST_PAIRS:
                others = first.setdefault((cell.load, cell.prompts), runs)
                if others is not runs:
                    made.append(compare(others, runs))
        return made

    def _whole(self, k: int) -> list[Run]:
        """The runs of a cell, if it has calls in every round."""
        outcomes = [of_round[k] for of_round in self.rounds]
        runs = [run for run in outcomes if isinstance(run, Run) and len(run.records)]
        return runs if len(runs) == len(outcomes) else []

    @property
    def tables(self) -> Tables:
        """The table of all runs, and below it one for each comparison."""
        return Tables([self.table, *(each.table for each in self.comparisons)])

    def to_dict(self) -> dict[str, Any]:
        """All runs as `holymon load --json` has them, the comparisons, and what failed."""
        return {
            "runs": [run.to_dict() for run in self.runs],
            "comparisons": [each.to_dict() for each in self.comparisons],
            "failed": {name: str(why) for name, why in self.failed.items()},
        }

    def __repr__(self) -> str:
        return self.tables.text()

    def _repr_html_(self) -> str:
        return self.tables.html()
