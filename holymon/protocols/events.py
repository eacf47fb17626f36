"""One event of a stream, whatever it holds: the slow way, when it is not just a piece of text.

read_event --> the dialect's own event     tokens
--> none of the dialect's       an error, an end, a keep-alive, or skipped
--> not readable                text, JSON on several lines, or a failure
"""

from typing import TYPE_CHECKING, Any, Final

import msgspec

from holymon.protocols import stray
from holymon.protocols.dialect import NOT_MINE
from holymon.protocols.error_body import error_text, first_of, is_utf8, message_of, page_text
from holymon.protocols.lenient import parsed
from holymon.protocols.sse import STRAY, Event
from holymon.protocols.stray import Meaning
from holymon.records.attempt import Flag

if TYPE_CHECKING:
    from holymon.protocols.reading import Reading

_EMPTY: Final = frozenset({b"", b"{}", b"[]", b"null"})
_SHORT: Final = 16
_ERRORS: Final = frozenset({b"error", b"exception"})
_BEGINS: Final = {b"message_start": "/messages", b"response.created": "/responses"}
"""The first events of answers of other endpoints, by which they are known."""


def read_event(reading: "Reading", now: float, event: Event) -> int:
    """Tokens (0 or 1) in an event; whatever else it means is noted in the reading."""
    data, name = event
    if name == STRAY:
        _stray_line(reading, data)
        return 0
    if not data.isascii() and not is_utf8(data):
        _unreadable(reading, "invalid_utf8", data)
        return 0
    if len(data) < _SHORT and data.strip() in _EMPTY:
        _mean(reading, stray.of_name(name), event, None)
        return 0
    tokens = 0
    try:
        tokens = reading.dialect.event(reading, now, event)
    except (msgspec.DecodeError, RecursionError):
        # What is broken behind a wrong beginning is called a bad shape by its reader, too.
        if (value := parsed(data)) is None:
            tokens = _no_json(reading, now, event)
        else:
            _of_bad_shape(reading, event, value)
    if tokens == NOT_MINE:
        value, tokens = parsed(data), 0
        _mean(reading, _meaning(reading, value, name), event, value)
    if name in _ERRORS and not reading.error:  # whatever it holds
        reading.fail("stream_error_event", error_text(data, reading.marks))
    return tokens


def _meaning(reading: "Reading", value: Any, name: bytes) -> Meaning:
    meaning = stray.of_json(value, strict=reading.lenient)
    return meaning if meaning in {Meaning.ERROR, Meaning.END} else _named(name, meaning)


def _named(name: bytes, meaning: Meaning) -> Meaning:
    """What an event means whose name may say more than its data."""
    by_name = stray.of_name(name)
    return meaning if by_name is Meaning.UNKNOWN else by_name


def _mean(reading: "Reading", meaning: Meaning, event: Event, value: Any) -> None:
    """Note what an event that brought nothing of an answer means."""
    marks = reading.marks
    if meaning is Meaning.ERROR:
        words = message_of(value, marks) if value is not None else ""
        reading.fail("stream_error_event", words)
    elif meaning is Meaning.END:
        reading.done = True
    elif event.data.strip() in _EMPTY or meaning is Meaning.ALIVE:
        if meaning is not Meaning.KNOWN:
            marks.flags |= Flag.KEEP_ALIVE
    elif meaning is Meaning.UNKNOWN:
        reading.skip(event.data)
    elif (place := _BEGINS.get(event.name, "")) and place != reading.dialect.path:
        reading.words = reading.words or f"it answers as {place} does, not {reading.dialect.path}"


def _of_bad_shape(reading: "Reading", event: Event, value: Any) -> None:
    """JSON that is nothing the dialect could read."""
    meaning = _meaning(reading, value, event.name)
    if meaning is Meaning.KNOWN and stray.keeps_alive(event.name):
        return
    if isinstance(value, dict) or meaning in {Meaning.ERROR, Meaning.END, Meaning.ALIVE}:
        known = Meaning.UNKNOWN if meaning is Meaning.KNOWN else meaning
        _mean(reading, known, event, value)
    else:
        _unreadable(reading, "invalid_schema", event.data)


def _no_json(reading: "Reading", now: float, event: Event) -> int:
    """Bare text, or several events that lack the empty line between them."""
    lines = event.data.split(b"\n")
    if len(lines) > 1 and all(map(_is_event, lines)):
        reading.marks.flags |= Flag.LENIENT
        return sum(read_event(reading, now, Event(line, event.name)) for line in lines)
    meaning = stray.of_text(event.data.decode())
    if stray.of_name(event.name) is Meaning.ERROR or (
        meaning is Meaning.ERROR and not reading.finished
    ):
        reading.fail("stream_error_event", page_text(event.data))
    elif meaning in {Meaning.END, Meaning.ALIVE} or stray.keeps_alive(event.name):
        _mean(reading, _named(event.name, meaning), event, None)
    else:
        _unreadable(reading, "invalid_json", event.data)
    return 0


def after_the_last(reading: "Reading", event: Event) -> None:
    """Note an event behind the last one, which may take back what was answered."""
    if event.data.strip() == b"[DONE]":
        return
    reading.marks.flags |= Flag.AFTER_DONE
    if stray.of_json(parsed(event.data), strict=True) is Meaning.ERROR:
        reading.fail("stream_error_event", error_text(event.data, reading.marks))


def is_whole(event: Event) -> bool:
    """Whether an event without its end is one all the same."""
    data = event.data.strip()
    if _is_event(data):
        return True
    return data[:1] not in {b"{", b"[", b'"'} and bool(data or event.name)


def _is_event(line: bytes) -> bool:
    return line.strip() == b"[DONE]" or parsed(line) is not None


def _stray_line(reading: "Reading", line: bytes) -> None:
    """A line outside of any event: often all that is left of a server's error."""
    meaning = stray.of_text(line.decode("utf-8", "replace"))
    if meaning is Meaning.ERROR and line[:1] != b"<" and not reading.finished:
        reading.fail("stream_error_event", page_text(line))
    elif meaning in {Meaning.ERROR, Meaning.UNKNOWN}:
        reading.words = reading.words or page_text(line)


def _unreadable(reading: "Reading", error: str, data: bytes) -> None:
    """Part of the answer may be lost; behind its end nothing of it can be."""
    if reading.finished:
        reading.skip(data)
    else:
        reading.fail(error, first_of(data))
