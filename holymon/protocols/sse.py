"""Server-sent events from bytes, however the bytes were cut: no I/O, no clock, no JSON.

Follows the WHATWG HTML standard, section "Interpreting an event stream": lines end with LF, CR
or CRLF and with nothing else (U+2028 is text), one leading byte order mark is dropped, `data`
lines of an event are joined by LF, an empty line ends the event, a line that begins with a
colon is a comment. What differs on purpose: events stay bytes (whoever reads them decodes them,
and sees what is not UTF-8); `close()` hands out an event that lacks its empty line, because servers
do end with a bare `data: [DONE]`; one that has a name and no data is handed out; and lines that are
no field are events of their own, because servers put their errors there: `error: {...}`
(llama.cpp), bare JSON on one line or several, bare text (under the name `STRAY`).
"""

import re
from typing import Final, NamedTuple

from holymon.errors import HolymonError

MAX_EVENT: Final = 16 * 1024 * 1024

STRAY: Final = b"\0stray"
"""The name of events that are a line of text which is no field: no server can send it."""

_OPENS: Final = frozenset({b"{", b"["})
_CLOSES: Final = frozenset({b"}", b"]"})
# One that is not closed reaches to the end of its line: or it would be tried from each quote in it.
_STRING: Final = re.compile(rb'(?s)"(?:[^"\\]|\\.)*+(?:"|\\?\Z)')
_FIELD: Final = re.compile(rb"[A-Za-z][A-Za-z0-9_-]*")


class EventTooLarge(HolymonError):  # noqa: N818 - named like the error type it becomes
    """One event, or one line without an end, is over the limit."""


class Event(NamedTuple):
    """One event: its `data` and its name (`b""` stands for the default, "message")."""

    data: bytes
    name: bytes = b""


class Decoder:
    """Turns received chunks into events; holds at most `max_event` bytes of an unfinished one."""

    __slots__ = (
        "_after_cr",
        "_data",
        "_depth",
        "_held",
        "_max",
        "_name",
        "_open",
        "_rest",
        "_start",
        "glued",
    )

    def __init__(self, max_event: int = MAX_EVENT) -> None:
        """Expect the beginning of a stream."""
        self._max = max_event
        self._rest: list[bytes] = []  # pieces of a line whose end has not come yet
        self._open = 0  # bytes in them
        self._data: list[bytes] = []
        self._depth = 0  # brackets that are open in JSON on several lines that are no fields
        self._held = 0  # bytes of the event's lines so far
        self._name = b""
        self._start = True
        self._after_cr = False
        self.glued = False
        """Whether events came without the empty line between them."""

    def feed(self, chunk: bytes) -> list[Event]:
        """The events that `chunk` completes. Raises EventTooLarge."""
        if self._start and not (chunk := self._without_mark(chunk)):
            return []
        idle = not (self._rest or self._held or self._name or self._data or self._after_cr)
        if len(chunk) > self._max:
            return self._read(chunk)
        if idle and (simple := _simple(chunk)):
            return simple
        # Of a large stream a piece may end anywhere: between two torn events all others are plain.
        begin = 0 if idle else chunk.find(b"\n\n") + 2
        end = chunk.rfind(b"\n\n") + 2
        middle = chunk[begin:end] if begin != 1 else b""
        if len(middle) < len(chunk) and (simple := _simple(middle)):
            return [*self._read(chunk[:begin]), *simple, *self._read(chunk[end:])]
        return self._read(chunk)

    def _read(self, chunk: bytes) -> list[Event]:
        """The events that `chunk` completes, found line by line."""
        if self._after_cr and chunk:
            # The CR at the end of the last chunk already ended its line: LF belongs to it.
            self._after_cr = False
            chunk = chunk[1:] if chunk[:1] == b"\n" else chunk
        if chunk.find(b"\r") >= 0:  # half the time that `in` takes
            self._after_cr = chunk.endswith(b"\r")
            chunk = chunk.replace(b"\r\n", b"\n").replace(b"\r", b"\n")
        # Only a long chunk, or one that goes on with a long event, can hold too long a line.
        most = self._max if self._open + self._held + len(chunk) > self._max else 0
        lines = chunk.split(b"\n")
        if self._rest and len(lines) > 1:
            self._rest.append(lines[0])
            lines[0] = b"".join(self._rest)
            self._rest = []
            self._open = 0
        tail = lines.pop()
        events = self._lines(lines, most) if lines else []
        if tail:
            self._rest.append(tail)
            self._open += len(tail)
        if most and self._open + self._held > most:
            raise EventTooLarge(f"an event is over {most} bytes")
        return events

    def close(self) -> list[Event]:
        """The event that was still open when the stream ended, if it had any data."""
        self._start = False
        lines = [b"".join(self._rest), b""] if self._rest else [b""]
        self._rest = []
        self._open = 0
        return self._lines(lines, 0)

    def _without_mark(self, chunk: bytes) -> bytes:
        head = b"".join(self._rest) + chunk
        if len(head) < 3 and b"\xef\xbb\xbf".startswith(head):
            self._rest = [head] if head else []
            return b""
        self._rest = []
        self._start = False
        return head[3:] if head.startswith(b"\xef\xbb\xbf") else head

    def _lines(self, lines: list[bytes], most: int) -> list[Event]:
        events: list[Event] = []
        data = self._data
        for line in lines:
            if most and self._held + len(line) > most:
                raise EventTooLarge(f"an event is over {most} bytes")
            if not line:
                if data or self._name:
                    joined = data[0] if len(data) == 1 else b"\n".join(data)
                    events.append(Event(joined, self._name))
                    data.clear()
                    self._name = b""
                    self._held = self._depth = 0
            elif line.startswith(b"data:"):
                if data and data[0][:1] in _OPENS:
                    self._unglue(line, events)
                data.append(line[6:] if line[5:6] == b" " else line[5:])
                self._held += len(line)
            elif line.startswith(b"event:"):
                self._name = line[6:].removeprefix(b" ")
            elif line == b"data":
                data.append(b"")
                self._held += len(line)
            elif line == b"event":
                self._name = b""
            elif not line.startswith((b":", b"id", b"retry")):
                self._stray(line, events)
            # Comments, `id`, `retry` and fields of other names mean nothing here.
        return events

    def _unglue(self, line: bytes, events: list[Event]) -> None:
        """Two objects on two lines are no one JSON: some servers leave out the line between."""
        ends = self._data[-1][-1:] == b"}" and line[5:].lstrip()[:1] in _OPENS
        if ends or self._depth:
            events.append(Event(b"\n".join(self._data), self._name))
            self._data.clear()
            self._depth = 0
            self.glued = True

    def _nest(self, line: bytes, events: list[Event]) -> None:
        """A line of JSON on several lines, which ends with the line that closes its brackets."""
        bare = _STRING.sub(b"", line)
        opened, closed = (sum(map(bare.count, those)) for those in (_OPENS, _CLOSES))
        self._depth += opened - closed
        self._data.append(line)
        self._held += len(line)
        if self._depth <= 0:
            events.append(Event(b"\n".join(self._data)))
            self._data.clear()
            self._held = self._depth = 0

    def _stray(self, line: bytes, events: list[Event]) -> None:
        """Read a line that is no field of the standard, but may be meant as something."""
        if self._depth or (line[:1] in _OPENS and not self._data):
            self._nest(line, events)
            return
        name, colon, value = line.partition(b":")
        name, line = name.strip(), line.strip()
        if colon and name.lower() in {b"data", b"event"}:
            if name.lower() == b"data":
                self._data.append(value.strip())
            else:
                self._name = value.strip()
        elif colon and name.lower().endswith((b"error", b"exception")) and _FIELD.fullmatch(name):
            events.append(Event(value.strip(), b"error"))
        elif line[:1] in _OPENS:
            events.append(Event(line))
        elif line and not (colon and _FIELD.fullmatch(name)):
            events.append(Event(line, STRAY))


def _simple(chunk: bytes) -> list[Event]:
    """The events of a chunk that is nothing but whole events of one `data: ` line each, else none.

    It is what nearly all servers send; found by a few searches instead of a look at every line.
    """
    if not (chunk.startswith(b"data: ") and chunk.endswith(b"\n\n")) or chunk.find(b"\r") >= 0:
        return []
    if chunk.find(b"\n") == len(chunk) - 2:
        return [Event(chunk[6:-2])]
    pieces = chunk[6:-2].split(b"\n\ndata: ")
    return [Event(data) for data in pieces] if chunk.count(b"\n") == 2 * len(pieces) else []
