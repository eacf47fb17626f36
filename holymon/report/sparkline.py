"""A figure over the last runs as one small line, that a page holds without a script."""

from collections.abc import Sequence
from typing import Final

from holymon.formatting import Html, element, join

WIDTH: Final = 240
HEIGHT: Final = 36
_EDGE: Final = 4


def sparkline(values: Sequence[float | None], gaps: Sequence[int], words: str) -> Html:
    """The values, oldest first, from zero up; `words` say the same to who doesn't see it.

    A value that is None is a cross at the bottom; `gaps` are positions before which runs are
    missing: there the line breaks.
    """
    known = [value for value in values if value is not None]
    top = max(known, default=0.0) or 1.0
    step = (WIDTH - 2 * _EDGE) / max(1, len(values) - 1 + len(gaps))
    x = [_EDGE + step * (k + sum(gap <= k for gap in gaps)) for k in range(len(values))]
    y = [HEIGHT - _EDGE if v is None else HEIGHT - _EDGE - (HEIGHT - 2 * _EDGE) * v / top
         for v in values]  # fmt: skip
    pieces: list[list[str]] = [[]]
    for k, value in enumerate(values):
        if value is None or k in gaps:
            pieces.append([])
        if value is not None:
            pieces[-1].append(f"{x[k]:.1f},{y[k]:.1f}")
    lines = [element("polyline", points=" ".join(piece)) for piece in pieces if len(piece) > 1]
    alone = [element("path", d=f"M{piece[0]}h0") for piece in pieces if len(piece) == 1]
    crosses = [
        element("path", kind="unknown", d=f"M{x[k] - 2.5:.1f},{y[k] - 2.5:.1f}l5,5m0,-5l-5,5")
        for k, value in enumerate(values) if value is None
    ]  # fmt: skip
    last = [element("circle", cx=f"{x[-1]:.1f}", cy=f"{y[-1]:.1f}", r="3")
            for value in values[-1:] if value is not None]  # fmt: skip
    return element(
        "svg", join(*lines, *alone, *crosses, *last), kind="spark",
        viewBox=f"0 0 {WIDTH} {HEIGHT}", role="img", **{"aria-label": words},
    )  # fmt: skip
