"""What pictures draw instead of every call: bins of time, rolling percentiles, thinned points."""

from typing import Final

import numpy as np
import numpy.typing as npt

Floats = npt.NDArray[np.float64]
MOST_POINTS: Final = 4000
FEWEST_IN_BIN: Final = 20
BINS: Final = 40
WIDTHS: Final = (0.1, 0.2, 0.5, 1, 2, 5, 10, 30, 60, 120, 300, 600, 1800, 3600, 7200, 21600, 86400)


def thinned(t: Floats, y: Floats) -> npt.NDArray[np.int64]:
    """Positions of points to draw: all, or the extremes and a part of the rest of each moment."""
    if len(t) <= MOST_POINTS:
        return np.arange(len(t))
    order = np.lexsort((y, np.digitize(t, np.linspace(t.min(), t.max(), 400))))
    step = len(t) // MOST_POINTS
    kept = order[::step]
    extremes = np.argpartition(y, -200)[-200:]
    return np.union1d(kept, extremes)


def rolling(t: Floats, y: Floats, q: float) -> tuple[Floats, Floats]:
    """A percentile in bins of time; only bins with enough calls to have one."""
    if len(t) < 2 * FEWEST_IN_BIN:
        return np.empty(0), np.empty(0)
    edges = edges_of(float(t.min()), float(t.max()), len(t) / FEWEST_IN_BIN)
    where = np.digitize(t, edges)
    order = np.argsort(where, kind="stable")
    groups = np.split(y[order], np.nonzero(np.diff(where[order]))[0] + 1)
    numbers = np.unique(where)
    enough = [len(group) >= FEWEST_IN_BIN for group in groups]
    chosen = [group for group in groups if len(group) >= FEWEST_IN_BIN]
    level = [np.quantile(group, q, method="median_unbiased") for group in chosen]
    half = (edges[1] - edges[0]) / 2
    return edges[numbers[enough] - 1] + half, np.array(level)


def edges_of(first: float, last: float, bins: float = BINS) -> Floats:
    """Edges of time bins of a round width, at most about `bins` of them."""
    bins = max(1.0, min(bins, BINS))
    width = next((w for w in WIDTHS if w >= (last - first) / bins), WIDTHS[-1])
    return np.arange(np.floor(first / width), np.floor(last / width) + 2) * width


def steps_of(x: Floats) -> tuple[Floats, Floats]:
    """The ECDF's corners, no more of them than can be seen."""
    x = np.sort(x)
    share = np.arange(1, len(x) + 1) / len(x)
    if len(x) > MOST_POINTS:
        middle = np.linspace(0, len(x) - 1, MOST_POINTS).astype(int)
        kept = np.union1d(middle, np.arange(len(x) - 200, len(x)))
        x, share = x[kept], share[kept]
    return np.repeat(x, 2), np.concatenate([[0], np.repeat(share, 2)[:-1]])
