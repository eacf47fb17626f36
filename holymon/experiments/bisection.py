"""Which rate a search for a capacity tries next, within its bounds, or why it has ended. Pure.

    levels so far --> following(levels, bounds) --> the next Step, or a key of capacity.ENDINGS
    double while objectives are met, halve while they are missed, then halve the ratio between,
    then make sure: the highest rate met and the lowest missed for longer, then their neighbours,
    which may take `bounds.again` times what it took to get there

Far from the limit a few calls show on which side of it a rate is, so levels are short there; only
near it they have their full length, and the calls that their objectives need. What each may err
stands in `bounds`.
"""

import math
from collections.abc import Iterator, Sequence
from typing import Final

from holymon.experiments.bounds import Bounds, Step, error_of, fits, time_left
from holymon.experiments.capacity import best_of, latest
from holymon.experiments.load_level import LoadLevel
from holymon.language.said import say

LONGER: Final = 3.0
"""A level that could not tell is measured once more, for so many times as long."""

MOST_OFTEN: Final = 3
"""No rate is measured more often."""

MARGIN: Final = 1.25
"""What a level is said to need is reckoned from itself, and so often too little."""

NEAR: Final = 10.0
"""Near the limit a level lasts for so many memories of its queue."""

PART: Final = 6.0
"""And takes no more than that part of the time that is left, before it is the last one."""

GAP: Final = 3.0
"""Levels farther apart than that many precisions have one between them, to be certain of."""

LOWEST: Final = 64.0
"""The search goes no lower than this part of the rate that it began with."""


def following(levels: Sequence[LoadLevel], bounds: Bounds) -> Step | str:
    """The next step of a search, or, a key of `ENDINGS`, why there is none."""
    step = wanted(levels, bounds)
    return step if isinstance(step, str) or fits(levels, step, bounds) else "budget"


def wanted(levels: Sequence[LoadLevel], bounds: Bounds) -> Step | str:
    """What `following` is if the budget allows it."""
    if not levels:
        return _step(levels, bounds.start, bounds.far(bounds.start))
    last = levels[-1]
    if last.met is None and _often(levels, last.rate) == 1:
        return _step(levels, last.rate, last.seconds)
    best, stops = _ends(levels)
    if len(stops) == 1 and not stops[0].sure and _often(levels, stops[0].rate) == 1:
        longer = max(LONGER * stops[0].seconds, bounds.short(stops[0].rate))
        return _step(levels, stops[0].rate, longer)
    if best is not None and not stops:
        if best.rate < bounds.most:
            higher = min(_round(2 * best.rate), bounds.most)
            return _step(levels, higher, bounds.far(higher))
        return _surer(levels, bounds, best, None) or "all met"
    first = stops[0]
    if best is None:
        lower = _round(first.rate / 2)
        if lower < bounds.start / LOWEST:
            return "none met" if first.met is False else "client"
        return _step(levels, lower, bounds.far(lower))
    if not _near_enough(best, first, bounds):
        rate = _round(math.sqrt(best.rate * first.rate))
        return _step(levels, rate, _near(levels, rate, best, bounds))
    return _surer(levels, bounds, best, first) or ("found" if first.met is False else "client")


def found_s(levels: Sequence[LoadLevel], bounds: Bounds) -> float | None:
    """What it took until the limit lay between two rates as close as asked for; None until then."""
    k = len(levels)
    while k and _is_found(levels[:k], bounds):
        k -= 1
    is_found = k < len(levels)
    return math.fsum(level.took_s for level in levels[: k + 1]) if is_found else None


def _is_found(levels: Sequence[LoadLevel], bounds: Bounds) -> bool:
    best, stops = _ends(levels)
    if best is None:
        return False
    return _near_enough(best, stops[0], bounds) if stops else best.rate >= bounds.most


def _ends(levels: Sequence[LoadLevel]) -> tuple[LoadLevel | None, list[LoadLevel]]:
    """The highest rate met, and those above it that were not, from the lowest on."""
    known = latest(levels)
    best = best_of(known)
    above = [level for level in known if best is None or level.rate > best.rate]
    return best, [level for level in above if level.met is not True]


def _near_enough(best: LoadLevel, first: LoadLevel, bounds: Bounds) -> bool:
    return first.rate <= best.rate * (1 + bounds.precision) * (1 + 1e-9)


def _left(levels: Sequence[LoadLevel], bounds: Bounds) -> float:
    """Seconds of load that a level may have which is to make a limit certain that was found."""
    left = time_left(levels, bounds)
    took = found_s(levels, bounds)
    return left if took is None else left + took + bounds.certainty_s(took) - bounds.budget_s


def _may(levels: Sequence[LoadLevel], step: Step, bounds: Bounds) -> bool:
    return step.seconds <= _left(levels, bounds) and fits(levels, step, bounds)


def _near(levels: Sequence[LoadLevel], rate: float, best: LoadLevel, bounds: Bounds) -> float:
    """Seconds of a level near the limit: for its objectives and its queue, as the budget allows."""
    short = bounds.short(rate)
    good = bounds.calls(error_of(len(levels))) / rate
    good = max(good, NEAR * (best.memory_s or 0.0))
    return max(short, min(good, time_left(levels, bounds) / PART))


def _surer(
    levels: Sequence[LoadLevel], bounds: Bounds, best: LoadLevel, first: LoadLevel | None
) -> Step | None:
    """What to measure next so that the answer is certain; None if nothing can be done.

    First the two that it is made of, once more and longer; then of each side the nearest that the
    budget can make certain, which speaks for all that is farther from the limit.
    """
    for level in filter(None, (best, first)):
        whole = bounds.short(level.rate)
        if (not level.sure or level.seconds < whole) and _often(levels, level.rate) == 1:
            seconds = whole if level.sure else LONGER * max(level.seconds, whole)
            step = _step(levels, level.rate, seconds)
            if _may(levels, step, bounds):
                return step
    known = latest(levels)
    met = [level for level in known[::-1] if level.met and level.rate <= best.rate]
    missed = [level for level in known if level.met is False] if first else []
    ratio = 1 + bounds.precision
    sides = sorted([(met, 1 / ratio), (missed, ratio)], key=lambda side: _any_sure(side[0]))
    share = 1.0 if any(_any_sure(side) for side, _ in sides) else 0.5
    steps = (_side(levels, bounds, side, ratio, share) for side, ratio in sides)
    return next(filter(None, steps), None)


def _side(
    levels: Sequence[LoadLevel], bounds: Bounds, side: Sequence[LoadLevel], ratio: float,
    share: float,
) -> Step | None:  # fmt: skip
    """What would make one side certain; a rate between where its levels are far apart."""
    for k, level in enumerate(_unsure(side)):
        if step := _again(levels, bounds, level, share):
            return step
        if k == 0 and len(side) > 1 and abs(math.log(side[1].rate / level.rate, ratio)) > GAP:
            rate = _round(level.rate * ratio**2)
            step = _step(levels, rate, _near(levels, rate, side[1], bounds))
            if not _often(levels, rate) and _may(levels, step, bounds):
                return step
    return None


def _any_sure(side: Sequence[LoadLevel]) -> bool:
    return any(level.sure for level in side)


def _unsure(side: Sequence[LoadLevel]) -> Iterator[LoadLevel]:
    """Those before the first that is certain: it speaks for what is farther from the limit."""
    for level in side:
        if level.sure:
            return
        yield level


def _again(
    levels: Sequence[LoadLevel], bounds: Bounds, level: LoadLevel, share: float
) -> Step | None:
    """A level of the same rate that may be certain, within that share of what is left."""
    if level.need_s is None or _often(levels, level.rate) >= MOST_OFTEN:
        return None
    most = share * _left(levels, bounds)
    seconds = max(min(level.need_s * MARGIN, most), 2 * level.seconds)
    step = _step(levels, level.rate, seconds)
    worth = level.need_s / 2 <= seconds <= most
    return step if worth and _may(levels, step, bounds) else None


def _step(levels: Sequence[LoadLevel], rate: float, seconds: float) -> Step:
    return Step(rate, seconds, error_of(len(levels)))


def _often(levels: Sequence[LoadLevel], rate: float) -> int:
    return sum(level.rate == rate for level in levels)


def _round(rate: float) -> float:
    """Three figures: nobody wants to read more."""
    return float(f"{rate:.3g}")


def needs(levels: Sequence[LoadLevel], bounds: Bounds) -> tuple[str, ...]:
    """What a search that has ended would need to go on, or to be certain, in sentences."""
    known = latest(levels)
    best = best_of(known)
    limit = next((level for level in known if level.met is False), None)
    unsure = [level for level in (best, limit) if level and not level.sure]
    sentences = [_to_go_on(levels, bounds), *map(_to_be_sure, unsure)]
    return tuple(filter(None, sentences))


def _to_go_on(levels: Sequence[LoadLevel], bounds: Bounds) -> str:
    step = wanted(levels, bounds)
    if isinstance(step, str) or fits(levels, step, bounds):
        return ""
    calls = math.ceil(step.rate * step.seconds)
    text = say(
        "next would be {rate:g} calls/s for {seconds:.3g} s ({calls:,} calls)",
        rate=step.rate,
        seconds=step.seconds,
        calls=calls,
    )
    if step.seconds > (left := time_left(levels, bounds)):
        return say(
            "{text}: that takes a budget of {budget:.0f} s.",
            text=text,
            budget=bounds.budget_s + step.seconds - left,
        )
    return say("{text}: that takes more calls, or more money, than are allowed.", text=text)


def _to_be_sure(level: LoadLevel) -> str:
    what = say("to be certain that {rate:g} calls/s are too many", rate=level.rate)
    if level.met:
        what = say("to be certain that {rate:g} calls/s are met", rate=level.rate)
    if level.need_s is None:
        return say("{what} is hardly possible: that is too close to the limit.", what=what)
    calls = _round(level.rate * level.need_s)
    return say(
        "{what} takes a level of about {need:.3g} s ({calls:,.0f} calls).",
        what=what,
        need=level.need_s,
        calls=calls,
    )
