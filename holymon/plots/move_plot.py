"""The picture of a move: the candidate's share over time, both error rates and p95 beneath it."""

from collections.abc import Callable
from datetime import UTC, datetime
from typing import Final

import matplotlib as mpl
from matplotlib.axes import Axes

from holymon.figures.log_counts import figure_of
from holymon.figures.move_figures import SideSums
from holymon.formatting import ends, per_cent
from holymon.language.said import Digits, shown, tell
from holymon.plots.canvas import (
    COLORS,
    GREY,
    MARKERS,
    RED,
    dates,
    in_ms,
    legend,
    note,
    styled,
    ticks,
)
from holymon.plots.picture import STYLE, Picture
from holymon.report.moved import Moved

SIZE: Final = (8.6, 6.2)


def move_picture(move: Moved) -> Axes:
    """Three frames on one axis of time, one below the other: the axes of the first one."""
    with mpl.rc_context(STYLE):
        figure = Picture(figsize=SIZE, layout="constrained", dpi=100)
        first = figure.add_subplot(3, 1, 1)
        frames = (first, *(figure.add_subplot(3, 1, k, sharex=first) for k in (2, 3)))
    for ax, draw in zip(frames, (_share, _errors, _p95), strict=True):
        _drawn(ax, draw, move)
    dates(first)
    for ax in frames[:2]:
        ax.tick_params(labelbottom=False)
        ax.xaxis.get_offset_text().set_visible(False)
    frames[2].set_xlabel(tell("time, UTC"))
    return first


def _drawn(ax: Axes, draw: Callable[[Moved, Axes], None], move: Moved) -> None:
    styled(lambda axes: draw(move, axes), ax)


def _share(move: Moved, ax: Axes) -> None:
    """The share as a line of steps, with a red one where it was taken back."""
    label = tell(" (simulated)") * move.simulated
    ax.set_title(
        tell("Share of calls that go to {name}", name=ends(move.route.candidate, 40)) + label
    )
    changes = [change for change in move.route.history if change.since and not change.paused]
    if not changes:
        note(ax, tell("when the share changed is not in the file"))
        return
    last = max(move.as_of or 0.0, changes[-1].since)
    at = [_moment(since) for since in (*(change.since for change in changes), last)]
    shares = [change.after for change in changes]
    ax.plot(at, [*shares, shares[-1]], drawstyle="steps-post", color=COLORS[0], lw=1.8)  # type: ignore[arg-type]
    for change in changes:
        if change.phase == "back":
            ax.axvline(_moment(change.since), color=RED, lw=1.2, ls="--")  # type: ignore[arg-type]
    if any(change.phase == "back" for change in changes):
        ax.plot([], [], "--", color=RED, lw=1.2, label=tell("taken back"))
    ax.set(ylim=(-0.03, 1.05), ylabel=tell("share"))
    ticks(ax.yaxis, _percent)
    legend(ax)


def _errors(move: Moved, ax: Axes) -> None:
    """The share of calls of each side that failed, span by span."""
    _sides(move, ax, lambda sums: sum(s.failed for s in sums) / sum(s.calls for s in sums))
    ax.set(ylabel=tell("failed"))
    ax.set_ylim(bottom=0.0)
    ticks(ax.yaxis, _percent)


def _p95(move: Moved, ax: Axes) -> None:
    """The p95 of each side's successes, of spans that have enough of them."""
    highest = _sides(move, ax, lambda sums: figure_of([s.latency for s in sums]).p95)
    ax.set(ylabel=f"p95, {in_ms(ax.yaxis, highest)}")
    ax.set_ylim(bottom=0.0)


def _sides(
    move: Moved, ax: Axes, value: Callable[[list[SideSums]], float | None]
) -> float:  # fmt: skip
    """A line for each side, broken where a step begins, and the highest value drawn."""
    highest = 0.0
    names = {"baseline": move.route.baseline, "candidate": move.route.candidate}
    for k, (side, name) in enumerate(names.items()):
        of = (side,) if side == "baseline" else (side, "shadow")
        at, values = [], []
        for span in move.route.spans:
            sums = [span.sides[each] for each in of if each in span.sides]
            known = value(sums) if sums else None
            if known is not None:
                at.append(_moment((span.begin + span.end) / 2))
                values.append(known)
                highest = max(highest, known)
        if not at:  # else the legend would name a line that nobody sees
            continue
        ax.plot(at, values, "-", marker=MARKERS[k], ms=3, lw=1.2, color=COLORS[k],  # type: ignore[arg-type]
                label=ends(name, 24))  # fmt: skip
    if not ax.lines:
        ax.text(0.5, 0.5, tell("no figures in the file"), transform=ax.transAxes, ha="center",
                va="center", color=GREY)  # fmt: skip
    legend(ax)
    return highest


def _percent(share: float) -> str:
    """A share on an axis."""
    return shown(per_cent(Digits(f"{share * 100:.3g}")))


def _moment(since: float) -> datetime:
    return datetime.fromtimestamp(since, UTC)
