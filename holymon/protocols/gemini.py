"""Gemini's own dialect (`:generateContent`, `:streamGenerateContent`), where a client is watched.

Pure, as `chat`. A stream of events has no last one: it is complete when a candidate has a finish
reason. Without `alt=sse` the same chunks come as one JSON array. Counts are of all that came so
far. A prompt that is blocked is a 200 without candidates that says why.
Source: https://ai.google.dev/api/generate-content#v1beta.GenerateContentResponse.
"""

from typing import Any, Final

import msgspec

from holymon.protocols.complaint import reports
from holymon.protocols.dialect import NOT_MINE, Dialect, began, decoded, not_sent, noted, whole
from holymon.protocols.error_body import error_text, read_body, refused
from holymon.protocols.finish import finish_of
from holymon.protocols.reading import Reading
from holymon.protocols.sse import Event
from holymon.protocols.usage import read_usage
from holymon.protocols.written_json import called, flags_of
from holymon.records.attempt import Marks


class _Part(msgspec.Struct):
    text: str = ""
    thought: Any = None
    functionCall: Any = None  # noqa: N815 - as it is spelled there
    executableCode: Any = None  # noqa: N815
    codeExecutionResult: Any = None  # noqa: N815
    inlineData: Any = None  # noqa: N815


class _Content(msgspec.Struct):
    parts: list[_Part] | None = None


class _Candidate(msgspec.Struct):
    content: _Content | None = None
    finishReason: Any = None  # noqa: N815


class _Chunk(msgspec.Struct):
    """One event of a stream, or a whole answer."""

    candidates: list[_Candidate] | None = None
    promptFeedback: Any = None  # noqa: N815
    usageMetadata: Any = None  # noqa: N815
    error: Any = None


_CHUNK: Final = msgspec.json.Decoder(_Chunk)
_CHUNKS: Final = msgspec.json.Decoder(list[_Chunk])


def _read(reading: Reading, now: float, event: Event) -> int:
    """Tokens (0 or 1) in one event."""
    marks = reading.marks
    chunk = decoded(marks, event.data, _CHUNK)
    if reports(chunk.error):
        reading.fail("stream_error_event", error_text(event.data, marks))
        return 0
    counted = read_usage(chunk.usageMetadata, marks)
    reason = _reason(chunk)
    if chunk.candidates is None and not reason:
        return 0 if counted else NOT_MINE
    began(marks, now)
    if reason:
        reading.finished, marks.finish = True, reason
    if reason == "error":
        reading.fail("stream_error_event", _words(chunk))
    text, thought, acted = _output(chunk)
    for given in _calls(chunk):
        called(reading, now, object(), "", given)
    reading.acted = reading.acted or reason == "content_filter"
    return noted(reading, now, text, thought=thought, acted=acted)


def _reason(chunk: _Chunk) -> str:
    """Why the answer ended, `""` if it has not."""
    if chunk.candidates:
        return finish_of(chunk.candidates[0].finishReason)
    feedback = chunk.promptFeedback
    blocked = isinstance(feedback, dict) and feedback.get("blockReason")
    return "content_filter" if blocked else ""


def _words(chunk: _Chunk) -> str:
    assert chunk.candidates  # only they end with an error
    return f"finishReason {chunk.candidates[0].finishReason}"[:100]


def _parts(chunk: _Chunk) -> list[_Part]:
    content = chunk.candidates[0].content if chunk.candidates else None
    return (content.parts if content else None) or []


def _calls(chunk: _Chunk) -> list[Any]:
    """What each function that is called is handed: all of it at once."""
    calls = (part.functionCall for part in _parts(chunk))
    return [call.get("args") for call in calls if isinstance(call, dict)]


def _output(chunk: _Chunk) -> tuple[str, bool, bool]:
    """The text of the first candidate, whether it thought, and whether it did something else."""
    parts = _parts(chunk)
    text = "".join(part.text for part in parts if not part.thought)
    acts = [part.functionCall or part.executableCode or part.codeExecutionResult or part.inlineData
            for part in parts]  # fmt: skip
    return text, any(part.thought and part.text for part in parts), any(acts)


def _answer(body: bytes, marks: Marks) -> tuple[str, str, str]:
    """Error type, message and text of a 200 in one piece; fills in the marks' counts."""
    array = body.lstrip(b"\xef\xbb\xbf \t\r\n")[:1] == b"["
    if array:
        chunks, error, message = read_body(body, _CHUNKS, marks)
    else:
        chunk, error, message = read_body(body, _CHUNK, marks)
        chunks = None if chunk is None else [chunk]
    if chunks is None:
        return error, message, ""
    wrong = any(reports(chunk.error) for chunk in chunks)
    if wrong or not any(chunk.candidates or _reason(chunk) for chunk in chunks):
        return *refused(body, marks), ""
    marks.flags |= flags_of([given for chunk in chunks for given in _calls(chunk)])
    for chunk in chunks:
        read_usage(chunk.usageMetadata, marks)
        marks.finish = _reason(chunk) or marks.finish
        if marks.finish == "error":
            return "server_error", _words(chunk), ""
    texts, thoughts, acts = zip(*map(_output, chunks), strict=True)
    acted = any(acts) or marks.finish == "content_filter"
    return whole(marks, "".join(texts), thought=any(thoughts), acted=acted)


GEMINI: Final = Dialect("/models", not_sent, _read, _answer)
