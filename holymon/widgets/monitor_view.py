"""The live view of an application's own calls: figures, a picture over time, and the alerts.

ledger --> figures and alerts (at most once a second) --> HTML
       --> the attempts of the last minutes (at most four times) --> LiveFigure --> PNG

Calls are made by this very process, so each reading costs it no more than a small share of a core.
"""

import math
from collections.abc import Iterable
from functools import partial
from time import localtime, perf_counter, strftime
from typing import Any, Final

import ipywidgets as w
import numpy as np

from holymon.errors import PlanError
from holymon.figures.reasons import of_loop
from holymon.figures.request_stats import request_stats
from holymon.formatting import number_of
from holymon.monitor.ledger import OTHER
from holymon.monitor.monitor import Monitor
from holymon.plan.target import Target
from holymon.plots.binning import per_second
from holymon.prometheus.alerts import OBJECTIVES, Limits, Watch
from holymon.prometheus.backtest import backtest
from holymon.prometheus.sources import monitor_of
from holymon.records.attempt import Flag
from holymon.records.records import Records
from holymon.widgets import panels_html
from holymon.widgets.fields import error_line, html, picture, style_sheet
from holymon.widgets.live_figure import Curve, LiveFigure
from holymon.widgets.panels import OF_A_RUN, window
from holymon.widgets.threads import PERIOD_S, Pace, Ticker, free_of_cells, owners

OF_CALLS: Final = {
    **OF_A_RUN, "latency": "Latency of attempts", "ecdf": "Share of attempts that took no longer",
    "curve": "Failed attempts per second", "errors": "Failed attempts by type",
}  # fmt: skip
EVERY_S: Final = 1.0
MOST_STEPS: Final = 5_000
OLD_S: Final = 2.5
SHARES: Final = (0.02, 0.05)
"""Of one core at most: for figures and alerts, and for the picture."""


class View:
    """What `watch` shows, until it is closed, its cell runs again or its monitor is closed."""

    def __init__(self, monitor: Monitor, watch: Watch, last_s: float) -> None:
        """Draw once, and then from a thread of its own until closed."""
        self.monitor, self.cell = monitor, _cell()
        self._watch = watch
        self._picture = _Picture(monitor, last_s)
        self._known = 0, 0.0, False
        self._top, self._errors = html(kind="hm-progress"), html(kind="hm-errors")
        self._alarms, self._calls, self._move = html(kind="hm-alarms"), html(), html()
        self._image = picture()
        self._image.add_class("hm-figure")
        line = w.HBox([self._top])
        line.add_class("hm-top")
        self._box = w.VBox([style_sheet(), line, self._errors, self._move, self._alarms,
                            self._image, self._calls])  # fmt: skip
        self._box.add_class("hm")
        self._paces = Pace(1.0, SHARES[0]), Pace(PERIOD_S, SHARES[1]), Pace(PERIOD_S)
        self._update("")
        self._ticker = Ticker(self._tick, aside=False, owner=self)

    def close(self, why: str = "closed") -> None:
        """Draw for a last time; the monitor is not disturbed."""
        if self._ticker.is_alive():
            self._ticker.close()
            self._update(why)

    def _repr_mimebundle_(self, **more: Any) -> Any:
        return self._box._repr_mimebundle_(**more)

    def __repr__(self) -> str:
        return f"<View of {self.monitor!r}>"

    def _tick(self) -> bool:
        goes_on = not self.monitor.closed
        self._update("" if goes_on else "the monitor was closed")
        return goes_on

    def _update(self, why: str) -> None:
        """Bring up to date what is due; all of it for the last time, if there is a `why`."""
        works = self._read, self._draw, self._say
        for pace, work in zip(self._paces, works, strict=True):
            try:
                pace.due(partial(work, why), now=bool(why))
            except Exception as error:  # noqa: BLE001 - shown, and the next tick may work
                self._errors.value = error_line(error)

    def _read(self, _: str) -> None:
        ledger = self.monitor.ledger
        records, elapsed = ledger.records(), perf_counter() - ledger.zero
        figures = request_stats(records)
        every_s = EVERY_S * (1 + elapsed // (EVERY_S * MOST_STEPS))
        began = {target: [ledger.began + due for due in dues]
                 for target, dues in ledger.in_flight.items()}  # fmt: skip
        now = ledger.began + elapsed
        alerts = backtest([records], self._watch, every_s=every_s, until=now, in_flight=began)
        self._alarms.value = panels_html.alarms(figures, alerts)
        if self.monitor.router is not None:
            self._move.value = panels_html.move(self.monitor.router)
        vitals = self.monitor.vitals
        doubts = of_loop(vitals, [figures.ttft_s.p50]) if vitals else ()
        self._calls.value = panels_html.calls(figures, [doubt.text for doubt in doubts])
        self._known = len(records), elapsed, figures.simulated

    def _draw(self, why: str) -> None:
        self._image.value = self._picture.frame(final=bool(why))

    def _say(self, why: str) -> None:
        n, at, _ = self._known
        if why:
            self._tell("ended", f"{why}, {number_of(n, 'attempt')} in memory")
            return
        elapsed = perf_counter() - self.monitor.ledger.zero
        age = f" {panels_html.clock(elapsed - at)} ago" if elapsed - at >= OLD_S else ""
        self._tell("watching", f"{panels_html.clock(elapsed)} since it began, "
                               f"{number_of(n, 'attempt')} in memory{age}")  # fmt: skip

    def _tell(self, state: str, words: str) -> None:
        name = "calls of clients" if self.monitor.target is None else self.monitor.name
        self._top.value = panels_html.top({
            "state": state, "words": words, "simulated": self._known[2],
            "name": name,
        })  # fmt: skip


class _Picture:
    """The figure of the last `last_s` seconds; its origin jumps when they are over."""

    def __init__(self, monitor: Monitor, last_s: float) -> None:
        self._monitor, self._last_s = monitor, last_s
        self._origin = 0.0
        self._first: tuple[int, int] | None = None
        self._figure: LiveFigure | None = None

    def frame(self, *, final: bool) -> bytes:
        """The figure of this moment, as a PNG."""
        ledger = self._monitor.ledger
        now = perf_counter() - ledger.zero
        if now - self._origin > self._last_s:
            self._origin, self._figure = now - self._last_s / 2, None
        records = _shown(ledger.records(self._origin), self._origin)
        targets = self._targets(records)
        simulated = records.simulated or any(target.simulated for target in targets)
        figure = self._figure
        if figure is None or (figure.targets, figure.simulated) != (targets, simulated):
            begins = strftime("%H:%M:%S", localtime(ledger.began + self._origin))
            words = {**OF_CALLS, "time": f"s from {begins}"}
            figure = self._figure = LiveFigure(targets, None, words, curve=1.0, simulated=simulated)
        # What leaves the memory at the front is not to be mistaken for what was drawn already.
        first = tuple(records.rows[["request", "attempt"]][0].tolist()) if len(records) else None
        moved, self._first = first != self._first, first
        now -= self._origin
        return figure.frame(records, _failures(records, now), now, final=final or moved)

    def _targets(self, records: Records) -> tuple[Target, ...]:
        """Those of the calls; before the first, whom the monitor would call."""
        target = self._monitor.target
        return records.targets or (OTHER if target is None else target,)


def _shown(records: Records, origin: float) -> Records:
    """What began after `origin` and is settled, on a clock that is zero there."""
    settled = (records["flags"] & Flag.UNDECIDED) == 0
    shown = records.select(settled & ~(records["start_s"] < origin))
    for name in ("start_s", "first_s", "end_s"):
        shown.rows[name] -= origin
    return shown


def _failures(records: Records, now: float) -> list[Curve]:
    curves, shown = [], window(now, math.inf)
    for i in range(max(len(records.targets), 1)):  # the figure has a place for the first already
        failed = ~records.ok & (records["target"] == i)
        edges, values = per_second(records["end_s"][failed], now, shown)
        curves.append((edges, np.concatenate([values[:1], values[:-1]])))
    return curves


def _cell() -> tuple[str, str]:
    """The notebook's cell that runs, and which run of it this is, where the front end says so."""
    try:
        from IPython import get_ipython

        parent = get_ipython().get_parent()
        return str(parent["metadata"]["cellId"]), str(parent["header"]["msg_id"])
    except (ImportError, AttributeError, KeyError, TypeError):
        return "", ""


def _replaced(before: View, monitor: Monitor, cell: tuple[str, str]) -> bool:
    again = before.cell[0] == cell[0] != "" and before.cell[1] != cell[1]
    return before.monitor is monitor or again


def watch(
    monitor: Any, *, slo: Iterable[str] = OBJECTIVES, limits: Limits | None = None,
    last_s: float = 600.0,
) -> View:  # fmt: skip
    """A live view of the calls of a monitor, or of a client that is `monitored`.

    Figures and alerts are of all attempts in memory, the picture of about the last `last_s`
    seconds. `slo` and `limits` make the alerts, as in `rehearse`. It takes the place of any other
    view of this monitor or this cell, and ends with `close()` or when the monitor is closed.
    Raises PlanError.
    """
    watched = monitor_of(monitor)
    if not isinstance(watched, Monitor):
        raise PlanError(f"a {type(monitor).__name__} can't be watched: give a monitor.")
    if not 10 <= last_s <= 86400:
        raise PlanError(f"last_s must be 10 to 86400 seconds, not {last_s:g}.")
    objectives = Watch(tuple(slo), Limits() if limits is None else limits)
    cell = _cell()
    for before in owners():
        if isinstance(before, View) and _replaced(before, watched, cell):
            before.close("another view has taken the place of this one")
    return free_of_cells(lambda: View(watched, objectives, last_s))
