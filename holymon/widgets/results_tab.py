"""What can be done with a run that has ended: its calls, report, export, baseline, comparison."""

import contextlib
import json
import os
import re
import shutil
from collections.abc import Callable
from pathlib import Path
from typing import Final
from urllib.parse import quote

import ipywidgets as w

from holymon.catalogue.entries import entries_at_hand
from holymon.errors import HolymonError, RunError
from holymon.experiments.alternate import compare, compare_all
from holymon.figures.comparisons import Comparisons
from holymon.formatting import Html, bullets, element
from holymon.load.run import Run, attach
from holymon.plan.given_file import decoded
from holymon.records import run_folder
from holymon.records.export import write_csv
from holymon.records.own_files import MOST_OF_JSON, aside, content, opened, write_json
from holymon.records.run_state import LIVE
from holymon.report.bundle import write_bundle
from holymon.report.report import write_report
from holymon.safety import short
from holymon.widgets.calls_view import CallsView
from holymon.widgets.fields import SHORT, choice_field, html

NOTHING: Final = element(
    "p", "A run can be saved, exported and compared once it has ended.", kind="hm-quiet"
)
MOST_RUNS: Final = 30
WRAPPED: Final = {"flex_flow": "row wrap"}
BASELINE_FILE: Final = "baseline.json"
_ID: Final = re.compile(r"(?!\.)[^/\\]+/(?!\.)[^/\\]+")
"""A run in the folder of the baseline, and nowhere else."""


class ResultsTab:
    """Buttons for a run that has ended, and what came of pressing them."""

    def __init__(self, do: Callable[[Callable[[], object]], None]) -> None:
        """Buttons, disabled until a run is offered; `do` has work done in another thread."""
        self._run = None
        self.buttons = {
            name: w.Button(description=name, icon=icon, disabled=True, layout={"width": "150px"})
            for name, icon in (
                ("Save report", "file-text-o"), ("Support bundle", "life-ring"),
                ("Export CSV", "table"),
                ("Export Parquet", "database"), ("Set as baseline", "flag"),
                ("Compare", "exchange"),
            )
        }  # fmt: skip
        for button, work in zip(
            self.buttons.values(),
            (self._report, self._bundle, self._csv, self._parquet, self._baseline, self._compare),
            strict=True,
        ):  # fmt: skip
            button.on_click(lambda _, work=work: do(work))
        self._other = choice_field("Compare with", [("", "")])
        self._other.layout, self._other.style = {"width": "460px"}, SHORT
        self._message = html(NOTHING, kind="hm-message")
        # Lab leads relative links of an output, not those of a widget, to the notebook's folder.
        self._links = w.Output()
        self._made: list[Path] = []
        *first, last = self.buttons.values()
        self._calls = CallsView(do)
        above = [w.HBox(fields, layout=WRAPPED) for fields in (first, [self._other, last])]
        self.box = w.VBox([*above, self._message, self._links, self._calls.box])
        self.box.add_class("hm-results")

    _run: Run | None

    def offer(self, run: Run | None) -> None:
        """Offer all that goes with `run`; with None, nothing."""
        self._run = run
        self._made, self._links.outputs = [], ()
        self._message.value = NOTHING if run is None else about(run)
        if run is not None:
            self._other.options = self._others(run)
        for button in self.buttons.values():
            button.disabled = run is None
        self._calls.offer(run)

    def _others(self, run: Run) -> list[tuple[str, str]]:
        options = [("the targets of this run with one another", "")] * (len(run.plan.targets) > 1)
        out = run_folder.out_of(run.folder)
        with contextlib.suppress(HolymonError):
            if (base := baseline(out)) is not None and base.id != run.id:
                options.append((f"the baseline, {base.id}", base.id))
        for entry in reversed(entries_at_hand(out)[-MOST_RUNS:]):
            gone = entry.calls_gone or entry.state in LIVE
            if entry.run_id != run.id and not gone:
                options.append((entry.run_id, entry.run_id))
        return options or [("no other run yet", "")]

    @property
    def _shown(self) -> Run:
        if self._run is None:
            raise RunError("no run has ended yet.")
        if not (self._run.folder / "plan.json").is_file():
            raise RunError(f"the folder of {self._run.id} is gone: measure again.")
        return self._run

    def _report(self) -> None:
        run = self._shown
        self._say("Making the report: it takes some seconds ...")
        try:
            made = write_report(run=run)
        finally:
            self._say(run.id)
        if made.status != "ok":
            raise RunError(f"the report is not whole: {made.error}")
        self._file(made.html, "Report")

    def _bundle(self) -> None:
        self._file(write_bundle(self._shown), "What to show the API's support")

    def _csv(self) -> None:
        self._file(write_csv(self._shown.records, self._shown.folder / "calls.csv"), "CSV")

    def _parquet(self) -> None:
        source = self._shown.folder / "calls.parquet"
        if not source.is_file():
            raise RunError("this run is not in Parquet: its folder could not be written.")
        # Beside the runs, not in one: a run's own files are what it is read from.
        copy = run_folder.out_of(source.parent) / f"{self._shown.id.replace('/', '-')}.parquet"
        with opened(source) as file, aside(copy) as made:
            shutil.copyfileobj(file, made)
        self._file(copy, "Parquet")

    def _baseline(self) -> None:
        set_baseline(self._shown)
        self._say(f"{self._shown.id} is the baseline now.")

    def _compare(self) -> None:
        run, other = self._shown, self._other.value
        if not other and len(run.plan.targets) == 1:
            raise RunError("there is nothing to compare with yet: measure another run.")
        if other:
            with_run = attach(other, out=run_folder.out_of(run.folder))
            names = [t.name for t in with_run.plan.targets]
            both = [t.name for t in run.plan.targets if t.name in names]
            if not both:
                raise RunError(f"{other} has no target in common with this run.")
            made = Comparisons(compare(with_run, run, targets=(name, name)) for name in both)
        else:
            made = compare_all(run)
        self._message.value = made.table.html()

    def _say(self, text: str) -> None:
        self._message.value = element("p", text)

    def _file(self, path: Path, what: str) -> None:
        """Lead to a file that was made, from the folder where the notebook is."""
        if path not in self._made:
            self._made.append(path)
        self._say(f"{what} saved as {path}")
        links = bullets(
            element(
                "a",
                short(str(made)),
                href=quote(os.fsencode(os.path.relpath(made))),
                target="_blank",
            )
            for made in self._made
        )
        data = {"text/html": str(links), "text/plain": str(path)}
        self._links.outputs = ({"output_type": "display_data", "data": data, "metadata": {}},)


def about(run: Run) -> Html:
    """Which run it is; of one without calls why there are none, for nothing else is shown of it."""
    if len(run.records):
        return element("p", run.id)
    why = " ".join(reason.text for reason in run.verdict().reasons) or "it was ended before."
    return element("p", f"No call was made in {run.id}: {why}")


def set_baseline(run: Run) -> Path:
    """Hold the other runs of its folder against this one from now on; the file that says so."""
    path = run_folder.out_of(run.folder) / BASELINE_FILE
    write_json(path, {"run_id": run.id, "set_at": run_folder.now().isoformat()})
    return path


def baseline(out: Path | str = "reports") -> Run | None:
    """The run that was set, if any. Raises RunError if it is gone or the file can't be read."""
    path = Path(out) / BASELINE_FILE
    if not path.exists():
        return None
    try:
        wanted = json.loads(decoded(content(path, MOST_OF_JSON)))["run_id"]
        if not _ID.fullmatch(wanted):
            raise ValueError(wanted)
    except (OSError, ValueError, KeyError, TypeError, RecursionError):
        raise RunError(f"{path} can't be read: set the baseline again.") from None
    return attach(str(wanted), out=out)
