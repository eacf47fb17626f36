"""The list of runs in a folder: filtered, and shown as a table."""

from collections.abc import Iterator
from datetime import datetime
from pathlib import Path
from typing import Any

from holymon.errors import PlanError, RunError
from holymon.formatting import Table
from holymon.records.first_call import outcome
from holymon.records.run_folder import count, folders, read_plan, read_state, run_id

HEADS = ("run", "state", "calls", "started (UTC)", "targets", "")


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

    def __repr__(self) -> str:
        return self.table.text()

    def _repr_html_(self) -> str:
        return self.table.html()


def runs(
    out: Path | str = "reports", *, name: str = "", target: str = "", state: str = "",
    since: str | datetime | None = None,
) -> Runs:  # fmt: skip
    """The runs in `out`, oldest first, as far as they fit.

    `name`: of that name; `target`: that called one with this in its name; `state`: in that state;
    `since`: started then or later (a datetime, or text like 2026-11-24 or 2026-11-24T15:00).
    Raises PlanError for a time that is none.
    """
    begun = _moment(since)
    fitting = Runs()
    for run in _listing(Path(out)):
        fits = (not name or run["name"] == name) and (not state or run["state"] == state)
        calls = not target or any(target in name for name in run["targets"])
        if fits and calls and (begun is None or _started(run, begun)):
            fitting.append(run)
    return fitting


def _moment(since: str | datetime | None) -> datetime | None:
    if since is None:
        return None
    try:
        moment = datetime.fromisoformat(since) if isinstance(since, str) else since
    except ValueError:
        raise PlanError(f"since {since!r} is no time: write it like 2026-11-24.") from None
    return moment if moment.tzinfo else moment.astimezone()


def _started(run: dict[str, Any], begun: datetime) -> bool:
    return bool(run["started_at"]) and datetime.fromisoformat(run["started_at"]) >= begun


def _cells(run: dict[str, Any]) -> tuple[str, ...]:
    calls = "?" if run["requests"] is None else f"{run['requests']:,}"
    when = str(run["started_at"] or "")[:16].replace("T", " ")
    mark = "simulated" if run.get("simulated") else ""
    return run["run_id"], outcome(run), calls, when, ", ".join(run["targets"]), mark


def _listing(out: Path) -> Iterator[dict[str, Any]]:
    for folder in folders(out):
        try:
            plan, state = read_plan(folder), read_state(folder)
            requests = count(folder)
        except (RunError, ValueError) as error:
            yield {
                "run_id": run_id(folder), "name": folder.parent.name, "state": "unreadable",
                "requests": None, "started_at": None, "targets": [], "detail": str(error),
            }  # fmt: skip
            continue
        yield {
            "run_id": run_id(folder),
            "name": folder.parent.name,
            "state": state["state"],
            "ended": state.get("ended"),
            "requests": requests,
            "started_at": state.get("started_at"),
            "targets": [target.name for target in plan.targets],
            "simulated": plan.simulated,
            "report": str(folder / "report.html") if (folder / "report.html").exists() else None,
        }
