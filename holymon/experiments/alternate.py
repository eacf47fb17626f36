"""Two things measured alternately, and compared: runs in, pairs of records to `comparison`."""

from collections.abc import Sequence
from dataclasses import replace
from itertools import pairwise
from pathlib import Path

from holymon.errors import ConfigError, PlanError, RunError
from holymon.figures.blocks import FEWEST_PAIRS, blocks
from holymon.figures.comparison import EFFECT, Comparison, compare_pairs
from holymon.figures.comparisons import Comparisons
from holymon.figures.reasons import Reason
from holymon.load import fetch
from holymon.load.opened import OpenedRun
from holymon.load.opened import open as open_report
from holymon.load.run import Run, attach, measure
from holymon.plan.plan import Open, Plan
from holymon.records.records import Records
from holymon.records.spool import folder_of
from holymon.safety import plain

AnyRun = Run | OpenedRun


def alternate(
    a: Plan, b: Plan, *, pairs: int = FEWEST_PAIRS, out: Path | str = "reports"
) -> tuple[list[Run], list[Run]]:
    """Measure A B A B ..., `pairs` times each; the runs of A and those of B.

    For two targets under the same load one plan with both is better still: both are called
    in the same time. Raises what `measure` raises, and ConfigError or RunError where a
    first call shows that none can succeed.
    """
    plans, runs = [a, b], list[Run]()
    for k in (0, 1) * pairs:
        runs.append(measure(plans[k], out=out))
        require_access(runs[-1])
        plans = [runs[-1].informed(plan) for plan in plans]
    return runs[::2], runs[1::2]


def require_access(run: Run) -> None:
    """Raise ConfigError, or RunError if there was no connection, if a first call ended the run."""
    if any(call.ended for call in run.first_calls):
        judged = run.verdict()
        kind = RunError if judged.blocked == 4 else ConfigError
        raise kind(next(reason.text for reason in judged.reasons if reason.of_api))


def compare(
    a: AnyRun | Sequence[AnyRun], b: AnyRun | Sequence[AnyRun] | None = None, *,
    targets: tuple[str, str] | None = None, effect: float = EFFECT,
) -> Comparison:  # fmt: skip
    """B against A: two targets of one run, or runs of A and of B that were measured alternately.

    `targets` names the target of A and that of B, where there are several. `effect` is the
    smallest relative difference that counts as one. Runs that were opened from reports are
    compared by the calls that these carry, and `cautions` say so. Raises RunError, PlanError.
    """
    runs_a = [a] if isinstance(a, AnyRun) else list(a)
    runs_b = [b] if isinstance(b, AnyRun) else list(b or ())
    for run in (*runs_a, *runs_b):
        run.require_end("compare")
    compared = _compared(runs_a, None if b is None else runs_b, targets, effect)
    return replace(compared, cautions=(*compared.cautions, *_sampled([*runs_a, *runs_b])))


def compare_all(run: AnyRun, of: Sequence[str] = (), *, effect: float = EFFECT) -> Comparisons:
    """Each of the targets `of` a run, or of all of its, against the first. Raises as `compare`."""
    a, *others = of or [target.name for target in run.plan.targets]
    if len(others) < 2:
        pair = (a, others[0]) if others else None
        return Comparisons([compare(run, targets=pair, effect=effect)])
    run.require_end("compare")
    cautions = _sampled([run])
    return Comparisons(
        replace(each, cautions=(*each.cautions, *cautions)) for b in others
        for each in [_within(run, (a, b), effect, len(others) - 1)]
    )  # fmt: skip


def _sampled(runs: list[AnyRun]) -> list[str]:
    """A sentence for each run of which not all calls are there."""
    opened = [run for run in runs if isinstance(run, OpenedRun)]
    return [f"{run.id} is compared by {run.sample}, as its report carries them"
            for run in opened if len(run.records) < run.calls]  # fmt: skip


def _compared(
    runs_a: list[AnyRun], runs_b: list[AnyRun] | None, targets: tuple[str, str] | None,
    effect: float,
) -> Comparison:  # fmt: skip
    if runs_b is None:
        if len(runs_a) != 1:
            raise RunError("name one run with two targets, or runs of A and runs of B.")
        return _within(runs_a[0], targets, effect)
    if len(runs_a) != len(runs_b):
        raise RunError(
            f"{len(runs_a)} runs of A and {len(runs_b)} of B are no pairs: measure A B A B."
        )
    firsts, seconds = _in_time(runs_a), _in_time(runs_b)
    names = targets or (None, None)
    pairs = [
        (_of(x, names[0]), _of(y, names[1])) for x, y in zip(firsts, seconds, strict=True)
    ]  # fmt: skip
    return compare_pairs(
        pairs, names=_names(firsts[0], seconds[0], targets), effect=effect,
        interleaved=_alternate(firsts, seconds), doubts=_doubts([*firsts, *seconds]),
    )  # fmt: skip


def named(wanted: str, *, out: Path | str = "reports") -> list[AnyRun]:
    """The run with that id, or all runs of that name that have ended, oldest first.

    Where none has, those that go on; of a file of HTML, the run that it carries. Raises RunError.
    """
    if wanted.endswith(".html"):
        return [open_report(wanted)]
    runs = [Run(folder) for folder in fetch.named(folder_of(out), wanted)] or [
        attach(wanted, out=out)
    ]
    return [*([run for run in runs if not run.live] or runs)]


def _within(
    run: AnyRun, targets: tuple[str, str] | None, effect: float, beside: int = 0
) -> Comparison:  # fmt: skip
    present = [target.name for target in run.plan.targets]
    if targets is None and len(present) == 1:
        raise PlanError(f"{run.id} has one target: name another run to compare it with.")
    if targets is None and len(present) != 2:
        names = ", ".join(map(plain, present))
        raise PlanError(f"{run.id} has {len(present)} targets: name the two to compare ({names}).")
    chosen = targets or (present[0], present[1])
    a, b = (_position(run, name) for name in chosen)
    pairs = blocks(run.records, a, b, scheduled=isinstance(run.plan.load, Open))
    return compare_pairs(pairs, names=chosen, effect=effect, one_run=True, doubts=_doubts([run]),
                         beside=beside)  # fmt: skip


def _doubts(runs: list[AnyRun]) -> dict[str, tuple[Reason, ...]]:
    return {run.id: run.verdict().reasons for run in runs}


def _of(run: AnyRun, name: str | None) -> Records:
    records = run.records
    if name is None:
        return records
    return records.select(records["target"] == _position(run, name))


def _position(run: AnyRun, name: str) -> int:
    present = [target.name for target in run.plan.targets]
    if name not in present:
        there = ", ".join(map(plain, present))
        raise PlanError(f"{run.id} has no target {plain(name)!r}: it has {there}.")
    return present.index(name)


def _names(a: AnyRun, b: AnyRun, targets: tuple[str, str] | None) -> tuple[str, str]:
    names = targets or (a.plan.targets[0].name, b.plan.targets[0].name)
    if names[0] != names[1]:
        return names
    # The same target twice: then the runs are what differs.
    x, y = (run.id.partition("/")[0] for run in (a, b))
    if x == y:
        x, y = a.id, b.id
    several = len(a.plan.targets) > 1 or len(b.plan.targets) > 1
    return (f"{x}: {names[0]}", f"{y}: {names[1]}") if several else (x, y)


def _in_time(runs: list[AnyRun]) -> list[AnyRun]:
    return sorted(runs, key=_begun)


def _begun(run: AnyRun) -> str:
    return str(run.status.get("started_at") or "")


def _alternate(a: list[AnyRun], b: list[AnyRun]) -> bool:
    """Whether every pair was over before the next one began."""
    latest = [max(_begun(x), _begun(y)) for x, y in zip(a, b, strict=True)]
    earliest = [min(_begun(x), _begun(y)) for x, y in zip(a, b, strict=True)]
    return all(
        before <= after for (before, _), (_, after) in pairwise(zip(latest, earliest, strict=True))
    )
