"""What the body of an answer is, by how it begins: content types are wrong too often."""

import re
from enum import Enum
from typing import Final

MOST: Final = 2**16
"""Bytes of white space, at most, before a body begins."""

_FIELDS: Final = (b"data:", b"event:", b"id:", b"retry:", b"error:", b":")
_EVENTS: Final = re.compile(rb"(?i):|(?:data|event|id|retry|error)[ \t]?:")


class Body(Enum):
    """What a body is."""

    UNKNOWN = 0  # too little of it has come
    EVENTS = 1
    JSON = 2
    PAGE = 3
    TEXT = 4


def kind_of(body: bytes, *, declared: bool) -> Body:
    """What a body that begins like this is; `declared` if its content type says that of events."""
    start = body[:MOST].lstrip(b"\xef\xbb\xbf \t\r\n")[:16]
    if not start:
        return Body.UNKNOWN if len(body) < MOST else Body.EVENTS if declared else Body.TEXT
    if start[:1] == b"<":
        return Body.PAGE
    if start[:1] in b"{[":
        return Body.JSON
    if declared or _EVENTS.match(start):
        return Body.EVENTS
    low = start.lower().removesuffix(b" ").removesuffix(b"\t")
    return Body.UNKNOWN if any(field.startswith(low) for field in _FIELDS) else Body.TEXT
