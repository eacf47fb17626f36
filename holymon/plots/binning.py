"""What pictures draw instead of every call: bins of time, rolling percentiles, thinned points."""

import math
from typing import Final

import numpy as np
import numpy.typing as npt

Floats = npt.NDArray[np.float64]
Positions = npt.NDArray[np.int64]
MOST_POINTS: Final = 4000
"""Of more calls a picture shows a part; the extremes of moments come on top of that."""

PER_MOMENT: Final = 10
MOMENTS: Final = 400
FEWEST_IN_BIN: Final = 20
CALLS_IN_BIN: Final = 10
"""Of so many on average a bin's count is not all noise."""

BINS: Final = 40
WIDTHS: Final = (0.1, 0.2, 0.5, 1, 2, 5, 10, 30, 60, 120, 300, 600, 1800, 3600, 7200, 21600, 86400)


def one_in(n: int, most: int = MOST_POINTS) -> int:
    """Of how many of `n` points one is to be drawn: a power of two, 1 where all have room."""
    return 1 << max(0, math.ceil(n / most) - 1).bit_length()


def thinned(t: Floats, y: Floats, every: int) -> Positions:
    """Positions of points to draw: one in `every`, and the extremes of each moment and of all.

    The part thins out evenly towards the top of each moment (its 1st, 2nd, 4th, 8th, ... highest):
    a step in it would look like a gap in the data.
    """
    if every <= 1 or not len(t):
        return np.arange(len(t))
    moments = math.ceil(len(t) / every / PER_MOMENT)
    moment = np.digitize(t, np.linspace(t.min(), t.max(), moments + 1)[:-1])
    order = _grouped(moment, np.argsort(y))
    counts = np.bincount(moment).cumsum()[moment[order]]
    from_top = counts - np.arange(len(t))
    kept = (from_top & (from_top - 1)) == 0
    kept[1:] |= np.diff(moment[order]) > 0
    kept[::every] = True
    return np.union1d(order[kept], np.nonzero(y >= slowest(y, every))[0])


def _grouped(group: Positions, order: Positions) -> Positions:
    """Positions `order`, shape (n,), group by group. Of 16 bits numpy sorts in linear time."""
    short = group.astype(np.uint16) if group.max(initial=0) < 1 << 16 else group
    return order[np.argsort(short[order], kind="stable")]


def slowest(y: Floats, every: int) -> float:
    """From where on a value is among the extremes of all that one in `every` is drawn of."""
    if every <= 1 or not len(y):
        return math.inf
    k = math.ceil(len(y) / every / PER_MOMENT)
    return float(np.partition(y, -k)[-k])


def crowds(t: Floats) -> tuple[Floats, Floats]:
    """The moments in which anything was, and how much, as a share of the fullest one."""
    counts, edges = np.histogram(t, MOMENTS)
    there = counts > 0
    return ((edges[:-1] + edges[1:]) / 2)[there], counts[there] / counts.max()


def rolling(t: Floats, y: Floats, *qs: float) -> tuple[Floats, list[Floats]]:
    """Percentiles in bins of time, shapes (k,); only bins with enough calls to have one."""
    if len(t) < 2 * FEWEST_IN_BIN:
        return np.empty(0), [np.empty(0) for _ in qs]
    edges = edges_of(float(t.min()), float(t.max()), len(t) / FEWEST_IN_BIN)
    where = np.digitize(t, edges)
    order = _grouped(where, np.arange(len(where)))
    groups = np.split(y[order], np.nonzero(np.diff(where[order]))[0] + 1)
    numbers = np.flatnonzero(np.bincount(where))
    enough = [len(group) >= FEWEST_IN_BIN for group in groups]
    chosen = [group for group in groups if len(group) >= FEWEST_IN_BIN]
    levels = [np.quantile(group, qs, method="median_unbiased") for group in chosen]
    half = (edges[1] - edges[0]) / 2
    return edges[numbers[enough] - 1] + half, [*np.array(levels).reshape(-1, len(qs)).T]


def per_second(t: Floats, now: float, shown: float) -> tuple[Floats, Floats]:
    """How often a second something was, in bins of time from 0 to `now`, of which `shown` s fit.

    Edges and values, both of shape (k,): the last value stands twice; none before a bin is full.
    """
    width = next((w for w in WIDTHS if w >= max(1.0, shown / 60)), WIDTHS[-1])
    edges = np.arange(0, math.floor(now / width) + 1) * float(width)
    if len(edges) < 2:
        return np.empty(0), np.empty(0)
    rates = np.histogram(t, edges)[0] / float(width)
    return edges.astype(np.float64), np.append(rates, rates[-1])


def edges_of(first: float, last: float, bins: float = BINS) -> Floats:
    """Edges of time bins of a round width, at most about `bins` of them."""
    bins = max(1.0, min(bins, BINS))
    width = next((w for w in WIDTHS if w >= (last - first) / bins), WIDTHS[-1])
    return np.arange(np.floor(first / width), np.floor(last / width) + 2) * width


def spans_of(last: float, bins: float = BINS) -> Floats:
    """As `edges_of` from 0, but the last bin ends at `last`, so that a rate in it is one."""
    edges = edges_of(0.0, last, bins)
    inner = edges[1:][edges[1:] < last - (edges[1] - edges[0]) / 2]  # a short rest joins the last
    return np.concatenate([[0.0], inner, [last]])


def steps_of(x: Floats) -> tuple[Floats, Floats]:
    """The ECDF's corners, no more of them than can be seen."""
    x = np.sort(x)
    share = np.arange(1, len(x) + 1) / len(x)
    if len(x) > MOST_POINTS:
        middle = np.linspace(0, len(x) - 1, MOST_POINTS).astype(int)
        kept = np.union1d(middle, np.arange(len(x) - 200, len(x)))
        x, share = x[kept], share[kept]
    return np.repeat(x, 2), np.concatenate([[0], np.repeat(share, 2)[:-1]])
