"""How many more calls would decide what is not shown: pure arithmetic.

Intervals narrow with the root of the calls, those of a rate as Wilson's does.
"""

import math
from collections.abc import Sequence
from typing import Final

from holymon.figures.migration import Saving
from holymon.figures.quantiles import PERCENTILES, fewest_for_interval, wilson
from holymon.figures.summary_types import TargetSummary
from holymon.figures.verdict import ObjectiveCheck
from holymon.formatting import count
from holymon.language.said import say
from holymon.plan import slo

CLOSE: Final = 100.0
"""What would take so many times the calls is too close to call."""

FEWEST_CALLS: Final = 150
"""As many as make the fewest blocks of time that an interval takes."""


def times_for(check: ObjectiveCheck, target: TargetSummary) -> float:
    """How many times its calls would decide an objective."""
    goal = slo.parse(check.slo)
    value, n = check.value, max(target.requests, 1)
    if check.interval is None or value is None:
        return fewest_for_interval(PERCENTILES.get(goal.stat, 0.5)) / n
    if goal.metric.startswith("error_rate"):
        return _of_rate(value, check.interval, goal, target.error_rate.of)
    end = next((end for end in check.interval if goal.holds(end) != check.met), value)
    return times_to(value, end, goal.limit)


def _of_rate(value: float, ends: tuple[float, float], goal: slo.Slo, n: int) -> float:
    """As `_enough`, of a rate: by Wilson's interval of as many calls as they count for."""
    plain = wilson(value * n, n)
    now = (plain.high or 0) - (plain.low or 0)
    alike = ((ends[1] - ends[0]) / now) ** 2 if now else 1.0
    times = 1.0
    while times <= CLOSE:
        rate = wilson(value * n * times / alike, n * times / alike)
        if goal.holds(rate.low or 0.0) == goal.holds(rate.high or 0.0):
            return times
        times *= 1.05
    return math.inf


def times_to(value: float, end: float, limit: float) -> float:
    """How many times the calls bring an end of an interval to a limit."""
    gap = abs(value - limit)
    return ((end - value) / gap) ** 2 if gap and math.isfinite(end - value) else math.inf


def more_calls(times: Sequence[float], n: int) -> int | None:
    """Calls that are lacking, with two figures; None if they are too many."""
    most = max(max(times, default=1.0), FEWEST_CALLS / max(n, 1))
    if most > CLOSE or not n:
        return None
    return max(int(float(f"{n * (most - 1) * 1.1:.2g}")), 10)


def in_words(more: int | None, n: int, saved: Saving | str) -> str:
    """So many more calls than `n` in a sentence; empty where no number of them tells a price."""
    if isinstance(saved, str) and saved:
        return ""
    if more is None:
        return say("It is too close to call: no reasonable number of calls would decide it")
    if n < FEWEST_CALLS:
        return say(
            "So few calls give no intervals: at least {calls} of each target are needed",
            calls=count(FEWEST_CALLS),
        )
    return say("About {calls} more calls of each target would decide it", calls=count(more))
