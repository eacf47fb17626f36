"""The picture of a distribution: the share of calls that took no longer, drawn through."""

from collections.abc import Iterator

import numpy as np
import numpy.typing as npt
from matplotlib.axes import Axes

from holymon.figures.durations import if_many_failed
from holymon.formatting import ends
from holymon.language.said import tell
from holymon.plots import canvas, spots
from holymon.plots.binning import steps_of
from holymon.plots.canvas import COLORS, GREY, RED, in_ms, log_x, note, styled
from holymon.records.records import Recorded, Records, plan_of, records_of

Floats = npt.NDArray[np.float64]


def plot_ecdf(of: Records | Recorded, *others: Records | Recorded, ax: Axes | None = None) -> Axes:
    """Share of successful calls that took no longer: latency drawn through, TTFT dashed.

    Where many failed it is the share of all calls, so that a curve ends below 1.
    Those of other runs, given too, are drawn over it under the names of their plans.
    """
    plans = [plan_of(given) for given in (of, *others)]
    names = [ends(plan.name, 30) if plan else "" for plan in plans]
    return styled(lambda a: _ecdf(tuple(map(records_of, (of, *others))), names, a), ax)


def _ecdf(runs: tuple[Records, ...], names: list[str], ax: Axes) -> None:
    n = sum(int((records.ok & records.mask()).sum()) for records in runs)
    if not n:
        note(ax, tell("no successful call") if any(map(len, runs)) else tell("no calls"))
        canvas.title(ax, tell("Distribution: nothing to show"), runs[0])
        return
    many = sum(len(records.targets) for records in runs) > canvas.FEW
    values: list[Floats] = []
    for i, (name, records, k) in enumerate(_each(runs, names)):
        mine = np.flatnonzero(records.ok & records.mask(k))
        for what, column, line in (("latency", "end_s", "-"), ("TTFT", "first_s", "--")):
            x = (records[column] - records["start_s"])[mine]
            known = ~np.isnan(x)
            x = x[known]
            if len(x):
                values.append(x)
                every = if_many_failed(records, k, what.lower())
                of = every.figure.n if every else len(x)
                label = tell(
                    "{name}\n  {what}, n = {n:,}",
                    name=name,
                    what=tell("latency") if line == "-" else what,
                    n=len(x),
                )
                if many:
                    label = tell("{name}, n = {n:,}", name=name, n=len(x)) if line == "-" else "_"
                label += tell(" of {of:,}", of=of) * (of > len(x) and label != "_")
                at, below = steps_of(x)
                ax.plot(at, below * (len(x) / of), line, color=COLORS[i % len(COLORS)],
                        label=label, lw=1.6)  # fmt: skip
                spots.curve(ax, records, mine[known], x, of)
    if many:
        canvas.kinds_of_lines(ax, {"-": tell("latency"), "--": "TTFT"})
    x = np.concatenate(values)
    if x.min() > 0 and x.max() > 10 * x.min():
        log_x(ax, float(x.max() / x.min()))
    for share, need in ((0.5, 1), (0.95, 20), (0.99, 100)):
        if max(len(x) for x in values) >= need:
            ax.axhline(share, color=GREY, lw=0.8, ls=":")
            ax.annotate(
                f"p{share * 100:.0f}", (1, share), xycoords=("axes fraction", "data"),
                xytext=(5, 0), textcoords="offset points", color=GREY, size=8, va="center",
            )  # fmt: skip
    unit = in_ms(ax.xaxis, float(x.max()))
    ax.set(
        ylim=(0, 1.02),
        xlabel=tell("time, {unit}", unit=unit),
        ylabel=tell("share of calls that took no longer"),
    )
    canvas.title(ax, tell("Distribution of {n:,} successful calls", n=n), runs[0])
    _failed(runs, ax)
    handles, labels = ax.get_legend_handles_labels()
    ax.legend(handles, labels, loc="center left", bbox_to_anchor=(1.05, 0.5), handlelength=2)


def _failed(runs: tuple[Records, ...], ax: Axes) -> None:
    """A mark where the curves would be of calls that took for ever, which tells of those."""
    each = [np.flatnonzero(r.judged & ~r.ok & r.mask()) for r in runs]
    n = sum(map(len, each))
    if n:
        ax.plot(1, 1, "x", color=RED, ms=5, mew=1.3, clip_on=False, transform=ax.transAxes,
                label=tell("failed, n = {n:,}", n=n))  # fmt: skip
    for records, at in zip(runs, each, strict=True):
        if len(at):
            spots.never(ax, records, at, ax.get_ylim()[1])


def _each(runs: tuple[Records, ...], names: list[str]) -> Iterator[tuple[str, Records, int]]:
    """Every target of every run: its name, the records, and its position there."""
    for run, records in zip(names, runs, strict=True):
        before = f"{run}: " if len(runs) > 1 and run else ""
        for k, name in enumerate(canvas.names(records)):
            yield before + name, records, k
