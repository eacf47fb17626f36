"""Steps in the level of a figure from run to run, each with the run that began it.

    walk(runs, smallest)    the course over all runs: each is judged by those before it only

Each run is tested as the last of up to 12 that may have moved together: by the size of the step in
a regression on the levels so far and on what comes back each day and each week, whose errors have a
memory that is estimated from them (Tsay 1988, "Outliers, level shifts, and variance changes in time
series", J. Forecasting 7), with a prior for the spread. What looks back over a whole series, such
as E-divisive (Apache Otava) or PELT (ruptures), knows neither day nor memory and needs several runs
behind a step, where a report is to tell of the first: tests/bench/history.py has them beside it.
"""

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Final, NamedTuple

import numpy as np

from holymon.figures.level_model import Floats, Labels, OverRuns, Regression, seasons

BACK: Final = 12
"""So many runs back a step is looked for that did not show at once."""
EXACT: Final = 36
"""From so many runs on, a step is tested for only where the last ones stir."""
STIR: Final = 2.0
"""Standard errors that make a stir."""
ALIKE: Final = 2.5
"""A level that differs by fewer standard errors from one of before is that one again."""


class LevelShift(NamedTuple):
    """A step: the run that began it, and the run at which it showed, by their places."""

    since: int
    shown_at: int


@dataclass
class Course:
    """What a figure did: the level of each run, 0 for that of the first, and the steps between.

    A level that comes back has the number it had.
    """

    levels: Labels
    shifts: list[LevelShift] = field(default_factory=list)


def walk(runs: OverRuns, smallest: float, others: Mapping[int, int] = {}) -> Course:
    """The course of a figure. Steps below `smallest` are none.

    `others` are steps of figures that move with this one, as `shown_at: since`: where it moves
    then, it takes less to show.
    """
    course = Course(np.zeros(len(runs.y), np.int64))
    waves, quiet, model, since = seasons(runs.at), 0, None, None
    for t in range(1, len(runs.y)):
        level = course.levels[t] = course.levels[t - 1]
        if model and t < quiet and t not in others and not _stirs(model, runs, waves, level, t):
            continue
        model = Regression.of(runs.until(t + 1), course.levels[: t + 1], waves)
        since = _begun(model, course.levels[: t + 1], smallest, others.get(t))
        if since is not None:
            _enter(course, since, runs.until(t + 1), waves)
        else:
            _leave(course, model, t, smallest)
        steady = t >= EXACT and bool((course.levels[t - BACK : t + 1] == level).all())
        quiet = t + BACK if steady and since is None else 0
    return course


def _stirs(model: Regression, runs: OverRuns, waves: Floats, level: int, t: int) -> bool:
    """Whether the last runs are such that a step may have begun: only then it is tested for.

    By what the regression some runs before expects of them; it spares four tests of five.
    """
    rows = slice(t - BACK, t + 1)
    several = int(model.levels)
    back = waves[rows, : len(model.beta) - several] @ model.beta[several:]
    left = runs.y[rows] - model.beta[level] - back
    news = (left[1:] - model.phi[-1] * left[:-1])[::-1]
    sums = np.abs(np.cumsum(news)) / np.sqrt(np.arange(1, BACK + 1))
    return bool(sums.max() > STIR * np.sqrt(model.left))


def _begun(model: Regression, levels: Labels, smallest: float, hint: int | None) -> int | None:
    """The run with which a step began that shows at the last run, if one does."""
    entered = _entered(levels)
    first = max(entered + 1, len(levels) - BACK)
    best, most = None, 1.0
    for since, step in enumerate(model.steps(first, entered), first):
        if abs(step.size) >= smallest:
            if step.share > most:
                best, most = since, step.share
            if since == hint and best is None and abs(step.size) > ALIKE * step.error:
                best = since
    return best


def _entered(levels: Labels) -> int:
    """The run with which the last level began."""
    others = np.flatnonzero(levels != levels[-1])
    return int(others[-1]) + 1 if len(others) else 0


def _leave(course: Course, model: Regression, t: int, smallest: float) -> None:
    """Take a level back that was entered lately, if it is no longer one: it was a single run's."""
    levels = course.levels
    entered = _entered(levels[: t + 1])
    if 0 < entered <= t <= entered + BACK:
        before = int(levels[entered - 1])
        step = model.between(int(levels[t]), before)
        if abs(step.size) < max(ALIKE * step.error, smallest):
            levels[entered : t + 1] = before
            course.shifts.append(LevelShift(t, t))


def _enter(course: Course, since: int, runs: OverRuns, waves: Floats) -> None:
    """Give the runs since then a level of their own, or that of before which they are back at."""
    levels, t = course.levels, len(runs.y) - 1
    before = int(levels[since - 1])
    new = int(levels.max()) + 1
    levels[since : t + 1] = new
    course.shifts.append(LevelShift(since, t))
    earlier = [k for k in dict.fromkeys(levels[:since][::-1].tolist()) if k != before]
    if earlier:
        model = Regression.of(runs, levels[: t + 1], waves)
        apart = model.between(new, before).size
        for level in earlier:
            back = model.between(new, level)
            if abs(back.size) < min(ALIKE * back.error, abs(apart) / 2):
                levels[since : t + 1] = level
                return
