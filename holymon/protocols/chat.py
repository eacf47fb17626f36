"""The OpenAI-compatible chat dialect (`/chat/completions`): bodies out, marks of answers in.

Pure. A stream is complete when a finish reason or `[DONE]` was seen.
"""

from typing import Any, Final

import msgspec

from holymon.errors import OK
from holymon.protocols.error_body import (
    decoded,
    error_text,
    in_band,
    message_of,
    parsed,
    read_body,
)
from holymon.protocols.reading import Dialect, Reading
from holymon.protocols.sse import Event
from holymon.protocols.usage import read_usage
from holymon.records.attempt import FINISH, Marks


class _Message(msgspec.Struct):
    """What was said, or a piece of it."""

    content: str | list[Any] | None = None
    reasoning_content: Any = None
    reasoning: Any = None
    tool_calls: Any = None
    function_call: Any = None
    refusal: Any = None


class _Choice(msgspec.Struct):
    """One of the answers asked for, or a piece of it."""

    index: Any = 0
    delta: _Message | None = None
    message: _Message | None = None
    text: str | None = None
    finish_reason: str | None = None
    error: Any = None


class _Completion(msgspec.Struct):
    """A whole body, or one event of a stream."""

    choices: list[_Choice] | None = None
    usage: Any = None
    error: Any = None


_encode: Final = msgspec.json.encode
_completion: Final = msgspec.json.Decoder(_Completion).decode


def request_body(model: str, text: str, max_tokens: int | None, stream: bool) -> bytes:
    """The JSON body of one chat completion. Raises ValueError for what JSON can't carry."""
    body: dict[str, Any] = {"model": model, "messages": [{"role": "user", "content": text}]}
    if max_tokens is not None:
        body["max_tokens"] = max_tokens
    if stream:
        body |= {"stream": True, "stream_options": {"include_usage": True}}
    return _encode(body)


def _is_text(reading: Reading, now: float, event: Event) -> bool:
    """Whether an event is what nearly all are, a piece of text and nothing else; noted then."""
    data, name = event
    if name or not data.isascii():
        return False
    try:
        completion = _completion(data)
    except (msgspec.MsgspecError, RecursionError):
        return False
    if completion.error or completion.usage is not None or not completion.choices:
        return False
    choice = completion.choices[0]
    delta = choice.delta
    if delta is None or len(completion.choices) > 1 or choice.finish_reason or choice.error:
        return False
    if not isinstance(delta.content, str) or not delta.content or choice.text:
        return False
    marks = reading.marks
    if marks.content != marks.content:
        marks.content = now
        if marks.chunk != marks.chunk:
            marks.chunk = now
    if reading.texts is not None:
        _keep(reading, choice, delta.content)
    return True


def _read(reading: Reading, now: float, event: Event) -> int:
    """Tokens (0 or 1) in an event that may be anything of this dialect."""
    completion, marks = decoded(event.data, _completion), reading.marks
    if completion.error:
        reading.fail("stream_error_event", error_text(event.data, marks))
        return 0
    if completion.usage is not None:
        read_usage(completion.usage, marks)
    elif completion.choices is None and not _may_be_empty(event):
        reading.fail("invalid_schema", "an event with neither choices, usage nor error")
        return 0
    tokens = 0
    if completion.choices:
        if marks.chunk != marks.chunk:
            marks.chunk = now
        for choice in completion.choices:
            tokens |= _read_choice(reading, now, choice)
    return tokens


def _read_choice(reading: Reading, now: float, choice: _Choice) -> int:
    marks = reading.marks
    if _has_failed(choice, marks):
        reading.fail("stream_error_event", message_of(choice.error, marks))
        return 0
    if choice.finish_reason and choice.finish_reason != "null":
        reading.finished = True
        _note_finish(choice.finish_reason, marks)
    delta = choice.delta or choice.message
    content = choice.text or (delta.content if delta else None)
    if content:
        if marks.content != marks.content:
            marks.content = now
        if isinstance(content, str):
            _keep(reading, choice, content)
        return 1
    return 1 if delta is not None and _has_output(delta) else 0


def _keep(reading: Reading, choice: _Choice, content: str) -> None:
    reading.keep(content, choice.index if isinstance(choice.index, int) else 0)


def read_answer(body: bytes, marks: Marks) -> tuple[str, str, str]:
    """Error type, message and content of a non-streamed 200; fills in the marks' counts."""
    completion, error, message = read_body(body, _completion, marks)
    if completion is None:
        return error, message, ""
    if completion.error:
        message = error_text(body, marks)
        return in_band(completion.error, marks), message, ""
    read_usage(completion.usage, marks)
    if not completion.choices:
        return "invalid_schema", "no choices", ""
    choice = completion.choices[0]
    if _has_failed(choice, marks):
        return "server_error", message_of(choice.error, marks), ""
    if choice.message is None and choice.text is None:
        return "invalid_schema", "a choice without a message", ""
    _note_finish(choice.finish_reason or "", marks)
    content = choice.text or (choice.message.content if choice.message else None)
    if not content and not (choice.message and _has_output(choice.message)) and not marks.finish:
        return "empty_response", "", ""
    return OK, "", content if isinstance(content, str) else ""


def _has_failed(choice: _Choice, marks: Marks) -> bool:
    """Whether a choice reports an error of its own; noted then."""
    if choice.error or choice.finish_reason == "error":
        marks.finish = "error"
        return True
    return False


def _note_finish(reason: str, marks: Marks) -> None:
    if reason:
        marks.finish = reason if reason in FINISH else "other"


def _has_output(message: _Message) -> bool:
    """Whether there is any output in it, be it text or not."""
    return bool(
        message.content or message.reasoning_content or message.reasoning or message.tool_calls
        or message.function_call or message.refusal
    )  # fmt: skip


def _may_be_empty(event: Event) -> bool:
    """Bookkeeping: an object that names what it is (Azure opens with one), or a named event."""
    value = parsed(event.data)
    named = event.name not in {b"", b"message"}
    return isinstance(value, dict) and (named or "object" in value or "id" in value)


CHAT: Final = Dialect("/chat/completions", request_body, _read, read_answer, _is_text)
