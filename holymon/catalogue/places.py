"""Where it is slow from: the runs of several places, place by place, with clocks and verdicts."""

from collections import Counter
from collections.abc import Iterable
from dataclasses import dataclass
from typing import TYPE_CHECKING, Final

import numpy as np

from holymon.figures.places import Beside, PlaceRuns, beside
from holymon.figures.quantiles import Floats
from holymon.figures.reasons import SHOWN
from holymon.formatting import DASH, Cell, Table, count, ms, number_of, percent
from holymon.language.said import Digits, glued, heads, listed, say
from holymon.load.entry import OfTarget
from holymon.structs import shows_table

if TYPE_CHECKING:
    from holymon.catalogue.history import Measured

HEADS: Final = heads("place", "target", "runs", "the client was", "its clock", "latency p50, ms",
                     "p95", "failed", "p50 beside", "p95 beside", "failed beside")  # fmt: skip
CLOCK_S: Final = 2.0
"""What a store tells of a clock is off by a second and the way there."""


@dataclass(frozen=True, slots=True)
class OfPlace:
    """What one place measured of one target under one load.

    `verdicts` counts the runs by what their measurements were; invalid ones are not in `runs`.
    `ahead_s` is by how much its clock is behind that of the store, in s; None if not known.
    """

    name: str
    target: str
    runs: PlaceRuns
    verdicts: dict[str, int]
    ahead_s: float | None
    beside: Beside | None = None


@shows_table
class Places(tuple[tuple[OfPlace, ...], ...]):
    """For each target and load the places that measured it, first the one with most runs."""

    __slots__ = ()

    @property
    def table(self) -> Table:
        """A row for each place: its runs, clock and figures, and how it differs from the first."""
        rows = [_cells(each) for group in self for each in group]
        if not rows:
            return Table(lead=(say("no run says where it was measured"),))
        notes = (
            say("Beside: hour by hour with the first place of the target, with 95 % intervals of "
                "all together; latency is of the calls that succeeded. Invalid measurements are "
                "left out."),
            *_clocks(self),
        )  # fmt: skip
        return Table(HEADS, rows, "lllllr", lead=(_lead(self),), notes=notes)


def places_of(rows: "Iterable[Measured]") -> Places:
    """The places of runs, for each name, target and load that any place is stated of."""
    kinds: dict[tuple[str, ...], dict[str, list[Measured]]] = {}
    for row in rows:
        shape = row.entry.shape_of.get(row.of.target)
        if row.entry.began is not None and shape:
            of_kind = kinds.setdefault((*row.key, shape), {})
            of_kind.setdefault(row.entry.place, []).append(row)
    groups = [_group(kind[0], kind[1], of) for kind, of in kinds.items() if any(of)]
    return Places(sorted(filter(None, groups), key=lambda group: -len(group[0].runs.at)))


def _group(name: str, target: str, of_kind: "dict[str, list[Measured]]") -> tuple[OfPlace, ...]:
    made = [_of_place(name, target, place, rows) for place, rows in of_kind.items()]
    made.sort(key=lambda each: (-len(each.runs.at), each.runs.place))
    first, *others = made
    return (
        first,
        *(OfPlace(o.name, o.target, o.runs, o.verdicts, o.ahead_s,
                  beside(first.runs, o.runs, len(others))) for o in others),
    )  # fmt: skip


def _of_place(name: str, target: str, place: str, rows: "list[Measured]") -> OfPlace:
    fit = [row for row in rows if row.entry.measurement != "invalid"]
    ahead = [row.entry.ahead_s for row in fit if row.entry.ahead_s is not None]
    moved = [_moved(row.entry.ahead_s) for row in fit]

    def column(figure: str) -> Floats:
        known = (row.figure(figure) for row in fit)
        return np.array([np.nan if each is None else each.value for each in known], float)

    lost = np.array([_failed(row.of) for row in fit], float).reshape(-1, 2)
    runs = PlaceRuns(
        place, np.array([row.entry.began or 0.0 for row in fit]) + np.array(moved, float),
        column("latency_p50"), column("latency_p95"),
        lost[:, 0], lost[:, 1],
    )  # fmt: skip
    verdicts = Counter(row.entry.measurement or "unknown" for row in rows)
    return OfPlace(name, target, runs, dict(verdicts), float(np.median(ahead)) if ahead else None)


def _failed(of: OfTarget) -> tuple[int, int]:
    """How many calls failed, and of how many: what we stopped or never sent is no failure."""
    rate = of.figures.get("error_rate")
    if rate is None:
        return (of.requests - of.ok, of.requests) if of.ok else (0, 0)
    of_all = round(of.ok / (1 - rate.value)) if rate.value < 1 else of.requests
    return of_all - of.ok, of_all


def _moved(ahead_s: float | None) -> float:
    """What a moment of a place's clock is moved by."""
    return ahead_s if ahead_s is not None and abs(ahead_s) > CLOCK_S else 0.0


def place_name(place: str) -> str:
    """A place as it is shown."""
    return place or say("not stated")


def _lead(places: Places) -> str:
    named = {each.runs.place for group in places for each in group}
    differences = [
        say("{place}, {target}: {parts}", place=place_name(each.runs.place), target=each.target,
            parts=listed(", ", (difference.brief for difference in each.beside.shown)))
        for group in places for each in group if each.beside and each.beside.shown
    ]  # fmt: skip
    if not differences:
        return say("{places}, no difference shown", places=number_of(len(named), "place"))
    return say("{places}; {differences}", places=number_of(len(named), "place"),
               differences=listed("; ", differences))  # fmt: skip


def _clocks(places: Places) -> list[str]:
    off = {each.runs.place: each.ahead_s for group in places for each in group
           if each.ahead_s is not None and abs(each.ahead_s) > CLOCK_S}  # fmt: skip
    return [
        say("The clock of {place} is {seconds} s off; its runs stand at the time of the store.",
            place=place_name(place), seconds=Digits(f"{abs(seconds):,.0f}"))
        for place, seconds in off.items()
    ]  # fmt: skip


def _cells(each: OfPlace) -> tuple[Cell, ...]:
    runs = each.runs
    n, failed = float(runs.calls.sum()), float(runs.failed.sum())
    words = [glued(Digits(f"{k:,}"), " ", SHOWN.get(level, say("not judged")))
             for level, k in sorted(each.verdicts.items())]  # fmt: skip
    return (
        place_name(runs.place), each.target, count(len(runs.at)), listed(", ", words),
        _clock(each.ahead_s), _ms(runs.p50), _ms(runs.p95),
        percent(failed / n) if n else DASH,
        *_besides(each.beside),
    )  # fmt: skip


def _clock(ahead_s: float | None) -> str:
    if ahead_s is None:
        return DASH
    if abs(ahead_s) <= CLOCK_S:
        return say("right")
    seconds = Digits(f"{abs(ahead_s):,.0f}")
    late = ahead_s > 0
    return say("{seconds} s slow", seconds=seconds) if late else say("{seconds} s fast",
                                                                     seconds=seconds)  # fmt: skip


def _ms(values: Floats) -> str:
    known = values[np.isfinite(values)]
    return ms(float(np.median(known))) if len(known) else DASH


def _besides(compared: Beside | None) -> tuple[Cell, ...]:
    if compared is None:
        return DASH, DASH, DASH
    made: list[Cell] = []
    for each in (compared.p50, compared.p95):
        cells = each.cells
        made.append((glued("× ", cells[3]) if cells[3] != DASH else DASH, cells[4]))
    cells = compared.failed.cells
    return (*made, (cells[3], cells[4]))
