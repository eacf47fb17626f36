"""A notebook and its parameters become one HTML file that runs no script and loads nothing.

    notebook -> papermill (a kernel of its own) -> strip and redact -> nbconvert -> report.html

papermill's own record of a run is wrong for a timeout, a dead kernel and Ctrl-C (it says
"completed"), so what happened is noted here: in `Report`, in run.json, and as a banner on the page.
"""

import contextlib
import json
import logging
import os
import re
import signal
import tempfile
import threading
import time
import warnings
from collections.abc import Iterator
from dataclasses import dataclass
from importlib.resources import files
from pathlib import Path
from types import FrameType
from typing import Any, Final, Literal, NoReturn

from holymon import store
from holymon.client import key_of
from holymon.errors import ConfigError, HolymonError, PlanError
from holymon.pages import write_index
from holymon.plan import Open, Plan
from holymon.run import Run, attach, measure
from holymon.safety import MASK, Secret, plain, redact, refuse_secret, short
from holymon.targets import target

DEFAULT: Final = "report_health"
TEMPLATES: Final = Path(str(files("holymon").joinpath("templates")))
PLACES: Final = (Path(__file__).parent / "notebooks", Path(__file__).parent.parent / "notebooks")
HIDDEN: Final = {"parameters", "injected-parameters", "remove-cell", "papermill-error-cell-tag"}
TAGS: Final = frozenset(
    "a abbr b blockquote br code dd del div dl dt em h1 h2 h3 h4 h5 h6 hr i kbd li ol p pre s "
    "small span strong sub sup table tbody td tfoot th thead tr ul".split()
)
_ANSI: Final = re.compile(r"\x1b\[[0-9;]*[A-Za-z]")
Status = Literal["ok", "failed", "timeout", "killed"]


@dataclass(frozen=True, slots=True)
class Report:
    """What became of a report: where it is, and, if it is not whole, why in one sentence."""

    folder: Path
    html: Path
    status: Status
    error: str
    run_id: str | None


def subject(
    run: str = "", *, targets: list[str] | None = None, rate: float = 5.0,
    duration_s: float = 20.0, slo: list[str] | None = None, out: str = "reports",
) -> Run:  # fmt: skip
    """The run that a report is about: the finished one named, or one that is measured now."""
    if run:
        return attach(run, out=out)
    plan = Plan(
        targets=tuple(target(name) for name in targets or ["sim/fast"]),
        load=Open(rate=rate), duration_s=duration_s, slo=tuple(slo or ()),
    )  # fmt: skip
    return measure(plan, out=out)


def find_notebook(notebook: str | Path) -> Path:
    """A notebook by its path, or by its name among the packaged ones. Raises ConfigError."""
    given = Path(notebook)
    if given.is_file():
        return given
    for place in PLACES:
        found = place / given.with_suffix(".ipynb").name
        if found.is_file() and given.parent == Path():
            return found
    names = sorted({path.stem for place in PLACES for path in place.glob("*.ipynb")})
    raise ConfigError(
        f"there is no notebook {plain(str(notebook))!r}: give the path of one, or one of "
        f"{', '.join(names)}."
    )


def check_parameters(notebook: str | Path, parameters: dict[str, Any]) -> dict[str, Any]:
    """The notebook's parameters with their defaults.

    Raises ConfigError for one it does not have, one that looks like a key, or one that JSON does
    not know.
    """
    path = find_notebook(notebook)
    for name, value in parameters.items():
        refuse_secret(name, value)
        try:
            json.dumps(value)
        except (TypeError, ValueError):
            raise ConfigError(f"parameter {plain(name)!r} is not a JSON value.") from None
    with _quiet(), _for_python3(path) as ready:
        import papermill

        known: dict[str, Any] = papermill.inspect_notebook(str(ready))
    unknown = [plain(name) for name in parameters if name not in known]
    if unknown:
        raise ConfigError(
            f"{path.name} has no parameter {', '.join(unknown)}; it has "
            f"{', '.join(known) or 'none'}."
        )
    return known


@contextlib.contextmanager
def _for_python3(path: Path) -> Iterator[Path]:
    """A copy of a notebook that asks for the kernel we run it with, whatever it was saved under."""
    import nbformat

    try:
        made = nbformat.read(path, as_version=4)
    except Exception as error:  # noqa: BLE001 - nbformat raises many kinds for a file that is none
        raise ConfigError(f"{path} is not a notebook: {short(str(error), 100)}") from None
    spec = {"name": "python3", "display_name": "Python 3", "language": "python"}
    made.metadata["kernelspec"] = spec
    with tempfile.TemporaryDirectory() as folder:
        ready = Path(folder) / path.name
        nbformat.write(made, ready)
        yield ready


def write_report(
    notebook: str | Path = DEFAULT, *, run: Run | None = None,
    parameters: dict[str, Any] | None = None, out: Path | str = "reports",
    name: str | None = None, timeout_s: float = 600.0,
) -> Report:  # fmt: skip
    """Run a notebook headlessly and publish it as `report.html` beside the run it is about.

    `timeout_s` limits each cell. What goes wrong inside the notebook is no exception here: the
    page is made of what there is, with a banner. Raises ConfigError for a notebook or parameters
    that can't be, KeyboardInterrupt (after the page is made) for Ctrl-C and SIGTERM.
    """
    path, given = find_notebook(notebook), dict(parameters or {})
    known = check_parameters(path, given)
    folder = run.folder if run is not None else store.new_folder(Path(out), name or path.stem)
    if run is not None:
        if "run" not in known:
            raise ConfigError(f"{path.name} has no parameter 'run', so it can't report one.")
        given["run"] = str(folder.resolve())
    begun, started = time.monotonic(), store.now()
    secrets = _secrets(run.plan if run is not None else None)
    notebook_out, status, error, interrupt = _execute(path, given, folder, timeout_s)
    error = redact(short(error), secrets)
    about = {
        "status": status, "error": error, "notebook": path.stem,
        "started_at": started.isoformat(), "duration_s": round(time.monotonic() - begun, 3),
    }  # fmt: skip
    _clean(notebook_out, secrets)
    title = f"holymon: {store.run_id(folder)}"
    banner = f"{status}: {error}" if status != "ok" else ""
    _publish(folder, _html(notebook_out, title, banner), notebook_out, secrets)
    _write_json(folder, run, about)
    store.write_aside(folder.parent / "latest.html", (folder / "report.html").read_bytes())
    write_index(folder.parent.parent)
    if interrupt is not None:
        raise interrupt
    return Report(
        folder, folder / "report.html", status, error, run.id if run is not None else None
    )


def _execute(
    path: Path, parameters: dict[str, Any], folder: Path, timeout_s: float
) -> tuple[Any, Status, str, BaseException | None]:
    """Run the notebook in a kernel of its own: what came of it, and how it really ended."""
    with _quiet(), _for_python3(path) as ready:
        import nbformat
        import papermill
        from nbclient.exceptions import CellTimeoutError, DeadKernelError

        aside = folder / ".report.ipynb"
        status: Status = "ok"
        error, interrupt = "", None
        try:
            with _headless(), _sigterm():
                papermill.execute_notebook(
                    str(ready), str(aside), parameters=parameters, kernel_name="python3",
                    progress_bar=False, execution_timeout=timeout_s, cwd=str(Path.cwd()),
                    config=_transport(),
                )  # fmt: skip
        except papermill.PapermillExecutionError as failure:
            status, error = "failed", f"{failure.ename}: {failure.evalue}"
        except CellTimeoutError:
            status, error = "timeout", f"a cell took longer than {timeout_s:g} s"
        except DeadKernelError:
            status, error = "killed", "the notebook's kernel died (out of memory?)"
        except KeyboardInterrupt as stop:
            status, error, interrupt = "killed", "interrupted", stop
        except Exception as failure:  # noqa: BLE001 - a page is made of whatever there is
            status, error = "failed", f"{type(failure).__name__}: {failure}"
        source = aside if aside.is_file() else ready
        made = nbformat.read(source, as_version=4)
        aside.unlink(missing_ok=True)
    return made, status, error, interrupt


def _transport() -> Any:
    """Files instead of TCP ports between us and the kernel, where the system has such sockets."""
    from traitlets.config import Config

    return Config() if os.name == "nt" else Config({"KernelManager": {"transport": "ipc"}})


@contextlib.contextmanager
def _quiet() -> Iterator[None]:
    """Keep libraries' remarks about themselves off the user's screen."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        before = logging.root.manager.disable
        logging.disable(logging.ERROR)
        try:
            yield
        finally:
            logging.disable(before)


@contextlib.contextmanager
def _headless() -> Iterator[None]:
    """Tell the kernel that nobody looks."""
    before = os.environ.get("HOLYMON_HEADLESS")
    os.environ["HOLYMON_HEADLESS"] = "1"
    try:
        yield
    finally:
        del os.environ["HOLYMON_HEADLESS"]
        if before is not None:
            os.environ["HOLYMON_HEADLESS"] = before


@contextlib.contextmanager
def _sigterm() -> Iterator[None]:
    """SIGTERM as KeyboardInterrupt, so that a page is made of what was done."""
    if threading.current_thread() is not threading.main_thread():
        yield
        return

    def interrupt(_number: int, _frame: FrameType | None) -> NoReturn:
        raise KeyboardInterrupt

    before = {n: signal.signal(n, interrupt) for n in (signal.SIGTERM, signal.SIGINT)}
    try:
        yield
    finally:
        for number, handler in before.items():
            signal.signal(number, handler)


def _secrets(plan: Plan | None) -> tuple[Secret, ...]:
    found = []
    for one in plan.targets if plan is not None else ():
        with contextlib.suppress(ConfigError):
            found.append(key_of(one))
    return tuple(key for key in found if key is not None)


def _clean(notebook: Any, secrets: tuple[Secret, ...]) -> None:
    """Take out what no reader needs: parameters, paths, widgets, colour codes, keys."""
    for name in ("papermill", "widgets"):
        notebook.metadata.pop(name, None)
    notebook.cells = [
        cell for cell in notebook.cells
        if not HIDDEN - {"parameters"} & set(cell.metadata.get("tags", ()))
    ]  # fmt: skip
    for cell in notebook.cells:
        cell.metadata.pop("papermill", None)
        cell.metadata.pop("execution", None)
        for output in cell.get("outputs", ()):
            for kind in ("application/vnd.jupyter.widget-view+json", "application/javascript"):
                output.get("data", {}).pop(kind, None)
            if output.output_type == "error":
                output.evalue = redact(output.evalue, secrets)
                # The frames hold paths of this machine; the reader needs the last line.
                output.traceback = [redact(_ANSI.sub("", line), secrets)
                                    for line in output.traceback[-1:]]  # fmt: skip


def _html(notebook: Any, title: str, banner: str) -> str:
    with _quiet():
        from nbconvert import HTMLExporter
        from traitlets.config import Config

        from holymon import __version__

        config = Config()
        config.TagRemovePreprocessor.enabled = True
        config.TagRemovePreprocessor.remove_cell_tags = HIDDEN
        exporter = HTMLExporter(
            config=config, template_name="holymon", extra_template_basedirs=[str(TEMPLATES)],
            exclude_input=True, exclude_input_prompt=True, exclude_output_prompt=True,
            embed_images=True, sanitize_html=True,
        )  # fmt: skip
        exporter.register_filter("clean_html", _harmless)
        resources = {
            "title": title, "banner": banner, "version": __version__, "style": style(),
        }  # fmt: skip
        html: str = exporter.from_notebook_node(notebook, resources=resources)[0]
    return html


def _harmless(html: Any) -> str:
    """HTML of which nothing runs, loads or covers the page.

    nbconvert's own filter takes out headings and the heads of tables too.
    """
    import bleach

    said = html.decode() if isinstance(html, bytes) else str(html)
    return str(
        bleach.clean(
            said, tags=TAGS, protocols={"http", "https"}, strip_comments=True,
            attributes={"*": ["class", "id"], "a": ["href", "title"],
                        "td": ["colspan", "rowspan"], "th": ["colspan", "rowspan", "scope"]},
        )
    )  # fmt: skip


def style() -> str:
    """The style sheet of all pages."""
    return (TEMPLATES / "holymon" / "style.css").read_text("utf-8")


def _publish(folder: Path, html: str, notebook: Any, secrets: tuple[Secret, ...]) -> None:
    import nbformat

    for name, text in (("report.ipynb", nbformat.writes(notebook)), ("report.html", html)):
        for secret in secrets:
            for form in secret.forms():
                text = text.replace(form, MASK)  # noqa: PLW2901 - each form in turn
        store.write_aside(folder / name, text)


def _write_json(folder: Path, run: Run | None, about: dict[str, Any]) -> None:
    found: dict[str, Any] = {}
    if run is not None:
        with contextlib.suppress(HolymonError, PlanError):
            found = run.to_dict()
    store.write_json(folder / "run.json", {**found, "report": about})
