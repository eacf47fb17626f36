"""The picture of a schedule: when calls are due, and when those of a run were sent."""

from typing import Final

import numpy as np
from matplotlib.axes import Axes

from holymon.errors import PlanError
from holymon.plan.estimate import estimate
from holymon.plan.plan import Closed, Open, Plan, Target
from holymon.plan.shapes import Replay, Shape, polyline
from holymon.plots.binning import CALLS_IN_BIN, spans_of
from holymon.plots.canvas import COLORS, crosses, legend, note, styled, warm_up
from holymon.records.records import Recorded, Records

MOST_DUE: Final = 5_000_000


def plot_arrivals(
    what: Plan | Shape | Replay | Records | Recorded,
    *,
    seconds: float | None = None,
    ax: Axes | None = None,
) -> Axes:
    """The rate that a shape, plan or run wants over time, and the calls due in each moment.

    For a run, or its records, also the calls that were sent. A shape without an end is drawn for
    `seconds` (60). Of a plan of over 5,000,000 calls only the rate is drawn. Raises PlanError for
    what has no schedule.
    """
    plan, records = _scheduled(what, seconds)
    return styled(lambda a: _draw(plan, records, a), ax)


def _scheduled(what: object, seconds: float | None) -> tuple[Plan, Records | None]:
    """The plan to draw, and the records of what was made of it, if there are any."""
    if isinstance(what, Plan):
        return what, None
    if isinstance(what, Shape | Replay):
        end = seconds or what.ends or 60.0
        anything = Target(provider="any", model="any")
        return Plan(targets=(anything,), load=Open(what), duration_s=max(end, 0.01)), None
    plan, records = getattr(what, "plan", None), getattr(what, "records", what)
    if not isinstance(plan, Plan) or not isinstance(records, Records):
        raise PlanError(
            f"plot_arrivals takes a plan, a shape, a run or its records, not {type(what).__name__}."
        )
    return plan, records


def _draw(plan: Plan, records: Records | None, ax: Axes) -> None:
    if isinstance(plan.load, Closed):
        note(ax, "closed loop: users set the pace, there is no schedule")
        ax.set_title("Arrivals")
        return
    shape, end, times = plan.load.shape, plan.seconds, len(plan.targets)
    few = records is not None or (estimate(plan).calls or 0) <= MOST_DUE
    due = plan.due() if few else np.empty(0)
    start = np.empty(0) if records is None else records["start_s"][records.sent]
    edges = spans_of(max(end, 1e-3, float(start.max(initial=0.0))), len(due) / CALLS_IN_BIN)
    width = np.diff(edges)
    if few:
        ax.stairs(np.histogram(due, edges)[0] / width, edges, color=COLORS[0], lw=1.2, fill=True,
                  alpha=0.3, label=f"due, n = {len(due):,}")  # fmt: skip
    if isinstance(shape, Shape):
        line = polyline(shape, end=end, warm_up=plan.warmup_s, times=times)
        ax.plot(*zip(*line, strict=True), color=COLORS[0], lw=1.8, label="wanted rate")
    if records is not None:
        ax.stairs(np.histogram(start, edges)[0] / width, edges, color=COLORS[1], lw=1.8,
                  label=f"sent, n = {len(start):,}")  # fmt: skip
        dropped = records["due_s"][~records.sent]
        if len(dropped):
            crosses(ax, dropped, 0.0, f"not sent, n = {len(dropped):,}")
        warm_up(ax, plan.warmup_s)
    ax.set_ylim(bottom=0)
    ax.set(xlabel="s from the start of the run", ylabel="calls per second")
    ax.set_title(f"Arrivals: {plan.load.shape.words}" + f", {times} targets" * (times > 1))
    legend(ax)
