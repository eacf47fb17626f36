"""The layout of a picture of one frame: matplotlib's constrained one, in one look and not in two.

What stands around a frame is measured where the frame will about be, so that its ticks are those
of the end. To measure it is half of what a picture costs.
"""

from typing import Any, Final

from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.layout_engine import ConstrainedLayoutEngine

ABOUT: Final = (0.08, 0.14, 0.72, 0.77)
"""Left, bottom, width and height of a frame, as shares of its figure, before anything is known."""


class Snug(ConstrainedLayoutEngine):
    """Constrained, unless there is one frame alone: its margins are then what is around it."""

    def execute(self, fig: Figure) -> Any:
        """Place the frames of a figure."""
        if fig.get_children()[1:] != fig.axes or len(fig.axes) != 1:
            return super().execute(fig)
        (ax,) = fig.axes
        _place(ax, *ABOUT)
        around, frame = ax.get_tightbbox(for_layout_only=True), ax.bbox
        whole, pads = fig.bbox, self.get()
        x_pad, y_pad = (pads[name] * fig.dpi for name in ("w_pad", "h_pad"))
        if around is None:
            return super().execute(fig)
        left, bottom = frame.x0 - around.x0 + x_pad, frame.y0 - around.y0 + y_pad
        right, top = around.x1 - frame.x1 + x_pad, around.y1 - frame.y1 + y_pad
        width, height = whole.width - left - right, whole.height - bottom - top
        if min(width, height) <= 0:
            return super().execute(fig)
        _place(ax, left / whole.width, bottom / whole.height,
               width / whole.width, height / whole.height)  # fmt: skip
        return None


def _place(ax: Axes, left: float, bottom: float, width: float, height: float) -> None:
    ax.set_position((left, bottom, width, height))
    ax.set_in_layout(True)  # which it no longer is once it was placed
