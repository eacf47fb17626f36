"""A figure that becomes an SVG in a report, where a call tells about itself when pointed at.

    styled --> Picture --(a report)--> SVG: many points as one image, spots with a <title> on top
                       --(a notebook)--> PNG, as any figure

A spot is unseen: it lies over what is drawn, and shows its title by the browser's own means.
"""

import io
import os
from collections.abc import Callable, Iterable
from typing import Any, Final, NamedTuple

import matplotlib as mpl
from matplotlib.axes import Axes
from matplotlib.backends.backend_agg import FigureCanvasAgg
from matplotlib.backends.backend_svg import FigureCanvasSVG
from matplotlib.figure import Figure

from holymon.formatting import Html, element, join

MOST_DRAWN: Final = 200
"""More points are drawn as an image in an SVG: one element for each would be megabytes."""

RASTER_DPI: Final = 150
RADIUS: Final = 4
FONT: Final = "'DejaVu Sans'"
FONTS: Final = "'DejaVu Sans', Verdana, sans-serif"
"""Verdana is as wide, where the first one is not installed."""

STYLE: Final[Any] = {
    "axes.edgecolor": "#444444",
    "axes.grid": True,
    "axes.labelsize": 9.5,
    "axes.spines.right": False,
    "axes.spines.top": False,
    "axes.titlelocation": "left",
    "axes.titlesize": 10.5,
    "axes.titleweight": "bold",
    "font.family": "DejaVu Sans",
    "grid.alpha": 0.25,
    "legend.fontsize": 9,
    "legend.frameon": False,
    "text.parse_math": False,
    "xtick.labelsize": 9,
    "ytick.labelsize": 9,
}
_METADATA: Final = dict.fromkeys(("Creator", "Date", "Format", "Type"))


class Spot(NamedTuple):
    """A place in the data of some axes, and what it tells; with a size it is a box from there."""

    x: float
    y: float
    title: str
    width: float = 0.0
    height: float = 0.0


class Picture(Figure):
    """A figure with spots, made when it becomes an SVG."""

    def __init__(self, *args: Any, **more: Any) -> None:
        """As a figure, without a spot."""
        super().__init__(*args, **more)
        self._spots: list[tuple[Axes, Callable[[], Iterable[Spot]]]] = []

    def tells(self, ax: Axes, spots: Callable[[], Iterable[Spot]]) -> None:
        """Have spots in `ax`; they are asked for only where they can be pointed at."""
        self._spots.append((ax, spots))

    def svg(self) -> str:
        """An SVG; its texts stay texts."""
        out, before = io.StringIO(), self.dpi
        with mpl.rc_context({**STYLE, "svg.fonttype": "none", "svg.hashsalt": "holymon"}):
            self.dpi = RASTER_DPI
            try:
                FigureCanvasSVG(self).print_svg(out, metadata=_METADATA)  # type: ignore[no-untyped-call]
                spots = join(*self._drawn_spots())  # its dots are now points of the SVG
            finally:
                self.dpi = before
        body, end, rest = out.getvalue().replace(FONT, FONTS).rpartition("</svg>")
        return f"{body}{spots}{end}{rest}"

    def _drawn_spots(self) -> Iterable[Html]:
        high = self.bbox.height
        for ax, ask in self._spots:
            box = ax.bbox.padded(RADIUS)
            for spot in ask():
                x, y = ax.transData.transform((spot.x, spot.y)).tolist()
                if not box.contains(x, y):
                    continue
                at = {"fill": "#000", "fill-opacity": "0"}
                if spot.width:
                    right, top = ax.transData.transform((spot.x + spot.width, spot.y + spot.height))
                    tag, at = "rect", at | {
                        "x": f"{x:.1f}", "y": f"{high - top:.1f}", "width": f"{right - x:.1f}",
                        "height": f"{top - y:.1f}",
                    }  # fmt: skip
                else:
                    tag = "circle"
                    at |= {"cx": f"{x:.1f}", "cy": f"{high - y:.1f}", "r": str(RADIUS)}
                yield element(tag, element("title", spot.title), kind="spot", **at)

    def _repr_svg_(self) -> str | None:
        return self.svg() if "HOLYMON_HEADLESS" in os.environ else None

    def _repr_png_(self) -> bytes | None:
        return None if "HOLYMON_HEADLESS" in os.environ else png(self)


def png(figure: Figure) -> bytes:
    """The figure as a PNG, drawn once: `savefig` draws one that lays itself out twice."""
    with mpl.rc_context(STYLE):
        out = io.BytesIO()
        metadata = {"Software": "holymon"}
        FigureCanvasAgg(figure).print_png(out, metadata=metadata)  # type: ignore[no-untyped-call]
        return out.getvalue()
