"""A small server for Prometheus' scrapes: GET /metrics, on loopback unless asked otherwise."""

import contextlib
import threading
import time
from collections.abc import Iterable
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any, Final, Self

from holymon.errors import ConfigError
from holymon.prometheus.exporter import CONTENT_TYPE, Collector, text
from holymon.safety import plain, short

HOST: Final = "127.0.0.1"
PORT: Final = 9464
FRESH_S: Final = 1.0
MOST_AT_ONCE: Final = 8
MOST_PER_S: Final = 50
PATIENCE_S: Final = 10.0


class Exposed:
    """Figures that are served until `close`, or the end of the process; `url` says where."""

    def __init__(self, server: "_Server") -> None:
        """Serve from a thread that ends with the process."""
        self._server = server
        host, port = server.server_address[:2]
        self.url = f"http://{host!s}:{port}/metrics"
        self._thread = threading.Thread(target=server.serve_forever, args=(0.1,), daemon=True)
        self._thread.start()

    def close(self) -> None:
        """Stop serving and free the port."""
        self._server.shutdown()
        self._thread.join()
        self._server.server_close()

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def __repr__(self) -> str:
        return f"<Exposed {self.url}>"


class _Server(ThreadingHTTPServer):
    daemon_threads = True
    block_on_close = False
    # On Linux it spares the wait for old connections; two servers still can't share a port.
    allow_reuse_address = True

    def __init__(self, address: tuple[str, int], collector: Collector) -> None:
        self._collector = collector
        self._places = threading.BoundedSemaphore(MOST_AT_ONCE)
        self._lock = threading.Lock()
        self._body, self._made = b"", -FRESH_S
        self._second, self._answered = 0, 0
        super().__init__(address, _Handler)

    def body(self) -> bytes:
        """The figures, made at most once a second however many ask."""
        with self._lock:
            if time.monotonic() - self._made >= FRESH_S:
                self._body, self._made = text(self._collector), time.monotonic()
            return self._body

    def verify_request(self, request: Any, client_address: Any) -> bool:  # noqa: ARG002 - the base class's
        """Slow or many scrapers get no more than their places, the others are hung up on.

        An answer costs the process that is watched half a millisecond.
        """
        second = int(time.monotonic())
        self._answered = self._answered + 1 if second == self._second else 1
        self._second = second
        return self._answered <= MOST_PER_S and self._places.acquire(blocking=False)

    def process_request_thread(self, request: Any, client_address: Any) -> None:
        """Give the place back when the connection has ended."""
        try:
            super().process_request_thread(request, client_address)
        finally:
            self._places.release()

    def handle_error(self, request: Any, client_address: Any) -> None:
        """A scraper that hung up is nobody's concern."""


class _Handler(BaseHTTPRequestHandler):
    server: _Server
    timeout = PATIENCE_S
    server_version, sys_version = "holymon", ""

    def do_GET(self) -> None:
        """Answer a scrape."""
        if self.path.split("?")[0] != "/metrics":
            self._answer(404, b"only /metrics is served here\n")
            return
        try:
            body = self.server.body()
        except Exception as error:  # noqa: BLE001 - whatever it is, the scraper is told, and the next one served
            said = f"the figures could not be read: {short(str(error))}\n"
            self._answer(500, said.encode("utf-8", "replace"))
            return
        self._answer(200, body, CONTENT_TYPE)

    def _answer(self, status: int, body: bytes, kind: str = "text/plain; charset=utf-8") -> None:
        self.send_response(status)
        self.send_header("Content-Type", kind)
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        with contextlib.suppress(OSError):
            self.wfile.write(body)

    def log_message(self, format: str, *args: Any) -> None:  # noqa: A002 - the base class's name
        """Say nothing: in a notebook it would stand below some cell."""


def expose(
    of: Any, *, port: int = PORT, host: str = HOST, slo: Iterable[str] = (), dense: bool = False
) -> Exposed:
    """Serve the figures of a monitor, a run, a folder of runs or records to Prometheus.

    For a client that is `monitored`, those of its monitor. `port` 0 takes a free one. Objectives of
    `slo` become bucket edges, so that alerts on them are exact; `dense` gives four buckets for each
    doubling. Raises ConfigError if the port is taken.
    """
    collector = Collector(of, slo=slo, dense=dense)
    try:
        server = _Server((host, port), collector)
    except (OSError, OverflowError) as error:
        why = (getattr(error, "strerror", None) or str(error)).rstrip(".")
        raise ConfigError(
            f"can't listen at {plain(host)}:{port}: {why}. Name another port (0 takes a free one)."
        ) from None
    return Exposed(server)
