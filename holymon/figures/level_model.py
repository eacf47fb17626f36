"""A regression on the levels of a figure and on what comes back, whose errors have a memory.

The model behind `shifts`: how large a step is, and by how much it is more than noise.
"""

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
"""As many runs this prior counts for; as many more for the law by which a limit is set."""
FIRM: Final = 12
MEMORY: Final = 0.3
"""How much of a deviation is taken to be there in the next run; counts for MEMORY_WORTH runs."""
MEMORY_WORTH: Final = 5.0
MOST_MEMORY: Final = 0.95
SURE: Final = 1 - 3e-5
SURE_OF_FEW: Final = 1 - 1e-3
"""How sure a step must be, with many runs before it, each of them tested, and with FEW."""
FEW: Final = 3
SLOWER: Final = 0.04
"""By so much more for each run that it took to show: the memory may be longer than its estimate."""
DAILY: Final = 3.0
FINER: Final = 7.0
WEEKLY: Final = 14.0
"""From so many days of history on, the time of day counts, in more detail, and the day of week."""
DAY_RUNS: Final = 24
"""For all that there must be as many runs."""
SWING: Final = 0.15
"""How far what comes back is taken to go before it is known."""
WAVES: Final = 4
"""The rhythm of a day is so many waves, of 24, 12, 8 and 6 hours; at first the longest two."""


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
