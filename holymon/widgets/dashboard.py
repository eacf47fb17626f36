"""The live dashboard: its three tabs put together, and the run they are about.

callback (any thread) --> Jobs (one thread: start, report, export) --> Run --> the thread of LiveTab
Stop alone does not wait in that queue: it is one write into the run's folder.
"""

from pathlib import Path
from typing import Any, Final

import ipywidgets as w
from matplotlib.figure import Figure

from holymon.errors import RunError
from holymon.formatting import element
from holymon.load.run import Run, attach, start
from holymon.plan.estimate import estimate, over_limits
from holymon.plan.plan import Plan
from holymon.plots.picture import png
from holymon.plots.schedule_plot import plot_arrivals
from holymon.records import run_folder
from holymon.records.run_state import LIVE
from holymon.records.spool import folder_of
from holymon.safety import short
from holymon.transport.prepared_request import place_of
from holymon.widgets.blitting import PAPER
from holymon.widgets.fields import error_line, error_text, html, style_sheet
from holymon.widgets.live_tab import LiveTab
from holymon.widgets.results_tab import ResultsTab
from holymon.widgets.set_up_tab import SetUpTab
from holymon.widgets.threads import Jobs, free_of_cells, owners

LIVE_TAB: Final = 1
RECENT: Final = 50
LONGEST: Final = 4000
"""Of a notice, in characters: where each key goes is never cut off it."""


class Dashboard:
    """What `explore` shows. `run` is the run that is shown, or None."""

    def __init__(self, targets: tuple[str, ...], out: Path) -> None:
        """The tabs, with no run shown. Raises PlanError if one of `targets` is not known."""
        self.run: Run | None = None
        self._out = out
        self._changes = 0
        # The only part that may refuse comes first, before there is a thread.
        self._set_up = SetUpTab(targets, self._changed)
        self._jobs = Jobs(self._failed, self)
        self._live = LiveTab(self._failed, lambda run: self._jobs.do(lambda: self._ended(run)))
        self._results = ResultsTab(self._do)
        self._set_up.targets.add_button.on_click(
            lambda _: self._do(self._set_up.targets.add_written)
        )
        self._start = w.Button(description="Start", icon="play", button_style="primary")
        self._stop = w.Button(description="Stop", icon="stop", disabled=True)
        self._start.on_click(lambda _: self._do(self._begin))
        self._stop.on_click(lambda _: self._halt())
        self._notice, self._errors = html(kind="hm-notice"), html(kind="hm-errors")
        self._tabs = w.Tab([self._set_up.box, self._live.box, self._results.box],
                           titles=("Set up", "Live", "Results"))  # fmt: skip
        top = w.HBox([self._start, self._stop, self._live.progress])
        top.add_class("hm-top")
        self._box = w.VBox([style_sheet(), top, self._notice, self._errors, self._tabs])
        self._box.add_class("hm")
        self._changed()

    def show(self, run: Run) -> None:
        """Show a run, going on or ended, instead of the present one."""
        self._do(lambda: self._follow(run))

    def close(self) -> None:
        """Draw no more and do no more; a run that goes on is not disturbed."""
        self._live.close()
        self._jobs.close()
        for button in (self._start, self._stop, *self._results.buttons.values()):
            button.disabled = True
        self._notice.value = "Another dashboard has taken the place of this one."

    def _repr_mimebundle_(self, **more: Any) -> Any:
        return self._box._repr_mimebundle_(**more)

    def __repr__(self) -> str:
        return f"<Dashboard of {self.run!r}>"

    def _do(self, work: Any) -> None:
        def cleared() -> None:
            self._errors.value = ""
            work()

        self._jobs.do(cleared)

    def _failed(self, error: Exception) -> None:
        """Say what went wrong, in a place of its own that no tick writes over."""
        self._errors.value = error_line(error)

    def _changed(self) -> None:
        self._changes += 1
        number = self._changes
        self._jobs.do(lambda: self._preview() if number == self._changes else None)

    def _preview(self) -> None:
        """Say what Start would do, or why it can't."""
        try:
            plan = self._set_up.plan()
            words, kind = f"Start makes {_words_of(plan)}", ""
            if plan.max_cost is not None:
                words = f"{words.rstrip('.')}. It stops before {plan.max_cost:g} USD are spent."
        except Exception as error:  # noqa: BLE001 - whatever it is, there is nothing to start
            plan, words, kind = None, error_text(error), "bad"
        live = self.run is not None and self.run.live
        if not live:
            self._notice.value = element("span", short(words, LONGEST), kind=kind)
        self._start.disabled = plan is None or live
        if plan is not None and not live:
            self._set_up.preview.value = _arrivals(plan)
            self._set_up.look(plan)

    def _begin(self) -> None:
        if (going := _going(self._out)) is not None:
            if self.run is None or self.run.id != going.id:
                self._follow(going)
            raise RunError(
                f"{going.id} is going on, it is shown here: wait for its end or stop it."
            )
        self._follow(start(self._set_up.plan(), out=self._out))

    def _follow(self, run: Run) -> None:
        self.run = run
        self._results.offer(None)
        self._start.disabled, self._stop.disabled = run.live, not run.live
        self._notice.value = element("span", short(f"This run: {_words_of(run.plan)}", LONGEST))
        self._tabs.selected_index = LIVE_TAB
        self._live.follow(run)

    def _halt(self) -> None:
        if self.run is not None:
            self.run.stop()
            self._live.hurry()
            self._jobs.do(lambda: setattr(self._stop, "disabled", True))

    def _ended(self, run: Run) -> None:
        if run is not self.run:
            return
        self._stop.disabled, self._start.disabled = True, False
        run.wait()
        self._live.last(run)
        self._results.offer(run)
        self._changed()


def explore(
    run: Run | str | None = None, *, targets: tuple[str, ...] | list[str] = ("sim/fast",),
    out: Path | str = "reports",
) -> Dashboard:  # fmt: skip
    """A dashboard to set up a load, watch it live, and keep what came of it.

    It takes the place of any other dashboard of this kernel. What it shows is `run` (also by its
    id, name or path), or, if none is given, the one that goes on in `out`: it was started before
    the cell ran again, or before the kernel was restarted. `targets` are ticked to begin with.
    Raises PlanError, ConfigError, RunError.
    """
    folder = folder_of(out)
    followed = run if isinstance(run, Run) else attach(run, out=out) if run else _going(folder)
    made = free_of_cells(lambda: Dashboard(tuple(targets), folder))
    for before in owners():
        if isinstance(before, Dashboard) and before is not made:
            before.close()
    if followed is not None:
        made.show(followed)
    return made


def _going(out: Path) -> Run | None:
    """The latest run that goes on, if any does."""
    for folder in reversed(run_folder.folders(out)[-RECENT:]):
        if run_folder.read_state(folder)["state"] in LIVE:
            return Run(folder)
    return None


def _arrivals(plan: Plan) -> bytes:
    ax = Figure(figsize=(4.6, 2.6), layout="constrained", facecolor=PAPER).add_subplot()
    plot_arrivals(plan, ax=ax)
    if (legend := ax.get_legend()) is not None:
        legend.remove()
    ax.set_facecolor(PAPER)
    ax.set_title("When calls are due", loc="left", size=9)
    for label in (ax.xaxis.label, ax.yaxis.label):
        label.set_fontsize(8)
    ax.tick_params(labelsize=8)
    ax.grid(alpha=0.25)
    ax.spines[["top", "right"]].set_visible(False)
    figure = ax.figure
    assert isinstance(figure, Figure)
    return png(figure)


def _words_of(plan: Plan) -> str:
    words = estimate(plan).words
    priced = plan.simulated and "USD" in words
    keys = dict.fromkeys(f"; the key in {variable} goes to {place_of(t.base_url)[0]}"
                         for t in plan.targets for variable in t.variables)  # fmt: skip
    invented = " (the simulator's prices are invented)" * priced
    over = "".join(f". {sentence.rstrip('.')}" for sentence in over_limits(plan))
    return words[:1].lower() + words[1:].rstrip(".") + "".join(keys) + invented + over
