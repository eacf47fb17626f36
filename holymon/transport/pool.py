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
from holymon.transport.connection import Wire
from holymon.transport.connector import Dialer
from holymon.transport.prepared_request import Origin, Prepared, prepare
from holymon.transport.response import Progress, Response

IDLE_S: Final = 4.0
"""A connection idle for longer is closed: a request that meets the server's own close is lost, and
uvicorn (so vLLM, too), Node and Apache close theirs after 5 s."""


class Transport(httpx.AsyncBaseTransport):
    """Sends requests on as many connections as needed.

    `connect_s` limits DNS, TCP and TLS together. Redirects are not followed, cookies are not
    kept, and nothing is sent twice.
    """

    def __init__(self, *, connect_s: float = 10.0, verify: ssl.SSLContext | bool = True) -> None:
        """Open nothing yet."""
        self._connect_s = connect_s
        self._dialer = Dialer(verify)
        self._idle: dict[Origin, list[tuple[float, Wire]]] = {}

    async def send(
        self,
        prepared: Prepared,
        progress: Progress,
        key: Secret | None = None,
        *,
        connect_s: float | None = None,
    ) -> Response:
        """Send a prepared request, with a key that is kept nowhere; its headers are yet to come.

        Raises httpx.TransportError.
        """
        wire = self._idle_one(prepared.origin) or await self._open(prepared, progress, connect_s)
        answer = Response(prepared.request, progress, wire)
        progress.write_start = progress.clock()
        bodiless = prepared.request.method == "HEAD"
        wire.send(answer, prepared.bytes_with(key), bodiless=bodiless)
        return answer

    def _idle_one(self, origin: Origin) -> Wire | None:
        idle = self._idle.get(origin)
        while idle:
            since, wire = idle.pop()
            if monotonic() - since < IDLE_S and wire.quiet:
                return wire
            wire.abort()
        return None

    async def _open(self, prepared: Prepared, progress: Progress, limit: float | None) -> Wire:
        origin, request = prepared.origin, prepared.request
        wire = Wire(origin, self._free)
        progress.connect_start = progress.clock()
        try:
            async with asyncio.timeout(self._connect_s if limit is None else limit):
                await self._dialer.open(origin, wire, prepared.proxy_key)
        except TimeoutError as error:
            raise httpx.ConnectTimeout("no connection in time", request=request) from error
        except OSError as error:
            # TLS is spoken with the origin, behind the proxy.
            direct = origin.proxy is None or isinstance(error, ssl.SSLError)
            kind = httpx.ConnectError if direct else httpx.ProxyError
            raise kind(str(error), request=request) from error
        progress.connect_end = progress.clock()
        return wire

    def _free(self, wire: Wire) -> None:
        if wire.usable:
            self._idle.setdefault(wire.origin, []).append((monotonic(), wire))

    async def handle_async_request(self, request: httpx.Request) -> httpx.Response:
        """Send `request` as httpx asks its transports to. Raises httpx.TransportError."""
        await request.aread()
        wanted: dict[str, Any] = request.extensions.get("timeout", {})
        progress = Progress()
        answer = await self.send(prepare(request), progress, connect_s=wanted.get("connect"))
        try:
            async with asyncio.timeout(wanted.get("read" if progress.written else "write")):
                await answer.begin()
        except TimeoutError as error:
            answer.close()
            kind = httpx.ReadTimeout if progress.written else httpx.WriteTimeout
            raise kind("no answer in time", request=request) from error
        except BaseException:
            answer.close()
            raise
        body = _Body(answer, wanted.get("read"))
        return httpx.Response(
            answer.status, headers=answer.raw_headers, stream=body, request=request
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
            for _, wire in idle:
                wire.abort()
        self._idle.clear()
        await asyncio.sleep(0)  # aborted connections are closed in the loop's next turn


class _Body(httpx.AsyncByteStream):
    """An answer's body as httpx reads it."""

    def __init__(self, answer: Response, limit: float | None) -> None:
        self._answer, self._limit = answer, limit

    async def __aiter__(self) -> AsyncIterator[bytes]:
        while piece := await self._piece():
            yield piece

    async def _piece(self) -> bytes:
        try:
            async with asyncio.timeout(self._limit):
                return await self._answer.receive()
        except TimeoutError as error:
            request = self._answer.request
            raise httpx.ReadTimeout("nothing came in time", request=request) from error

    async def aclose(self) -> None:
        self._answer.close()
