"""How long a server asks to wait before the next attempt, by its headers or in its error."""

import math
import re
from contextlib import suppress
from itertools import islice
from typing import Any, Final

from holymon.protocols.rate_limits import seconds_of

_DELAY: Final = re.compile(r"(\d{1,9}(?:\.\d{1,9})?)s")
_WORDS: Final = re.compile(
    r"(?i)\b(?:try again|retry) (?:in|after) "
    r"((?:\d{1,6}(?:\.\d{1,9})? ?(?:ms|millisec|sec|s|min|m|hour|h)[a-z]{0,7}[ ,]{0,2}){1,4})"
)
_PART: Final = re.compile(r"(?i)(\d+(?:\.\d+)?) ?(ms|mil|s|m|h)")
_UNITS: Final = {"ms": 1e-3, "mil": 1e-3, "s": 1.0, "m": 60.0, "h": 3600.0}
_LONGEST: Final = 100
_MOST_DETAILS: Final = 20


def retry_after(wait_or_moment: str, date: str, milliseconds: str = "") -> float:
    """Seconds that a server asks to wait, NaN if it asks for nothing that makes sense.

    `wait_or_moment` and `date` are its headers Retry-After and Date, `milliseconds` is its
    retry-after-ms. It may be a span such as 1m30s, and a moment in seconds since 1970. A moment is
    compared with the server's own clock: ours may be wrong.
    """
    with suppress(ValueError):
        if 0 <= (wait := float(milliseconds) / 1e3) < 1e9:
            return wait
    seconds = seconds_of(wait_or_moment.strip()[:_LONGEST], date)
    if 0 <= seconds < 1e9:
        return seconds
    return math.nan


def wait_in(words: str) -> float:
    """Seconds that an error's words ask to wait, as in "Please retry after 33 seconds"; else NaN.

    OpenAI's and Azure's limits are behind proxies that drop their headers; Gemini sends none.
    """
    if known := _WORDS.search(words):
        return sum(float(n) * _UNITS[unit.lower()] for n, unit in _PART.findall(known[1]))
    return math.nan


def retry_delay(error: Any) -> float:
    """Seconds that a `google.rpc.RetryInfo` among an error's details asks to wait; NaN for none.

    Gemini and Vertex AI send no header. Source: https://google.aip.dev/193.
    """
    details = error.get("details") if isinstance(error, dict) else None
    for detail in islice(details if isinstance(details, list) else (), _MOST_DETAILS):
        delay = detail.get("retryDelay") if isinstance(detail, dict) else None
        if isinstance(delay, str) and (known := _DELAY.fullmatch(delay)):
            return float(known[1])
    return math.nan
