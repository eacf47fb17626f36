"""What an event means that is no piece of an answer: an error, an end, a keep-alive, or nothing.

Pure. By what it says, for servers send all of them in any form: under names of their own, as JSON
without a known shape, as bare text.
"""

import re
from enum import Enum
from typing import Any, Final

from holymon.protocols.complaint import complaint


class Meaning(Enum):
    """What an event that brought no part of an answer says."""

    ERROR = 1
    END = 2
    ALIVE = 3
    KNOWN = 4  # bookkeeping that names what it is
    UNKNOWN = 5


FEW_WORDS: Final = 200
"""Characters, at most, of a text that only says that the stream lives, or is over."""

LONGEST: Final = 2000
"""Characters of a text that are read, for what else it says."""

_FAILS: Final = re.compile(rb"(?i)(?:error|exception|err|fail(?:ed|ure)?|fault)")
_ENDS: Final = re.compile(
    r"(?i)[\s\"'\[<(|]*(?:done|end|eos|eof|close|stop|finish(?:ed)?|completed?|(?:stream[ _-]?end|"
    r"end[ _-]of[ _-]stream))[\s\"'\]>)|.]*"
)
_ALIVE: Final = re.compile(
    r"(?i)[\W_]*+(?:[^\W_]\w*[ _])?(?:ping|pong|keep[ _-]?alive|heart[ _-]?beat|alive|connected"
    r"|opened|open|ready|started|start|begin|ok|processing|waiting|queued|pending|null|none|undefined)\b[^a-z]*"
)
_SAYS_ERROR: Final = re.compile(
    r"(?i)err(?:or|no)|exception|fail|denied|refus|invalid|unauthori|forbidden|not found|time[ds]?"
    r"[ -]?out|unavailable|overload|exceed|limit|too (?:many|large|long)|quota"
    r"|insufficient|abort|reset|closed|disconnect|unsupported|cannot|can't|unable|busy|crash|panic"
    r"|bad (?:gateway|request)"
    r"|traceback|out of memory|no such|missing|rejected"
    r"|错误|失败|超时|异常|不足|拒绝|无效|繁忙|限流|エラー|오류|lỗi"
)
_CUT_ERROR: Final = re.compile(
    r"""(?i)["'](?:error|errors|detail)["']\s*:(?!\s*(?:null|none|\{\}|\[\]))"""
)
"""In JSON that can't be read, as if it was cut or written by hand."""


def of_name(name: bytes) -> Meaning:
    """What the name of an event says alone."""
    if _FAILS.fullmatch(re.split(rb"[.:/_-]|(?<=[a-z])(?=[A-Z])", name)[-1]):
        return Meaning.ERROR
    if len(name) <= FEW_WORDS and _ENDS.fullmatch(name.decode("utf-8", "replace")):
        return Meaning.END
    return Meaning.KNOWN if name not in {b"", b"message"} else Meaning.UNKNOWN


def keeps_alive(name: bytes) -> bool:
    """Whether the name of an event alone says that it only keeps a connection open."""
    short = len(name) <= FEW_WORDS
    return short and _ALIVE.fullmatch(name.decode("utf-8", "replace")) is not None


def of_text(text: str) -> Meaning:
    """What bare text says in an event's place, as far as it is read."""
    if len(text) <= FEW_WORDS and _ENDS.fullmatch(text):
        return Meaning.END
    if len(text) <= FEW_WORDS and _ALIVE.fullmatch(text):
        return Meaning.ALIVE
    if text[:LONGEST].lstrip()[:1] in {"{", "[", '"'}:
        return Meaning.ERROR if _CUT_ERROR.search(text) else Meaning.UNKNOWN
    return Meaning.ERROR if _SAYS_ERROR.search(text[:LONGEST]) else Meaning.UNKNOWN


def of_json(value: Any, *, strict: bool) -> Meaning:
    """What JSON says that is no piece of an answer; `strict`: only what calls itself an error is.

    An object that names what it is (Azure opens with one) is bookkeeping.
    """
    if value in ({}, [], None):
        return Meaning.ALIVE
    if isinstance(value, str):
        return of_text(value)
    if complaint(value, strict=strict) is not None:
        return Meaning.ERROR
    if not isinstance(value, dict):
        return Meaning.UNKNOWN
    kinds = [value.get(name) for name in ("type", "event", "object", "status", "message")]
    for kind in kinds:
        meaning = of_text(kind) if isinstance(kind, str) and kind else Meaning.UNKNOWN
        if meaning in {Meaning.END, Meaning.ALIVE}:
            return meaning
    return Meaning.KNOWN if "object" in value or "id" in value else Meaning.UNKNOWN
