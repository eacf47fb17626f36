"""Cohere's own dialect (`/v2/chat`), to be understood where a client is watched.

Pure, as `chat`. Each event says its type; the last one says why the answer ended, and holds the
counts. Source: https://docs.cohere.com/reference/chat-stream and .../reference/chat.
"""

from typing import Any, Final

import msgspec

from holymon.protocols.complaint import reports
from holymon.protocols.dialect import NOT_MINE, Dialect, began, decoded, not_sent, noted, whole
from holymon.protocols.error_body import read_body, refused
from holymon.protocols.finish import finish_of
from holymon.protocols.reading import Reading
from holymon.protocols.sse import Event
from holymon.protocols.usage import read_usage
from holymon.protocols.written_json import called, calls_in, flags_of
from holymon.records.attempt import Marks
from holymon.safety import short

_TYPES: Final = frozenset({
    "message-start", "content-start", "content-delta", "content-end", "tool-plan-delta",
    "tool-call-start", "tool-call-delta", "tool-call-end", "citation-start", "citation-end",
    "debug", "message-end",
})  # fmt: skip


class _End(msgspec.Struct):
    """A whole answer, or the change that an event brings to one."""

    message: Any = None
    finish_reason: Any = None
    usage: Any = None
    error: Any = None


class _Event(msgspec.Struct):
    type: str = ""
    index: Any = 0
    delta: _End | None = None


_EVENT: Final = msgspec.json.Decoder(_Event)
_ANSWER: Final = msgspec.json.Decoder(_End)


def _read(reading: Reading, now: float, event: Event) -> int:
    """Tokens (0 or 1) in one event."""
    marks = reading.marks
    about = decoded(marks, event.data, _EVENT)
    delta = about.delta or _End()
    if about.type not in _TYPES:
        return NOT_MINE
    began(marks, now)
    if about.type == "message-end":
        reading.finished = reading.done = True
        marks.finish = finish_of(delta.finish_reason) or "stop"
        read_usage(delta.usage, marks)
    if marks.finish == "error" or reports(delta.error):
        reading.fail("stream_error_event", _words(delta))
    for _, identity, given in _calls(delta.message):
        called(reading, now, about.index, identity, given)
    text, thought, acted = _output(delta.message)
    return noted(reading, now, text, thought=thought, acted=acted)


def _calls(message: Any) -> list[tuple[object, Any, Any]]:
    """The calls of tools in a message; in an event there is one, as it is."""
    given = message.get("tool_calls") if isinstance(message, dict) else None
    return calls_in([given] if isinstance(given, dict) else given, None)


def _words(end: _End) -> str:
    return short(str(end.error or f"finish_reason {end.finish_reason}"), 200)


def _output(message: Any) -> tuple[str, bool, bool]:
    """The text in (a part of) a message, whether it thinks or plans, and whether it calls tools."""
    about = message if isinstance(message, dict) else {}
    content = about.get("content")
    blocks = [block for block in (content if isinstance(content, list) else [content])
              if isinstance(block, dict)]  # fmt: skip
    texts = [block.get("text") for block in blocks]
    thought = any(block.get("thinking") for block in blocks) or bool(about.get("tool_plan"))
    text = "".join(text for text in texts if isinstance(text, str))
    return text, thought, bool(about.get("tool_calls"))


def _answer(body: bytes, marks: Marks) -> tuple[str, str, str]:
    """Error type, message and text of a 200 in one piece; fills in the marks' counts."""
    end, error, message = read_body(body, _ANSWER, marks)
    if end is None:
        return error, message, ""
    if not isinstance(end.message, dict):
        return *refused(body, marks), ""
    read_usage(end.usage, marks)
    marks.finish = finish_of(end.finish_reason)
    if marks.finish == "error":
        return "server_error", _words(end), ""
    marks.flags |= flags_of([given for _, _, given in _calls(end.message)])
    text, thought, acted = _output(end.message)
    return whole(marks, text, thought=thought, acted=acted)


COHERE: Final = Dialect("/v2/chat", not_sent, _read, _answer)
