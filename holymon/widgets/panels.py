"""What stands still in the live figure: six panels, their legend, and the places of failures."""

import math
from collections.abc import Mapping
from itertools import islice
from typing import Final

import numpy as np
import numpy.typing as npt
from matplotlib.artist import Artist
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.lines import Line2D
from matplotlib.patches import Rectangle
from matplotlib.ticker import MaxNLocator

from holymon.formatting import ends
from holymon.plan.estimate import COUNTED, estimate
from holymon.plan.plan import MAX_SECONDS, Closed, Plan
from holymon.plan.shapes import Shape, polyline
from holymon.plan.target import Target
from holymon.plots.canvas import COLORS, GREY, MARKERS, RED
from holymon.widgets.blitting import BADGE, INK, PAPER

SIZE: Final = (12.0, 5.2)
PANELS: Final = ("latency", "ttft", "ecdf", "rate", "curve", "errors")
OVER_TIME: Final = ("latency", "ttft", "rate", "curve")
OF_A_RUN: Final = {
    "latency": "Latency", "ttft": "TTFT", "ecdf": "Share of calls that took no longer",
    "rate": "Answers per second", "curve": "Calls in flight", "errors": "Failures by type",
    "time": "s from the start",
}  # fmt: skip
"""The titles of the panels, and the label of time."""

SHORTEST_S: Final = 10.0
GROWTH: Final = 1.2
AT_ONCE_S: Final = 600.0
"""A load of up to so many seconds has the axis of all of it from the start."""

SLOTS: Final = 6
MOST_NAMES: Final = 4
ONE_ROW: Final = 60
"""So many letters of names leave room for the kinds of lines beside them."""

SMALL: Final = 9.0
GRID: Final = "#D5D9E0"
SHADE: Final = "#E6E9EE"


def panels(
    targets: tuple[Target, ...], plan: Plan | None, words: Mapping[str, str], *, simulated: bool
) -> tuple[Figure, dict[str, Axes]]:
    """The figure and its axes by name, empty; without a plan nobody knows what will come."""
    figure = Figure(figsize=SIZE, dpi=100, facecolor=PAPER)
    figure.subplots_adjust(0.045, 0.095, 0.978, 0.855, wspace=0.2, hspace=0.56)
    axes = dict(zip(PANELS, figure.subplots(2, 3).flat, strict=True))
    for name, ax in axes.items():
        _dress(name, ax, words[name])
    for name in OVER_TIME:
        axes[name].set_xlabel(words["time"], size=SMALL, color=INK, labelpad=2)
        axes[name].xaxis.set_major_locator(MaxNLocator(7, steps=[1, 2, 5, 10]))
        axes[name].yaxis.set_major_locator(MaxNLocator(5, steps=[1, 2, 5, 10]))
        if plan and plan.warmup_s:
            axes[name].axvspan(0, plan.warmup_s, color=SHADE, lw=0)
    if plan and not any(target.streams(plan.prompts.stream) for target in targets):
        axes["ttft"].text(0.5, 0.5, "not streamed: no TTFT", transform=axes["ttft"].transAxes,
                          ha="center", color=GREY, size=10)  # fmt: skip
    axes["ecdf"].set_xlabel("ms (solid: latency, dashed: TTFT)", size=SMALL, color=INK, labelpad=2)
    axes["ecdf"].set_ylim(0, 1.02)
    axes["ecdf"].set_yticks([0, 0.5, 0.95], ["0", "p50", "p95"])
    _legend(figure, targets, shape=plan is not None and _shape_of(plan) is not None)
    if simulated:
        figure.text(0.978, 0.97, "simulated", ha="right", va="top", size=SMALL + 0.5,
                    color="white", weight="bold",
                    bbox={"boxstyle": "round,pad=0.35", "fc": BADGE, "lw": 0})  # fmt: skip
    return figure, axes


def _dress(name: str, ax: Axes, title: str) -> None:
    """Set by hand what a style would, since styles are global and this is not the only thread."""
    over = name == "errors"
    ax.set_facecolor(PAPER)
    titled(ax, title)
    ax.tick_params(labelsize=SMALL, colors=INK, length=3)
    ax.set_axisbelow(True)
    for side, spine in ax.spines.items():
        spine.set_visible(side in {"left", "bottom"} and not over)
        spine.set_color("#8A919C")
    if over:
        ax.set(xticks=[], yticks=[], xlim=(0, 1), ylim=(0, 1))
    else:
        ax.grid(color=GRID, lw=0.7)


def titled(ax: Axes, text: str) -> None:
    """Give a panel its title; its place is given too, as it takes a tenth of a draw to find."""
    ax.set_title(text, loc="left", y=1.0, size=10.5, weight="bold", color=INK)


def _shape_of(plan: Plan) -> Shape | None:
    """The course of the rate that a plan wants; None for a trace and a closed loop."""
    shape = None if isinstance(plan.load, Closed) else plan.load.shape
    return shape if isinstance(shape, Shape) else None


def _legend(figure: Figure, targets: tuple[Target, ...], *, shape: bool) -> None:
    most = 32 if len(targets) < MOST_NAMES else 22
    names = [
        (ends(target.name, most), COLORS[i % len(COLORS)], "-", MARKERS[i % len(MARKERS)])
        for i, target in enumerate(islice(targets, MOST_NAMES))
    ]
    if len(targets) > MOST_NAMES:
        names.append((f"and {len(targets) - MOST_NAMES} more", INK, "", ""))
    lines = [("p50 of successes", INK, "-", ""), ("p95", INK, "--", ""),
             ("failed", RED, "", "x")]  # fmt: skip
    if shape:
        lines.append(("wanted", INK, ":", ""))
    long = sum(len(name) for name, *_ in names) > ONE_ROW
    for k, entries in enumerate([names, lines] if long else [names + lines]):
        handles = [Line2D([], [], color=color, ls=ls, marker=marker, ms=5)
                   for _, color, ls, marker in entries]  # fmt: skip
        legend = figure.legend(
            handles, [name for name, *_ in entries], loc="upper left", ncols=len(entries),
            bbox_to_anchor=(0.035, 1.0 - 0.04 * k), frameon=False, fontsize=SMALL + 0.5,
            handlelength=1.8, columnspacing=1.6, labelcolor=INK,
        )  # fmt: skip
        for text in legend.get_texts():
            text.set_parse_math(False)


def wanted(ax: Axes, plan: Plan | None) -> float:
    """Draw the rate that the plan wants of each target; its peak, 1 where it wants none."""
    if plan is None or isinstance(plan.load, Closed):
        return 1.0
    if shape := _shape_of(plan):
        line = polyline(shape, end=plan.seconds, warm_up=plan.warmup_s)
        ax.plot(*zip(*line, strict=True), color=INK, lw=1.4, ls=":")
    return plan.load.shape.peak


class Slot:
    """The place of one error type: a line of text, and a bar with a part for each target.

    Both are drawn over what stood there before. Text is dear to draw, so only one that has
    changed is.
    """

    def __init__(self, ax: Axes, k: int, targets: int) -> None:
        """The k-th place from the top."""
        y, high = 1 - (k + 1) / SLOTS, 1 / SLOTS
        self._text = ax.text(0, y + 0.075, "", size=SMALL, color=INK, parse_math=False)
        self._bars = [_box(ax, (0, y), 0, 0.05, COLORS[i % len(COLORS)]) for i in range(targets)]
        self._over_text = _box(ax, (-0.02, y + 0.055), 1.04, high - 0.055, PAPER)
        self._over_bars = _box(ax, (-0.02, y - 0.003), 1.04, 0.056, PAPER)
        for artist in self.artists:
            artist.set_animated(True)

    @property
    def artists(self) -> list[Artist]:
        """All artists of the place, in the order in which they are drawn."""
        return [self._over_text, self._text, self._over_bars, *self._bars]

    def show(self, name: str, counts: npt.NDArray[np.int64], most: int) -> list[Artist]:
        """What is to be drawn after a change; nothing if there is none."""
        left, before = 0.0, [bar.get_width() for bar in self._bars]
        for bar, count in zip(self._bars, counts, strict=True):
            bar.set(x=left, width=count / most)
            left += count / most
        same = before == [bar.get_width() for bar in self._bars]
        return self.say(f"{name}   {int(counts.sum()):,}") + (
            [] if same else [self._over_bars, *self._bars]
        )

    def say(self, text: str) -> list[Artist]:
        """What is to be drawn to show another text; nothing if it is the same."""
        if self._text.get_text() == text:
            return []
        self._text.set_text(text)
        return [self._over_text, self._text]


def _box(ax: Axes, corner: tuple[float, float], wide: float, high: float, color: str) -> Rectangle:
    box = Rectangle(corner, wide, high, color=color, lw=0, clip_on=False)
    ax.add_patch(box)
    return box


def window(now: float, end_s: float, *, ended: bool = False) -> float:
    """How many seconds are shown: as long as the load lasts, if that is known and no long time.

    Else so many that `now` is in it, a fifth more each time, at most to the end; when it has
    `ended`, just what it took. Answers that are late by more than a fifth of the load get room too.
    """
    if ended and math.isinf(end_s):
        return max(now, 0.1)
    least = SHORTEST_S if math.isinf(end_s) else min(end_s, AT_ONCE_S)
    if end_s < now <= GROWTH * end_s:
        return end_s
    steps = math.ceil(round(math.log(max(now / least, 1.0), GROWTH), 9))
    wide = least * GROWTH**steps
    return min(wide, end_s) if now <= end_s else wide


def known_end(plan: Plan | None) -> float:
    """When the load ends, in seconds from the start; infinity if that is not known before."""
    if plan is None:
        return math.inf
    held = plan.prompts.turns > 1 and plan.duration_s is None
    counted = held or (isinstance(plan.load, Closed) and plan.requests is not None)
    return math.inf if counted or plan.seconds >= MAX_SECONDS else last_due(plan)


def last_due(plan: Plan) -> float:
    """When the last call is due, in seconds from the start, or what bounds that.

    Arrivals at random need more or less time than others for the same number of calls.
    """
    counted = plan.requests is not None and not isinstance(plan.load, Closed)
    if not counted or (estimate(plan).calls or COUNTED) >= COUNTED:
        return plan.seconds
    due = plan.due()
    # The only call of a plan is due at 0, and how far the run is, is a share of this.
    return max(float(due[-1]), 1e-3) if len(due) else plan.seconds


def rounded(value: float) -> float:
    """The next number of 1, 1.5, 2, 3, 4, 5, 6, 8, 10 times a power of ten."""
    power = 10.0 ** math.floor(math.log10(value))
    return next(m * power for m in (1, 1.5, 2, 3, 4, 5, 6, 8, 10) if m * power >= value * 0.999999)
