"""What pairs of measurements say of one figure: of a percentile, or of the error rate."""

import math
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass, field, replace
from statistics import NormalDist
from typing import Final, Literal

import numpy as np

from holymon.errors import NOT_THE_SERVER
from holymon.figures.all_calls import NEVER
from holymon.figures.quantiles import mean_interval, newcombe
from holymon.formatting import DASH, count, ms, per_cent, percent
from holymon.language.said import Digits, glued, say, vocabulary
from holymon.structs import Interval, Rate

Result = Literal[
    "higher", "lower", "same", "no difference shown", "too few blocks", "not comparable"
]
RESULTS: Final = vocabulary("higher", "lower", "same", "no difference shown", "too few blocks",
                            "not comparable")  # fmt: skip


@dataclass(frozen=True, slots=True)
class Side:
    """How the calls of A or of B in one pair ended: as the summary of its target has it."""

    target: str
    ok: int
    errors: dict[str, int]
    error_rate: Rate
    cost_usd: float | None


@dataclass(frozen=True, slots=True)
class Ratio:
    """One percentile of B over that of A, with the interval that all pairs together give.

    `higher` and `lower`: the interval leaves out 1, and the ratio is at least the minimal effect
    away from it. `same`: the interval lies within the minimal effect. `too few blocks`: those of
    one run leave room for anything, so there is no interval. `a` and `b` are those of the whole
    run in seconds, or the medians over pairs of runs; inf where a failed call has the rank.
    `autocorrelation` is that of successive pairs (lag 1), `drift` how the two drift apart in words.
    """

    metric: str
    stat: str
    a: float | None
    b: float | None
    ratio: float | None
    interval: Interval | None
    pairs: int
    autocorrelation: float | None
    result: Result
    text: str
    drift: str = ""

    @property
    def cells(self) -> tuple[str, ...]:
        """A row of a table: what, A, B, ratio, interval, result."""
        ends = self.interval
        return (
            duration_name(self.metric, self.stat),
            seconds_in_words(self.a), seconds_in_words(self.b),
            DASH if self.ratio is None or not 0 < self.ratio < math.inf else _three(self.ratio),
            glued(_three(ends[0]), DASH, _three(ends[1])) if ends and is_bounded(ends) else DASH,
            RESULTS[self.result],
        )  # fmt: skip

    @property
    def brief(self) -> str:
        """The difference in a few words; the interval is in the table."""
        what, a, b, ratio, *_ = self.cells
        if ratio == DASH:
            return say("{what} {b} instead of {a}", what=what, b=b, a=a)
        return glued(what, " × ", ratio)


def _three(value: float) -> str:
    return Digits(f"{value:.3g}")


def duration_name(metric: str, stat: str) -> str:
    """A percentile as it is shown, such as `latency p50`."""
    names = {"latency_s": say("latency"), "ttft_s": "TTFT"}
    return glued(names.get(metric, metric.removesuffix("_s")), " ", stat)


def is_bounded(ends: Interval) -> bool:
    """Whether both ends are ratios; those of what is never reached are 0 or inf."""
    return ends[0] > 0 and ends[1] < math.inf


def seconds_in_words(seconds: float | None) -> str:
    """A percentile of all calls in milliseconds, or `never`."""
    never = seconds is not None and math.isinf(seconds)
    return NEVER if never else glued(ms(seconds), " ms")


@dataclass(frozen=True, slots=True)
class ErrorDifference:
    """The error rate of B minus that of A, with the wider of two intervals.

    Newcombe's takes calls for independent, and is right for few failures. But failures come in
    bursts (an outage, a rate limit): between a service and itself Newcombe's alone shows a
    difference in 35 to 80 % of comparisons, where 5 % was promised. Student's, over the
    differences of the pairs, knows how much one pair differs from another.

    `types`: how many calls of A and of B ended in each error type, the most frequent first.
    """

    a: Rate
    b: Rate
    difference: float | None
    interval: Interval | None
    result: Result
    text: str
    types: dict[str, tuple[int, int]] = field(default_factory=dict)

    @property
    def cells(self) -> tuple[str, ...]:
        """A row of a table: what, A, B, difference, interval, result."""
        a, b = (percent(rate.value) for rate in (self.a, self.b))
        gap, ends = self.difference, self.interval
        return (
            say("failed"), a, b,
            DASH if gap is None else say("{gap:+.3g} points", gap=gap * 100),
            say("{low:+.3g} to {high:+.3g}", low=ends[0] * 100, high=ends[1] * 100)
            if ends else DASH, RESULTS[self.result],
        )  # fmt: skip

    @property
    def brief(self) -> str:
        """The difference in a few words."""
        _, a, b, *_ = self.cells
        return say("{b} of calls failed instead of {a}", b=b, a=a)

    @property
    def rows(self) -> list[tuple[str, ...]]:
        """A row for each error type, its shares side by side."""
        return [
            (f"– {name}", _share(name, a, self.a.of), _share(name, b, self.b.of), DASH, DASH, "")
            for name, (a, b) in self.types.items()
        ]


def _share(name: str, n: int, of: int) -> str:
    """A count; its share only where it is one of the calls that say something of the API."""
    if not of or name in NOT_THE_SERVER:
        return count(n)
    return glued(count(n), " (", percent(n / of), ")")


def error_difference(
    pairs: list[tuple[Side, Side]],
    level: float,
    *,
    claims: bool,
    neighbours: bool = False,
) -> ErrorDifference:
    """The error rates of all pairs together; the interval is that of `level`."""
    a, b = (_rate([pair[i].error_rate for pair in pairs]) for i in (0, 1))
    gaps = [
        y.error_rate.value - x.error_rate.value
        for x, y in pairs
        if x.error_rate.value is not None and y.error_rate.value is not None
    ]
    judged = difference_of_rates(a, b, gaps, level, claims=claims, neighbours=neighbours)
    return replace(judged, types=_types(pairs)) if judged.interval else judged


def difference_of_rates(
    a: Rate, b: Rate, gaps: Sequence[float], level: float, *, claims: bool, neighbours: bool
) -> ErrorDifference:
    """As `error_difference`, of two rates and of their differences in each pair."""
    z = NormalDist().inv_cdf((1 + level) / 2)
    interval = _interval(gaps, newcombe(a, b, z), level, neighbours=neighbours)
    if interval is None or a.value is None or b.value is None:
        return ErrorDifference(a, b, None, None, "not comparable",
                               say("error rate: nothing to compare"))  # fmt: skip
    gap = b.value - a.value
    result: Result = "no difference shown"
    if not claims:
        result = "not comparable"
    elif interval[0] > 0:
        result = "higher"
    elif interval[1] < 0:
        result = "lower"
    text = say("error rate: {gap:+.3g} points ({low:+.3g} to {high:+.3g}), {result}",
               gap=gap * 100, low=interval[0] * 100, high=interval[1] * 100,
               result=words(result, 0))  # fmt: skip
    return ErrorDifference(a, b, gap, interval, result, text)


def _interval(
    gaps: Sequence[float],
    single: Interval | None,
    level: float,
    *,
    neighbours: bool,
) -> Interval | None:
    """The interval of `single` calls, or what the pairs say of it where that is more."""
    if single is None or len(gaps) < 2:
        return single
    between = mean_interval(np.array(gaps), level, neighbours=neighbours)
    return max(min(single[0], between[0]), -1.0), min(max(single[1], between[1]), 1.0)


def _types(pairs: list[tuple[Side, Side]]) -> dict[str, tuple[int, int]]:
    """How often A and B met each error type, the most frequent first."""
    a, b = (sum((Counter(pair[i].errors) for pair in pairs), Counter[str]()) for i in (0, 1))
    return {name: (a[name], b[name]) for name, _ in (a + b).most_common()}


def _rate(rates: list[Rate]) -> Rate:
    of = sum(rate.of for rate in rates)
    hits = sum(round((rate.value or 0) * rate.of) for rate in rates)
    return Rate(hits / of if of else None, None, None, of)


def words(result: Result, effect: float) -> str:
    """A result in words; `effect` is the smallest relative difference that counts."""
    if result == "same":
        return say("the same within {effect}", effect=_of(effect))
    if result == "no difference shown" and effect:
        return say("no difference of {effect} or more shown", effect=_of(effect))
    return {"higher": say("B is higher"), "lower": say("B is lower")}.get(result, RESULTS[result])


def _of(effect: float) -> str:
    return per_cent(Digits(f"{effect * 100:.3g}"))
