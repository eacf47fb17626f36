"""The server of an exporter: one path, GET and HEAD, in the format that a scraper prefers.

Exposed(collect, host, port)        `collect` gives the families of this moment as a list

Every visitor has a thread, for `PATIENCE_S` seconds at most, and there are `MOST_OPEN` at once:
one that is slow or greedy takes nobody's place.
"""

import contextlib
import os
import re
import socket
import threading
import time
from collections.abc import Callable, Collection, Iterable
from functools import partial
from pathlib import Path
from types import SimpleNamespace
from typing import IO, Any, Final, Self
from wsgiref.simple_server import WSGIRequestHandler, make_server
from wsgiref.types import StartResponse, WSGIApplication, WSGIEnvironment

from prometheus_client import CONTENT_TYPE_PLAIN_0_0_4, generate_latest
from prometheus_client.core import Metric
from prometheus_client.exposition import ThreadingWSGIServer
from prometheus_client.openmetrics import exposition as openmetrics

from holymon.monitor.forks import in_children
from holymon.prometheus import shared_port
from holymon.prometheus.visitors import Visitors
from holymon.safety import short

PATIENCE_S: Final = 10.0
MOST_OPEN: Final = 64
_METHODS: Final = "GET, HEAD, OPTIONS"
_Headers = list[tuple[str, str]]


class Exposed:
    """Figures that are served until `close`, or the end of the process; `url` says where."""

    def __init__(
        self, collect: Callable[[], list[Metric]], host: str, port: int, shared: Path | None = None,
        names: Collection[str] = (),
    ) -> None:  # fmt: skip
        """Serve from a thread that ends with the process. Raises OSError, OverflowError.

        Processes that share their figures in the folder `shared` have one port together. The
        server may be called by its address, localhost, `host`, the machine's name, and `names`.
        """
        app = _app(_Pages(collect), Visitors([host, *names]))
        listen = partial(_listening, app, host, port)
        self._lock: IO[bytes] | None = None
        if shared and port and hasattr(socket, "SO_REUSEPORT"):
            listen = partial(listen, shared=True)
            self._server, self._lock = shared_port.at_port(shared, (host, port), listen)
        else:
            self._server = listen()
        self._thread = threading.Thread(target=self._server.serve_forever, daemon=True)
        self._thread.start()
        self._process = os.getpid()
        in_children(self._leave)
        shown = f"[{host}]" if ":" in host else host
        self.url = f"http://{shown}:{self._server.server_port}/metrics"

    def close(self) -> None:
        """Stop serving and free the port; in a forked child there is nothing to stop."""
        if self._process == os.getpid():
            self._server.shutdown()
            self._thread.join()
        self._leave()

    def _leave(self) -> None:
        """Close what listens: a child would hold the port, and never answer."""
        self._server.server_close()
        if self._lock is not None:
            self._lock.close()

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def __repr__(self) -> str:
        return f"<Exposed {self.url}>"


class _Quiet(WSGIRequestHandler):
    def log_message(self, *_: object) -> None:
        """Log nothing."""


class _Server(ThreadingWSGIServer):
    """Hangs up on whoever has been here for too long, or the longest when there are too many."""

    request_queue_size = MOST_OPEN  # with the usual 5, a few who wait keep others from knocking

    def __init__(self, *args: Any) -> None:
        self._open: dict[socket.socket, float] = {}
        self._lock = threading.Lock()
        super().__init__(*args)

    def verify_request(self, request: Any, _: object) -> bool:
        """Admit a visitor, for so long."""
        request.settimeout(PATIENCE_S)
        with self._lock:
            if len(self._open) >= MOST_OPEN:
                self._hang_up(next(iter(self._open)))
            self._open[request] = time.monotonic() + PATIENCE_S
        return True

    def service_actions(self) -> None:
        """Look for those who have been here for too long, twice a second."""
        now = time.monotonic()
        with self._lock:
            for request in [visitor for visitor, until in self._open.items() if until < now]:
                self._hang_up(request)

    def _hang_up(self, request: socket.socket) -> None:
        """End what its thread waits for; that closes it."""
        self._open.pop(request, None)
        with contextlib.suppress(OSError):
            request.shutdown(socket.SHUT_RDWR)

    def shutdown_request(self, request: Any) -> None:
        """A visitor has left."""
        with self._lock:
            self._open.pop(request, None)
        super().shutdown_request(request)

    def handle_error(self, *_: object) -> None:
        """Say nothing of one that hung up: in a notebook it would stand below some cell."""


def _listening(
    app: WSGIApplication, host: str, port: int, *, shared: bool = False
) -> ThreadingWSGIServer:
    """A server for `app`, whose port is `shared` with other processes that share it."""
    kind: type[ThreadingWSGIServer] = type(
        "Server", (_Server,),
        {"address_family": shared_port.family_of(host, port), "allow_reuse_port": shared},
    )  # fmt: skip
    return make_server(host, port, app, kind, handler_class=_Quiet)


class _Pages:
    """Scrapes as bytes. Each format of the same families is made once.

    OpenMetrics takes two to three times the time of the classic format, from the process that is
    watched.
    """

    def __init__(self, collect: Callable[[], list[Metric]]) -> None:
        self._collect, self._lock = collect, threading.Lock()
        self._of: list[Metric] = []
        self._made: dict[bool, bytes] = {}

    def page(self, *, strict: bool) -> bytes:
        """The families of this moment, as OpenMetrics if `strict`."""
        families = self._collect()
        with self._lock:
            if families is not self._of:
                self._of, self._made = families, {}
            if strict not in self._made:
                registry = SimpleNamespace(collect=lambda: families)
                encode: Callable[[Any], bytes] = (
                    openmetrics.generate_latest if strict else generate_latest
                )
                self._made[strict] = encode(registry)
            return self._made[strict]


def _app(pages: _Pages, visitors: Visitors) -> WSGIApplication:
    """One path that is read; a sentence for all else, and where figures can't be read."""

    def answer(environ: WSGIEnvironment) -> tuple[str, _Headers, bytes]:
        if refusal := visitors.refusal(environ):
            return _sentence(*refusal)
        if environ["PATH_INFO"] != "/metrics":
            return _sentence("404 Not Found", "only /metrics is served here")
        method = environ["REQUEST_METHOD"]
        if method == "OPTIONS":
            return "200 OK", [("Allow", _METHODS)], b""
        if method not in {"GET", "HEAD"}:
            status, headers, body = _sentence("405 Method Not Allowed", f"use {_METHODS}")
            return status, [*headers, ("Allow", _METHODS)], body
        strict = prefers_openmetrics(environ.get("HTTP_ACCEPT", ""))
        kind = openmetrics.CONTENT_TYPE_LATEST if strict else CONTENT_TYPE_PLAIN_0_0_4
        try:
            body = pages.page(strict=strict)
        except Exception as error:  # noqa: BLE001 - the scraper is told, and the next one served
            why = short(str(error))
            return _sentence("500 Internal Server Error", f"the figures could not be read: {why}")
        return "200 OK", [("Content-Type", kind), ("Vary", "Accept")], body

    def app(environ: WSGIEnvironment, start_response: StartResponse) -> Iterable[bytes]:
        status, headers, body = answer(environ)
        length = ("Content-Length", str(len(body)))
        start_response(status, [*headers, length, ("Server", "holymon")])
        return [] if environ["REQUEST_METHOD"] == "HEAD" else [body]

    return app


def _sentence(status: str, sentence: str) -> tuple[str, _Headers, bytes]:
    text = f"{sentence}\n".encode("utf-8", "replace")
    return status, [("Content-Type", "text/plain; charset=utf-8")], text


def prefers_openmetrics(accept: str) -> bool:
    """Whether an Accept header rates OpenMetrics above text (RFC 9110, 12.5.1).

    Of the ranges that match a type the most specific one counts, and of several like it the best.
    """
    rated: dict[str, float] = {}
    for item in accept.lower().split(","):
        kind, *parameters = (part.strip() for part in item.split(";"))
        weights = [part[2:] for part in parameters if part.startswith("q=")]
        # What is no weight is no wish.
        weight = float(weights[-1]) if weights and _WEIGHT.fullmatch(weights[-1]) else 0.0
        rated[kind] = max(rated.get(kind, 0.0), weight if weights else 1.0)
    strict, plain = (
        next((rated[kind] for kind in kinds if kind in rated), 0.0)
        for kinds in (("application/openmetrics-text", "application/*", "*/*"),
                      ("text/plain", "text/*", "*/*"))
    )  # fmt: skip
    return strict > plain


_WEIGHT: Final = re.compile(r"[01](?:\.\d{0,3})?")
