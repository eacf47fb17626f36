"""What the entries of files have in common: values that may be JSON in text, and whole numbers."""

import re
from collections.abc import Mapping
from typing import Any, Final

import msgspec

from holymon.plan.requests import MOST_TOKENS

_GROUPED: Final = re.compile(r"\d{1,3}(?:,\d{3}){1,3}", re.ASCII)


class Unfit(Exception):  # noqa: N818 - no error: what is no request is left out
    """An entry that is no request, though nothing is wrong with it: why it is left out."""


def parsed(value: Any) -> Any:
    """A value, or what it says in JSON: cells and logs hold JSON as text."""
    if isinstance(value, str) and value.lstrip()[:1] in ("{", "[", '"'):
        try:
            return msgspec.json.decode(value)
        except (msgspec.MsgspecError, RecursionError, UnicodeError):
            return value
    return value


def whole(entry: Mapping[str, Any], *names: str) -> int | None:
    """The first of these fields that is a number of tokens; None if none is."""
    for name in names:
        value: Any = entry.get(name)
        if isinstance(value, str) and _GROUPED.fullmatch(value):  # as spreadsheets show it
            value = value.replace(",", "")
        if isinstance(value, str) and value.strip().removesuffix(".0").isdecimal():
            value = int(value.strip().removesuffix(".0")) if len(value) < 16 else None
        if isinstance(value, float) and value.is_integer() and abs(value) <= MOST_TOKENS:
            value = int(value)
        if isinstance(value, int) and not isinstance(value, bool) and 0 <= value <= MOST_TOKENS:
            return value
    return None
