"""Clients that an application already has, watched: httpx, httpx2, and the SDKs built on them.

    monitored(client) -> the same client

Each transport of a client keeps its class; only its method that sends is wrapped, and the streams
of answers. Bytes, order, exceptions and their tracebacks stay what they were.
"""

from collections.abc import AsyncIterator, Awaitable, Callable, Iterator
from functools import lru_cache, partial
from typing import Any, Final, TypeVar
from urllib.parse import urlsplit

from holymon.errors import HolymonError, PlanError
from holymon.monitor.endpoints import keys_of, read_call, subject
from holymon.monitor.ledger import OTHER
from holymon.monitor.monitor import Monitor
from holymon.monitor.observed_call import ObservedCall
from holymon.plan.target import Target
from holymon.plan.targets import providers
from holymon.plan.targets import target as target_of
from holymon.safety import redact, short

C = TypeVar("C")
_MARK: Final = "holymon_monitor"
_MOST_KNOWN: Final = 1000
_STREAMS: Final = {"SyncByteStream", "AsyncByteStream"}


def monitored(client: C, monitor: Monitor | None = None) -> C:
    """Watch the calls of a client with `monitor`, or with one of its own (`client.monitor`).

    `client` is a `Client` or `AsyncClient` of httpx or httpx2, or an SDK's client that holds one
    (openai, anthropic, ollama). Recorded is every POST, whose row is named by the model in its
    body, form or path, else by what the path is about (`openai/files`); a GET asks no model. Read
    are the dialects of OpenAI, Anthropic (also on Vertex and Bedrock), Bedrock's Converse, Gemini,
    Cohere and Ollama, and the counts of embeddings; what comes from other paths has failed only if
    its status or an `error` in it says so. The provider is found by the address in targets.toml.
    Attempts that an SDK makes of one call are one request, and so are a redirection and what
    follows it. Raises PlanError for a client that can't be watched.
    """
    inner: Any = client if hasattr(client, "_transport") else getattr(client, "_client", None)
    if not hasattr(inner, "_transport") or not hasattr(inner, "_mounts"):
        raise PlanError(
            f"a {type(client).__name__} can't be watched: only clients of httpx and httpx2, and "
            "SDKs that hold one in _client (openai, anthropic, ollama). If this SDK takes a client "
            "of httpx, hand it hm.monitored(httpx.Client())."
        )
    watching = Monitor() if monitor is None else monitor
    watch, transports = _Watch(watching), _transports_of(inner)
    if any(hasattr(transport, _MARK) for transport in transports):
        raise PlanError("this client is watched already.")
    for transport in transports:
        setattr(transport, _MARK, watching)
    wrap(inner, handle_request=watch.synchronous, handle_async_request=watch.asynchronous)
    watch.prepare(getattr(inner, "base_url", None))
    inner.monitor = client.monitor = watching  # type: ignore[attr-defined]
    return client


def wrap(inner: Any, **wraps: Callable[[Any], Any]) -> None:
    """Put something around the methods that send, by their names, of all that a client sends by."""
    for transport in _transports_of(inner):
        for name in wraps.keys() & {*dir(transport)}:
            setattr(transport, name, wraps[name](getattr(transport, name)))


def _transports_of(inner: Any) -> list[Any]:
    """The transports of a client of httpx, each once."""
    every = (inner._transport, *inner._mounts.values())
    return [*{id(transport): transport for transport in every if transport is not None}.values()]


class _Watch:
    """What the calls of one client have in common."""

    def __init__(self, monitor: Monitor) -> None:
        self._ledger = monitor.ledger
        self._known: dict[tuple[str, int | None, str, str], Target] = {}
        self._providers = [
            (_address(about["base_url"].partition("{model}")[0]), name)
            for name, about in providers().items() if about.get("base_url")
        ]  # fmt: skip

    def prepare(self, url: Any) -> None:
        """Load the prices of a provider's models now: that takes longer than a call may wait."""
        if self._provider(*_address(str(url or ""))):
            self._find(*_address(str(url)), "any")

    def synchronous(self, send: Callable[[Any], Any]) -> Callable[[Any], Any]:
        """The `send` of a client's transport, with each call of it recorded."""

        def handle_request(request: Any) -> Any:
            call = self._begin(request)
            if call is None:
                return send(request)
            with call:
                response = send(request)
            return _answered(call, response)

        return handle_request

    def asynchronous(
        self, send: Callable[[Any], Awaitable[Any]]
    ) -> Callable[[Any], Awaitable[Any]]:
        """The `send` of an asyncio transport, with each call of it recorded."""

        async def handle_async_request(request: Any) -> Any:
            call = self._begin(request)
            if call is None:
                return await send(request)
            with call:
                response = await send(request)
            return _answered(call, response)

        return handle_async_request

    def _begin(self, request: Any) -> ObservedCall | None:
        """What watches a call; None for one that asks no model."""
        if request.method != "POST":
            return None
        aim = read_call(request)
        counted = request.headers.get("x-stainless-retry-count")
        return ObservedCall(
            self._ledger, self._ledger.index(self._target(request.url, aim.model)), aim=aim,
            body=request.stream, keys=partial(keys_of, request),
            counted=int(counted) if counted and counted.isdecimal() else None,
        )  # fmt: skip

    def _target(self, url: Any, model: str) -> Target:
        key = (url.host, url.port, url.path, model)
        target = self._known.get(key)
        if target is None:
            target = self._find(*key)
            if len(self._known) < _MOST_KNOWN:
                self._known[key] = target
        return target

    def _find(self, host: str, port: int | None, path: str, model: str) -> Target:
        name = short(redact(model), 80).strip() or subject(path)
        try:
            if provider := self._provider(host, port, path):
                return target_of(f"{provider}/{name}")
            address = host if port is None else f"{host}:{port}"
            return Target(provider=short(address, 80), model=name)
        except HolymonError:
            return OTHER

    def _provider(self, host: str, port: int | None, path: str) -> str:
        """The one whose path leads furthest; `""` where several share a host, and none has it."""
        here = [(at[2], name) for at, name in self._providers if at[:2] == (host, port)]
        known = [entry for entry in here if path.startswith(entry[0])] or here[: len(here) == 1]
        return max(known, key=lambda entry: len(entry[0]), default=("", ""))[1]


def _address(base_url: str) -> tuple[str, int | None, str]:
    """Host, port and path, as httpx tells them: no port is the one that goes without saying."""
    try:
        parts = urlsplit(base_url)
        port = parts.port
    except ValueError:  # none can be called there
        return "", None, "/"
    usual = {"http": 80, "https": 443}.get(parts.scheme)
    return parts.hostname or "", None if port == usual else port, parts.path.rstrip("/") + "/"


def _answered(call: ObservedCall, response: Any) -> Any:
    raw = getattr(response.headers, "raw", ())
    call.answered(response.status_code, response.headers.get, raw)
    body = getattr(response, "_content", None)
    if body is not None:
        call.came_read(body)
    else:
        response.stream = _kind(response.stream.__class__)(response.stream, call)
    return response


@lru_cache(maxsize=64)
def _kind(kind: type[Any]) -> type[Any]:
    """A class of watched streams that the library of `kind` takes for its own."""
    bases = tuple(base for base in kind.__mro__ if base.__name__ in _STREAMS)
    methods = {"__init__": _init, "__getattr__": _rest, "__del__": _del}
    names = {base.__name__ for base in bases}
    if "SyncByteStream" in names:
        methods |= {"__iter__": _iter, "close": _close}
    if "AsyncByteStream" in names:
        methods |= {"__aiter__": _aiter, "aclose": _aclose}
    return type("WatchedStream", bases, methods)


def _init(self: Any, stream: Any, call: ObservedCall) -> None:
    self._stream, self._call = stream, call


def _rest(self: Any, name: str) -> Any:
    return getattr(self._stream, name)


def _del(self: Any) -> None:
    call = self.__dict__.get("_call")
    if call is not None:
        call.dropped()


def _iter(self: Any) -> Iterator[bytes]:
    call = self._call
    seen = call.piece
    with call:
        for piece in self._stream:
            seen(piece)
            yield piece
    call.ended()


def _close(self: Any) -> None:
    try:
        self._stream.close()
    finally:
        self._call.closed()


async def _aiter(self: Any) -> AsyncIterator[bytes]:
    call, stream = self._call, self._stream.__aiter__()
    seen = call.piece
    try:
        with call:
            async for piece in stream:
                seen(piece)
                yield piece
    finally:
        if hasattr(stream, "aclose"):
            await stream.aclose()
    call.ended()


async def _aclose(self: Any) -> None:
    try:
        await self._stream.aclose()
    finally:
        self._call.closed()
