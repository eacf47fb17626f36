"""The live figure of a run: six panels of fixed places, drawn from its records so far.

Points of calls are added to the ground and stay there; lines move. The five groups of lines take
turns to be brought up to date, four a second, so that no frame is dear; frames that come seldom
bring all of them.
"""

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import partial
from typing import Any, Final

import numpy as np
import numpy.typing as npt
from matplotlib.artist import Artist
from matplotlib.figure import Figure
from matplotlib.lines import Line2D

from holymon.errors import NAMES
from holymon.plan.plan import Plan
from holymon.plan.target import Target
from holymon.plots.binning import one_in, per_second, rolling, steps_of
from holymon.plots.canvas import COLORS, HALO, in_ms, thinning
from holymon.records.attempt import Rows
from holymon.records.records import Records
from holymon.widgets.blitting import INK, PAPER, Blitter
from holymon.widgets.panels import (
    OF_A_RUN,
    OVER_TIME,
    SLOTS,
    Slot,
    known_end,
    panels,
    rounded,
    titled,
    wanted,
    window,
)
from holymon.widgets.points import MOST, OURS, Points
from holymon.widgets.threads import PERIOD_S, Pace

Floats = npt.NDArray[np.float64]
Mask = npt.NDArray[np.bool_]
Curve = tuple[Floats, Floats]
CORNERS: Final = 300
ENDS: Final = {"latency": "end_s", "ttft": "first_s"}
LINE_STYLES: Final = {0.5: "-", 0.95: "--"}
GROUPS: Final = (*ENDS, "ecdf", "rate", "errors")


@dataclass(slots=True)
class _Series:
    """The artists of one target."""

    levels: dict[tuple[str, float], Line2D]
    distribution: dict[str, Line2D]
    answered: Line2D
    curve: Line2D


class LiveFigure:
    """Six panels: latency, TTFT, distribution; throughput, a curve of the caller's, errors."""

    def __init__(
        self,
        targets: tuple[Target, ...],
        plan: Plan | None = None,
        words: Mapping[str, str] = OF_A_RUN,
        *,
        curve: float = 4.0,
        simulated: bool = False,
    ) -> None:
        """Empty panels, called by `words`, whose limits are those that the plan makes likely.

        `plan` is None for calls that nobody planned. `curve` is the least height of the panel whose
        curves `frame` is given. It is labelled `simulated` if that is said, or a target is.
        """
        self.targets, self._words = targets, words
        self.simulated = simulated or any(target.simulated for target in targets)
        figure, self._axes = panels(targets, plan, words, simulated=self.simulated)
        self._blitter = Blitter(figure)
        self._limits = {"time": 0.0, "latency": 0.0, "ttft": 0.0, "rate": 0.0, "curve": 0.0}
        self._seen = self._turn = 0
        self._now, self._every = -math.inf, 1
        self._end_s = known_end(plan)
        self._kinds: list[int] = []
        self._paces = {group: Pace(1.0) for group in GROUPS}
        # Before all lines, so that they cover points alone.
        self._halos = {
            (i, name, q): self._line(name, PAPER, lw=HALO, visible=False)
            for i in range(len(targets)) for name in ENDS for q in LINE_STYLES
        }  # fmt: skip
        self._series = [self._of(i) for i in range(len(targets))]
        self._points = {
            name: Points(self._axes[name], end, len(targets)) for name, end in ENDS.items()
        }
        self._slots = [Slot(self._axes["errors"], k, len(targets)) for k in range(SLOTS)]
        self._news: list[Artist] = []
        self._span(1e-3)
        self._grow("rate", wanted(self._axes["rate"], plan))
        for name, least in (("latency", 0.05), ("ttft", 0.05), ("curve", curve)):
            self._grow(name, least)

    @property
    def figure(self) -> Figure:
        """The figure itself; only its drawing thread may change it."""
        return self._blitter.figure

    @property
    def full_draws(self) -> int:
        """How many frames were drawn from scratch."""
        return self._blitter.full_draws

    def frame(
        self, records: Records, curves: Sequence[Curve], now: float, *, final: bool = False
    ) -> bytes:
        """A PNG of the records up to `now`, in seconds from the start of the time axis.

        `curves` are at most one for each target. The `final` one is drawn from scratch, with all
        lines up to date.
        """
        if final or len(records) < self._seen:
            self._blitter.redraw()
        self._fit(records.rows[self._seen :], curves, now)
        if final:
            self._span(now, ended=True)
        self._thin(one_in(len(records), MOST))
        for group in GROUPS if final else self._turns(now):
            bring = partial(self._bring, group, records, curves, now)
            self._paces[group].due(bring, at=now, now=final)
        kept = self._drawn(records.rows)
        self._seen = len(records)
        return self._blitter.frame(kept)

    def _turns(self, now: float) -> list[str]:
        """The groups whose turn has come since the last frame."""
        gone = min(len(GROUPS), max(1.0, (now - self._now) / PERIOD_S))
        self._now = now
        first, self._turn = self._turn, self._turn + round(gone)
        return [GROUPS[k % len(GROUPS)] for k in range(first, self._turn)]

    def _drawn(self, rows: Rows) -> list[Artist]:
        """What is to be drawn and then kept: all points, or the new ones and what was said anew."""
        kept: list[Artist] = []
        for points in self._points.values():
            kept += (points.all_anew(rows, self._every) if self._blitter.fresh
                     else points.more(rows[self._seen :], self._seen, self._every))  # fmt: skip
        slots = [artist for slot in self._slots for artist in slot.artists]
        kept += slots if self._blitter.fresh else self._news
        self._news = []
        return kept

    def _bring(self, group: str, records: Records, curves: Sequence[Curve], now: float) -> None:
        if group in ENDS:
            self._levels(group, records)
        elif group == "ecdf":
            self._distributions(records)
        elif group == "rate":
            self._rates(records, curves, now)
        else:
            self._errors(records)

    def _of(self, i: int) -> _Series:
        color = COLORS[i % len(COLORS)]
        return _Series(
            levels={
                (name, q): self._line(name, color, ls=ls)
                for name in ENDS for q, ls in LINE_STYLES.items()
            },
            distribution={
                "latency": self._line("ecdf", color), "ttft": self._line("ecdf", color, ls="--"),
            },
            answered=self._line("rate", color, drawstyle="steps-post"),
            curve=self._line("curve", color, drawstyle="steps-pre"),
        )  # fmt: skip

    def _line(self, name: str, color: str, **style: Any) -> Line2D:
        (line,) = self._axes[name].plot([], [], color=color, **{"lw": 1.7, **style})
        return self._blitter.moves(line)

    def _fit(self, rows: Rows, curves: Sequence[Curve], now: float) -> None:
        self._span(now)
        good = rows[rows["error"] == 0]
        for name, end in ENDS.items():
            values = good[end] - good["start_s"]
            values = values[~np.isnan(values)]
            if len(values):
                self._grow(name, float(values.max()))
        for _, values in curves:
            if len(values):
                self._grow("curve", float(values.max()))

    def _span(self, now: float, *, ended: bool = False) -> None:
        """Have the axes of time go as far as they must."""
        limit = window(now, self._end_s, ended=ended)
        if limit == self._limits["time"]:
            return
        self._blitter.redraw()
        self._limits["time"] = limit
        for panel in OVER_TIME:
            self._axes[panel].set_xlim(0, limit)

    def _thin(self, every: int) -> None:
        """Have one point in `every` drawn, and lines that are still seen among so many."""
        if every == self._every:
            return
        self._blitter.redraw()
        self._every = every
        for name in ENDS:
            label = f"{self._words['time']}; {thinning(every)}".removesuffix("; ")
            self._axes[name].set_xlabel(label)
        for line in self._halos.values():
            line.set_visible(every > 1)

    def _grow(self, name: str, value: float) -> None:
        """Make room for `value`, with some to spare, so that limits seldom change."""
        if value <= 0.97 * self._limits[name]:
            return
        self._blitter.redraw()
        self._limits[name] = limit = rounded(1.15 * value)
        if name in {"latency", "ttft"}:
            self._axes[name].set_ylim(0, limit)
            unit = in_ms(self._axes[name].yaxis, limit)
            titled(self._axes[name], f"{self._words[name]}, {unit}")
            if name == "latency":
                self._axes["ecdf"].set_xlim(0, limit)
                unit = in_ms(self._axes["ecdf"].xaxis, limit)
                self._axes["ecdf"].set_xlabel(f"{unit} (solid: latency, dashed: TTFT)")
        else:
            self._axes[name].set_ylim(0, limit)

    def _levels(self, name: str, records: Records) -> None:
        good = records.ok & records.mask()
        for i, series in enumerate(self._series):
            t, y = _known(records, good & (records["target"] == i), ENDS[name])
            middles, levels = rolling(t, y, *LINE_STYLES)
            for q, level in zip(LINE_STYLES, levels, strict=True):
                for line in (self._halos[i, name, q], series.levels[name, q]):
                    line.set_data(middles, level)

    def _distributions(self, records: Records) -> None:
        good = records.ok & records.mask()
        for i, series in enumerate(self._series):
            mine = good & (records["target"] == i)
            for name, end in ENDS.items():
                series.distribution[name].set_data(*_corners(_known(records, mine, end)[1]))

    def _rates(self, records: Records, curves: Sequence[Curve], now: float) -> None:
        good = records.ok
        for i, series in enumerate(self._series):
            ends = records["end_s"][good & (records["target"] == i)]
            edges, answered = per_second(ends, now, self._limits["time"])
            if len(answered):
                self._grow("rate", float(answered.max()))
                series.answered.set_data(edges, answered)
        for series, curve in zip(self._series, curves, strict=False):
            series.curve.set_data(*curve)
            if len(curves) < len(self._series):  # it is of all targets together
                series.curve.set_color(INK)

    def _errors(self, records: Records) -> None:
        failed = records.mask() & ~records.ok
        codes = records["error"][failed]
        self._kinds += [c for c in np.unique(codes).tolist() if c not in self._kinds]
        shown = self._kinds if len(self._kinds) <= SLOTS else self._kinds[: SLOTS - 1]
        which, n = records["target"][failed], len(self._series)
        names = [NAMES[c] + " (by us, no failure)" * (c in OURS) for c in shown]
        counts = {
            name: np.bincount(which[codes == c], minlength=n)
            for c, name in zip(shown, names, strict=True)
        }
        if len(shown) < len(self._kinds):
            counts["other types"] = np.bincount(which[~np.isin(codes, shown)], minlength=n)
        most = max((int(c.sum()) for c in counts.values()), default=1)
        if not counts:
            self._news += self._slots[0].say("none so far")
        for slot, (name, count) in zip(self._slots, counts.items(), strict=False):
            self._news += slot.show(name, count, most)


def _known(records: Records, where: Mask, end: str) -> tuple[Floats, Floats]:
    """Starts of calls, and how long after them `end` came, where that is known."""
    t = records["start_s"][where]
    y = records[end][where] - t
    known = ~np.isnan(y)
    return t[known], y[known]


def _corners(x: Floats) -> tuple[Floats, Floats]:
    """An ECDF of no more corners than a small panel can show."""
    if not len(x):
        return np.empty(0), np.empty(0)
    if len(x) <= CORNERS:
        return steps_of(x)
    x = np.sort(x)
    at = np.linspace(0, len(x) - 1, CORNERS).astype(np.int64)
    return x[at], (at + 1) / len(x)
