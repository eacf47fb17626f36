"""What an exporter reads at one moment: sums that only grow, and the figures of runs beside them.

A run is read through a follower of its own, so that no other thread's is disturbed, and row by
row only once: sums of new rows are added to those of before.
"""

from collections import Counter
from collections.abc import Mapping
from dataclasses import dataclass, field, fields
from datetime import datetime
from pathlib import Path
from typing import Any, Protocol

import numpy as np
import numpy.typing as npt

from holymon.errors import HolymonError, PlanError
from holymon.figures.summary import summarize
from holymon.figures.summary_types import TargetSummary
from holymon.figures.totals import Edges, Totals, totals
from holymon.figures.verdict import Verdict, judge
from holymon.load.run import Run
from holymon.monitor.move import LiveMove
from holymon.records import run_folder, run_state
from holymon.records.attempt import Rows
from holymon.records.client_health import ClientHealth
from holymon.records.headroom import Known, headroom
from holymon.records.records import Records
from holymon.records.run_state import LIVE


@dataclass(frozen=True, slots=True)
class RunFigures:
    """The exact figures of one run for one target, as its report would show them now."""

    provider: str
    model: str
    summary: TargetSummary
    verdict: Verdict
    vitals: ClientHealth
    started: float | None
    duration_s: float
    simulated: bool


@dataclass(frozen=True, slots=True)
class Scrape:
    """Sums of all that was measured, and by target the figures of the latest run of it.

    `loops` are, by target, the vitals of a monitor's own event loop. It has no verdict: that is a
    run's. `in_flight` is how many calls of each target have begun and not ended, and `limits` what
    remains of its API's limits, where it is known; `move` is that of a router's calls.
    """

    totals: Totals
    runs: Mapping[str, RunFigures] = field(default_factory=dict)
    loops: Mapping[str, ClientHealth] = field(default_factory=dict)
    in_flight: Mapping[str, int] = field(default_factory=dict)
    limits: Mapping[str, Known] = field(default_factory=dict)
    move: LiveMove | None = None


class Source(Protocol):
    """Whatever can be read again and again."""

    def read(self) -> Scrape:
        """What there is to tell now."""
        ...


class OfSums:
    """A monitor: it keeps its own sums."""

    def __init__(self, monitor: Any, limits: Edges | None) -> None:
        """Read `monitor.tally()`, with buckets that end at `limits` too.

        Raises PlanError if it has counted with others already, and can't count again.
        """
        self._monitor = monitor
        if limits is None:
            return
        have = monitor.tally().edges
        wanted = _both(have, limits)
        if wanted == have or monitor.ledger.refine(wanted):
            return
        missing = sorted(_every(wanted) - _every(have))
        raise PlanError(
            "this monitor has counted for a while in buckets that don't end at "
            f"{', '.join(f'{edge:g}' for edge in missing[:5])}: expose it before its first calls."
        )

    def read(self) -> Scrape:
        """The monitor's sums, and how its loop does."""
        vitals = getattr(self._monitor, "vitals", None)
        loops = {target.name: vitals for target in self._monitor.called.values()} if vitals else {}
        dues = self._monitor.ledger.in_flight
        in_flight = {target: len(due) for target, due in dues.items()}
        return Scrape(self._monitor.tally(), loops=loops, in_flight=in_flight,
                      limits=self._monitor.limits,
                      move=getattr(self._monitor, "router", None))  # fmt: skip


def _every(edges: Edges) -> set[float]:
    return {edge for kind in fields(Edges) for edge in getattr(edges, kind.name)}


def _both(a: Edges, b: Edges) -> Edges:
    """The edges of both."""
    names = [kind.name for kind in fields(Edges)]
    return Edges(**{name: tuple(sorted({*getattr(a, name), *getattr(b, name)})) for name in names})


class OfRecords:
    """Records that don't change."""

    def __init__(self, records: Records, edges: Edges) -> None:
        """Add them up once."""
        self._totals = totals(records, edges)

    def read(self) -> Scrape:
        """Their sums."""
        return Scrape(self._totals)


class OfRun:
    """A run, live or ended."""

    def __init__(self, folder: Path, edges: Edges) -> None:
        """Open the run in `folder`. Raises RunError if there is none."""
        self.run = Run(folder)
        self._edges = edges
        self._records, self._n = Records(self.run.plan.targets), 0
        self._totals = totals(self._records, edges)

    def read(self) -> Scrape:
        """Sums with what is new since the last reading, and the figures up to now."""
        status = self.run.status
        records = self.run.records
        new = records.select(self._fresh(records))
        self._records, self._n = records, len(records)
        self._totals += totals(new, self._edges)
        figures = _figures(self.run, records, status)
        names = [target.name for target in self.run.plan.targets]
        limits = {names[i]: known for i, known in headroom(self.run.folder).items()
                  if i in range(len(names))}  # fmt: skip
        return Scrape(self._totals, figures, in_flight=self._in_flight(figures, status),
                      limits=limits)  # fmt: skip

    def _in_flight(
        self, figures: Mapping[str, RunFigures], status: dict[str, Any]
    ) -> dict[str, int]:
        """Calls in flight as its workers noted them last; of several targets nobody knows whose."""
        if len(figures) != 1:
            return {}
        ((name, only),) = figures.items()
        _, many = only.vitals.flight
        return {name: int(many[-1]) if len(many) and status["state"] in LIVE else 0}

    def _fresh(self, records: Records) -> npt.NDArray[np.bool_]:
        if records is self._records:
            return np.arange(len(records)) >= self._n
        # Another process compacted the run: the same rows, perhaps in another order.
        return ~np.isin(_keys(records.rows), _keys(self._records.rows[: self._n]))


def _keys(rows: Rows) -> npt.NDArray[np.int64]:
    """What tells attempts of a run apart; shape (n,)."""
    wide = rows["request"].astype(np.int64) << 16
    keys: npt.NDArray[np.int64] = wide | rows["target"].astype(np.int64) << 8 | rows["attempt"]
    return keys


class OfFolder:
    """All runs of a folder that go on, or begin, while this is read."""

    def __init__(self, out: Path, edges: Edges) -> None:
        """Leave out the runs that have already ended."""
        self._out, self._edges = out, edges
        self._done = {folder for folder in run_folder.folders(out) if not _goes_on(folder)}
        self._readers: dict[Path, OfRun] = {}
        self._ended = Totals(edges, {})
        self._latest: dict[str, RunFigures] = {}

    def read(self) -> Scrape:
        """The sums over these runs; the figures are those of the latest run of each target."""
        for folder in run_folder.folders(self._out):
            if folder not in self._done and folder not in self._readers:
                try:
                    self._readers[folder] = OfRun(folder, self._edges)
                except (HolymonError, ValueError):
                    self._done.add(folder)
        total, in_flight = self._ended, Counter[str]()
        limits: dict[str, Known] = {}
        for folder, reader in list(self._readers.items()):
            ended = not reader.run.live  # before reading: after it nothing is added
            scrape = reader.read()
            total += scrape.totals
            self._latest |= scrape.runs
            in_flight.update(scrape.in_flight)
            limits.update(scrape.limits)
            if ended:
                self._ended += scrape.totals
                self._done.add(folder)
                del self._readers[folder]
        return Scrape(total, dict(self._latest), in_flight=in_flight, limits=limits)


def _goes_on(folder: Path) -> bool:
    return run_folder.read_state(folder)["state"] in LIVE


def source(of: Any, edges: Edges, *, required: bool = False) -> Source:
    """A source of a Run, Records, a folder of runs (a Path), a monitor, or a `monitored` client.

    A monitor has edges of its own, which must do if `edges` are `required`. Raises PlanError.
    """
    if isinstance(of, Run):
        return OfRun(of.folder, edges)
    if isinstance(of, Records):
        return OfRecords(of, edges)
    if isinstance(of, Path):
        return OfFolder(of, edges)
    monitor = monitor_of(of)
    if not hasattr(monitor, "tally"):
        raise PlanError(f"a {type(of).__name__} can't be exported: give a monitor, run or records.")
    return OfSums(monitor, edges if required else None)


def monitor_of(of: Any) -> Any:
    """The monitor of a client that is `monitored`, or of a copy of one; else `of` itself."""
    inner = getattr(of, "_client", None)  # what an SDK's client shares with its copies
    return getattr(of, "monitor", None) or getattr(inner, "monitor", None) or of


def figures(run: Run) -> dict[str, RunFigures]:
    """The figures of a run, by target."""
    return _figures(run, run.records, run.status)


def _figures(run: Run, records: Records, status: dict[str, Any]) -> dict[str, RunFigures]:
    summary, vitals = summarize(records, run.plan), run.vitals
    judged = judge(summary, run.plan, vitals, *run_state.ending(status), records=records)
    return {
        target.name: RunFigures(
            target.provider, target.model, figured, judged, vitals,
            _moment(status.get("started_at")), summary.duration_s, summary.simulated,
        )
        for target, figured in zip(run.plan.targets, summary.targets, strict=True)
    }  # fmt: skip


def _moment(text: Any) -> float | None:
    """Seconds since 1970 of an ISO date; None for what is none."""
    try:
        return datetime.fromisoformat(text).timestamp()
    except (TypeError, ValueError):
        return None
