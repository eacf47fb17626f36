"""One HTTP/1.1 connection: a request goes out, its answer comes back in pieces, each stamped.

    Wire.send(answer, bytes)    Answer.begin() ... .read() or .pour(into) ... .close()

A piece's time is taken when the event loop hands over what it received, before anything is parsed
and however long the task that wants it has to wait for its turn. llhttp (httptools) does the
parsing; what breaks is raised as httpx would raise it, with its cause.
"""

import asyncio
import zlib
from collections import deque
from collections.abc import Callable
from math import nan
from time import perf_counter
from typing import Final, cast

import httptools
import httpx

from holymon.inflate import Inflater, inflater
from holymon.prepared import Origin

HEAD_MAX: Final = 2**16
"""Bytes of an answer's head, at most."""

HELD_MAX: Final = 2**18
"""Bytes that wait to be read before the connection is not read any further."""

Into = Callable[[float, bytes], bool]


class Progress:
    """How far a request has come, in seconds on `clock`; NaN is "not (yet)"."""

    __slots__ = ("clock", "connect_end", "connect_start", "write_start", "written")

    def __init__(self, clock: Callable[[], float] = perf_counter) -> None:
        """Nothing has happened."""
        self.clock = clock
        self.connect_start = self.connect_end = self.write_start = nan
        self.written = False


class Answer:
    """What comes back for one request.

    `at` is when the last piece that was handed over was received; at first, when the headers were;
    at last, when the body ended.
    """

    __slots__ = (
        "_enough", "_error", "_fields", "_held", "_inflater", "_into", "_pieces", "_waiter",
        "_wire", "at", "ended", "progress", "raw_headers", "request", "status",
    )  # fmt: skip

    def __init__(self, request: httpx.Request, progress: Progress, wire: "Wire") -> None:
        """Nothing has come yet."""
        self.request, self.progress = request, progress
        self.status = 0
        self.raw_headers: list[tuple[bytes, bytes]] = []
        self.at = nan
        self.ended = False
        """Whether the whole body has come, and the connection is free for others."""
        self._wire = wire
        self._fields: dict[bytes, bytes] | None = None
        self._inflater: Inflater | None = None
        self._pieces: deque[tuple[float, bytes]] = deque()
        self._held = 0
        self._into: Into | None = None
        self._enough = False
        self._error: Exception | None = None
        self._waiter: asyncio.Future[None] | None = None

    def header(self, name: str) -> str:
        """The value of a header, `""` if it is missing."""
        if self._fields is None:
            self._fields = {field.lower(): value for field, value in self.raw_headers}
        return self._fields.get(name.encode(), b"").decode("latin-1")

    @property
    def whole(self) -> bool:
        """False if what was compressed ended before its end, which not every reader would see."""
        return self._inflater is None or self._inflater.whole

    async def begin(self) -> None:
        """Wait for the headers. Raises httpx.TransportError."""
        while not self.status:
            if self._error is not None:
                raise self._error
            await self._wait()
        self._inflater = inflater(self.header("content-encoding"))

    async def receive(self) -> bytes:
        """The next piece as it was received, `b""` at the end. Raises httpx.TransportError."""
        while not self._pieces:
            if self._error is not None:
                raise self._error
            if self.ended:
                return b""
            await self._wait()
        return self._next()

    async def read(self) -> bytes:
        """The next piece, unpacked. Raises httpx.TransportError, httpx.DecodingError."""
        unpack = self._inflater
        if unpack is None:
            return await self.receive()
        while True:
            packed = b"" if unpack.more else await self.receive()
            if not packed and not unpack.more:
                return b""
            if piece := self._step(unpack, packed):
                return piece

    async def pour(self, into: Into) -> None:
        """Hand each piece, unpacked, to `into` when it arrives, until that is true or all has come.

        Whatever arrives later, before `close`, goes there too. Raises what `into` raises,
        httpx.TransportError, httpx.DecodingError.
        """
        self._into, self._enough = into, False
        while self._pieces and not (self._enough or self._error):
            self._hand_over(self._next())
        while not (self._enough or self.ended or self._error):
            await self._wait()
        if self._error is not None and not self._enough:
            raise self._error

    def close(self) -> None:
        """Be done with it; unless it has come to its end, its connection is closed too."""
        self._into = None
        if not self.ended:
            self._wire.abort()

    # What the connection calls.

    def headers_came(self, at: float, status: int) -> None:
        """The head is complete."""
        self.at, self.status = at, status
        self._wake()

    def piece_came(self, at: float, piece: bytes) -> None:
        """A part of the body was received."""
        if self._into is not None and not self._pieces:
            self.at = at
            self._hand_over(piece)
        else:
            self._pieces.append((at, piece))
            self._held += len(piece)
            if self._held > HELD_MAX:
                self._wire.pause()
            self._wake()

    def end_came(self, at: float) -> None:
        """The body is complete."""
        self.ended = True
        if not self._pieces:
            self.at = at
        self._wake()

    def failed(self, error: Exception) -> None:
        """Nothing more will come."""
        self._error = self._error or error
        self._wake()

    def _next(self) -> bytes:
        self.at, piece = self._pieces.popleft()
        self._held -= len(piece)
        if self._held <= HELD_MAX:
            self._wire.resume()
        return piece

    def _hand_over(self, piece: bytes) -> None:
        into, unpack = self._into, self._inflater
        assert into is not None
        try:
            if unpack is None:
                self._enough = into(self.at, piece) or self._enough
            else:
                self._unpacked(into, unpack, piece)
        except Exception as error:  # noqa: BLE001 - it belongs to the task, not to the event loop
            self.failed(error)
        if self._enough:
            self._wake()

    def _unpacked(self, into: Into, unpack: Inflater, packed: bytes) -> None:
        while not self._enough:
            if piece := self._step(unpack, packed):
                self._enough = into(self.at, piece)
            packed = b""
            if not unpack.more:
                return

    def _step(self, unpack: Inflater, packed: bytes) -> bytes:
        try:
            return unpack.step(packed)
        except zlib.error as error:
            raise httpx.DecodingError(str(error), request=self.request) from error

    async def _wait(self) -> None:
        self._waiter = asyncio.get_running_loop().create_future()
        try:
            await self._waiter
        finally:
            self._waiter = None

    def _wake(self) -> None:
        if self._waiter is not None and not self._waiter.done():
            self._waiter.set_result(None)


class Wire(asyncio.Protocol):
    """A connection, used by one answer at a time; `free` is called when one has come to its end."""

    def __init__(self, origin: Origin, free: Callable[["Wire"], None]) -> None:
        """Not connected yet."""
        self.origin = origin
        self._free = free
        self._transport: asyncio.Transport | None = None
        self._parser = httptools.HttpResponseParser(self)
        self._answer: Answer | None = None
        self._paused = self._full = False
        self._reset()

    @property
    def usable(self) -> bool:
        """Whether another request can be sent on it."""
        return self._transport is not None and not self._transport.is_closing()

    def send(self, answer: Answer, data: bytes, *, bodiless: bool = False) -> None:
        """Send a request; `bodiless` for HEAD, whose answer only looks as if it had a body."""
        assert self._transport is not None
        self._reset()
        self._answer, self._bodiless = answer, bodiless
        self._transport.write(data)
        if not self._full:
            answer.progress.written = True

    def abort(self) -> None:
        """Close it at once: to close in order would wait for a peer that may never read."""
        self._answer = None
        if self._transport is not None:
            self._transport.abort()

    def pause(self) -> None:
        """Read nothing until `resume`."""
        if not self._paused and self.usable:
            cast(asyncio.Transport, self._transport).pause_reading()
            self._paused = True

    def resume(self) -> None:
        """Read on."""
        if self._paused and self.usable:
            cast(asyncio.Transport, self._transport).resume_reading()
        self._paused = False

    def _reset(self) -> None:
        self._head = 0
        self._headers: list[tuple[bytes, bytes]] = []
        self._body: list[bytes] = []
        self._at = nan
        self._begun = self._over = self._interim = self._again = self._bodiless = False

    # What the event loop calls.

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        """It is open."""
        self._transport = cast(asyncio.Transport, transport)
        # Whatever the system does not take at once is reported, and so is its end.
        self._transport.set_write_buffer_limits(high=0)

    def pause_writing(self) -> None:
        """The system took only a part."""
        self._full = True

    def resume_writing(self) -> None:
        """The system has taken the rest."""
        self._full = False
        if self._answer is not None:
            self._answer.progress.written = True

    def data_received(self, data: bytes) -> None:
        """Something came; nothing may come without a request."""
        answer = self._answer
        if answer is None:
            self.abort()
            return
        self._at = answer.progress.clock()
        error: Exception | None = None
        try:
            self._parser.feed_data(data)
        except httptools.HttpParserUpgrade:
            self._again = True  # from here on it would be another protocol
        except httptools.HttpParserError as wrong:
            error = wrong
        if self._body:
            body, self._body = self._body, []
            answer.piece_came(self._at, body[0] if len(body) == 1 else b"".join(body))
        if not self._begun:
            self._head += len(data)
            if self._head > HEAD_MAX:
                error = error or ValueError("the head of the answer is too long")
        if self._over:
            self._again = self._again or error is not None
            self._end(answer)
        elif error is not None:
            said = str(error.__context__ or error)
            self._fail(httpx.RemoteProtocolError(said, request=answer.request), error)

    def connection_lost(self, exc: Exception | None) -> None:
        """It is closed, in order or not."""
        answer = self._answer
        if answer is None:
            return
        if exc is not None:
            kind = httpx.ReadError if answer.progress.written else httpx.WriteError
            self._fail(kind(str(exc), request=answer.request), exc)
        elif self._begun and self._lasts_until_close():
            self._at, self._again = answer.progress.clock(), True
            self._end(answer)
        else:
            said = (
                "peer closed connection without sending the complete body" if self._begun
                else "Server disconnected without sending a response."
            )  # fmt: skip
            self._fail(httpx.RemoteProtocolError(said, request=answer.request), None)

    # What the parser calls.

    def on_message_begin(self) -> None:
        """An answer begins; there is one for each request."""
        self._again = self._again or self._over

    def on_header(self, name: bytes, value: bytes) -> None:
        """A header is complete."""
        self._headers.append((name, value))
        if len(name) + len(value) > HEAD_MAX:
            raise ValueError("the head of the answer is too long")

    def on_headers_complete(self) -> None:
        """The head is complete, if it is not that of an interim answer."""
        status = self._parser.get_status_code()
        if self._over or self._answer is None:
            return
        self._interim = 100 <= status < 200 and status != 101
        if self._interim:
            self._headers.clear()
            return
        self._begun = True
        self._answer.raw_headers = self._headers
        self._answer.headers_came(self._at, status)
        self._over = self._bodiless

    def on_body(self, piece: bytes) -> None:
        """A part of the body is there; several of one segment are one piece."""
        if not self._over:
            self._body.append(piece)

    def on_message_complete(self) -> None:
        """An answer is complete, if it is not an interim one."""
        if not self._interim:
            self._over = True
            self._again = self._again or not self._parser.should_keep_alive()

    def _end(self, answer: Answer) -> None:
        self._answer = None
        answer.end_came(self._at)
        if self._again or self._bodiless or self._full:
            self.abort()
        else:
            self.resume()
        self._free(self)

    def _fail(self, error: Exception, cause: Exception | None) -> None:
        answer, self._answer = self._answer, None
        error.__cause__ = cause
        if answer is not None:
            answer.failed(error)
        self.abort()

    def _lasts_until_close(self) -> bool:
        names = {name.lower() for name, _ in self._headers}
        return not names & {b"content-length", b"transfer-encoding"}
