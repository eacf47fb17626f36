"""What comes back for one request: its head, and its body in pieces with the time of each.

    await response.begin() --> await response.pour(into)    each piece at the moment of its arrival

A piece's time is taken when the event loop hands over what it received, before anything is parsed
and however long the task that wants it has to wait for its turn.
"""

import asyncio
import re
import zlib
from collections import deque
from collections.abc import Callable
from math import nan
from time import perf_counter
from typing import Final, Protocol

import httpx

from holymon.transport.inflater import Inflater, inflater

_NO_PACKING: Final = re.compile(
    r"(?i)identity|none|utf-?8|us-ascii|iso-8859-\d{1,2}|[78]bit|binary|aws-chunked"
)
"""What packs nothing: servers name what text is written in, too (encode/httpx#195)."""

HELD_MAX: Final = 2**18
"""Bytes that wait to be read before the connection is not read any further."""

PART: Final = 2**13
"""Bytes handed over at once, at most, before it is looked whether others wait for their turn."""

TURN_S: Final = 0.005
"""How long one response may keep the event loop from all else, its own deadlines included."""

Into = Callable[[float, bytes], bool]


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
        "_sealed", "_waiter", "at", "clock", "connect_end", "connect_start", "ended", "freed",
        "full", "raw_headers", "request", "status", "write_start", "written",
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
        self.full = False
        """Whether nothing is read, because whoever wants the pieces has no room for more."""
        self.freed = nan
        """When there was room again for the last time."""
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
        fields = self._fields
        if fields is None:
            fields = self._fields = {field.lower(): value for field, value in self.raw_headers}
        value = fields.get(name.encode())
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
            if self._inflater is None and not _NO_PACKING.fullmatch(packing.strip()):
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
        while not self._enough:
            if self._pieces and not self.full:
                self._work()
                await asyncio.sleep(0)  # deadlines, and other responses
            elif self._error is not None:
                raise self._error
            elif self.ended and not self._pieces:
                return
            else:
                await self._wait()

    def wait_for(self, room: "asyncio.Future[None]") -> None:
        """Read nothing more until `room` is done."""
        self.full = True
        if self._link is not None:
            self._link.pause()
        room.add_done_callback(self._have_room)

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
            if self._pieces:
                self._work()
        else:
            self._pieces.append((at, piece))
            self._held += len(piece)
            if self._held > HELD_MAX and self._link is not None:
                self._link.pause()
            self._wake()

    def end_came(self, at: float) -> None:
        """The body is complete."""
        self.ended, self._link = True, None
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
        if self._held <= HELD_MAX and self._link is not None and not self.full:
            self._link.resume()
        return piece

    def _put_back(self, rest: bytes) -> None:
        self._pieces.appendleft((self.at, rest))
        self._held += len(rest)

    def _work(self) -> None:
        """Hand over what waits, for as long as a turn; then the task goes on, if it must."""
        until = perf_counter() + TURN_S
        while self._pieces and not self._enough and not self.full:
            self._hand_over(self._next())
            if perf_counter() > until:
                break
        self._wake()

    def _hand_over(self, piece: bytes) -> None:
        """Give a piece to who wants it; of a large one only a part, and the rest waits."""
        into, unpack = self._into, self._inflater
        assert into is not None
        if len(piece) > PART:
            self._put_back(piece[PART:])
            piece = piece[:PART]
        try:
            if unpack is not None:
                piece = self._step(unpack, piece)
                if unpack.more:
                    self._put_back(b"")
            if piece or unpack is None:
                self._enough = into(self.at, piece) or self._enough
        except Exception as error:  # noqa: BLE001 - it belongs to the task, not to the event loop
            self._pieces.clear()
            self.failed(error)
        if self._enough:
            self._wake()

    def _have_room(self, _: object) -> None:
        self.full, self.freed = False, self.clock()
        if self._held <= HELD_MAX and self._link is not None:
            self._link.resume()
        self._wake()

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
