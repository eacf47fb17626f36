"""A figure that moves: what stands still is drawn once, and what moves is drawn over it.

    ground (axes, labels, points so far) --> restore, draw new points, keep --> draw lines --> PNG

A full draw of six panels costs some 60 ms, such a frame a tenth of it. Colours are a palette made
beforehand: the PNG is a third of one in full colour, and no colour ever changes between frames.
"""

import io
from collections.abc import Sequence
from functools import cache
from typing import Final, TypeVar

import numpy as np
import numpy.typing as npt
from matplotlib.artist import Artist
from matplotlib.backends.backend_agg import FigureCanvasAgg
from matplotlib.colors import to_rgb
from matplotlib.figure import Figure
from PIL import Image

from holymon.plots.canvas import COLORS, GREY, RED

PAPER: Final = "#F7F8FA"
"""Light in a dark notebook too: the colours are made for it."""

INK: Final = "#222831"
BADGE: Final = "#3C3366"
_LEVELS: Final = 8
Bytes = npt.NDArray[np.uint8]
_Artist = TypeVar("_Artist", bound=Artist)


class Blitter:
    """A figure, its moving artists, and the ground that is kept between frames."""

    def __init__(self, figure: Figure) -> None:
        """Take over `figure`; only one thread may call what follows."""
        self.figure = figure
        self.full_draws = 0
        self._canvas = FigureCanvasAgg(figure)
        self._moving: list[Artist] = []
        self._ground: object = None
        self._palette = _palette()
        self._nearest = _nearest()

    def moves(self, artist: _Artist) -> _Artist:
        """Draw `artist` anew in each frame."""
        artist.set_animated(True)
        self._moving.append(artist)
        return artist

    def redraw(self) -> None:
        """Limits or labels have changed: the next frame is a full draw."""
        self._ground = None

    @property
    def fresh(self) -> bool:
        """Whether the next frame draws everything."""
        return self._ground is None

    def frame(self, kept: Sequence[Artist] = ()) -> bytes:
        """A PNG of now; `kept` (animated artists that are not among the moving) stay on it."""
        canvas = self._canvas
        if self._ground is None:
            self.full_draws += 1
            canvas.draw()
        else:
            canvas.restore_region(self._ground)
        renderer = canvas.get_renderer()
        for artist in kept:
            artist.draw(renderer)
        self._ground = canvas.copy_from_bbox(self.figure.bbox)
        for artist in self._moving:
            artist.draw(renderer)
        return self._png(np.asarray(canvas.buffer_rgba()))

    def _png(self, pixels: Bytes) -> bytes:
        high, wide = pixels.shape[:2]
        packed = pixels.view("<u4").reshape(high, wide)
        at = (packed >> 3) & 31
        at |= (packed >> 6) & (31 << 5)
        at |= (packed >> 9) & (31 << 10)
        image = Image.fromarray(self._nearest[at])
        image.putpalette(self._palette.tobytes())
        out = io.BytesIO()
        image.save(out, "PNG", compress_level=3)
        return out.getvalue()


@cache
def _palette() -> Bytes:
    """The colours of a frame, shape (k, 3): every ink in steps towards the paper, and greys."""
    paper = np.array(to_rgb(PAPER))
    inks = np.array([to_rgb(ink) for ink in (*COLORS, GREY, RED, INK, BADGE)])
    steps = np.linspace(0, 1, _LEVELS)[1:, None, None]
    colors = np.concatenate([paper[None], (paper + (inks - paper) * steps).reshape(-1, 3)])
    return np.unique((colors * 255).round().astype(np.uint8), axis=0)


@cache
def _nearest() -> Bytes:
    """The palette's nearest colour for five bits of red, green and blue; shape (32768,)."""
    palette, number = _palette(), np.arange(32**3)
    middle = np.stack([number & 31, number >> 5 & 31, number >> 10], axis=1) * 8 + 4
    away = np.zeros((len(number), len(palette)), np.int32)
    for channel in range(3):
        away += (middle[:, channel, None] - palette[None, :, channel].astype(np.int32)) ** 2
    nearest: Bytes = away.argmin(axis=1).astype(np.uint8)
    return nearest
