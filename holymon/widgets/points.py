"""The points of calls in a panel of the live figure: drawn once, and never taken back.

Of many calls a part is drawn: the points become smaller, lighter and fewer, and the label of the
panel says so. Which part changes seldom, because then all is drawn from scratch.
"""

from typing import Final

import numpy as np
import numpy.typing as npt
from matplotlib.artist import Artist
from matplotlib.axes import Axes
from matplotlib.lines import Line2D

from holymon.errors import CODES, NOT_THE_SERVER
from holymon.plots.binning import MOMENTS, slowest, thinned
from holymon.plots.canvas import COLORS, MARKERS, RED, faded
from holymon.records.attempt import Rows

Floats = npt.NDArray[np.float64]
MOST: Final = 2500
"""Points that a small panel has room for, of all targets together."""

OURS: Final = [CODES[name] for name in NOT_THE_SERVER]
HIGH: Final = 0.97
"""Where failures are marked, as a share of the panel's height."""


class Points:
    """The calls of each target, by when they began and how long after that `end` came."""

    def __init__(self, ax: Axes, end: str, targets: int) -> None:
        """Artists without points; `end` is a column of the records: `first_s` or `end_s`."""
        self._end = end
        self._lines = [_points(ax, MARKERS[i % len(MARKERS)], COLORS[i % len(COLORS)])
                       for i in range(targets)]  # fmt: skip
        self._failed = _points(ax, "x", RED)
        self._failed.set(ms=5, mew=1.2, alpha=1, transform=ax.get_xaxis_transform())
        self._slow = np.full(targets, np.inf)

    def all_anew(self, rows: Rows, every: int) -> list[Artist]:
        """What to draw on empty axes: one in `every` of all calls, and their extremes."""
        drawn: list[Artist] = []
        for i, line in enumerate(self._lines):
            line.set(**faded(every))
            t, y, _ = self._of(i, rows)
            self._slow[i] = slowest(y, every)
            drawn += _shown(line, t, y, thinned(t, y, every))
        t = _failures(rows)
        if len(t) > MOMENTS:
            width = (float(t.max()) - float(t.min())) / MOMENTS
            t = t[np.unique((t / width).astype(np.int64), return_index=True)[1]]
        return drawn + _shown(self._failed, t, np.full(len(t), HIGH), slice(None))

    def more(self, rows: Rows, before: int, every: int) -> list[Artist]:
        """What to draw over the calls `before` these: one in `every`, and those as slow as any."""
        drawn: list[Artist] = []
        for i, line in enumerate(self._lines):
            t, y, numbers = self._of(i, rows)
            drawn += _shown(line, t, y, ((before + numbers) % every == 0) | (y >= self._slow[i]))
        t = _failures(rows)
        return drawn + _shown(self._failed, t, np.full(len(t), HIGH), slice(None))

    def _of(self, i: int, rows: Rows) -> tuple[Floats, Floats, npt.NDArray[np.int64]]:
        """Start, duration and position of the good calls of a target; shape (n,) each."""
        durations = rows[self._end] - rows["start_s"]
        mine = (rows["target"] == i) & (rows["error"] == 0) & ~np.isnan(durations)
        return rows["start_s"][mine], durations[mine], np.nonzero(mine)[0]


def _points(ax: Axes, marker: str, color: str) -> Line2D:
    (line,) = ax.plot([], [], ls="", marker=marker, color=color, animated=True, **faded(1))
    return line


def _failures(rows: Rows) -> Floats:
    """When calls began that the API failed; shape (n,)."""
    t: Floats = rows["start_s"][(rows["error"] != 0) & ~np.isin(rows["error"], OURS)]
    return t[~np.isnan(t)]


def _shown(
    line: Line2D, t: Floats, y: Floats, where: npt.NDArray[np.int64] | npt.NDArray[np.bool_] | slice
) -> list[Artist]:
    line.set_data(t[where], y[where])
    return [line] if len(t[where]) else []
