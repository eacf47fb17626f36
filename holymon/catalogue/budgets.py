"""What is left of the error budgets of a run's objectives, over the runs of its name before it."""

from collections.abc import Iterable
from functools import cache

from holymon.catalogue.entries import entries_at_hand
from holymon.errors import PlanError
from holymon.figures.error_budget import (
    PERIOD_S,
    ErrorBudget,
    ErrorBudgets,
    budget_of,
    period_in_words,
)
from holymon.formatting import number_of
from holymon.language.said import say
from holymon.load.entry import Entry, OfTarget
from holymon.load.publish import entry_of
from holymon.load.run import Run
from holymon.plan.slo import Slo, parse
from holymon.records.run_folder import out_of
from holymon.records.run_state import LIVE


def error_budgets(run: Run, period_s: float = PERIOD_S) -> ErrorBudgets:
    """The error budgets of a run's objectives, over the time that ends with it.

    Runs of its name count that called the target, whatever their load; not those whose measurement
    was invalid, nor those of which it is not known how many calls missed an objective.
    """
    goals = [goal for goal in map(parse, run.plan.slo) if goal.allowed is not None]
    if not goals:
        why = say("no objective was given that a share of calls may miss, such as error_rate<1%")
        return ErrorBudgets((), "", run.plan.simulated, (why,))
    mine, sure = entry_of(run), run.verdict().measurement != "invalid"
    before = runs_before(run, mine, period_s)
    kept = [e for e in before if e.of_targets and e.measurement != "invalid"] + [mine] * sure
    notes = [
        say("{runs} left out, without figures or not valid", runs=number_of(n, "run"))
        for n in [len(before) + 1 - len(kept)] if n
    ]  # fmt: skip
    budgets = []
    for goal in goals:
        for target in run.plan.targets:
            budget, lacking = _budget(goal, target.name, kept, mine if sure else None)
            budgets.append(budget)
            if lacking:
                notes.append(say(
                    "{slo} at {target}: how many calls missed it is not known of {runs}",
                    slo=goal.text, target=target.name, runs=number_of(lacking, "run"),
                ))  # fmt: skip
    begun = [e.began for e in kept if e.began is not None]
    span = (mine.began or 0.0) - min(begun, default=mine.began or 0.0) + run.summary().duration_s
    over = period_in_words(min(span, period_s), len(kept))
    return ErrorBudgets(tuple(budgets), over, run.plan.simulated, tuple(notes))


def runs_before(run: Run, mine: Entry, period_s: float) -> list[Entry]:
    """The runs of its name that began in so many seconds before it, oldest first, with figures."""
    now = mine.began

    def wanted(entry: Entry) -> bool:
        if entry.name != mine.name or entry.run_id == mine.run_id or entry.state in LIVE:
            return False
        return now is not None and entry.began is not None and now - period_s < entry.began <= now

    return [entry for entry in entries_at_hand(out_of(run.folder), figures=wanted) if wanted(entry)]


def _budget(
    goal: Slo, target: str, kept: Iterable[Entry], mine: Entry | None
) -> tuple[ErrorBudget, int]:
    """A budget, and how many runs called the target but don't tell of the objective."""
    each = [(entry, _events(of, goal)) for entry in kept
            for of in entry.of_targets or () if of.target == target]  # fmt: skip
    counts = [events for _, events in each if events]
    last = next((events for entry, events in each if entry is mine), None)
    made = budget_of(goal.text, target, goal.allowed or 0.0, counts, last)
    return made, len(each) - len(counts)


def _events(of: OfTarget, goal: Slo) -> tuple[float, float] | None:
    """How many calls missed an objective, and of how many; None if that is not known."""
    for text, events in of.events.items():
        known = _parsed(text)
        if known is not None and known.is_as(goal):
            return events
    rate = of.figures.get("error_rate") if goal.metric == "error_rate" else None
    if rate is None or not 0 <= rate.value <= 1:
        return None
    return rate.value * of.requests, float(of.requests)


@cache
def _parsed(text: str) -> Slo | None:
    """An objective as a file has it, whoever wrote it."""
    try:
        return parse(text)
    except PlanError:
        return None
