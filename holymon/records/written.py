"""Numbers, money and days as people and bills write them: `1,234`, `1.234,50 €`, 1730419200."""

import re
from collections.abc import Iterable
from datetime import UTC, datetime, tzinfo
from typing import Any, Final

MOST: Final = 10**15
_SIMPLE: Final = re.compile(r"-?\d{1,15}(\.\d{1,15})?")
"""As machines write them: of a million rows the rest is looked at only where there is more."""

_BETWEEN: Final = re.compile(r"(?<=\d)['\u2019\u00a0\u202f\u2009 _](?=\d)")
_NUMBER: Final = re.compile(r"([-+]?)(\d[\d.,]*|[.,]\d+)(e[-+]?\d{1,3})?", re.IGNORECASE)
_SIGNS: Final = {"US$": "USD", "$": "USD", "€": "EUR", "£": "GBP", "₫": "VND", "₹": "INR"}
_CODE: Final = re.compile(r"[A-Za-z]{3}")
_DOTTED: Final = re.compile(r"(\d{1,2})\.(\d{1,2})\.(\d{4})(?!\d)", re.ASCII)
_SLASHED: Final = re.compile(r"(\d{1,2})/(\d{1,2})/(\d{4})(?!\d)", re.ASCII)
_DAY_WORDS: Final = ("%b %d, %Y", "%B %d, %Y", "%d %b %Y", "%d %B %Y")


def tokens(value: Any) -> int:
    """How many of something. Raises ValueError saying why it is no whole number."""
    if isinstance(value, str) and value.isascii() and value.isdigit() and len(value) < 16:
        return int(value)
    number = _plain(value, whole=True)
    if number != int(number) or not 0 <= number <= MOST:
        raise ValueError("is no number of tokens or calls")
    return int(number)


def money(value: Any) -> tuple[float, str]:
    """An amount, and the code of its currency, empty if it has none. Raises ValueError."""
    if isinstance(value, str) and _SIMPLE.fullmatch(value):
        return float(value), ""
    text, currency = str(value).strip() if isinstance(value, str) else value, ""
    if isinstance(text, str):
        for sign, code in _SIGNS.items():
            if sign in text:
                text, currency = text.replace(sign, "", 1).strip(), code
                break
        else:
            codes = [text[:3], text[-3:]] if len(text) > 3 else []
            known = next((code for code in codes if _CODE.fullmatch(code)), "")
            text, currency = text.replace(known, "", 1).strip() if known else text, known.upper()
    return _plain(text, whole=False), currency


def _plain(value: Any, *, whole: bool) -> float:
    if isinstance(value, bool) or value is None:
        raise ValueError("is no number")
    number = float(value) if isinstance(value, int | float) else _of_text(str(value), whole)
    if not -MOST <= number <= MOST:  # neither is NaN
        raise ValueError("is no number that a bill can hold")
    return number


def _of_text(text: str, whole: bool) -> float:
    text = text.strip().replace("\u2212", "-")
    negative = text.startswith("(") and text.endswith(")")
    known = _NUMBER.fullmatch(_BETWEEN.sub("", text[1:-1] if negative else text))
    if known is None:
        raise ValueError("is no number")
    sign, digits, power = known.groups()
    number = float(f"{sign}{_pointed(digits, whole)}{power or ''}")
    return -number if negative else number


def _pointed(digits: str, whole: bool) -> str:
    """The digits with a decimal point and nothing between thousands. Raises ValueError."""
    marks = [mark for mark in ".," if mark in digits]
    if not marks:
        return digits
    last = max(marks, key=digits.rfind)
    head, _, tail = digits.rpartition(last)
    if len(marks) == 2:
        return f"{_grouped(head, marks[0] if last == marks[1] else marks[1])}.{tail}"
    groups = len(tail) == 3 and bool(head) and head != "0"
    if digits.count(last) > 1:
        return _grouped(digits, last)
    if groups and (whole or last == ",") and len(head) <= 3:
        if not whole or (last == "." and tail == "000"):
            raise ValueError("may be thousands or a fraction: write it without a comma or point")
        return head + tail
    return f"{head}.{tail}"


def _grouped(digits: str, mark: str) -> str:
    if not re.fullmatch(rf"\d{{1,3}}(\{mark}\d{{3}})*", digits):
        raise ValueError("has thousands that are not groups of three digits")
    return digits.replace(mark, "")


def month_first(values: Iterable[Any]) -> bool | None:
    """Whether the month is first in dates such as 11/14/2026; None if no number above 12 tells."""
    dates = [date.groups() for value in values if (date := _SLASHED.match(str(value).strip()))]
    of_day, of_month = (any(int(date[k]) > 12 for date in dates) for k in (0, 1))
    return of_month if of_day != of_month else None


def day(value: Any, zone: tzinfo = UTC, month_first: bool | None = None) -> str:
    """The day of a moment, as 2026-01-31, in `zone`; a date, or a time without a zone, is in it.

    Numbers are seconds or milliseconds since 1970, or such as 20260131; of 11/14/2026 it must be
    known whether the month stands first. Raises ValueError.
    """
    if month_first is not None and (date := _SLASHED.match(text := str(value).strip())):
        first, second, year = date.groups()
        month, of_month = (first, second) if month_first else (second, first)
        value = f"{year}-{month:0>2}-{of_month:0>2}{text[date.end() :]}"
    moment = _moment(value, zone)
    if not 2000 <= moment.year < 2100:
        raise ValueError("is no day of a bill")
    return moment.date().isoformat()


def _moment(value: Any, zone: tzinfo) -> datetime:
    text = str(value).strip().removesuffix(" UTC")
    utc = text != str(value).strip()
    if re.fullmatch(r"\d{9,14}(\.\d*)?", text) and not isinstance(value, bool):
        seconds = float(text)
        return datetime.fromtimestamp(seconds / 1e3 if seconds >= 1e11 else seconds, zone)
    if dotted := _DOTTED.match(text):  # whose day stands first, in all of CLDR's patterns
        text = "{2}-{1:0>2}-{0:0>2}".format(*dotted.groups()) + text[dotted.end() :]
    if re.match(r"\d{4}/", text):
        text = text.replace("/", "-", 2)
    try:
        moment = datetime.fromisoformat(text)
    except ValueError:
        moment = _in_words(text)
    if utc and moment.tzinfo is None:
        moment = moment.replace(tzinfo=UTC)
    try:
        return moment if moment.tzinfo is None else moment.astimezone(zone)
    except OverflowError:
        raise ValueError("is no day of a bill") from None


def _in_words(text: str) -> datetime:
    for form in _DAY_WORDS:
        try:
            return datetime.strptime(text, form)  # noqa: DTZ007 - a day has no zone
        except ValueError:
            continue
    raise ValueError("is no day: write it like 2026-01-31")
