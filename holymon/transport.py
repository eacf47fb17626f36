"""An httpx transport over aiohttp's connections: httpx's requests and answers, aiohttp's speed.

httpx 0.28 as shipped scans its pool for every call (2 ms of CPU at 32 connections) and the
ready-made bridge turns a refused connection into a ConnectTimeout, so this thin one is our own:
it maps failures to the httpx exception that httpx itself would raise, keeps the cause, and notes
in the marks of a call how long its connection took to open.
"""

import ssl
from collections.abc import AsyncIterator
from time import perf_counter
from types import SimpleNamespace, TracebackType
from typing import Any, Final

import aiohttp
import httpx
from multidict import CIMultiDict
from yarl import URL

from holymon.records import Flag, Marks

_READ_BUFFER: Final = 2**18


class AiohttpTransport(httpx.AsyncBaseTransport):
    """Sends httpx requests through one aiohttp session, with as many connections as needed.

    `connect_s` limits DNS, TCP and TLS together; all other limits are the caller's. Redirects
    are not followed and bodies are not decompressed (httpx does that where it is asked to).
    """

    def __init__(
        self,
        *,
        connect_s: float = 10.0,
        verify: ssl.SSLContext | bool = True,
        max_connections: int = 0,
    ) -> None:
        """Open nothing yet: the session needs a running loop."""
        self._connect_s = connect_s
        self._verify = verify
        self._max = max_connections
        self._session: aiohttp.ClientSession | None = None

    async def handle_async_request(self, request: httpx.Request) -> httpx.Response:
        """Send `request` as httpx asks its transports to. Raises httpx.TransportError."""
        return await self.send(request)

    async def send(
        self, request: httpx.Request, marks: Marks | None = None, extra: dict[str, str] | None = None
    ) -> httpx.Response:
        """Send `request`, with `extra` headers that are not to be kept in it."""
        session = self._session or self._open()
        headers = CIMultiDict(request.headers.multi_items())
        headers.popall("host", None)
        headers.popall("transfer-encoding", None)
        if extra:
            headers.update(extra)
        try:
            response = await session.request(
                request.method,
                URL(str(request.url), encoded=True),
                data=request.content,
                headers=headers,
                allow_redirects=False,
                trace_request_ctx=marks,
            )
        except Exception as error:
            raise _as_httpx(error, request) from error
        return httpx.Response(
            response.status,
            headers=list(response.raw_headers),
            stream=_Body(response, request),
            request=request,
        )

    def _open(self) -> aiohttp.ClientSession:
        connector = aiohttp.TCPConnector(limit=self._max, ssl=self._verify, ttl_dns_cache=60)
        self._session = aiohttp.ClientSession(
            connector=connector,
            timeout=aiohttp.ClientTimeout(
                total=None, sock_connect=self._connect_s, ceil_threshold=float("inf")
            ),
            auto_decompress=False,
            cookie_jar=aiohttp.DummyCookieJar(),
            trust_env=True,
            read_bufsize=_READ_BUFFER,
            trace_configs=[_tracing()],
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


class _Body(httpx.AsyncByteStream):
    """The body as it arrives, one piece for each time that something was received."""

    def __init__(self, response: aiohttp.ClientResponse, request: httpx.Request) -> None:
        self._response = response
        self._request = request

    async def __aiter__(self) -> AsyncIterator[bytes]:
        content = self._response.content
        try:
            while chunk := await content.readany():
                yield chunk
        except Exception as error:
            raise _as_httpx(error, self._request, reading=True) from error

    async def aclose(self) -> None:
        # An answer read to its end has given its connection back already.
        self._response.close()


def _tracing() -> aiohttp.TraceConfig:
    config = aiohttp.TraceConfig(trace_config_ctx_factory=_context)

    async def begin(session: aiohttp.ClientSession, context: Any, params: Any) -> None:
        if context.marks is not None:
            context.marks.connect_start = perf_counter()

    async def end(session: aiohttp.ClientSession, context: Any, params: Any) -> None:
        if context.marks is not None:
            context.marks.connect_end = perf_counter()
            context.marks.flags |= Flag.NEW_CONNECTION

    config.on_connection_create_start.append(begin)
    config.on_connection_create_end.append(end)
    return config


def _context(trace_request_ctx: Marks | None) -> SimpleNamespace:
    return SimpleNamespace(marks=trace_request_ctx)


def _as_httpx(error: Exception, request: httpx.Request, *, reading: bool = False) -> Exception:
    """The exception that httpx would raise for the same failure."""
    kind = _kind(error, reading)
    # The text of the cause may hold what was sent; it stays in the cause.
    return kind(type(error).__name__, request=request) if kind else error


def _kind(error: Exception, reading: bool) -> type[httpx.RequestError] | None:
    if isinstance(error, aiohttp.ConnectionTimeoutError):
        return httpx.ConnectTimeout
    if isinstance(error, aiohttp.ClientProxyConnectionError | aiohttp.ClientHttpProxyError):
        return httpx.ProxyError
    if isinstance(error, aiohttp.ClientConnectorError | aiohttp.ClientSSLError):
        return httpx.ConnectError
    if isinstance(error, aiohttp.ServerTimeoutError | TimeoutError):
        return httpx.ReadTimeout
    if isinstance(error, aiohttp.ServerDisconnectedError | aiohttp.ClientResponseError):
        return httpx.RemoteProtocolError
    if isinstance(error, aiohttp.InvalidURL):
        return httpx.UnsupportedProtocol
    if isinstance(error, aiohttp.ClientPayloadError):
        return httpx.RemoteProtocolError
    if isinstance(error, aiohttp.ClientError | OSError):
        return httpx.ReadError if reading else httpx.NetworkError
    return None
