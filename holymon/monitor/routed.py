"""An SDK's calls that move from its provider to another's: what is sent there is rewritten.

    routed(client_a, client_b) -> client_a      its POSTs of a dialect go through either transport

Carried over are the address, B's own headers instead of A's, and the name of the model; the body
stays. No key of A's goes to B, nor the other way round.
"""

import asyncio
import json
import time
from collections.abc import Awaitable, Callable, Mapping
from concurrent.futures import ThreadPoolExecutor
from contextlib import suppress
from typing import Any, Final, NamedTuple, TypeVar

from holymon.errors import PlanError
from holymon.monitor.clients import monitored
from holymon.monitor.monitor import Monitor
from holymon.monitor.move import LiveMove
from holymon.monitor.retry import Policy
from holymon.monitor.shadows import MOST
from holymon.monitor.side import at
from holymon.safety import looks_secret

C = TypeVar("C")
KEY_HEADER: Final = "x-holymon-key"
PATHS: Final = ("chat/completions", "completions", "responses", "messages", "embeddings")
"""What is carried over: the paths of OpenAI's dialects and of Anthropic's, below a base_url."""

_REFUSED: Final = 400
_OF_THE_CALL: Final = frozenset(
    {"accept", "accept-encoding", "connection", "content-length", "content-type", "host",
     "user-agent", "anthropic-version", "anthropic-beta", "idempotency-key"}
)  # fmt: skip

_NEVER: Final = frozenset(
    {"authorization", "proxy-authorization", "x-api-key", "api-key", "cookie", "host",
     "content-length", "openai-organization", "openai-project"}
)  # fmt: skip
"""What one provider is told of a caller, and another is not."""


class _Call(NamedTuple):
    """A request that can be carried over: its path below the base_url, and its body."""

    path: str
    body: dict[str, Any]
    key: str


def routed(
    baseline: C, candidate: object, *, models: Mapping[str, str] | None = None,
    patience_s: float = 20.0, policy: Policy | None = None, **options: Any,
) -> C:  # fmt: skip
    """Move a share of the calls of the client `baseline` to the provider of `candidate`.

    Both are clients as `monitored` takes them, of one library and either both for asyncio or
    neither, with a base_url each; both are watched (`client.monitor`), and `client.router` is the
    move. `options` are those of `Router`. `models` gives the candidate's name of a model where it
    has another. Carried over are POSTs of JSON to the chat, completions, responses, messages and
    embeddings of a base_url, which must be of the same dialect there; whatever else is called, and
    what builds on an earlier response, stays where it was, as do an SDK's retries. A call stays at
    a side by its header `x-holymon-key`, which is not sent, or its field `user`. What fails there,
    or is silent for `patience_s`, is made at the baseline, within the policy's budget for retries;
    a stream that has begun is not. Raises PlanError for clients that can't be routed.
    """
    inner: Any = getattr(baseline, "_client", baseline)
    other: Any = getattr(candidate, "_client", candidate)
    if type(inner).__mro__[-2].__module__ != type(other).__mro__[-2].__module__ or (
        hasattr(inner, "aclose") != hasattr(other, "aclose")
    ):
        raise PlanError(
            f"a {type(baseline).__name__} and a {type(candidate).__name__} can't take each other's "
            "calls: take two clients of one library, both for asyncio or neither."
        )
    addresses = tuple(str(getattr(client, "base_url", "")).rstrip("/") for client in (inner, other))
    if not all(addresses) or addresses[0] == addresses[1]:
        raise PlanError("both clients need a base_url, and each one of its own.")
    monitor = Monitor()
    monitored(baseline, monitor)
    monitored(candidate, monitor)
    names = tuple(address.partition("://")[2] for address in addresses)
    move = LiveMove(monitor.ledger, (names[0], names[1]), policy, **options)
    monitor.router = inner.router = baseline.router = move  # type: ignore[attr-defined]
    carrier = _Carrier(baseline, candidate, move, dict(models or {}), patience_s)
    for transport in {id(t): t for t in (inner._transport, *inner._mounts.values()) if t}.values():
        if hasattr(transport, "handle_async_request"):
            transport.handle_async_request = carrier.asynchronous(transport.handle_async_request)
        else:
            transport.handle_request = carrier.synchronous(transport.handle_request)
    return baseline


class _Carrier:
    """What carries the calls of one client over to another."""

    def __init__(
        self,
        baseline: Any,
        candidate: Any,
        move: LiveMove,
        models: dict[str, str],
        patience_s: float,
    ) -> None:
        self._a = getattr(baseline, "_client", baseline)
        self._b = getattr(candidate, "_client", candidate)
        self._candidate, self._move, self._models = candidate, move, models
        self._own = _NEVER | {name.lower() for name in _own_headers(baseline)}
        self._patience_s = patience_s
        self._pool: ThreadPoolExecutor | None = None
        self._tasks: set[Any] = set()

    def synchronous(self, send: Callable[[Any], Any]) -> Callable[[Any], Any]:
        """The `send` of the baseline's transport, for calls that may go elsewhere."""

        def handle_request(request: Any) -> Any:
            call, side = self._read(request), "baseline"
            begun = time.perf_counter()
            if call is not None and self._move.to_candidate(call.key):
                response, why, error = None, "", None
                try:
                    with at("candidate"):
                        response = self._sent(self._rewritten(request, call))
                    why = self._refused(response, call, response.read)
                except Exception as raised:  # noqa: BLE001 - raised again where nothing helps
                    error, why = raised, "server_disconnected"
                if not why or not self._move.may_fall_back(why, begun):
                    if error is not None:
                        raise error
                    return response
                if response is not None:
                    response.close()
                side = "fallback"
            elif call is not None and self._move.copied() and len(self._tasks) < MOST:
                self._pool = self._pool or ThreadPoolExecutor(8, "holymon-shadow")
                self._remember(self._pool.submit(self._copy, request, call))
            with at("fallback" if side == "fallback" else "baseline"):
                return send(request)

        return handle_request

    def asynchronous(
        self, send: Callable[[Any], Awaitable[Any]]
    ) -> Callable[[Any], Awaitable[Any]]:
        """The same for asyncio."""

        async def handle_async_request(request: Any) -> Any:
            call, side = self._read(request), "baseline"
            begun = time.perf_counter()
            if call is not None and self._move.to_candidate(call.key):
                response, why, error = None, "", None
                try:
                    with at("candidate"):
                        response = await self._asent(self._rewritten(request, call))
                        if _whole(response, call):
                            await response.aread()
                    why = self._refused(response, call, lambda: None)
                except Exception as raised:  # noqa: BLE001 - raised again where nothing helps
                    error, why = raised, "server_disconnected"
                if not why or not self._move.may_fall_back(why, begun):
                    if error is not None:
                        raise error
                    return response
                if response is not None:
                    await response.aclose()
                side = "fallback"
            elif call is not None and self._move.copied() and len(self._tasks) < MOST:
                self._remember(asyncio.create_task(self._acopy(request, call)))
            with at("fallback" if side == "fallback" else "baseline"):
                return await send(request)

        return handle_async_request

    def _remember(self, copy: Any) -> None:
        """Hold a call that is on its way to the candidate, so that it ends and is counted."""
        self._tasks.add(copy)
        copy.add_done_callback(self._tasks.discard)

    def _read(self, request: Any) -> _Call | None:
        """What a request asks, if it can be carried over."""
        key = request.headers.pop(KEY_HEADER, "")
        base, url = self._a.base_url, request.url
        path = url.path.removeprefix(base.path)
        there = (url.host, url.port) == (base.host, base.port) and url.path.startswith(base.path)
        repeated = request.headers.get("x-stainless-retry-count", "0") != "0"
        if request.method != "POST" or not there or repeated or path.strip("/") not in PATHS:
            return None
        try:
            body = json.loads(request.content)
        except Exception:  # noqa: BLE001 - what was not read yet, or is no JSON, stays where it was
            return None
        if not isinstance(body, dict) or body.get("previous_response_id"):
            return None
        return _Call(path.strip("/"), body, key or str(body.get("user") or ""))

    def _rewritten(self, request: Any, call: _Call) -> Any:
        """The same request, for the candidate."""
        kept = {name: value for name, value in request.headers.items()
                if name.lower() not in self._own and not looks_secret(name, value)}  # fmt: skip
        model = call.body.get("model")
        body = {**call.body, "model": self._models.get(model, model)} if model else call.body
        raw = request.content if body == call.body else json.dumps(body).encode()
        limits = dict(request.extensions.get("timeout") or {})
        reads = limits.get("read")
        limits["read"] = self._patience_s if reads is None else min(reads, self._patience_s)
        return self._b.build_request(
            "POST", call.path, params=request.url.params, content=raw,
            headers={**kept, **_own_headers(self._candidate)}, extensions={"timeout": limits},
        )  # fmt: skip

    def _sent(self, request: Any) -> Any:
        return self._b._transport_for_url(request.url).handle_request(request)

    async def _asent(self, request: Any) -> Any:
        return await self._b._transport_for_url(request.url).handle_async_request(request)

    @staticmethod
    def _refused(response: Any, call: _Call, read: Callable[[], object]) -> str:
        """Why an answer is none, as far as it is here: of a stream only its head."""
        if _whole(response, call):
            read()
        watched = getattr(response.stream, "_call", None)
        error = watched.marks.error if watched is not None and _whole(response, call) else ""
        return error or "http_4xx" * (response.status_code >= _REFUSED)

    def _copy(self, request: Any, call: _Call) -> None:
        with suppress(Exception), at("shadow"):
            response = self._sent(self._rewritten(request, call))
            response.read()
            response.close()

    async def _acopy(self, request: Any, call: _Call) -> None:
        with suppress(Exception), at("shadow"):
            response = await self._asent(self._rewritten(request, call))
            await response.aread()
            await response.aclose()


def _whole(response: Any, call: _Call) -> bool:
    return not call.body.get("stream") or response.status_code >= _REFUSED


def _own_headers(client: Any) -> dict[str, str]:
    """The headers that a client sends of its own accord: its keys, and what names its owner."""
    inner = getattr(client, "_client", client)
    given = {**inner.headers, **getattr(client, "default_headers", {}),
             **getattr(client, "auth_headers", {})}  # fmt: skip
    return {name: value for name, value in given.items()
            if isinstance(value, str) and name.lower() not in _OF_THE_CALL
            and not name.lower().startswith("x-stainless")}  # fmt: skip
