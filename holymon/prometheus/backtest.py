"""Where the alerts would have fired on records: the conditions of `alerts` over sliding windows.

Prometheus sees counters at its scrapes, this the calls themselves; near a threshold, or within a
scrape of a window's edge, the two may differ. What is not in records can't be rehearsed: an
exporter that is down, a verdict other than that of dropped calls.
"""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from operator import attrgetter
from types import MappingProxyType
from typing import Final

import numpy as np

from holymon.errors import PlanError
from holymon.formatting import Table
from holymon.prometheus.alerts import Alert, Watch
from holymon.prometheus.conditions import (
    ATTEMPTS,
    BEFORE,
    ERRORS,
    REQUESTS,
    SUCCESSES,
    Burn,
    Count,
    Evidence,
    Failing,
    Hanging,
    Seen,
    Share,
    Silent,
    Slower,
)
from holymon.prometheus.counting import Bools, Counted, Floats, times
from holymon.records.records import Records
from holymon.structs import shows_table

Within = Callable[[Count, float], Floats]
MOST_STEPS: Final = 500_000
WIDEST_STEP_S: Final = 300.0
INVALID: Final = "MeasurementInvalid"


@dataclass(frozen=True, slots=True)
class Firing:
    """An alert of a target, from `start_s` to `end_s` (None: to the end of the records).

    `muted`: as it began, MeasurementInvalid was firing, and nobody would have been told.
    """

    alert: str
    severity: str
    target: str
    objective: str
    start_s: float
    end_s: float | None
    muted: bool = False


@shows_table
@dataclass(frozen=True, slots=True)
class Backtest:
    """What would have fired, in order of time, over `seconds` of records.

    `began_s` is the moment of the first call on the clock of the records.
    """

    watch: Watch
    targets: tuple[str, ...]
    seconds: float
    firings: tuple[Firing, ...]
    began_s: float = 0.0

    def times(self, alert: str) -> int:
        """How often an alert would have fired, on any target."""
        return sum(firing.alert == alert for firing in self.firings)

    @property
    def table(self) -> Table:
        """What was looked at, and a line for each alert."""
        lead = [f"{_span(self.seconds)} of calls to {', '.join(self.targets) or 'nobody'}"]
        for name in dict.fromkeys(alert.name for alert in self.watch.alerts):
            mine = [firing for firing in self.firings if firing.alert == name]
            if mine:
                shown = ", ".join(_shown(firing) for firing in mine[:3])
                more = f" and {len(mine) - 3} more" if len(mine) > 3 else ""
                often = "once" if len(mine) == 1 else f"{len(mine)} times"
                lead.append(f"{name} would have fired {often}: {shown}{more}")
        quiet = [a.name for a in self.watch.alerts if not self.times(a.name)]
        return Table(lead=[*lead, f"silent: {', '.join(dict.fromkeys(quiet)) or 'none'}"])


def _shown(firing: Firing) -> str:
    until = "to the end" if firing.end_s is None else f"for {_span(firing.end_s - firing.start_s)}"
    return f"{firing.target} after {_span(firing.start_s)} {until}{', muted' * firing.muted}"


def _span(seconds: float) -> str:
    size, unit = next(
        (unit for unit in ((86400, "days"), (3600, "h"), (60, "min")) if seconds >= unit[0]),
        (1, "s"),
    )
    return f"{seconds / size:.3g} {unit}"


def backtest(
    parts: Sequence[Records],
    watch: Watch,
    *,
    every_s: float = 15.0,
    until: float | None = None,
    in_flight: Mapping[str, Sequence[float]] = MappingProxyType({}),
) -> Backtest:
    """Evaluate the alerts of `watch` on all these records, every `every_s` seconds.

    Each stands at its own `began`, which counts as 0 where it is not known. The first call of all
    is at second 0 of the result. It ends with the last call, or with the last step before the
    moment `until`: silence up to now is told only then, and that calls hang which began, by target,
    at the moments `in_flight`. Raises PlanError for steps that are too many, or wider than the
    shortest window, between which an alert could come and go.
    """
    known = np.concatenate([*map(times, parts), *in_flight.values(), np.zeros(0)])
    if not len(known):
        return Backtest(watch, (), 0.0, ())
    first, last = float(known.min()), float(known.max()) if until is None else until
    if not 0 < every_s <= WIDEST_STEP_S:
        raise PlanError(f"every_s {every_s:g} is no step from 0 to {WIDEST_STEP_S:g} s, the "
                        "shortest window of an alert.")  # fmt: skip
    if not (last - first) / every_s <= MOST_STEPS:
        raise PlanError(f"every_s {every_s:g} makes over {MOST_STEPS:,} steps of the records' "
                        f"{_span(last - first)}: a wider one makes fewer.")  # fmt: skip
    ends_with = np.ceil if until is None else np.floor
    steps = np.arange(1, int(ends_with((last - first) / every_s)) + 1)
    grid: Floats = (first + every_s * steps).astype(np.float64)
    names = tuple(dict.fromkeys(t.name for records in parts for t in records.targets))
    firings: list[Firing] = []
    for name in names:
        counted = Counted(name, parts, in_flight.get(name, ()))
        for alert in watch.alerts:
            met, still = _met(alert, counted, grid)
            held = _held(_latched(met, still), round(alert.hold_s / every_s))
            firings += _firings(alert, name, held, grid - first)
    ordered = tuple(sorted(_muted(firings, watch), key=attrgetter("start_s", "alert", "target")))
    return Backtest(watch, names, last - first, ordered, first)


def _met(alert: Alert, counted: Counted, grid: Floats) -> tuple[Bools, Bools]:
    """Whether the condition of an alert is met, and what is enough for one that fires already.

    At each moment of `grid`, shapes (m,).
    """
    condition = alert.condition

    def within(count: Count, window: float, back: float = 0.0) -> Floats:
        return counted.between(count, grid - back - window, grid - back)

    match condition:
        case Burn():
            return _burning(condition, within)
        case Share(window_s=window, over=limit):
            part, whole = within(condition.part, window), within(condition.whole, window)
            return _surely(part, whole, limit, condition.evidence), part > limit * whole
        case Failing():
            met = np.logical_or.reduce([
                (within(ERRORS, window) >= condition.fewest) & (within(SUCCESSES, window) == 0)
                for window in condition.windows_s
            ])  # fmt: skip
            return met, _burning(condition.burn, within)[1]
        case Hanging(window_s=window, few=few):
            begun, ended = (within(of, np.inf, window) for of in (Count("begun"), ATTEMPTS))
            met = (begun - ended > few) & (within(ATTEMPTS, window) == 0)
        case Seen():
            met = within(condition.what, condition.window_s) > 0
        case Slower(window_s=now, before_s=before):
            tokens, streaming = condition.part, condition.whole
            with np.errstate(divide="ignore", invalid="ignore"):
                speed = within(tokens, now) / within(streaming, now)
                usual = within(tokens, before, now) / within(streaming, before, now)
            least = condition.fewest
            enough = (within(REQUESTS, now) >= least) & (within(REQUESTS, before, now) >= least)
            met = (speed < condition.under * usual) & enough
        case Silent(what=what):
            met = np.logical_or.reduce([
                (within(what, window) == 0)
                & (within(what, BEFORE * window, window) >= BEFORE * condition.usual)
                for window in condition.windows_s
            ])  # fmt: skip
    return met, met


def _burning(burn: Burn, within: Within) -> tuple[Bools, Bools]:
    part, whole = within(burn.part, burn.long_s), within(burn.whole, burn.long_s)
    lately, calls = within(burn.part, burn.short_s), within(burn.whole, burn.short_s)
    surely_well = burn.over * calls - lately > burn.evidence.margin(burn.over) * np.sqrt(calls)
    met, still = _surely(part, whole, burn.over, burn.evidence), part > burn.over * whole
    return met & ~surely_well, still & ~surely_well


def _surely(part: Floats, whole: Floats, over: float, evidence: Evidence) -> Bools:
    """Whether part / whole is over `over` by more than chance, shape of both."""
    surely: Bools = part - over * whole > evidence.margin(over) * np.sqrt(whole)
    return surely & (part >= evidence.fewest)


def _latched(met: Bools, still: Bools) -> Bools:
    """Where a condition has been met, and has been met or `still` so since; shape (m,)."""
    at = np.arange(len(met))
    begun = np.maximum.accumulate(np.where(met, at, -1))
    over = np.maximum.accumulate(np.where(~met & ~still, at, -1))
    latched: Bools = begun > over
    return latched


def _held(met: Bools, steps: int) -> Bools:
    """Where a condition has been met at this step and at the `steps` before; shape (m,)."""
    at = np.arange(len(met))
    last_unmet = np.maximum.accumulate(np.where(met, -1, at))
    held: Bools = at - last_unmet > steps
    return held


def _firings(alert: Alert, target: str, held: Bools, at: Floats) -> list[Firing]:
    edges = np.flatnonzero(np.diff(held.astype(np.int8), prepend=0, append=0))
    return [
        Firing(alert.name, alert.severity, target, alert.objective, float(at[start]),
               float(at[end]) if end < len(at) else None)
        for start, end in edges.reshape(-1, 2)
    ]  # fmt: skip


def _muted(firings: list[Firing], watch: Watch) -> list[Firing]:
    """The same firings, with those marked that an unfit client would have muted."""
    unfit = [firing for firing in firings if firing.alert == INVALID]
    timing = {alert.name for alert in watch.alerts if alert.timing}
    return [
        replace(
            firing, muted=firing.alert in timing and any(_covers(cause, firing) for cause in unfit)
        )
        for firing in firings
    ]


def _covers(unfit: Firing, firing: Firing) -> bool:
    lasted = unfit.end_s is None or firing.start_s < unfit.end_s
    return unfit.target == firing.target and unfit.start_s <= firing.start_s and lasted
