"""What carries one call of a client to either of two providers: its steps once, for all clients.

    request --> read --> candidate's, rewritten | baseline's, as it is --> response
                         steps(request) yields what is to be done, for threads and for asyncio

Carried over are the body, of which only the name of the model may change, and the headers and the
query that are the call's own. No key of the one goes to the other.
"""

import asyncio
import logging
import threading
import time
from collections import Counter
from collections.abc import Awaitable, Callable, Mapping
from contextlib import suppress
from functools import partial
from typing import Any, Final, NamedTuple

import msgspec

from holymon.monitor.client_headers import OF_SDKS, OF_THE_CALL, base_of, own_headers, own_query
from holymon.monitor.endpoints import subject
from holymon.monitor.forks import in_children
from holymon.monitor.move import LiveMove
from holymon.monitor.shadows import LATER_S, MOST, Later
from holymon.monitor.side import Place, at
from holymon.monitor.steps import Steps, arun, run
from holymon.safety import looks_secret

KEY_HEADER: Final = "x-holymon-key"
PATHS: Final = ("chat/completions", "completions", "responses", "messages", "embeddings")
"""What is carried over: the paths of OpenAI's dialects and of Anthropic's, below a base_url."""

_REFUSED: Final = 300
_TIED: Final = ("previous_response_id", "conversation", "container", "mcp_servers")
"""Fields by which a call builds on what is at its provider, or hands over keys."""

_IN_TOOLS: Final = (b'"vector_store_ids"', b'"server_url"')
_IN_PARTS: Final = (b'"file_id"',)
"""The same, wherever they stand among the tools or in the whole body."""

_body: Final = msgspec.json.Decoder(dict[str, msgspec.Raw]).decode
_LOG: Final = logging.getLogger("holymon")


class CarriedCall(NamedTuple):
    """A request that can be carried over: its path below the base_url, and its body."""

    path: str
    body: dict[str, msgspec.Raw]
    key: str
    stream: bool


class _Ways(NamedTuple):
    """What a kind of clients calls the methods that send, read and close."""

    send: str
    read: str
    close: str


_BLOCKING: Final = _Ways("handle_request", "read", "close")
_OF_ASYNCIO: Final = _Ways("handle_async_request", "aread", "aclose")


class Carrier:
    """What carries the calls of one client over to another; `stays` counts all others by why."""

    def __init__(
        self, baseline: Any, candidate: Any, move: LiveMove, models: Mapping[str, str],
        patience_s: float,
    ) -> None:  # fmt: skip
        """Change nothing yet."""
        self._b = getattr(candidate, "_client", candidate)
        self._from, self._to = base_of(baseline), base_of(candidate)
        self._candidate, self._move, self._models = candidate, move, dict(models)
        self._query = frozenset(own_query(baseline))
        self._patience_s = patience_s
        self.stays: Counter[str] = Counter()
        self._later = Later()
        self._begin()
        in_children(self._begin)

    def _begin(self) -> None:
        self._tasks: set[Any] = set()

    def synchronous(self, send: Callable[[Any], Any]) -> Callable[[Any], Any]:
        """The `send` of the baseline's transport, for calls that may go elsewhere."""
        return lambda request: run(self._steps(request, send, _BLOCKING, self._copy_soon))

    def asynchronous(
        self, send: Callable[[Any], Awaitable[Any]]
    ) -> Callable[[Any], Awaitable[Any]]:
        """The same for asyncio."""
        return lambda request: arun(self._steps(request, send, _OF_ASYNCIO, self._acopy_later))

    def _steps(
        self, request: Any, send: Callable[[Any], Any], ways: _Ways,
        copy: Callable[[Any, CarriedCall], None],
    ) -> Steps:  # fmt: skip
        """A call at its side, and at the baseline if it failed at the candidate."""
        call, begun = self._read(request), time.perf_counter()
        if call is None:  # no call of the move: neither side is judged by it
            return (yield partial(send, request))
        failed: Place | None = None
        if self._move.to_candidate(call.key):
            response, why, error = None, "", None
            with at("candidate") as failed:
                try:
                    response = yield self._sending(request, call, ways)
                    whole = not call.stream or response.status_code >= _REFUSED
                    if whole:
                        yield getattr(response, ways.read)
                    why = _refused(response, whole)
                except Exception as raised:  # noqa: BLE001 - raised again where nothing helps
                    error, why = raised, "server_disconnected"
            if not why or not self._move.may_fall_back(why, begun):
                failed.ends()
                if error is not None:
                    raise error
                return response
            if response is not None:
                yield getattr(response, ways.close)
        elif self._move.copied() and len(self._tasks) < MOST:
            copy(request, call)
        with at("fallback" if failed else "baseline", failed):
            return (yield partial(send, request))

    def _sending(self, request: Any, call: CarriedCall, ways: _Ways) -> Callable[[], Any]:
        """What sends a call to the candidate."""
        there = self._rewritten(request, call)
        return partial(getattr(self._b._transport_for_url(there.url), ways.send), there)

    def _copy_soon(self, request: Any, call: CarriedCall) -> None:
        self._later.put(partial(self._submit, request, call))

    def _submit(self, request: Any, call: CarriedCall) -> None:
        # The end of an application waits for a pool's threads, and a copy may hang for long.
        copier = threading.Thread(
            target=self._copy, args=(request, call), name="holymon-copy", daemon=True
        )
        self._tasks.add(copier)
        copier.start()

    def _copy(self, request: Any, call: CarriedCall) -> None:
        try:
            run(self._copying(request, call, _BLOCKING))
        finally:
            self._tasks.discard(threading.current_thread())

    def _acopy_later(self, request: Any, call: CarriedCall) -> None:
        with suppress(RuntimeError):  # no loop of asyncio
            asyncio.get_running_loop().call_later(LATER_S, self._start, request, call)

    def _start(self, request: Any, call: CarriedCall) -> None:
        copy = asyncio.create_task(arun(self._copying(request, call, _OF_ASYNCIO)))
        self._tasks.add(copy)  # nobody else holds it
        copy.add_done_callback(self._tasks.discard)

    def _copying(self, request: Any, call: CarriedCall, ways: _Ways) -> Steps:
        """A call at the candidate, of which nobody wants the answer."""
        with suppress(Exception), at("shadow"):
            response = yield self._sending(request, call, ways)
            yield getattr(response, ways.read)
            yield getattr(response, ways.close)

    # What is read, and what is written.

    def _read(self, request: Any) -> CarriedCall | None:
        """What a request asks, if it can be carried over."""
        key = request.headers.pop(KEY_HEADER, "")
        base, url = self._from, request.url
        if request.method != "POST" or (url.host, url.port) != (base.host, base.port):
            return None
        if request.headers.get("x-stainless-retry-count", "0") != "0":
            return None
        root = base.path.rstrip("/") + "/"
        path = url.path.removeprefix(root).strip("/")
        if not url.path.startswith(root) or path.removeprefix("v1/") not in PATHS:
            self._stay(f"{subject(url.path)}: only {', '.join(PATHS)} are carried over")
            return None
        try:
            body, why = _body(request.content), ""
        except Exception:  # noqa: BLE001 - what is streamed, or whatever else it may be
            body, why = {}, f"{subject(path)} whose body is no JSON that is there as a whole"
        if why := why or _tied(path, body, request.content):
            self._stay(why)
            return None
        key = key or str(_value(body, "user") or "")
        return CarriedCall(path, body, key, bool(_value(body, "stream")))

    def _stay(self, what: str) -> None:
        """Count a call that is not carried over, and say so of each kind once."""
        self.stays[what] += 1
        if self.stays[what] == 1:
            _LOG.warning("calls stay at %s that are of %s.", self._move.route.baseline, what)

    def _rewritten(self, request: Any, call: CarriedCall) -> Any:
        """The same request, for the candidate."""
        given = {name.lower(): value for name, value in request.headers.items()}
        headers = {name: value for name, value in given.items()
                   if name in OF_THE_CALL or name.startswith(OF_SDKS)}  # fmt: skip
        query = [(name, value) for name, value in request.url.params.multi_items()
                 if name not in self._query and not looks_secret(name, value)]  # fmt: skip
        model, content = _value(call.body, "model"), request.content
        if isinstance(model, str) and model in self._models:
            named = msgspec.Raw(msgspec.json.encode(self._models[model]))
            content = msgspec.json.encode(call.body | {"model": named})
        limits = dict(request.extensions.get("timeout") or {})
        reads = limits.get("read")
        limits["read"] = self._patience_s if reads is None else min(reads, self._patience_s)
        return self._b.build_request(
            "POST", f"{str(self._to).rstrip('/')}/{call.path}", content=content,
            params=[*query, *own_query(self._candidate).items()],
            headers={**headers, **own_headers(self._candidate)}, extensions={"timeout": limits},
        )  # fmt: skip


def _tied(path: str, body: dict[str, msgspec.Raw], content: bytes) -> str:
    """Why a call stays with its provider, if it does: it builds on what is stored there."""
    for name in (*_TIED, "prompt") if path.endswith("responses") else _TIED:
        if _value(body, name) is not None:
            return f"{subject(path)} with {name}, which is known there only"
    tools = bytes(body.get("tools", b""))
    for words, text in ((_IN_TOOLS, tools), (_IN_PARTS, content)):
        for word in words:
            if word in text:
                return f"{subject(path)} with {word.decode()[1:-1]}, which is known there only"
    store = _value(body, "store")
    if store or (path.endswith("responses") and store is not False):
        return f"{subject(path)} that are stored there: with store=False they are carried over"
    return ""


def _value(body: dict[str, msgspec.Raw], name: str) -> Any:
    raw = body.get(name)
    return None if raw is None else msgspec.json.decode(raw)


def _refused(response: Any, whole: bool) -> str:
    """Why an answer is none, as far as it is here: of a stream only its head."""
    watched = getattr(response.stream, "_call", None)
    error = watched.marks.error if watched is not None and whole else ""
    return error or "http_4xx" * (response.status_code >= _REFUSED)
