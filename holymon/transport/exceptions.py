"""What an exception of the network means.

classify(exception) -> error type      by the whole chain of causes: one class tells too little
words(exception) -> what it says, or its class where its text may quote what was sent
"""

import errno
import socket
import ssl
import sys
from collections.abc import Container, Iterator
from typing import Final

import httpx


class TooLarge(httpx.DecodingError):
    """What comes is more than anybody wants to read."""


def _chain(error: BaseException, but: Container[int] = ()) -> Iterator[BaseException]:
    """An exception and what it came from; what has its id in `but` is another call's."""
    seen: set[int] = set()
    waiting: list[BaseException | None] = [error]
    while waiting:
        cause = waiting.pop(0)
        if cause is None or id(cause) in seen or id(cause) in but:
            continue
        seen.add(id(cause))
        yield cause
        waiting += [cause.__cause__, cause.__context__]
        waiting += list(getattr(cause, "exceptions", ()))


_BY_CLASS: Final[tuple[tuple[tuple[type[BaseException], ...], str], ...]] = (
    ((httpx.PoolTimeout,), "pool_timeout"),
    ((httpx.ProxyError,), "proxy_error"),
    ((ssl.SSLError, ssl.CertificateError), "tls_error"),
    ((socket.gaierror,), "dns_failure"),
    ((ConnectionRefusedError,), "connection_refused"),
    ((httpx.ConnectTimeout,), "connect_timeout"),
    ((httpx.ConnectError,), "connect_error"),
    ((httpx.WriteTimeout, httpx.WriteError, BrokenPipeError), "write_error"),
    ((ConnectionResetError,), "connection_reset"),
    ((TooLarge,), "response_too_large"),
    ((httpx.DecodingError,), "decoding_error"),
    ((httpx.ReadTimeout, TimeoutError), "first_byte_timeout"),
    ((httpx.LocalProtocolError, httpx.UnsupportedProtocol), "request_invalid"),
)  # fmt: skip

# What h11 and the transport here say when the connection was closed before the answer's end.
_HUNG_UP: Final = ("disconnected", "peer closed")


def _is(error: BaseException, classes: tuple[type[BaseException], ...]) -> bool:
    """Whether an exception is of one of the classes, or its like of httpx2 by the same name."""
    if isinstance(error, classes):
        return True
    kinds = type(error).__mro__
    names = {kind.__name__ for kind in kinds if kind.__module__.partition(".")[0] == "httpx2"}
    return bool(names) and any(kind.__name__ in names for kind in classes)


def classify(error: BaseException, but: Container[int] = ()) -> str:
    """The error type of an exception of httpx, httpx2 or the system."""
    chain = list(_chain(error, but))
    numbers = {getattr(cause, "errno", None) for cause in chain}
    if errno.EPIPE in numbers:
        return "write_error"
    if numbers & {errno.EMFILE, errno.ENFILE}:  # no more sockets: nothing was sent
        return "client_dropped"
    for classes, name in _BY_CLASS:
        if any(_is(cause, classes) for cause in chain):
            timed_out = name == "connect_error" and errno.ETIMEDOUT in numbers
            return "connect_timeout" if timed_out else name
    if any(_is(cause, (httpx.RemoteProtocolError,)) for cause in chain):
        text = " ".join(map(str, chain))
        return "server_disconnected" if any(w in text for w in _HUNG_UP) else "protocol_error"
    if any(_is(cause, (OSError, httpx.NetworkError)) for cause in chain):
        return "connection_reset"
    return "request_invalid" if isinstance(error, ValueError | TypeError) else "_OTHER"


def words(error: BaseException) -> str:
    """What an exception says; one about the request may quote a header, so only its class."""
    chain = list(_chain(error))
    if isinstance(error, ValueError | TypeError) and not isinstance(error, ssl.SSLError):
        return type(chain[-1]).__name__
    # The deepest that says anything: a timeout comes of a cancellation, which says nothing.
    deepest = next((cause for cause in reversed(chain) if str(cause)), chain[-1])
    return f"{type(deepest).__name__}: {deepest}".removesuffix(": ")


def handled() -> frozenset[int]:
    """The ids of what is being handled now: whatever fails meanwhile has it for a context."""
    error = sys.exception()
    return frozenset() if error is None else frozenset(map(id, _chain(error)))
