"""The picture of a schedule: when calls are due, and when those of a run were sent."""

from dataclasses import dataclass
from typing import Final

import numpy as np
from matplotlib.axes import Axes

from holymon.errors import PlanError
from holymon.language.said import shown, tell
from holymon.plan.arrivals import due
from holymon.plan.estimate import estimate
from holymon.plan.plan import Closed, Plan
from holymon.plan.shapes import Floats, Replay, Shape, polyline
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

    For a run also the calls that were sent, of conversations their first ones; of records alone,
    which know no plan, what was due and what was sent. A shape without an end is drawn for
    `seconds` (60). Of a plan of over 5,000,000 calls only the rate is drawn. Raises PlanError for
    what has no schedule.
    """
    schedule, records = _scheduled(what, seconds)
    if records is not None and records.turns > 1 and not isinstance(what, Records):
        records = records.select(records.conversations(records["request"])[1] == 0)
    return styled(lambda a: _draw(schedule, records, a), ax)


@dataclass(frozen=True, slots=True)
class _Schedule:
    """When calls are due (s), shape (n,), or None for too many; the wanted rate as a polyline."""

    words: str
    seconds: float
    due: Floats | None
    rate: list[tuple[float, float]]
    warmup_s: float = 0.0


def _scheduled(what: object, seconds: float | None) -> tuple[_Schedule | None, Records | None]:
    """The schedule to draw, and the records of what was made of it, if there are any."""
    if isinstance(what, Shape | Replay):
        return _of_shape(what, max(seconds or what.ends or 60.0, 0.01)), None
    if isinstance(what, Records):
        last = float(what["due_s"].max(initial=0.0))
        return _Schedule(tell("as recorded"), last, what["due_s"], []), what
    plan, records = (what, None) if isinstance(what, Plan) else (
        getattr(what, "plan", None), getattr(what, "records", None))  # fmt: skip
    if not isinstance(plan, Plan) or not (records is None or isinstance(records, Records)):
        raise PlanError(
            f"plot_arrivals takes a plan, a shape, a run or its records, not {type(what).__name__}."
        )
    if isinstance(plan.load, Closed):
        return None, records
    few = records is not None or (estimate(plan).calls or 0) <= MOST_DUE
    return _of_plan(plan, plan.load.shape, plan.due() if few else None), records


def _of_shape(shape: Shape | Replay, seconds: float) -> _Schedule:
    rate = polyline(shape, end=seconds) if isinstance(shape, Shape) else []
    many = shape.peak * seconds > MOST_DUE
    return _Schedule(shown(shape.words), seconds, None if many else due(shape, end=seconds), rate)


def _of_plan(plan: Plan, shape: Shape | Replay, times: Floats | None) -> _Schedule:
    many, end, warm, rate = len(plan.targets), plan.seconds, plan.warmup_s, []
    if isinstance(shape, Shape):
        rate = polyline(shape, end=end, warm_up=warm, times=many)
    return _Schedule(
        shown(shape.words) + tell(", {many} targets", many=many) * (many > 1),
        end,
        times,
        rate,
        warm,
    )


def _draw(schedule: _Schedule | None, records: Records | None, ax: Axes) -> None:
    if schedule is None:
        note(ax, tell("closed loop: users set the pace, there is no schedule"))
        ax.set_title("Arrivals")
        return
    times = np.empty(0) if schedule.due is None else schedule.due
    start = np.empty(0) if records is None else records["start_s"][records.sent]
    last = max(schedule.seconds, 1e-3, float(start.max(initial=0.0)))
    edges = spans_of(last, len(times) / CALLS_IN_BIN)
    width = np.diff(edges)
    if schedule.due is not None:
        ax.stairs(np.histogram(times, edges)[0] / width, edges, color=COLORS[0], lw=1.2, fill=True,
                  alpha=0.3, label=tell("due, n = {n:,}", n=len(times)))  # fmt: skip
    if schedule.rate:
        ax.plot(
            *zip(*schedule.rate, strict=True), color=COLORS[0], lw=1.8, label=tell("wanted rate")
        )
    if records is not None:
        ax.stairs(np.histogram(start, edges)[0] / width, edges, color=COLORS[1], lw=1.8,
                  label=tell("sent, n = {n:,}", n=len(start)))  # fmt: skip
        dropped = records["due_s"][~records.sent]
        if len(dropped):
            crosses(ax, dropped, 0.0, tell("not sent, n = {n:,}", n=len(dropped)))
        warm_up(ax, schedule.warmup_s)
    ax.set_ylim(bottom=0)
    ax.set(xlabel=tell("s from the start of the run"), ylabel=tell("calls per second"))
    ax.set_title(tell("Arrivals: {words}", words=schedule.words))
    legend(ax)
