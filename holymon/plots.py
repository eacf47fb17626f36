"""Pictures of records: each function draws one, on axes given or on a new figure of report size.

Nothing here computes a figure that a table shows; what is drawn are the raw calls, and the rolling
percentiles of them. Seconds come in, milliseconds are shown. Failures are never among the points
of a latency; they stand above them as marks of their own.
"""

from typing import Final

import numpy as np
import numpy.typing as npt
from matplotlib.axes import Axes
from matplotlib.ticker import FuncFormatter, StrMethodFormatter

from holymon.bins import MOST_POINTS, crowds, edges_of, rolling, steps_of, thinned
from holymon.calibration import Calibration
from holymon.canvas import COLORS, GREY, HATCHES, MARKERS, RED, in_ms, legend, note, styled
from holymon.ceiling import Capacity, latest
from holymon.errors import NAMES
from holymon.plan import Closed, Open, Plan, Target
from holymon.records import Flag, Records
from holymon.safety import plain
from holymon.shapes import Replay, Shape, polyline

Floats = npt.NDArray[np.float64]
Mask = npt.NDArray[np.bool_]

CALLS_IN_BIN: Final = 10
MOST_TYPES: Final = 7
MOST_MARKS: Final = 200


def plot_latency(records: Records, *, ax: Axes | None = None) -> Axes:
    """Latency of successful calls (end - start) by the time of their start; failures on top."""
    values = records["end_s"] - records["start_s"]
    return styled(lambda a: _over_time(records, values, "Latency", a), ax)


def plot_ttft(records: Records, *, ax: Axes | None = None) -> Axes:
    """Time to first token of successful streams by the time of their start; failures on top."""
    values = records["first_s"] - records["start_s"]
    return styled(lambda a: _over_time(records, values, "TTFT", a), ax)


def plot_ecdf(records: Records, *, ax: Axes | None = None) -> Axes:
    """Share of successful calls that took no longer: latency drawn through, TTFT dashed."""
    return styled(lambda a: _ecdf(records, a), ax)


def plot_errors(records: Records, *, ax: Axes | None = None) -> Axes:
    """Failures over time, stacked by error type, before all calls of the same moments."""
    return styled(lambda a: _errors(records, a), ax)


def plot_schedule_delay(records: Records, *, ax: Axes | None = None) -> Axes:
    """How much later than scheduled each call was sent: the client's own lateness."""
    return styled(lambda a: _delay(records, a), ax)


def plot_arrivals(
    what: Plan | Shape | Replay | Records, *, seconds: float | None = None, ax: Axes | None = None
) -> Axes:
    """The rate that a shape, plan or run wants over time, and the calls due in each moment.

    For records also the calls that were sent. A shape without an end is drawn for `seconds` (60).
    """
    records = what if isinstance(what, Records) else None
    plan = records.plan if records is not None else what
    if isinstance(plan, Shape | Replay):
        load = Open(plan)
        end = seconds or plan.ends or 60.0
        anything = Target(provider="any", model="any")
        plan = Plan(targets=(anything,), load=load, duration_s=max(end, 0.01))
    assert isinstance(plan, Plan)
    return styled(lambda a: _arrivals(plan, records, a), ax)


def plot_calibration(found: Calibration, *, ax: Axes | None = None) -> Axes:
    """Reported minus true at p50 and p99, for TTFT, latency and gaps, at each rate."""
    return styled(lambda a: _calibration(found, a), ax)


def plot_capacity(found: Capacity, *, ax: Axes | None = None) -> Axes:
    """Answers and goodput per second against the rate that was wanted, level by level."""
    return styled(lambda a: _capacity(found, a), ax)


def _title(ax: Axes, text: str, records: Records) -> None:
    simulated = records.plan.simulated or bool((records["flags"] & Flag.SIMULATED).any())
    ax.set_title(text + (" (simulated)" if simulated else ""))


def _names(records: Records) -> list[str]:
    return [plain(target.name)[:60] for target in records.plan.targets]


def _over_time(records: Records, values: Floats, what: str, ax: Axes) -> None:
    good = records.ok & ~np.isnan(values)
    shown = good & records.mask()
    n = int(shown.sum())
    if not good.any():
        streamed = bool((records["flags"] & Flag.STREAM).any())
        why = "no successful call" if streamed or what != "TTFT" else "not streamed: no TTFT"
        note(ax, why if len(records) else "no calls")
        _title(ax, f"{what}: nothing to show", records)
        return
    for i, name in enumerate(_names(records)):
        _points(ax, records, values, good & (records["target"] == i), i, name)
    longest = float(values[good].max())
    ax.set_ylim(0, longest * 1.18)
    _rug(ax, records)
    _warm_up(ax, records)
    unit = in_ms(ax.yaxis, longest)
    ax.set(xlabel="start of the call, s from the start of the run", ylabel=f"{what}, {unit}")
    _title(ax, f"{what} of {n:,} successful call{'s' * (n != 1)}", records)
    legend(ax)


def _points(ax: Axes, records: Records, values: Floats, mask: Mask, i: int, name: str) -> None:
    t, y = records["start_s"][mask], values[mask]
    warm = (records["flags"][mask] & Flag.WARMUP) != 0
    color, n = COLORS[i % len(COLORS)], int((~warm).sum())
    chosen = thinned(t[~warm], y[~warm])
    size = 1.7 if n > MOST_POINTS else 3.4
    ax.plot(t[~warm][chosen], y[~warm][chosen], ls="", ms=size, mew=0, alpha=0.45, color=color,
            marker=MARKERS[i % len(MARKERS)], label=f"{name}, n = {n:,}")  # fmt: skip
    if warm.any():
        few = thinned(t[warm], y[warm])
        ax.plot(t[warm][few], y[warm][few], ls="", marker="o", ms=2.5, mew=0, color=GREY, alpha=0.4)
    for q, line in ((0.5, "-"), (0.95, "--")):
        middles, level = rolling(t[~warm], y[~warm], q)
        if len(middles):
            ax.plot(middles, level, line, color=color, lw=1.6, label=f"p{q * 100:.0f}", zorder=3)


def _rug(ax: Axes, records: Records) -> None:
    failed = records.judged & ~records.ok & records.mask()
    if not failed.any():
        return
    top = ax.get_ylim()[1] * 0.96
    _crosses(ax, records["start_s"][failed], top, f"failed, n = {int(failed.sum()):,}")


def _crosses(ax: Axes, t: Floats, y: float, label: str) -> None:
    """A red mark for each call at its time; where they would run together, the darker the more."""
    if len(t) <= MOST_MARKS:
        ax.plot(t, np.full(len(t), y), "x", color=RED, ms=5, mew=1.3, label=label, clip_on=False)
        return
    moments, shares = crowds(t)
    colors = [(RED, 0.15 + 0.85 * share) for share in shares.tolist()]
    ax.scatter(moments, np.full(len(moments), y), 50, marker="|", c=colors, lw=1.6, clip_on=False)
    ax.plot([], [], "|", color=RED, ms=7, mew=1.6, label=f"{label}\n(dark: many)")


def _warm_up(ax: Axes, records: Records) -> None:
    if records.plan.warmup_s > 0:
        ax.axvspan(0, records.plan.warmup_s, color=GREY, alpha=0.12, lw=0, label="warm-up")


def _ecdf(records: Records, ax: Axes) -> None:
    good = records.ok & records.mask()
    if not good.any():
        note(ax, "no successful call" if len(records) else "no calls")
        _title(ax, "Distribution: nothing to show", records)
        return
    columns = {"latency": records["end_s"] - records["start_s"],
               "TTFT": records["first_s"] - records["start_s"]}  # fmt: skip
    everything: list[Floats] = []
    for i, name in enumerate(_names(records)):
        for (what, values), line in zip(columns.items(), ("-", "--"), strict=True):
            x = values[good & (records["target"] == i) & ~np.isnan(values)]
            if len(x):
                everything.append(x)
                label = f"{name}\n  {what}, n = {len(x):,}"
                ax.plot(*steps_of(x), line, color=COLORS[i % len(COLORS)], label=label, lw=1.6)
    x = np.concatenate(everything)
    if x.min() > 0 and x.max() > 10 * x.min():
        ax.set_xscale("log")
        ax.xaxis.set_minor_formatter(FuncFormatter(lambda *_: ""))
    for share, need in ((0.5, 1), (0.95, 20), (0.99, 100)):
        if max(len(one) for one in everything) >= need:
            ax.axhline(share, color=GREY, lw=0.8, ls=":")
            ax.annotate(
                f"p{share * 100:.0f}", (1, share), xycoords=("axes fraction", "data"),
                xytext=(2, 0), textcoords="offset points", color=GREY, size=8, va="center",
            )  # fmt: skip
    unit = in_ms(ax.xaxis, float(x.max()))
    ax.set(ylim=(0, 1.02), xlabel=f"time, {unit}", ylabel="share of calls that took no longer")
    _title(ax, f"Distribution of {int(good.sum()):,} successful calls", records)
    handles, labels = ax.get_legend_handles_labels()
    ax.legend(handles, labels, loc="center left", bbox_to_anchor=(1.05, 0.5), handlelength=2)


def _errors(records: Records, ax: Axes) -> None:
    mask = records.mask()
    failed = mask & ~records.ok
    n, bad = int(mask.sum()), int(failed.sum())
    if not n:
        note(ax, "no calls")
        _title(ax, "Failures: nothing to show", records)
        return
    t = records["due_s"]
    edges = edges_of(float(t[mask].min()), float(t[mask].max()), n / CALLS_IN_BIN)
    width = edges[1] - edges[0]
    every = np.histogram(t[mask], edges)[0]
    ax.stairs(every, edges, color=GREY, lw=1, label=f"all calls, n = {n:,}")
    bottom = np.zeros(len(edges) - 1)
    for k, (label, chosen) in enumerate(_kinds(records, failed)):
        height = np.histogram(t[chosen], edges)[0]
        said = f"{label}, n = {int(chosen.sum()):,}"
        ax.bar(edges[:-1], height, width, bottom, align="edge", color=COLORS[k % len(COLORS)],
               hatch=HATCHES[k], edgecolor="white", lw=0.3, label=said)  # fmt: skip
        bottom += height
    ax.set_ylim(0, max(every.max(), 1) * 1.12)
    ax.yaxis.set_major_formatter(StrMethodFormatter("{x:,.7g}"))
    when = "due time of the call, s from the start of the run"
    ax.set(xlabel=when, ylabel=f"calls in {width:g} s")
    said = f"{bad:,} of {n:,} calls failed" if bad else f"No failures in {n:,} calls"
    _title(ax, said, records)
    legend(ax)


def _kinds(records: Records, failed: Mask) -> list[tuple[str, Mask]]:
    """The most frequent error types, each with its rows, and the rest together."""
    names = list(records.errors(failed))
    codes = records["error"]
    kinds = [(name, failed & (codes == NAMES.index(name))) for name in names[:MOST_TYPES]]
    rest = [NAMES.index(name) for name in names[MOST_TYPES:]]
    return [*kinds, ("other types", failed & np.isin(codes, rest))] if rest else kinds


def _delay(records: Records, ax: Axes) -> None:
    if isinstance(records.plan.load, Closed):
        note(ax, "closed loop: calls are due when they start, there is no schedule")
        _title(ax, "Schedule delay", records)
        return
    sent = records.sent & records.mask()
    delay = (records["start_s"] - records["due_s"])[sent]
    if not len(delay):
        note(ax, "no calls")
        _title(ax, "Schedule delay: nothing to show", records)
        return
    t = records["due_s"][sent]
    chosen = thinned(t, delay)
    ax.plot(t[chosen], delay[chosen], "o", ms=3, mew=0, alpha=0.45, color=COLORS[0],
            label=f"calls, n = {len(delay):,}")  # fmt: skip
    if len(delay) >= 100:
        p99 = float(np.quantile(delay, 0.99, method="median_unbiased"))
        ax.axhline(p99, color=COLORS[1], ls="--", lw=1.3, label=f"p99 = {p99 * 1e3:.3g} ms")
    ax.set_ylim(min(0.0, float(delay.min())), max(float(delay.max()) * 1.15, 1e-3))
    ax.yaxis.set_major_formatter(FuncFormatter(lambda x, _: f"{x * 1e3:.4g}"))
    ax.set(xlabel="due time of the call, s from the start of the run", ylabel="sent late by, ms")
    _title(ax, f"Schedule delay of {len(delay):,} calls", records)
    legend(ax)


def _arrivals(plan: Plan, records: Records | None, ax: Axes) -> None:
    if isinstance(plan.load, Closed):
        note(ax, "closed loop: users set the pace, there is no schedule")
        ax.set_title("Arrivals")
        return
    due, times = plan.due(), len(plan.targets)
    shape, end = plan.load.shape, plan.seconds
    edges = edges_of(0.0, max(end, 1e-3), len(due) / CALLS_IN_BIN)
    width = edges[1] - edges[0]
    ax.stairs(np.histogram(due, edges)[0] / width, edges, color=COLORS[0], lw=1.2, fill=True,
              alpha=0.3, label=f"due, n = {len(due):,}")  # fmt: skip
    if isinstance(shape, Shape):
        line = polyline(shape, end=end, warm_up=plan.warmup_s, times=times)
        ax.plot(*zip(*line, strict=True), color=COLORS[0], lw=1.8, label="wanted rate")
    if records is not None:
        start = records["start_s"][records.sent]
        ax.stairs(np.histogram(start, edges)[0] / width, edges, color=COLORS[1], lw=1.8,
                  label=f"sent, n = {len(start):,}")  # fmt: skip
        dropped = records["due_s"][~records.sent]
        if len(dropped):
            _crosses(ax, dropped, 0.0, f"not sent, n = {len(dropped):,}")
        _warm_up(ax, records)
    ax.set_ylim(bottom=0)
    ax.set(xlabel="s from the start of the run", ylabel="calls per second")
    ax.set_title(f"Arrivals: {plan.load.shape.words}" + f", {times} targets" * (times > 1))
    legend(ax)


def _calibration(found: Calibration, ax: Axes) -> None:
    rates = [level.rate for level in found.accuracy]
    names = {"ttft_s": "TTFT", "latency_s": "latency", "itl_s": "gaps"}
    for i, (metric, name) in enumerate(names.items()):
        for q, line in (("p50", "-"), ("p99", "--")):
            off = [level.errors[metric][q] for level in found.accuracy]
            known = [np.nan if one is None else one * 1e3 for one in off]
            ax.plot(rates, known, line, marker=MARKERS[i], color=COLORS[i], label=f"{name} {q}")
    ax.axhline(0, color=GREY, lw=0.8)
    ax.set(xlabel="calls per second", ylabel="reported minus true, ms")
    best = found.highest_valid_rate
    said = "no rate was valid" if best is None else f"valid up to {best:g} calls/s"
    ax.set_title(f"Calibration on this machine: {said} (simulated)")
    legend(ax)


def _capacity(found: Capacity, ax: Axes) -> None:
    levels = latest(found.levels)
    if not levels:
        note(ax, "no level was measured")
        return
    rates = [level.rate for level in levels]
    ax.plot(rates, rates, ":", color=GREY, label="wanted")
    for k, (name, line) in enumerate((("answers_per_s", "-"), ("goodput_per_s", "--"))):
        values = [np.nan if (v := getattr(one, name)) is None else v for one in levels]
        label = "answers" if k == 0 else "goodput: within the limits"
        ax.plot(rates, values, line, color=COLORS[k], lw=1.6, label=label)
    kinds = {True: ("o", COLORS[2], "met"), False: ("X", RED, "missed"),
             None: ("s", GREY, "not valid")}  # fmt: skip
    for met, (marker, color, label) in kinds.items():
        those = [one for one in levels if one.met is met]
        if those:
            heights = [one.answers_per_s or 0.0 for one in those]
            ax.plot([one.rate for one in those], heights, marker, color=color, ms=7, label=label)
    if found.best and found.limit:
        ax.axvspan(found.best.rate, found.limit.rate, color=COLORS[5], alpha=0.25, lw=0,
                   label="the limit is in here")  # fmt: skip
    if max(rates) > 20 * min(rates):
        ax.set_xscale("log")
        ax.set_yscale("log")
    ax.set(xlabel="wanted calls/s", ylabel="per second")
    said = f"met up to {found.best.rate:g} calls/s" if found.best else "met at no rate tried"
    ax.set_title(f"{plain(found.target)}: {said}" + " (simulated)" * found.simulated)
    legend(ax)
