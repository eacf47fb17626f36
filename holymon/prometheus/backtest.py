"""Where the alerts would have fired on records: the conditions of `alerts` over sliding windows.

Prometheus sees counters at its scrapes, this the calls themselves; near a threshold, or within a
scrape of a window's edge, the two may differ. What is not in records can't be rehearsed: an
exporter that is down, a verdict other than that of dropped calls.
"""

from collections.abc import Sequence
from dataclasses import dataclass, replace
from operator import attrgetter
from typing import Final

import numpy as np
import numpy.typing as npt

from holymon.errors import CODES, PlanError
from holymon.formatting import Table
from holymon.prometheus.alerts import Alert, Burn, Count, Seen, Share, Silent, Slower, Watch
from holymon.records.attempt import Flag
from holymon.records.records import Records

Floats = npt.NDArray[np.float64]
Bools = npt.NDArray[np.bool_]
MOST_STEPS: Final = 500_000
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

    def __repr__(self) -> str:
        return self.table.text()

    def _repr_html_(self) -> str:
        return self.table.html()


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
) -> Backtest:
    """Evaluate the alerts of `watch` on all these records, every `every_s` seconds.

    Each stands at its own `began`, which counts as 0 where it is not known. The first call of all
    is at second 0 of the result. It ends with the last call, or with the last step before the
    moment `until`: silence up to now is told only then. Raises PlanError for steps that are too
    many or none.
    """
    known = np.concatenate([*map(_times, parts), np.zeros(0)])
    if not len(known):
        return Backtest(watch, (), 0.0, ())
    first, last = float(known.min()), float(known.max()) if until is None else until
    if not every_s > 0 or (last - first) / every_s > MOST_STEPS:
        raise PlanError(f"every_s {every_s:g} makes no steps, or over {MOST_STEPS} of them.")
    ends_with = np.ceil if until is None else np.floor
    steps = np.arange(1, int(ends_with((last - first) / every_s)) + 1)
    grid: Floats = (first + every_s * steps).astype(np.float64)
    names = tuple(dict.fromkeys(t.name for records in parts for t in records.targets))
    firings: list[Firing] = []
    for name in names:
        counted = _Counted(name, parts)
        for alert in watch.alerts:
            held = _held(_met(alert, counted, grid), round(alert.hold_s / every_s))
            firings += _firings(alert, name, held, grid - first)
    ordered = tuple(sorted(_muted(firings, watch), key=attrgetter("start_s", "alert", "target")))
    return Backtest(watch, names, last - first, ordered, first)


class _Counted:
    """Running totals of one target, made when they are first asked for."""

    def __init__(self, target: str, parts: Sequence[Records]) -> None:
        self._target, self._parts = target, parts
        self._made: dict[Count, tuple[Floats, Floats]] = {}

    def between(self, count: Count, start: Floats, end: Floats) -> Floats:
        """How much was counted after `start` and up to `end`, shape of both."""
        if count not in self._made:
            self._made[count] = self._make(count)
        times, totals = self._made[count]
        upto, before = (np.searchsorted(times, at, side="right") for at in (end, start))
        counted: Floats = totals[upto] - totals[before]
        return counted

    def _make(self, count: Count) -> tuple[Floats, Floats]:
        pieces = []
        for records in self._parts:
            names = [target.name for target in records.targets]
            if self._target in names:
                where = records.mask(names.index(self._target))
                weights = np.where(where, _weights(records, count), 0.0)
                pieces.append((_times(records), weights))
        times = np.concatenate([times for times, _ in pieces])
        order = np.argsort(times, kind="stable")
        weights = np.concatenate([weights for _, weights in pieces])[order]
        return times[order], np.concatenate([[0.0], np.cumsum(weights)])


def _times(records: Records) -> Floats:
    """When each row was known: at its end, since 1970 if that is known; shape (n,)."""
    ends = records["end_s"]
    return (records.began or 0.0) + np.where(np.isnan(ends), records["due_s"], ends)


def _weights(records: Records, count: Count) -> Floats:
    """What each row adds to a count; shape (n,)."""
    rows, error = records.rows, records["error"]
    sent = records.sent & (error != CODES["client_dropped"])
    ended = records.final & records.judged
    match count.kind:
        case "requests":
            counted = ended
        case "errors":
            counted = ended & (error != 0)
        case "attempts":
            codes = [CODES[name] for name in count.types]
            counted = sent & np.isin(error, codes) if codes else sent
        case "retries":
            counted = sent & (rows["attempt"] > 0)
        case "dropped":
            counted = error == CODES["client_dropped"]
        case "timed":
            counted = ~np.isnan(_durations(records, count))
        case "slow":
            assert count.objective, "only an objective has a limit to be slow by"
            counted = _durations(records, count) > count.objective.limit
        case "tokens":
            by_server = (rows["flags"] & Flag.SERVER_TOKENS) != 0
            return np.where(sent & by_server, np.maximum(rows["output_tokens"], 0), 0.0)
        case "streaming":
            return np.where(records.ok, np.nan_to_num(rows["last_s"] - rows["first_s"]), 0.0)
    return counted.astype(np.float64)


def _durations(records: Records, count: Count) -> Floats:
    assert count.objective, "only an objective says which duration"
    end = records["first_s" if count.objective.metric == "ttft" else "end_s"]
    return np.where(records.ok, end - records["start_s"], np.nan)


def _met(alert: Alert, counted: _Counted, grid: Floats) -> Bools:
    """Whether the condition of an alert is met at each moment of `grid`, shape (m,)."""
    condition = alert.condition

    def within(count: Count, window: float, back: float = 0.0) -> Floats:
        return counted.between(count, grid - back - window, grid - back)

    def ratio(part: Count, whole: Count, window: float, back: float = 0.0) -> Floats:
        with np.errstate(divide="ignore", invalid="ignore"):
            return within(part, window, back) / within(whole, window, back)

    match condition:
        case Burn():
            enough = within(condition.whole, condition.windows_s[-1]) >= condition.fewest
            over = [
                ratio(condition.part, condition.whole, window) > condition.over
                for window in condition.windows_s
            ]
            both: Bools = np.logical_and.reduce([enough, *over])
            return both
        case Share():
            share = ratio(condition.part, condition.whole, condition.window_s)
            enough = within(condition.whole, condition.window_s) >= condition.fewest
            return (share > condition.over) & enough
        case Seen():
            seen: Bools = within(condition.what, condition.window_s) > 0
            return seen
        case Slower():
            now, before = condition.window_s, condition.before_s
            part, whole = condition.part, condition.whole
            slower = ratio(part, whole, now) < condition.under * ratio(part, whole, before, now)
            requests = Count("requests")
            few = condition.fewest
            return slower & (within(requests, now) >= few) & (within(requests, before, now) >= few)
        case Silent():
            silent: Bools = within(condition.what, condition.window_s) == 0
            return silent


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
