"""Which of several targets is best and which is worst at a figure, where a difference is shown.

It is shown where the 95 % interval of one lies apart from those of all others, which is more than a
test at 5 % asks for. Percentiles are those of all calls: whoever fails is not the quicker one.
"""

import math
from collections.abc import Sequence
from typing import Final, Literal

from holymon.figures.summary_types import TargetSummary
from holymon.language.said import vocabulary
from holymon.structs import Interval

Place = Literal["best", "worst", ""]
PLACES: Final = vocabulary("best", "worst", "")
"""How they are shown."""
KEY: Final = (("latency_s", "p50"), ("latency_s", "p95"), ("ttft_s", "p50"), ("ttft_s", "p95"))


def standing(ends: Sequence[Interval | None]) -> list[Place]:
    """The place of each by the intervals of a figure of which less is better, in their order.

    None is what is not known: it has no place, and leaves the others theirs.
    """
    places: list[Place] = ["" for _ in ends]
    known = [(interval, k) for k, interval in enumerate(ends) if interval is not None]
    if len(known) < 2:
        return places
    low, best = min(known, key=lambda pair: pair[0][1])
    high, worst = max(known, key=lambda pair: pair[0][0])
    if all(low[1] < interval[0] for interval, k in known if k != best):
        places[best] = "best"
    if all(high[0] > interval[1] for interval, k in known if k != worst):
        places[worst] = "worst"
    return places


def of_percentile(targets: Sequence[TargetSummary], metric: str, stat: str) -> list[Place]:
    """The places of targets by a percentile of all calls, such as `latency_s` and `p95`."""
    ends: list[Interval | None] = []
    for target in targets:
        figure = getattr(target.of_all, metric).figure
        value, interval = getattr(figure, stat), figure.ci.get(stat)
        never = value is not None and math.isinf(value)
        ends.append((math.inf, math.inf) if never and interval is None else interval)
    return standing(ends)


def of_failures(targets: Sequence[TargetSummary]) -> list[Place]:
    """The places of targets by the share of their calls that failed."""
    rates = [target.error_rate for target in targets]
    return standing([None if r.low is None or r.high is None else (r.low, r.high) for r in rates])
