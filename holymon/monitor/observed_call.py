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
from typing import Any, Final, NamedTuple, Self
from weakref import ref

from holymon.monitor.ledger import Ledger
from holymon.protocols import chat, error_body, messages, responses
from holymon.protocols.retry_after import retry_after
from holymon.protocols.sse import EventTooLarge
from holymon.records.attempt import Flag, Marks
from holymon.transport.exceptions import classify, handled
from holymon.transport.inflate import Inflater, inflater

PATIENCE_S: Final = 10.0
"""How long after a failure an SDK may begin its next attempt, besides what the server asked for."""

_WORD: Final = re.compile(r"[A-Za-z_.-]+|[0-9]{1,5}")
_DIALECTS: Final[dict[str, tuple[Callable[[Marks], Any], Callable[[bytes, Marks], Any]]]] = {
    "completions": (chat.StreamReader, chat.read_answer),
    "messages": (messages.StreamReader, messages.read_answer),
    "responses": (responses.StreamReader, responses.read_answer),
}
"""What reads streams and bodies, by the last part of the path they come from."""

_ODD: Final = frozenset(
    {"stream_truncated", "empty_response", "invalid_schema", "invalid_json", "invalid_utf8",
     "unexpected_content_type"}
)  # fmt: skip
"""What is no fault of an answer of which nobody knows how it should look."""


class _Last(NamedTuple):
    ledger: Ledger
    marks: Marks
    counted: int | None
    sent: "ref[object] | None"


_LAST: Final[ContextVar[_Last | None]] = ContextVar("the last failed attempt here", default=None)


class Exchange:
    """One attempt, as it passes by.

    `counted` is its number if its caller repeats calls by itself, as the SDKs do and tell in a
    header, else None. `body` is what is sent: the same object is sent again to where a redirection
    leads. `path` is where to: if that is of no dialect, nobody knows how the answer should look.
    """

    __slots__ = (
        "_before",
        "_body",
        "_counted",
        "_enough",
        "_inflater",
        "_known",
        "_ledger",
        "_open",
        "_parts",
        "_read",
        "_readable",
        "_reader",
        "_readers",
        "_redirected",
        "_size",
        "marks",
    )  # fmt: skip

    def __init__(
        self, ledger: Ledger, target: int, *, path: str, body: object, counted: int | None
    ) -> None:
        """It is about to be sent."""
        now = perf_counter()
        number, attempt, due = _linked(ledger, counted, body, now)
        self.marks = Marks(number, target, due, attempt)
        self.marks.start = now
        self._ledger, self._counted, self._body, self._redirected = ledger, counted, body, False
        dialect = path.rpartition("/")[2]
        self._known = dialect in _DIALECTS
        self._readers, self._read = _DIALECTS[dialect if self._known else "completions"]
        self._reader: Any = None
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
            self._redirected = status in {307, 308} and bool(header("location", ""))
        elif header("content-type", "").lower().startswith("text/event-stream"):
            marks.flags |= Flag.STREAM
            self._reader = self._readers(marks)

    def piece(self, data: bytes) -> None:
        """A part of the body came."""
        now = perf_counter()
        if self._enough:
            return
        try:
            if self._inflater is not None:
                self._unpack(now, data)
            elif self._reader is not None and self._readable:
                self._feed(now, data)
            else:
                self._collect(data)
        except EventTooLarge:
            self._enough, self._readable = True, False
            self.marks.error = "event_too_large" if self._known else ""
        except zlib.error:
            self.marks.error, self._enough = "decoding_error", True
        except Exception:  # noqa: BLE001 - a fault of ours must not become one of the application
            self.marks.error, self._enough = "_OTHER", True

    def __enter__(self) -> Self:
        self._before = handled()
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
        if isinstance(error, GeneratorExit):
            self.dropped()
            return
        kind = classify(error, self._before) if isinstance(error, Exception) else "cancelled"
        if kind == "first_byte_timeout" and self.marks.status:
            kind = "stream_stalled" if self._reader is not None else "deadline_exceeded"
        self._finish(kind)

    def closed(self) -> None:
        """Its caller wants no more of it."""
        self._finish("cancelled")

    def dropped(self) -> None:
        """Its caller has forgotten it: garbage is collected anywhere, so nothing follows here."""
        self._counted, self._redirected = None, False
        self._finish("cancelled")

    def _unpack(self, now: float, data: bytes) -> None:
        assert self._inflater is not None
        while not self._enough:
            if piece := self._inflater.step(data):
                if self._reader is not None:
                    self._feed(now, piece)
                else:
                    self._collect(piece)
            data = b""
            if not self._inflater.more:
                return

    def _feed(self, now: float, piece: bytes) -> None:
        self._enough = self._reader.feed(now, piece)
        if self._enough and self._known:
            # The answer ends here, however long whoever asked for it keeps the stream open.
            self.marks.end = now

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
        if marks.end != marks.end:
            marks.end = now
        if marks.error and marks.events:
            marks.flags |= Flag.AFTER_FIRST_TOKEN
        if marks.output_tokens < 0 and marks.events:
            marks.output_tokens = marks.events
        self._record(now)

    def _verdict(self, broken: str, now: float) -> str:
        marks = self.marks
        if not marks.status:
            return broken
        if marks.status != 200 and (self._known or not 200 < marks.status < 300):
            return error_body.read_error(marks.status, b"".join(self._parts), marks)[0]
        if not self._readable:
            return broken
        if self._reader is not None:
            found: str = self._reader.close(now)
            if found in _ODD and not self._known:
                return broken
            whole = found not in {"stream_truncated", "empty_response"}
            return found if whole or not broken else broken
        if broken:
            return broken
        found = self._read(b"".join(self._parts), marks)[0]
        return "" if found in _ODD and not self._known else found

    def _record(self, now: float) -> None:
        marks = self.marks
        if marks.start < self._ledger.zero:
            return  # it began before a fork, and is the parent's
        may_repeat = (
            self._counted is not None and marks.error not in {"", "cancelled"}
            and not marks.events and marks.told != "false"
        )  # fmt: skip
        if may_repeat or self._redirected:
            asked = 0.0 if marks.retry_after != marks.retry_after else marks.retry_after
            self._ledger.hold(marks, now + PATIENCE_S + min(asked, 120.0))
            sent = ref(self._body) if self._redirected else None
            _LAST.set(_Last(self._ledger, marks, self._counted, sent))
        else:
            self._ledger.add(marks)


def _linked(
    ledger: Ledger, counted: int | None, body: object, now: float
) -> tuple[int, int, float]:
    """Number, attempt and beginning of the request that an attempt belongs to."""
    last = _LAST.get()
    if (
        last is None or last.ledger is not ledger or last.marks.start < ledger.zero
        or (counted is None and last.sent is None)
    ):  # fmt: skip
        return ledger.number(), counted or 0, now
    _LAST.set(None)
    before = last.marks
    follows = counted is not None and last.counted is not None and counted == last.counted + 1
    follows = follows or (last.sent is not None and last.sent() is body)
    ledger.settle(before.request, retried=follows)
    if follows:
        return before.request, before.attempt + 1, before.due
    return ledger.number(), counted or 0, now


def whole(exchange: Exchange, response: Any) -> bool:
    """Whether a response came with its body already read, as from a transport for tests."""
    content = getattr(response, "_content", None)
    if content is None:
        return False
    exchange._readable, exchange._inflater = True, None
    exchange.piece(content)
    exchange.ended()
    return True
