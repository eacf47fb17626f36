"""The picture of places: from where a target is slow, or fails, at which hour of the day."""

from typing import Final

import numpy as np
from matplotlib import colormaps
from matplotlib.axes import Axes
from matplotlib.patches import Rectangle

from holymon.catalogue.history import History
from holymon.catalogue.places import OfPlace, place_name
from holymon.figures.places import DAY
from holymon.formatting import ends
from holymon.language.said import Digits, shown, tell
from holymon.plots.canvas import Floats, note, styled
from holymon.plots.picture import Picture

MOST_PLACES: Final = 12
DARK: Final = 0.55
EMPTY: Final = "#eeeeee"


def plot_places(history: History, *, ax: Axes | None = None) -> Axes:
    """Latency p50, p95 and failed calls of each place by hour of the day (UTC).

    Of the target and load with most runs (`history.places` has the others): medians over the runs
    of an hour, by the clock of the store where a place's own is off; invalid measurements are left
    out.
    """
    return styled(lambda axes: _places(history, axes), ax)


def _places(history: History, ax: Axes) -> None:
    if not history.places:
        note(ax, tell("no run says where it was measured"))
        return
    group = history.places[0]
    drawn, more = group[:MOST_PLACES], len(group) - len(group[:MOST_PLACES])
    if isinstance(ax.figure, Picture):
        ax.figure.set_figheight(1.3 + 3 * (0.3 + 0.26 * len(drawn)))
    simulated = tell(" (simulated)") * any(entry.simulated for entry in history)
    left_out = tell(", {n} more places left out", n=more) * (more > 0)
    ax.set_title(tell("{target} by place and hour{left_out}{simulated}",
                      target=ends(group[0].target, 40), left_out=left_out,
                      simulated=simulated), pad=22)  # fmt: skip
    ax.set(xticks=[], yticks=[])
    ax.grid(visible=False)
    for side in ax.spines.values():
        side.set_visible(False)
    values = np.array([each.runs.by_hour() for each in drawn])
    panels = (
        (tell("latency p50, ms"), values[:, 0] * 1e3, "Blues"),
        (tell("latency p95, ms"), values[:, 1] * 1e3, "Blues"),
        (tell("failed, %"), values[:, 2] * 1e2, "Reds"),
    )
    for k, (title, rows, colors) in enumerate(panels):
        inner = ax.inset_axes((0.0, (2 - k) * 0.355, 1.0, 0.29))
        _panel(inner, title, rows, colors, drawn, last=k == 2)


def _panel(
    ax: Axes, title: str, rows: Floats, colors: str, drawn: tuple[OfPlace, ...], *, last: bool
) -> None:  # fmt: skip
    """One figure: a row for each place, a column for each hour, each cell with its number."""
    most = float(np.nanmax(rows)) if np.isfinite(rows).any() else 0.0
    shade = colormaps[colors]
    for y, row in enumerate(rows):
        for x, value in enumerate(row.tolist()):
            known = np.isfinite(value)
            part = value / most if known and most > 0 else 0.0
            color = shade(0.08 + 0.8 * part) if known else EMPTY
            ax.add_patch(Rectangle((x, y), 1, 1, facecolor=color, edgecolor="white", lw=0.8))
            if known:
                ax.text(x + 0.5, y + 0.5, shown(Digits(_number(value))), ha="center", va="center",
                        size=6.5, color="white" if part > DARK else "black")  # fmt: skip
    ax.set(xlim=(0, DAY), ylim=(len(rows), 0))
    names = [ends(shown(place_name(each.runs.place)), 20) for each in drawn]
    ax.set_yticks(np.arange(len(rows)) + 0.5, names, size=8)
    hours = [f"{hour:02}" if last else "" for hour in range(DAY)]
    ax.set_xticks(np.arange(DAY) + 0.5, hours, size=8)
    ax.tick_params(length=0)
    ax.grid(visible=False)
    ax.set_title(title, size=9, weight="normal")
    if last:
        ax.set_xlabel(tell("hour of the day, UTC"))


def _number(value: float) -> str:
    return f"{value:,.0f}" if value >= 99.5 or value == 0 else f"{value:.2g}"
