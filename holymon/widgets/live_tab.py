"""What is seen of a run while it goes on: the figure, the trust panel, the table, the clock."""

from collections.abc import Callable
from datetime import datetime
from time import perf_counter
from typing import Final

import ipywidgets as w

from holymon.figures import verdict
from holymon.formatting import number_of
from holymon.load.run import Run
from holymon.plan.estimate import estimate
from holymon.plan.plan import MAX_SECONDS
from holymon.records import journal, run_folder, run_state
from holymon.records.client_health import ClientHealth
from holymon.records.first_call import outcome
from holymon.widgets import panels_html
from holymon.widgets.fields import html, picture
from holymon.widgets.live_figure import LiveFigure
from holymon.widgets.panels import OF_A_RUN, last_due
from holymon.widgets.threads import Pace, Ticker

HURRY_S: Final = 0.05
OF_SEVERAL: Final = {**OF_A_RUN, "curve": "Calls in flight, of all targets"}


class LiveTab:
    """Follows one run at a time. Its thread only draws; what is to follow the end is `ended`."""

    def __init__(self, failed: Callable[[Exception], None], ended: Callable[[Run], None]) -> None:
        """An empty figure and tables; `failed` is given what a tick raised."""
        self._failed, self._ended = failed, ended
        self._ticker: Ticker | None = None
        self.progress = html(kind="hm-progress")
        self._trust, self._table = html(), html()
        self.image = picture()
        self.image.add_class("hm-figure")
        self.box = w.VBox([self._trust, self.image, self._table])
        self.box.add_class("hm-live")

    def follow(self, run: Run) -> None:
        """Show `run` from now on, instead of any other."""
        self.close()
        # The drawing thread has records of its own: a cell may ask for those of the run meanwhile.
        following = _FollowedRun(run, Run(run.folder) if run.live else run)
        if run.live:
            # What was seen of the run before is none of this one's.
            self.image.layout.display = "none"
            self._read(following)
            self.progress.value = panels_html.progress(following.about())
            self._ticker = Ticker(lambda: self._tick(following))
        else:
            self._ended(run)

    def hurry(self) -> None:
        """Look more often: the end is near."""
        if self._ticker is not None:
            self._ticker.period_s = HURRY_S

    def last(self, run: Run) -> None:
        """Show a run that has ended, with all its records; from the thread that ended it."""
        self.close()
        following = _FollowedRun(run, run)
        self._read(following)
        self._show(following, final=True)

    def close(self) -> None:
        """End the thread that draws; what stands there stays."""
        if self._ticker is not None:
            self._ticker.close()

    def _tick(self, following: "_FollowedRun") -> bool:
        try:
            live = following.run.live
            following.paces[0].due(lambda: self._read(following))
            self._show(following)
        except Exception as error:  # noqa: BLE001 - shown, and the next tick may work
            self._failed(error)
            live = following.run.live
        if not live:
            self._ended(following.run)
        return live

    def _show(self, following: "_FollowedRun", *, final: bool = False) -> None:
        following.look()
        self.image.value = following.frame(final=final)
        self.progress.value = panels_html.progress(following.about())

    def _read(self, following: "_FollowedRun") -> None:
        run, summary, status = following.run, following.own.summary(), following.run.status
        judged = verdict.judge(summary, run.plan, following.vitals, *run_state.ending(status),
                               records=following.own.records)  # fmt: skip
        self._trust.value = panels_html.trust(summary, judged, following.vitals, run.plan)
        self._table.value = panels_html.figures(summary, judged)


class _FollowedRun:
    """A run with its figure, and what was read of it at what pace."""

    def __init__(self, run: Run, own: Run) -> None:
        self.run, self.own = run, own
        self.vitals: ClientHealth = journal.vitals(run.folder)
        self.paces = (Pace(1.0, share=0.02), Pace(0.5))
        several = len(run.plan.targets) > 1
        words = OF_SEVERAL if several else OF_A_RUN
        self._figure = LiveFigure(run.plan.targets, run.plan, words)
        self._expected = estimate(run.plan).calls
        self.ends_s = last_due(run.plan)
        self._zero: float | None = None
        self._status = run.status

    def look(self) -> None:
        """Read how the run and its client are doing."""
        self._status = self.run.status
        vitals = self.paces[1].due(lambda: journal.vitals(self.run.folder))
        self.vitals = vitals or self.vitals

    def frame(self, *, final: bool) -> bytes:
        """The figure of this moment, as a PNG."""
        records = self.own.records
        now = self.elapsed if self.run.live else max(self.own.summary().duration_s, 1e-3)
        return self._figure.frame(records, [self.vitals.flight], now, final=final)

    @property
    def elapsed(self) -> float:
        """Seconds since the run began; the wall clock is looked at once."""
        if self._status["state"] != "running":
            return 1e-3
        if self._zero is None:
            began = datetime.fromisoformat(str(self._status["started_at"]))
            self._zero = perf_counter() - (run_folder.now() - began).total_seconds()
        return max(perf_counter() - self._zero, 1e-3)

    def about(self) -> dict[str, object]:
        """What the line on top says."""
        run, state = self.run, str(self._status["state"])
        n, early = len(self.own.records), run_state.ended_early(self._status)
        return {
            "name": run.id, "state": outcome(self._status),
            "simulated": run.plan.simulated,
            "words": f"{_when(self, state)}, {number_of(n, 'call')}"
            + f"; ended early: {early}" * bool(early),
            "share": 1.0 if state == "finished" else self._share(n),
        }  # fmt: skip

    def _share(self, n: int) -> float:
        by_time = self.elapsed / self.ends_s if self.run.live else 0.0
        return max(by_time, n / self._expected if self._expected else 0.0)


def _when(following: _FollowedRun, state: str) -> str:
    if state in {"starting", "first call"}:
        return state
    if state != "running":
        return f"{panels_html.clock(following.own.summary().duration_s)} in all"
    elapsed, whole = following.elapsed, following.ends_s
    so_far = f"{panels_html.clock(elapsed)} elapsed"
    if whole >= MAX_SECONDS:
        return so_far
    if elapsed > whole:
        return f"{so_far}, waiting for the last answers"
    return f"{so_far}, {panels_html.clock(whole - elapsed)} left"
