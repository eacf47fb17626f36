"""Anthropic's dialect (`/messages`): bodies of requests out, marks of answers in.

Pure, as `chat`. A stream is complete when a stop reason or `message_stop` was seen. `input_tokens`
leaves out what was read from or written to a cache; in marks `prompt_tokens` is all of it, as
everywhere here. Source: https://docs.anthropic.com/en/api/messages and .../messages-streaming.

The version sent is 2023-06-01, by which any field of theirs can be measured: 2026-10-21 refuses
temperature, top_p and top_k, which people's requests and `probe same` have, and Bedrock has it for
new models only; answers are the same. A target's own header `anthropic-version` takes its place.
The key goes as x-api-key, which both versions document; the SDK of 2.x sends it as a bearer token.
Source, read 2026-11: https://platform.claude.com/docs/en/api/versioning, .../migration-2026-10-21.
"""

from collections.abc import Sequence
from typing import Any, Final

import msgspec

from holymon.plan.requests import Message
from holymon.protocols.complaint import reports
from holymon.protocols.dialect import NOT_MINE, Dialect, decoded, noted, whole
from holymon.protocols.error_body import error_text, read_body, refused
from holymon.protocols.finish import finish_of
from holymon.protocols.lenient import type_of
from holymon.protocols.reading import Reading
from holymon.protocols.sse import Event
from holymon.protocols.turns import claude
from holymon.protocols.usage import read_usage
from holymon.protocols.written_json import called, flags_of
from holymon.records.attempt import Flag, Marks

MAX_TOKENS: Final = 4096
"""What a request asks for at most if nothing else is wanted: the API takes none without it, and
every model allows so many."""

_OUTPUT: Final = frozenset({"tool_use", "server_tool_use", "redacted_thinking"})
"""Blocks whose beginning already is output."""

_BOOKKEEPING: Final = frozenset({"ping", "content_block_stop"})
_THOUGHT: Final = frozenset({"thinking", "redacted_thinking"})
_ACTS: Final = frozenset({"tool_use", "server_tool_use"})


class _Delta(msgspec.Struct):
    text: str = ""
    thinking: str = ""
    partial_json: str = ""
    stop_reason: Any = None


class _Event(msgspec.Struct):
    type: str = ""
    index: Any = 0
    delta: _Delta | None = None
    message: Any = None
    content_block: Any = None
    usage: Any = None
    error: Any = None


class _Message(msgspec.Struct):
    content: list[Any] | None = None
    stop_reason: Any = None
    usage: Any = None
    error: Any = None


_NONE: Final = _Delta()
_EVENT: Final = msgspec.json.Decoder(_Event)
_MESSAGE: Final = msgspec.json.Decoder(_Message)


def request_body(
    model: str, messages: Sequence[Message], max_tokens: int | None, stream: bool
) -> dict[str, Any]:
    """The body of one message."""
    system, turns = claude(messages)
    body: dict[str, Any] = {
        "model": model, "max_tokens": MAX_TOKENS if max_tokens is None else max_tokens,
        "messages": turns,
    }  # fmt: skip
    if system:
        body["system"] = system
    return body | {"stream": True} if stream else body


def _read(reading: Reading, now: float, event: Event) -> int:
    """Tokens (0 or 1) in one event."""
    data = decoded(reading.marks, event.data, _EVENT)
    if data.type == "content_block_delta":
        return _read_delta(reading, now, data)
    if data.type == "error" or reports(data.error):
        reading.fail("stream_error_event", error_text(event.data, reading.marks))
        return 0
    if data.type == "content_block_start":
        return _read_start(reading, now, data)
    if data.type == "message_delta" and not data.usage and not (data.delta or _NONE).stop_reason:
        reading.skip(event.data)
    return _read_frame(reading, now, data)


def _read_start(reading: Reading, now: float, event: _Event) -> int:
    kind = type_of(event.content_block)
    if kind in _ACTS:  # its input is empty here, and comes in pieces
        called(reading, now, event.index, "", event.content_block.get("input") or None)
    # A block of thinking may stay without text.
    if kind == "redacted_thinking" or (kind == "thinking" and not reading.thought):
        reading.marks.flags |= Flag.VEILED
    return int(kind in _OUTPUT)


def _read_delta(reading: Reading, now: float, event: _Event) -> int:
    delta = event.delta or _NONE
    if delta.partial_json:
        called(reading, now, event.index, "", delta.partial_json)
    if delta.thinking and not reading.thought:
        reading.marks.flags &= ~Flag.VEILED
    thought, acted = bool(delta.thinking), bool(delta.partial_json)
    return noted(reading, now, delta.text, thought=thought, acted=acted)


def _read_frame(reading: Reading, now: float, event: _Event) -> int:
    """What stands around the output: its beginning, its counts, its end."""
    marks = reading.marks
    if event.type == "message_start":
        marks.chunk = now
        if isinstance(event.message, dict):
            _read_prompt(event.message.get("usage"), marks)
    elif event.type == "message_delta":
        read_usage(event.usage, marks)
        if event.delta and (reason := finish_of(event.delta.stop_reason)):
            reading.finished = True
            marks.finish = reason
            if reason == "error":
                reading.fail("stream_error_event", f"stop_reason {event.delta.stop_reason}"[:100])
    elif event.type == "message_stop":
        reading.done = True
    elif event.type not in _BOOKKEEPING:
        return NOT_MINE
    return 0


def read_answer(body: bytes, marks: Marks) -> tuple[str, str, str]:
    """Error type, message and text of a 200 that was not streamed; fills in the marks' counts."""
    answer, error, message = read_body(body, _MESSAGE, marks)
    if answer is None:
        return error, message, ""
    if answer.content is None or reports(answer.error):
        return *refused(body, marks), ""
    read_usage(answer.usage, marks)
    marks.finish = finish_of(answer.stop_reason)
    texts = [block.get("text") for block in answer.content if type_of(block) == "text"]
    text = "".join(text for text in texts if isinstance(text, str))
    kinds = {type_of(block) for block in answer.content}
    inputs = [block.get("input") for block in answer.content if type_of(block) in _ACTS]
    marks.flags |= flags_of(inputs)
    return whole(
        marks, text, thought=bool(kinds & _THOUGHT), acted=bool(kinds - _THOUGHT - {"text"})
    )


def _read_prompt(usage: Any, marks: Marks) -> None:
    """The counts of a message that begins: its output is only that of the first event."""
    before = marks.output_tokens, marks.flags
    read_usage(usage, marks)
    marks.output_tokens, marks.flags = before


MESSAGES: Final = Dialect(
    "/messages", request_body, _read, read_answer,
    headers={"anthropic-version": "2023-06-01"}, key_header=b"x-api-key: ",
)  # fmt: skip
