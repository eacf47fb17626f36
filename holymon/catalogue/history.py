"""How a team's runs went over time: one row for each target of each run, with its figures."""

from collections.abc import Iterator
from dataclasses import dataclass
from datetime import datetime
from functools import cached_property, partial
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final, NamedTuple

import numpy as np
import numpy.typing as npt

from holymon.catalogue import rhythm
from holymon.catalogue.change_table import Changes
from holymon.catalogue.entries import entries
from holymon.catalogue.listing import fits, moment
from holymon.catalogue.places import Places, places_of
from holymon.errors import PlanError
from holymon.figures.change import KINDS
from holymon.figures.changes import Line, courses, line, steps
from holymon.formatting import (
    DASH,
    Cell,
    Headline,
    Table,
    count,
    ms_cell,
    number_of,
    percent,
    rounded,
)
from holymon.language.said import heads, listed, say
from holymon.load.entry import FIGURES, Entry, Known, OfTarget
from holymon.records.run_state import LIVE
from holymon.records.spool import folder_of, shown
from holymon.safety import plain
from holymon.structs import Interval, shows_table

if TYPE_CHECKING:
    import pandas as pd

MOST_ROWS: Final = 30
MOST_SAID: Final = 3
HEADS: Final = heads("when (UTC)", "run", "target", "calls", "failed", "latency p50, ms", "p95",
                     "TTFT p50", "p95", "USD per 1,000 calls")  # fmt: skip
PER_CALL: Final = "cost_per_call"
NAMES: Final = (*FIGURES, PER_CALL)


class Measured(NamedTuple):
    """One target of one run."""

    entry: Entry
    of: OfTarget

    @property
    def key(self) -> tuple[str, str]:
        """What is drawn as one line over time: the run's name and its target."""
        return self.entry.name, self.of.target

    @property
    def kind(self) -> tuple[str, str, str]:
        """What runs have in common that are held against each other: what was asked, and where.

        The last is empty where it is not known (see `shapes_of`).
        """
        shape = self.entry.shape_of.get(self.of.target, "")
        return (*self.key, shape and shape + self.entry.place)

    @property
    def comparable(self) -> bool:
        """Whether it can be held against others of its kind at all."""
        entry = self.entry
        return entry.began is not None and entry.measurement != "invalid" and bool(self.kind[2])

    def figure(self, name: str) -> Known | None:
        """One of its figures, by its name in NAMES; None if it is not known."""
        if name == PER_CALL:
            cost = self.of.cost_per_call
            return None if cost is None else Known(cost)
        return self.of.figures.get(name)


class Series(NamedTuple):
    """One figure of one target over time, oldest first; arrays of shape (n,)."""

    name: str
    target: str
    figure: str
    run_ids: tuple[str, ...]
    at: npt.NDArray[np.float64]
    """When each run began, in seconds since 1970."""
    value: npt.NDArray[np.float64]
    low: npt.NDArray[np.float64]
    """With `high`, the 95 % interval within each run; NaN where it is not known."""
    high: npt.NDArray[np.float64]
    place: str = ""
    kinds: tuple[str, ...] = ()
    """Of each run, by which only the alike are compared; empty where it is not known."""


@shows_table
@dataclass(frozen=True)
class History:
    """The runs of a folder that have ended, oldest first, with their figures."""

    out: Path
    entries: tuple[Entry, ...]

    @cached_property
    def measured(self) -> tuple[Measured, ...]:
        """Each target of each run whose figures are known, oldest first."""
        return tuple(Measured(e, of) for e in self.entries for of in e.of_targets or ())

    def __len__(self) -> int:
        return len(self.entries)

    def __iter__(self) -> Iterator[Entry]:
        return iter(self.entries)

    def series(self, figure: str, name: str = "", target: str = "") -> tuple[Series, ...]:
        """A figure (see NAMES) over time, for each name, target and place that fit.

        Runs without it, or of which it is not known when they began, are left out. Raises PlanError
        for a figure that is none.
        """
        if figure not in NAMES:
            raise PlanError(
                f"there is no figure {plain(figure)!r}: name one of {', '.join(NAMES)}."
            )
        known: dict[tuple[str, str, str], list[tuple[str, float, Known, str]]] = {}
        for row in self.measured:
            value, began, key = row.figure(figure), row.entry.began, (*row.key, row.entry.place)
            wanted = (not name or row.entry.name == name) and target in row.of.target
            if wanted and value is not None and began is not None:
                known.setdefault(key, []).append((row.entry.run_id, began, value, row.kind[2]))
        return tuple(_series(key, figure, points) for key, points in known.items())

    @cached_property
    def changes(self) -> "Changes":
        """Each change of a figure that is followed, by the run that began it, oldest first.

        Only runs of one name and place are compared in which a target was asked the same.
        """
        kinds: dict[tuple[str, str, str], list[Measured]] = {}
        for row in self.measured:
            if row.comparable:
                kinds.setdefault(row.kind, []).append(row)
        known = [change for (_, target, _), rows in kinds.items()
                 for each, course in courses(lines_of(target, rows))
                 for change in steps(each, course)]  # fmt: skip
        return Changes(sorted(known, key=lambda change: change.since_run.rpartition("/")[2]))

    @cached_property
    def places(self) -> Places:
        """The places that measured, target by target: clocks, verdicts, figures, differences."""
        return places_of(self.measured)

    @property
    def verdict(self) -> Headline:
        """What changed last of each figure, in a line."""
        targets = {row.of.target for row in self.measured}
        if not targets:
            return Headline(say("No trend: no run has figures yet"), "not judged")
        label = say(" (simulated)") * any(entry.simulated for entry in self)
        of = say(
            "{runs} of {targets}{label}", runs=number_of(len(self), "run"),
            targets=number_of(len(targets), "target"), label=label,
        )  # fmt: skip
        kinds = [row.kind for row in self.measured if row.comparable]
        if len(kinds) == len({*kinds}):
            return Headline(
                say("No trend: no two valid runs of one kind in {of}", of=of), "not judged"
            )
        last = list({(c.figure, c.target): c for c in self.changes}.values())[::-1]
        if not last:
            return Headline(say("No change shown in {of}", of=of), "healthy")
        parts = [
            say(
                "{target}: {brief} since {since_run}", target=change.target, brief=change.brief,
                since_run=change.since_run,
            )
            for change in sorted(last, key=lambda change: not change.worse)
        ]  # fmt: skip
        more = say("; and {n} more", n=len(parts) - MOST_SAID) * (len(parts) > MOST_SAID)
        state = "worse" if any(change.worse for change in last) else "healthy"
        first = listed("; ", parts[:MOST_SAID])
        return Headline(say("Changed in {of}: {parts}{more}", of=of, parts=first, more=more), state)

    @property
    def table(self) -> Table:
        """A row for each target of the last runs, with 95 % intervals; and what is missing."""
        last, runs = self.measured[-MOST_ROWS:], number_of(len(self), "run")
        lead = say("{runs} that ended, in {out}", runs=runs, out=shown(self.out))
        if len(last) < len(self.measured):
            lead += say("; the last {n} rows of {of:,}", n=len(last), of=len(self.measured))
        notes = rhythm.notes(self) if self.measured else (say("no run has figures yet."),)
        return Table(HEADS, [_cells(row) for row in last], "lllr", lead=(lead,), notes=notes)

    def to_dicts(self) -> list[dict[str, Any]]:
        """The rows of `to_frame` as dicts, with NaN for what is not known."""
        return [_flat(row) for row in self.measured]

    def to_frame(self) -> "pd.DataFrame":
        """A DataFrame: one row for each target of each run, oldest first.

        Columns: run_id, name, started_at (UTC), state, measurement, simulated, target, requests,
        ok, each figure of NAMES, and its interval as `_low` and `_high`. Durations are in seconds;
        what is not known is NaN.
        """
        import pandas as pd

        frame = pd.DataFrame(self.to_dicts())
        if len(frame):
            frame["started_at"] = pd.to_datetime(frame["started_at"], utc=True, format="ISO8601")
        return frame


def history(
    out: Path | str = "reports", *, name: str = "", target: str = "",
    since: str | datetime | None = None,
) -> History:  # fmt: skip
    """The runs in `out` that have ended, as far as they fit, with their figures.

    `name`, `target` and `since` as those of `runs`. Figures of a run are worked out once, then kept
    in the folder's catalogue. Raises PlanError for a time that is none.
    """
    wanted = partial(fits, name=name, target=target, since=moment(since))
    folder = folder_of(out)
    known = filter(wanted, entries(folder, figures=wanted))
    return History(folder, tuple(entry for entry in known if entry.state not in LIVE))


def lines_of(target: str, rows: list[Measured]) -> list[Line]:
    """The figures that are followed, of the same target in each row, oldest first."""
    ids = [row.entry.run_id for row in rows]
    at = np.array([np.nan if row.entry.began is None else row.entry.began for row in rows])
    requests = np.array([float(min(max(row.of.requests, 0), 10**15)) for row in rows])
    lines = []
    for figure in KINDS:
        known = [row.figure(figure) for row in rows]
        value, low, high = (
            np.array([np.nan if k is None or (x := getattr(k, end)) is None else x for k in known],
                     float)
            for end in ("value", "low", "high")
        )  # fmt: skip
        lines.append(line(figure, target, ids, at, value, low, high, requests))
    return lines


def _series(
    key: tuple[str, ...], figure: str, points: list[tuple[str, float, Known, str]]
) -> Series:
    run_ids, at, known, kinds = zip(*points, strict=True)
    value, low, high = np.array([(k.value, k.low, k.high) for k in known], float).T
    return Series(key[0], key[1], figure, run_ids, np.array(at), value, low, high, key[2], kinds)


def _cells(row: Measured) -> tuple[Cell, ...]:
    failed, cost = row.figure("error_rate"), row.of.cost_per_call
    when = str(row.entry.started_at or "")[:16].replace("T", " ")
    gone = say(" (figures only)") if row.entry.calls_gone else ""
    return (
        when, row.entry.run_id + gone, row.of.target, count(row.of.requests),
        DASH if failed is None else percent(failed.value),
        *(_ms(row.figure(f"{metric}_{stat}")) for metric in ("latency", "ttft")
          for stat in ("p50", "p95")),
        DASH if cost is None else rounded(cost * 1000),
    )  # fmt: skip


def _ms(known: Known | None) -> Cell:
    if known is None:
        return DASH
    interval: Interval | None = None
    if known.low is not None and known.high is not None:
        interval = known.low, known.high
    return ms_cell(known.value, interval)


def _flat(row: Measured) -> dict[str, Any]:
    entry = row.entry
    flat: dict[str, Any] = {
        "run_id": entry.run_id, "name": entry.name, "started_at": entry.started_at,
        "state": entry.state, "measurement": entry.measurement, "simulated": entry.simulated,
        "target": row.of.target, "requests": row.of.requests, "ok": row.of.ok,
    }  # fmt: skip
    for name in NAMES:
        known = row.figure(name) or Known(np.nan)
        flat[name] = known.value
        if known.low is not None:
            flat[f"{name}_low"], flat[f"{name}_high"] = known.low, known.high
    return flat
