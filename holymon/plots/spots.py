"""Spots of a picture: which calls tell about themselves when they are pointed at, and what."""

from collections.abc import Callable, Iterable
from typing import Final

import numpy as np
import numpy.typing as npt
from matplotlib.axes import Axes

from holymon.figures.calls import calls_at
from holymon.language.said import Digits, glued, listed, say
from holymon.plots.picture import Picture, Spot
from holymon.records.records import Records

Floats = npt.NDArray[np.float64]
Positions = npt.NDArray[np.intp]
MOST_SPOTS: Final = 100
"""Of one picture and kind: the slowest calls, shared by the targets, and the failed ones."""

FEWEST: Final = 10
MOST_TOLD: Final = 3


def tells(ax: Axes, spots: Callable[[], Iterable[Spot]]) -> None:
    """Have spots in `ax`, if its figure can show them."""
    if isinstance(ax.figure, Picture):
        ax.figure.tells(ax, spots)


def highest(
    ax: Axes, records: Records, at: Positions, x: Floats, y: Floats, by: Floats | None = None
) -> None:
    """Have the highest of points, shapes (n,), tell which calls they are: those `at` positions.

    With `by`, shape (n,), those of which that is highest.
    """

    def spots() -> Iterable[Spot]:
        share = max(FEWEST, MOST_SPOTS // len(records.targets))
        first = _highest(y if by is None else by, share)
        for k, call in zip(first.tolist(), calls_at(records, at[first]), strict=True):
            yield Spot(x[k], y[k], call.title)

    tells(ax, spots)


def _highest(y: Floats, most: int) -> Positions:
    """Positions of the highest, at most so many: the highest last, and so on top."""
    least = np.partition(y, -most)[-most] if len(y) > most else -np.inf
    at = np.flatnonzero(y >= least)
    return at[np.argsort(y[at], kind="stable")][-most:]


def curve(ax: Axes, records: Records, at: Positions, x: Floats, of: int) -> None:
    """Have the end of an ECDF, of `x`, shape (n,), tell which calls stand there.

    It is one `of` so many calls.
    """

    def spots() -> Iterable[Spot]:
        share = max(FEWEST, MOST_SPOTS // len(records.targets) // 2)  # of latency and of TTFT
        last = _highest(x, share)
        below = np.arange(len(x) - len(last) + 1, len(x) + 1) / of
        for k, up, call in zip(last.tolist(), below.tolist(), calls_at(records, at[last]),
                               strict=True):  # fmt: skip
            yield Spot(x[k], up, call.title)

    tells(ax, spots)


def never(ax: Axes, records: Records, at: Positions, up: float) -> None:
    """Have the right end of `ax`, at the height `up`, tell of calls that failed: they never end."""

    def spots() -> Iterable[Spot]:
        kinds = _kinds(records, at)
        calls = listed("\n\n", (call.title for call in calls_at(records, at[:MOST_TOLD])))
        many = say("; the first {most_told}", most_told=MOST_TOLD) * (len(at) > MOST_TOLD)
        yield Spot(
            ax.get_xlim()[1],
            up,
            say("never: {kinds}{many}:\n{calls}", kinds=kinds, many=many, calls=calls),
        )

    tells(ax, spots)


def _kinds(records: Records, at: Positions) -> str:
    return _each(records.errors(at), ", ")


def _each(kinds: dict[str, int], between: str) -> str:
    return listed(between, (glued(Digits(f"{n:,}"), " ", name) for name, n in kinds.items()))


def level(
    ax: Axes, records: Records, at: Positions, y: float, x: Floats | None = None
) -> None:  # fmt: skip
    """Have marks of calls at one height, by default at their start, tell which calls they are.

    Of many each moment has one, which tells how many there were and of which kinds.
    """

    def spots() -> Iterable[Spot]:
        t = records["start_s"][at] if x is None else x
        if len(at) <= MOST_SPOTS:
            for call, place in zip(calls_at(records, at), t.tolist(), strict=True):
                yield Spot(place, y, call.title)
            return
        edges = np.linspace(t.min(), np.nextafter(t.max(), np.inf), MOST_SPOTS + 1)
        moment = np.digitize(t, edges) - 1
        order = np.argsort(moment, kind="stable")
        begins = np.flatnonzero(np.diff(moment[order], prepend=-1))
        firsts = calls_at(records, at[order[begins]])
        for rows, first in zip(np.split(order, begins[1:]), firsts, strict=True):
            kinds = _kinds(records, at[rows])
            yield Spot(
                float(t[rows].mean()),
                y,
                say("{kinds}; the first:\n{title}", kinds=kinds, title=first.title),
            )

    tells(ax, spots)


def bars(
    ax: Axes, records: Records, failed: npt.NDArray[np.bool_], edges: Floats, heights: Floats
) -> None:
    """Have stacked bars, shape (k,), tell how many calls failed of which kinds, and when."""

    def spots() -> Iterable[Spot]:
        at = np.flatnonzero(failed)
        number, width = np.digitize(records["due_s"][at], edges) - 1, float(edges[1] - edges[0])
        for k in np.flatnonzero(heights).tolist():
            kinds = records.errors(at[number == k])
            each = _each(kinds, "\n")
            title = say(
                "due from {begin:g} to {end:g} s\n{each}",
                begin=edges[k],
                end=edges[k + 1],
                each=each,
            )
            yield Spot(float(edges[k]), 0.0, title, width, float(heights[k]))

    tells(ax, spots)
