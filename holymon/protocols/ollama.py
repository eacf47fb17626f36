"""Ollama's own dialect (`/api/chat`, `/api/generate`), to be understood where a client is watched.

Pure, as `chat`. Its stream is lines of JSON, which `framing` makes events of; the last says `done`,
and why, and holds the counts. An error is a line too, under the 200 with which the stream began.
Source: https://github.com/ollama/ollama/blob/main/docs/api.md and .../docs/api/errors.mdx.
"""

from typing import Any, Final

import msgspec

from holymon.protocols.complaint import reports, sole
from holymon.protocols.dialect import NOT_MINE, Dialect, began, decoded, not_sent, noted, whole
from holymon.protocols.error_body import error_text, read_body, refused
from holymon.protocols.finish import finish_of
from holymon.protocols.lenient import parsed
from holymon.protocols.reading import Reading
from holymon.protocols.sse import Event
from holymon.protocols.usage import read_usage
from holymon.protocols.written_json import called, calls_in, flags_of
from holymon.records.attempt import Marks


class _Message(msgspec.Struct):
    content: str = ""
    thinking: Any = None
    tool_calls: Any = None


class _Line(msgspec.Struct):
    """A line of a stream, or a whole answer."""

    message: _Message | None = None
    response: str | None = None
    thinking: Any = None
    done: bool | None = None
    done_reason: Any = None
    error: Any = None


_LINE: Final = msgspec.json.Decoder(_Line)


def _read(reading: Reading, now: float, event: Event) -> int:
    """Tokens (0 or 1) in one line."""
    marks = reading.marks
    line = decoded(marks, event.data, _LINE)
    if reports(line.error):
        reading.fail("stream_error_event", error_text(event.data, marks))
        return 0
    if line.done is None and line.message is None and line.response is None:
        return NOT_MINE
    began(marks, now)
    if line.done:
        reading.finished = reading.done = True
        marks.finish = finish_of(line.done_reason) or "stop"
        read_usage(sole(parsed(event.data)), marks)
    for given in _calls(line):
        called(reading, now, object(), "", given)
    return noted(reading, now, _text(line), thought=_thought(line), acted=_acted(line))


def _calls(line: _Line) -> list[Any]:
    """What each tool that is called is handed: all of it at once."""
    calls = calls_in(line.message.tool_calls if line.message else None, None)
    return [given for _, _, given in calls]


def _text(line: _Line) -> str:
    return line.response or (line.message.content if line.message else "")


def _thought(line: _Line) -> bool:
    return bool(line.thinking or (line.message and line.message.thinking))


def _acted(line: _Line) -> bool:
    return bool(line.message and line.message.tool_calls)


def _answer(body: bytes, marks: Marks) -> tuple[str, str, str]:
    """Error type, message and text of a 200 in one piece; fills in the marks' counts."""
    line, error, message = read_body(body, _LINE, marks)
    if line is None:
        return error, message, ""
    if line.done is None or reports(line.error):
        return *refused(body, marks), ""
    read_usage(sole(parsed(body)), marks)
    marks.finish = finish_of(line.done_reason) or "stop"
    marks.flags |= flags_of(_calls(line))
    return whole(marks, _text(line), thought=_thought(line), acted=_acted(line))


OLLAMA: Final = Dialect("/api/chat", not_sent, _read, _answer)
