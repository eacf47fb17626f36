"""A notebook and its parameters become one HTML file that runs no script and loads nothing.

    notebook -> papermill (a kernel of its own) -> strip and redact -> nbconvert -> report.html

papermill's own record of a run is wrong for a timeout, a dead kernel and Ctrl-C (it says
"completed"), so what happened is noted here: in `Report`, in run.json, and as a banner on the page.
"""

import ast
import contextlib
import os
import threading
import time
from contextvars import copy_context
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final
from urllib.parse import quote

from holymon.catalogue.handed import taken
from holymon.catalogue.news import News, check_baseline, news
from holymon.errors import ConfigError, HolymonError, PlanError, RunError
from holymon.formatting import Html
from holymon.language.catalogue import ENGLISH
from holymon.language.said import language, shown, speaking, vocabulary
from holymon.load.interrupts import deferred
from holymon.load.publish import send
from holymon.load.requests import known_secrets
from holymon.load.run import Run
from holymon.monitor.move import STATE
from holymon.records import run_folder
from holymon.records.own_files import content, write_aside, write_json, write_page
from holymon.records.spool import folder_of
from holymon.report import handed_run, move_facts
from holymon.report.digest import translated
from holymon.report.health import Health, health, over_time
from holymon.report.index import write_index
from holymon.report.moved import moved
from holymon.report.notebooks import (
    Status,
    check_parameters,
    execute,
    find_notebook,
    require_papermill,
    title,
)
from holymon.report.page import clean, html_of, prepare
from holymon.report.prose import hand_on, translate
from holymon.safety import MASK, Secret, escape, redact, short

DEFAULT: Final = "report_health"
MOVE: Final = "report_move"
_STATUS: Final = vocabulary("failed", "timeout", "killed")


@dataclass(frozen=True, slots=True)
class Report:
    """What became of a report: where it is, and, if it is not whole, why in one sentence.

    `notes` are on pages that were not brought up to date, since others wrote them.
    """

    folder: Path
    html: Path
    status: Status
    error: str
    run_id: str | None
    notes: tuple[str, ...] = ()
    health: Health | None = None
    """Its first line, with what changed; None if it is about no run."""

    def _repr_html_(self) -> str:
        state = "" if self.status == "ok" else f": {escape(self.status)}, {escape(self.error)}"
        page = os.path.relpath(self.html)  # as JupyterLab follows a link from a notebook
        notes = "".join(f"<br>{escape(note)}" for note in self.notes)
        link = f"<a href='{quote(os.fsencode(page))}' target='_blank'>{escape(page)}</a>"
        return f"<p>{link}{state}{notes}</p>"


def write_report(
    notebook: str | Path = DEFAULT, *, run: Run | None = None,
    parameters: dict[str, Any] | None = None, out: Path | str = "reports",
    name: str | None = None, timeout_s: float = 600.0, import_from: Path | str | None = None,
    lang: str = ENGLISH,
) -> Report:  # fmt: skip
    """Run a notebook headlessly and publish it as `report.html` beside the run it is about.

    `out` is handed on to a notebook that has this parameter. `timeout_s` limits each cell; the
    notebook imports modules of yours from the folder `import_from`, and from no other. `lang` is
    the language, `en` or `vi`, of a notebook that has this parameter. What goes wrong in the
    notebook is no exception here: the page is made of what there is, with a banner. Raises
    ConfigError for a notebook or parameters that can't be, RunError for a run that goes on or a
    folder that can't be written, KeyboardInterrupt (after the page) for Ctrl-C and SIGTERM.
    """
    if run is not None:
        run.require_end("report")
        _require_writable(run.folder)
    path, given = find_notebook(notebook), dict(parameters or {})
    known = check_parameters(path, given)
    if title(path) == MOVE:  # what can't be read is said before a kernel is started for it
        moved(given.get("route", STATE))
    hand_on(lang, path, known, given)
    place = folder_of(out) if run is None else run_folder.out_of(run.folder)
    folder = run.folder if run is not None else run_folder.new_folder(place, name or title(path))
    if "out" in known:  # where runs lie, or will, is no matter of the notebook's
        given.setdefault("out", str(place))
    if run is not None:
        if "run" not in known:
            raise ConfigError(f"{path.name} has no parameter 'run', so it can't report one.")
        given["run"] = str(folder.resolve())
    baseline = str(_parameter("baseline", known, given) or "none")
    budget = _parameter("budget", known, given)
    if run is not None:
        check_baseline(baseline, run_folder.out_of(run.folder))
    with speaking(given.get("lang", ENGLISH)):
        return _written(
            path, given, run, folder, baseline, budget, timeout_s,
            None if import_from is None else Path(import_from),
        )  # fmt: skip


def _written(
    path: Path, given: dict[str, Any], run: Run | None, folder: Path, baseline: str, budget: Any,
    timeout_s: float, import_from: Path | None,
) -> Report:  # fmt: skip
    """The report of a notebook with its parameters, written into a folder."""
    begun, started = time.monotonic(), run_folder.now()
    secrets = known_secrets(run.plan if run is not None else None)
    require_papermill()
    # Meanwhile, and in the same language.
    threading.Thread(target=copy_context().run, args=(prepare,), daemon=True).start()
    notebook_out, status, error, interrupt = execute(path, given, timeout_s, import_from)
    error = redact(short(error), secrets)
    about = {
        "status": status, "error": error, "notebook": title(path),
        "started_at": started.isoformat(), "duration_s": round(time.monotonic() - begun, 3),
    }  # fmt: skip
    try:
        with deferred():
            known_news, move = taken(notebook_out, run, baseline), move_facts.taken(notebook_out)
            handed = handed_run.taken(notebook_out, run)
            translate(notebook_out)
            clean(notebook_out, secrets)
            banner = f"{shown(_STATUS[status])}: {error}" if status != "ok" else ""
            page = html_of(notebook_out, f"holymon: {run_folder.run_id(folder)}", banner)
            figures, block = handed or _figured(run)
            _publish(folder, page, notebook_out, secrets, block)
            first = None if run is None else _health(run, baseline, known_news)
            _write_json(folder, run, about, figures, first, budget, move)
            notes = _lead_to(folder)
        send(run_folder.out_of(folder), Run)
    except OSError as fault:
        reason = fault.strerror or type(fault).__name__
        raise RunError(f"the report can't be written to {folder}: {reason}.") from None
    if interrupt is not None:
        raise interrupt
    about_run, html = None if run is None else run.id, folder / "report.html"
    return Report(folder, html, status, error, about_run, notes, first)


def _figured(run: Run | None) -> handed_run.Figured:
    """What the notebook has not handed on; nothing where it can't be."""
    if run is not None:
        with contextlib.suppress(HolymonError, PlanError):
            return handed_run.figured(run)
    return handed_run.Figured({}, Html())


def _require_writable(folder: Path) -> None:
    """Raise RunError before a kernel is started for nothing."""
    effective = os.access in os.supports_effective_ids
    if not os.access(folder, os.W_OK, effective_ids=effective):
        raise RunError(f"the report can't be written to {folder}: it may only be read.")


def _parameter(name: str, known: dict[str, Any], given: dict[str, Any]) -> Any:
    """The value of a parameter of a notebook; None if it has no such one."""
    if name in given:
        return given[name]
    with contextlib.suppress(KeyError, TypeError, ValueError, SyntaxError):
        return ast.literal_eval(known[name]["default"])
    return None


def _health(run: Run, baseline: str, known: News | None) -> Health | None:
    with contextlib.suppress(HolymonError, PlanError):
        # What was handed on speaks English alone.
        return health(run, (language() == ENGLISH and known) or news(run, baseline))
    return None


def _publish(
    folder: Path, html: str, notebook: Any, secrets: tuple[Secret, ...], block: Html
) -> None:
    import nbformat

    for name, text in (("report.ipynb", nbformat.writes(notebook)), ("report.html", html)):
        for secret in secrets:
            for form in secret.forms():
                text = text.replace(form, MASK)  # noqa: PLW2901 - each form in turn
        if name == "report.html":  # what is packed is masked, and looks like a key by chance alone
            text = text.replace("</main>", f"{block}</main>", 1)  # noqa: PLW2901 - the same page
        write_aside(folder / name, text)


def _lead_to(folder: Path) -> tuple[str, ...]:
    """Bring `latest.html`, if nothing of this name is newer, and the list of all up to date.

    A sentence for each that others wrote, and that stays therefore.
    """
    latest = ""
    reported = [page.parent.name for page in folder.parent.glob("*/report.html")]
    if folder.name == max(reported):
        latest = write_page(folder.parent / "latest.html", content(folder / "report.html"))
    return tuple(filter(None, (latest, write_index(folder.parent.parent))))


def _write_json(
    folder: Path, run: Run | None, about: dict[str, Any], figures: dict[str, Any],
    first: Health | None = None, budget: object = None, move: dict[str, Any] | None = None,
) -> None:  # fmt: skip
    more: dict[str, Any] = first.to_dict() if first else dict(move or {}) if run is None else {}
    words = more.pop("shown", {})
    figures = figures | more
    if run is not None:
        with contextlib.suppress(HolymonError, PlanError):
            figures |= over_time(run, budget)
    mode = 0o666 if run is None else run_folder.mode_of(run.plan)
    about |= translated(run, first, words)
    write_json(folder / "run.json", {**figures, "report": about}, mode=mode)
