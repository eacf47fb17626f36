"""What the runs of a name cost, over the time that ends with one of them."""

import math
from datetime import UTC, datetime

from holymon.catalogue.budgets import runs_before
from holymon.figures.error_budget import PERIOD_S
from holymon.figures.spending import RunSpending, Spending, TargetSpending, spending_of
from holymon.formatting import DASH
from holymon.language.said import glued
from holymon.load.entry import Entry, OfTarget
from holymon.load.publish import entry_of
from holymon.load.run import Run
from holymon.structs import check_range


def spending(run: Run, budget: float | None = None, period_s: float = PERIOD_S) -> Spending:
    """The costs of the runs of a run's name, over the time that ends with it.

    `budget` is in USD a month. Raises PlanError for one that can't be.
    """
    check_range("budget", budget, 0, math.inf, "USD")
    mine = entry_of(run)
    known = [
        RunSpending(entry.began, _day(entry), tuple(map(_of_target, entry.of_targets)))
        for entry in (*runs_before(run, mine, period_s), mine) if entry.of_targets
    ]  # fmt: skip
    reasons = [
        glued(target.target, ": ", target.cost.reason, ".")
        for target in run.summary().targets
        if target.cost_usd is None and target.cost.reason
    ]
    return spending_of(known, budget, simulated=run.plan.simulated, reasons=reasons)


def _day(entry: Entry) -> str:
    return DASH if entry.began is None else datetime.fromtimestamp(entry.began, UTC).strftime("%F")


def _of_target(of: OfTarget) -> TargetSpending:
    def value(name: str) -> float | None:
        known = of.figures.get(name)
        return None if known is None else known.value

    return TargetSpending(
        of.requests, value("cost_usd"), value("cost_at_least_usd"), value("prompt_tokens"),
        value("output_tokens"), value("cache_hit_rate"), value("reasoning_share"),
    )  # fmt: skip
