"""The question to a bill: does it agree with what our calls were counted as?"""

from collections.abc import Iterable, Mapping
from datetime import UTC, date, datetime, timedelta, timezone, tzinfo
from pathlib import Path
from zoneinfo import ZoneInfo

from holymon.catalogue.own_calls import OwnCalls, own_calls
from holymon.errors import PlanError
from holymon.figures.bill_difference import differences
from holymon.figures.reconciliation import Reconciliation
from holymon.formatting import number_of
from holymon.records.bill import read
from holymon.records.spool import folder_of
from holymon.safety import plain
from holymon.structs import check_range

TOLERANCE = 0.01


def reconcile(
    export: str | Path, *, out: Path | str = "reports", runs: str = "", target: str = "",
    since: str | date = "", until: str | date = "", columns: Mapping[str, str] | None = None,
    spilled: Iterable[str | Path] = (), zone: str = "UTC", tolerance: float = TOLERANCE,
) -> Reconciliation:  # fmt: skip
    """A provider's usage export (CSV, JSON or JSONL) against what our calls were counted as.

    Known by their columns are exports of OpenAI (usage, costs), Anthropic (usage and cost reports,
    the console's CSV), OpenRouter, LiteLLM and one-api or new-api; for others `columns` names the
    columns of `date`, `model`, `prompt` (or `input`, without what is cached), `cached`, `written`,
    `completion`, `cost`, `currency` and `requests`. Ours are the runs in `out` (those named `runs`,
    or that id; only targets with `target` in their names), and folders that monitors `spilled` to.

    Days are those of `zone` (a name such as Asia/Ho_Chi_Minh, or +07:00), `since` and `until`
    included. Amounts of the bill are compared with our price book and never replace it. Raises
    ConfigError or PlanError for what can't be read, RunError for a run that is none.
    """
    check_range("tolerance", tolerance, 0, 1)
    bounds = [_day(name, value) for name, value in (("since", since), ("until", until)) if value]
    if bounds != sorted(bounds):
        raise PlanError(f"since {bounds[0]} is after until {bounds[1]}: swap them.")
    places = tuple(map(Path, [spilled] if isinstance(spilled, str | Path) else spilled))
    where = _zone(zone)
    bill = read(Path(export), columns, where)
    ours = own_calls(folder_of(out), name=runs, target=target, spills=places, zone=where)
    compared = differences(
        ours.cells, bill, since=bounds[0] if since else "", until=bounds[-1] if until else "9999"
    )
    return Reconciliation(bill, compared, tolerance, _sources(ours), _notes(ours))


def _sources(ours: OwnCalls) -> str:
    files = f" and {number_of(ours.files, 'file')} that monitors spilled" * (ours.files > 0)
    calls = sum(own.counts["calls"] for own in ours.cells.values())
    simulated = " (simulated)" * any(name.startswith("sim/") for _, name in ours.cells)
    return f"{number_of(calls, 'call')} of {number_of(ours.runs, 'run')}{files}{simulated}"


def _notes(ours: OwnCalls) -> tuple[str, ...]:
    warm = sum(own.counts["warmup"] for own in ours.cells.values())
    again = sum(own.counts["again"] for own in ours.cells.values())
    notes = [f"{name} are in ours: they are billed as any." for name in (
        number_of(warm, "call") + " of warm-up" if warm else "",
        number_of(again, "attempt") + " that asked again" if again else "",
    ) if name]  # fmt: skip
    return (*notes, *ours.left_out[:5])


def _day(name: str, value: str | date) -> str:
    try:
        return date.fromisoformat(str(value)[:10]).isoformat()
    except ValueError:
        raise PlanError(f"{name} {plain(str(value))!r} is no day: write 2026-11-24.") from None


def _zone(name: str) -> tzinfo:
    """The zone of a name, or of an offset such as +07:00. Raises PlanError."""
    if name.upper() in ("UTC", "Z"):
        return UTC
    try:
        if name[:1] in "+-":
            offset = datetime.fromisoformat(f"2000-01-01T00:00{name}").utcoffset()
            return timezone(offset or timedelta())
        return ZoneInfo(name)
    except (ValueError, OSError, LookupError):
        raise PlanError(
            f"zone {plain(name)!r} is none: write a name such as Asia/Ho_Chi_Minh, or +07:00."
        ) from None
