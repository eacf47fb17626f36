"""What one endpoint speaks: where it is, what is sent there, and what reads its answers."""

from collections.abc import Callable, Mapping, Sequence
from types import MappingProxyType
from typing import TYPE_CHECKING, Any, Final, NamedTuple, TypeVar

import msgspec

from holymon.errors import OK
from holymon.plan.requests import Message
from holymon.protocols.lenient import read
from holymon.protocols.sse import Event
from holymon.records.attempt import Flag, Marks

if TYPE_CHECKING:
    from holymon.protocols.reading import Reading

T = TypeVar("T")

NOT_MINE: Final = -1
"""What a dialect says of an event that is none of its own."""


class Dialect(NamedTuple):
    """What one endpoint speaks."""

    path: str
    """Behind the base_url, with its slash."""

    body: Callable[[str, Sequence[Message], int | None, bool], dict[str, Any]]
    """A request by model, messages, most tokens, and whether it is to be streamed."""

    event: Callable[["Reading", float, Event], int]
    """How many tokens (0 or 1) an event brought, or NOT_MINE; raises what `lenient.read` does."""

    answer: Callable[[bytes, Marks], tuple[str, str, str]]
    """Error type, message and text of a 200 in one piece; fills in the marks' counts."""

    quick: Callable[["Reading", float, Event], bool] | None = None
    """Whether an event was a piece of text and nothing else, now noted: what nearly all are."""

    headers: Mapping[str, str] = MappingProxyType({})
    """What each request must say besides."""

    key_header: bytes = b"authorization: Bearer "
    """What stands before the key."""


def decoded(marks: Marks, data: bytes, decoder: msgspec.json.Decoder[T]) -> T:
    """An event as the decoder's type, flagged if that took leniency; raises as `lenient.read`."""
    value, odd = read(data, decoder)
    marks.flags |= Flag.LENIENT if odd else 0
    return value


def began(marks: Marks, now: float) -> None:
    """Note the first event of an answer."""
    if marks.chunk != marks.chunk:
        marks.chunk = now


def noted(
    reading: "Reading", now: float, text: str, *, thought: bool, acted: bool, choice: int = 0
) -> int:
    """Note what an event brought: its text, some thought, a deed. Tokens (0 or 1)."""
    if text:
        if reading.marks.content != reading.marks.content:
            reading.marks.content = now
        reading.keep(text, choice)
    reading.acted |= acted
    return int(bool(text or thought or acted))


def whole(marks: Marks, text: str, *, thought: bool, acted: bool) -> tuple[str, str, str]:
    """What a good answer in one piece is; flagged where it holds neither text nor a deed."""
    if not (text or acted):
        marks.flags |= Flag.EMPTY | (Flag.THOUGHT if thought else 0)
    return OK, "", text


def not_sent(*_: object) -> dict[str, Any]:
    """No body: of a dialect that watched clients speak, and no load is sent in."""
    raise NotImplementedError
