"""Load shapes: when calls are due, as arrays computed before anything is sent.

A shape is a polyline of (time, rate) and an arrival process. The area under the polyline up to t
is the number of calls wanted by then; call number n is due where that area reaches the n-th step
of the arrival process (Cinlar's inversion of a non-homogeneous process): steps of 1 give
`constant`, exponential steps give `poisson`. Nothing here reads a clock, sleeps or draws from a
global random generator.
"""

from collections.abc import Sequence
from typing import Final, Literal

import numpy as np
import numpy.typing as npt

Floats = npt.NDArray[np.float64]
Arrivals = Literal["constant", "poisson"]
ARRIVALS: Final = ("constant", "poisson")
Points = Sequence[tuple[float, float]]


def due(points: Points, arrivals: Arrivals, *, seed: int = 0, limit: int | None = None) -> Floats:
    """Due times of every call in seconds from the start, ascending, shape (n,).

    `points` are (t in s, rate in 1/s), t not decreasing; the last t is the end of the shape and
    is not itself a due time. `limit` keeps the first so many.
    """
    t, area = cumulative(points)
    steps = _steps(arrivals, area[-1], seed)
    steps = steps[steps < area[-1] * (1 - 1e-12)]
    times = np.interp(steps, area, t) if _flat(points) else _invert(steps, points, t, area)
    return times[:limit]


def cumulative(points: Points) -> tuple[Floats, Floats]:
    """Times of the polyline's corners, and the number of calls wanted by each; both shape (k,)."""
    t = np.array([p[0] for p in points], dtype=np.float64)
    rate = np.array([p[1] for p in points], dtype=np.float64)
    area = np.concatenate([[0.0], np.cumsum(np.diff(t) * (rate[1:] + rate[:-1]) / 2)])
    return t, area


def _steps(arrivals: Arrivals, total: float, seed: int) -> Floats:
    if arrivals == "constant":
        return np.arange(int(np.ceil(total)) + 1, dtype=np.float64)
    rng = np.random.default_rng(seed)
    # Ten standard deviations more than the mean: running short is out of the question.
    n = int(total + 10 * np.sqrt(total) + 10)
    return np.cumsum(rng.exponential(1.0, n))


def _flat(points: Points) -> bool:
    return len({rate for _, rate in points}) == 1


def _invert(steps: Floats, points: Points, t: Floats, area: Floats) -> Floats:
    """Where the area under the polyline reaches each step: a quadratic in each segment."""
    rate = np.array([p[1] for p in points], dtype=np.float64)
    k = np.clip(np.searchsorted(area, steps, side="right") - 1, 0, len(t) - 2)
    width = np.diff(t)[k]
    slope = np.divide(np.diff(rate)[k], width, out=np.zeros_like(steps), where=width > 0)
    rest = steps - area[k]
    root = np.sqrt(np.maximum(rate[k] ** 2 + 2 * slope * rest, 0.0))
    # The form of the root that does not cancel where the slope is nought.
    return t[k] + np.divide(2 * rest, rate[k] + root, out=np.zeros_like(rest), where=rest > 0)
