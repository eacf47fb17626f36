"""The page of a report that could not be begun: whoever follows it sees that, and why."""

from pathlib import Path

from holymon.errors import RunError
from holymon.records import run_folder
from holymon.records.own_files import write_aside
from holymon.report import report as reports
from holymon.report.index import render
from holymon.safety import Secret, redact, short


def write_failure(
    name: str, error: str, *, out: Path, secrets: tuple[Secret, ...] = ()
) -> "reports.Report":
    """Publish a page with a banner in the place of a report, and a run.json that says so.

    It is no run: what is measured next is not compared with it. Raises RunError if it can't be
    written.
    """
    folder, now = run_folder.new_folder(out, name), run_folder.now()
    error = redact(short(error), secrets)
    about = {"status": "failed", "error": error, "started_at": now.isoformat(), "duration_s": 0.0}
    page = render(
        "unfinished.html.j2", title=f"holymon: {run_folder.run_id(folder)}", error=error,
        name=folder.parent.name, when=f"{now:%Y-%m-%d %H:%M}",
    )  # fmt: skip
    try:
        write_aside(folder / "report.html", page)
        reports._write_json(folder, None, about, {})
        notes = reports._lead_to(folder)
    except OSError as fault:
        raise RunError(f"the report can't be written to {folder}: {fault.strerror}.") from None
    return reports.Report(folder, folder / "report.html", "failed", error, None, notes)
