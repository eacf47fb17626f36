"""Dates as people's programs write them, such as 2/25/2025, 9:19:25.391 AM: a column at once.

Whether the month or the day stands first is written nowhere, so all dates of a column decide: a
number above 12 is a day, and a log is in order. Where both readings keep the same distances, as
within one day, either will do, because it is distances that are played again. Between dots the day
stands first, in all of CLDR's patterns (https://cldr.unicode.org), and a year of four digits that
stands first is followed by its month.
"""

import re
from collections.abc import Sequence
from datetime import UTC, datetime, timedelta
from itertools import pairwise
from typing import Final

from holymon.errors import PlanError

_DAY: Final = (
    r"((?P<first>\d{4})(?P<gap>[/.-])\s?(?P<month>\d{1,2})(?P=gap)\s?(?P<day>\d{1,2})\.?"
    r"|(?P<one>\d{1,2})(?P<mark>[/.-])\s?(?P<two>\d{1,2})(?P=mark)\s?(?P<year>\d{4}|\d\d))"
)
_TIME: Final = (
    r"((?P<before>上午|下午|오전|오후)\s?)?"
    r"(?P<hour>\d{1,2}):(?P<minute>\d\d)(:(?P<second>\d\d)([.,](?P<part>\d{1,9}))?)?"
    r"(\s*((?P<half>[ap])\.?\s?m\.?|(?P<after>sa|ch)))?"
)
_ZONE: Final = r"(\s*(Z|UTC|GMT|(?P<sign>[+-])(?P<hours>\d\d):?(?P<minutes>[0-5]\d)))?"
_DATE: Final = re.compile(rf"{_DAY},?\s+{_TIME}{_ZONE}", re.IGNORECASE | re.ASCII)
_TIME_FIRST: Final = re.compile(rf"{_TIME},?\s+{_DAY}{_ZONE}", re.IGNORECASE | re.ASCII)
"""As Vietnamese has it."""

_HALVES: Final = {"上午": "a", "오전": "a", "sa": "a", "下午": "p", "오후": "p", "ch": "p"}
_MARKS: Final = str.maketrans("\u202f\u00a0", "  ", "\u200e\u200f")
"""Browsers put blanks between a time and its AM that are none of ASCII's, some also directions."""

_MEND: Final = "write them like 2026-01-31T08:00:00Z"

Dates = list[re.Match[str]]
Moments = list[datetime] | None


def as_iso(cells: Sequence[str]) -> list[str]:
    """The dates of a column in the form of ISO 8601, in UTC where they name no zone.

    Columns of anything else come back as they are. Raises PlanError where both readings are good.
    """
    if cells and _is_iso(cells[0]):
        return list(cells)
    matches = [_match(cell) for cell in cells]
    dates = [match for match in matches if match is not None]
    if not dates or len(dates) < len(cells):
        return list(cells)
    by_month, by_day = _moments(dates, "one", "two"), _moments(dates, "two", "one")
    chosen = _chosen(by_month, by_day, dates)
    if chosen is not None:
        return [moment.isoformat() for moment in chosen]
    if by_month is None:
        raise PlanError(_none_of(dates))
    raise PlanError(
        f"whether the month or the day stands first in {cells[0].strip()} is told neither by a "
        f"number above 12 nor by the order of its dates: {_MEND}"
    )


def _is_iso(text: str) -> bool:
    try:
        datetime.fromisoformat(text.strip())
    except ValueError:
        return False
    return True


def _match(text: str) -> re.Match[str] | None:
    plain = text.strip().translate(_MARKS)
    return _DATE.fullmatch(plain) or _TIME_FIRST.fullmatch(plain)


def _chosen(by_month: Moments, by_day: Moments, dates: Dates) -> Moments:
    """The reading that is the only good one, or alone in order, or as far apart as the other."""
    if by_month is None or by_day is None:
        return by_month or by_day
    if all(date["mark"] == "." for date in dates):
        return by_day
    ordered = [moments for moments in (by_month, by_day) if _in_order(moments)]
    if len(ordered) == 1:
        return ordered[0]
    return by_month if _distances(by_month) == _distances(by_day) else None


def _none_of(dates: Dates) -> str:
    """Why no reading is good: of one date, or of all together."""
    alone = (
        date[0]
        for date in dates
        if _moments([date], "one", "two") is None and _moments([date], "two", "one") is None
    )
    if bad := next(alone, ""):
        return f"no way to read all of its dates, of which {bad} is none: {_MEND}"
    return f"no way to read all of its dates, neither the month first nor the day: {_MEND}"


def _moments(dates: Dates, month: str, day: str) -> Moments:
    try:
        return [_moment(date, date[month], date[day]) for date in dates]
    except (ValueError, OverflowError):
        return None


def _moment(date: re.Match[str], month: str, day: str) -> datetime:
    """Raise ValueError for a day or an hour that there is none, OverflowError for its year."""
    year = int(date["year"] or date["first"])
    hour, micros = int(date["hour"]), int((date["part"] or "0")[:6].ljust(6, "0"))
    half = (
        date["half"] or _HALVES.get((date["before"] or date["after"] or "").lower(), "")
    ).lower()
    if half:
        if not 1 <= hour <= 12:
            raise ValueError(hour)
        hour = hour % 12 + 12 * (half == "p")
    ahead = timedelta(hours=int(date["hours"] or 0), minutes=int(date["minutes"] or 0))
    moment = datetime(
        year + 2000 * (year < 100), int(date["month"] or month), int(date["day"] or day), hour,
        int(date["minute"]), int(date["second"] or 0), micros, tzinfo=UTC,
    )  # fmt: skip
    return moment + ahead if date["sign"] == "-" else moment - ahead


def _in_order(moments: list[datetime]) -> bool:
    """Whether they only rise, or, as portals list them, only fall."""
    steps = list(pairwise(moments))
    return all(a <= b for a, b in steps) or all(a >= b for a, b in steps)


def _distances(moments: list[datetime]) -> list[float]:
    return [(moment - moments[0]).total_seconds() for moment in moments]
