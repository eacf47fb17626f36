"""An httpx transport over aiohttp's connections: httpx's requests and errors, aiohttp's speed.

    AiohttpTransport.send(prepared, progress, key) -> Answer                 as `client` calls it
    AiohttpTransport.handle_async_request(httpx.Request) -> httpx.Response   as httpx calls it

httpx 0.28 as shipped scans its pool for every call (2 ms of CPU at 32 connections), and the
ready-made bridge calls a refused connection a ConnectTimeout. This thin one raises what httpx
itself would raise, keeps the cause, and notes how far each request has come.
"""

import asyncio
import contextlib
import ssl
import zlib
from collections.abc import AsyncIterator, Callable, Iterator
from contextvars import ContextVar
from math import isnan, nan
from time import perf_counter
from types import TracebackType
from typing import Final

import aiohttp
import httpx
from aiohttp.abc import AbstractStreamWriter
from aiohttp.client_proto import ResponseHandler
from aiohttp.tracing import Trace

from holymon.failures import as_httpx
from holymon.inflate import inflater
from holymon.prepared import Masked, Prepared, prepare
from holymon.safety import Secret

_READ_BUFFER: Final = 2**18
_MAX_FIELD: Final = 2**16


class Progress:
    """How far a request has come, in seconds on `clock`; NaN is "not (yet)"."""

    __slots__ = ("clock", "connect_end", "connect_start", "write_start", "written")

    def __init__(self, clock: Callable[[], float] = perf_counter) -> None:
        """Nothing has happened."""
        self.clock = clock
        self.connect_start = self.connect_end = self.write_start = nan
        self.written = False

    def failed(self, error: Exception, request: httpx.Request) -> Exception:
        """What to raise for `error` at this point."""
        connecting = not isnan(self.connect_start)
        return as_httpx(error, request, connecting=connecting, written=self.written)


class AiohttpTransport(httpx.AsyncBaseTransport):
    """Sends requests through one aiohttp session, on as many connections as needed.

    `connect_s` limits the wait for a free connection, DNS, TCP and TLS together. Redirects are
    not followed, cookies are not kept, and nothing is sent twice.
    """

    def __init__(
        self,
        *,
        connect_s: float = 10.0,
        verify: ssl.SSLContext | bool = True,
        max_connections: int = 0,
    ) -> None:
        """Open nothing yet: the session needs a running loop."""
        self._verify = verify
        self._max = max_connections
        self._limits = _limits(connect=connect_s)
        self._session: aiohttp.ClientSession | None = None

    async def handle_async_request(self, request: httpx.Request) -> httpx.Response:
        """Send `request` as httpx asks its transports to. Raises httpx.TransportError."""
        await request.aread()
        wanted = request.extensions.get("timeout", {})
        limits = _limits(connect=wanted.get("connect"), sock_read=wanted.get("read"))
        answer = await self.send(
            prepare(request), Progress(), limits=limits, write_s=wanted.get("write")
        )
        return httpx.Response(
            answer.status, headers=answer.raw_headers, stream=_Body(answer), request=request
        )

    async def send(
        self,
        prepared: Prepared,
        progress: Progress,
        key: Secret | None = None,
        *,
        limits: aiohttp.ClientTimeout | None = None,
        write_s: float | None = None,
    ) -> "Answer":
        """Send a prepared request, with a key that is kept nowhere. Raises httpx.TransportError."""
        session = self._session or self._open()
        request, url, headers, content, proxy, proxy_headers = prepared
        if key is not None:
            headers = headers.copy()
            headers["authorization"] = Masked(f"Bearer {key.reveal()}")
        progress.written = not content
        _current.set(progress)
        try:
            response = await session.request(
                request.method,
                url,
                data=_Payload(content, progress, write_s) if content else None,
                headers=headers,
                allow_redirects=False,
                proxy=proxy,
                proxy_headers=proxy_headers,
                timeout=limits or self._limits,
            )
        except Exception as error:
            raise progress.failed(error, request) from error
        return Answer(response, request, progress)

    def _open(self) -> aiohttp.ClientSession:
        connector = _Connector(limit=self._max, ssl=self._verify, ttl_dns_cache=60)
        self._session = aiohttp.ClientSession(
            connector=connector,
            auto_decompress=False,
            cookie_jar=aiohttp.DummyCookieJar(),
            read_bufsize=_READ_BUFFER,
            max_field_size=_MAX_FIELD,
        )
        return self._session

    async def __aexit__(
        self,
        exc_type: type[BaseException] | None = None,
        exc_value: BaseException | None = None,
        traceback: TracebackType | None = None,
    ) -> None:
        await self.aclose()

    async def aclose(self) -> None:
        """Close all connections."""
        if self._session is not None:
            await self._session.close()
            self._session = None


def _limits(**limits: float | None) -> aiohttp.ClientTimeout:
    # aiohttp rounds long limits up to whole seconds unless told not to.
    return aiohttp.ClientTimeout(total=None, ceil_threshold=float("inf"), **limits)


_current: Final[ContextVar[Progress]] = ContextVar("progress")


class _Connector(aiohttp.TCPConnector):
    """Notes when a connection had to be opened; aiohttp's tracing would cost each call 10 us."""

    async def _create_connection(
        self,
        req: aiohttp.ClientRequest,
        traces: list[Trace],
        timeout: aiohttp.ClientTimeout,  # noqa: ASYNC109 - the signature is aiohttp's
    ) -> ResponseHandler:
        progress = _current.get()
        progress.connect_start = progress.clock()
        protocol = await super()._create_connection(req, traces, timeout)
        progress.connect_end = progress.clock()
        return protocol


class _Payload(aiohttp.Payload):
    """A body that notes when it was written; one that could not be takes its connection along."""

    def __init__(self, content: bytes, progress: Progress, limit: float | None) -> None:
        super().__init__(content)
        self._size = len(content)
        self._progress, self._limit = progress, limit

    def decode(self, encoding: str = "utf-8", errors: str = "strict") -> str:
        return str(self._value, encoding, errors)

    async def write(self, writer: AbstractStreamWriter) -> None:
        self._progress.write_start = self._progress.clock()
        transport = writer.transport
        try:
            async with asyncio.timeout(self._limit):
                await writer.write(self._value)
        except BaseException:
            # Closing would wait for the peer to read the rest, which it may never do.
            if transport is not None:
                transport.abort()
            raise
        self._progress.written = True


class Answer:
    """An answer whose headers have come; the body is read piece by piece, as it was received."""

    __slots__ = ("_inflater", "_progress", "_protocol", "_request", "_response", "at")

    def __init__(
        self, response: aiohttp.ClientResponse, request: httpx.Request, progress: Progress
    ) -> None:
        """Take over the response of a request that is being received."""
        self._response, self._request = response, request
        self._progress = progress
        self._inflater = inflater(response.headers.get("content-encoding", ""))
        connection = response.connection
        self._protocol = connection.protocol if connection is not None else None
        self.at = progress.clock()
        """When the last piece was received; before the first, when the headers were."""

    @property
    def status(self) -> int:
        """The HTTP status."""
        return self._response.status

    @property
    def raw_headers(self) -> list[tuple[bytes, bytes]]:
        """All headers as they came."""
        return list(self._response.raw_headers)

    def header(self, name: str) -> str:
        """The value of a header, `""` if it is missing."""
        return self._response.headers.get(name, "")

    @property
    def ended(self) -> bool:
        """Whether the whole body has been read, and the connection is free for others."""
        return self._response.content.at_eof()

    @property
    def whole(self) -> bool:
        """False if what was compressed ended before its end, which not every reader would see."""
        return self._inflater is None or self._inflater.whole

    async def receive(self) -> bytes:
        """The next piece as it was received, `b""` at the end. Raises httpx.TransportError."""
        try:
            piece = await self._response.content.readany()
        except Exception as error:  # noqa: BLE001 - what is no network failure stays what it is
            cause = self._lost() or error
            raise self._progress.failed(cause, self._request) from cause
        self.at = self._progress.clock()
        if not piece and self._lasts_until_close() and (lost := self._lost()):
            raise self._progress.failed(lost, self._request) from lost
        return piece

    def _lost(self) -> Exception | None:
        """The system's error that broke the connection: the body's own error leaves it out."""
        lost = self._protocol.exception() if self._protocol is not None else None
        return lost if isinstance(lost, OSError) and lost.errno else None

    def _lasts_until_close(self) -> bool:
        headers = self._response.headers
        return "content-length" not in headers and "transfer-encoding" not in headers

    async def read(self) -> bytes:
        """The next piece, unpacked. Raises httpx.TransportError, httpx.DecodingError."""
        unpack = self._inflater
        if unpack is None:
            return await self.receive()
        while True:
            packed = b"" if unpack.more else await self.receive()
            if not packed and not unpack.more:
                return b""
            try:
                if piece := unpack.step(packed):
                    return piece
            except zlib.error as error:
                raise httpx.DecodingError(str(error), request=self._request) from error

    @contextlib.contextmanager
    def closing_in(self, seconds: float) -> Iterator[None]:
        """Inside, reading fails once `seconds` have passed; after it, the answer is closed."""
        timer = asyncio.get_running_loop().call_later(seconds, self._response.close)
        try:
            yield
        finally:
            timer.cancel()
            self.close()

    def close(self) -> None:
        """Be done with it; unless it was read to its end, its connection is closed too."""
        self._response.close()


class _Body(httpx.AsyncByteStream):
    """An answer's body as httpx reads it."""

    def __init__(self, answer: Answer) -> None:
        self._answer = answer

    async def __aiter__(self) -> AsyncIterator[bytes]:
        while piece := await self._answer.receive():
            yield piece

    async def aclose(self) -> None:
        self._answer.close()
