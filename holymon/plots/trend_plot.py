"""The picture of a history: one figure over the runs, with each change marked where it began."""

from datetime import UTC, datetime
from typing import Final

import numpy as np
from matplotlib.axes import Axes

from holymon.catalogue.history import History, Series
from holymon.figures.change import KINDS
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
from holymon.plots.move_plot import move_picture
from holymon.plots.picture import MOST_DRAWN
from holymon.report.move_subject import MoveSubject

MOST_LINES: Final = 6
MOST_NAMED: Final = 6
MOST_JOINED: Final = 1000
"""A line through more points than that would hide them."""


def plot_trend(
    history: History | MoveSubject, figure: str = "latency_p95", *, ax: Axes | None = None
) -> Axes:  # fmt: skip
    """A figure (see `History.series`) of each target over its runs, with 95 % intervals.

    A line joins runs in which the target was asked the same under the same load: of others it would
    claim a trend. A dashed one stands where a change began: red for the worse, grey for the better;
    an interval that is not known is left out. Many runs are points alone, and a band. Of a move
    of traffic, the share over time with the failures and p95 of both sides beneath it: always a
    figure of its own, of which the first axes are returned. Raises PlanError for a figure that is
    none.
    """
    if isinstance(history, MoveSubject):
        return move_picture(history.move)
    series = history.series(figure)
    return styled(lambda axes: _trend(history, figure, series, axes), ax)


def _trend(history: History, figure: str, series: tuple[Series, ...], ax: Axes) -> None:
    if not series:
        note(ax, tell("no run has this figure"))
        return
    most = sorted(series, key=lambda each: -len(each.value))[:MOST_LINES]
    for k, each in enumerate(most):
        several = len({other.name for other in series}) > 1
        label = ends(f"{each.name}: " * several + each.target, 30)
        label += f"\n{ends(each.place, 30)}" * bool(each.place)
        _line(each, label, COLORS[k % len(COLORS)], MARKERS[k % len(MARKERS)], ax)
    _mark(history, figure, most, ax)
    title = shown(KINDS[figure].short) if figure in KINDS else figure.replace("_", " ")
    unit = _unit(ax, figure, max(float(each.value.max()) for each in most))
    dates(ax)
    ax.set(ylabel=f"{title}, {unit}" if unit else title, xlabel=tell("begin of the run, UTC"))
    left_out = tell(", {n} more lines left out", n=len(series) - len(most)) * (
        len(series) > len(most)
    )
    simulated = tell(" (simulated)") * any(entry.simulated for entry in history)
    ax.set_title(
        tell(
            "{title} from run to run{left_out}{simulated}",
            title=title[:1].upper() + title[1:],
            left_out=left_out,
            simulated=simulated,
        )
    )
    legend(ax)


def _line(series: Series, label: str, color: str, marker: str, ax: Axes) -> None:
    """One series: a line for each kind of run, and points alone where the kind is not known."""
    kinds = np.array(series.kinds)
    for number, kind in enumerate(dict.fromkeys(series.kinds)):
        alike = kinds == kind
        when = [datetime.fromtimestamp(at, UTC) for at in series.at[alike].tolist()]
        low, value, high = (each[alike] for each in (series.low, series.value, series.high))
        many, joined = len(when) > MOST_DRAWN, bool(kind) and len(when) <= MOST_JOINED
        if not (kind and many):  # which would cover each other and the points
            ax.vlines(when, low, high, color=color, alpha=0.3, lw=1.5, rasterized=many)  # type: ignore[arg-type]
        if kind:
            ax.fill_between(
                when, low, high, color=color, alpha=0.15, lw=0, rasterized=many,  # type: ignore[arg-type]
            )  # fmt: skip
        ax.plot(
            when, value, ls="-" if joined else "", marker=marker, lw=1.2, rasterized=many,  # type: ignore[arg-type]
            ms=1.5 if many else 3, color=color, label="_" * bool(number) + label,
        )  # fmt: skip


def _mark(history: History, figure: str, drawn: list[Series], ax: Axes) -> None:
    places = {run_id: at for each in drawn
              for run_id, at in zip(each.run_ids, each.at.tolist(), strict=True)}  # fmt: skip
    targets = {each.target for each in drawn}
    changes = [change for change in history.changes if change.figure == figure
               and change.target in targets and change.since_run in places]  # fmt: skip
    for k, change in enumerate(changes):
        when = datetime.fromtimestamp(places[change.since_run], UTC)
        color = RED if change.worse else GREY
        ax.axvline(when, color=color, lw=1.2, ls="--")  # type: ignore[arg-type]
        if len(changes) <= MOST_NAMED and change.ratio:
            ax.annotate(
                shown(per_cent(Digits(f"{(change.ratio - 1) * 100:+.2g}"))),
                (when, 1 - 0.08 * (k % 3)),
                xycoords=("data", "axes fraction"),
                color=color,
                size=9,
                va="top",
                xytext=(3, 0),
                textcoords="offset points",
            )
    for worse, color in ((True, RED), (False, GREY)):
        if any(change.worse is worse for change in changes):
            label = tell("changed for the worse") if worse else tell("changed for the better")
            ax.plot([], [], "--", color=color, lw=1.2, label=label)


def _unit(ax: Axes, figure: str, most: float) -> str:
    if figure.rpartition("_")[2] in {"p50", "p95", "p99"}:
        return in_ms(ax.yaxis, most)
    if figure in {"error_rate", "cache_hit_rate", "reasoning_share"}:
        ticks(ax.yaxis, lambda y: per_cent(Digits(f"{y * 100:.3g}")))
        return ""
    return {"cost_per_call": "USD", "cost_usd": "USD", "requests_per_s": tell("calls/s")}.get(
        figure, ""
    )
