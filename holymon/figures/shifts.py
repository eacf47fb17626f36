"""Steps in the level of a figure from run to run, each with the run that began it.

    walk(at, y, error)            the course over all runs: each is judged by those before it only
    contrast(at, y, error, ...)   one run beside another, with the spread that all of them show

Each run is tested as the last of up to 12 that may have moved together: by the size of the step in
a regression on the levels so far and on what comes back each day and each week, whose errors have a
memory that is estimated from them (Tsay 1988, "Outliers, level shifts, and variance changes in time
series", J. Forecasting 7), with a prior for the spread. What looks back over a whole series, such
as E-divisive (Apache Otava) or PELT (ruptures), knows neither day nor memory and needs several runs
behind a step, where a report is to tell of the first: tests/bench/history.py has them beside it.
"""

from dataclasses import dataclass, field
from typing import Final, NamedTuple

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
SURE: Final = 1 - 1e-4
SURE_OF_FEW: Final = 1 - 1e-3
"""How sure a step must be, with many runs before it, each of them tested, and with FEW."""
FEW: Final = 3
BACK: Final = 12
"""So many runs back a step is looked for that did not show at once."""
DAILY: Final = 3.0
HOURLY: Final = 7.0
WEEKLY: Final = 14.0
"""From so many days of history on, the time of day counts, in more detail, and the day of week."""
SWING: Final = 0.15
"""How far what comes back each day is taken to go before it is known."""
ALIKE: Final = 2.5
"""A level that differs by fewer standard errors from one of before is that one again."""


class Shift(NamedTuple):
    """A step: the run that began it, and the run at which it showed, by their places."""

    since: int
    found: int


@dataclass
class Course:
    """What a figure did: the level of each run, 0 for that of the first, and the steps between.

    A level that comes back has the number it had.
    """

    levels: Labels
    shifts: list[Shift] = field(default_factory=list)


class Step(NamedTuple):
    """A difference of levels, its standard error, and how many of them it takes to be sure."""

    size: float
    error: float
    limit: float

    @property
    def shown(self) -> bool:
        """Whether it is more than the spread between runs explains."""
        return abs(self.size) > self.limit * self.error


def limit(freedom: float, runs: int) -> float:
    """How many standard errors a step must have, where there are so many runs before it."""
    whole = int(freedom) if freedom < 30 else int(freedom // 20 * 20)
    return student(max(whole, 1), SURE_OF_FEW if runs <= FEW else SURE)


def walk(at: Floats, y: Floats, error: Floats, smallest: float) -> Course:
    """The course of a figure; arrays of shape (n,), oldest first.

    `at` are the seconds since 1970 at which the runs began; `y` the figure on a scale where noise
    is even (a logarithm), and `error` its standard error within each run. Steps below `smallest`
    are none.
    """
    course = Course(np.zeros(len(y), np.int64))
    for t in range(1, len(y)):
        course.levels[t] = course.levels[t - 1]
        since = _begun(at[: t + 1], y[: t + 1], error[: t + 1], course.levels[: t + 1], smallest)
        if since is not None:
            _enter(course, since, t, at, y, error)
    return course


def _begun(
    at: Floats, y: Floats, error: Floats, levels: Labels, smallest: float
) -> int | None:  # fmt: skip
    """The run with which a step began that shows at the last run, if one does."""
    t = len(y) - 1
    same = np.flatnonzero(levels != levels[t])
    first = max((same[-1] + 1 if len(same) else 0) + 1, t + 1 - BACK)
    if first > t:
        first = t
    model = Model.of(at, y, error, levels)
    steps = model.steps(first)
    best, most = None, 1.0
    for k, step in enumerate(steps):
        share = abs(step.size) / (step.limit * step.error) if step.error else 0.0
        if share > most and abs(step.size) >= smallest:
            best, most = first + k, share
    return best


def _enter(course: Course, since: int, t: int, at: Floats, y: Floats, error: Floats) -> None:
    """Give the runs since then a level of their own, or that of before which they are back at."""
    levels = course.levels
    before = levels[since - 1]
    new = int(levels.max()) + 1
    levels[since : t + 1] = new
    course.shifts.append(Shift(since, t))
    earlier = [k for k in dict.fromkeys(levels[:since][::-1].tolist()) if k != before]
    if earlier:
        model = Model.of(at[: t + 1], y[: t + 1], error[: t + 1], levels[: t + 1])
        apart = model.between(new, int(before)).size
        for level in earlier:
            back = model.between(new, level)
            if abs(back.size) < ALIKE * back.error and abs(back.size) < abs(apart) / 2:
                levels[since : t + 1] = level
                return


class Model(NamedTuple):
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
    """The variance of what is left, and how many runs are counted for it as `freedom`."""
    runs: int
    numbers: tuple[int, ...]
    """The numbers of the levels, which are the first regressors."""

    @classmethod
    def of(cls, at: Floats, y: Floats, error: Floats, levels: Labels) -> "Model":
        """The regression on the runs there are; arrays as in `walk`."""
        numbers, column = np.unique(levels, return_inverse=True)
        indicators = np.zeros((len(y), len(numbers)))
        indicators[np.arange(len(y)), column] = 1.0
        x = np.hstack([indicators, seasons(at)])
        sampling = float(np.median(error)) ** 2
        variance = SPREAD**2 + sampling
        ridge = np.zeros(x.shape[1])
        ridge[len(numbers) :] = variance / SWING**2
        beta = np.linalg.solve(x.T @ x + np.diag(ridge), x.T @ y)
        left = y - x @ beta
        phi = memory(left, at, variance)
        keep = np.sqrt(1 - np.square(MEMORY if len(y) < 3 else phi[-1]))
        xw, yw = x.copy(), y.copy()
        xw[1:] -= phi[1:, None] * x[:-1]
        yw[1:] -= phi[1:] * y[:-1]
        xw[0] *= keep
        yw[0] *= keep
        inverse = np.linalg.inv(xw.T @ xw + np.diag(ridge))
        beta = inverse @ (xw.T @ yw)
        rss = float(np.square(yw - xw @ beta).sum())
        prior = variance * (1 - MEMORY**2)
        freedom = len(y) - len(numbers) - 0.5 * (x.shape[1] - len(numbers))
        return cls(phi, xw, yw, inverse, beta, rss, freedom, prior, len(y) - 1,
                   tuple(numbers.tolist()))  # fmt: skip

    def variance(self, rss: float, used: int) -> float:
        """What is left of the runs after a regression, with the prior."""
        return (WORTH * self.prior + rss) / (WORTH + max(self.freedom - used, 0))

    def steps(self, first: int) -> list[Step]:
        """The step that begins with each run from `first` on and lasts to the end."""
        n = len(self.y)
        w = np.zeros((n, n - first))
        for k in range(n - first):
            w[first + k, k] = 1.0
            w[first + k + 1 :, k] = 1 - self.phi[first + k + 1 :]
        cross = self.x[first:].T @ w[first:]
        fit = self.inverse @ cross
        own = np.square(w).sum(0) - (cross * fit).sum(0)
        gain = w[first:].T @ self.y[first:] - cross.T @ self.beta
        result = []
        for k in range(n - first):
            if own[k] <= 1e-9:
                result.append(Step(0.0, 0.0, 1.0))
                continue
            size = gain[k] / own[k]
            spread = self.variance(max(self.rss - gain[k] ** 2 / own[k], 0.0), 1)
            runs = first + k
            result.append(Step(float(size), float(np.sqrt(spread / own[k])), self.limit(runs)))
        return result

    def limit(self, runs: int) -> float:
        """How many standard errors it takes, with so many runs before."""
        return limit(WORTH + 12 + max(self.freedom - 1, 0), runs)

    def between(self, after: int, before: int) -> Step:
        """The difference of two levels, by their numbers."""
        i, k = self.numbers.index(after), self.numbers.index(before)
        inv = self.inverse
        spread = self.variance(self.rss, 0) * (inv[i, i] + inv[k, k] - 2 * inv[i, k])
        return Step(float(self.beta[i] - self.beta[k]), float(np.sqrt(max(spread, 0.0))), self.limit(self.runs))


def seasons(at: Floats) -> Floats:
    """What comes back each day, and each week, as far as so many days can tell, shape (n, k)."""
    days = (at - at[0]) / DAY_S
    span = days[-1]
    if span < DAILY or len(at) < 24:
        return np.zeros((len(at), 0))
    angle = 2 * np.pi * (at % DAY_S) / DAY_S
    waves = range(1, 5 if span >= HOURLY else 3)
    columns = [f(k * angle) for k in waves for f in (np.sin, np.cos)]
    if span >= WEEKLY:
        weekday = (at // DAY_S).astype(np.int64) % 7
        columns += [(weekday == day) - 1 / 7 for day in range(7)]
    return np.stack(columns, 1)


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
