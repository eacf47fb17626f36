"""How many calls missed an objective that a share of calls may miss: what error budgets count.

The Site Reliability Workbook (2018, chapter 2) takes good events over valid ones; here a call is
an event, one that failed or took longer than a percentile's limit a bad one.
"""

from collections.abc import Iterable
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from holymon.errors import CODES
from holymon.figures.quantiles import Floats
from holymon.plan.slo import Slo
from holymon.records.attempt import JUDGED
from holymon.records.chosen import Chosen


@dataclass(frozen=True, slots=True)
class Events:
    """So many `bad` calls, of those that an objective is about."""

    bad: int
    valid: int


def slo_events(
    rows: Chosen, seconds: dict[str, Floats], objectives: Iterable[Slo]
) -> dict[str, Events]:
    """The events of each objective that has an error budget, by its text.

    `seconds` are those of each of the rows, by `durations`: inf for a call that failed.
    """
    return {
        objective.text: _events(rows, seconds, objective)
        for objective in objectives if objective.allowed is not None
    }  # fmt: skip


def _events(rows: Chosen, seconds: dict[str, Floats], objective: Slo) -> Events:
    error = rows["error"]
    bad: npt.NDArray[np.bool_]
    if objective.stat:
        took = seconds[objective.metric]
        valid = ~np.isnan(took) & ((error == 0) | (not objective.of_successes))
        bad = ~(took < objective.limit) if objective.op == "<" else ~(took <= objective.limit)
    else:
        valid, bad = JUDGED[error], error != 0
        if objective.metric == "error_rate_without_429":
            valid = valid & (error != CODES["rate_limited"])
    return Events(int((valid & bad).sum()), int(valid.sum()))
