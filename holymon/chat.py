"""The OpenAI-compatible chat dialect: request bodies out; bytes of answers in, marks and a verdict.

Pure: bytes and points in time come in, nothing is read or awaited here.

    StreamReader.feed(now, bytes) ... .close() -> error type    for `stream: true`
    read_answer(bytes, marks) -> error type                     for one JSON body

A stream is complete when a finish reason or `[DONE]` was seen (some servers send only one of
them: flagged, not failed); with neither it is `stream_truncated`, however cleanly it closed.
"""

from typing import Any, Final

import msgspec

from holymon.completion import Answer, Choice, answer_of, failed, finish, read_usage, says
from holymon.errorbody import decoded, error_of, in_band, is_error, lenient, message_of, said
from holymon.errors import OK
from holymon.marks import Flag, Marks
from holymon.sse import MAX_EVENT, Decoder, Event

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


class StreamReader:
    """Reads one streamed answer into its marks, piece by piece.

    `error` turns non-empty when the answer has failed, `done` when nothing more is needed.
    With `keep`, the text of choice 0 is kept in `text`.
    """

    __slots__ = (
        "_begun", "_decoder", "_finished", "_keep", "_seen", "_texts", "done", "error", "marks",
        "message",
    )  # fmt: skip

    def __init__(self, marks: Marks, *, keep: bool = False, max_event: int = MAX_EVENT) -> None:
        """Expect the beginning of a stream."""
        self.marks = marks
        self.error = OK
        self.message = ""
        self.done = False
        self._decoder = Decoder(max_event)
        self._begun = self._seen = self._finished = False
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

    def feed(self, now: float, chunk: bytes) -> bool:
        """Take in what was received at `now`; whether that is enough. Raises EventTooLarge."""
        if not self._begun and (head := chunk.lstrip(b"\xef\xbb\xbf \t\r\n")):
            self._begun = True
            if head[:1] == b"<":
                self._fail("unexpected_content_type", "a page of HTML instead of events")
        self.marks.bytes += len(chunk)
        self._take(now, self._decoder.feed(chunk))
        return self.done or bool(self.error)

    def close(self, now: float) -> str:
        """The stream has ended; returns the error type, `""` if the answer is complete."""
        if not self.error and not self.done:
            rest = self._decoder.close()
            self._seen = self._seen or bool(rest)
            if rest and not _is_whole(rest[0]):
                rest = []  # cut in the middle of an event: that is a truncation, not bad JSON
            self._take(now, rest)
        return self.error or self._verdict()

    def _verdict(self) -> str:
        marks = self.marks
        if not self._finished and not self.done:
            return "stream_truncated" if self._seen else "empty_response"
        if not marks.events and not marks.finish:
            return "empty_response"
        if not self._finished:
            marks.flags |= Flag.NO_FINISH
        elif not self.done:
            marks.flags |= Flag.NO_DONE
        return OK

    def _take(self, now: float, events: list[Event]) -> None:
        tokens = 0
        self._seen = self._seen or bool(events)
        for event in events:
            if self.done or self.error:
                if self.done:
                    self.marks.flags |= Flag.AFTER_DONE
                break
            if event.data == b"[DONE]" or event.data.strip() == b"[DONE]":
                self.done = True
            elif self._is_text(now, event):
                tokens += 1
            else:
                tokens += self._read(now, event)
        if tokens:
            self.marks.token(now, tokens)

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

    def _read(self, now: float, event: Event) -> int:
        """Whether one event brought tokens of output (0 or 1)."""
        data = event.data
        if event.name == b"error":
            self._fail("stream_error_event", said(data, self.marks))
        elif not data.isascii() and not _is_utf8(data):
            self._fail("invalid_utf8", "")
        else:
            try:
                return self._answer(now, decoded(data, answer_of), event)
            except msgspec.ValidationError as error:
                self._bad_shape(data, str(error))
            except (msgspec.DecodeError, RecursionError) as error:
                self._fail("invalid_json", str(error))
        return 0

    def _answer(self, now: float, answer: Answer, event: Event) -> int:
        if answer.error:
            self._fail("stream_error_event", message_of({"error": answer.error}, self.marks))
            return 0
        if answer.usage is not None:
            read_usage(answer.usage, self.marks)
        elif answer.choices is None and not _may_be_empty(event):
            self._fail("invalid_schema", "an event with neither choices, usage nor error")
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
            self._fail("stream_error_event", message_of(choice.error, self.marks))
            return 0
        if choice.finish_reason and choice.finish_reason != "null":
            self._finished = True
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

    def _bad_shape(self, data: bytes, why: str) -> None:
        if is_error(data):
            self._fail("stream_error_event", said(data, self.marks))
        else:
            self._fail("invalid_schema", why)

    def _fail(self, error: str, message: str) -> None:
        self.error, self.message = error, message


def read_answer(body: bytes, marks: Marks) -> tuple[str, str, str]:
    """Error type, message and content of a non-streamed 200; fills in the marks' counts."""
    if not body.strip():
        return "empty_response", "", ""
    if not _is_utf8(body):
        return "invalid_utf8", "", ""
    try:
        answer = decoded(body.removeprefix(b"\xef\xbb\xbf"), answer_of)
    except msgspec.ValidationError as error:
        reported, message = error_of(body), said(body, marks)
        return (
            (in_band(reported, marks), message, "")
            if reported
            else ("invalid_schema", str(error), "")
        )
    except (msgspec.DecodeError, RecursionError) as error:
        return "invalid_json", str(error), ""
    if answer.error:
        message = message_of({"error": answer.error}, marks)
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


def _is_whole(event: Event) -> bool:
    return event.data.strip() == b"[DONE]" or lenient(event.data) is not None


def _is_utf8(data: bytes) -> bool:
    try:
        data.decode()
    except UnicodeDecodeError:
        return False
    return True
