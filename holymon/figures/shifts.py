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
from typing import Any, Final, NamedTuple

import numpy as np
import numpy.typing as npt

from holymon.figures.quantiles import student

Floats = npt.NDArray[np.float64]
Labels = npt.NDArray[np.int64]

DAY_S: Final = 86400.0
SPREAD: Final = 0.03
"""How much runs are taken to differ before it is known: a standard deviation of 3 %."""
WORTH: Final = 8.0
"""As many runs this prior counts for."""
MEMORY: Final = 0.3
"""How much of a deviation is taken to be there in the next run; counts for MEMORY_WORTH runs."""
MEMORY_WORTH: Final = 5.0
MOST_MEMORY: Final = 0.95
SURE: Final = 1 - 3e-5
SURE_OF_FEW: Final = 1 - 1e-3
"""How sure a step must be, with many runs before it, each of them tested, and with FEW."""
FEW: Final = 3
BACK: Final = 12
EXACT: Final = 36
STIR: Final = 2.0
SLOWER: Final = 0.04
FIRM: Final = 12
"""So many runs back a step is looked for that did not show at once."""
DAILY: Final = 3.0
FINER: Final = 7.0
WEEKLY: Final = 14.0
"""From so many days of history on, the time of day counts, in more detail, and the day of week."""
SWING: Final = 0.15
"""How far what comes back each day is taken to go before it is known."""
WAVES: Final = 4
DAY_RUNS: Final = 24
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


class StepSize(NamedTuple):
    """A difference of levels, its standard error, and how many of them it takes to be sure."""

    size: float
    error: float
    limit: float

    @property
    def shown(self) -> bool:
        """Whether it is more than the spread between runs explains."""
        return self.share > 1

    @property
    def share(self) -> float:
        """Its size as a part of the least that shows."""
        return abs(self.size) / max(self.limit * self.error, 1e-12)


def limit(freedom: float, runs: int) -> float:
    """How many standard errors a step must have, where its level has had so many runs."""
    whole = int(freedom) if freedom < 30 else int(freedom // 20 * 20)
    return student(max(whole, 1), SURE_OF_FEW if runs <= FEW else SURE)


class OverRuns(NamedTuple):
    """A figure over its runs, oldest first; arrays of shape (n,)."""

    at: Floats
    """When each began, in seconds since 1970."""
    y: Floats
    """The figure on a scale where noise is even, such as a logarithm."""
    error: Floats
    """Its standard error within each run; 0 where none is known."""

    def until(self, n: int) -> "OverRuns":
        """The first n of them."""
        return OverRuns(self.at[:n], self.y[:n], self.error[:n])


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


def _stirs(model: "Regression", runs: OverRuns, waves: Floats, level: int, t: int) -> bool:
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


def _begun(model: "Regression", levels: Labels, smallest: float, hint: int | None) -> int | None:
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


def _leave(course: Course, model: "Regression", t: int, smallest: float) -> None:
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


class Regression(NamedTuple):
    """A regression on levels and on what comes back, whose errors follow one another."""

    phi: Floats
    """How much of the deviation before each run is in it, shape (n,); 0 for the first."""
    x: Floats
    y: Floats
    """Regressors (n, p) and figure (n,) with that part taken out."""
    inverse: Floats
    beta: Floats
    rss: float
    freedom: float
    prior: float
    """The variance of what is left that is reckoned with before it is known."""
    levels: int
    """How many there are: the first regressors."""

    @classmethod
    def of(cls, runs: OverRuns, levels: Labels, waves: Floats) -> "Regression":
        """The regression on the runs; `waves` as from `seasons`, of these runs and later ones."""
        n, several = len(runs.y), int(levels.max()) + 1
        back = waves[:n, : _known(runs.at)]
        x = np.hstack([levels[:, None] == np.arange(several), back])
        variance = SPREAD**2 + float(runs.error @ runs.error) / n
        ridge = np.full(x.shape[1], 1e-9)
        ridge[several:] = variance / SWING**2
        held = np.diag(ridge)
        left = runs.y - x @ np.linalg.solve(x.T @ x + held, x.T @ runs.y)
        phi = memory(left, runs.at, variance)
        keep = np.sqrt(1 - phi[-1] ** 2)
        xw = np.vstack([keep * x[:1], x[1:] - phi[1:, None] * x[:-1]])
        yw = np.hstack([keep * runs.y[:1], runs.y[1:] - phi[1:] * runs.y[:-1]])
        inverse = np.linalg.inv(xw.T @ xw + held)
        beta = inverse @ (xw.T @ yw)
        rss = float(np.square(yw - xw @ beta).sum())
        freedom = n - several - back.shape[1] / 2
        prior = variance * (1 - MEMORY**2)
        return cls(phi, xw, yw, inverse, beta, rss, freedom, prior, several)

    @property
    def left(self) -> float:
        """The variance of what is left of a run."""
        return float(self._variance(self.rss, 0))

    def steps(self, first: int, entered: int) -> list[StepSize]:
        """The step that begins with each run from `first` on, in a level entered before it."""
        n = len(self.y)
        later = np.arange(first, n)[:, None] - np.arange(first, n)
        w = np.where(later > 0, 1 - self.phi[first:, None], later == 0)
        cross = self.x[first:].T @ w
        own = np.square(w).sum(0) - (cross * (self.inverse @ cross)).sum(0)
        gain = w.T @ self.y[first:] - cross.T @ self.beta
        own = np.maximum(own, 1e-9)
        spread = self._variance(self.rss - gain**2 / own, 1)
        sizes, errors = gain / own, np.sqrt(spread / own)
        limits = [self._limit(since - entered) * (1 + SLOWER * (n - 1 - since))
                  for since in range(first, n)]  # fmt: skip
        return [
            StepSize(*each) for each in zip(sizes.tolist(), errors.tolist(), limits, strict=True)
        ]

    def between(self, after: int, before: int) -> StepSize:
        """The difference of two levels, by their numbers."""
        i, k, inverse = after, before, self.inverse
        spread = self._variance(self.rss, 0) * (inverse[i, i] + inverse[k, k] - 2 * inverse[i, k])
        size = float(self.beta[i] - self.beta[k])
        return StepSize(size, float(np.sqrt(max(spread, 0.0))), self._limit(FEW))

    def _limit(self, runs: int) -> float:
        return limit(WORTH + FIRM + max(self.freedom - 1, 0), runs)

    def _variance(self, rss: Any, used: int) -> Any:
        """What is left of the runs after a regression, with the prior."""
        most = np.maximum(rss, 0.0)
        return (WORTH * self.prior + most) / (WORTH + max(self.freedom - used, 0))


def seasons(at: Floats) -> Floats:
    """What may come back: waves of a day, longest first, and days of the week, shape (n, 15)."""
    angle = 2 * np.pi * (at % DAY_S) / DAY_S
    waves = [f(k * angle) for k in range(1, WAVES + 1) for f in (np.sin, np.cos)]
    weekday = (at // DAY_S).astype(np.int64) % 7
    return np.stack([*waves, *((weekday == day) - 1 / 7 for day in range(7))], 1)


def _known(at: Floats) -> int:
    """How many columns of `seasons` so long a history can tell."""
    days = (at[-1] - at[0]) / DAY_S
    if days < DAILY or len(at) < DAY_RUNS:
        return 0
    if days >= WEEKLY:
        return 2 * WAVES + 7
    return 2 * WAVES if days >= FINER else WAVES


def memory(left: Floats, at: Floats, variance: float) -> Floats:
    """How much of the deviation of the run before is in each, shape (n,); less after a gap."""
    phi = np.zeros(len(left))
    if len(left) < 2:
        return phi
    before, now = left[:-1], left[1:]
    weight = MEMORY_WORTH * variance
    r = (before @ now + MEMORY * weight) / (before @ before + weight)
    gaps = np.diff(at)
    usual = max(float(np.median(gaps)), 1.0)
    phi[1:] = np.clip(r, 0.0, MOST_MEMORY) ** np.maximum(gaps / usual, 1.0)
    return phi
