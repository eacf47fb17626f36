"""One monitored call: sends a prepared request, stamps what arrives, names what went wrong.

    Caller.send(number, target, due) -> Marks      never raises for what a server or network does
    classify(exception, marks) -> error type       by the chain of causes, not by one class

Every received piece is stamped before it is parsed. Limits of a call: connect, first byte, token
stall (comments keep a socket alive, not a stream), total. The key is added when a request is
sent; it is in no request, client, marks or message.
"""

import asyncio
import errno
import os
import socket
import ssl
from collections.abc import Callable, Iterator
from time import perf_counter
from typing import Final

import aiohttp
import httpx

from holymon import chat
from holymon.errors import OK, ConfigError
from holymon.plan import Plan, Target
from holymon.records import Flag, Marks
from holymon.safety import Secret, redact, short
from holymon.sse import EventTooLarge
from holymon.transport import AiohttpTransport

Clock = Callable[[], float]


def key_of(target: Target) -> Secret | None:
    """The key of a target from its environment variable. Raises ConfigError, without the value."""
    if not target.api_key_env:
        return None
    value = os.environ.get(target.api_key_env)
    if value is None:
        raise ConfigError(
            f"{target.name} needs a key: set the environment variable {target.api_key_env}."
        )
    return Secret(value, target.api_key_env)


class Caller:
    """Calls the targets of a plan; one for each worker.

    `texts` are what is asked, in turn. With `keep`, the answer's text is kept in `texts_seen`
    by the number of the call (for tests and for applications, never for a load).
    """

    def __init__(
        self, plan: Plan, *, clock: Clock = perf_counter, transport: AiohttpTransport | None = None,
        keep: bool = False,
    ) -> None:  # fmt: skip
        """Read the keys and prepare the requests. Raises ConfigError, PlanError."""
        self.plan = plan
        self.kept: dict[int, str] = {}
        self._clock = clock
        self._keep = keep
        self._keys = [key_of(target) for target in plan.targets]
        self._secrets = tuple(key for key in self._keys if key is not None)
        self._transport = transport or AiohttpTransport(connect_s=plan.connect_s)
        self._requests = [_requests(plan, target) for target in plan.targets]

    async def aclose(self) -> None:
        """Close all connections."""
        await self._transport.aclose()

    async def send(self, number: int, target: int, due: float) -> Marks:
        """Make call `number` to the `target`-th target; what happened is in the marks."""
        marks = Marks(number, target, due)
        task = asyncio.current_task()
        assert task is not None
        marks.start = self._clock()
        limits = _Limits(self, marks, task)
        try:
            await self._exchange(marks, limits)
        except asyncio.CancelledError:
            marks.error = limits.exceeded or "cancelled"
            if limits.exceeded:
                task.uncancel()
        except EventTooLarge:
            marks.error = "event_too_large"
        except Exception as error:  # noqa: BLE001 - whatever happens to a call is a record
            if not marks.error:
                marks.error = classify(error, marks)
                marks.message = _words(error)
        finally:
            limits.disarm()
        marks.end = self._clock()
        self._complete(marks)
        return marks

    def _complete(self, marks: Marks) -> None:
        if self.plan.prompts.stream:
            marks.flags |= Flag.STREAM
        if marks.error and marks.events:
            marks.flags |= Flag.AFTER_FIRST_TOKEN
        if marks.output_tokens < 0 and marks.events:
            marks.output_tokens = marks.events
        if marks.message:
            marks.message = redact(short(marks.message), self._secrets)

    async def _exchange(self, marks: Marks, limits: "_Limits") -> None:
        prepared = self._requests[marks.target]
        request = prepared[(marks.request // len(self.plan.targets)) % len(prepared)]
        if isinstance(request, Exception):
            raise request
        key = self._keys[marks.target]
        extra = {"authorization": f"Bearer {key.reveal()}"} if key else None
        response = await self._transport.send(request, marks, extra)
        marks.headers = self._clock()
        marks.status = response.status_code
        if "x-holymon-sim" in response.headers:
            marks.flags |= Flag.SIMULATED
        try:
            await self._read(response, marks, limits)
        finally:
            await response.aclose()

    async def _read(self, response: httpx.Response, marks: Marks, limits: "_Limits") -> None:
        if response.status_code != 200:
            await self._read_error(response, marks)
        elif not self.plan.prompts.stream:
            await self._read_body(response, marks)
        elif not _is_stream(response):
            await self._read_no_stream(response, marks)
        else:
            limits.streaming()
            await self._read_stream(response, marks)

    async def _read_stream(self, response: httpx.Response, marks: Marks) -> None:
        reader = chat.StreamReader(marks, keep=self._keep)
        clock = self._clock
        try:
            async for chunk in _pieces(response):
                reader.feed(clock(), chunk)
                if reader.done or reader.error:
                    break
            marks.error = reader.close(clock())
        except (httpx.TransportError, httpx.DecodingError) as error:
            # What had come before the connection broke may still be a whole answer.
            verdict = reader.close(clock())
            cut = classify(error, marks)
            if verdict:
                marks.error = verdict if cut == "server_disconnected" else cut
        marks.message = reader.message
        if self._keep:
            self.kept[marks.request] = reader.text

    async def _read_body(self, response: httpx.Response, marks: Marks) -> None:
        kind = response.headers.get("content-type", "")
        body = await self._all(response, marks, chat.MAX_BODY)
        if body is None:
            marks.error = "response_too_large"
        elif "html" in kind or (kind.startswith("text/") and "json" not in kind):
            marks.error, marks.message = "unexpected_content_type", kind
        else:
            marks.error, marks.message, text = chat.read_answer(body, marks)
            if self._keep:
                self.kept[marks.request] = text

    async def _read_no_stream(self, response: httpx.Response, marks: Marks) -> None:
        """A stream was asked for and something else came: an error in JSON, or no answer at all."""
        body = await self._all(response, marks, chat.MAX_ERROR_BODY, cut=True) or b""
        if not body.strip():
            marks.error = "empty_response"
        elif chat.is_error(body):
            _, marks.message = chat.read_error(200, body, marks)
            marks.error = "stream_error_event"
        else:
            marks.error = "unexpected_content_type"
            marks.message = response.headers.get("content-type", "")

    async def _read_error(self, response: httpx.Response, marks: Marks) -> None:
        marks.retry_after = _retry_after(response.headers)
        marks.error, _ = chat.read_error(response.status_code, b"", marks)
        body = await self._all(response, marks, chat.MAX_ERROR_BODY, cut=True) or b""
        marks.error, marks.message = chat.read_error(response.status_code, body, marks)

    async def _all(
        self, response: httpx.Response, marks: Marks, limit: int, *, cut: bool = False
    ) -> bytes | None:
        """The whole body; over the limit None, or with `cut` what fits."""
        parts: list[bytes] = []
        async for chunk in _pieces(response):
            marks.bytes += len(chunk)
            parts.append(chunk)
            if marks.bytes > limit:
                return b"".join(parts)[:limit] if cut else None
        return b"".join(parts)


def _pieces(response: httpx.Response):  # type: ignore[no-untyped-def]
    """The body piece by piece as it was received, decompressed where it was compressed."""
    if response.headers.get("content-encoding", "identity") == "identity":
        return response.stream
    return response.aiter_bytes()


def _is_stream(response: httpx.Response) -> bool:
    return response.headers.get("content-type", "").startswith("text/event-stream")


def _requests(plan: Plan, target: Target) -> list[httpx.Request | Exception]:
    """One prepared request for each prompt; what can't be written as JSON fails when called."""
    made: list[httpx.Request | Exception] = []
    for text in plan.prompts.texts:
        try:
            body = chat.request_body(
                target.model, text, max_tokens=plan.prompts.max_tokens, stream=plan.prompts.stream
            )
        except (ValueError, TypeError, UnicodeError) as error:
            made.append(error)
            continue
        kind = "text/event-stream" if plan.prompts.stream else "application/json"
        headers = {
            "accept": kind, "accept-encoding": "gzip, deflate",
            "content-type": "application/json", "user-agent": "holymon",
        }  # fmt: skip
        url = target.base_url.rstrip("/") + "/chat/completions"
        made.append(httpx.Request("POST", url, headers=headers, content=body))
    return made


def _retry_after(headers: httpx.Headers) -> float:
    """What the server asks to wait in seconds; NaN if it says nothing that makes sense."""
    for name, scale in (("retry-after-ms", 1e-3), ("retry-after", 1.0)):
        try:
            wait = float(headers.get(name, "nan")) * scale
        except ValueError:
            continue
        if 0 <= wait < 1e9:
            return wait
    return float("nan")


class _Limits:
    """Cancels a call's task when a limit has passed, and says which; one timer for each call.

    The timer is not moved for every token: when it rings early it is set anew.
    """

    __slots__ = ("_caller", "_handle", "_loop", "_marks", "_stream", "_task", "exceeded")

    def __init__(self, caller: Caller, marks: Marks, task: "asyncio.Task[object]") -> None:
        self._caller, self._marks, self._task = caller, marks, task
        self._loop = asyncio.get_running_loop()
        self._stream = False
        self.exceeded = OK
        self._handle: asyncio.TimerHandle | None = None
        self._arm(self._next()[0])

    def streaming(self) -> None:
        """From now on tokens are expected."""
        self._stream = True
        self.disarm()
        self._arm(self._next()[0])

    def disarm(self) -> None:
        """The call is over."""
        if self._handle is not None:
            self._handle.cancel()

    def _next(self) -> tuple[float, str]:
        """When the nearest limit passes, and its error type."""
        marks, plan = self._marks, self._caller.plan
        total = (marks.start + plan.timeout_s, "deadline_exceeded")
        if marks.headers != marks.headers:
            begun = marks.start if marks.connect_end != marks.connect_end else marks.connect_end
            return min(total, (begun + plan.first_byte_s, "first_byte_timeout"))
        if not self._stream:
            return total
        last = marks.headers if marks.last != marks.last else marks.last
        stall = plan.targets[marks.target].stall_s
        return min(total, (last + stall, "stream_stalled"))

    def _arm(self, at: float) -> None:
        self._handle = self._loop.call_later(max(0.0, at - self._caller._clock()), self._ring)

    def _ring(self) -> None:
        at, error = self._next()
        if self._caller._clock() < at:
            self._arm(at)
            return
        self.exceeded = error
        self._task.cancel()


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
    ((aiohttp.ServerDisconnectedError, aiohttp.ClientPayloadError), "server_disconnected"),
    ((httpx.ReadTimeout, TimeoutError), "first_byte_timeout"),
    ((aiohttp.ClientResponseError,), "protocol_error"),
    ((httpx.ReadError,), "connection_reset"),
    ((httpx.LocalProtocolError, httpx.UnsupportedProtocol, aiohttp.InvalidURL), "request_invalid"),
)  # fmt: skip


def classify(error: BaseException, marks: Marks | None = None) -> str:
    """The error type of an exception of httpx (over any transport), aiohttp or the system."""
    chain = list(_chain(error))
    if any(getattr(one, "errno", None) == errno.EPIPE for one in chain):
        return "write_error"
    for classes, name in _BY_CLASS:
        if any(isinstance(one, classes) for one in chain):
            return name
    if any(isinstance(one, httpx.RemoteProtocolError) for one in chain):
        gone = "disconnected" in str(error) or "peer closed" in str(error)
        return "server_disconnected" if gone else "protocol_error"
    if any(isinstance(one, OSError | httpx.NetworkError) for one in chain):
        return "connect_error" if marks is None or marks.status == 0 else "connection_reset"
    never_sent = marks is None or marks.status == 0
    return "request_invalid" if never_sent and isinstance(error, ValueError | TypeError) else "_OTHER"


def _words(error: BaseException) -> str:
    """What an exception says; an invalid request may quote a header, so only its class is told."""
    deepest = list(_chain(error))[-1]
    if isinstance(error, ValueError | TypeError):
        return type(error).__name__
    return f"{type(deepest).__name__}: {deepest}" if str(deepest) else type(deepest).__name__
