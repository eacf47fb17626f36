"""Go, no-go or not shown: a candidate held against the objectives and the least saving, in words.

Go is said only where the whole interval of the saving is at or above the least one, and every
objective is met for certain; no-go where one of them is missed for certain, or the whole interval
of the saving is below. All else is not shown, and `more` is how many calls of each target would
probably decide: intervals narrow with the root of the calls, those of a rate as Wilson's does.
"""

import math
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Final, Literal

from holymon.figures.bills import Amount
from holymon.figures.comparison import Comparison
from holymon.figures.migration import Move, Saving
from holymon.figures.pair_tests import Ratio
from holymon.figures.quantiles import PERCENTILES, fewest_for_interval, wilson
from holymon.figures.summary_types import TargetSummary
from holymon.figures.verdict import ObjectiveCheck
from holymon.formatting import percent, rounded
from holymon.plan import slo

Decision = Literal["go", "no-go", "not shown"]

CLOSE: Final = 100.0
"""What would take so many times the calls is too close to call."""

ORDER: Final = (("latency_s", "p95"), ("ttft_s", "p95"), ("latency_s", "p50"), ("ttft_s", "p50"))
"""What is said first of speed: what users complain of."""

CHEAPER: Final = "{name} is cheaper by {share} ({low} to {high})"
CHEAPER_SLOWER: Final = (
    "{name} is cheaper by {share} ({low} to {high}), but slower at {what} by {slow_low} to "
    "{slow_high}"
)
CHEAPER_FASTER: Final = (
    "{name} is cheaper by {share} ({low} to {high}), and faster at {what} by {slow_low} to "
    "{slow_high}"
)
DEARER: Final = "{name} is dearer by {share} ({low} to {high})"
TOO_LITTLE: Final = "{name} saves {share} ({low} to {high}), and at least {least} are wanted"
OPEN_SAVING: Final = "Whether {name} saves {least} is not shown: it saves {share} ({low} to {high})"
NO_INTERVAL: Final = "{name} saves {share}, but so few calls give no interval"
UNKNOWN: Final = "What {name} would save is not known: {why}"
NOTHING: Final = "{name} can save nothing: {baseline} costs nothing"
MET: Final = "{name} meets {goal}"
MISSED: Final = "{name} misses {goal}: it is {figure}"
BOTH_MISS: Final = "{name} misses {goal}: it is {figure}; {baseline} misses it, too"
OPEN_GOAL: Final = "Whether {name} meets {goal} is not shown: it is {figure}"
NO_FIGURE: Final = "Whether {name} meets {goal} is not known: there is no such figure"
SLOWER: Final = "{name} is slower at {what} by {slow_low} to {slow_high}"
FASTER: Final = "{name} is faster at {what} by {slow_low} to {slow_high}"
NEVER: Final = "So many calls of {name} fail that {what} is never reached"
FAILS_MORE: Final = "{name} fails more often: {b} of calls instead of {a}"
FAILS_LESS: Final = "{name} fails less often: {b} of calls instead of {a}"
INVALID: Final = "Nothing is claimed, for the measurement is invalid: {why}"
MORE: Final = "About {calls} more calls of each target would decide it"
TOO_CLOSE: Final = "It is too close to call: no reasonable number of calls would decide it"
TOO_FEW: Final = "So few calls give no intervals: at least {calls} of each target are needed"
FEWEST_CALLS: Final = 150


@dataclass(frozen=True, slots=True)
class Judged:
    """A decision with its reasons as sentences; `more` calls of each target would decide it.

    `more` is 0 where it is decided, None where no reasonable number would.
    """

    decision: Decision
    line: str
    reasons: tuple[str, ...]
    more: int | None = 0


@dataclass(frozen=True, slots=True)
class _Point:
    """What one thing that is held against something says; `times` the calls would decide it."""

    text: str
    met: bool | None
    times: float = 1.0


def decide(
    target: TargetSummary, baseline: TargetSummary, saved: Saving | str, move: Move,
    goals: Sequence[tuple[ObjectiveCheck, ObjectiveCheck]], comparison: Comparison,
    invalid: Sequence[str] = (),
) -> Judged:  # fmt: skip
    """What the measurement says of a candidate.

    `saved` is what it saves, or why that is not known. `goals` are the objectives as held against
    the candidate and against the baseline, `invalid` what speaks against the client.
    """
    name = target.target
    if invalid:
        reasons = tuple(INVALID.format(why=why) for why in invalid)
        return Judged("not shown", reasons[0], reasons, None)
    money = _of_saving(name, baseline.target, saved, move, comparison)
    points = [money, *(_of_goal(*pair, target) for pair in goals)]
    known = [point.met for point in points]
    decision: Decision = "no-go" if False in known else "not shown" if None in known else "go"
    sentences = [point.text for point in sorted(points, key=lambda point: _rank(point, decision))]
    sentences += [text for text in _beside(name, comparison, saved) if text != money.text]
    more: int | None = 0
    if decision == "not shown":
        more = _more([point.times for point in points if point.met is None], target.requests)
        sentences.append(_of_more(more, target.requests, saved))
    line = next((point.text for point in points if point.met is False), money.text)
    if decision == "not shown":
        line = next(point.text for point in points if point.met is None)
    return Judged(decision, line, tuple(dict.fromkeys(filter(None, sentences))), more)


def _rank(point: _Point, decision: Decision) -> int:
    """What decided comes first."""
    deciding = {"go": True, "no-go": False, "not shown": None}[decision]
    return 0 if point.met is deciding else 1


def _of_saving(
    name: str, baseline: str, saved: Saving | str, move: Move, comparison: Comparison
) -> _Point:
    if isinstance(saved, str):
        if not saved:
            return _Point(NOTHING.format(name=name, baseline=baseline), met=False)
        return _Point(UNKNOWN.format(name=name, why=saved), None, math.inf)
    share, least = saved.share, move.min_saving
    if share.low is None or share.high is None:
        return _Point(NO_INTERVAL.format(name=name, share=percent(share.value)), None)
    words = {"name": name, "share": percent(share.value), "low": _number(share.low),
             "high": percent(share.high), "least": percent(least)}  # fmt: skip
    if share.low >= least and share.low > 0:
        return _Point(_cheaper(words, comparison), met=True)
    if share.high < 0:
        dearer = {"share": percent(-share.value), "low": _number(-share.high),
                  "high": percent(-share.low)}  # fmt: skip
        return _Point(DEARER.format(**{**words, **dearer}), met=False)
    if share.high < least or share.high <= 0:
        return _Point(TOO_LITTLE.format(**words), met=False)
    end = share.low if share.value >= least else share.high
    return _Point(OPEN_SAVING.format(**words), None, _times(share.value, end, least))


def _cheaper(words: dict[str, str], comparison: Comparison) -> str:
    """That it is cheaper, and what that is bought with, if anything is."""
    ratio = _first(comparison, "higher") or _first(comparison, "lower")
    if ratio is None:
        return CHEAPER.format(**words)
    form = CHEAPER_SLOWER if ratio.result == "higher" else CHEAPER_FASTER
    return form.format(**words, **_by(ratio))


def _number(share: float) -> str:
    """A share as the first of two in per cent, whose sign comes with the second."""
    return percent(share).removesuffix(" %")


def _first(comparison: Comparison, result: str) -> Ratio | None:
    """The difference of speed that is said first, of those with such a result."""
    known = {(ratio.metric, ratio.stat): ratio for ratio in comparison.ratios
             if ratio.result == result and _bounded(ratio)}  # fmt: skip
    return next((known[key] for key in ORDER if key in known), None)


def _bounded(ratio: Ratio) -> bool:
    return ratio.interval is not None and ratio.interval[0] > 0 and ratio.interval[1] < math.inf


def _by(ratio: Ratio) -> dict[str, str]:
    """By how much it is slower or faster, in words."""
    assert ratio.interval is not None
    low, high = (abs(end - 1) for end in ratio.interval)
    if ratio.result == "lower":
        low, high = high, low
    return {"what": ratio.cells[0], "slow_low": _number(low), "slow_high": percent(high)}


def _beside(name: str, comparison: Comparison, saved: Saving | str) -> list[str]:
    """What else is shown of its speed and its failures."""
    cheaper = not isinstance(saved, str) and (saved.share.low or 0) > 0
    headed = (_first(comparison, "higher") or _first(comparison, "lower")) if cheaper else None
    sentences = []
    for ratio in comparison.ratios:
        if ratio.result not in {"higher", "lower"} or ratio is headed:
            continue
        form = SLOWER if ratio.result == "higher" else FASTER
        if _bounded(ratio):
            sentences.append(form.format(name=name, **_by(ratio)))
        elif ratio.result == "higher":
            sentences.append(NEVER.format(name=name, what=ratio.cells[0]))
    errors = comparison.errors
    if errors.result in {"higher", "lower"}:
        form = FAILS_MORE if errors.result == "higher" else FAILS_LESS
        a, b = (percent(rate.value) for rate in (errors.a, errors.b))
        sentences.append(form.format(name=name, a=a, b=b))
    return sentences


def _of_goal(check: ObjectiveCheck, of_baseline: ObjectiveCheck, target: TargetSummary) -> _Point:
    """What an objective says, and how many times the calls would make that sure."""
    words = {"name": check.target, "goal": check.slo, "figure": check.figure,
             "baseline": of_baseline.target}  # fmt: skip
    if check.met is None or check.value is None:
        return _Point(NO_FIGURE.format(**words), None, _enough(check, target))
    if check.sure and check.met:
        return _Point(MET.format(**words), met=True)
    if check.sure:
        both = of_baseline.met is False and of_baseline.sure
        return _Point((BOTH_MISS if both else MISSED).format(**words), met=False)
    return _Point(OPEN_GOAL.format(**words), None, _enough(check, target))


def _enough(check: ObjectiveCheck, target: TargetSummary) -> float:
    """How many times its calls would decide an objective."""
    goal = slo.parse(check.slo)
    value, n = check.value, max(target.requests, 1)
    if check.interval is None or value is None:
        return fewest_for_interval(PERCENTILES.get(goal.stat, 0.5)) / n
    if goal.metric.startswith("error_rate"):
        return _of_rate(value, check.interval, goal, target.error_rate.of)
    end = next((end for end in check.interval if goal.holds(end) != check.met), value)
    return _times(value, end, goal.limit)


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


def _times(value: float, end: float, limit: float) -> float:
    """How many times the calls bring an end of an interval to a limit."""
    gap = abs(value - limit)
    return ((end - value) / gap) ** 2 if gap and math.isfinite(end - value) else math.inf


def _more(times: Sequence[float], n: int) -> int | None:
    """Calls that are lacking, with two figures; None if they are too many."""
    most = max(max(times, default=1.0), FEWEST_CALLS / max(n, 1))
    if most > CLOSE or not n:
        return None
    return max(int(float(f"{n * (most - 1) * 1.1:.2g}")), 10)


def _of_more(more: int | None, n: int, saved: Saving | str) -> str:
    if isinstance(saved, str) and saved:
        return ""  # no number of calls tells a price
    if more is None:
        return TOO_CLOSE
    if n < FEWEST_CALLS:
        return TOO_FEW.format(calls=f"{FEWEST_CALLS:,}")
    return MORE.format(calls=f"{more:,}")


def earned(amount: Amount | None) -> str:
    """A break-even in months, in words, with its interval."""
    if amount is None:
        return "never"
    if amount.value == 0:
        return "at once"
    if amount.low is None and amount.high is None:
        return f"{rounded(amount.value, 3)} months"
    high = "never" if amount.high is None else rounded(amount.high, 3)
    return f"{rounded(amount.value, 3)} months ({rounded(amount.low, 3)} to {high})"
