"""A report, or many at once: notebooks, runs and parameters, each in a process of its own.

write_report(run=[...]) -> one_report, as many as there are cores, or on a cluster -> Reports
"""

import contextlib
import json
import signal
import socket
import subprocess
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any, TypedDict, Unpack, overload

from holymon.errors import HolymonError, PlanError, RunError
from holymon.formatting import Table, number_of
from holymon.language.catalogue import ENGLISH
from holymon.language.said import heads, say, speaking
from holymon.load.at_once import cores
from holymon.load.interrupts import interruptible
from holymon.load.run import Run
from holymon.records import run_folder
from holymon.records.own_files import new_file, room
from holymon.records.spool import folder_of
from holymon.report import report
from holymon.report.index import write_index
from holymon.report.notebooks import check_parameters, find_notebook
from holymon.report.report import DEFAULT, Report
from holymon.safety import short
from holymon.sim.process import PYTHON_M
from holymon.structs import require, shows_table

Notebook = str | Path
Parameters = dict[str, Any]


class Options(TypedDict, total=False):
    """What holds for every report: see `write_report`."""

    out: Path | str
    name: str | None
    timeout_s: float
    import_from: Path | str | None
    lang: str


@shows_table
class Reports(tuple[Report | HolymonError, ...]):
    """Reports that were made at once, in their order; in the place of one that is not, why."""

    __slots__ = ()

    @property
    def whole(self) -> bool:
        """Whether all are there and complete."""
        return all(isinstance(made, Report) and made.status == "ok" for made in self)

    @property
    def table(self) -> Table:
        """A row for each: its page, what it is on, and how its notebook ended."""
        rows = [
            (str(made.html), made.run_id or "", made.status, made.error)
            if isinstance(made, Report)
            else ("", "", say("failed"), str(made))
            for made in self
        ]
        good = sum(isinstance(made, Report) and made.status == "ok" for made in self)
        lead = say("{good:,} of {reports} complete", good=good,
                   reports=number_of(len(self), "report"))  # fmt: skip
        return Table(heads("page", "run", "notebook", "why"), rows, "l", lead=(lead,))


@overload
def write_report(
    notebook: Notebook = ..., *, run: Run | None = ..., parameters: Parameters | None = ...,
    **options: Unpack[Options],
) -> Report: ...  # fmt: skip
@overload
def write_report(
    notebook: Notebook | list[Notebook] = ..., *, run: list[Run],
    parameters: Parameters | list[Parameters] | None = ..., at_once: int | None = ...,
    on: Any = ..., **options: Unpack[Options],
) -> Reports: ...  # fmt: skip
@overload
def write_report(
    notebook: Notebook | list[Notebook] = ..., *, run: Run | None = ...,
    parameters: list[Parameters], at_once: int | None = ..., on: Any = ...,
    **options: Unpack[Options],
) -> Reports: ...  # fmt: skip
@overload
def write_report(
    notebook: list[Notebook], *, run: Run | None = ..., parameters: Parameters | None = ...,
    at_once: int | None = ..., on: Any = ..., **options: Unpack[Options],
) -> Reports: ...  # fmt: skip


def write_report(
    notebook: Notebook | list[Notebook] = DEFAULT, *, run: Run | list[Run] | None = None,
    parameters: Parameters | list[Parameters] | None = None, at_once: int | None = None,
    on: Any = None, **options: Unpack[Options],
) -> Report | Reports:  # fmt: skip
    """Run a notebook headlessly and publish it as `report.html` beside the run it is about.

    `out` is handed on to a notebook that has this parameter; `name` is that of a report on no run.
    `timeout_s` limits each cell; the notebook imports modules of yours from the folder
    `import_from`, and from no other. `lang` is the language, `en` or `vi`, of a notebook that has
    this parameter. What goes wrong in the notebook is no exception here: the page is made of what
    there is, with a banner.

    Lists of notebooks, runs or parameters, of one length, make as many reports: `at_once` of them
    in the same time (by default as many as this machine has cores), or as many as fit on the
    workers of `on`, a Dask client whose workers see the folder `out`. One that fails takes no other
    with it, and the list of all reports has all in the end.

    Raises ConfigError for a notebook or parameters that can't be, PlanError for lists that don't go
    together, RunError for a run that goes on or a folder that can't be written, KeyboardInterrupt
    (after the pages) for Ctrl-C and SIGTERM.
    """
    given: dict[str, Any] = {"notebook": notebook, "run": run, "parameters": parameters}
    lists = {name: value for name, value in given.items() if isinstance(value, list)}
    if not lists:
        if on is not None or at_once is not None:
            raise PlanError("at_once and on are of several reports: give a list of runs.")
        return report.write_report(**given, **options)
    wishes = _wishes(given, lists, options)
    places = {Path(wish["out"]) for wish in wishes}
    made = _on_cluster(wishes, on) if on is not None else _here(wishes, at_once)
    with speaking(options.get("lang", ENGLISH)):
        for place in places:  # those that were made at one time may have missed each other
            write_index(place)
    return Reports(map(_outcome, made))


def _wishes(
    given: dict[str, Any], lists: dict[str, list[Any]], options: Options
) -> list[dict[str, Any]]:  # fmt: skip
    """What each report is to be made of, as JSON has it. Raises PlanError, ConfigError, RunError.

    Whatever can be known beforehand is checked for all of them before the first one begins.
    """
    number = {len(value) for value in lists.values()}
    if number - {max(number)} or 0 in number:
        raise PlanError(f"{' and '.join(lists)} are lists of no or of different length: give "
                        "equally many of each, or one for all.")  # fmt: skip
    rows = [
        {name: value[k] if name in lists else value for name, value in given.items()}
        for k in range(max(number))
    ]
    runs = [row["run"].folder.resolve() for row in rows if row["run"] is not None]
    for folder in {folder for folder in runs if runs.count(folder) > 1}:
        raise PlanError(f"{run_folder.run_id(folder)} is named twice: a run has one report.")
    return [_wish(row, options) for row in rows]


def _wish(row: dict[str, Any], options: Options) -> dict[str, Any]:
    run, parameters = row["run"], dict(row["parameters"] or {})
    path = find_notebook(row["notebook"])
    check_parameters(path, parameters)
    out = folder_of(options.get("out", "reports"))
    if run is not None:
        run.require_end("report")
        out = run_folder.out_of(run.folder)
    elif not out.is_dir():
        out.mkdir(parents=True)
    extra = options.get("import_from")
    return {
        **options, "notebook": str(path.resolve()), "parameters": parameters,
        "run": None if run is None else str(run.folder.resolve()), "out": str(out.resolve()),
        "import_from": None if extra is None else str(Path(extra).resolve()),
    }  # fmt: skip


def _here(wishes: list[dict[str, Any]], at_once: int | None) -> list[dict[str, Any]]:
    most = len(cores()) if at_once is None else at_once
    require(most >= 1, "at_once", f"is {most}", "at least 1")
    going: set[subprocess.Popen[str]] = set()
    with ThreadPoolExecutor(min(most, len(wishes))) as pool, interruptible():
        ends = [pool.submit(make, wish, going) for wish in wishes]
        try:
            return [end.result() for end in ends]
        except BaseException:  # Ctrl-C: each makes a page of what there is
            pool.shutdown(wait=False, cancel_futures=True)
            for process in list(going):
                process.send_signal(signal.SIGINT)
            raise


def _on_cluster(wishes: list[dict[str, Any]], client: Any) -> list[dict[str, Any]]:
    """As by `make`, each on a worker of Dask, none of them twice."""
    with contextlib.ExitStack() as stack:
        seen = {wish["out"]: str(stack.enter_context(room(Path(wish["out"])))) for wish in wishes}
        tasks = [
            client.submit(_made_there, wish, seen[wish["out"]], number, pure=False, retries=0)
            for number, wish in enumerate(wishes)
        ]
        try:
            return [_result(task) for task in tasks]
        except BaseException:
            client.cancel(tasks)
            raise


def _result(task: Any) -> dict[str, Any]:
    try:
        known: dict[str, Any] = task.result()
    except Exception as error:  # noqa: BLE001 - a worker that is lost takes no other report with it
        return {"why": f"its Dask worker failed: {short(str(error), 200) or type(error).__name__}"}
    return known


def _made_there(wish: dict[str, Any], seen: str, number: int) -> dict[str, Any]:
    if not Path(seen).is_dir():
        return {"why": f"{socket.gethostname()} does not see {wish['out']}: reports on a cluster "
                       "need a folder that all of its workers share."}  # fmt: skip
    try:
        new_file(Path(seen) / str(number)).close()
    except FileExistsError:  # Dask begins a task once more when its worker was lost
        return {"why": "its Dask worker was lost; what it may have called is not called again."}
    return make(wish)


def make(
    wish: dict[str, Any], going: "set[subprocess.Popen[str]] | None" = None
) -> dict[str, Any]:  # fmt: skip
    """Have a process of its own make a report; what became of it, or `why` it is none."""
    process = subprocess.Popen(
        [*PYTHON_M, "holymon.report.one_report"], stdin=subprocess.PIPE, stdout=subprocess.PIPE,
        stderr=subprocess.PIPE, text=True, process_group=0,
    )  # fmt: skip
    known = set() if going is None else going
    known.add(process)
    held, process.stdin = process.stdin, None  # or `communicate` would close it
    with contextlib.suppress(OSError):  # it ended before it read anything
        print(json.dumps(wish), file=held, flush=True)
    printed, complaint = process.communicate()
    with contextlib.suppress(OSError, AttributeError):
        held.close()  # type: ignore[union-attr]
    known.discard(process)
    try:
        made: dict[str, Any] = json.loads(printed)
    except ValueError:
        last = complaint.strip().rpartition("\n")[2]
        made = {"why": f"its process ended with {process.returncode}: {short(last, 200)}"}
    return made


def _outcome(made: dict[str, Any]) -> Report | HolymonError:
    if "why" in made:
        return RunError(made["why"])
    about = {name: made[name] for name in ("status", "error", "run_id")}
    notes = tuple(made["notes"])
    return Report(folder=Path(made["folder"]), html=Path(made["html"]), notes=notes, **about)
