"""What was measured, served to Prometheus: an adapter of sums and figures, which counts nothing.

`Collector` is for `expose` and an application's own registry, `write_textfile` for node_exporter.
"""

import errno
import threading
import time
from collections.abc import Collection, Iterable, Iterator
from pathlib import Path
from types import SimpleNamespace
from typing import Any, Final

from prometheus_client import generate_latest
from prometheus_client.core import Metric

from holymon.errors import ConfigError, PlanError, RunError
from holymon.load.run import Run
from holymon.monitor.forks import in_children
from holymon.monitor.ledger import Ledger
from holymon.monitor.monitor import Monitor
from holymon.prometheus import metric_names, sharing, sources
from holymon.prometheus.metric_families import MOST_TARGETS, families, label_of, run_families
from holymon.prometheus.run_gauges import Name
from holymon.prometheus.server import Exposed
from holymon.records.own_files import write_aside
from holymon.safety import plain

HOST: Final = "127.0.0.1"
PORT: Final = 9464
FRESH_S: Final = 1.0


class Collector:
    """Figures of a monitor, a run, a folder of runs or records, adapted when they are scraped.

    Has the `collect` that a registry of prometheus_client wants. At most `most` targets keep
    their names; the others are given together as `other`, so hostile names make no series. The
    source is read at most once in `fresh_s` seconds, however many scrape and from which threads.
    Processes that share PROMETHEUS_MULTIPROC_DIR give the sums of all of them; a registry with a
    MultiProcessCollector has these already, and needs no Collector besides.
    """

    def __init__(
        self, of: Any, *, slo: Iterable[str] = (), dense: bool = True, most: int = MOST_TARGETS,
        fresh_s: float = FRESH_S,
    ) -> None:  # fmt: skip
        """Objectives of `slo`, and of a run's plan, become bucket edges. Raises PlanError.

        Without `dense` there are only the article's besides, save for a monitor, which has its own.
        """
        planned = of.plan.slo if isinstance(of, Run) else ()
        objectives = [*planned, *slo]
        edges = metric_names.bucket_edges(objectives, dense=dense)
        self._source = sources.source(of, edges, required=bool(objectives))
        self._most, self._fresh_s = most, fresh_s
        self._begin()
        in_children(self._begin)
        watched = sources.monitor_of(of)
        self._sharing = self._shared(watched.ledger) if isinstance(watched, Monitor) else None

    def _begin(self) -> None:
        self._lock = threading.Lock()
        self._families: list[Metric] = []
        self._stale_at = time.monotonic()

    def _shared(self, ledger: Ledger) -> sharing.Sharing | None:
        """How the sums of a ledger are shared with other processes, for all of its collectors."""
        if not isinstance(ledger.observer, sharing.Sharing):
            path = sharing.folder()
            ledger.observer = (
                sharing.Alone() if path is None else sharing.Sharing(path, self._own, ledger)
            )
            if ledger.taken:
                ledger.observer.begun()
        return ledger.observer if isinstance(ledger.observer, sharing.Sharing) else None

    @property
    def shared(self) -> Path | None:
        """The folder through which other processes share their sums with this one, if any do."""
        return None if self._sharing is None else self._sharing.path

    def _own(self, known: Collection[Name] = ()) -> list[Metric]:
        return list(families(self._source.read(), self._most, known))

    def collect(self) -> Iterator[Metric]:
        """All metric families of this moment."""
        return iter(self.families())

    def families(self) -> list[Metric]:
        """All metric families; the same list until the source is read again."""
        if self._sharing is not None:
            return self._sharing.merged(self._fresh_s)
        with self._lock:
            if time.monotonic() >= self._stale_at:
                self._families = self._own()
                self._stale_at = time.monotonic() + self._fresh_s
            return self._families


def expose(
    of: Any, *, port: int = PORT, host: str = HOST, slo: Iterable[str] = (), dense: bool = True,
    names: Collection[str] = (),
) -> Exposed:  # fmt: skip
    """Serve the figures of a monitor, a run, a folder of runs or records to Prometheus.

    For a client that is `monitored`, those of its monitor. `port` 0 takes a free one. Objectives of
    `slo` become bucket edges, so that alerts on them are exact. There are four buckets for each
    doubling, or without `dense` those of the article only; a monitor has its own. Whoever asks by
    another name than an address, localhost, `host`, the machine's own or one of `names` is refused,
    as pages of other sites are. The processes of a server that have one folder
    PROMETHEUS_MULTIPROC_DIR serve the sums of all of them, at one port. Raises ConfigError
    if the port is taken.
    """
    collector = Collector(of, slo=slo, dense=dense)
    try:
        return Exposed(collector.families, host, port, collector.shared, names)
    except (OSError, OverflowError) as error:
        why = (getattr(error, "strerror", None) or str(error)).rstrip(".")
        taken = getattr(error, "errno", None) == errno.EADDRINUSE and collector.shared is None
        raise ConfigError(
            f"can't listen at {plain(host)}:{port}: {why}. Name another port (0 takes a free one)."
            + f" If another worker of this server has it, set {sharing.ENV} to a folder before the "
            "server starts." * taken
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
