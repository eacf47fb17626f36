"""One answer as it comes, and what it leaves in the marks of its call: pure, for every dialect.

    Reading(marks, dialect) --> head --> piece, piece, ... --> end

A load and a watched client both read with it, so an answer means the same in both. A dialect reads
one event at a time and says whether that brought tokens of output; what is no JSON, or not of the
dialect's shape, fails here.

A stream is complete when it has `finished` (its dialect knows why it ended) or is `done` (its last
event has come; some servers send only one of the two: flagged, not failed). With neither it is
`stream_truncated`, however cleanly it closed.
"""

from collections.abc import Callable, Iterable, Mapping
from types import MappingProxyType
from typing import Final, NamedTuple

import msgspec

from holymon.errors import OK
from holymon.protocols.error_body import error_text, is_error, is_utf8, parsed, read_error
from holymon.protocols.retry_after import retry_after
from holymon.protocols.sse import MAX_EVENT, Decoder, Event, EventTooLarge
from holymon.records.attempt import Flag, Marks

DONE: Final = b"[DONE]"
"""The last event of OpenAI's chat; some servers end any stream with it."""

MAX_BODY: Final = 64 * 1024 * 1024
MAX_ERROR_BODY: Final = 64 * 1024

_CUT_OFF: Final = frozenset({"stream_truncated", "empty_response"})
_ODD: Final = _CUT_OFF | {
    "invalid_schema", "invalid_json", "invalid_utf8", "unexpected_content_type", "event_too_large",
    "response_too_large",
}  # fmt: skip
"""What is no fault of an answer of which nobody knows how it should look."""

Header = Callable[[str], str]
"""Finds a header of an answer by its name in lower case; `""` if it is missing."""


class Dialect(NamedTuple):
    """What one endpoint speaks: where it is, what is sent there, and what reads its answers."""

    path: str
    """Behind the base_url, with its slash."""

    body: Callable[[str, str, int | None, bool], bytes]
    """The JSON of a request by model, text, most tokens, and whether it is to be streamed."""

    event: Callable[["Reading", float, Event], int]
    """How many tokens (0 or 1) an event brought; raises what msgspec does, or RecursionError."""

    answer: Callable[[bytes, Marks], tuple[str, str, str]]
    """Error type, message and text of a 200 in one piece; fills in the marks' counts."""

    quick: Callable[["Reading", float, Event], bool] | None = None
    """Whether an event was a piece of text and nothing else, now noted: what nearly all are."""

    headers: Mapping[str, str] = MappingProxyType({})
    """What each request must say besides."""

    key_header: bytes = b"authorization: Bearer "
    """What stands before the key."""


class Reading:
    """The state of one answer.

    `stream` says whether one was asked for; None: somebody else asked, and the answer tells. With
    `lenient` nobody knows how the answer should look: only an error that it reports is one. With
    `keep`, its text is kept.
    """

    __slots__ = (
        "_begun", "_collected", "_decoder", "_dialect", "_kind", "_most", "_seen", "_stream",
        "done", "error", "finished", "lenient", "marks", "message", "over", "texts",
    )  # fmt: skip

    def __init__(
        self, marks: Marks, dialect: Dialect, *, stream: bool | None = None,
        lenient: bool = False, keep: bool = False,
    ) -> None:  # fmt: skip
        """Expect the head of an answer."""
        self.marks, self.lenient = marks, lenient
        self.error = OK
        self.message = self._kind = ""
        self.done = self.finished = self.over = self._seen = self._begun = False
        self._dialect, self._stream = dialect, stream
        self._decoder: Decoder | None = None
        self._collected: list[bytes] = []
        self._most = MAX_BODY
        self.texts: dict[int, str] | None = {} if keep else None
        """The content of each choice by its index, if it is to be kept."""
        if stream:
            marks.flags |= Flag.STREAM

    @property
    def streaming(self) -> bool:
        """Whether the answer is a stream of events."""
        return self._decoder is not None

    @property
    def body(self) -> bytes:
        """What has come of an answer that is not a stream; of an error no more than its limit."""
        return b"".join(self._collected)[: self._most]

    def head(self, now: float, status: int, header: Header) -> None:
        """Take in the status and the headers, which came at `now`."""
        marks = self.marks
        marks.headers, marks.status = now, status
        marks.request_id = header("x-request-id") or header("request-id")
        self._kind = header("content-type")
        if header("x-holymon-sim"):
            marks.flags |= Flag.SIMULATED
        if status != 200:
            waits = header("retry-after"), header("date"), header("retry-after-ms")
            marks.retry_after = retry_after(*waits)
            marks.should_retry = header("x-should-retry")
            self._most = MAX_ERROR_BODY
        elif self._stream is not False and self._kind.lower().startswith("text/event-stream"):
            marks.flags |= Flag.STREAM
            self._decoder = Decoder(MAX_EVENT)
        elif self._stream:
            self._most = MAX_ERROR_BODY

    def piece(self, now: float, data: bytes) -> bool:
        """Take in a part of the body that came at `now`; whether nothing more is needed."""
        marks = self.marks
        marks.bytes += len(data)
        if self._decoder is None:
            if marks.bytes - len(data) <= self._most:
                self._collected.append(data)
            return marks.bytes > self._most
        if self.error:
            return True
        if not self._begun:
            self._look(data)
        try:
            self._take(now, self._decoder.feed(data))
        except EventTooLarge:
            if not self.done:
                self.fail("event_too_large", "")
        enough = self.done or bool(self.error)
        if enough and marks.end != marks.end and not self.lenient:
            # The answer ends here, however long the stream is kept open.
            marks.end = now
        return enough

    def end(self, now: float, broken: str = "", message: str = "", *, whole: bool = True) -> str:
        """Judge the answer, which was over at `now`; the error type, `""` if it is complete.

        `broken` is the error type of what broke it off and `message` the words for it; not `whole`
        is what was compressed and lacks its end. An error that the marks hold already stays, and
        so does the first verdict.
        """
        marks = self.marks
        if self.over:
            return marks.error
        self.over = True
        fine = marks.status in {0, 200} or (self.lenient and 200 < marks.status < 300)
        if not fine:  # the status counts even if the body never ends
            marks.error, marks.message = read_error(marks.status, self.body, marks)
        elif not marks.error:
            marks.error, marks.message = self._verdict(now, broken, message, whole)
        if marks.end != marks.end:
            marks.end = now
        if marks.events:
            if marks.error:
                marks.flags |= Flag.AFTER_FIRST_TOKEN
            if marks.output_tokens < 0:
                marks.output_tokens = marks.events
        return marks.error

    # What a dialect calls.

    def fail(self, error: str, message: str) -> None:
        """The answer has failed: its error type, and the words for it."""
        self.error, self.message = error, message

    def keep(self, text: str, choice: int = 0) -> None:
        """A piece of content, which is dropped unless texts are to be kept."""
        if self.texts is not None:
            self.texts[choice] = self.texts.get(choice, "") + text

    # Streams.

    def _look(self, data: bytes) -> None:
        """Whether a stream begins like one of events."""
        if start := data.lstrip(b"\xef\xbb\xbf \t\r\n"):
            self._begun = True
            if start[:1] == b"<":
                self.fail("unexpected_content_type", "a page of HTML instead of events")

    def _take(self, now: float, events: Iterable[Event]) -> None:
        tokens, quick = 0, self._dialect.quick
        for event in events:
            last = event.data.strip() == DONE
            if self.done or self.error:
                if self.done and not last:
                    self.marks.flags |= Flag.AFTER_DONE
                break
            self._seen = True
            if last:
                self.done = True
            elif quick is not None and quick(self, now, event):
                tokens += 1
            else:
                tokens += self._event(now, event)
        if tokens:
            self.marks.token(now, tokens)

    def _event(self, now: float, event: Event) -> int:
        """Tokens (0 or 1) in one event, whatever it holds."""
        data = event.data
        if event.name == b"error":
            self.fail("stream_error_event", error_text(data, self.marks))
        elif not data.isascii() and not is_utf8(data):
            self.fail("invalid_utf8", "")
        else:
            try:
                return self._dialect.event(self, now, event)
            except msgspec.ValidationError as error:
                if is_error(data):
                    self.fail("stream_error_event", error_text(data, self.marks))
                else:
                    self.fail("invalid_schema", str(error))
            except (msgspec.DecodeError, RecursionError) as error:
                self.fail("invalid_json", str(error))
        return 0

    # Verdicts.

    def _verdict(self, now: float, broken: str, words: str, whole: bool) -> tuple[str, str]:
        """Error type and message of a 200, or of what broke off before there was any status."""
        if self._decoder is not None:
            error, message = self._closed(now, self._decoder), self.message
            # What had come before the connection broke may still be a whole answer; and a server
            # that hangs up in the middle of one has truncated it, whichever way it did that.
            hung_up = broken == "server_disconnected" and self.marks.events
            if broken and error in _CUT_OFF and not hung_up:
                return broken, words
        elif broken or not self.marks.status:
            return broken, words
        elif self._stream:
            error, message = self._instead_of_a_stream()
        else:
            error, message = self._answer(whole)
        return (broken, words) if self.lenient and error in _ODD else (error, message)

    def _closed(self, now: float, decoder: Decoder) -> str:
        if not self.error and not self.done:
            rest = decoder.close()
            self._seen = self._seen or bool(rest)
            # One that was cut off in its middle is a truncation, not bad JSON.
            self._take(now, [event for event in rest if _is_whole(event.data)])
        if self.error:
            return self.error
        if not self.finished and not self.done:
            return "stream_truncated" if self._seen else "empty_response"
        if not self.finished and not self.marks.events:
            return "empty_response"
        if not self.finished:
            self.marks.flags |= Flag.NO_FINISH
        elif not self.done:
            self.marks.flags |= Flag.NO_DONE
        return OK

    def _instead_of_a_stream(self) -> tuple[str, str]:
        """What came when a stream was asked for: an error in JSON, or no answer at all."""
        body = self.body
        if not body.strip():
            return "empty_response", ""
        if is_error(body):
            return "stream_error_event", error_text(body, self.marks)
        return "unexpected_content_type", self._kind

    def _answer(self, whole: bool) -> tuple[str, str]:
        if self.marks.bytes > self._most:
            return "response_too_large", ""
        kind = self._kind.lower()
        page = "html" in kind or (kind.startswith("text/") and "json" not in kind)
        if page and self._stream is False:
            return "unexpected_content_type", kind
        error, message, text = self._dialect.answer(self.body, self.marks)
        self.keep(text)
        return error or (OK if whole else "decoding_error"), message


def _is_whole(data: bytes) -> bool:
    return data.strip() == DONE or parsed(data) is not None
