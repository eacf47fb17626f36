"""Which calls a throughput counts, and the seconds that belong to them.

Both ends of a run would falsify it: at the beginning most answers can't be there yet, at the end
nothing new is sent any more. Where answers take about as long as calls are sent, an open loop is
all beginning, and there is no rate: 0.47 of the true one came out. Nor is there where only some of
them do: with every fifth as long as the run, 0.82 of the true one.
"""

import math
from typing import Final, NamedTuple

import numpy as np
import numpy.typing as npt

from holymon.errors import CODES
from holymon.figures.effective import effective_number, rank_correlation, spread_of_total
from holymon.figures.quantiles import Z95
from holymon.formatting import percent, rounded
from holymon.language.said import say
from holymon.records.attempt import Rows
from holymon.structs import Interval

Floats = npt.NDArray[np.float64]
Mask = npt.NDArray[np.bool_]
_CANCELLED: Final = CODES["cancelled"]

FEWEST_STEADY: Final = 30
"""So many answers tell whether they came steadily from the start."""

STRETCHES: Final = 128

MISSING: Final = 0.05
"""The part of a rate that may be missing without a word, if chance alone makes no more of it."""

RISES: Final = 0.3
"""From this rank correlation of times with when calls were sent on, a queue makes answers late."""

TOO_LONG: Final = say(
    "answers took about as long as calls were sent (p90 {usual} s of {span} s), so most had no "
    "time to come: no answers/s, tokens/s and goodput; send for {need} s or longer."
)
SOME_TOO_LONG: Final = say(
    "some answers took too long to come while calls were sent ({span} s), so about {share} would "
    "be missing: no answers/s, tokens/s and goodput; send for {need} s or longer."
)


class Users(NamedTuple):
    """Those of a closed loop, and how far apart the numbers are of what they begin in turn."""

    number: int
    apart: int


def counted(rows: Rows, users: Users | None) -> tuple[Mask, float, tuple[str, ...]]:
    """Which rows throughput counts, shape (n,), the seconds that belong to them, and why if none.

    `rows` are of one target, `users` those of a closed loop; None for any other.
    """
    ended = ~np.isnan(rows["end_s"] - rows["start_s"]) & (rows["error"] != _CANCELLED)
    if not ended.any():
        return ended, 0.0, ()
    if users is not None:
        return ended, _cycle(rows, ended, users), ()
    return _while_sending(rows, ended)


def rate_interval(rows: Rows, weights: Floats, seconds: float, *, closed: bool) -> Interval | None:
    """The 95 % interval of the sum of `weights`, shape (n,), of counted `rows`, per second.

    `rows` are in the order of time. In an open loop, by how answers came over equally long
    stretches of time. In a closed one a user's rate is one over the time of an answer (renewals;
    Cox 1962), so by those times, with the variance of a ratio. None for fewer than
    `FEWEST_STEADY`.
    """
    n, total = len(weights), float(weights.sum())
    if n < FEWEST_STEADY or total <= 0 or seconds <= 0:
        return None
    if closed:
        took = rows["end_s"] - rows["start_s"]
        off = weights / weights.mean() - took / took.mean()
        half = Z95 * float(off.std()) / math.sqrt(effective_number(off)) * total
    else:
        ends = rows["end_s"]
        at = (ends - ends.max() + seconds) / seconds * STRETCHES
        which = np.minimum(at.astype(int), STRETCHES - 1)
        cells = np.bincount(which, weights, STRETCHES).astype(np.float64)
        half = Z95 * spread_of_total(cells)
    return max(0.0, total - half) / seconds, (total + half) / seconds


def _cycle(rows: Rows, ended: Mask, users: Users) -> float:
    """Seconds of a closed loop: a user's mean time from its first call to the end of its last.

    Answers of several users often come at once, so a window of time would begin in the middle
    of such a burst or before it, and count too many or too few.
    """
    numbers = rows["request"][ended] // users.apart % users.number
    known, which = np.unique(numbers, return_inverse=True)
    first, last = np.full(len(known), np.inf), np.zeros(len(known))
    np.minimum.at(first, which, rows["start_s"][ended])
    np.maximum.at(last, which, rows["end_s"][ended])
    return float((last - first).sum()) / len(known)


def _while_sending(rows: Rows, ended: Mask) -> tuple[Mask, float, tuple[str, ...]]:
    """Answers of an open loop that came while it still sent, and the time that they took.

    The tail, when nothing new is sent, would dilute the rate; so would the beginning, when most
    answers can't be there yet. The first answer of the window only says when it begins.
    """
    starts, ends = rows["start_s"], rows["end_s"]
    first, last = starts[ended].min(), starts[ended].max()
    usual = np.quantile((ends - starts)[ended], 0.9)
    if usual > (last - first) / 2 and not _is_steady(ends[ended], first, last):
        span, need = rounded(last - first), rounded(math.ceil(2 * usual))
        why = (say(TOO_LONG, usual=rounded(usual), span=span, need=need),) if last > first else ()
        return np.zeros_like(ended), 0.0, why
    good = ended & (rows["error"] == 0)
    if missing := _about_missing(starts[good], (ends - starts)[good], float(usual), last - first):
        return np.zeros_like(ended), 0.0, missing
    inside = ended & (ends >= first + min(usual, (last - first) / 2)) & (ends <= last)
    if not inside.any():
        return inside, 0.0, ()
    begin, end = ends[inside].min(), ends[inside].max()
    return inside & (ends > begin), float(end - begin), ()


def _about_missing(starts: Floats, took: Floats, usual: float, span: float) -> tuple[str, ...]:
    """Why a rate would lack answers that took much longer than is usual; shapes (n,), seconds.

    One that takes t can only come in the last `span` - t of the seconds in which calls were sent.
    Where a queue makes answers late, the later the longer, its server did all that it can do.
    """
    skipped = min(usual, span / 2)
    if not len(took) or span <= skipped:
        return ()
    beyond = np.maximum(took - skipped, 0.0)
    missing = float(np.minimum(beyond / (span - skipped), 1.0).mean())
    if missing <= max(MISSING, 1 / math.sqrt(len(took))):
        return ()
    if (rank_correlation(starts, took) or 0.0) > RISES:
        return ()
    need = max(2 * usual, usual + float(np.maximum(took - usual, 0.0).mean()) / MISSING)
    return (say(SOME_TOO_LONG, span=rounded(span), share=percent(missing),
                need=rounded(math.ceil(need))),)  # fmt: skip


def _is_steady(ends: Floats, first: float, last: float) -> bool:
    """Whether answers came evenly until `last`, as from a server that soon has a queue.

    The mean of n moments that lie evenly is the middle, but for (last - first) / sqrt(12 n)
    (Laplace's test of trend; Cox and Lewis 1966); where answers are only beginning to come, it is
    later.
    """
    begin = first + (last - first) / 10
    came = ends[(ends >= begin) & (ends <= last)]
    if len(came) < FEWEST_STEADY or last <= begin:
        return False
    late = (came.mean() - begin) / (last - begin) - 0.5
    return bool(late <= 2 / math.sqrt(12 * len(came)))
