"""What pairs say of one ratio of percentiles: pairs of runs, or blocks of time of one run."""

import math
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, Final

import numpy as np

from holymon.figures.block_ratios import block_ratio
from holymon.figures.blocks import FEWEST_PAIRS
from holymon.figures.effective import autocorrelation, rank_correlation
from holymon.figures.pair_tests import (
    Ratio,
    Result,
    duration_name,
    is_bounded,
    seconds_in_words,
    words,
)
from holymon.figures.quantiles import (
    PERCENTILES,
    Floats,
    fewest,
    mean_interval,
    point,
    student,
)
from holymon.language.said import glued, say
from holymon.structs import Interval

WIDEST: Final = 10.0
"""An interval whose ends are further apart than this factor, with 1 between them, says nothing.

Of a pair of runs of which only one has such a percentile (in the other a failed call has its rank),
the ratio counts as this.
"""

DRIFTS: Final = 0.9
FEWEST_FOR_DRIFT: Final = 4
Pairs = Sequence[tuple[Floats, Floats]]


@dataclass(frozen=True, slots=True)
class HeldAgainst:
    """What a ratio is held against: the smallest `effect` that counts, at a `level` of confidence.

    Without `claims` nothing is.
    """

    effect: float
    level: float
    claims: bool


def ratio_of_runs(pairs: Pairs, metric: str, stat: str, test: HeldAgainst) -> Ratio:
    """From pairs of runs, each of seconds, inf for failed calls: Student's interval over the pairs.

    It is of the mean of the logs of the ratios.
    """
    q = PERCENTILES[stat]
    values = [(_percentile(a, q), _percentile(b, q)) for a, b in pairs]
    known = np.array([(a, b) for a, b in values if a and b and not a == b == math.inf])
    return ratio_of_percentiles(known, metric, stat, test)


def ratio_of_percentiles(
    known: Floats, metric: str, stat: str, test: HeldAgainst, *, neighbours: bool = False
) -> Ratio:  # fmt: skip
    """From pairs of percentiles in seconds, shape (n, 2): as `ratio_of_runs`.

    `neighbours` are pairs that follow one another in time.
    """
    if not len(known):
        return _nothing(metric, stat)
    logs = np.clip(np.log(known[:, 1]) - np.log(known[:, 0]), -math.log(WIDEST), math.log(WIDEST))
    a, b = map(float, np.median(known, axis=0))
    mean, n = float(logs.mean()), len(logs)
    interval = None
    if n >= FEWEST_PAIRS:
        low, high = mean_interval(logs, test.level, neighbours=neighbours)
        interval = (math.exp(low), math.exp(high))
    return _ratio(metric, stat, (a, b), math.exp(mean), interval, n, logs, test)


def ratio_of_blocks(pairs: Pairs, metric: str, stat: str, test: HeldAgainst) -> Ratio:
    """From blocks of one run: the percentiles of the whole run, as in `block_ratios`."""
    q = PERCENTILES[stat]
    pairs = [(a, b) for a, b in pairs if len(a) and len(b)]
    whole = [_percentile(np.concatenate(side), q) for side in zip(*pairs, strict=True)]
    if not whole or None in whole:
        return _nothing(metric, stat)
    first, second = ([pair[k] for pair in pairs] for k in (0, 1))
    run = block_ratio(first, second, q, test.level)
    if run is None:
        return _nothing(metric, stat, say("it is never reached, for so many calls of both fail"))
    interval: Interval | None = None
    if len(pairs) >= FEWEST_PAIRS:
        interval = (_exp(run.interval[0]), _exp(run.interval[1]))
    values, drift = (run.a, run.b), _drift(pairs, q, run.series)
    return _ratio(metric, stat, values, _exp(run.log), interval, len(pairs), run.series, test,
                  widest=WIDEST, drift=drift)  # fmt: skip


def _percentile(values: Floats, q: float) -> float | None:
    """A percentile, inf where a failed call has its rank; None of too few values."""
    return point(np.sort(values), q) if len(values) >= fewest(q) else None


def _exp(log: float) -> float:
    return math.exp(min(log, 700.0)) if log < math.inf else log


def _ratio(
    metric: str, stat: str, values: tuple[float, float], ratio: float, interval: Interval | None,
    n: int, series: Floats, test: HeldAgainst, *, widest: float = math.inf, drift: str = "",
) -> Ratio:  # fmt: skip
    result: Result = "not comparable"
    if interval and test.claims:
        result = _result(ratio, interval, test.effect)
    if interval and interval[0] <= 1 <= interval[1] and interval[1] > widest * interval[0]:
        interval, result = None, "too few blocks"
    a, b = values
    shown = ratio if math.isfinite(a + b) else _of_never(a, b)
    times = say("{a} and {b}", a=seconds_in_words(a), b=seconds_in_words(b))
    times += say(", ratio {shown:.3g}", shown=shown) if math.isfinite(a + b) else ""
    known = interval is not None and is_bounded(interval)
    bounds = (
        say(" ({low:.3g} to {high:.3g})", low=interval[0], high=interval[1])
        if interval and known
        else ""
    )
    text = glued(_what(metric, stat), ": ", times, bounds, ", ", words(result, test.effect))
    return Ratio(
        metric, stat, a, b, shown, interval, n, autocorrelation(series), result, text,
        glued(_what(metric, stat), ": ", drift) * bool(drift),
    )  # fmt: skip


def _of_never(a: float, b: float) -> float | None:
    """The ratio of two percentiles of which at least one is never reached."""
    if math.isinf(a):
        return None if math.isinf(b) else 0.0
    return math.inf


def _nothing(metric: str, stat: str, why: str = "") -> Ratio:
    text = glued(_what(metric, stat), ": ", why or say("no pair has this figure"))
    return Ratio(metric, stat, None, None, None, None, 0, None, "not comparable", text)


def _what(metric: str, stat: str) -> str:
    return duration_name(metric, stat)


def _result(ratio: float, interval: Interval, effect: float) -> Result:
    large = ratio >= 1 + effect or ratio <= 1 / (1 + effect)
    if large and interval[0] > 1:
        return "higher"
    if large and interval[1] < 1:
        return "lower"
    inside = interval[0] >= 1 / (1 + effect) and interval[1] <= 1 + effect
    return "same" if inside else "no difference shown"


def _drift(pairs: Pairs, q: float, series: Floats) -> str:
    """How the ratio is at first and at last, if it goes up or down with time.

    By the rank correlation of the blocks with their order, which by chance is as large in 10 % of
    runs (Student's t of it, Kendall and Stuart 1973, section 31.19).
    """
    n = len(series)
    r = rank_correlation(np.arange(n), series) if n > FEWEST_FOR_DRIFT else None
    if r is None or abs(r) * math.sqrt(n - 2) <= student(n - 2, DRIFTS) * math.sqrt(1 - r * r):
        return ""
    third = max(1, n // 3)
    first, last = (
        [point(np.sort(np.concatenate(side)), q) for side in zip(*some, strict=True)]
        for some in (pairs[:third], pairs[-third:])
    )
    if any(math.isinf(value) for value in (*first, *last)):
        return say("B / A drifts over the run")
    return say(
        "B / A drifts over the run, from {first:.3g} to {last:.3g}",
        first=first[1] / first[0],
        last=last[1] / last[0],
    )


def as_json(ratio: dict[str, Any]) -> dict[str, Any]:
    """A ratio as JSON has it, which knows no inf: null."""
    ends = ratio["interval"]
    known = {
        name: None if value is not None and math.isinf(value) else value
        for name, value in ((name, ratio[name]) for name in ("a", "b", "ratio"))
    }
    bounds = ends and tuple(None if math.isinf(end) else end for end in ends)
    return {**ratio, **known, "interval": bounds}
