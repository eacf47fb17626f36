"""A streamed answer, read piece by piece into the marks of its call, whatever its dialect.

A dialect's reader takes in one event at a time and says whether that brought tokens of output
(0 or 1). It sets `finished` when it knows why the answer ended, `done` at its last event, and
calls `fail`. What is no JSON, or not of the dialect's shape, fails here.

A stream is complete when it has `finished` or is `done` (some servers send only one of the two:
flagged, not failed); with neither it is `stream_truncated`, however cleanly it closed.
"""

from collections.abc import Iterable

import msgspec

from holymon.errors import OK
from holymon.protocols.error_body import is_error, is_utf8, lenient, said
from holymon.protocols.sse import MAX_EVENT, Decoder, Event
from holymon.records.attempt import Flag, Marks

DONE = b"[DONE]"
"""The last event of OpenAI's chat; some servers end any stream with it."""


class Reader:
    """What reads one streamed answer; a dialect's own has a `read`.

    `error` turns non-empty when the answer has failed, `done` when nothing more is needed.
    """

    __slots__ = ("_begun", "_decoder", "_seen", "done", "error", "finished", "marks", "message")

    def __init__(self, marks: Marks, *, max_event: int = MAX_EVENT) -> None:
        """Expect the beginning of a stream."""
        self.marks = marks
        self.error = OK
        self.message = ""
        self.done = self.finished = self._seen = self._begun = False
        self._decoder = Decoder(max_event)

    def read(self, now: float, event: Event) -> int:
        """Take in one event that came at `now`. Raises what msgspec does, or RecursionError."""
        raise NotImplementedError

    def one(self, now: float, event: Event) -> int:
        """The same, whatever the event holds."""
        data = event.data
        if event.name == b"error":
            self.fail("stream_error_event", said(data, self.marks))
        elif not data.isascii() and not is_utf8(data):
            self.fail("invalid_utf8", "")
        else:
            try:
                return self.read(now, event)
            except msgspec.ValidationError as error:
                if is_error(data):
                    self.fail("stream_error_event", said(data, self.marks))
                else:
                    self.fail("invalid_schema", str(error))
            except (msgspec.DecodeError, RecursionError) as error:
                self.fail("invalid_json", str(error))
        return 0

    def feed(self, now: float, chunk: bytes) -> bool:
        """Take in what was received at `now`; whether that is enough. Raises EventTooLarge."""
        if not self._begun and (head := chunk.lstrip(b"\xef\xbb\xbf \t\r\n")):
            self._begun = True
            if head[:1] == b"<":
                self.fail("unexpected_content_type", "a page of HTML instead of events")
        self.marks.bytes += len(chunk)
        self._take(now, self._decoder.feed(chunk))
        return self.done or bool(self.error)

    def close(self, now: float) -> str:
        """The stream has ended; returns the error type, `""` if the answer is complete."""
        if not self.error and not self.done:
            rest = self._decoder.close()
            self._seen = self._seen or bool(rest)
            # One that was cut off in its middle is a truncation, not bad JSON.
            self._take(now, [one for one in rest if _is_whole(one.data)])
        return self.error or self._verdict()

    def fail(self, error: str, message: str) -> None:
        """The answer has failed: its error type, and the words for it."""
        self.error, self.message = error, message

    def _verdict(self) -> str:
        if not self.finished and not self.done:
            return "stream_truncated" if self._seen else "empty_response"
        if not self.finished and not self.marks.events:
            return "empty_response"
        if not self.finished:
            self.marks.flags |= Flag.NO_FINISH
        elif not self.done:
            self.marks.flags |= Flag.NO_DONE
        return OK

    def _take(self, now: float, events: Iterable[Event]) -> None:
        tokens = 0
        for event in events:
            last = event.data.strip() == DONE
            if self.done or self.error:
                if self.done and not last:
                    self.marks.flags |= Flag.AFTER_DONE
                break
            self._seen = True
            if last:
                self.done = True
            else:
                tokens += self.one(now, event)
        if tokens:
            self.marks.token(now, tokens)


def _is_whole(data: bytes) -> bool:
    return data.strip() == DONE or lenient(data) is not None
