"""What an exception of the network means, whichever library raised it.

as_httpx(aiohttp's exception, ...) -> the exception that httpx raises for the same failure
classify(exception) -> error type      by the whole chain of causes: one class tells too little
words(exception) -> what it says, or its class where its text may quote what was sent
"""

import errno
import socket
import ssl
from collections.abc import Iterator
from typing import Final

import aiohttp
import httpx

Kind = type[httpx.RequestError]


def as_httpx(
    error: Exception, request: httpx.Request, *, connecting: bool, written: bool
) -> Exception:
    """The exception of httpx for one of aiohttp; the words stay in its cause.

    `connecting`: opening a connection had begun; `written`: the request had been sent whole.
    """
    kind = _kind(error, connecting=connecting, written=written)
    return kind(type(error).__name__, request=request) if kind else error


def _kind(error: Exception, *, connecting: bool, written: bool) -> Kind | None:
    if isinstance(error, aiohttp.ConnectionTimeoutError):
        return httpx.ConnectTimeout if connecting else httpx.PoolTimeout
    if isinstance(error, TimeoutError) and not getattr(error, "errno", None):
        return httpx.ReadTimeout if written else httpx.WriteTimeout
    if isinstance(error, aiohttp.ClientPayloadError) and _RESET in str(error):
        return httpx.ReadError
    for classes, kind in _BY_AIOHTTP:
        if isinstance(error, classes):
            return kind
    if isinstance(error, aiohttp.ClientError | OSError):
        return httpx.ReadError if written else httpx.WriteError
    return None


_BY_AIOHTTP: Final[tuple[tuple[tuple[type[Exception], ...], Kind], ...]] = (
    ((aiohttp.ClientProxyConnectionError, aiohttp.ClientHttpProxyError), httpx.ProxyError),
    ((aiohttp.ClientConnectorError, aiohttp.ClientSSLError), httpx.ConnectError),
    ((aiohttp.ServerDisconnectedError, aiohttp.ClientResponseError, aiohttp.ClientPayloadError),
     httpx.RemoteProtocolError),
    ((aiohttp.InvalidURL,), httpx.UnsupportedProtocol),
)  # fmt: skip


def _chain(error: BaseException) -> Iterator[BaseException]:
    """An exception and what it came from, including the OS error that aiohttp keeps aside."""
    seen: set[int] = set()
    waiting: list[BaseException | None] = [error]
    while waiting:
        one = waiting.pop(0)
        if one is None or id(one) in seen:
            continue
        seen.add(id(one))
        yield one
        waiting += [getattr(one, "os_error", None), one.__cause__, one.__context__]
        waiting += list(getattr(one, "exceptions", ()))


_BY_CLASS: Final[tuple[tuple[tuple[type[BaseException], ...], str], ...]] = (
    ((httpx.PoolTimeout,), "pool_timeout"),
    ((httpx.ProxyError, aiohttp.ClientProxyConnectionError, aiohttp.ClientHttpProxyError),
     "proxy_error"),
    ((ssl.SSLError, ssl.CertificateError, aiohttp.ClientSSLError), "tls_error"),
    ((socket.gaierror, aiohttp.ClientConnectorDNSError), "dns_failure"),
    ((ConnectionRefusedError,), "connection_refused"),
    ((httpx.ConnectTimeout, aiohttp.ConnectionTimeoutError), "connect_timeout"),
    ((httpx.ConnectError, aiohttp.ClientConnectorError), "connect_error"),
    ((httpx.WriteTimeout, httpx.WriteError, BrokenPipeError), "write_error"),
    ((ConnectionResetError,), "connection_reset"),
    ((httpx.DecodingError,), "decoding_error"),
    ((aiohttp.ServerDisconnectedError,), "server_disconnected"),
    ((httpx.ReadTimeout, TimeoutError), "first_byte_timeout"),
    ((httpx.LocalProtocolError, httpx.UnsupportedProtocol, aiohttp.InvalidURL), "request_invalid"),
)  # fmt: skip

_PROTOCOL: Final = (
    httpx.RemoteProtocolError, aiohttp.ClientResponseError, aiohttp.ClientPayloadError,
)  # fmt: skip
# aiohttp only quotes the reset that cut a body; the exception itself is not in the chain.
_RESET: Final = "ConnectionResetError("
# What h11 and aiohttp say when the connection was closed before the answer's end.
_HUNG_UP: Final = ("disconnected", "peer closed", "not completed")


def classify(error: BaseException) -> str:
    """The error type of an exception of httpx (over any transport), aiohttp or the system."""
    chain = list(_chain(error))
    numbers = {getattr(one, "errno", None) for one in chain}
    if errno.EPIPE in numbers:
        return "write_error"
    for classes, name in _BY_CLASS:
        if any(isinstance(one, classes) for one in chain):
            timed_out = name == "connect_error" and errno.ETIMEDOUT in numbers
            return "connect_timeout" if timed_out else name
    if any(isinstance(one, _PROTOCOL) for one in chain):
        text = " ".join(map(str, chain))
        if _RESET in text:
            return "connection_reset"
        return "server_disconnected" if any(w in text for w in _HUNG_UP) else "protocol_error"
    if any(isinstance(one, OSError | httpx.NetworkError | aiohttp.ClientError) for one in chain):
        return "connection_reset"
    return "request_invalid" if isinstance(error, ValueError | TypeError) else "_OTHER"


def words(error: BaseException) -> str:
    """What an exception says; one about the request may quote a header, so only its class."""
    deepest = list(_chain(error))[-1]
    if isinstance(error, ValueError | TypeError) or not str(deepest):
        return type(deepest).__name__
    return f"{type(deepest).__name__}: {deepest}"
