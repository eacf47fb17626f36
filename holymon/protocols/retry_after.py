"""How long a server asks to wait before the next attempt, by its headers."""

import math
from email.utils import parsedate_to_datetime


def retry_after(wait_or_moment: str, date: str, milliseconds: str = "") -> float:
    """Seconds that a server asks to wait, NaN if it asks for nothing that makes sense.

    `wait_or_moment` and `date` are its headers Retry-After and Date, `milliseconds` is its
    retry-after-ms. A moment is compared with the server's own clock: ours may be wrong.
    """
    for text, scale in ((milliseconds, 1e-3), (wait_or_moment, 1.0)):
        try:
            wait = float(text or "nan") * scale
        except ValueError:
            wait = _until(text, date)
        if 0 <= wait < 1e9:
            return wait
    return math.nan


def _until(moment: str, date: str) -> float:
    try:
        return (parsedate_to_datetime(moment) - parsedate_to_datetime(date)).total_seconds()
    except (ValueError, TypeError, OverflowError, IndexError):
        return math.nan
