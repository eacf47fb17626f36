"""OpenAI's Responses dialect (`/responses`): bodies of requests out, marks of answers in.

Pure, as `chat`. A stream is complete when `response.completed` or `response.incomplete` was seen.
A response whose status is `failed` has failed, though its HTTP status says 200. One that is to be
made in the background has been accepted, and brings no output.
Source: https://platform.openai.com/docs/api-reference/responses and .../responses-streaming.
"""

from collections.abc import Sequence
from typing import Any, Final

import msgspec

from holymon.errors import OK
from holymon.plan.requests import Message
from holymon.protocols.complaint import reports
from holymon.protocols.dialect import NOT_MINE, Dialect, began, decoded, noted, whole
from holymon.protocols.error_body import error_text, in_band, message_of, read_body, refused
from holymon.protocols.lenient import type_of
from holymon.protocols.reading import Reading
from holymon.protocols.sse import Event
from holymon.protocols.turns import input_items
from holymon.protocols.usage import read_usage
from holymon.protocols.written_json import called, flags_of
from holymon.records.attempt import Marks

_FINISH: Final = {"max_output_tokens": "length", "content_filter": "content_filter"}
_CALLS: Final = frozenset({"function_call", "custom_tool_call"})
_PIECES: Final = {
    "response.function_call_arguments.delta": True, "response.custom_tool_call_input.delta": False,
}  # fmt: skip
"""Events of pieces of what a tool is handed, and whether that is to be JSON."""

_ENDS: Final = frozenset({"response.completed", "response.incomplete", "response.done"})
_FAILS: Final = frozenset({"response.failed", "response.cancelled"})
_STATES: Final = frozenset({"completed", "incomplete", "queued", "in_progress"})
_THOUGHT: Final = ("response.reasoning", "response.output_text.annotation")


class _Response(msgspec.Struct):
    status: str = ""
    output: list[Any] | None = None
    usage: Any = None
    error: Any = None
    incomplete_details: Any = None


class _Event(msgspec.Struct):
    type: str = ""
    delta: Any = None
    text: Any = None
    output_index: Any = 0
    item: Any = None
    response: _Response = msgspec.field(default_factory=_Response)
    error: Any = None


_EVENT: Final = msgspec.json.Decoder(_Event)
_RESPONSE: Final = msgspec.json.Decoder(_Response)


def request_body(
    model: str, messages: Sequence[Message], max_tokens: int | None, stream: bool
) -> dict[str, Any]:
    """The body of one response."""
    alone = messages[0] if len(messages) == 1 else {}
    text = alone.get("content") if alone.get("role") == "user" else None
    given = text if isinstance(text, str) else input_items(messages)
    # Kept for a month otherwise, and a load would leave thousands.
    body: dict[str, Any] = {"model": model, "input": given, "store": False}
    if max_tokens is not None:
        body["max_output_tokens"] = max_tokens
    return body | {"stream": True} if stream else body


def _read(reading: Reading, now: float, event: Event) -> int:
    """Tokens (0 or 1) in one event."""
    marks = reading.marks
    data = decoded(marks, event.data, _EVENT)
    if data.type.endswith(".delta"):
        return _read_delta(reading, now, data)
    if data.type == "error" or reports(data.error):
        reading.fail("stream_error_event", error_text(event.data, marks))
    elif data.type in _FAILS or reports(data.response.error):
        words = _words(data.response.error, marks)
        reading.fail("stream_error_event", words or f"the {data.type.replace('.', ' was ')}")
    elif data.type in _ENDS:
        _note_end(data.response, marks)
        tokens = _late(reading, now, _text(data.response.output or []))
        reading.acted = reading.acted or marks.finish == "tool_calls"
        marks.flags |= flags_of(_arguments(data.response))  # they may not have come in pieces
        reading.finished = reading.done = True
        return tokens
    elif not data.type.startswith("response."):
        return NOT_MINE
    else:
        began(marks, now)
        if data.type == "response.output_text.done" and isinstance(data.text, str):
            return _late(reading, now, data.text)
        if data.type == "response.output_item.added" and type_of(data.item) in _CALLS:
            called(reading, now, data.output_index, "", None)
            return 1
    return 0


def _late(reading: Reading, now: float, text: str) -> int:
    """Tokens (0 or 1) in a text that is told at its end: all of it, if no piece of it came."""
    came = reading.marks.content == reading.marks.content
    return 0 if came else noted(reading, now, text, thought=False, acted=False)


def _read_delta(reading: Reading, now: float, data: _Event) -> int:
    if not isinstance(data.delta, str) or not data.delta:
        return 0
    if data.type == "response.output_text.delta":
        noted(reading, now, data.delta, thought=False, acted=False)
    elif (is_json := _PIECES.get(data.type)) is not None:
        called(reading, now, data.output_index, "", data.delta if is_json else None)
    elif not data.type.startswith(_THOUGHT):
        reading.acted = True
    return 1


def read_answer(body: bytes, marks: Marks) -> tuple[str, str, str]:
    """Error type, message and text of a 200 that was not streamed; fills in the marks' counts."""
    answer, error, message = read_body(body, _RESPONSE, marks)
    if answer is None:
        return error, message, ""
    if answer.status in {"failed", "cancelled"} or reports(answer.error):
        message = error_text(body, marks) if answer.error else f"the response was {answer.status}"
        return in_band(answer.error, marks), message, ""
    if answer.output is None and answer.status not in _STATES:
        return *refused(body, marks), ""
    text = _text(answer.output or [])
    if answer.status not in {"queued", "in_progress"}:
        _note_end(answer, marks)
        marks.flags |= flags_of(_arguments(answer))
        kinds = {type_of(item) for item in answer.output or []}
        acted = bool(kinds - {"message", "reasoning"})
        return whole(marks, text, thought="reasoning" in kinds, acted=acted)
    return OK, "", text


def _text(output: list[Any]) -> str:
    contents = [item.get("content") for item in output if type_of(item) == "message"]
    parts = [part for content in contents if isinstance(content, list) for part in content]
    texts = [part.get("text") for part in parts if type_of(part) == "output_text"]
    return "".join(text for text in texts if isinstance(text, str))


def _arguments(answer: _Response) -> list[Any]:
    """What each tool is handed that an answer calls; None for what is to be no JSON."""
    calls = [item for item in answer.output or [] if type_of(item) in _CALLS]
    return [call.get("arguments") for call in calls]


def _words(error: Any, marks: Marks) -> str:
    return message_of({"error": error}, marks) if error else ""


def _note_end(answer: _Response, marks: Marks) -> None:
    """Note the counts of an answer, and why it ended."""
    read_usage(answer.usage, marks)
    if answer.status == "incomplete":
        details = answer.incomplete_details
        reason = details.get("reason") if isinstance(details, dict) else None
        marks.finish = _FINISH.get(str(reason), "other")
    else:
        calls = any(type_of(item) in _CALLS for item in answer.output or [])
        marks.finish = "tool_calls" if calls else "stop"


RESPONSES: Final = Dialect("/responses", request_body, _read, read_answer)
