"""One call that somebody else makes: what is seen of it passing by becomes a record.

    ObservedCall(...) --> answered --> piece, piece, ... --> ended | failed | closed

Whoever makes the call must notice nothing: no method here raises, and what can't be read is
recorded as far as it was seen.
"""

import re
import zlib
from collections.abc import Callable
from contextvars import ContextVar
from time import perf_counter
from typing import Final, NamedTuple, Self
from weakref import ref

from holymon.load.caller import masked
from holymon.monitor.endpoints import Aim
from holymon.monitor.ledger import Ledger
from holymon.monitor.side import PLACE
from holymon.protocols.framing import BadFrame, events_of
from holymon.protocols.rate_limits import Headers
from holymon.protocols.reading import Reading
from holymon.records.attempt import Flag, Marks
from holymon.safety import Secret, short
from holymon.transport.exceptions import TooLarge, classify, handled, words
from holymon.transport.inflater import Inflater, inflater
from holymon.transport.response import HELD_MAX

PATIENCE_S: Final = 10.0
"""How long after a failure an SDK may begin its next attempt, besides what the server asked for."""

MOST_STEPS: Final = 64
"""Steps in which a piece is unpacked, at most: 1 MB, for the loop is the application's."""

MOST_BEHIND: Final = 4
"""So much is still unpacked when the body has ended."""

MOST_BYTES_BEHIND: Final = 2**16
"""Bytes behind the last event of an answer that are looked at, if the application reads them."""

_REFUSED: Final = 300
_ASKED_BY_PROXY: Final = 407
_EVENTS: Final = "text/event-stream"
_TEXT: Final = re.compile(r"json|text/|xml")
_ODDITIES: Final = Flag.SKIPPED | Flag.LENIENT | Flag.KEEP_ALIVE | Flag.EMPTY | Flag.THOUGHT
_WORD: Final = re.compile(r"[A-Za-z_.-]+|[0-9]{1,5}")


class _Last(NamedTuple):
    ledger: Ledger
    marks: Marks
    counted: int | None
    sent: "ref[object] | None"


_LAST: Final[ContextVar[_Last | None]] = ContextVar("the last failed attempt here", default=None)


class ObservedCall:
    """One attempt, as it passes by.

    `counted` is its number if its caller repeats calls by itself, as the SDKs do and tell in a
    header, else None. `body` is what is sent: the same object is sent again to where a redirection
    leads. `keys` gives what no words of an answer may hold. Where its `aim` is not sure,
    nobody knows how the answer should look, and nothing is kept that is neither text nor JSON.
    """

    __slots__ = (
        "_before", "_behind", "_body", "_counted", "_enough", "_events", "_headers", "_inflater",
        "_keys", "_ledger", "_place", "_readable", "_reading", "_redirected", "marks",
    )  # fmt: skip

    def __init__(
        self,
        ledger: Ledger,
        target: int,
        *,
        aim: Aim,
        body: object,
        counted: int | None,
        keys: Callable[[], tuple[Secret, ...]] = tuple,
    ) -> None:
        """Begin the record of a call that is about to be sent."""
        now = perf_counter()
        self.marks = _linked(ledger, target, counted, body, now)
        self._place = PLACE.get()
        self.marks.start, self.marks.side = now, self._place.side
        if self._place.side == "shadow":
            self.marks.flags |= Flag.SHADOW
        ledger.open.begin(self.marks, target)
        self._ledger, self._counted, self._body, self._redirected = ledger, counted, body, False
        self._keys = keys
        self._reading = Reading(
            self.marks, aim.dialect, lenient=not aim.sure, wants_json=aim.wants_json
        )
        self._inflater: Inflater | None = None
        self._events: Callable[[bytes], bytes] | None = None
        self._readable, self._enough, self._behind = True, False, 0
        self._headers: Headers = ()

    def answered(
        self, status: int, header: Callable[[str, str], str], headers: Headers = ()
    ) -> None:
        """Take in the head of the answer; `header(name, default)` finds one of its `headers`."""
        self._headers = headers
        self._ledger.limits.look(self.marks.target, perf_counter(), headers)
        kind = header("content-type", "").lower()
        self._events = events_of(kind) if status < _REFUSED else None
        shown = _EVENTS if self._events is not None else kind
        self._reading.head(
            perf_counter(), status,
            lambda name: shown if name == "content-type" else header(name, ""),
        )  # fmt: skip
        if kind and self._events is None and self._reading.lenient:
            self._readable = _TEXT.search(kind) is not None
        if packing := header("content-encoding", ""):
            self._inflater = inflater(packing)
            self._readable &= self._inflater is not None or packing == "identity"
        self._redirected = status in {307, 308} and bool(header("location", ""))

    def piece(self, data: bytes) -> None:
        """Take in a part of the body."""
        now = perf_counter()
        if self._enough:
            if not self._reading.done or self._behind > MOST_BYTES_BEHIND:
                return
            self._behind += len(data)  # an error there takes back what was answered
        try:
            if not self._readable:
                self.marks.bytes += len(data)
            elif self._inflater is not None:
                self._unpack(now, data)
            else:
                self._enough = self._read(now, data)
        except TooLarge:
            self.marks.error, self._enough = "response_too_large", True
        except (zlib.error, BadFrame) as error:
            # What comes behind the end of an answer, in whatever pieces, is no part of it.
            framed = isinstance(error, BadFrame) and self._reading.finished
            behind = framed or self._reading.done
            self.marks.error, self._enough = "" if behind else "decoding_error", True
        except Exception:  # noqa: BLE001 - a fault of ours must not become one of the application
            self.marks.error, self._enough = "_OTHER", True

    def came_read(self, body: bytes) -> None:
        """The body came as a whole, and unpacked, as from a transport for tests."""
        self._readable, self._inflater = True, None
        self.piece(body)
        self.ended()

    def __enter__(self) -> Self:
        self._before = handled()
        return self

    def __exit__(self, _: object, error: BaseException | None, __: object) -> None:
        """Whatever breaks its block off is the end of the call."""
        if error is not None:
            self.failed(error)

    def ended(self) -> None:
        """The whole body came."""
        for _ in range(MOST_BEHIND):
            if self._inflater is not None and self._inflater.more:
                self.piece(b"")
        if self._inflater is not None and self._inflater.more and not self._enough:
            self.marks.error = "response_too_large"
        self._finish("")

    def failed(self, error: BaseException) -> None:
        """The call was broken off by an exception."""
        if isinstance(error, GeneratorExit):
            self.dropped()
            return
        kind = classify(error, self._before) if isinstance(error, Exception) else "cancelled"
        if kind == "first_byte_timeout" and self.marks.status:
            kind = "stream_stalled" if self._reading.streaming else "deadline_exceeded"
        self._finish(kind, _of_proxy(words(error)) if kind == "proxy_error" else words(error))

    def closed(self) -> None:
        """The caller wants no more of the answer."""
        self._finish("cancelled")

    def dropped(self) -> None:
        """The answer is forgotten: garbage is collected anywhere, so nothing follows here."""
        self._counted, self._redirected = None, False
        self._finish("cancelled")

    def _read(self, now: float, data: bytes) -> bool:
        if self._events is None:
            return self._reading.piece(now, data)
        self.marks.bytes += len(data)
        events = self._events(data)
        self.marks.bytes -= len(events)  # which the reading counts
        return self._reading.piece(now, events) if events else False

    def _unpack(self, now: float, data: bytes) -> None:
        """Read some of what is packed; the rest is read with the pieces that follow."""
        assert self._inflater is not None
        for _ in range(MOST_STEPS):
            if piece := self._inflater.step(data):
                self._enough = self._read(now, piece)
            data = b""
            if self._enough or not self._inflater.more:
                return
        if self._inflater.left > HELD_MAX:
            raise TooLarge("the packed body grows faster than it can be read")

    def _finish(self, broken: str, message: str = "") -> None:
        if self._reading.over:
            return
        marks, now = self.marks, perf_counter()
        if not self._readable:  # nor can anybody here say how it should look
            self._reading.lenient = True
        try:
            self._reading.end(now, broken, message)
            if marks.error == "rate_limited":
                limits = self._ledger.limits
                marks.message = limits.refused(marks.target, marks.message, self._headers)
            if marks.status == _ASKED_BY_PROXY:
                marks.message = ""
            if marks.message:
                marks.message = masked(short(marks.message), self._keys())
        except Exception:  # noqa: BLE001 - as above
            marks.error, marks.end, marks.message = "_OTHER", now, ""
        if self._reading.lenient:
            marks.flags &= ~_ODDITIES  # nothing is odd where nobody knows what to expect
        if marks.code and not _WORD.fullmatch(marks.code):
            marks.code = "other"  # it might be a key, of which nothing is known here
        self._record(now)

    def _record(self, now: float) -> None:
        marks = self.marks
        if marks.start < self._ledger.zero:
            return  # it began before a fork, and is the parent's
        may_repeat = (
            self._counted is not None and marks.error not in {"", "cancelled"}
            and not marks.events and marks.should_retry != "false"
        )  # fmt: skip
        place, leaves = self._place, self._place.may_leave(marks)
        if may_repeat or self._redirected:
            wanted = 0.0 if marks.retry_after != marks.retry_after else marks.retry_after
            until = now + PATIENCE_S + min(wanted, 120.0)
            place.hold(self._ledger, marks, until) if leaves else self._ledger.hold(marks, until)
            sent = ref(self._body) if self._redirected else None
            _LAST.set(_Last(self._ledger, marks, self._counted, sent))
        elif leaves:
            place.hold(self._ledger, marks)
        else:
            self._ledger.add(marks)


def _of_proxy(text: str) -> str:
    """What kind of an error, and its status: more may hold credentials that nobody here knows."""
    kind, _, rest = text.partition(": ")
    return f"{kind}: {rest[:3]}" if rest[:3].isdecimal() else kind


def _linked(
    ledger: Ledger, target: int, counted: int | None, body: object, now: float
) -> Marks:  # fmt: skip
    """An attempt of the request that it belongs to, which one at another target may have begun."""
    last = _LAST.get()
    if (
        last is None or last.ledger is not ledger or last.marks.start < ledger.zero
        or (counted is None and last.sent is None)
    ):  # fmt: skip
        last = None
    else:
        _LAST.set(None)
    if (before := PLACE.get().goes_on(ledger)) is not None:
        return _moved(before, target, now)
    if last is None:
        return Marks(ledger.number(), target, now, counted or 0)
    before = last.marks
    again = counted is not None and last.counted is not None and counted == last.counted + 1
    moved = again and before.target != target
    follows = again or (last.sent is not None and last.sent() is body)
    ledger.settle(before.request, retried=follows, elsewhere=moved)
    if moved:
        return _moved(before, target, now)
    if follows:
        return Marks(before.request, target, before.due, before.attempt + 1)
    return Marks(ledger.number(), target, now, counted or 0)


def _moved(before: Marks, target: int, now: float) -> Marks:
    """The first attempt at another target, which has nothing to do with how long it took before."""
    marks = Marks(before.request, target, now, before.attempt + 1)
    marks.flags = Flag.CAME_OVER
    return marks
