"""Pictures of what was found: how far off a client is, how B compares with A, what a server takes.

Like those of records, each is drawn on axes given or on a new figure; nothing is computed here.
"""

import numpy as np
from matplotlib.axes import Axes

from holymon.experiments.calibration import Calibration
from holymon.experiments.capacity import Capacity, latest
from holymon.figures.comparison import Comparison
from holymon.figures.comparisons import Comparisons
from holymon.figures.pair_tests import RESULTS
from holymon.figures.sheet import Sheet
from holymon.formatting import ends, per_cent
from holymon.language.said import Digits, shown, tell
from holymon.plots.canvas import COLORS, GREY, MARKERS, RED, legend, log_x, note, styled, ticks
from holymon.plots.picture import Picture
from holymon.plots.tornado_plot import tornado
from holymon.safety import plain


def plot_calibration(calibration: Calibration, *, ax: Axes | None = None) -> Axes:
    """Reported minus true at p50 and p99, for TTFT, latency and gaps, at each rate."""
    return styled(lambda a: _calibration(calibration, a), ax)


def plot_comparison(
    comparison: Comparison | Comparisons | Sheet, *, ax: Axes | None = None
) -> Axes:  # fmt: skip
    """Each percentile of B over that of A, its interval, and the smallest effect that counts.

    Of several comparisons those of each B, one below the other. Of the sheet of a migration, what
    the month of its break-even depends on: each input lowered and raised.
    """
    if isinstance(comparison, Sheet):
        return styled(lambda a: tornado(comparison, a), ax)
    several = comparison if isinstance(comparison, Comparisons) else Comparisons([comparison])
    return styled(lambda a: _comparison(several, a), ax)


def plot_capacity(capacity: Capacity, *, ax: Axes | None = None) -> Axes:
    """Answers and goodput per second against the rate that was wanted, level by level."""
    return styled(lambda a: _capacity(capacity, a), ax)


def _calibration(calibration: Calibration, ax: Axes) -> None:
    rates = [level.rate for level in calibration.accuracy]
    names = {"ttft_s": "TTFT", "latency_s": tell("latency"), "itl_s": tell("gaps")}
    for i, (metric, name) in enumerate(names.items()):
        for q, line in (("p50", "-"), ("p99", "--")):
            off = [level.errors[metric][q] for level in calibration.accuracy]
            known = [np.nan if error is None else error * 1e3 for error in off]
            ax.plot(rates, known, line, marker=MARKERS[i], color=COLORS[i], label=f"{name} {q}")
    ax.axhline(0, color=GREY, lw=0.8)
    ax.set(xlabel=tell("calls per second"), ylabel=tell("reported minus true, ms"))
    best = calibration.highest_valid_rate
    verdict = (
        tell("no rate was valid")
        if best is None
        else tell("valid up to {best:g} calls/s", best=best)
    )
    ax.set_title(tell("Calibration on this machine: {verdict} (simulated)", verdict=verdict))
    legend(ax)


def _comparison(several: Comparisons, ax: Axes) -> None:
    known = [(each.b, row, row.ratio) for each in several for row in each.ratios
             if row.ratio and row.ratio < np.inf]  # fmt: skip
    if not known:
        note(ax, tell("nothing to compare"))
        return
    comparison, many = several[0], len(several) > 1
    if many and isinstance(ax.figure, Picture):
        ax.figure.set_figheight(max(ax.figure.get_figheight(), 0.9 + 0.24 * len(known)))
    rows = np.arange(len(known))[::-1]
    ax.axvspan(1 / (1 + comparison.effect), 1 + comparison.effect, color=GREY, alpha=0.15, lw=0,
               label=tell("less than {effect}: too small to count",
                          effect=per_cent(Digits(f"{comparison.effect * 100:.3g}"))))  # fmt: skip
    ax.axvline(1, color=GREY, lw=1)
    for y, (_, row, ratio) in zip(rows, known, strict=True):
        color = COLORS[1] if row.result in {"higher", "lower"} else COLORS[0]
        if row.interval:
            ax.plot(row.interval, (y, y), color=color, lw=2.4, solid_capstyle="butt")
        ax.plot(ratio, y, "o", color=color, ms=7)
        result = "not comparable" if comparison.notes else row.result
        ax.annotate(shown(RESULTS[result]), (1.01, y), xycoords=("axes fraction", "data"),
                    va="center", size=9)  # fmt: skip
    names = [f"{ends(b, 30)}, " * many + shown(row.cells[0]) for b, row, _ in known]
    ax.set_yticks(rows, names)
    edges = [
        end for _, row, ratio in known for end in row.interval or (ratio, ratio) if end < np.inf
    ]
    if max(edges) > 2 or min(edges) < 0.5:
        log_x(ax, max(edges) / min(edges))
        ticks(ax.xaxis, lambda x: Digits(f"{x:g}"))
    ax.set(ylim=(-0.6, len(known) - 0.4), xlabel=tell("B / A, with 95 % intervals of all together"))
    label = tell(" (simulated)") * comparison.simulated
    which = tell("{n} targets", n=len(several)) if many else f"B = {ends(comparison.b, 40)}"
    a = ends(comparison.a, 40)
    ax.set_title(tell("{which} against A = {a}{label}", which=which, a=a, label=label))


def _capacity(capacity: Capacity, ax: Axes) -> None:
    levels = latest(capacity.levels)
    if not levels:
        note(ax, tell("no level was measured"))
        return
    rates = [level.rate for level in levels]
    ax.plot(rates, rates, ":", color=GREY, label=tell("wanted"))
    for k, (name, line) in enumerate((("answers_per_s", "-"), ("goodput_per_s", "--"))):
        values = [np.nan if (v := getattr(level, name)) is None else v for level in levels]
        label = tell("answers") if k == 0 else tell("goodput: within the limits")
        ax.plot(rates, values, line, color=COLORS[k], lw=1.6, label=label)
    kinds = {True: ("o", COLORS[2], tell("met")), False: ("X", RED, tell("missed")),
             None: ("s", GREY, tell("not valid"))}  # fmt: skip
    for met, (marker, color, label) in kinds.items():
        those = [level for level in levels if level.met is met]
        if those:
            heights = [level.answers_per_s or 0.0 for level in those]
            ax.plot(
                [level.rate for level in those], heights, marker, color=color, ms=7, label=label
            )
    if capacity.best and capacity.limit:
        ax.axvspan(capacity.best.rate, capacity.limit.rate, color=COLORS[5], alpha=0.25, lw=0,
                   label=tell("between met and missed"))  # fmt: skip
    if capacity.about:
        ax.axvline(capacity.about, ls="-.", color=GREY, lw=1.2,
                   label=tell("limit, about {about:.3g}", about=capacity.about))  # fmt: skip
    if max(rates) > 20 * min(rates):
        ax.set_xscale("log")
        ax.set_yscale("log")
    ax.set(xlabel=tell("wanted calls/s"), ylabel=tell("per second"))
    ax.set_title(
        f"{plain(capacity.target)}: {shown(capacity.met_words)}"
        + tell(" (simulated)") * capacity.simulated
    )
    legend(ax)
