"""The connections that calls share, and the same as a transport for httpx.

    Transport.send(prepared, progress, key) -> Response               as `client` calls it
    Transport.handle_async_request(httpx.Request) -> httpx.Response  as httpx calls it

httpx 0.28 as shipped scans its pool for every call (2 ms of CPU at 32 connections). This one keeps
its idle connections on a stack, hands over what arrives with the moment of its arrival, and raises
what httpx would raise.
"""

import asyncio
import ssl
from collections.abc import AsyncIterator
from time import monotonic
from types import TracebackType
from typing import Any, Final

import httpx

from holymon.safety import Secret
from holymon.transport.connection import Connection
from holymon.transport.connector import Connector
from holymon.transport.prepared_request import Origin, Prepared, prepare
from holymon.transport.response import Response

IDLE_S: Final = 4.0
"""A connection idle for longer is closed: a request that meets the server's own close is lost, and
uvicorn (so vLLM, too), Node and Apache close theirs after 5 s."""


class Transport(httpx.AsyncBaseTransport):
    """Sends requests on as many connections as needed.

    `connect_s` limits DNS, TCP and TLS together. Redirects are not followed, cookies are not
    kept, and nothing is sent twice.
    """

    def __init__(self, *, connect_s: float = 10.0, verify: ssl.SSLContext | bool = True) -> None:
        """Keep the limits; a connection is opened by the first request."""
        self._connect_s = connect_s
        self._connector = Connector(verify)
        self._idle: dict[Origin, list[tuple[float, Connection]]] = {}

    async def send(
        self,
        prepared: Prepared,
        response: Response,
        key: Secret | None = None,
        *,
        connect_s: float | None = None,
    ) -> None:
        """Send a prepared request, with a key that is kept nowhere; its response is yet to come.

        Raises httpx.TransportError.
        """
        connection = self._pop_idle(prepared.origin)
        if connection is None:
            connection = await self._open(prepared, response, connect_s)
        response.expect(prepared.request, connection)
        bodiless = prepared.request.method == "HEAD"
        connection.send(response, prepared.bytes_with(key), bodiless=bodiless)

    def _pop_idle(self, origin: Origin) -> Connection | None:
        idle = self._idle.get(origin)
        while idle:
            since, connection = idle.pop()
            if monotonic() - since < IDLE_S and connection.quiet:
                return connection
            connection.abort()
        return None

    async def _open(
        self, prepared: Prepared, response: Response, limit: float | None
    ) -> Connection:
        origin, request = prepared.origin, prepared.request
        connection = Connection(origin, self._free)
        response.connect_start = response.clock()
        try:
            async with asyncio.timeout(self._connect_s if limit is None else limit):
                await self._connector.open(origin, connection, prepared.proxy_key)
        except TimeoutError as error:
            what = "no answer to the greeting of TLS" if connection.greeting else "no connection"
            raise httpx.ConnectTimeout(f"{what} in time", request=request) from error
        except OSError as error:
            # TLS is spoken with the origin, behind the proxy.
            direct = origin.proxy is None or isinstance(error, ssl.SSLError)
            kind = httpx.ConnectError if direct else httpx.ProxyError
            raise kind(str(error), request=request) from error
        response.connect_end = response.clock()
        return connection

    def _free(self, connection: Connection) -> None:
        if connection.usable:
            self._idle.setdefault(connection.origin, []).append((monotonic(), connection))

    async def handle_async_request(self, request: httpx.Request) -> httpx.Response:
        """Send `request` as httpx asks its transports to. Raises httpx.TransportError."""
        await request.aread()
        limits: dict[str, Any] = request.extensions.get("timeout", {})
        response = Response()
        await self.send(prepare(request), response, connect_s=limits.get("connect"))
        try:
            async with asyncio.timeout(limits.get("read" if response.written else "write")):
                await response.begin()
        except TimeoutError as error:
            response.close()
            kind = httpx.ReadTimeout if response.written else httpx.WriteTimeout
            raise kind("no answer in time", request=request) from error
        except BaseException:
            response.close()
            raise
        body = _Body(response, limits.get("read"))
        return httpx.Response(
            response.status, headers=response.raw_headers, stream=body, request=request
        )

    async def __aexit__(
        self,
        exc_type: type[BaseException] | None = None,
        exc_value: BaseException | None = None,
        traceback: TracebackType | None = None,
    ) -> None:
        await self.aclose()

    async def aclose(self) -> None:
        """Close all idle connections."""
        for idle in self._idle.values():
            for _, connection in idle:
                connection.abort()
        self._idle.clear()
        await asyncio.sleep(0)  # aborted connections are closed in the loop's next turn


class _Body(httpx.AsyncByteStream):
    """A body as httpx reads it."""

    def __init__(self, response: Response, limit: float | None) -> None:
        self._response, self._limit = response, limit

    async def __aiter__(self) -> AsyncIterator[bytes]:
        while piece := await self._piece():
            yield piece

    async def _piece(self) -> bytes:
        try:
            async with asyncio.timeout(self._limit):
                return await self._response.receive()
        except TimeoutError as error:
            request = self._response.request
            raise httpx.ReadTimeout("nothing came in time", request=request) from error

    async def aclose(self) -> None:
        self._response.close()
