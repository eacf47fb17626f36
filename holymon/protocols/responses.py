"""OpenAI's Responses dialect (`/v1/responses`): bytes of answers in, marks and a verdict out.

Pure, beside `chat` and used in the same way:

    StreamReader(marks).feed(now, bytes) ... .close() -> error type    for `stream: true`
    read_answer(bytes, marks) -> error type, message    for one JSON body

A stream is complete when `response.completed` or `response.incomplete` was seen. A response whose
status is `failed` has failed, though its HTTP status says 200. One that is to be made in the
background has been accepted, and brings no output.
"""

from typing import Any, Final

import msgspec

from holymon.errors import OK
from holymon.protocols.completion import read_usage
from holymon.protocols.error_body import decoded, in_band, message_of, read_body, said
from holymon.protocols.reading import Reader
from holymon.protocols.sse import Event
from holymon.records.attempt import Marks

_FINISH: Final = {"max_output_tokens": "length", "content_filter": "content_filter"}
_CALLS: Final = frozenset({"function_call", "custom_tool_call"})
_ENDS: Final = frozenset({"response.completed", "response.incomplete"})


class _Response(msgspec.Struct):
    status: str = ""
    output: list[Any] | None = None
    usage: Any = None
    error: Any = None
    incomplete_details: Any = None


class _Event(msgspec.Struct):
    type: str = ""
    delta: Any = None
    response: _Response = msgspec.field(default_factory=_Response)
    error: Any = None


_event: Final = msgspec.json.Decoder(_Event).decode
_response: Final = msgspec.json.Decoder(_Response).decode


class StreamReader(Reader):
    """Reads one streamed answer into its marks, piece by piece."""

    __slots__ = ()

    def read(self, now: float, event: Event) -> int:
        """Whether one event brought tokens of output (0 or 1)."""
        found, marks = decoded(event.data, _event), self.marks
        if found.type.endswith(".delta"):
            if not isinstance(found.delta, str) or not found.delta:
                return 0
            if found.type == "response.output_text.delta" and marks.content != marks.content:
                marks.content = now
            return 1
        if found.error or found.type == "error":
            self.fail("stream_error_event", said(event.data, marks))
        elif found.type == "response.failed":
            self.fail("stream_error_event", _said(found.response.error, marks))
        elif found.type in _ENDS:
            _end(found.response, marks)
            self.finished = self.done = True
        elif marks.chunk != marks.chunk:
            marks.chunk = now
        return 0


def read_answer(body: bytes, marks: Marks) -> tuple[str, str]:
    """Error type and message of a 200 that was not streamed; fills in the marks' counts."""
    answer, error, message = read_body(body, _response, marks)
    if answer is None:
        return error, message
    if answer.error or answer.status == "failed":
        message = said(body, marks) if answer.error else ""
        return in_band(answer.error, marks), message
    if answer.output is None and not answer.status:
        return "invalid_schema", "neither output nor a status"
    if answer.status not in {"queued", "in_progress"}:
        _end(answer, marks)
    return OK, ""


def _said(error: Any, marks: Marks) -> str:
    return message_of({"error": error}, marks) if error else ""


def _end(answer: _Response, marks: Marks) -> None:
    """Note the counts of an answer, and why it ended."""
    read_usage(answer.usage, marks, "input_tokens", "output_tokens")
    if answer.status == "incomplete":
        details = answer.incomplete_details
        reason = details.get("reason") if isinstance(details, dict) else None
        marks.finish = _FINISH.get(str(reason), "other")
    else:
        calls = any(_kind(item) in _CALLS for item in answer.output or [])
        marks.finish = "tool_calls" if calls else "stop"


def _kind(item: Any) -> str:
    return str(item.get("type")) if isinstance(item, dict) else ""
