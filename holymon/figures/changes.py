"""What changed from run to run of one target: each change of a figure in a sentence, with its run.

line(figure, ...)                     a figure over the runs, on a scale where noise is even
courses(lines)                        the steps of all figures of a target
since(lines, when) / beside(lines, run_id)    what is different at the last run, and what would
                                      have been found of the rest
"""

import math
from collections.abc import Iterable, Sequence
from itertools import pairwise
from typing import Any, Final, NamedTuple

import numpy as np

from holymon.figures.change import KINDS, SHARE, Change, Least
from holymon.figures.level_model import Floats, OverRuns, Regression, StepSize, seasons
from holymon.figures.quantiles import Z95
from holymon.figures.shifts import Course, walk
from holymon.formatting import ms

TOGETHER: Final = ("latency_p50", "latency_p95", "ttft_p50", "ttft_p95")
"""Figures that move together: their mean shows a step before each of them does."""
SMALLEST: Final = math.log(1.05)
"""A change by less than 5 % is no news, nor one of the failures that is less than SMALLEST_SHARE on
the scale of arcsines: from 0 to about 0.1 % of calls."""
SMALLEST_SHARE: Final = 0.03
UNKNOWN_ERROR: Final = 0.15
UNKNOWN_ERROR_OF_COST: Final = 0.03
BEYOND: Final = 1e15
"""No figure of a run is as large, nor as small as its inverse: somebody else wrote it."""
POWER: Final = 0.8416
"""So many standard errors beyond the limit, a change is found four times out of five."""


class Line(NamedTuple):
    """One figure of one target over its runs, oldest first; arrays of shape (n,)."""

    figure: str
    target: str
    ids: tuple[str, ...]
    value: Floats
    requests: Floats
    runs: OverRuns


class Findings(NamedTuple):
    """What is different at the last run of a target, and what would have been found."""

    changes: tuple[Change, ...]
    least: tuple[Least, ...]


def line(
    figure: str, target: str, ids: Sequence[str], at: Floats, value: Floats, low: Floats,
    high: Floats, requests: Floats,
) -> Line:  # fmt: skip
    """A figure over the runs in which it is known, as numbers that can be reckoned with.

    `low` and `high`, of shape (n,) like the others, may be NaN. Failures are taken by Anscombe's
    arcsine (1948), all else by its logarithm, so that noise is as wide whatever the level.
    """
    share = figure == SHARE
    keep = np.isfinite(value) & np.isfinite(at) & (requests > 0) & (requests < BEYOND)
    keep &= (value >= 0) & (value <= 1) if share else (value > 1 / BEYOND) & (value < BEYOND)
    ids = tuple(run_id for run_id, kept in zip(ids, keep, strict=True) if kept)
    at, value, low, high, n = (x[keep] for x in (at, value, low, high, requests))
    if share:
        y = np.arcsin(np.sqrt((value * n + 0.375) / (n + 0.75)))
        return Line(figure, target, ids, value, n, OverRuns(at, y, 0.5 / np.sqrt(n)))
    with np.errstate(all="ignore"):
        error = np.log(high / low) / (2 * Z95)
    known = np.isfinite(error) & (error >= 0)
    usual = np.median(error[known]) if known.any() else _error(figure)
    error = np.where(known, np.minimum(error, 1.0), usual)
    return Line(figure, target, ids, value, n, OverRuns(at, np.log(value), error))


def _error(figure: str) -> float:
    """The standard error of a figure in a run of which none is known, as of p99 of 100 calls."""
    if KINDS[figure].shown is ms:
        return UNKNOWN_ERROR
    return UNKNOWN_ERROR_OF_COST if figure == "cost_per_call" else 0.0


def courses(lines: Iterable[Line]) -> list[tuple[Line, Course]]:
    """The steps of each figure of one target; those of answers' times help one another to show."""
    lines = list(lines)
    ids = next((each.ids for each in lines if each.figure in TOGETHER), ())
    moving = [each for each in lines if each.figure in TOGETHER and each.ids == ids]
    hints: dict[int, int] = {}
    if len(moving) > 1:
        y = np.mean([each.runs.y for each in moving], 0)
        error = np.sqrt(np.mean([each.runs.error**2 for each in moving], 0))
        together = walk(OverRuns(moving[0].runs.at, y, error), SMALLEST)
        hints = {shift.shown_at: shift.since for shift in together.shifts}
    return [(each, walk(each.runs, _smallest(each), _hints(each, ids, hints))) for each in lines]


def _hints(each: Line, ids: tuple[str, ...], hints: dict[int, int]) -> dict[int, int]:
    return hints if each.figure.startswith(("latency", "ttft")) and each.ids == ids else {}


def _smallest(each: Line) -> float:
    return SMALLEST_SHARE if each.figure == SHARE else SMALLEST


def since(lines: Iterable[Line], run_id: str, when: float) -> Findings:
    """What is different at the last run, named, from what was usual at the first after `when`.

    A change that was taken back since is none.
    """
    changes, least = [], []
    for each, course in courses(lines):
        levels, n = course.levels, len(course.levels)
        if n < 2 or each.ids[-1] != run_id or each.runs.at[-2] < when:
            continue
        first = int(np.argmax(each.runs.at >= when))
        model = Regression.of(each.runs, levels, seasons(each.runs.at))
        path: dict[int, int] = {}
        for place in range(first, n):
            level = int(levels[place])
            while level in path and next(reversed(path)) != level:
                path.popitem()
            path.setdefault(level, place)
        steps = list(path.items())
        for (before, _), (level, place) in pairwise(steps):
            changes.append(_change(each, model.between(level, before), place, levels == before))
        if len(steps) == 1:
            (step,) = model.steps(n - 1, 0)
            least += _least(each, step)
    return Findings(tuple(changes), tuple(least))


def beside(lines: Iterable[Line], run_id: str, reference: str) -> Findings:
    """What is different at the last run, named, from one run before, by the spread of all runs."""
    changes, least = [], []
    for each, course in courses(lines):
        n = len(course.levels)
        if each.ids[-1:] != (run_id,) or reference not in each.ids[:-1]:
            continue
        levels, place = course.levels.copy(), each.ids.index(reference)
        rest = int(levels.max()) + 1
        levels[place], levels[-1] = rest, rest + 1
        model = Regression.of(each.runs, levels, seasons(each.runs.at))
        step = model.between(rest + 1, rest)
        if step.shown and abs(step.size) >= _smallest(each):
            changes.append(_change(each, step, n - 1, levels == rest))
        else:
            least += _least(each, step)
    return Findings(tuple(changes), tuple(least))


def steps(each: Line, course: Course) -> list[Change]:
    """All changes of a figure over its runs, also those that were taken back."""
    levels = course.levels
    places = [*(np.flatnonzero(np.diff(levels)) + 1).tolist(), len(levels)]
    if len(places) == 1:
        return []
    model = Regression.of(each.runs, levels, seasons(each.runs.at))
    return [
        _change(each, model.between(int(levels[place]), int(levels[place - 1])), place,
                levels == levels[place - 1], until)
        for place, until in pairwise(places)
    ]  # fmt: skip


def _change(
    each: Line, step: StepSize, place: int, before: Any, until: int | None = None
) -> Change:  # fmt: skip
    """A change that began with the run at a place, and lasts until another, from those `before`."""
    then = slice(place, until)
    half = Z95 * step.error
    if each.figure == SHARE:
        usual, now = (_pooled(each, which) for which in (before, then))
        ends = tuple(_share(_arc(usual) + step.size + sign * half) - usual for sign in (-1, 1))
        ratio = now / usual if usual else None
    else:
        now = math.exp(float(each.runs.y[then].mean()))
        ratio = math.exp(step.size)
        usual = now / ratio
        ends = tuple(math.exp(step.size + sign * half) for sign in (-1, 1))
    return Change(each.figure, each.target, usual, now, ratio, (ends[0], ends[1]), each.ids[place])


def _least(each: Line, step: StepSize) -> list[Least]:
    size = max((step.limit + POWER) * step.error, _smallest(each))
    if each.figure == SHARE:
        usual = _pooled(each, slice(0, -1))
        size = _share(_arc(usual) + size) - usual
    else:
        size = math.exp(size) - 1 if KINDS[each.figure].worse_up else 1 - math.exp(-size)
    return [Least(each.figure, each.target, size)]


def _pooled(each: Line, which: Any) -> float:
    n = each.requests[which]
    return float((each.value[which] * n).sum() / n.sum())


def _arc(share: float) -> float:
    return math.asin(math.sqrt(share))


def _share(arc: float) -> float:
    return math.sin(min(max(arc, 0.0), math.pi / 2)) ** 2
