"""Pictures of records: each function draws one, on axes given or on a new figure of report size.

They take records, or the run that has them.

Nothing here computes a figure that a table shows; what is drawn are the raw calls, and the rolling
percentiles of them. Seconds come in, milliseconds are shown. Failures are never among the points
of a latency; they stand above them as marks of their own.
"""

from typing import Final

import numpy as np
import numpy.typing as npt
from matplotlib.axes import Axes
from matplotlib.ticker import MaxNLocator

from holymon.errors import NAMES
from holymon.figures.durations import if_many_failed
from holymon.formatting import number_of, rounded
from holymon.language.said import Digits, tell
from holymon.plan.plan import Closed
from holymon.plots import canvas
from holymon.plots.binning import CALLS_IN_BIN, edges_of, one_in, rolling, thinned
from holymon.plots.canvas import (
    COLORS,
    FEW,
    GREY,
    HATCHES,
    MARKERS,
    crosses,
    in_ms,
    legend,
    line_above,
    note,
    styled,
    thinning,
    warm_up,
)
from holymon.plots.spots import bars, highest, level
from holymon.records.attempt import Flag
from holymon.records.records import Recorded, Records, plan_of, records_of

Floats = npt.NDArray[np.float64]
Mask = npt.NDArray[np.bool_]

MOST_TYPES: Final = 7


def plot_latency(of: Records | Recorded, *, ax: Axes | None = None) -> Axes:
    """Latency of successful calls (end - start) by the time of their start; failures on top."""
    records = records_of(of)
    values = records["end_s"] - records["start_s"]
    return styled(lambda a: _over_time(records, values, "Latency", _warm_up(of), a), ax)


def plot_ttft(of: Records | Recorded, *, ax: Axes | None = None) -> Axes:
    """Time to first token of successful streams by the time of their start; failures on top."""
    records = records_of(of)
    values = records["first_s"] - records["start_s"]
    return styled(lambda a: _over_time(records, values, "TTFT", _warm_up(of), a), ax)


def plot_errors(of: Records | Recorded, *, ax: Axes | None = None) -> Axes:
    """Failures over time, stacked by error type, before all calls of the same moments."""
    return styled(lambda a: _errors(records_of(of), a), ax)


def plot_schedule_delay(of: Records | Recorded, *, ax: Axes | None = None) -> Axes:
    """How much later than scheduled each call was sent: the client's own lateness."""
    plan = plan_of(of)
    closed = plan is not None and isinstance(plan.load, Closed)
    return styled(lambda a: _delay(records_of(of), a, closed=closed), ax)


def _warm_up(of: Records | Recorded) -> float:
    """Seconds of warm-up: the plan's, or those up to the first of the calls that count."""
    plan, records = plan_of(of), records_of(of)
    if plan is not None:
        return plan.warmup_s
    counts = records.mask()
    return 0.0 if counts.all() or not counts.any() else float(records["due_s"][counts].min())


def _over_time(records: Records, values: Floats, what: str, warm: float, ax: Axes) -> None:
    good = records.ok & ~np.isnan(values)
    counted = good & records.mask()
    n = int(counted.sum())
    named = tell("Latency") if what == "Latency" else what
    if not good.any():
        streamed = bool((records["flags"] & Flag.STREAM).any())
        why = (
            tell("no successful call")
            if streamed or what != "TTFT"
            else tell("not streamed: no TTFT")
        )
        note(ax, why if len(records) else tell("no calls"))
        canvas.title(ax, tell("{what}: nothing to show", what=named), records)
        return
    every = one_in(int(good.sum()))
    for i, name in enumerate(canvas.names(records)):
        _points(ax, records, values, good & (records["target"] == i), i, name, every)
        _levels(ax, records, values, counted & (records["target"] == i), i, what)
    if len(records.targets) > FEW:
        canvas.kinds_of_lines(ax, {"-": "p50", "--": "p95"})
    longest = float(values[good].max())
    ax.set_ylim(0, longest * 1.18)
    _rug(ax, records)
    warm_up(ax, warm)
    unit = in_ms(ax.yaxis, longest)
    when = tell("start of the call, s from the start of the run")
    ax.set(xlabel=_noted(when, every), ylabel=f"{named}, {unit}")
    canvas.title(
        ax, tell("{what} of {calls}", what=named, calls=number_of(n, "successful call")), records
    )
    legend(ax)


def _points(
    ax: Axes, records: Records, values: Floats, mask: Mask, i: int, name: str, every: int
) -> None:
    at = np.flatnonzero(mask)
    t, y = records["start_s"][at], values[at]
    warm = (records["flags"][mask] & Flag.WARMUP) != 0
    color, n = COLORS[i % len(COLORS)], int((~warm).sum())
    drawn = thinned(t[~warm], y[~warm], every)
    canvas.points(ax, t[~warm][drawn], y[~warm][drawn], MARKERS[i % len(MARKERS)], every,
                  color=color, label=tell("{name}, n = {n:,}", name=name, n=n))  # fmt: skip
    if warm.any():
        drawn = thinned(t[warm], y[warm], every)
        canvas.points(ax, t[warm][drawn], y[warm][drawn], "o", every, color=GREY)
    highest(ax, records, at, t, y)


def _levels(ax: Axes, records: Records, values: Floats, mask: Mask, i: int, what: str) -> None:
    """Rolling percentiles of successes; where many failed, the legend has those of all calls."""
    every = if_many_failed(records, i, what.lower())
    middles, both = rolling(records["start_s"][mask], values[mask], 0.5, 0.95)
    for stat, line, times in zip(("p50", "p95"), ("-", "--"), both, strict=True):
        if len(middles):
            beside = (
                tell(" (of all: {duration})", duration=every.words(stat, " ms")) if every else ""
            )
            line_above(ax, middles, times, line, color=COLORS[i % len(COLORS)],
                       label=stat + beside if len(records.targets) <= FEW else "_")  # fmt: skip


def _noted(label: str, every: int) -> str:
    return f"{label}\n{thinning(every)}".rstrip()


def _rug(ax: Axes, records: Records) -> None:
    failed = records.judged & ~records.ok & records.mask()
    if not failed.any():
        return
    top = ax.get_ylim()[1] * canvas.TOP
    crosses(ax, records["start_s"][failed], top, tell("failed, n = {n:,}", n=int(failed.sum())))
    level(ax, records, np.flatnonzero(failed), top)


def _errors(records: Records, ax: Axes) -> None:
    mask = records.mask()
    failed = mask & ~records.ok
    n, bad = int(mask.sum()), int((failed & records.judged).sum())
    if not n:
        note(ax, tell("no calls"))
        canvas.title(ax, tell("Failures: nothing to show"), records)
        return
    t = records["due_s"]
    edges = edges_of(float(t[mask].min()), float(t[mask].max()), n / CALLS_IN_BIN)
    width = edges[1] - edges[0]
    every = np.histogram(t[mask], edges)[0]
    ax.stairs(every, edges, color=GREY, lw=1, label=tell("all calls, n = {n:,}", n=n))
    bottom = np.zeros(len(edges) - 1)
    for k, (label, chosen) in enumerate(_kinds(records, failed)):
        height = np.histogram(t[chosen], edges)[0]
        counted = tell("{label}, n = {n:,}", label=label, n=int(chosen.sum()))
        # One shape for each kind: a bar for each moment too would be a hundred kilobytes of SVG.
        ax.stairs(bottom + height, edges, baseline=bottom, fill=True, hatch=HATCHES[k],
                  fc=COLORS[k % len(COLORS)], ec="white", lw=0.3, label=counted)  # fmt: skip
        bottom = bottom + height  # a new one: the shape keeps what it was given
    bars(ax, records, failed, edges, bottom)
    ax.set_ylim(0, max(every.max(), 1) * 1.12)
    ax.yaxis.set_major_locator(MaxNLocator(integer=True))
    canvas.ticks(ax.yaxis, lambda x: Digits(f"{x:,.7g}"))
    when = tell("due time of the call, s from the start of the run")
    ax.set(xlabel=when, ylabel=tell("calls in {width:g} s", width=width))
    # As in the error rate: what we stopped or never sent is shown, and is no failure of the API.
    ours = int((failed & ~records.judged).sum())
    sent = n - ours
    title = (
        tell("{bad:,} of {calls} failed", bad=bad, calls=number_of(sent, "call"))
        if bad
        else tell("No failures in {calls}", calls=number_of(sent, "call"))
    )
    canvas.title(
        ax,
        title + tell("; {ours:,} more stopped or never sent by us", ours=ours) * bool(ours),
        records,
    )
    legend(ax)


def _kinds(records: Records, failed: Mask) -> list[tuple[str, Mask]]:
    """The most frequent error types, each with its rows, and the rest together."""
    names = list(records.errors(failed))
    codes = records["error"]
    kinds = [(name, failed & (codes == NAMES.index(name))) for name in names[:MOST_TYPES]]
    rest = [NAMES.index(name) for name in names[MOST_TYPES:]]
    return [*kinds, (tell("other types"), failed & np.isin(codes, rest))] if rest else kinds


def _delay(records: Records, ax: Axes, *, closed: bool) -> None:
    if closed:
        note(ax, tell("closed loop: calls are due when they start, there is no schedule"))
        canvas.title(ax, tell("Schedule delay"), records)
        return
    sent = records.sent & records.mask()
    delay = (records["start_s"] - records["due_s"])[sent]
    if not len(delay):
        note(ax, tell("no calls"))
        canvas.title(ax, tell("Schedule delay: nothing to show"), records)
        return
    t = records["due_s"][sent]
    every = one_in(len(t))
    drawn = thinned(t, delay, every)
    label = tell("calls, n = {n:,}", n=len(delay))
    canvas.points(ax, t[drawn], delay[drawn], "o", every, color=COLORS[0], label=label)
    highest(ax, records, np.flatnonzero(sent), t, delay)
    if len(delay) >= 100:
        p99 = float(np.quantile(delay, 0.99, method="median_unbiased"))
        label = tell("p99 = {p99} ms", p99=rounded(p99 * 1e3))
        line_above(ax, (0, 1), (p99, p99), "--", color=COLORS[1], label=label,
                   transform=ax.get_yaxis_transform())  # fmt: skip
    ax.set_ylim(min(0.0, float(delay.min())), max(float(delay.max()) * 1.15, 1e-3))
    canvas.ticks(ax.yaxis, lambda x: Digits(f"{x * 1e3:,.5g}"))
    when = tell("due time of the call, s from the start of the run")
    ax.set(xlabel=_noted(when, every), ylabel=tell("sent late by, ms"))
    canvas.title(
        ax, tell("Schedule delay of {calls}", calls=number_of(len(delay), "call")), records
    )
    legend(ax)
