"""Whether to move to another provider: one run of baseline and candidates, and its sheet."""

from collections.abc import Mapping, Sequence
from pathlib import Path

import numpy as np

from holymon.catalogue.history import history
from holymon.errors import PlanError
from holymon.experiments.alternate import compare_all, require_access
from holymon.experiments.same_model import check_run, same_models
from holymon.figures.bills import CallCosts, bill_of
from holymon.figures.blocks import blocks
from holymon.figures.comparison import ALPHA, Comparison
from holymon.figures.deciding import decide
from holymon.figures.hours import Hours, by_hour
from holymon.figures.migration import CostRow, Stated, cost_row, saving, unpriced
from holymon.figures.same_types import SameModel
from holymon.figures.sheet import Offer, Sheet, best_first
from holymon.figures.summary_types import TargetSummary
from holymon.figures.terms import Terms
from holymon.figures.verdict import ObjectiveCheck, Verdict, check_objective
from holymon.language.said import listed, say
from holymon.load.run import Run, attach, measure
from holymon.plan import shapes, slo
from holymon.plan.checks import CHECKS, checks_in
from holymon.plan.plan import Open, Plan
from holymon.plan.prompts import Prompts
from holymon.plan.target import Target
from holymon.plan.targets import target
from holymon.records import run_folder
from holymon.records.datasets import dataset
from holymon.records.records import Records
from holymon.safety import plain

MOST_CANDIDATES = 5
CALLS = 400
"""Calls of each target, unless others are asked for: fewer can't tell an error rate of 1 %."""

ByTarget = float | Mapping[str, float]
Pairs = list[tuple[Records, Records]]


def migrate(
    baseline: Target | str = "", candidates: Sequence[Target | str] = (), *,
    calls_per_month: float, one_off: float = 0.0, min_saving: float = 0.1,
    slo: Sequence[str] = (), fx: ByTarget | None = None, fee: ByTarget = 0.0,
    min_topup: ByTarget = 0.0, credit_days: ByTarget | None = None,
    run: Run | str | None = None, prompts: str = "", rate: float = 5.0, requests: int = CALLS,
    max_cost: float | None = None, checks: int = CHECKS, out: Path | str = "reports",
) -> Sheet:  # fmt: skip
    """Whether it is worth it to move from the baseline to one of the candidates, and when it pays.

    Both are called in the same time with the same requests (`prompts`, a file as `dataset` reads
    it), `requests` calls of each at `rate` calls/s; or they are the targets of a `run`, the first
    of which is the baseline. `calls_per_month` are those that have to succeed. `one_off` is what
    the work of moving costs in USD. `min_saving` is the least share worth it, `slo` what the
    candidate has to meet (of a run by default its own; without one on the error rate,
    'error_rate<=1%' is added). `fx` is USD for one unit of the price list, `fee` a share of each
    top-up, `min_topup` and `credit_days` the least top-up in units of the list and how long it
    lasts: numbers hold for all candidates, a dict for the targets that it names.

    After the load so many `checks` are asked of each target: questions with one right answer, and
    words to choose in answers of one token. They tell whether a candidate serves the baseline's
    model, and cost as much as some 10,000 tokens of input and 2,000 of output; 0 for none. Raises
    PlanError, ConfigError, RunError.
    """
    move = Stated(calls_per_month=calls_per_month, one_off=one_off, min_saving=min_saving)
    checks_in(checks)
    if run is None:
        run = measure(
            plan_of(baseline, candidates, slo, prompts, rate, requests, max_cost), out=out
        )
        if checks:
            check_run(run, checks)
    elif isinstance(run, str):
        run = attach(run, out=out)
    terms = terms_of(run.plan, fx=fx, fee=fee, min_topup=min_topup, credit_days=credit_days)
    return sheet_of(run, move, terms, slo)


def plan_of(
    baseline: Target | str, candidates: Sequence[Target | str], goals: Sequence[str],
    prompts: str, rate: float, requests: int, max_cost: float | None,
) -> Plan:  # fmt: skip
    """The plan that calls all of them in the same time. Raises PlanError, ConfigError."""
    named = [candidates] if isinstance(candidates, str | Target) else [*candidates]
    wanted = [each for each in (baseline, *named) if each]
    plan = Plan(
        targets=tuple(each if isinstance(each, Target) else target(each) for each in wanted),
        load=Open(shapes.constant(rate)), requests=requests, slo=tuple(goals), name="migrate",
        prompts=Prompts(dataset=dataset(prompts) if prompts else None), max_cost=max_cost,
    )  # fmt: skip
    check_plan(plan)
    return plan


def check_plan(plan: Plan) -> None:
    """Raise PlanError unless there are a baseline and one to five candidates."""
    n = len(plan.targets) - 1
    if not 1 <= n <= MOST_CANDIDATES:
        raise PlanError(
            f"{n} candidates: name what is in use, and one to {MOST_CANDIDATES} to move to, such "
            "as `holymon migrate sim/slow sim/fast --calls-per-month 100000`."
        )


def _check_run(run: Run) -> None:
    n = len(run.plan.targets)
    if not 2 <= n <= 1 + MOST_CANDIDATES:
        held = f"the one target {plain(run.plan.targets[0].name)}" if n == 1 else f"{n} targets"
        raise PlanError(
            f"{run.id} holds {held}: a decision needs what is in use and one to "
            f"{MOST_CANDIDATES} candidates, measured in one run."
        )


def terms_of(plan: Plan, **given: ByTarget | None) -> dict[str, Terms]:
    """The terms of each target by its name; numbers are those of all candidates.

    Raises PlanError for a target that is none of the plan, or terms that can't be.
    """
    names = [each.name for each in plan.targets]
    by_name: dict[str, dict[str, float]] = {name: {} for name in names}
    for field, value in given.items():
        of = value if isinstance(value, Mapping) else dict.fromkeys(names[1:], value)
        for name, number in of.items():
            if name not in by_name:
                there = ", ".join(map(plain, names))
                raise PlanError(f"{field}: {plain(name)!r} is no target: there are {there}.")
            if number is not None:
                by_name[name][field] = float(number)
    return {name: Terms(**numbers) for name, numbers in by_name.items()}


def sheet_of(
    run: Run, move: Stated, terms: Mapping[str, Terms], goals: Sequence[str] = ()
) -> Sheet:
    """The sheet of a finished run, whose first target is the baseline.

    Raises PlanError for a run without candidates, RunError for one that goes on or was refused.
    """
    _check_run(run)
    run.require_end("decide on")
    require_access(run)
    records, summary, judged = run.records, run.summary(), run.verdict()
    a, *others = summary.targets
    bills = [bill_of(records, k) for k in range(len(summary.targets))]
    each_terms = [terms[target.target] for target in summary.targets]
    scheduled = isinstance(run.plan.load, Open)
    pairs = [blocks(records, 0, k + 1, scheduled=scheduled) for k in range(len(others))]
    wanted = tuple(goals) or run.plan.slo
    wanted = (*wanted, *slo.missing_error_limit(wanted))
    compared = compare_all(run)
    same = same_models(run)
    made = [
        _offer((a, b), (bills[0], bills[k + 1]), pairs[k], (each_terms[0], each_terms[k + 1]),
               move, wanted, compared[k], judged, same[k], len(others))
        for k, b in enumerate(others)
    ]  # fmt: skip
    return Sheet(
        run.id, a.target, best_first(made), move, _costs(bills, pairs, each_terms, move),
        summary.targets, compared, run.sizes(),
        _hours(run, [target.target for target in summary.targets]),
        judged.measurement, summary.simulated,
        _cautions(run.id, bills, judged, each_terms, compared),
    )  # fmt: skip


def _offer(
    both: tuple[TargetSummary, TargetSummary], bills: tuple[CallCosts, CallCosts], pairs: Pairs,
    terms: tuple[Terms, Terms], move: Stated, wanted: Sequence[str], compared: Comparison,
    judged: Verdict, same: SameModel, candidates: int,
) -> Offer:  # fmt: skip
    """What the run says of one candidate; all of them share the 5 % of being wrong."""
    a, b = both
    saved = saving(*bills, pairs, terms, move, 1 - ALPHA / candidates)
    whys = [say("{target}: {text}", target=bill.target.name, text=why)
            for bill, each in zip(bills, terms, strict=True)
            if (why := unpriced(bill, each))]  # fmt: skip
    goals: list[tuple[ObjectiveCheck, ObjectiveCheck]] = []
    for text in wanted:
        goal = slo.parse(text)
        goals.append((check_objective(goal, b), check_objective(goal, a)))
    invalid = [reason.text for reason in judged.reasons
               if reason.level == "invalid" and not reason.of_api]  # fmt: skip
    known = listed("; ", whys) if saved is None else saved
    decided = decide(b, a, known, move, goals, compared, invalid)
    return Offer(b.target, decided, saved, same, listed("; ", whys))


def _costs(
    bills: Sequence[CallCosts], pairs: Sequence[Pairs], terms: Sequence[Terms], move: Stated
) -> tuple[CostRow, ...]:
    first, *others = bills
    rows = [cost_row(first, others[0], pairs[0], terms[0], move)]
    for bill, some, each in zip(others, pairs, terms[1:], strict=True):
        rows.append(cost_row(bill, first, [(b, a) for a, b in some], each, move))
    return tuple(rows)


def _hours(run: Run, names: Sequence[str]) -> tuple[Hours, ...]:
    """How steady they were over the day, by all runs beside this one."""
    known = []
    past = history(run_folder.out_of(run.folder))
    for name in names:
        of = [each for each in past.series("latency_p95", target=name) if each.target == name]
        at = [moment for each in of for moment in each.at.tolist()]
        values = [value for each in of for value in each.value.tolist()]
        known.append((name, np.array(at, float), np.array(values, float)))
    return by_hour(known)


def _cautions(
    run_id: str,
    bills: Sequence[CallCosts],
    judged: Verdict,
    terms: Sequence[Terms],
    compared: Sequence[Comparison],
) -> tuple[str, ...]:
    """What to keep in mind with the figures, each once."""
    suspect = [reason.text for reason in judged.reasons if reason.level == "suspect"]
    bought = [
        say("{target}: {text}", target=bill.target.name, text=each.words)
        for bill, each in zip(bills, terms, strict=True) if each.words
    ]  # fmt: skip
    notes = [note for bill in bills for note in bill.notes]
    of_pairs = [text for each in compared for text in (*each.notes, *each.cautions)
                if not text.startswith(f"{run_id} is ")]  # fmt: skip
    return tuple(dict.fromkeys([*suspect, *bought, *notes, *of_pairs]))
