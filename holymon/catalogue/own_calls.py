"""Our side of a bill: what all runs of a folder and what monitors spilled sum up to."""

from collections.abc import Iterator
from dataclasses import dataclass, field
from datetime import UTC, datetime, tzinfo
from pathlib import Path
from typing import Final

import numpy as np
import numpy.typing as npt

from holymon.catalogue.entries import entries
from holymon.errors import HolymonError, RunError
from holymon.figures.own_bill import Own, own_bill
from holymon.load.entry import Entry
from holymon.load.fetch import folder_in
from holymon.plan.known_prices import priced
from holymon.plan.target import Target
from holymon.plan.targets import target as target_of
from holymon.records.first_call import first_calls
from holymon.records.run_folder import lies_in, load, read_state, run_id
from holymon.records.spilled import spilled
from holymon.safety import short

_QUARTER_S: Final = 900.0
"""Every zone of today is so many seconds, or a multiple of them, off UTC."""


@dataclass(slots=True)
class OwnCalls:
    """Sums by day and target, from so many `runs` and `files`; `left_out` says of which not."""

    cells: dict[tuple[str, str], Own] = field(default_factory=dict)
    runs: int = 0
    files: int = 0
    left_out: list[str] = field(default_factory=list)

    def add(self, cells: dict[tuple[str, str], Own]) -> None:
        """Take in the sums of a run or a file."""
        for key, own in cells.items():
            self.cells.setdefault(key, Own()).add(own)


def own_calls(
    out: Path, *, name: str = "", target: str = "", spills: tuple[Path, ...] = (),
    zone: tzinfo = UTC,
) -> OwnCalls:  # fmt: skip
    """All calls of the runs and probes in `out` that are named so, and those monitors spilled.

    `name` is that of runs, or an id; with `target`, only targets with this in their names. Raises
    RunError, ConfigError for a folder of spilled calls that can't be read.
    """
    made = OwnCalls()
    for entry in entries(out):
        if not name or name in (entry.name, entry.run_id):
            _add_run(made, out, entry, zone)
    probes = [folder for folder in sorted(out.glob("probe-*/*")) if lies_in(folder, out)]
    spills += tuple(f for f in probes if (not name or name in (f.parent.name, run_id(f)))
                    and any(f.glob("calls-*.parquet")))  # fmt: skip
    if name and not (made.runs or made.left_out or spills):
        raise RunError(f"there is no run {short(name, 80)!r} in {out}: `holymon runs` lists them.")
    for folder in spills:
        for records in spilled(folder, _priced):
            made.files += 1
            made.add(own_bill(records, lambda at: days_of(at, zone)))
    if target:
        made.cells = {key: own for key, own in made.cells.items() if target in key[1]}
    return made


def _add_run(made: OwnCalls, out: Path, entry: Entry, zone: tzinfo) -> None:
    try:
        folder = folder_in(out, entry)
        records = load(folder)
        if records.began is None:
            raise RunError("when it was measured is not known.")
    except (HolymonError, OSError) as error:
        made.left_out.append(f"{entry.run_id} is left out: {short(str(error), 200)}")
        return
    made.runs += 1
    made.add(own_bill(records, lambda at: days_of(at, zone)))
    (day,) = days_of(np.array([records.began]), zone)
    for call in first_calls(read_state(folder)):
        made.add({(str(day), call.target): Own(first_calls=call.calls)})


def _priced(name: str) -> Target:
    """The target of a name in a file, with its price if one is known."""
    try:
        return priced(target_of(name), datetime.now(UTC))
    except HolymonError:
        provider, _, model = name.rpartition("/")
        return Target(provider=provider or "unknown", model=model or "unknown")


def days_of(at: npt.NDArray[np.float64], zone: tzinfo) -> npt.NDArray[np.str_]:
    """The day of each moment (s since 1970), shape (n,), as 2026-01-31 in `zone`."""
    quarters, where = np.unique(np.floor(at / _QUARTER_S), return_inverse=True)
    return np.array([*_days(quarters * _QUARTER_S, zone)], "U10")[where]


def _days(at: npt.NDArray[np.float64], zone: tzinfo) -> Iterator[str]:
    for moment in at.tolist():
        yield datetime.fromtimestamp(moment, zone).date().isoformat()
