"""Dates as portals write them, such as 2/25/2025, 9:19:25.391 AM: those of a whole column at once.

Whether the month or the day stands first is written nowhere, so all dates of a column decide: a
number above 12 is a day, and a log is in order. Where both readings keep the same distances, as
within one day, either will do, because it is distances that are played again.
"""

import re
from collections.abc import Sequence
from datetime import UTC, datetime
from itertools import pairwise
from typing import Final

from holymon.errors import PlanError

_DATE: Final = re.compile(
    r"(?P<one>\d{1,2})([/.])(?P<two>\d{1,2})\2(?P<year>\d{4}),?\s+"
    r"(?P<hour>\d{1,2}):(?P<minute>\d\d)(:(?P<second>\d\d)([.,](?P<part>\d{1,9}))?)?"
    r"(\s*(?P<half>[ap])\.?\s?m\.?)?",
    re.IGNORECASE | re.ASCII,
)
_BLANKS: Final = str.maketrans("\u202f\u00a0", "  ")
"""Between a time and its AM, browsers put blanks that are none of ASCII's."""

Moments = list[datetime] | None


def as_iso(cells: Sequence[str]) -> list[str]:
    """The dates of a column in the form of ISO 8601, in UTC where they name no zone.

    Columns of anything else come back as they are. Raises PlanError where both readings are good.
    """
    matches = [_match(cell) for cell in cells]
    if not matches or any(match is None for match in matches):
        return list(cells)
    dates = [match for match in matches if match is not None]
    by_month, by_day = _moments(dates, "one", "two"), _moments(dates, "two", "one")
    chosen = _chosen(by_month, by_day)
    if chosen is not None:
        return [moment.isoformat() for moment in chosen]
    if by_month is None:
        raise PlanError(
            "no way to read all of its dates, neither the month first nor the day: write them like "
            "2026-01-31T08:00:00Z"
        )
    example = cells[0].strip()
    raise PlanError(
        f"whether the month or the day stands first in {example} is told neither by a number above "
        "12 nor by the order of its dates: write them like 2026-01-31T08:00:00Z"
    )


def _match(text: str) -> re.Match[str] | None:
    return _DATE.fullmatch(text.strip().translate(_BLANKS))


def _chosen(by_month: Moments, by_day: Moments) -> Moments:
    """The reading that is the only good one, or alone in order, or as far apart as the other."""
    if by_month is None or by_day is None:
        return by_month or by_day
    ordered = [moments for moments in (by_month, by_day) if _in_order(moments)]
    if len(ordered) == 1:
        return ordered[0]
    return by_month if _distances(by_month) == _distances(by_day) else None


def _moments(dates: list[re.Match[str]], month: str, day: str) -> Moments:
    try:
        return [_moment(date, int(date[month]), int(date[day])) for date in dates]
    except ValueError:
        return None


def _moment(date: re.Match[str], month: int, day: int) -> datetime:
    """Raise ValueError for a day that no calendar has."""
    hour, half = int(date["hour"]), (date["half"] or "").lower()
    if half:
        if not 1 <= hour <= 12:
            raise ValueError(hour)
        hour = hour % 12 + 12 * (half == "p")
    micros = int((date["part"] or "0")[:6].ljust(6, "0"))
    return datetime(
        int(date["year"]), month, day, hour, int(date["minute"]), int(date["second"] or 0), micros,
        tzinfo=UTC,
    )  # fmt: skip


def _in_order(moments: list[datetime]) -> bool:
    """Whether they only rise, or, as portals list them, only fall."""
    steps = list(pairwise(moments))
    return all(a <= b for a, b in steps) or all(a >= b for a, b in steps)


def _distances(moments: list[datetime]) -> list[float]:
    return [(moment - moments[0]).total_seconds() for moment in moments]
