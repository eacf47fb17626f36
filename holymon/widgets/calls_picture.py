"""The picture of the calls of a run that has ended, in which one can be marked.

It is the one of reports, on the paper of the dashboard, and drawn once: a mark moves over it.
"""

from typing import Final, Literal

import matplotlib as mpl
import numpy as np
from matplotlib.figure import Figure

from holymon.figures.call_types import Call
from holymon.plots.call_plots import plot_latency, plot_ttft
from holymon.plots.canvas import TOP, log_y
from holymon.plots.picture import STYLE
from holymon.records.records import Records
from holymon.structs import Interval
from holymon.widgets.blitting import INK, PAPER, Blitter

Duration = Literal["latency", "ttft"]
SIZE: Final = (12.0, 3.7)
ENDS: Final = {"latency": "end_s", "ttft": "first_s"}
PLOTS: Final = {"latency": plot_latency, "ttft": plot_ttft}


class CallsPicture:
    """Calls by when they were sent and how long they took, on axes of their own."""

    def __init__(self, records: Records, what: Duration, span: Interval, *, log: bool) -> None:
        """Draw `records` from one moment to another, in seconds from the start of their run."""
        self._what = what
        figure = Figure(figsize=SIZE, dpi=100, facecolor=PAPER)
        with mpl.rc_context(STYLE):
            figure.subplots_adjust(0.06, 0.17, 0.985, 0.91)
            ax = PLOTS[what](records, ax=figure.add_subplot())
        ax.set_facecolor(PAPER)
        if (legend := ax.get_legend()) is not None:  # the boxes beside the picture are one
            legend.remove()
        self._drawn = bool(ax.lines)
        if self._drawn:
            ax.set_xlim(span)
        low = _least(records, ENDS[what])
        if log and low is not None:
            log_y(ax, low * 0.8, ax.get_ylim()[1])
        self._top = ax.get_ylim()[1] * TOP
        self._blitter = Blitter(figure)
        (ring,) = ax.plot([], [], "o", ms=13, mfc="none", mec=INK, mew=2.2, clip_on=False)
        (stem,) = ax.plot([], [], color=INK, lw=1, ls=":", transform=ax.get_xaxis_transform())
        self._stem, self._ring = (self._blitter.moves(line) for line in (stem, ring))

    def frame(self, marked: Call | None) -> bytes:
        """A PNG, with a ring around the point of the call that is marked."""
        x, y = (np.nan, np.nan) if marked is None or not self._drawn else self._place(marked)
        self._ring.set_data([x], [y])
        self._stem.set_data([x, x], [0, 1])
        with mpl.rc_context(STYLE):
            return self._blitter.frame()

    def _place(self, call: Call) -> Interval:
        """Where its point is, or its cross if it failed."""
        took = call.latency_s if self._what == "latency" else call.ttft_s
        return call.since_s, self._top if call.error_type or took is None else took


def _least(records: Records, end: str) -> float | None:
    """The shortest duration that is drawn, if any is longer than nothing."""
    took = (records[end] - records["start_s"])[records.ok]
    took = took[took > 0]
    return float(took.min()) if len(took) else None
