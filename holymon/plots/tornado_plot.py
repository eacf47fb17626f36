"""What the month of break-even depends on most: a bar for each input, lowered and raised."""

import math
from typing import Final

from matplotlib.axes import Axes

from holymon.figures.migration import Bar
from holymon.figures.sheet import Sheet
from holymon.formatting import ends, rounded
from holymon.language.said import glued, say, shown, tell
from holymon.plots.canvas import COLORS, GREY, note
from holymon.plots.picture import Picture

MOST: Final = 4.0
"""What is never reached, or takes longer than so many times what is expected, ends there."""


def tornado(sheet: Sheet, ax: Axes) -> None:
    """The bars of the best candidate, what moves the outcome most at the top."""
    known = sheet.best.saving
    label = say(" (simulated)") * sheet.simulated
    title = say("What a move to {name} depends on", name=ends(sheet.best.name, 40))
    ax.set_title(shown(glued(title, label)))
    if known is None or not known.bars:
        _alone(ax, tell("the saving is not known"))
        return
    months = sheet.move.one_off > 0
    middle = known.break_even.value if months and known.break_even else None
    middle = known.per_month.value if not months else middle
    if middle is None:
        _alone(ax, tell("the work of moving is never earned back"))
        return
    edge = _edge(known.bars, middle) if months else math.inf
    for y, bar in zip(range(len(known.bars), 0, -1), known.bars, strict=True):
        _bar(ax, y, bar, middle, edge)
    ax.axvline(middle, color=GREY, lw=1.2)
    ax.set_yticks(range(len(known.bars), 0, -1), [ends(shown(bar.name), 40) for bar in known.bars])
    ax.grid(visible=False, axis="y")
    expected = rounded(middle)
    wait = tell("months until break-even; expected {expected}", expected=expected)
    gain = tell("USD saved a month; expected {expected}", expected=expected)
    ax.set(ylim=(0.4, len(known.bars) + 0.6), xlabel=wait if months else gain)
    ax.margins(x=0.2)
    if months:
        ax.set_xlim(left=max(ax.get_xlim()[0], 0.0) if middle else None)
    if isinstance(ax.figure, Picture):
        ax.figure.set_figheight(max(ax.figure.get_figheight(), 1.2 + 0.32 * len(known.bars)))


def _alone(ax: Axes, text: str) -> None:
    """A sentence in the place of bars, and no frame around nothing."""
    note(ax, text)
    ax.spines[:].set_visible(False)
    if isinstance(ax.figure, Picture):
        ax.figure.set_figheight(0.9)


def _edge(bars: tuple[Bar, ...], middle: float) -> float:
    known = [end for bar in bars for end in (bar.at_low, bar.at_high) if end is not None]
    return min(max([*known, middle]) * 1.2, max(middle, 1e-9) * MOST)


def _bar(ax: Axes, y: int, bar: Bar, middle: float, edge: float) -> None:
    """Both sides of a bar, each with its input; what is never reached is at the edge."""
    sides = ((bar.low, bar.at_low, COLORS[4]), (bar.high, bar.at_high, COLORS[0]))
    at = [edge if end is None else min(end, edge) for _, end, _ in sides]
    for (words, end, color), x in zip(sides, at, strict=True):
        ax.barh(y, x - middle, 0.55, left=middle, color=color, lw=0)
        right = x > middle or (x == middle and words == bar.high)
        beyond = _beyond(end, x)
        ax.annotate(
            shown(words) + beyond, (x, y), xytext=(4 if right else -4, 0),
            textcoords="offset points", va="center", ha="left" if right else "right", size=8.5,
        )  # fmt: skip


def _beyond(end: float | None, edge: float) -> str:
    """What stands beside a side that is cut off at the edge."""
    if end is None:
        return tell(" (never)")
    return f" ({shown(rounded(end))})" if edge < end else ""
