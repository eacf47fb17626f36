"""Which calls a throughput counts, and the seconds that belong to them.

Both ends of a run would falsify it: at the beginning most answers can't be there yet, at the end
nothing new is sent any more.
"""

from typing import Final

import numpy as np
import numpy.typing as npt

from holymon.errors import CODES
from holymon.records.attempt import Rows

Mask = npt.NDArray[np.bool_]
_CANCELLED: Final = CODES["cancelled"]


def counted(rows: Rows, users: int | None) -> tuple[Mask, float]:
    """Which rows throughput counts, shape (n,), and the seconds that belong to them.

    `users` are those of a closed loop, of all its targets together; None for any other.
    """
    ended = ~np.isnan(rows["end_s"] - rows["start_s"]) & (rows["error"] != _CANCELLED)
    if not ended.any():
        return ended, 0.0
    if users is not None:
        return ended, _cycle(rows, ended, users)
    return _while_sending(rows, ended)


def _cycle(rows: Rows, ended: Mask, width: int) -> float:
    """Seconds of a closed loop: a user's mean time from its first call to the end of its last.

    Answers of several users often come at once, so a window of time would begin in the middle
    of such a burst or before it, and count too many or too few.
    """
    users, which = np.unique(rows["request"][ended] % width, return_inverse=True)
    first, last = np.full(len(users), np.inf), np.zeros(len(users))
    np.minimum.at(first, which, rows["start_s"][ended])
    np.maximum.at(last, which, rows["end_s"][ended])
    return float((last - first).sum()) / len(users)


def _while_sending(rows: Rows, ended: Mask) -> tuple[Mask, float]:
    """Answers of an open loop that came while it still sent, and the time that they took.

    The tail, when nothing new is sent, would dilute the rate; so would the beginning, when most
    answers can't be there yet. The first answer of the window only says when it begins.
    """
    starts, ends = rows["start_s"], rows["end_s"]
    first, last = starts[ended].min(), starts[ended].max()
    usual = np.quantile((ends - starts)[ended], 0.9)
    inside = ended & (ends >= first + min(usual, (last - first) / 2)) & (ends <= last)
    if not inside.any():
        return inside, 0.0
    begin, end = ends[inside].min(), ends[inside].max()
    return inside & (ends > begin), float(end - begin)
