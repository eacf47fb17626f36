"""A streamed answer of typed events, read into the marks of its call, whatever their dialect.

A dialect's `read(stream, now, data)` takes in one event and says whether that brought tokens of
output (0 or 1). It sets `finished` when it knows why the answer ended, `done` at its last event,
and calls `fail`. What is no JSON, or not of the dialect's shape, fails here.
"""

from collections.abc import Callable

from holymon.errorbody import BROKEN, fault, lenient
from holymon.errors import OK
from holymon.marks import Flag, Marks
from holymon.sse import MAX_EVENT, Decoder, Event


class Reader:
    """Reads one streamed answer into its marks, piece by piece.

    `error` turns non-empty when the answer has failed, `done` when nothing more is needed.
    """

    __slots__ = (
        "_begun", "_decoder", "_read", "_seen", "done", "error", "finished", "marks", "message",
    )  # fmt: skip

    def __init__(self, marks: Marks, read: Callable[["Reader", float, bytes], int]) -> None:
        """Expect the beginning of a stream."""
        self.marks = marks
        self.error = OK
        self.message = ""
        self.done = self.finished = self._seen = self._begun = False
        self._decoder = Decoder(MAX_EVENT)
        self._read = read

    def feed(self, now: float, chunk: bytes) -> bool:
        """Take in what was received at `now`; whether that is enough. Raises EventTooLarge."""
        self.marks.bytes += len(chunk)
        if not self._begun and (head := chunk.lstrip(b"\xef\xbb\xbf \t\r\n")):
            self._begun = True
            if head[:1] == b"<":
                self.fail("unexpected_content_type", "a page of HTML instead of events")
        self._take(now, self._decoder.feed(chunk))
        return self.done or bool(self.error)

    def close(self, now: float) -> str:
        """The stream has ended; returns the error type, `""` if the answer is complete."""
        if not self.error and not self.done:
            rest = self._decoder.close()
            self._seen = self._seen or bool(rest)
            self._take(now, [one for one in rest if _is_whole(one.data)])
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

    def fail(self, error: str, message: str) -> None:
        """The answer has failed: its error type, and the words for it."""
        self.error, self.message = error, message

    def _take(self, now: float, events: list[Event]) -> None:
        tokens = 0
        for event in events:
            # Some servers end any stream as OpenAI's chat ends.
            last = event.data.strip() == b"[DONE]"
            if self.done or self.error:
                if self.done and not last:
                    self.marks.flags |= Flag.AFTER_DONE
                break
            self._seen = True
            if last:
                self.done = True
            else:
                tokens += self._one(now, event.data)
        if tokens:
            self.marks.token(now, tokens)

    def _one(self, now: float, data: bytes) -> int:
        try:
            return self._read(self, now, data)
        except BROKEN as error:
            self.fail(*fault(error))
        return 0


def _is_whole(data: bytes) -> bool:
    return data.strip() == b"[DONE]" or lenient(data) is not None
