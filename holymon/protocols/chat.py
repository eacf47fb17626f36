"""The OpenAI-compatible chat dialect (`/chat/completions`): bodies out, marks of answers in.

Pure. A stream is complete when a finish reason or `[DONE]` was seen.
"""

from collections.abc import Sequence
from math import isnan
from typing import Any, Final

import msgspec

from holymon.plan.requests import Message
from holymon.protocols.bounds import MOST_CHOICES
from holymon.protocols.complaint import complaint, reports
from holymon.protocols.dialect import NOT_MINE, Dialect, began, noted, whole
from holymon.protocols.error_body import error_text, in_band, message_of, read_body, refused
from holymon.protocols.finish import finish_of
from holymon.protocols.lenient import read
from holymon.protocols.reading import Reading
from holymon.protocols.sse import Event
from holymon.protocols.usage import read_usage
from holymon.protocols.written_json import called, calls_in, flags_of
from holymon.records.attempt import Flag, Marks


class _Message(msgspec.Struct, gc=False):
    """What was said, or a piece of it."""

    content: str | list[Any] | None = None
    reasoning_content: Any = None
    reasoning: Any = None
    reasoning_details: Any = None
    thinking: Any = None
    tool_calls: Any = None
    function_call: Any = None
    refusal: Any = None
    audio: Any = None
    images: Any = None


class _Choice(msgspec.Struct, gc=False):
    """One of the answers asked for, or a piece of it."""

    index: Any = 0
    delta: _Message | None = None
    message: _Message | None = None
    text: str | None = None
    finish_reason: Any = None
    camel_reason: Any = msgspec.field(default=None, name="finishReason")
    error: Any = None
    usage: Any = None


class _Completion(msgspec.Struct, gc=False):
    """A whole body, or one event of a stream."""

    choices: list[_Choice] | None = None
    usage: Any = None
    error: Any = None
    base_resp: Any = None
    x_groq: Any = None
    timings: Any = None


class _Text(msgspec.Struct, gc=False):
    """A piece of text."""

    content: str | None = None
    tool_calls: Any = None


class _TextChoice(msgspec.Struct, gc=False):
    """What may make a choice more than a piece of text."""

    index: Any = 0
    delta: _Text | None = None
    text: Any = None
    finish_reason: Any = None
    camel_reason: Any = msgspec.field(default=None, name="finishReason")
    error: Any = None
    usage: Any = None


class _TextChunk(msgspec.Struct, gc=False):
    """An event as nearly all are; for this alone, since each further field takes its time."""

    choices: list[_TextChoice] | None = None
    usage: Any = None
    error: Any = None
    base_resp: Any = None


_NOTHING: Final = _Message()
_DECODER: Final = msgspec.json.Decoder(_Completion)
_decode: Final = _DECODER.decode
_text_chunk: Final = msgspec.json.Decoder(_TextChunk).decode


def request_body(
    model: str, messages: Sequence[Message], max_tokens: int | None, stream: bool
) -> dict[str, Any]:
    """The body of one chat completion."""
    body: dict[str, Any] = {"model": model, "messages": messages}
    if max_tokens is not None:
        body["max_tokens"] = max_tokens
    if stream:
        body |= {"stream": True, "stream_options": {"include_usage": True}}
    return body


def _is_text(reading: Reading, now: float, event: Event) -> bool:
    """Whether an event is what nearly all are, a piece of text and nothing else; noted then."""
    data, name = event
    if name or not data.isascii():
        return False
    try:
        chunk = _text_chunk(data)
    except (msgspec.MsgspecError, RecursionError):
        return False
    if chunk.error or chunk.usage is not None or not chunk.choices or chunk.base_resp is not None:
        return False
    choice = chunk.choices[0]
    delta = choice.delta
    if delta is None or not delta.content or choice.finish_reason or len(chunk.choices) > 1:
        return False
    if delta.tool_calls:
        return False
    if choice.error or choice.text or choice.camel_reason or choice.usage is not None:
        return False
    marks = reading.marks
    if marks.content != marks.content:
        marks.content = now
        if marks.chunk != marks.chunk:
            marks.chunk = now
    if reading.texts is not None:
        reading.keep(delta.content, _number(choice.index))
    return True


def _read(reading: Reading, now: float, event: Event) -> int:
    """Tokens (0 or 1) in an event that may be anything of this dialect."""
    marks = reading.marks
    try:
        completion = _decode(event.data)
    except msgspec.DecodeError:
        completion, odd = read(event.data, _DECODER)
        marks.flags |= Flag.LENIENT if odd else 0
    if (completion.error or completion.base_resp is not None) and _has_complaint(completion):
        reading.fail("stream_error_event", error_text(event.data, marks))
        return 0
    groq = completion.x_groq
    if isinstance(groq, dict) and reports(groq.get("error")):  # why it stopped early, as a text
        reading.fail("stream_error_event", message_of({"error": groq["error"]}, marks))
        return 0
    counted = _note_usage(completion, marks)
    if not completion.choices:
        return 0 if counted else NOT_MINE
    tokens = 0
    began(marks, now)
    for choice in completion.choices[:MOST_CHOICES]:
        tokens |= _read_choice(reading, now, choice)
    return tokens


def _has_complaint(completion: _Completion) -> bool:
    """Whether it reports an error beside whatever else it holds."""
    if not completion.error and completion.base_resp is None:
        return False
    reported = {"error": completion.error, "base_resp": completion.base_resp}
    return complaint(reported, strict=True) is not None


def _note_usage(completion: _Completion, marks: Marks) -> bool:
    """Note what was counted, wherever that stands, and tell whether it was."""
    groq = completion.x_groq
    if completion.timings is None and groq is None and len(completion.choices or ()) < 2:
        usage = completion.choices[0].usage if completion.choices else None
        usage = completion.usage if usage is None else usage
        return usage is not None and read_usage(usage, marks)
    choices = (completion.choices or [])[:MOST_CHOICES]
    places = [completion.timings, *(choice.usage for choice in choices),
              groq.get("usage") if isinstance(groq, dict) else None, completion.usage]  # fmt: skip
    counted = [read_usage(usage, marks) for usage in places if usage is not None]
    return any(counted)


def _read_choice(reading: Reading, now: float, choice: _Choice) -> int:
    marks = reading.marks
    if choice.error or choice.finish_reason or choice.camel_reason:
        reason = finish_of(choice.finish_reason or choice.camel_reason)
        if reason == "error" or reports(choice.error):
            reading.fail("stream_error_event", _failure(choice, marks))
            return 0
        if reason:
            reading.finished = True
            marks.finish = reason
    # Perplexity sends both, and in its `message` all that has come so far; so does MiniMax's last
    # chunk, which has no delta. Other servers send each piece as a message.
    delta = choice.delta
    if choice.message is not None:
        first = isnan(marks.content)
        reading.by_message |= first and delta is None
        if (delta is None and reading.by_message) or (first and delta == _NOTHING):
            delta = choice.message
    text, thought = _content(choice, delta)
    acted = delta is not None and _has_acted(delta)
    if delta is not None:
        for place, identity, arguments in calls_in(delta.tool_calls, delta.function_call):
            called(reading, now, (_number(choice.index), place), identity, arguments)
    index = _number(choice.index)
    return noted(reading, now, text, thought=thought, acted=acted, choice=index)


def _number(index: Any) -> int:
    return index if isinstance(index, int) else 0


def read_answer(body: bytes, marks: Marks) -> tuple[str, str, str]:
    """Error type, message and content of a non-streamed 200; fills in the marks' counts."""
    completion, error, message = read_body(body, _DECODER, marks)
    if completion is None:
        return error, message, ""
    if not completion.choices or _has_complaint(completion):
        return *refused(body, marks), ""
    _note_usage(completion, marks)
    choice = completion.choices[0]
    reason = choice.finish_reason or choice.camel_reason
    finish = finish_of(reason)
    if finish == "error" or reports(choice.error):
        failure = _failure(choice, marks)
        return in_band(choice.error or reason, marks), failure, ""
    message_part = choice.delta if choice.message is None else choice.message
    if message_part is None and choice.text is None:
        return *refused(body, marks), ""
    marks.finish = finish
    if message_part and (message_part.tool_calls or message_part.function_call):
        calls = calls_in(message_part.tool_calls, message_part.function_call)
        marks.flags |= flags_of([arguments for _, _, arguments in calls])
    text, thought = _content(choice, message_part)
    acted = message_part is not None and _has_acted(message_part)
    if not (text or acted or thought or marks.finish):
        return "empty_response", "", ""
    return whole(marks, text, thought=thought, acted=acted)


def _failure(choice: _Choice, marks: Marks) -> str:
    """The words of an error that a choice reports of its own."""
    reason = choice.finish_reason
    marks.finish = "error"
    about = choice.error or (reason if isinstance(reason, dict) else None)
    words = message_of({"error": about} if about is choice.error else about, marks) if about else ""
    return words or f"finish_reason {reason}"[:100]


def _content(choice: _Choice, delta: _Message | None) -> tuple[str, bool]:
    """The text of a choice whose message or piece of one is `delta`; whether it holds reasoning."""
    content: Any = choice.text or (delta.content if delta else None)
    if isinstance(content, str):
        return content, False
    thought = delta is not None and bool(
        delta.reasoning_content or delta.reasoning or delta.reasoning_details or delta.thinking
    )
    if not isinstance(content, list):
        return "", thought
    texts = [_part(part) for part in content]
    return "".join(texts), thought or any(map(_is_thought, content))


def _part(part: Any) -> str:
    """The text of one of the parts that a content is made of."""
    text = part.get("text") if isinstance(part, dict) and not _is_thought(part) else part
    return text if isinstance(text, str) else ""


def _is_thought(part: Any) -> bool:
    return isinstance(part, dict) and part.get("type") in {"thinking", "reasoning"}


def _has_acted(message: _Message) -> bool:
    """Whether there is any output in it that is neither text nor reasoning."""
    return bool(
        message.tool_calls or message.function_call or message.refusal or message.audio
        or message.images
    )  # fmt: skip


CHAT: Final = Dialect("/chat/completions", request_body, _read, read_answer, _is_text)
