"""Gaps in memory: 16 bits for up to 16 gaps of one bin, half of what a pair takes in a journal.

piece = n - 1 (4 bits) | bin (12 bits)
"""

from collections.abc import Sequence
from typing import Any, Final

import numpy as np
import numpy.typing as npt

from holymon.records.attempt import Rows
from holymon.records.chosen import Columns

Pieces = npt.NDArray[np.uint16]
_BITS: Final = np.uint16(12)
BINS: Final = 1 << 12
"""Room for bins; those of `attempt.gap_bin` are fewer."""
_BINS: Final = np.uint16(BINS)
_MOST: Final = np.uint16(16)
_AT_ONCE: Final = 1 << 20


def packed(pairs: Rows | Columns) -> tuple[Pieces, npt.NDArray[np.int64] | None]:
    """Pairs of (bin, n), shape (g,), as pieces, shape (p,), and how many each pair became.

    None if each became one, as nearly always.
    """
    bins, n = np.minimum(pairs["bin"], _BINS - 1), pairs["n"]
    more = n - np.uint16(1)
    if (more < _MOST).all():
        return bins | more << _BITS, None
    each = -(-n.astype(np.int64) // int(_MOST))
    pieces = np.repeat(bins | (_MOST - np.uint16(1)) << _BITS, each)
    there = n > 0
    pieces[each.cumsum()[there] - 1] = (bins | more % _MOST << _BITS)[there]
    return pieces, each


def bins_of(pieces: Pieces) -> Pieces:
    """The bin of each piece, shape (p,)."""
    return pieces & (_BINS - np.uint16(1))


def counts_of(pieces: Pieces) -> npt.NDArray[np.uint8]:
    """The number of gaps of each piece, shape (p,)."""
    return (pieces >> _BITS).astype(np.uint8) + np.uint8(1)


def histogram(pieces: Pieces) -> npt.NDArray[np.int64]:
    """How many gaps each bin holds, shape (`BINS`,)."""
    counts = np.zeros(1 << 16, np.int64)
    for at in range(0, len(pieces), _AT_ONCE):  # bincount makes 8 bytes of each piece
        counts += np.bincount(pieces[at : at + _AT_ONCE], minlength=1 << 16)
    counted: npt.NDArray[np.int64] = np.arange(1, int(_MOST) + 1) @ counts.reshape(int(_MOST), -1)
    return counted


def sums(values: npt.NDArray[Any], lengths: npt.NDArray[Any]) -> npt.NDArray[np.int64]:
    """Sums of successive stretches of whole numbers, shape (g,); `lengths` has shape (n,)."""
    totals = np.zeros(len(lengths), np.int64)
    there = lengths > 0
    if there.any():
        starts = lengths.cumsum(dtype=np.intp) - lengths
        totals[there] = np.add.reduceat(values, starts[there], dtype=np.int64)
    return totals


def sums_upto(
    pieces: Pieces, lengths: npt.NDArray[Any], bins: Sequence[int], most: int
) -> list[npt.NDArray[np.int64]]:
    """For each of some bins the gaps up to it of successive stretches of pieces, shapes (g,).

    `lengths`, shape (g,), are those of the stretches, of which none has more than `most` gaps: as
    many sums as 63 bits have room for are made in one go.
    """
    width = max(most, 1).bit_length()
    together = 63 // width
    # A look into a table of all pieces there can be takes less than comparing very many.
    kinds = np.arange(1 << 16, dtype=np.uint16) if len(pieces) > 1 << 16 else pieces
    which, n, made = bins_of(kinds), counts_of(kinds).astype(np.int64), []
    for at in range(0, len(bins), together):
        some = bins[at : at + together]
        weights = np.zeros(len(kinds), np.int64)
        for k, last in enumerate(some):
            weights += n * (which <= last) << k * width
        totals = sums(weights if kinds is pieces else weights[pieces], lengths)
        made += [totals >> k * width & (1 << width) - 1 for k in range(len(some))]
    return made
