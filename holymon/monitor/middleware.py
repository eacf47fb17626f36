"""Requests that a web application answers, recorded: middleware for WSGI and ASGI.

    app.wsgi_app = MonitorWSGI(app.wsgi_app, monitor)        Flask
    app.add_middleware(MonitorASGI, monitor=monitor)         Starlette, FastAPI

The application says what a request was about by putting `provider/model` under `holymon.target`
into the request's environ or scope while it answers; otherwise it counts as `web/other`. What is
timed is the answering: headers, and the end of the body; there are no tokens here, so no TTFT.
"""

from collections.abc import Awaitable, Callable, Iterable, Iterator, MutableMapping
from time import perf_counter
from typing import Any, Final

from holymon.errors import HolymonError, from_status
from holymon.monitor.monitor import Monitor
from holymon.plan.target import Target
from holymon.plan.targets import providers
from holymon.plan.targets import unpriced as target_of
from holymon.records.attempt import Flag, Marks
from holymon.safety import redact, short

KEY: Final = "holymon.target"
_UNNAMED: Final = Target(provider="web", model="other")
_MOST_KNOWN: Final = 1000

Environ = MutableMapping[str, Any]
Asgi = Callable[[Any, Any, Any], Awaitable[None]]


class MonitorWSGI:
    """A WSGI application whose requests are recorded by `monitor`."""

    def __init__(self, app: Callable[..., Iterable[bytes]], monitor: Monitor) -> None:
        """Wrap `app`."""
        self._app, self._inbound = app, _Inbound(monitor)

    def __call__(self, environ: Environ, start_response: Callable[..., Any]) -> Iterable[bytes]:
        """Answer one request."""
        marks = self._inbound.begun()

        def started(status: str, headers: list[tuple[str, str]], *more: Any) -> Any:
            marks.headers, marks.status = perf_counter(), int(status[:3])
            return start_response(status, headers, *more)

        try:
            body = self._app(environ, started)
        except BaseException:
            marks.status = 0
            self._inbound.ended(marks, environ, raised=True)
            raise
        return _Body(body, marks, self._inbound, environ)


class _Body:
    """The body of an answer, handed through; the server closes it when it is done."""

    def __init__(
        self, body: Iterable[bytes], marks: Marks, inbound: "_Inbound", environ: Environ
    ) -> None:
        self._body, self._marks, self._inbound, self._environ = body, marks, inbound, environ
        self._whole = self._raised = False

    def __iter__(self) -> Iterator[bytes]:
        marks = self._marks
        try:
            for piece in self._body:
                marks.bytes += len(piece)
                yield piece
        except GeneratorExit:
            raise
        except BaseException:
            self._raised = True
            if not marks.bytes:
                marks.status = 0  # a server holds the headers back until there is a body to send
            raise
        self._whole = True

    def __len__(self) -> int:
        # Servers ask a list of one part for its length, to write a content-length.
        return len(self._body)  # type: ignore[arg-type]

    def close(self) -> None:
        """The server has sent all, or has given up."""
        try:
            if hasattr(self._body, "close"):
                self._body.close()
        finally:
            left = (
                not (self._whole or self._raised) and self._environ.get("REQUEST_METHOD") != "HEAD"
            )
            self._inbound.ended(self._marks, self._environ, raised=self._raised, left=left)


class MonitorASGI:
    """An ASGI application whose HTTP requests are recorded by `monitor`."""

    def __init__(self, app: Asgi, monitor: Monitor) -> None:
        """Wrap `app`."""
        self._app, self._inbound = app, _Inbound(monitor)

    async def __call__(self, scope: Any, receive: Any, send: Any) -> None:
        """Answer one request; what is not HTTP is handed on."""
        if scope["type"] != "http":
            await self._app(scope, receive, send)
            return
        marks, whole, left = self._inbound.begun(), False, False

        async def sending(message: Any) -> None:
            nonlocal whole, left
            if message["type"] == "http.response.start":
                marks.headers, marks.status = perf_counter(), message["status"]
            elif message["type"] == "http.response.body":
                marks.bytes += len(message.get("body", b""))
                whole = not message.get("more_body", False)
            elif message["type"] == "http.response.pathsend":
                whole = True  # the server sends the file by itself
            try:
                await send(message)
            except OSError:  # ASGI 2.4: the client is gone
                whole, left = False, True
                raise

        async def receiving() -> Any:
            nonlocal left
            message = await receive()
            left = left or (message["type"] == "http.disconnect" and not whole)
            return message

        try:
            await self._app(scope, receiving, sending)
        except BaseException:
            self._inbound.ended(marks, scope, raised=not left, left=left)
            raise
        self._inbound.ended(marks, scope, left=not whole)


class _Inbound:
    """What all requests of one application have in common."""

    def __init__(self, monitor: Monitor) -> None:
        self._ledger = monitor.ledger
        self._known: dict[str, Target] = {}

    def begun(self) -> Marks:
        now = perf_counter()
        marks = Marks(self._ledger.number(), 0, now)
        marks.start = now
        return marks

    def ended(
        self, marks: Marks, about: Environ, *, raised: bool = False, left: bool = False
    ) -> None:
        """Record it; `raised`: the application failed, `left`: the client did not stay."""
        marks.end = perf_counter()
        if raised:
            marks.error = "stream_truncated" if marks.status else "server_error"
            marks.status = marks.status or 500  # what a server makes of it
        elif left:
            marks.error = "cancelled"
        elif marks.status >= 400:
            marks.error = from_status(marks.status)
        if marks.error and marks.bytes:
            marks.flags |= Flag.AFTER_FIRST_TOKEN
        marks.target = self._ledger.index(self._target(about.get(KEY)))
        self._ledger.add(marks)

    def _target(self, name: Any) -> Target:
        if not isinstance(name, str):
            return _UNNAMED
        target = self._known.get(name)
        if target is None:
            target = _named(name)
            if len(self._known) < _MOST_KNOWN:
                self._known[name] = target
        return target


def _named(name: str) -> Target:
    provider, _, model = short(redact(name), 120).partition("/")
    try:
        if provider in providers():
            return target_of(f"{provider}/{model}")
        return Target(provider=provider, model=model)
    except HolymonError:
        return _UNNAMED
