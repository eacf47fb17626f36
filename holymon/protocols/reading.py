"""One answer as it comes, and what it leaves in the marks of its call: pure, for every dialect.

    Reading(marks, dialect) --> head --> piece, piece, ... --> end

A load and a watched client both read with it, so an answer means the same in both. It is judged by
what it says: whether it is a stream by how its body begins, not by its content type; any 2xx is a
200. A dialect reads one event at a time and says whether that brought tokens of output; what it
does not know is an error with its words, an end, a keep-alive or nothing (`stray`).

A stream is complete when it has `finished` (its dialect knows why it ended) or is `done` (its last
event has come; some servers send only one of the two: flagged, not failed). With neither it is
`stream_truncated`, however cleanly it closed; and `invalid_schema` if any of it could not be read.
"""

from collections.abc import Callable
from math import isnan, nan
from typing import Final

from holymon.errors import OK
from holymon.protocols.bodies import answer, instead_of_a_stream
from holymon.protocols.bounds import LONG, MAX_BODY, MAX_ERROR_BODY, MOST_IDLE, is_vast
from holymon.protocols.dialect import Dialect
from holymon.protocols.error_body import first_of, is_good, is_job, of_page, read_error, redirection
from holymon.protocols.events import after_the_last, is_whole, read_event
from holymon.protocols.retry_after import retry_after
from holymon.protocols.sniff import Body, kind_of
from holymon.protocols.sse import MAX_EVENT, Decoder, Event, EventTooLarge
from holymon.protocols.written_json import Arguments, written
from holymon.records.attempt import Flag, Marks

DONE: Final = b"[DONE]"
"""The last event of OpenAI's chat; some servers end any stream with it."""

_SHORT: Final = 16  # no event that is a piece of text is so short
_CUT_OFF: Final = frozenset({"stream_truncated", "empty_response"})
_ODD: Final = _CUT_OFF | {
    "invalid_schema", "invalid_json", "invalid_utf8", "unexpected_content_type", "event_too_large",
    "response_too_large",
}  # fmt: skip
"""What is no fault of an answer of which nobody knows how it should look."""

Header = Callable[[str], str]
"""Finds a header of an answer by its name in lower case; `""` if it is missing."""


class Reading:
    """The state of one answer.

    `stream` says whether one was asked for; None: somebody else asked, and the answer tells. With
    `lenient` nobody knows how the answer should look: only an error that it reports is one. With
    `keep`, `texts` holds the content of each choice by its index; with `wants_json` it is looked at
    whether that of the first one is JSON. `acted`: it called a tool or refused; `thought`: it
    reasoned; `by_message`: its pieces are messages; `odd`: the first event that can't be read;
    `words`: text outside of events. `settles`: called when an answer needs no more but its end.
    """

    __slots__ = (
        "_collected", "_decoder", "_idle", "_kind", "_most", "_seen", "_sniffing", "_stream",
        "acted", "arguments", "by_message", "dialect", "done", "error", "finished", "lenient",
        "marks", "message", "odd", "over", "settled", "settles", "texts", "thought", "wants_json",
        "words",
    )  # fmt: skip

    def __init__(
        self, marks: Marks, dialect: Dialect, *, stream: bool | None = None,
        lenient: bool = False, keep: bool = False, wants_json: bool = False,
    ) -> None:  # fmt: skip
        """Expect the head of an answer."""
        self.marks, self.lenient, self.error = marks, lenient, OK
        self.message = self._kind = self.odd = self.words = ""
        self.acted = self.by_message = self.done = self.finished = self.over = self._seen = False
        self._sniffing, self.thought, self.settled = False, False, nan
        self._most, self._idle = MAX_BODY, 0
        self._collected: list[bytes] = []  # `list[bytes]()` takes twenty times as long
        self.settles: Callable[[float], object] = bool
        self.dialect, self._stream, self.wants_json = dialect, stream, wants_json
        self._decoder: Decoder | None = None
        self.texts: dict[int, str] | None = {} if keep or wants_json else None
        self.arguments: Arguments | None = None
        marks.flags |= Flag.STREAM if stream else 0

    @property
    def streaming(self) -> bool:
        """Whether the answer is a stream of events."""
        return self._decoder is not None

    @property
    def text(self) -> str:
        """The content of the first choice with any: some servers number the only one 1."""
        return self.texts[min(self.texts)] if self.texts else ""

    @property
    def body(self) -> bytes:
        """What has come of an answer that is not a stream; of an error no more than its limit."""
        return b"".join(self._collected)[: self._most]

    def head(self, now: float, status: int, header: Header) -> None:
        """Take in the status and the headers, which came at `now`."""
        marks = self.marks
        marks.headers, marks.status = now, status
        marks.request_id = header("x-request-id") or header("request-id")
        self._kind = header("content-type").lower()
        if header("x-holymon-sim"):
            marks.flags |= Flag.SIMULATED
        if status != 200 and not is_good(status):
            waits = header("retry-after"), header("date"), header("retry-after-ms")
            marks.retry_after = retry_after(*waits)
            marks.should_retry = header("x-should-retry")
            self.words = redirection(status, header("location"))
            self._most = MAX_ERROR_BODY
            return
        self._sniffing = True
        marks.flags |= Flag.LENIENT if status != 200 else 0
        if self._stream is not False and self._kind.startswith("text/event-stream"):
            self._begin_stream()
        elif self._stream:
            self._most = MAX_ERROR_BODY

    def piece(self, now: float, data: bytes) -> bool:
        """Take in a part of the body that came at `now`; whether nothing more is needed."""
        marks = self.marks
        marks.bytes += len(data)
        if self._sniffing:
            usual = b"{" if self._decoder is None else b"data:"
            if data.startswith(usual) and not self._collected:
                self._sniffing = False
            elif not (data := self._sniffed(data)):
                return False
        if self._decoder is None:
            if marks.bytes - len(data) <= self._most:
                self._collected.append(data)
            return marks.bytes > self._most
        if self.error:
            return True
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
        is what was compressed and lacks its end. The first verdict stays, and an error in marks.
        """
        marks = self.marks
        if self.over:
            return marks.error
        self.over = True
        fine = marks.status in {0, 200} or is_good(marks.status)
        if not fine and not (self.lenient and 200 <= marks.status < 300):
            # The status counts even if the body never ends.
            marks.error, words = read_error(marks.status, self.body, marks)
            marks.message = self.words or of_page(self.body, words)
        elif not marks.error:
            marks.error, marks.message = self._verdict(now, broken, message, whole)
        if self.arguments is not None or self.wants_json:
            marks.flags |= written(self)
        if marks.end != marks.end:
            marks.end = self.settled if broken and self.finished else now
        silent = marks.content != marks.content and self.streaming
        if silent and not (marks.error or self.acted or self.lenient):
            marks.flags |= Flag.EMPTY | (Flag.THOUGHT if marks.events else 0)
        if marks.reasoning_tokens > 0 and not self.thought and self.streaming:
            marks.flags |= Flag.VEILED
        if marks.chunks:
            marks.flags |= Flag.AFTER_FIRST_TOKEN if marks.error else 0
            marks.distrust_zero(marks.events)
        return marks.error

    def fail(self, error: str, message: str) -> None:
        """The answer has failed: its error type, and the words for it."""
        self.error, self.message = error, message

    def skip(self, data: bytes) -> None:
        """An event that means nothing in this dialect, though it may hold what was to be read."""
        self.marks.flags |= Flag.SKIPPED
        self.odd = self.odd or first_of(data)

    def keep(self, text: str, choice: int = 0) -> None:
        """A piece of content, which is dropped unless texts are to be kept."""
        if self.texts is not None:
            self.texts[choice] = self.texts.get(choice, "") + text

    def _begin_stream(self) -> None:
        self.marks.flags |= Flag.STREAM
        self._decoder, self._most = Decoder(MAX_EVENT), MAX_BODY

    def _sniffed(self, data: bytes) -> bytes:
        """Find out by how a body begins what it is; what of it is to be read now."""
        self._collected.append(data)
        start, declared = b"".join(self._collected), self.streaming
        kind = kind_of(start, declared=declared)
        if kind is Body.UNKNOWN:
            return b""
        self._sniffing, self._collected = False, []
        if declared and kind is Body.PAGE:
            self.fail("unexpected_content_type", "a page of HTML instead of events")
        elif declared and kind is Body.JSON:
            self._decoder, self._most = None, MAX_ERROR_BODY if self._stream else MAX_BODY
        elif not declared and kind is Body.EVENTS:
            self._begin_stream()
        if (declared or kind is Body.EVENTS) and declared != (kind is Body.EVENTS):
            self.marks.flags |= Flag.LENIENT
        return start

    def _take(self, now: float, events: list[Event]) -> None:
        tokens, quick, counted = 0, self.dialect.quick, self.marks.output_tokens
        for event in events:
            size = len(event.data)
            if size > LONG and not self.done and is_vast(event.data):
                self.fail("event_too_large", "")
            last = size < _SHORT and event.data.strip() == DONE
            if self.error:
                break
            if self.done:
                after_the_last(self, event)
                continue
            self._seen = True
            if last:
                self.done = True
            elif quick is not None and quick(self, now, event):
                tokens += 1
            else:
                tokens += (brought := read_event(self, now, event))
                self.thought |= brought > 0 and not self.acted and isnan(self.marks.content)
        if tokens:
            self.marks.token(now, tokens)
        self._idle += len(events) - tokens
        if self._idle > MOST_IDLE and self.finished:
            self.done = True
        elif self._idle > MOST_IDLE and not (self.error or self.done):
            self.fail("response_too_large", f"over {MOST_IDLE} events without a token")
        if self.finished and not self.done:
            self._settle(now, news=bool(tokens) or self.marks.output_tokens != counted)

    def _settle(self, now: float, *, news: bool) -> None:
        """Nothing more is needed but the last event, unless this brought news."""
        if news or isnan(self.settled):
            self.settled = now
            self.settles(now)

    def _verdict(self, now: float, broken: str, words: str, whole: bool) -> tuple[str, str]:
        """Error type and message of a 200, or of what broke off before there was any status."""
        if self._decoder is not None:
            error, message = self._closed(now, self._decoder), self.message
            # What had come before the connection broke may still be a whole answer; and a server
            # that hangs up in the middle of one has truncated it, whichever way it did that.
            hung_up = broken == "server_disconnected" and self.marks.events
            if broken and error in _CUT_OFF and not hung_up:
                return broken, words
            if self.odd or error:
                error, message = self._unread(error, message)
        elif broken or not self.marks.status:
            return broken, words
        elif self._stream:
            error, message = instead_of_a_stream(self.body, self.dialect, self.marks)
        elif self.marks.bytes > self._most or (self.marks.bytes > LONG and is_vast(self.body)):
            error, message = "response_too_large", ""
        else:
            error, message, text = answer(
                self.body, self._kind, self.dialect, self.marks, certain=self._stream is False
            )
            if text:
                self.keep(text)
                self.marks.distrust_zero(-1)
            error = error or (OK if whole else "decoding_error")
        none = self.lenient and (error in _ODD or (error and is_job(self.body)))
        return (broken, words) if none else (error, message)

    def _closed(self, now: float, decoder: Decoder) -> str:
        if not self.error and not self.done:
            rest = decoder.close()
            self._seen = self._seen or bool(rest)
            # One that was cut off in its middle is a truncation, not bad JSON.
            self._take(now, [*filter(is_whole, rest)])
        if decoder.glued:
            self.marks.flags |= Flag.LENIENT
        if self.error:
            return self.error
        if not self.finished:
            if not self.done or not self.marks.events:
                return "stream_truncated" if self._seen and not self.done else "empty_response"
            self.marks.flags |= Flag.NO_FINISH
        elif not self.done:
            self.marks.flags |= Flag.NO_DONE
        return OK

    def _unread(self, error: str, message: str) -> tuple[str, str]:
        """The verdict; without an end, or without a token, what was not read may be the answer."""
        unsure = not self.finished or not (self.marks.events or self.acted)
        if self.odd and (error in _CUT_OFF or (not error and unsure)):
            return "invalid_schema", f"no event of this API: {self.odd}"
        return error, self.words if error in _CUT_OFF else message
