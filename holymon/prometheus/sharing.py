"""Sums of all processes of one server as one scrape: prometheus_client's multiprocess mode.

    PROMETHEUS_MULTIPROC_DIR=/run/app gunicorn --workers 4 ...      a folder for all its workers

Each process writes its counters, histograms and gauges there, a moment after they change and when
it ends; whoever is scraped adds all of them up, and so does the MultiProcessCollector of an
application. A process takes the place of one that is gone and counts on from its sums: they never
shrink, and there are never more files than there were processes at a time. The files' format is
https://prometheus.github.io/client_python/multiprocess/.
"""

import atexit
import itertools
import json
import logging
import os
import struct
import threading
import time
from collections.abc import Callable, Collection, Iterable
from contextlib import suppress
from pathlib import Path
from typing import IO, Final, TypeVar

from prometheus_client.core import Metric
from prometheus_client.mmap_dict import mmap_key
from prometheus_client.multiprocess import MultiProcessCollector

from holymon.errors import ConfigError, RunError
from holymon.figures.totals import Totals
from holymon.monitor.forks import in_children
from holymon.monitor.ledger import Ledger
from holymon.prometheus import metric_names
from holymon.prometheus.metric_families import families
from holymon.prometheus.run_gauges import Name
from holymon.prometheus.sources import Scrape
from holymon.records.own_files import aside, content, lock_file, opened, try_lock
from holymon.safety import plain

T = TypeVar("T")
ENV: Final = "PROMETHEUS_MULTIPROC_DIR"
PAUSE_S: Final = 0.2
"""Between two writings; what a process measured since the last one is lost, if it is killed."""

_SHARE: Final = 20
"""Writing may take one part in so many of a core, but waits `_MOST_S` at most."""

_MOST_S: Final = 5.0

_PREFIX: Final = {"counter": "counter", "histogram": "histogram", "gauge": "gauge_livemax",
                  "sum": "gauge_livesum", "least": "gauge_livemin"}  # fmt: skip
_MERGED: Final = {metric_names.IN_FLIGHT: "sum", metric_names.REMAINING: "least"}
"""The gauges of which not the largest of all processes counts."""

_KEPT: Final = ("counter", "histogram")
_LOG: Final = logging.getLogger("holymon")


def folder() -> Path | None:
    """The folder that the processes of a server share. Raises ConfigError if it can't be one."""
    name = os.environ.get(ENV)
    if not name:
        return None
    try:
        Path(name).mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise ConfigError(f"{ENV} {plain(name)!r} can't be used: {error.strerror}.") from None
    return Path(name)


class Alone:
    """Says in a forked child that what it measures is in no scrape of its parent's."""

    def __init__(self) -> None:
        """Belong to this process."""
        self._process = os.getpid()

    def begun(self) -> None:
        """Take note that there are calls here."""
        if self._process != os.getpid():
            _LOG.warning(
                "calls of this forked process are in no scrape: set %s to a folder of the server "
                "before it starts, and each scrape has those of all its processes.", ENV,
            )  # fmt: skip
            self._process = os.getpid()


class Sharing:
    """What this process tells the others of its server; begins anew in a forked child."""

    def __init__(
        self, path: Path, read: Callable[[Collection[Name]], list[Metric]], ledger: Ledger
    ) -> None:
        """Share what `read` gives in the folder `path`; it is given the labels that are known."""
        self.path, self._read, self._ledger = path, read, ledger
        self._begin()
        in_children(self._begin)

    _place: "_Place | None" = None

    def _begin(self) -> None:
        self._process, self._lock = os.getpid(), threading.RLock()
        self._thread: threading.Thread | None = None
        if self._place is not None:
            self._place.lock.close()  # or it would be taken for as long as a child lives
        self._place = None
        self._written, self._written_at = (-1, 0), 0.0
        self._files: dict[str, tuple[int, int]] | None = None
        self._merged: list[Metric] = []

    def begun(self) -> None:
        """Write from now on, as there are calls."""
        if self._process != os.getpid():  # a fork that Python was not told of
            self._begin()
        with self._lock:
            if self._thread is not None:
                return
            self._thread = threading.Thread(target=self._keep_on, name="holymon-share", daemon=True)
        atexit.register(self._end)
        self._thread.start()

    def _keep_on(self) -> None:
        well = True
        for first in itertools.chain((True,), itertools.repeat(False)):
            begun = time.thread_time()
            try:
                self.write()
                well = True
            except Exception as error:  # noqa: BLE001 - the application goes on, and is told once
                if well:
                    _LOG.warning("calls of process %d are in no scrape: %s", os.getpid(), error)
                well = False
            cost = 0.0 if first else time.thread_time() - begun
            time.sleep(min(max(PAUSE_S, _SHARE * cost), _MOST_S))

    def write(self) -> None:
        """Write the sums of this moment, if they have changed. Raises OSError."""
        with self._lock:
            now = self._ledger.taken, sum(map(len, self._ledger.in_flight.values()))
            if now == self._written and not self._ledger.held:
                return
            if any(now) or self._ledger.held:
                self._place = self._place or _Place(self.path)
                self._place.write(self._read(self._place.names))
                self._written_at = time.monotonic()
            self._written = now

    def _end(self) -> None:
        with self._lock, suppress(Exception):
            self.write()
            if self._place is not None:
                self._place.leave()

    def merged(self, fresh_s: float) -> list[Metric]:
        """The families of all processes; the same list until a file has changed.

        All is read from the files, so a scrape of one process is never behind one of another
        before it; what this one wrote is `fresh_s` seconds old at most. Raises OSError, RunError.
        """
        with self._lock:
            if time.monotonic() - self._written_at >= fresh_s:
                self.write()
            files = _files(self.path)
            if files != self._files:
                for changed in files.items() - (self._files or {}).items():
                    _read(Path(changed[0]))
                merge = MultiProcessCollector.merge
                merged: list[Metric] = list(merge([*files]))  # type: ignore[no-untyped-call]
                names = {family.name for family in merged}
                heads = families(Scrape(Totals(self._ledger.edges, {})))
                self._merged = [*merged, *(head for head in heads if head.name not in names)]
                self._files = files
            return self._merged


class _Place:
    """The files of one process: its own until it ends, then those of one that comes later."""

    def __init__(self, path: Path) -> None:
        self._path = path
        for number in itertools.count():
            self.lock: IO[bytes] = lock_file(path / f"holymon-{number}.lock")
            if try_lock(self.lock):
                break
            self.lock.close()
        self._stem = f"holymon-{number}"
        self._before = {kind: _read(self._file(kind)) for kind in _KEPT}
        labels = (json.loads(key)[2] for key in itertools.chain(*self._before.values()))
        self.names = {(known.get("provider", ""), known.get("model", "")) for known in labels}

    def _file(self, kind: str) -> Path:
        return self._path / f"{_PREFIX[kind]}_{self._stem}.db"

    def write(self, own: Iterable[Metric]) -> None:
        for kind, values in _values(own).items():
            before = self._before.get(kind, {})
            sums = {**before, **{key: before.get(key, 0.0) + n for key, n in values.items()}}
            # Whole or not at all, and no file mapped to memory: on a full disk that ends a process.
            with aside(self._file(kind), lasting=False) as file:
                file.write(_packed(sums))

    def leave(self) -> None:
        """Take the gauges away: they are of living processes."""
        for kind in _PREFIX.keys() - {*_KEPT}:
            self._file(kind).unlink(missing_ok=True)


def _values(own: Iterable[Metric]) -> dict[str, dict[str, float]]:
    """The values of samples by kind and by key; those of buckets are not cumulated in files."""
    values: dict[str, dict[str, float]] = {kind: {} for kind in _PREFIX}
    for family in own:
        below = 0.0
        for sample in family.samples:
            value = sample.value
            if family.type == "histogram":
                if sample.name.endswith("_count"):
                    continue  # it is made of the buckets
                if "le" in sample.labels:
                    last = sample.labels["le"] == "+Inf"
                    value, below = value - below, 0.0 if last else value
            labels = sample.labels
            key = mmap_key(family.name, sample.name, [*labels], [*labels.values()],
                           family.documentation)  # fmt: skip
            values[_MERGED.get(family.name, family.type)][key] = value
    return values


def _packed(values: dict[str, float]) -> bytes:
    """A file of `MmapedDict`: its length, then length, key, value and time of each entry."""
    entries = []
    for key, value in values.items():
        raw = key.encode()
        padded = len(raw) + 8 - (len(raw) + 4) % 8
        entries.append(
            struct.pack(f"i{padded}sdd", len(raw), raw.ljust(padded), value, time.time())
        )
    body = b"".join(entries)
    return struct.pack("ii", 8 + len(body), 0) + body


def _read(path: Path) -> dict[str, float]:
    """The values of a file by key. Raises RunError if no process of ours wrote it so."""
    try:
        data = content(path)
    except FileNotFoundError:
        return {}
    try:
        (used,), at = struct.unpack_from("i", data), 8
        values = {}
        if used < at:
            raise ValueError(used)
        while at < used:
            (size,) = struct.unpack_from("i", data, at)
            if size <= 0:  # whoever steps over it as prometheus_client does would go on for ever
                raise ValueError(size)
            key = data[at + 4 : at + 4 + size].decode()
            at += 4 + size + 8 - (size + 4) % 8
            family, name, labels, words = json.loads(key)
            if not all(isinstance(text, str) for text in (family, name, words, *labels.values())):
                raise ValueError(key)
            values[key], _ = struct.unpack_from("dd", data, at)
            at += 16
            if at > used:
                raise ValueError(at)
    except (ValueError, TypeError, AttributeError, RecursionError, struct.error):
        raise RunError(
            f"{plain(str(path))} holds no figures of a process: delete it, or set {ENV} to a "
            "folder of this server's own."
        ) from None
    return values


def _files(path: Path) -> dict[str, tuple[int, int]]:
    """What is to be added up: sums of all processes that ever were, and gauges of living ones.

    With what tells a file from the one before it.
    """
    files = {}
    for file in sorted(path.glob("*_holymon-*.db")):
        with suppress(FileNotFoundError):  # gauges go with their process
            if file.name.startswith(_KEPT) or _is_live(file):
                about = file.stat()
                files[str(file)] = about.st_ino, about.st_mtime_ns
    return files


def _is_live(gauges: Path) -> bool:
    lock = gauges.with_name(gauges.stem.rpartition("_")[2] + ".lock")
    with suppress(FileNotFoundError), opened(lock) as file:
        return not try_lock(file, shared=True)
    return False
