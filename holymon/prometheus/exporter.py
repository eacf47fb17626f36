"""What was measured, served to Prometheus: an adapter of sums and figures, which counts nothing.

`Collector` is for `expose` and an application's own registry, `write_textfile` for node_exporter.
"""

import threading
import time
from collections.abc import Iterable, Iterator
from pathlib import Path
from types import SimpleNamespace
from typing import Any, Final, Self
from wsgiref.types import StartResponse, WSGIApplication, WSGIEnvironment

from prometheus_client import (
    generate_latest,
    make_wsgi_app,
    start_http_server,
)
from prometheus_client.core import Metric

from holymon.errors import ConfigError, PlanError, RunError
from holymon.load.run import Run
from holymon.prometheus import metric_names, sources
from holymon.prometheus.metric_families import MOST_TARGETS, families, label_of, run_families
from holymon.records.run_folder import write_aside
from holymon.safety import plain, short

HOST: Final = "127.0.0.1"
PORT: Final = 9464
FRESH_S: Final = 1.0
MOST_PER_S: Final = 50
PATIENCE_S: Final = 10.0


class Collector:
    """Figures of a monitor, a run, a folder of runs or records, adapted when they are scraped.

    Has the `collect` that a registry of prometheus_client wants. At most `most` targets keep
    their names; the others are given together as `other`, so hostile names make no series. The
    source is read at most once in `fresh_s` seconds, however many scrape and from which threads.
    """

    def __init__(
        self, of: Any, *, slo: Iterable[str] = (), dense: bool = False, most: int = MOST_TARGETS,
        fresh_s: float = FRESH_S,
    ) -> None:  # fmt: skip
        """Objectives of `slo`, and of a run's plan, become bucket edges. Raises PlanError."""
        planned = of.plan.slo if isinstance(of, Run) else ()
        objectives = [*planned, *slo]
        edges = metric_names.bucket_edges(objectives, dense=dense)
        self._source = sources.source(of, edges, required=bool(objectives) or dense)
        self._most, self._fresh_s = most, fresh_s
        self._lock = threading.Lock()
        self._families: list[Metric] = []
        self._stale_at = time.monotonic()

    def collect(self) -> Iterator[Metric]:
        """All metric families of this moment."""
        with self._lock:
            if time.monotonic() >= self._stale_at:
                self._families = list(families(self._source.read(), self._most))
                self._stale_at = time.monotonic() + self._fresh_s
            return iter(self._families)


class Exposed:
    """Figures that are served until `close`, or the end of the process; `url` says where."""

    def __init__(self, collector: Collector, host: str, port: int) -> None:
        """Serve from a thread that ends with the process. Raises OSError, OverflowError."""
        self._server, self._thread = start_http_server(port, addr=host, registry=collector)
        self._server.set_app(_app(make_wsgi_app(collector)))
        self._server.verify_request = self._admit  # type: ignore[assignment, method-assign]
        # A scraper that hung up is nobody's concern, and in a notebook would stand below some cell.
        self._server.handle_error = lambda *_: None  # type: ignore[method-assign]
        self._second, self._admitted = 0, 0
        shown = f"[{host}]" if ":" in host else host
        self.url = f"http://{shown}:{self._server.server_port}/metrics"

    def _admit(self, request: Any, _: object) -> bool:
        """Whether to answer: `MOST_PER_S` a second at most, each within `PATIENCE_S` seconds.

        The thread that answers takes its time from the process that is watched.
        """
        request.settimeout(PATIENCE_S)
        second = int(time.monotonic())
        self._admitted = self._admitted + 1 if second == self._second else 1
        self._second = second
        return self._admitted <= MOST_PER_S

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


def _app(scrape: WSGIApplication) -> WSGIApplication:
    """The application `scrape`, for one path, and with a sentence where figures can't be read."""

    def app(environ: WSGIEnvironment, start_response: StartResponse) -> Iterable[bytes]:
        def respond(status: str, headers: list[tuple[str, str]], *_: object) -> Any:
            return start_response(status, [*headers, ("Server", "holymon")])

        def refuse(status: str, sentence: str) -> Iterable[bytes]:
            respond(status, [("Content-Type", "text/plain; charset=utf-8")])
            return [f"{sentence}\n".encode("utf-8", "replace")]

        if environ["PATH_INFO"] != "/metrics":
            return refuse("404 Not Found", "only /metrics is served here")
        try:
            # All of it in the classic format, whatever is wished: OpenMetrics and gzip would take
            # three times the time from the process that is watched (18 ms instead of 6).
            wishes = dict.fromkeys(("QUERY_STRING", "HTTP_ACCEPT", "HTTP_ACCEPT_ENCODING"), "")
            return scrape({**environ, **wishes}, respond)
        except Exception as error:  # noqa: BLE001 - the scraper is told, and the next one served
            why = short(str(error))
            return refuse("500 Internal Server Error", f"the figures could not be read: {why}")

    return app


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
        return Exposed(collector, host, port)
    except (OSError, OverflowError) as error:
        why = (getattr(error, "strerror", None) or str(error)).rstrip(".")
        raise ConfigError(
            f"can't listen at {plain(host)}:{port}: {why}. Name another port (0 takes a free one)."
        ) from None


def write_textfile(run: Run, path: Path | str) -> None:
    """The figures of a run for node_exporter's textfile collector, whole or not at all.

    They are gauges. Sums are left out: another run's would look like a rise. Raises RunError if it
    can't be written, PlanError if `path` does not end in .prom as the collector demands.
    """
    path = Path(path)
    if path.suffix != ".prom":
        raise PlanError(f"{path} would be passed over by the textfile collector: end it in .prom.")
    named = [(label_of(figures), figures) for figures in sources.figures(run).values()]
    raw = generate_latest(SimpleNamespace(collect=lambda: run_families(named)))
    try:
        write_aside(path, raw)
        path.chmod(0o644)
    except OSError as error:
        raise RunError(f"can't write {path}: {error.strerror}.") from None
