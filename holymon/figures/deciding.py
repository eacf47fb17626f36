"""Go, no-go or not shown: a candidate held against the objectives and the least saving, in words.

Go is said only where the whole interval of the saving is at or above the least one, and every
objective is met for certain; no-go where one of them is missed for certain, or the whole interval
of the saving is below. All else is not shown.
"""

import math
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Final, Literal

from holymon.figures.bills import Amount
from holymon.figures.comparison import Comparison
from holymon.figures.migration import Saving, Stated
from holymon.figures.more_calls import in_words, more_calls, times_for, times_to
from holymon.figures.pair_tests import Ratio
from holymon.figures.summary_types import TargetSummary
from holymon.figures.verdict import ObjectiveCheck
from holymon.formatting import DASH, hundredths, percent, rounded
from holymon.language.said import glued, say

Decision = Literal["go", "no-go", "not shown"]


ORDER: Final = (("latency_s", "p95"), ("ttft_s", "p95"), ("latency_s", "p50"), ("ttft_s", "p50"))
"""What is said first of speed: what users complain of."""


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
    target: TargetSummary, baseline: TargetSummary, saved: Saving | str, move: Stated,
    goals: Sequence[tuple[ObjectiveCheck, ObjectiveCheck]], comparison: Comparison,
    invalid: Sequence[str] = (),
) -> Judged:  # fmt: skip
    """What the measurement says of a candidate.

    `saved` is what it saves, or why that is not known. `goals` are the objectives as held against
    the candidate and against the baseline, `invalid` what speaks against the client.
    """
    name = target.target
    if invalid:
        reasons = tuple(
            say("Nothing is claimed, for the measurement is invalid: {why}", why=why)
            for why in invalid
        )
        return Judged("not shown", reasons[0], reasons, None)
    money = _of_saving(name, baseline.target, saved, move, comparison)
    points = [money, *(_of_goal(*pair, target) for pair in goals)]
    known = [point.met for point in points]
    decision: Decision = "no-go" if False in known else "not shown" if None in known else "go"
    sentences = [point.text for point in sorted(points, key=lambda point: _rank(point, decision))]
    sentences += [text for text in _beside(name, comparison, saved) if text != money.text]
    more: int | None = 0
    if decision == "not shown":
        more = more_calls([point.times for point in points if point.met is None], target.requests)
        sentences.append(in_words(more, target.requests, saved))
    line = next((point.text for point in points if point.met is False), money.text)
    if decision == "not shown":
        line = next(point.text for point in points if point.met is None)
    return Judged(decision, line, tuple(dict.fromkeys(filter(None, sentences))), more)


def _rank(point: _Point, decision: Decision) -> int:
    """What decided comes first."""
    deciding = {"go": True, "no-go": False, "not shown": None}[decision]
    return 0 if point.met is deciding else 1


def _of_saving(
    name: str, baseline: str, saved: Saving | str, move: Stated, comparison: Comparison
) -> _Point:
    if isinstance(saved, str):
        if not saved:
            return _Point(
                say(
                    "{name} can save nothing: {baseline} costs nothing",
                    name=name,
                    baseline=baseline,
                ),
                met=False,
            )
        return _Point(
            say("What {name} would save is not known: {why}", name=name, why=saved), None, math.inf
        )
    share, least = saved.share, move.min_saving
    if share.low is None or share.high is None:
        return _Point(
            say(
                "{name} saves {share}, but so few calls give no interval",
                name=name,
                share=percent(share.value),
            ),
            None,
        )
    words = {"name": name, "share": percent(share.value), "low": hundredths(share.low),
             "high": percent(share.high), "least": percent(least)}  # fmt: skip
    if share.low >= least and share.low > 0:
        return _Point(_cheaper(words, comparison), met=True)
    if share.high < 0:
        dearer = {"share": percent(-share.value), "low": hundredths(-share.high),
                  "high": percent(-share.low)}  # fmt: skip
        return _Point(
            say("{name} is dearer by {share} ({low} to {high})", **{**words, **dearer}), met=False
        )
    if share.high < least or share.high <= 0:
        return _Point(
            say("{name} saves {share} ({low} to {high}), and at least {least} are wanted", **words),
            met=False,
        )
    end = share.low if share.value >= least else share.high
    return _Point(
        say(
            "Whether {name} saves {least} is not shown: it saves {share} ({low} to {high})", **words
        ),
        None,
        times_to(share.value, end, least),
    )


def _cheaper(words: dict[str, str], comparison: Comparison) -> str:
    """That it is cheaper, and what that is bought with, if anything is."""
    ratio = _first(comparison, "higher") or _first(comparison, "lower")
    if ratio is None:
        return say("{name} is cheaper by {share} ({low} to {high})", **words)
    words = {**words, **_by(ratio)}
    if ratio.result == "higher":
        return say(
            "{name} is cheaper by {share} ({low} to {high}), but slower at {what} by {slow_low} to "
            "{slow_high}",
            **words,
        )
    return say(
        "{name} is cheaper by {share} ({low} to {high}), and faster at {what} by {slow_low} to "
        "{slow_high}",
        **words,
    )


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
    return {"what": ratio.cells[0], "slow_low": hundredths(low), "slow_high": percent(high)}


def _beside(name: str, comparison: Comparison, saved: Saving | str) -> list[str]:
    """What else is shown of its speed and its failures."""
    cheaper = not isinstance(saved, str) and (saved.share.low or 0) > 0
    headed = (_first(comparison, "higher") or _first(comparison, "lower")) if cheaper else None
    sentences: list[str] = []
    for ratio in comparison.ratios:
        if ratio.result not in {"higher", "lower"} or ratio is headed:
            continue
        if _bounded(ratio) and ratio.result == "higher":
            sentences.append(
                say(
                    "{name} is slower at {what} by {slow_low} to {slow_high}",
                    name=name,
                    **_by(ratio),
                )
            )
        elif _bounded(ratio):
            sentences.append(
                say(
                    "{name} is faster at {what} by {slow_low} to {slow_high}",
                    name=name,
                    **_by(ratio),
                )
            )
        elif ratio.result == "higher":
            sentences.append(
                say(
                    "So many calls of {name} fail that {what} is never reached",
                    name=name,
                    what=ratio.cells[0],
                )
            )
    errors = comparison.errors
    if errors.result in {"higher", "lower"}:
        words = {"name": name, "a": percent(errors.a.value), "b": percent(errors.b.value)}
        more = say("{name} fails more often: {b} of calls instead of {a}", **words)
        less = say("{name} fails less often: {b} of calls instead of {a}", **words)
        sentences.append(more if errors.result == "higher" else less)
    return sentences


def _of_goal(check: ObjectiveCheck, of_baseline: ObjectiveCheck, target: TargetSummary) -> _Point:
    """What an objective says, and how many times the calls would make that sure."""
    words = {"name": check.target, "goal": check.slo, "figure": check.figure,
             "baseline": of_baseline.target}  # fmt: skip
    if check.met is None or check.value is None:
        return _Point(
            say("Whether {name} meets {goal} is not known: there is no such figure", **words),
            None,
            times_for(check, target),
        )
    if check.sure and check.met:
        return _Point(say("{name} meets {goal}", **words), met=True)
    if check.sure:
        both = of_baseline.met is False and of_baseline.sure
        if both:
            return _Point(
                say("{name} misses {goal}: it is {figure}; {baseline} misses it, too", **words),
                met=False,
            )
        return _Point(say("{name} misses {goal}: it is {figure}", **words), met=False)
    return _Point(
        say("Whether {name} meets {goal} is not shown: it is {figure}", **words),
        None,
        times_for(check, target),
    )


def earned(amount: Amount | None) -> str:
    """A break-even in months, in words."""
    if amount is None:
        return say("never reached")
    if amount.value == 0:
        return say("at once")
    return say("{months} months", months=rounded(amount.value))


def between(amount: Amount | None) -> str:
    """Between which months the break-even lies; empty without an interval."""
    if amount is None or amount.low is None or not amount.value:
        return ""
    high = say("never") if amount.high is None else rounded(amount.high)
    return glued(rounded(amount.low), DASH, high)
