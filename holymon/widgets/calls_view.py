"""The calls of a run that has ended: which ones are looked at, their picture, and the odd ones.

time range, targets, scale --> a picture (many points thinned), tables of slowest and failed calls
a row, by click or key     --> a ring around its point, and all that is known of the call
"""

from collections.abc import Callable
from dataclasses import replace
from typing import Final

import ipywidgets as w
import numpy as np

from holymon import structs
from holymon.figures.call_types import Call
from holymon.figures.calls import slowest
from holymon.formatting import Table, element, ends
from holymon.load.run import Run
from holymon.plots.binning import WIDTHS
from holymon.plots.canvas import COLORS
from holymon.records.records import Records
from holymon.widgets.calls_picture import CallsPicture
from holymon.widgets.fields import html, picture
from holymon.widgets.view_state import Selection, keep_view, last_view

ROWS: Final = 10
STEPS: Final = 200
"""Of a time range, at most about so many: a key moves an end of it by one."""

KEY: Final = "— p50 of successes, – – p95, × failed"
HINT: Final = "Press a row, by mouse or key, to see its point in the picture."


class CallsView:
    """The calls of one run at a time, as they are chosen to be looked at."""

    def __init__(self, do: Callable[[Callable[[], object]], None]) -> None:
        """Nothing yet; `do` has work done in another thread."""
        self._do = do
        self._run: Run | None = None
        self._view, self._changes, self._filling = Selection(), 0, False
        self._calls: tuple[Call, ...] = ()
        self._picture: CallsPicture | None = None
        self._what = w.ToggleButtons(
            options=[("Latency", "latency"), ("TTFT", "ttft")], style={"button_width": "82px"},
            layout={"width": "auto"},
        )  # fmt: skip
        self._log = w.Checkbox(description="Log scale", indent=False, layout={"width": "auto"})
        self._span = w.FloatRangeSlider(
            description="Sent from, to, s", continuous_update=False, readout_format=".1f",
            style={"description_width": "initial"}, layout={"flex": "1 1 380px", "width": "auto"},
        )  # fmt: skip
        self._boxes: list[w.Checkbox] = []
        self._targets = w.Box()
        self._targets.add_class("hm-targets")
        self._image = picture()
        self._image.add_class("hm-points")
        self._about = html(kind="hm-call")
        self._slow, self._bad = _Rows(self._press), _Rows(self._press)
        controls = w.HBox([self._what, self._log, self._span])
        controls.add_class("hm-controls")
        self.box = w.VBox([controls, self._targets, self._image, self._about,
                           self._slow.box, self._bad.box])  # fmt: skip
        self.box.layout.display = "none"
        for field in (self._what, self._log, self._span):
            field.observe(self._changed, "value")

    def offer(self, run: Run | None) -> None:
        """Show the calls of a run that has ended, as they were looked at last; with None, none."""
        self._run = run if run is not None and len(run.records) else None
        self.box.layout.display = "none" if self._run is None else ""
        if self._run is not None:
            self._view = last_view(self._run)
            self._fill(self._run, self._view)
            self._show(self._run)

    def _fill(self, run: Run, view: Selection) -> None:
        """Set the fields to a view of a run."""
        self._filling = True
        try:
            last = max(float(np.nan_to_num(run.records["due_s"]).max()), 1e-3)
            step = next((width for width in WIDTHS if width >= last / STEPS), WIDTHS[-1])
            self._span.min, self._span.max = 0.0, float(np.floor(last / step + 1) * step)
            self._span.step, self._span.readout_format = step, ",.1f" if step < 1 else ",.0f"
            self._span.value = view.span or (0.0, self._span.max)
            self._what.value, self._log.value = view.what, view.log
            boxes = [_box(target.name, k, shown=target.name not in view.hidden)
                     for k, target in enumerate(run.plan.targets)]  # fmt: skip
            for box in boxes:
                box.observe(self._changed, "value")
            self._boxes = boxes
            self._targets.children = (*boxes, html(KEY, kind="hm-quiet"))
        finally:
            self._filling = False

    def _changed(self, _: object) -> None:
        """Show another part: once, however many changes came before it could be."""
        if self._filling:
            return
        self._changes += 1
        number, run = self._changes, self._run

        def work() -> None:
            if run is not None and run is self._run and number == self._changes:
                self._view = self._chosen(run)
                self._show(run)
                keep_view(run, self._view)

        self._do(work)

    def _chosen(self, run: Run) -> Selection:
        """What the fields say."""
        first, last = self._span.value
        whole = (first, last) == (self._span.min, self._span.max)
        both = zip(run.plan.targets, self._boxes, strict=True)
        return Selection(
            what=self._what.value, log=self._log.value, span=None if whole else (first, last),
            hidden=tuple(target.name for target, box in both if not box.value),
            marked=self._view.marked,
        )  # fmt: skip

    def _show(self, run: Run) -> None:
        """Draw the picture anew, and fill the tables."""
        view = self._view
        records, span = _part(run, view), view.span or (self._span.min, self._span.max)
        self._picture = CallsPicture(records, view.what, span, log=view.log)
        odd = slowest(records, ROWS)
        slow, bad = odd.brief
        self._slow.fill(slow, odd.slowest)
        self._bad.fill(bad, odd.failed)
        self._calls = odd.slowest + odd.failed
        self._mark()

    def _press(self, call: Call) -> None:
        """Mark a call, or take the mark off the one that has it."""

        def work() -> None:
            if self._run is not None and call in self._calls:
                own = _key(call)
                marked = None if own == self._view.marked else own
                self._view = structs.replace(self._view, marked=marked)
                self._mark()
                keep_view(self._run, self._view)

        self._do(work)

    def _mark(self) -> None:
        """Show which call is marked, if it is among those that are shown."""
        marked = next((call for call in self._calls if _key(call) == self._view.marked), None)
        for rows in (self._slow, self._bad):
            rows.mark(marked)
        if self._picture is not None:
            self._image.value = self._picture.frame(marked)
        text = HINT if marked is None else marked.title.replace("\n", " · ")
        self._about.value = element("div", text, kind="hm-quiet" * (marked is None))


class _Rows:
    """A table of calls; over each row lies a button, for ipywidgets' tables can't be pressed."""

    def __init__(self, press: Callable[[Call], None]) -> None:
        """An empty table."""
        self._calls: tuple[Call, ...] = ()
        self._before, self._table, self._after = html(), html(), html()
        self._buttons = [w.Button() for _ in range(ROWS)]
        for k, button in enumerate(self._buttons):
            button.add_class("hm-row")
            button.on_click(lambda _, k=k: press(self._calls[k]))
        self._over = w.VBox()
        self._over.add_class("hm-over")
        both = w.Box([self._table, self._over])
        both.add_class("hm-rows")
        self.box = w.VBox([self._before, both, self._after])

    def fill(self, table: Table, calls: tuple[Call, ...]) -> None:
        """Show a table, of which each row is one of these calls."""
        self._calls = calls
        self._before.value = replace(table, heads=(), rows=(), notes=()).html()
        self._table.value = replace(table, lead=(), notes=()).html("hm-calls")
        self._after.value = replace(table, heads=(), rows=(), lead=()).html()
        for button, call in zip(self._buttons, calls, strict=False):
            button.description = f"call {call.request}, {call.moment}: show its point"
        self._over.children = tuple(self._buttons[: len(calls)])

    def mark(self, marked: Call | None) -> None:
        """Have the row of a call stand out."""
        for button, call in zip(self._buttons, self._calls, strict=False):
            (button.add_class if call is marked else button.remove_class)("hm-on")


def _key(call: Call) -> tuple[int, int]:
    return call.request, call.attempt


def _box(name: str, k: int, *, shown: bool) -> w.Checkbox:
    """The box of a target, in the colour of its points."""
    box = w.Checkbox(shown, description=ends(name, 40), indent=False, layout={"width": "auto"})
    box.add_class(f"hm-c{k % len(COLORS)}")
    return box


def _part(run: Run, view: Selection) -> Records:
    """The calls that are chosen; of all of them no copy is made."""
    records = run.records
    if view == Selection(what=view.what, log=view.log, marked=view.marked):
        return records
    shown = np.array([target.name not in view.hidden for target in run.plan.targets])
    first, last = view.span or (-np.inf, np.inf)
    sent = np.where(records.sent, records["start_s"], records["due_s"])
    return records.select(shown[records["target"]] & (sent >= first) & (sent <= last))
