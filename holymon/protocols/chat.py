"""The OpenAI-compatible chat dialect: request bodies out; bytes of answers in, marks and a verdict.

Pure: bytes and points in time come in, nothing is read or awaited here.

    StreamReader.feed(now, bytes) ... .close() -> error type    for `stream: true`
    read_answer(bytes, marks) -> error type                     for one JSON body

A stream is complete when a finish reason or `[DONE]` was seen.
"""

from typing import Any, Final

import msgspec

from holymon.errors import OK
from holymon.protocols.completion import Choice, answer_of, failed, finish, read_usage, says
from holymon.protocols.error_body import decoded, in_band, lenient, message_of, read_body, said
from holymon.protocols.reading import Reader
from holymon.protocols.sse import MAX_EVENT, Event
from holymon.records.attempt import Marks

MAX_BODY: Final = 64 * 1024 * 1024
MAX_ERROR_BODY: Final = 64 * 1024


_encode: Final = msgspec.json.encode


def request_body(model: str, text: str, *, max_tokens: int | None, stream: bool) -> bytes:
    """The JSON body of one chat completion. Raises ValueError for what JSON can't carry."""
    body: dict[str, Any] = {"model": model, "messages": [{"role": "user", "content": text}]}
    if max_tokens is not None:
        body["max_tokens"] = max_tokens
    if stream:
        body |= {"stream": True, "stream_options": {"include_usage": True}}
    return _encode(body)


class StreamReader(Reader):
    """Reads one streamed answer into its marks, piece by piece.

    With `keep`, the text of choice 0 is kept in `text`.
    """

    __slots__ = ("_keep", "_texts")

    def __init__(self, marks: Marks, *, keep: bool = False, max_event: int = MAX_EVENT) -> None:
        """Expect the beginning of a stream."""
        super().__init__(marks, max_event=max_event)
        self._keep = keep
        self._texts: dict[int, list[str]] = {}

    @property
    def text(self) -> str:
        """The content of choice 0, if it was to be kept."""
        return self.texts.get(0, "")

    @property
    def texts(self) -> dict[int, str]:
        """The content of each choice by its index, if it was to be kept."""
        return {index: "".join(parts) for index, parts in self._texts.items()}

    def one(self, now: float, event: Event) -> int:
        """Whether one event brought tokens of output (0 or 1)."""
        return 1 if self._is_text(now, event) else super().one(now, event)

    def _is_text(self, now: float, event: Event) -> bool:
        """Whether an event is what nearly all are, a piece of text and nothing else; noted then."""
        data, name = event
        if name or not data.isascii():
            return False
        try:
            answer = answer_of(data)
        except (msgspec.MsgspecError, RecursionError):
            return False
        if answer.error or answer.usage is not None or not answer.choices:
            return False
        choice = answer.choices[0]
        delta = choice.delta
        if delta is None or len(answer.choices) > 1 or choice.finish_reason or choice.error:
            return False
        if not isinstance(delta.content, str) or not delta.content or choice.text:
            return False
        marks = self.marks
        if marks.content != marks.content:
            marks.content = now
            if marks.chunk != marks.chunk:
                marks.chunk = now
        if self._keep:
            self._keep_text(choice.index, delta.content)
        return True

    def read(self, now: float, event: Event) -> int:
        """Take in an event that may be anything of this dialect."""
        answer = decoded(event.data, answer_of)
        if answer.error:
            self.fail("stream_error_event", said(event.data, self.marks))
            return 0
        if answer.usage is not None:
            read_usage(answer.usage, self.marks)
        elif answer.choices is None and not _may_be_empty(event):
            self.fail("invalid_schema", "an event with neither choices, usage nor error")
            return 0
        got = 0
        if answer.choices:
            if self.marks.chunk != self.marks.chunk:
                self.marks.chunk = now
            for choice in answer.choices:
                got |= self._choice(now, choice)
        return got

    def _choice(self, now: float, choice: Choice) -> int:
        if failed(choice, self.marks):
            self.fail("stream_error_event", message_of(choice.error, self.marks))
            return 0
        if choice.finish_reason and choice.finish_reason != "null":
            self.finished = True
            finish(choice.finish_reason, self.marks)
        delta = choice.delta or choice.message
        content = choice.text or (delta.content if delta else None)
        if content:
            if self.marks.content != self.marks.content:
                self.marks.content = now
            if self._keep and isinstance(content, str):
                self._keep_text(choice.index, content)
            return 1
        return 1 if delta is not None and says(delta) else 0

    def _keep_text(self, index: Any, content: str) -> None:
        number = index if isinstance(index, int) else 0
        self._texts.setdefault(number, []).append(content)


def read_answer(body: bytes, marks: Marks) -> tuple[str, str, str]:
    """Error type, message and content of a non-streamed 200; fills in the marks' counts."""
    answer, error, message = read_body(body, answer_of, marks)
    if answer is None:
        return error, message, ""
    if answer.error:
        message = said(body, marks)
        return in_band(answer.error, marks), message, ""
    read_usage(answer.usage, marks)
    if not answer.choices:
        return "invalid_schema", "no choices", ""
    choice = answer.choices[0]
    if failed(choice, marks):
        return "server_error", message_of(choice.error, marks), ""
    if choice.message is None and choice.text is None:
        return "invalid_schema", "a choice without a message", ""
    finish(choice.finish_reason or "", marks)
    content = choice.text or (choice.message.content if choice.message else None)
    if not content and not (choice.message and says(choice.message)) and not marks.finish:
        return "empty_response", "", ""
    return OK, "", content if isinstance(content, str) else ""


def _may_be_empty(event: Event) -> bool:
    """Bookkeeping: an object that names what it is (Azure opens with one), or a named event."""
    found = lenient(event.data)
    named = event.name not in {b"", b"message"}
    return isinstance(found, dict) and (named or "object" in found or "id" in found)
