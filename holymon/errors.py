"""The closed vocabulary of what can go wrong with a call, and holymon's own exceptions.

A failed call is data: it becomes a record whose `error_type` is one of `ERRORS`. A call of
holymon's own functions that can't be carried out is an exception:

    HolymonError            anything holymon raises on purpose; its text is one clear sentence
    ├── PlanError           a value that makes no sense (names the field, says the mend)
    ├── ConfigError         a setting outside the plan: key, targets file, notebook parameter
    ├── RunError            a run that could not be started, found or finished
    └── CallError           an application's own call that failed, with all its attempts

`error_type` follows OpenTelemetry's rule for `error.type`: few values, none of them made from
a server's text; `_OTHER` is its fall-back, and a call that ends there shows a hole in this list.
"""

from dataclasses import dataclass
from typing import Final, Literal

from holymon.language.said import say

LOST: Final = "the last records could not be written"
"""How a run's trouble ends where calls that had finished are in no file."""

Blame = Literal["client", "caller", "network", "server"]
Retryable = Literal["yes", "no", "ambiguous"]


class HolymonError(Exception):
    """Whatever holymon raises on purpose; `str()` of it is one sentence for a person."""


class PlanError(HolymonError, ValueError):
    """A plan, target or option that makes no sense; the text names the field and the mend."""


class ConfigError(HolymonError):
    """A setting that is missing or wrong: key, targets file, notebook, parameter."""


class RunError(HolymonError):
    """A run that could not be started, found or finished."""


class CallError(HolymonError):
    """An application's call that failed; in a load that would be a record, and no exception.

    `error_type` is one of `ERRORS`, `status` the HTTP status (0: none came), `code` and `message`
    are the provider's own, without keys; `attempts` were made.
    """

    def __init__(
        self, target: str, error_type: str, *, status: int, code: str, message: str, attempts: int
    ) -> None:
        """Say it in one sentence."""
        self.error_type, self.status, self.code = error_type, status, code
        self.message, self.attempts = message, attempts
        about = ", ".join([*([f"HTTP {status}"] if status else []), *([code] if code else [])])
        times = "" if attempts == 1 else f" after {attempts} attempts"
        super().__init__(
            f"the call to {target} failed{times}: {error_type}"
            + (f" ({about})" if about else "")
            + (f": {message}" if message else ".")
        )


@dataclass(frozen=True, slots=True)
class ErrorType:
    """One way for a call to fail: whose fault it most likely is, and whether asking again may help.

    `ambiguous` means that the server may have done (and billed) the work all the same.
    """

    name: str
    blame: Blame
    retryable: Retryable
    meaning: str


_TABLE: Final[tuple[tuple[str, Blame, Retryable, str], ...]] = (
    # never sent
    (
        "client_dropped",
        "client",
        "no",
        say("due by the schedule but never sent: the client was full"),
    ),
    ("pool_timeout", "client", "no", say("no connection was free in time")),
    ("request_invalid", "caller", "no", say("the request could not be put on the wire")),
    ("cancelled", "client", "no", say("stopped from our side before it ended")),
    # connect
    ("dns_failure", "network", "yes", say("the host name has no address")),
    ("connection_refused", "network", "yes", say("nothing listens at that address and port")),
    ("connect_timeout", "network", "yes", say("no connection within the limit")),
    (
        "tls_error",
        "network",
        "no",
        say("the TLS handshake failed or the certificate is not trusted"),
    ),
    ("proxy_error", "network", "yes", say("the proxy refused or failed")),
    ("connect_error", "network", "yes", say("no connection, for another reason")),
    # exchange
    ("write_error", "network", "ambiguous", say("the request could not be written out")),
    ("first_byte_timeout", "server", "ambiguous", say("no answer began within the limit")),
    ("connection_reset", "network", "ambiguous", say("the connection was reset")),
    ("server_disconnected", "network", "ambiguous", say("the server hung up without an answer")),
    ("protocol_error", "server", "no", say("the answer is not HTTP, or breaks its rules")),
    ("deadline_exceeded", "server", "ambiguous", say("not finished within the total limit")),
    # status
    ("bad_request", "caller", "no", say("400: the request was refused as malformed")),
    ("authentication", "caller", "no", say("401: the key was refused")),
    (
        "quota_exhausted",
        "caller",
        "no",
        say("no credit left: 402, or any status whose code or words say so"),
    ),
    ("permission", "caller", "no", say("403: not allowed, with this key or from here")),
    ("not_found", "caller", "no", say("404: no such model or path")),
    ("request_timeout", "server", "yes", say("408: the server gave up waiting")),
    ("conflict", "server", "yes", say("409: a conflict with another request")),
    ("request_too_large", "caller", "no", say("413: the request is too large")),
    ("unprocessable", "caller", "no", say("422: a field was refused")),
    ("rate_limited", "server", "yes", say("429: too many requests or tokens")),
    ("server_error", "server", "ambiguous", say("500: the server failed")),
    ("bad_gateway", "server", "ambiguous", say("502: a gateway got a bad answer")),
    ("unavailable", "server", "yes", say("503: not available now")),
    ("gateway_timeout", "server", "ambiguous", say("504: a gateway waited too long")),
    ("overloaded", "server", "yes", say("529, or 429 and 500 with such words: overloaded")),
    ("http_4xx", "caller", "no", say("another 4xx status")),
    ("http_5xx", "server", "ambiguous", say("another 5xx status")),
    ("unexpected_status", "server", "no", say("a status that is no answer: 1xx, 3xx, 204")),
    # body
    ("unexpected_content_type", "server", "no", say("200 with something else than was asked for")),
    ("empty_response", "server", "ambiguous", say("200 with nothing in it")),
    ("invalid_json", "server", "ambiguous", say("not JSON")),
    ("invalid_utf8", "server", "ambiguous", say("not UTF-8")),
    ("invalid_schema", "server", "ambiguous", say("JSON, but not an answer of this API")),
    ("decoding_error", "network", "ambiguous", say("the compressed body is corrupt")),
    ("response_too_large", "server", "no", say("the body is over the size limit")),
    # stream
    (
        "stream_error_event",
        "server",
        "ambiguous",
        say("an error inside a stream that began with 200"),
    ),
    ("stream_truncated", "server", "ambiguous", say("ended with neither finish reason nor [DONE]")),
    ("stream_stalled", "server", "ambiguous", say("no further token within the limit")),
    ("event_too_large", "server", "no", say("one event is over the size limit")),
    # rest
    ("_OTHER", "client", "no", say("none of the above: a hole in this list, please report it")),
    ("unfinished", "client", "ambiguous", say("the client was killed before the call ended")),
)

OK: Final = ""
ERRORS: Final[dict[str, ErrorType]] = {row[0]: ErrorType(*row) for row in _TABLE}
"""Every failure by name, in a fixed order; the position is the code kept in a record."""

CODES: Final[dict[str, int]] = {OK: 0} | {name: i for i, name in enumerate(ERRORS, start=1)}
NAMES: Final[tuple[str, ...]] = tuple(CODES)

NOT_THE_SERVER: Final = frozenset({"client_dropped", "cancelled", "unfinished"})
"""Failures that say nothing of the API: counted and shown, left out of its error rate."""

UNREACHABLE: Final = frozenset(
    {"dns_failure", "connection_refused", "connect_timeout", "tls_error", "connect_error",
     "proxy_error"}
)  # fmt: skip
"""Failures of calls that never had a connection."""

_STATUS: Final = {
    400: "bad_request", 401: "authentication", 402: "quota_exhausted", 403: "permission",
    404: "not_found", 408: "request_timeout", 409: "conflict", 413: "request_too_large",
    422: "unprocessable", 429: "rate_limited", 500: "server_error", 502: "bad_gateway",
    503: "unavailable", 504: "gateway_timeout", 529: "overloaded",
}  # fmt: skip


def from_status(status: int) -> str:
    """The error type of an HTTP status, `""` for 200."""
    if status == 200:
        return OK
    if status in _STATUS:
        return _STATUS[status]
    if 400 <= status < 500:
        return "http_4xx"
    return "http_5xx" if 500 <= status < 600 else "unexpected_status"


def install(extra: str) -> str:
    """What to type for one of holymon's extras."""
    return f"pip install 'holymon[{extra}]' (in a clone: pip install -e '.[{extra}]')"
