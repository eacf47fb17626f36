"""The list of runs in a folder: filtered, and shown as a table."""

from datetime import datetime
from pathlib import Path
from typing import Any

from holymon.catalogue.entries import UNREADABLE, entries
from holymon.errors import PlanError
from holymon.formatting import Table
from holymon.load.entry import Entry
from holymon.records.first_call import outcome
from holymon.records.spool import folder_of, store_of
from holymon.structs import shows_table

HEADS = ("run", "state", "calls", "started (UTC)", "targets", "")


@shows_table
class Runs(list[dict[str, Any]]):
    """Runs, oldest first: dicts with `run_id, name, state, requests, started_at, targets, ...`.

    `hm.attach(run["run_id"])` opens one.
    """

    @property
    def table(self) -> Table:
        """A row for each run."""
        if not self:
            return Table(lead=("no runs",))
        return Table(HEADS, [_cells(run) for run in self], "llrl")


def runs(
    out: Path | str = "reports", *, name: str = "", target: str = "", state: str = "",
    since: str | datetime | None = None,
) -> Runs:  # fmt: skip
    """The runs in `out`, oldest first, as far as they fit.

    `name`: of that name; `target`: that called one with this in its name; `state`: in that state;
    `since`: started then or later (a datetime, or text like 2026-11-24 or 2026-11-24T15:00).
    Raises PlanError for a time that is none.
    """
    begun, folder = moment(since), folder_of(out)
    store = store_of(folder)
    where = str(folder) if store is None else f"{store.url}/runs"
    return Runs(
        _listed(entry, where) for entry in entries(folder)
        if fits(entry, name=name, target=target, state=state, since=begun)
    )  # fmt: skip


def fits(
    entry: Entry, *, name: str = "", target: str = "", state: str = "",
    since: datetime | None = None,
) -> bool:  # fmt: skip
    """Whether a run is one of those that are asked for: see `runs`."""
    named = (not name or entry.name == name) and (not state or entry.state == state)
    calls = not target or any(target in known for known in entry.targets)
    return named and calls and (since is None or _started(entry, since))


def moment(since: str | datetime | None) -> datetime | None:
    """A moment with its time zone, which is this machine's if none is given. Raises PlanError."""
    if since is None:
        return None
    try:
        when = datetime.fromisoformat(since) if isinstance(since, str) else since
    except ValueError:
        raise PlanError(f"since {since!r} is no time: write it like 2026-11-24.") from None
    return when if when.tzinfo else when.astimezone()


def _started(entry: Entry, since: datetime) -> bool:
    return entry.began is not None and entry.began >= since.timestamp()


def _cells(run: dict[str, Any]) -> tuple[str, ...]:
    calls = "?" if run["requests"] is None else f"{run['requests']:,}"
    when = str(run["started_at"] or "")[:16].replace("T", " ")
    mark = "simulated" if run.get("simulated") else ""
    return run["run_id"], outcome(run), calls, when, ", ".join(run["targets"]), mark


def _listed(entry: Entry, where: str) -> dict[str, Any]:
    about = {
        "run_id": entry.run_id, "name": entry.name, "state": entry.state, "ended": entry.ended,
        "requests": entry.requests, "started_at": entry.started_at,
        "targets": list(entry.targets), "simulated": entry.simulated,
        "report": f"{where}/{entry.run_id}/report.html" if entry.has_report else None,
        "place": entry.place or None,
    }  # fmt: skip
    return about | {"detail": entry.detail} if entry.state == UNREADABLE else about
