"""One HTTP/1.1 connection: a request goes out, and what comes back is its answer's.

llhttp (httptools) does the parsing; what breaks is raised as httpx would raise it, with its cause.
"""

import asyncio
import select
import sys
from collections.abc import Callable
from functools import partial
from math import nan
from typing import Final, cast

import httptools
import httpx

from holymon.transport.prepared_request import Origin
from holymon.transport.response import Response

HEAD_MAX: Final = 2**16
"""Bytes of an answer's head, at most; and of whatever else comes without a byte of its body."""

TOO_LONG: Final = "the head of the response is too long"


def _looker(fd: int) -> Callable[[], object]:
    """What tells, without waiting, whether there is something to be read."""
    if sys.platform == "win32":  # which has no poll, while select elsewhere knows low numbers only
        return lambda: select.select([fd], [], [], 0)[0]
    poll = select.poll()
    poll.register(fd, select.POLLIN)
    return partial(poll.poll, 0)


SPEAKS_TLS: Final = "what came is TLS, not HTTP"
_TLS_ALERT: Final = b"\x15\x03"  # RFC 8446, section 5.1


class Connection(asyncio.Protocol):
    """A connection, used by one answer at a time; `free` is called when one has come to its end.

    `greeting` is whether the server was reached and has been greeted in TLS.
    """

    def __init__(self, origin: Origin, free: Callable[["Connection"], None]) -> None:
        """Expect to be connected to `origin`."""
        self.origin, self.greeting = origin, False
        self._free = free
        self._transport: asyncio.Transport | None = None
        self._parser = httptools.HttpResponseParser(self)
        # Of the two lengths the chunked one counts, as for httpx, requests and curl; and a header
        # that is folded is one line (RFC 9112, section 5.2).
        self._parser.set_dangerous_leniencies(lenient_chunked_length=True, lenient_headers=True)
        self._response: Response | None = None
        self._broken: Exception | None = None
        self._paused = self._full = self._used = False
        self._look: Callable[[], object] = bool
        self._reset()

    @property
    def usable(self) -> bool:
        """Whether another request can be sent on it."""
        return self._transport is not None and not self._transport.is_closing()

    @property
    def quiet(self) -> bool:
        """Whether nothing has come on it, its end included, that the loop has not told yet."""
        transport = self._transport
        return transport is not None and not transport.is_closing() and not self._look()

    def send(self, response: Response, data: bytes, *, bodiless: bool = False) -> None:
        """Send a request; `bodiless` for HEAD, whose answer only looks as if it had a body."""
        transport = self._transport
        assert transport is not None
        self._reset()
        self._response, self._bodiless = response, bodiless
        if transport.is_closing():  # the peer has closed it already
            self.connection_lost(self._broken)
            return
        transport.write(data)
        if not self._full:
            response.written = True

    def abort(self) -> None:
        """Close it at once: to close in order would wait for a peer that may never read."""
        self._response = None
        if self._transport is not None:
            self._transport.abort()

    def pause(self) -> None:
        """Read nothing until `resume`."""
        if not self._paused and self.usable:
            cast(asyncio.Transport, self._transport).pause_reading()
            self._paused = True

    def resume(self) -> None:
        """Read on after a `pause`."""
        if self._paused and self.usable:
            cast(asyncio.Transport, self._transport).resume_reading()
        self._paused = False

    def _reset(self) -> None:
        self._bare = 0
        self._headers: list[tuple[bytes, bytes]] = []
        self._body: list[bytes] = []
        self._at = nan
        self._begun = self._over = self._interim = self._again = self._bodiless = False

    # What the event loop calls.

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        """The connection is open: tell how to look at its socket, and report what waits."""
        self._transport = cast(asyncio.Transport, transport)
        self._look = _looker(transport.get_extra_info("socket").fileno())
        # Whatever the system does not take at once is reported, and so is its end.
        self._transport.set_write_buffer_limits(high=0)

    def pause_writing(self) -> None:
        """The system took only a part of the request."""
        self._full = True

    def resume_writing(self) -> None:
        """The system has taken the rest of the request."""
        self._full = False
        if self._response is not None:
            self._response.written = True

    def data_received(self, data: bytes) -> None:
        """Stamp and parse what came; a server that speaks without a request is cut off."""
        response = self._response
        if response is None:
            self.abort()
            return
        self._at = response.clock()
        error: Exception | None = None
        try:
            self._parser.feed_data(data)
        except httptools.HttpParserUpgrade:
            self._again = True  # from here on it would be another protocol
        except httptools.HttpParserError as wrong:
            error = wrong
        if self._body:
            body, self._body, self._bare = self._body, [], 0
            response.piece_came(self._at, body[0] if len(body) == 1 else b"".join(body))
        else:
            self._bare += len(data)
            if self._bare > HEAD_MAX:
                error = error or ValueError(TOO_LONG)
        if self._over:
            self._again = self._again or error is not None
            self._end(response)
        elif error is not None:
            tls = not self._begun and data.startswith(_TLS_ALERT)
            message = SPEAKS_TLS if tls else str(error.__context__ or error)
            cause = None if tls else error
            self._fail(httpx.RemoteProtocolError(message, request=response.request), cause)

    def connection_lost(self, exc: Exception | None) -> None:
        """The connection is closed, in order or not: end the response that was under way."""
        self._broken = exc
        response = self._response
        if response is None:
            return
        # To a server that closes what it keeps open a request may have come too late. It may have
        # come in time as well, and a POST is not sent again by itself (RFC 9110, section 9.2.2).
        where = ", on a connection that it had kept open" * (self._used and not self._begun)
        if exc is not None:
            kind = httpx.ReadError if response.written else httpx.WriteError
            cause = None if where and response.written else exc
            self._fail(kind(f"{exc}{where}", request=response.request), cause)
        elif self._begun and self._lasts_until_close():
            self._at, self._again = response.clock(), True
            self._end(response)
        else:
            message = (
                "peer closed connection without sending the complete body" if self._begun
                else f"Server disconnected without sending a response{where}."
            )  # fmt: skip
            self._fail(httpx.RemoteProtocolError(message, request=response.request), None)

    # What the parser calls.

    def on_message_begin(self) -> None:
        """An answer begins; there is one for each request."""
        self._again = self._again or self._over

    def on_header(self, name: bytes, value: bytes) -> None:
        """A header is complete; those behind the body are nobody's."""
        if not self._begun:
            self._headers.append((name, value))
        if len(name) + len(value) > HEAD_MAX:
            raise ValueError(TOO_LONG)

    def on_headers_complete(self) -> None:
        """The head is complete, if it is not that of an interim response."""
        status = self._parser.get_status_code()
        if self._over or self._response is None:
            return
        if status < 100:  # llhttp takes 000 for one, and whoever waits for a status would wait on
            raise ValueError("the response has no status")
        self._interim = 100 <= status < 200 and status != 101
        if self._interim:
            self._headers.clear()
            return
        self._begun = True
        self._response.raw_headers = self._headers
        self._response.headers_came(self._at, status)
        self._over = self._bodiless

    def on_body(self, piece: bytes) -> None:
        """A part of the body is there; several of one segment are one piece."""
        if not self._over:
            self._body.append(piece)

    def on_message_complete(self) -> None:
        """An response is complete, if it is not an interim one."""
        if not self._interim:
            self._over = True
            self._again = self._again or not self._parser.should_keep_alive()

    def _end(self, response: Response) -> None:
        self._response, self._used = None, True
        response.end_came(self._at)
        if self._again or self._bodiless or self._full:
            self.abort()
        else:
            self.resume()
        self._free(self)

    def _fail(self, error: Exception, cause: Exception | None) -> None:
        response, self._response = self._response, None
        error.__cause__ = cause
        if response is not None:
            response.failed(error)
        self.abort()

    def _lasts_until_close(self) -> bool:
        codings = [value for name, value in self._headers if name.lower() == b"transfer-encoding"]
        if codings:  # RFC 9112, section 6.3
            return not codings[-1].strip().lower().endswith(b"chunked")
        return all(name.lower() != b"content-length" for name, _ in self._headers)
