"""What all pictures have in common: colours, type, the empty frame, the legend, the PNG."""

from collections.abc import Callable
from datetime import UTC
from typing import Any, Final

import matplotlib as mpl
import numpy as np
import numpy.typing as npt
from matplotlib.axes import Axes
from matplotlib.axis import Axis
from matplotlib.dates import AutoDateLocator, ConciseDateFormatter
from matplotlib.lines import Line2D
from matplotlib.ticker import FuncFormatter, LogLocator, ScalarFormatter

from holymon.formatting import ends
from holymon.language.catalogue import ENGLISH
from holymon.language.said import Digits, language, shown, tell
from holymon.plots.binning import crowds
from holymon.plots.picture import MOST_DRAWN, STYLE, Picture
from holymon.plots.snug import Snug
from holymon.records.records import Records

Floats = npt.NDArray[np.float64]

# Okabe and Ito's palette, without the yellow that white paper swallows.
COLORS: Final = ("#0072B2", "#D55E00", "#009E73", "#CC79A7", "#56B4E9", "#E69F00", "#000000")
MARKERS: Final = ("o", "s", "^", "D", "v", "P", "X")
HATCHES: Final = ("", "//", "..", "xx", "\\\\", "++", "oo", "--")
GREY: Final = "#777777"
RED: Final = "#B00020"
MOST_MARKS: Final = 200
TOP: Final = 0.96
"""Where failures are marked, as a share of the highest value shown."""

FEW: Final = 3
"""Up to so many targets a legend has room for the lines of each."""

HALO: Final = 3.5

IN_NUMBERS: Final = (
    ("%Y", "%m", "%d", "%H:%M", "%H:%M", "%S.%f"),
    ("", "%Y", "%m/%Y", "%d/%m", "%H:%M", "%H:%M"),
    ("", "%Y", "%m/%Y", "%d/%m/%Y", "%d/%m/%Y", "%d/%m/%Y %H:%M"),
)
"""Dates on an axis without the names of months, which matplotlib knows in English only."""


def title(ax: Axes, text: str, records: Records) -> None:
    """Give a picture its title, which says where calls were simulated."""
    ax.set_title(text + (tell(" (simulated)") if records.simulated else ""))


def names(records: Records) -> list[str]:
    """The targets' names, as long as a legend has room for."""
    return [ends(target.name, 40) for target in records.targets]


def styled(draw: Callable[[Axes], None], ax: Axes | None) -> Axes:
    """What `draw` draws, on the axes given or on a new figure of the size of a report."""
    with mpl.rc_context(STYLE):
        if ax is None:
            size = {"figsize": (8.6, 3.2), "layout": Snug(), "dpi": 100}
            ax = Picture(**size).add_subplot()
        draw(ax)
        _numbers(ax)
    return ax


class _Numbers(ScalarFormatter):
    """Ticks as matplotlib writes them, in groups of three, in the language of the document."""

    def __call__(self, x: float, pos: int | None = None) -> str:
        text = super().__call__(x, pos)
        return shown(Digits(f"{int(text):,}" if text.isdecimal() else text))


def _numbers(ax: Axes) -> None:
    for axis in (ax.xaxis, ax.yaxis):
        if type(axis.get_major_formatter()) is ScalarFormatter:
            axis.set_major_formatter(_Numbers())


def note(ax: Axes, text: str) -> None:
    """A frame that has nothing to show says why."""
    ax.set(xticks=[], yticks=[])
    ax.grid(visible=False)
    ax.text(0.5, 0.5, text, transform=ax.transAxes, ha="center", va="center", color=GREY, size=11)


HALF_HOUR: Final = 1 / 48
"""In days, as matplotlib counts them."""


def dates(ax: Axes) -> None:
    """An axis of moments in UTC; around a single one an hour, where matplotlib shows four years."""
    first, last = ax.dataLim.intervalx
    if first == last:
        ax.set_xlim(first - HALF_HOUR, last + HALF_HOUR)
    ticks = ConciseDateFormatter(AutoDateLocator(), tz=UTC)  # type: ignore[no-untyped-call]
    if language() != ENGLISH:
        ticks.formats, ticks.zero_formats, ticks.offset_formats = map(list, IN_NUMBERS)
    ax.xaxis.set_major_formatter(ticks)


def ticks(axis: Axis, write: Callable[[float], object]) -> None:
    """Have each tick say what `write` makes of its value, in the language of the document."""
    axis.set_major_formatter(FuncFormatter(lambda value, _: shown(write(value))))


def in_ms(axis: Any, longest: float) -> str:
    """Milliseconds up to ten seconds, then seconds; the unit for the label."""
    if longest >= 10:
        ticks(axis, lambda x: Digits(f"{x:,.5g}"))  # it may have been in ms
        return "s"
    ticks(axis, lambda x: Digits(f"{x * 1e3:,.5g}"))
    return "ms"


def log_x(ax: Axes, span: float) -> None:
    """A logarithmic axis of so many times its start; of few decades, with ticks at 2 and 5 too."""
    ax.set_xscale("log")
    _log_ticks(ax.xaxis, span)


def log_y(ax: Axes, low: float, high: float) -> None:
    """A logarithmic axis of durations between two values."""
    ax.set_yscale("log")
    ax.set_ylim(low, high)
    _log_ticks(ax.yaxis, high / low)
    in_ms(ax.yaxis, high)


def _log_ticks(axis: Axis, span: float) -> None:
    if span < 1000:
        axis.set_major_locator(LogLocator(subs=(1, 2, 5), numticks=99))
    axis.set_minor_formatter(FuncFormatter(lambda *_: ""))


def faded(every: int) -> dict[str, Any]:
    """Size and opacity of points of which one in `every` is drawn: many are small and light."""
    share = every**-0.5
    return {"ms": 2.2 + 1.2 * share, "mew": 0, "alpha": 0.35 + 0.15 * share}


def points(ax: Axes, x: Floats, y: Floats, marker: str, every: int, **look: Any) -> None:
    """Points of calls, of which one in `every` is drawn; many are an image where all is lines."""
    many = len(x) > MOST_DRAWN
    ax.plot(x, y, ls="", marker=marker, rasterized=many, **faded(every), **look)


def thinning(every: int) -> str:
    """What a picture says of points of which one in `every` is drawn; nothing if all are."""
    return (
        tell("points: all extremes, 1 in {every:,} of the rest", every=every) if every > 1 else ""
    )


def line_above(ax: Axes, x: Any, y: Any, kind: str, **look: Any) -> None:
    """A line with a halo that keeps it apart from the points it crosses, and covers no line."""
    under = {**look, "color": ax.get_facecolor(), "lw": HALO, "zorder": 2.5, "label": "_"}
    ax.plot(x, y, "-", **under)
    ax.plot(x, y, kind, lw=1.7, zorder=3, **look)


def kinds_of_lines(ax: Axes, words: dict[str, str]) -> None:
    """Explain each kind of line once, for all targets, as far as it is drawn."""
    for kind in [kind for kind in words if kind in {line.get_linestyle() for line in ax.lines}]:
        ax.plot([], [], kind, color=GREY, label=words[kind])


def crosses(ax: Axes, t: Floats, y: float, label: str) -> None:
    """A red mark for each call at its time; where they would run together, the darker the more."""
    if len(t) <= MOST_MARKS:
        ax.plot(t, np.full(len(t), y), "x", color=RED, ms=5, mew=1.3, label=label, clip_on=False)
        return
    moments, shares = crowds(t)
    colors = [(RED, 0.15 + 0.85 * share) for share in shares.tolist()]
    ax.scatter(moments, np.full(len(moments), y), 50, marker="|", c=colors, lw=1.6, clip_on=False)
    ax.plot([], [], "|", color=RED, ms=7, mew=1.6, label=tell("{label}\n(dark: many)", label=label))


def warm_up(ax: Axes, seconds: float) -> None:
    """Shade the time of a warm-up, if there is one."""
    if seconds > 0:
        ax.axvspan(0, seconds, color=GREY, alpha=0.12, lw=0, label=tell("warm-up"))


def legend(ax: Axes) -> None:
    """A legend on the right of the axes, if there is anything to explain."""
    handles, labels = ax.get_legend_handles_labels()
    if labels:
        made = ax.legend(
            handles, labels, loc="center left", bbox_to_anchor=(1.01, 0.5), handlelength=1.6
        )
        for handle in made.legend_handles:
            if isinstance(handle, Line2D):  # of thousands of calls the points are tiny and faint
                handle.set(markersize=max(handle.get_markersize(), 3.4), alpha=1)
