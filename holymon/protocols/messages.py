"""Anthropic's dialect (`/v1/messages`): bytes of answers in, marks and a verdict out.

Pure, beside `chat` and used in the same way:

    StreamReader(marks).feed(now, bytes) ... .close() -> error type    for `stream: true`
    read_answer(bytes, marks) -> error type, message, text    for one JSON body

A stream is complete when a stop reason or `message_stop` was seen. `input_tokens` leaves out what
was read from or written to a cache; in marks `prompt_tokens` is all of it, as everywhere here.
"""

from typing import Any, Final

import msgspec

from holymon.errors import OK
from holymon.protocols.completion import count
from holymon.protocols.error_body import decoded, in_band, read_body, said
from holymon.protocols.reading import Reader
from holymon.protocols.sse import Event
from holymon.records.attempt import Flag, Marks

_FINISH: Final = {
    "end_turn": "stop", "stop_sequence": "stop", "max_tokens": "length",
    "tool_use": "tool_calls", "refusal": "content_filter",
}  # fmt: skip
_SAYS: Final = frozenset({"tool_use", "server_tool_use", "redacted_thinking"})
"""Blocks whose beginning already is output."""


class _Delta(msgspec.Struct):
    text: str = ""
    thinking: str = ""
    partial_json: str = ""
    stop_reason: str | None = None


class _Event(msgspec.Struct):
    type: str = ""
    delta: _Delta | None = None
    message: Any = None
    content_block: Any = None
    usage: Any = None
    error: Any = None


class _Message(msgspec.Struct):
    content: list[Any] | None = None
    stop_reason: str | None = None
    usage: Any = None
    error: Any = None


_event: Final = msgspec.json.Decoder(_Event).decode
_message: Final = msgspec.json.Decoder(_Message).decode


class StreamReader(Reader):
    """Reads one streamed answer into its marks, piece by piece."""

    __slots__ = ()

    def read(self, now: float, event: Event) -> int:
        """Whether one event brought tokens of output (0 or 1)."""
        found = decoded(event.data, _event)
        if found.type == "content_block_delta":
            return _delta(self.marks, now, found.delta or _Delta())
        if found.error or found.type == "error":
            self.fail("stream_error_event", said(event.data, self.marks))
        elif found.type == "content_block_start":
            return int(_kind(found.content_block) in _SAYS)
        else:
            _about(self, now, found)
        return 0


def _delta(marks: Marks, now: float, delta: _Delta) -> int:
    if delta.text:
        if marks.content != marks.content:
            marks.content = now
        return 1
    return 1 if delta.thinking or delta.partial_json else 0


def _about(stream: StreamReader, now: float, event: _Event) -> None:
    marks = stream.marks
    if event.type == "message_start":
        marks.chunk = now
        if isinstance(event.message, dict):
            _prompt(event.message.get("usage"), marks)
    elif event.type == "message_delta":
        _prompt(event.usage, marks)
        _output(event.usage, marks)
        if event.delta and event.delta.stop_reason:
            stream.finished = True
            marks.finish = _FINISH.get(event.delta.stop_reason, "other")
    elif event.type == "message_stop":
        stream.done = True


def read_answer(body: bytes, marks: Marks) -> tuple[str, str, str]:
    """Error type, message and text of a 200 that was not streamed; fills in the marks' counts."""
    answer, error, message = read_body(body, _message, marks)
    if answer is None:
        return error, message, ""
    if answer.error:
        message = said(body, marks)
        return in_band(answer.error, marks), message, ""
    if answer.content is None:
        return "invalid_schema", "no content", ""
    _prompt(answer.usage, marks)
    _output(answer.usage, marks)
    if answer.stop_reason:
        marks.finish = _FINISH.get(answer.stop_reason, "other")
    texts = [one.get("text") for one in answer.content if _kind(one) == "text"]
    return OK, "", "".join(text for text in texts if isinstance(text, str))


def _kind(block: Any) -> str:
    return str(block.get("type")) if isinstance(block, dict) else ""


def _prompt(usage: Any, marks: Marks) -> None:
    parts = [
        count(usage, name, None)
        for name in ("input_tokens", "cache_read_input_tokens", "cache_creation_input_tokens")
    ]
    if parts[0] is not None:
        marks.prompt_tokens = sum(part or 0 for part in parts)
        if parts[1] is not None:
            marks.cached_tokens = parts[1]


def _output(usage: Any, marks: Marks) -> None:
    output = count(usage, "output_tokens", None)
    if output is not None:
        marks.output_tokens = output
        marks.flags |= Flag.SERVER_TOKENS
