"""What comes back for one request: its head, and its body in pieces with the time of each.

    await response.begin() --> await response.pour(into)    each piece at the moment of its arrival

A piece's time is taken when the event loop hands over what it received, before anything is parsed
and however long the task that wants it has to wait for its turn.
"""

import asyncio
import zlib
from collections import deque
from collections.abc import Callable
from math import nan
from time import perf_counter
from typing import Final, Protocol

import httpx

HELD_MAX: Final = 2**18
"""Bytes that wait to be read before the connection is not read any further."""

STEP: Final = 2**16
"""Bytes unpacked at once, at most."""

_ANY_HEADER: Final = zlib.MAX_WBITS | 32
_GZIP: Final = b"\x1f\x8b"

Into = Callable[[float, bytes], bool]


class Inflater:
    """Unpacks one body in steps of bounded size: no bomb goes off at once.

    `more` says that a further step needs no further bytes. With `headless`, deflate may lack the
    header that it should have: some servers forget it.
    """

    __slots__ = ("_headless", "_left", "_unpack", "more")

    def __init__(self, *, headless: bool = False) -> None:
        """Expect the beginning of a body."""
        self._unpack = zlib.decompressobj(_ANY_HEADER)
        self._headless = headless
        self._left = b""
        self.more = False

    @property
    def whole(self) -> bool:
        """Whether the end of what was packed has been seen."""
        return self._unpack.eof

    def step(self, packed: bytes = b"") -> bytes:
        """What `packed` and the rest of before hold, at most `STEP` bytes. Raises zlib.error."""
        packed = self._left + packed
        if self._unpack.eof:
            if not packed.startswith(_GZIP):  # padding, not another member
                self._left, self.more = b"", False
                return b""
            self._unpack = zlib.decompressobj(_ANY_HEADER)
        piece = self._decompress(packed)
        self._left = self._unpack.unconsumed_tail or self._unpack.unused_data
        self.more = bool(self._left) or len(piece) == STEP
        return piece

    def _decompress(self, packed: bytes) -> bytes:
        try:
            piece = self._unpack.decompress(packed, STEP)
        except zlib.error:
            if not self._headless:
                raise
            self._unpack = zlib.decompressobj(-zlib.MAX_WBITS)
            piece = self._unpack.decompress(packed, STEP)
        self._headless = False
        return piece


def inflater(packing: str) -> Inflater | None:
    """What unpacks a body of that content-encoding; None for one that needs or knows nothing."""
    packing = packing.strip().lower()
    known = packing in {"gzip", "x-gzip", "deflate"}
    return Inflater(headless=packing == "deflate") if known else None


class Link(Protocol):
    """What a response asks of its connection."""

    def pause(self) -> None:
        """Read nothing until `resume`."""

    def resume(self) -> None:
        """Read on."""

    def abort(self) -> None:
        """Close it at once."""


class Response:
    """One request on its way, and what comes back for it; times are seconds on `clock`.

    `at` is when the last piece that was handed over was received; at first, when the headers were;
    at last, when the body ended. NaN is "not (yet)", also for the connection of a request that
    was sent on one that was open.
    """

    __slots__ = (
        "_enough", "_error", "_fields", "_held", "_inflater", "_into", "_link", "_pieces",
        "_sealed", "_waiter", "at", "clock", "connect_end", "connect_start", "ended",
        "raw_headers", "request", "status", "write_start", "written",
    )  # fmt: skip

    def __init__(self, clock: Callable[[], float] = perf_counter) -> None:
        """Expect the response to a request that is yet to be sent."""
        self.clock = clock
        self.connect_start = self.connect_end = self.write_start = nan
        self.written = False
        self.request: httpx.Request | None = None
        self.status = 0
        self.raw_headers: list[tuple[bytes, bytes]] = []
        self.at = nan
        self.ended = False
        """Whether the whole body has come, and the connection is free for others."""
        self._link: Link | None = None
        self._fields: dict[bytes, bytes] | None = None
        self._inflater: Inflater | None = None
        self._sealed = ""
        self._pieces: deque[tuple[float, bytes]] = deque()
        self._held = 0
        self._into: Into | None = None
        self._enough = False
        self._error: Exception | None = None
        self._waiter: asyncio.Future[None] | None = None

    def expect(self, request: httpx.Request, link: Link) -> None:
        """The request is about to be written to its connection."""
        self.request, self._link = request, link
        self.write_start = self.clock()

    def header(self, name: str) -> str:
        """The value of a header, `""` if it is missing."""
        if self._fields is None:
            self._fields = {field.lower(): value for field, value in self.raw_headers}
        value = self._fields.get(name.encode())
        return "" if value is None else value.decode("latin-1")

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
        if packing := self.header("content-encoding"):
            self._inflater = inflater(packing)
            if self._inflater is None and packing.strip().lower() != "identity":
                self._sealed = packing

    async def receive(self) -> bytes:
        """The next piece as it was received, `b""` at the end, as httpx pulls it.

        Raises httpx.TransportError.
        """
        while not self._pieces:
            if self._error is not None:
                raise self._error
            if self.ended:
                return b""
            await self._wait()
        return self._next()

    async def pour(self, into: Into) -> None:
        """Hand each piece, unpacked, to `into` when it arrives, until that is true or all has come.

        Whatever arrives later, before `close`, goes there too. Raises what `into` raises,
        httpx.TransportError, httpx.DecodingError.
        """
        self._check_seal()
        self._into, self._enough = into, False
        while self._pieces and not (self._enough or self._error):
            self._hand_over(self._next())
        while not (self._enough or self.ended or self._error):
            await self._wait()
        if self._error is not None and not self._enough:
            raise self._error

    def close(self) -> None:
        """Be done with the response; unless it is complete, its connection is closed too."""
        self._into = None
        if not self.ended and self._link is not None:
            self._link.abort()

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
            if self._held > HELD_MAX and self._link is not None:
                self._link.pause()
            self._wake()

    def end_came(self, at: float) -> None:
        """The body is complete."""
        self.ended = True
        if not self._pieces:
            self.at = at
        self._wake()

    def failed(self, error: Exception) -> None:
        """The connection is lost: whoever waits hears of `error`."""
        self._error = self._error or error
        self._wake()

    def _next(self) -> bytes:
        self.at, piece = self._pieces.popleft()
        self._held -= len(piece)
        if self._held <= HELD_MAX and self._link is not None:
            self._link.resume()
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

    def _check_seal(self) -> None:
        if self._sealed:
            message = f"packed as {self._sealed!r}, which was not asked for"
            raise httpx.DecodingError(message, request=self.request)

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
