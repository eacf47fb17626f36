"""One call that somebody else makes: what is seen of it passing by becomes a record.

    begin(...) -> Exchange --> answered --> piece, piece, ... --> ended | failed | closed

Whoever makes the call must notice nothing: no method here raises, and what can't be read is
recorded as far as it was seen.
"""

import re
import zlib
from collections.abc import Callable
from contextvars import ContextVar
from time import perf_counter
from typing import Any, Final, Self

from holymon import chat, errorbody, messages
from holymon.failures import classify
from holymon.inflate import Inflater, inflater
from holymon.ledger import Ledger
from holymon.marks import Flag, Marks
from holymon.retry import retry_after
from holymon.sse import EventTooLarge

PATIENCE_S: Final = 10.0
"""How long after a failure an SDK may begin its next attempt, besides what the server asked for."""

_WORD: Final = re.compile(r"[A-Za-z_.-]+|[0-9]{1,5}")
_LAST: Final[ContextVar[tuple[Ledger, int, int, float] | None]] = ContextVar(
    "the last failed attempt here, as (ledger, request, attempt, due)", default=None
)


class Exchange:
    """One attempt, as it passes by.

    `counted` is its number if its caller repeats calls by itself, as the SDKs do and tell in a
    header, else None.
    """

    __slots__ = (
        "_anthropic",
        "_counted",
        "_enough",
        "_inflater",
        "_ledger",
        "_open",
        "_parts",
        "_readable",
        "_reader",
        "_size",
        "marks",
    )  # fmt: skip

    def __init__(
        self, ledger: Ledger, target: int, *, anthropic: bool, counted: int | None
    ) -> None:
        """It is about to be sent."""
        now = perf_counter()
        number, attempt, due = _linked(ledger, counted, now)
        self.marks = Marks(number, target, due, attempt)
        self.marks.start = now
        self._ledger, self._anthropic, self._counted = ledger, anthropic, counted
        self._reader: chat.StreamReader | messages.Reader | None = None
        self._inflater: Inflater | None = None
        self._parts: list[bytes] = []
        self._size = 0
        self._open = self._readable = True
        self._enough = False

    def answered(self, status: int, header: Callable[[str, str], str]) -> None:
        """The headers are there; `header(name, default)` finds one."""
        marks = self.marks
        marks.headers, marks.status = perf_counter(), status
        if header("x-holymon-sim", ""):
            marks.flags |= Flag.SIMULATED
        if packing := header("content-encoding", ""):
            self._inflater = inflater(packing)
            self._readable = self._inflater is not None or packing == "identity"
        if status != 200:
            asked = header("retry-after", ""), header("date", ""), header("retry-after-ms", "")
            marks.retry_after = retry_after(*asked)
            marks.told = header("x-should-retry", "")
        elif header("content-type", "").lower().startswith("text/event-stream"):
            marks.flags |= Flag.STREAM
            reader = messages.Reader if self._anthropic else chat.StreamReader
            self._reader = reader(marks)

    def piece(self, data: bytes) -> None:
        """A part of the body came."""
        now = perf_counter()
        if self._enough:
            return
        try:
            if self._inflater is not None:
                self._unpack(now, data)
            elif self._reader is not None and self._readable:
                self._enough = self._reader.feed(now, data)
            else:
                self._collect(data)
        except EventTooLarge:
            self.marks.error, self._enough = "event_too_large", True
        except zlib.error:
            self.marks.error, self._enough = "decoding_error", True
        except Exception:  # noqa: BLE001 - a fault of ours must not become one of the application
            self.marks.error, self._enough = "_OTHER", True

    def __enter__(self) -> Self:
        return self

    def __exit__(self, _: object, error: BaseException | None, __: object) -> None:
        """Whatever breaks its block off is the end of the call."""
        if error is not None:
            self.failed(error)

    def ended(self) -> None:
        """The whole body came."""
        self._finish("")

    def failed(self, error: BaseException) -> None:
        """The call was broken off by an exception."""
        kind = classify(error) if isinstance(error, Exception) else "cancelled"
        if kind == "first_byte_timeout" and self.marks.status:
            kind = "stream_stalled" if self._reader is not None else "deadline_exceeded"
        self._finish(kind)

    def closed(self) -> None:
        """Its caller wants no more of it."""
        self._finish("cancelled")

    def _unpack(self, now: float, data: bytes) -> None:
        assert self._inflater is not None
        while not self._enough:
            if piece := self._inflater.step(data):
                if self._reader is not None:
                    self._enough = self._reader.feed(now, piece)
                else:
                    self._collect(piece)
            data = b""
            if not self._inflater.more:
                return

    def _collect(self, data: bytes) -> None:
        self.marks.bytes += len(data)
        self._size += len(data)
        limit = chat.MAX_BODY if self.marks.status == 200 else chat.MAX_ERROR_BODY
        if self._size <= limit and self._readable:
            self._parts.append(data)

    def _finish(self, broken: str) -> None:
        if not self._open:
            return
        self._open = False
        marks = self.marks
        now = perf_counter()
        try:
            marks.error = marks.error or self._verdict(broken, now)
        except Exception:  # noqa: BLE001 - as above
            marks.error = "_OTHER"
        if marks.code and not _WORD.fullmatch(marks.code):
            marks.code = "other"  # it might be a key, of which nothing is known here
        done = self._reader is not None and self._reader.done
        marks.end = marks.last if done and marks.last == marks.last else now
        if marks.error and marks.events:
            marks.flags |= Flag.AFTER_FIRST_TOKEN
        if marks.output_tokens < 0 and marks.events:
            marks.output_tokens = marks.events
        self._record(now)

    def _verdict(self, broken: str, now: float) -> str:
        marks = self.marks
        if not marks.status:
            return broken
        if marks.status != 200:
            return errorbody.read_error(marks.status, b"".join(self._parts), marks)[0]
        if not self._readable:
            return broken
        if self._reader is not None:
            found = self._reader.close(now)
            whole = found not in {"stream_truncated", "empty_response"}
            return found if whole or not broken else broken
        if broken:
            return broken
        read = messages.read_answer if self._anthropic else chat.read_answer
        return read(b"".join(self._parts), marks)[0]

    def _record(self, now: float) -> None:
        marks = self.marks
        may_repeat = (
            self._counted is not None and marks.error not in {"", "cancelled"}
            and not marks.events and marks.told != "false"
        )  # fmt: skip
        if may_repeat:
            asked = 0.0 if marks.retry_after != marks.retry_after else marks.retry_after
            self._ledger.hold(marks, now + PATIENCE_S + min(asked, 120.0))
            _LAST.set((self._ledger, marks.request, marks.attempt, marks.due))
        else:
            self._ledger.add(marks)


def _linked(ledger: Ledger, counted: int | None, now: float) -> tuple[int, int, float]:
    """Number, attempt and beginning of the request that an attempt belongs to."""
    last = _LAST.get() if counted is not None else None
    if last is None or last[0] is not ledger:
        return ledger.number(), counted or 0, now
    _LAST.set(None)
    _, request, attempt, due = last
    follows = counted == attempt + 1
    ledger.settle(request, retried=follows)
    return (request, attempt + 1, due) if follows else (ledger.number(), counted or 0, now)


def whole(exchange: Exchange, response: Any) -> bool:
    """Whether a response came with its body already read, as from a transport for tests."""
    content = getattr(response, "_content", None)
    if content is None:
        return False
    exchange._readable, exchange._inflater = True, None
    exchange.piece(content)
    exchange.ended()
    return True
