"""Anthropic's dialect (`/messages`): bodies of requests out, marks of answers in.

Pure, as `chat`. A stream is complete when a stop reason or `message_stop` was seen. `input_tokens`
leaves out what was read from or written to a cache; in marks `prompt_tokens` is all of it, as
everywhere here. Source: https://docs.anthropic.com/en/api/messages and .../messages-streaming.
"""

from typing import Any, Final

import msgspec

from holymon.errors import OK
from holymon.protocols.error_body import decoded, error_text, in_band, read_body
from holymon.protocols.reading import Dialect, Reading
from holymon.protocols.sse import Event
from holymon.protocols.usage import count
from holymon.records.attempt import Flag, Marks

MAX_TOKENS: Final = 4096
"""What a request asks for at most if nothing else is wanted: the API takes none without it, and
every model allows so many."""

_FINISH: Final = {
    "end_turn": "stop", "stop_sequence": "stop", "max_tokens": "length",
    "tool_use": "tool_calls", "refusal": "content_filter",
}  # fmt: skip
_OUTPUT: Final = frozenset({"tool_use", "server_tool_use", "redacted_thinking"})
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


def request_body(model: str, text: str, max_tokens: int | None, stream: bool) -> bytes:
    """The JSON body of one message. Raises ValueError for what JSON can't carry."""
    body: dict[str, Any] = {
        "model": model, "max_tokens": MAX_TOKENS if max_tokens is None else max_tokens,
        "messages": [{"role": "user", "content": text}],
    }  # fmt: skip
    return msgspec.json.encode(body | {"stream": True} if stream else body)


def _read(reading: Reading, now: float, event: Event) -> int:
    """Tokens (0 or 1) in one event."""
    data = decoded(event.data, _event)
    if data.type == "content_block_delta":
        return _read_delta(reading, now, data.delta or _Delta())
    if data.error or data.type == "error":
        reading.fail("stream_error_event", error_text(event.data, reading.marks))
    elif data.type == "content_block_start":
        return int(_kind(data.content_block) in _OUTPUT)
    else:
        _read_frame(reading, now, data)
    return 0


def _read_delta(reading: Reading, now: float, delta: _Delta) -> int:
    if delta.text:
        if reading.marks.content != reading.marks.content:
            reading.marks.content = now
        reading.keep(delta.text)
        return 1
    return 1 if delta.thinking or delta.partial_json else 0


def _read_frame(reading: Reading, now: float, event: _Event) -> None:
    """What stands around the output: its beginning, its counts, its end."""
    marks = reading.marks
    if event.type == "message_start":
        marks.chunk = now
        if isinstance(event.message, dict):
            _read_prompt(event.message.get("usage"), marks)
    elif event.type == "message_delta":
        _read_prompt(event.usage, marks)
        _read_output(event.usage, marks)
        if event.delta and event.delta.stop_reason:
            reading.finished = True
            marks.finish = _FINISH.get(event.delta.stop_reason, "other")
    elif event.type == "message_stop":
        reading.done = True


def read_answer(body: bytes, marks: Marks) -> tuple[str, str, str]:
    """Error type, message and text of a 200 that was not streamed; fills in the marks' counts."""
    answer, error, message = read_body(body, _message, marks)
    if answer is None:
        return error, message, ""
    if answer.error:
        message = error_text(body, marks)
        return in_band(answer.error, marks), message, ""
    if answer.content is None:
        return "invalid_schema", "no content", ""
    _read_prompt(answer.usage, marks)
    _read_output(answer.usage, marks)
    if answer.stop_reason:
        marks.finish = _FINISH.get(answer.stop_reason, "other")
    texts = [block.get("text") for block in answer.content if _kind(block) == "text"]
    return OK, "", "".join(text for text in texts if isinstance(text, str))


def _kind(block: Any) -> str:
    return str(block.get("type")) if isinstance(block, dict) else ""


def _read_prompt(usage: Any, marks: Marks) -> None:
    parts = [
        count(usage, name, None)
        for name in ("input_tokens", "cache_read_input_tokens", "cache_creation_input_tokens")
    ]
    if parts[0] is not None:
        marks.prompt_tokens = sum(part or 0 for part in parts)
        if parts[1] is not None:
            marks.cached_tokens = parts[1]


def _read_output(usage: Any, marks: Marks) -> None:
    output = count(usage, "output_tokens", None)
    if output is not None:
        marks.output_tokens = output
        marks.flags |= Flag.SERVER_TOKENS


MESSAGES: Final = Dialect(
    "/messages", request_body, _read, read_answer,
    headers={"anthropic-version": "2023-06-01"}, key_header=b"x-api-key: ",
)  # fmt: skip
