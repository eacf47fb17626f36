"""Processes of one server are one: whoever of them is scraped tells the sums of all, for ever."""

import contextlib
import logging
import multiprocessing
import os
import signal
import socket
import struct
import subprocess
import sys
import threading
import time
from collections import Counter, deque
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from itertools import pairwise
from types import SimpleNamespace

import httpx
import pytest
from prometheus_client import CollectorRegistry, generate_latest
from prometheus_client.multiprocess import MultiProcessCollector

from holymon.errors import ConfigError, RunError
from holymon.monitor.monitor import Monitor
from holymon.plan.plan import Target
from holymon.prometheus import metric_names
from holymon.prometheus.exporter import Collector, expose
from holymon.records.attempt import Marks
from holymon.records.client_health import ClientHealth
from tests.lab import free_port

APP = """
import os
import httpx
import holymon as hm

monitor = hm.Monitor("mine/fast")
client = hm.monitored(httpx.Client(), monitor)
served = hm.expose(monitor, port={port})


def app(environ, start_response):
    if environ["PATH_INFO"] == "/watched":
        model = environ["QUERY_STRING"]
        body = {{"model": model, "max_tokens": 2, "messages": [{{"role": "user", "content": "hi"}}]}}
        client.post("{url}/chat/completions", json=body)
    elif environ["PATH_INFO"] == "/own":
        monitor.chat("hi", max_tokens=2)
    start_response("200 OK", [("Content-Type", "text/plain")])
    return [str(os.getpid()).encode()]
"""


READ = "import httpx\nfrom holymon import Monitor, expose, monitored\n"
MANY = 2000
"""Looks, not seconds: on a busy machine each takes longer, and so does what is waited for."""


class Served:
    """An application with several processes: asked at `url`, scraped at `metrics`."""

    def __init__(self, process, port, metrics, samples):
        self.process, self.url = process, f"http://127.0.0.1:{port}"
        self.metrics, self._samples = f"http://127.0.0.1:{metrics}/metrics", samples
        self.pids = Counter()

    def ask(self, path):
        """The process that answered."""
        pid = int(get(self.url + path).text)
        self.pids[pid] += 1
        return pid

    def through_all(self, workers, path):
        """Ask, many at once, until each of so many processes has answered twice."""
        calls, pids = 0, Counter()
        with ThreadPoolExecutor(8) as pool:
            while sum(n > 1 for n in pids.values()) < workers:
                assert calls < 400, pids
                pids.update(pool.map(self.ask, [path] * 8))
                calls += 8
        return calls

    def scrape(self):
        return self._samples(get(self.metrics).content)

    def until(self, expected):
        """Scrape until the requests by model are as expected: each scrape asks any process."""
        seen = []
        while not seen or seen[-1] != expected:
            time.sleep(0.02 * bool(seen))
            assert len(seen) < MANY, (seen[-1], expected)
            seen.append(by_model(self.scrape()))
        for before, after in pairwise(seen):
            assert all(after[model] >= n for model, n in before.items()), seen
        # And again from any of them: none is behind the others.
        assert [by_model(self.scrape()) for _ in range(5)] == [expected] * 5
        return self.scrape()


def get(url):
    """The answer; a connection that waits at a process that ends is reset, and made again.

    So is one that comes too often.
    """
    for _ in range(MANY):
        with contextlib.suppress(httpx.TransportError):
            if (answer := httpx.get(url, timeout=60)).status_code != 429:
                return answer
        time.sleep(0.05)
    raise AssertionError(f"{url} is not answered")


def by_model(found):
    counts = Counter()
    for (name, labels), n in found.items():
        if name == metric_names.REQUESTS:
            counts[dict(labels)["model"]] += n
    return dict(counts)


def counted(simulator):
    return {model: of["requests"] for model, of in simulator.counted().items()}


@pytest.fixture
def gunicorn(tmp_path, simulator, samples):
    """Starts the real gunicorn with an application that watches its calls to the simulator."""

    @contextmanager
    def start(*options):
        port, metrics = free_port(), free_port()
        (tmp_path / "app.py").write_text(APP.format(port=metrics, url=simulator.base_url))
        # Workers load the application; what it imports is read once for all of them.
        (tmp_path / "gunicorn.conf.py").write_text(READ)
        (tmp_path / "targets.toml").write_text(f"[mine]\nbase_url = '{simulator.base_url}'\n")
        env = {**os.environ, "PROMETHEUS_MULTIPROC_DIR": str(tmp_path / "shared")}
        with (tmp_path / "log").open("wb") as log:
            process = subprocess.Popen(
                [sys.executable, "-m", "gunicorn", "app:app", "--bind", f"127.0.0.1:{port}", *options],
                cwd=tmp_path, env=env, stdout=log, stderr=log,
            )  # fmt: skip
        try:
            served = Served(process, port, metrics, samples)
            looks = 0
            while "Booting worker" not in (text := (tmp_path / "log").read_text()):
                looks += 1
                assert (process.poll(), looks < MANY) == (None, True), text
                time.sleep(0.05)
            yield served
        finally:
            process.terminate()
            process.wait(60)

    return start


def test_workers_of_gunicorn_are_scraped_as_one_and_one_that_is_killed_takes_nothing_along(
    gunicorn, simulator, tmp_path, samples
):
    """With --preload: the application is loaded, and listens for scrapes, before the forks."""
    with gunicorn("--preload", "--workers", "3") as served:
        served.through_all(3, "/watched?fast")
        calls = served.through_all(3, "/own")
        for _ in range(3):
            served.ask("/watched?none")
        expected = counted(simulator) | {"none": 3}
        assert expected["fast"] >= calls + 6
        found = served.until(expected)

        latencies = {dict(labels)["le"]: n for (name, labels), n in found.items()
                     if name == f"{metric_names.LATENCY}_bucket" and ("model", "fast") in labels}  # fmt: skip
        assert list(latencies.values()) == sorted(latencies.values())
        assert latencies["+Inf"] == expected["fast"]
        mine = frozenset({"provider": "mine", "model": "fast"}.items())
        assert found[f"{metric_names.LATENCY}_count", mine] == expected["fast"]
        assert 0 < found[f"{metric_names.LATENCY}_sum", mine] < 60 * expected["fast"]
        errors = {dict(labels)["error_type"]: n for (name, labels), n in found.items()
                  if name == metric_names.ERRORS and ("model", "none") in labels}  # fmt: skip
        assert {kind: n for kind, n in errors.items() if n} == {"not_found": 3}
        # One value for all processes, though each has a loop of its own.
        assert found[metric_names.LAG, mine | {("stat", "max")}] >= 0

        victim = max(served.pids)
        os.kill(victim, signal.SIGKILL)
        served.through_all(3, "/own")
        expected = counted(simulator) | {"none": 3}
        served.until(expected)

        # The application's own scrape, as prometheus_client wants it, has them too.
        registry = CollectorRegistry()
        MultiProcessCollector(registry, path=str(tmp_path / "shared"))
        assert by_model(samples(generate_latest(registry))) == expected
    # What the last second brought is written at the end.
    assert by_model(samples(generate_latest(registry))) == counted(simulator) | {"none": 3}


def test_workers_that_are_recycled_leave_their_sums_to_those_that_follow(
    gunicorn, simulator, tmp_path
):
    """Without --preload: each worker loads the application, and all listen at one port."""
    with gunicorn("--workers", "2", "--max-requests", "6") as served:
        for _ in range(20):
            served.ask("/watched?fast")
        assert len(served.pids) >= 4
        served.until(counted(simulator))
        files = sorted(path.name for path in (tmp_path / "shared").glob("counter_*"))
        assert len(files) < len(served.pids), "a place is taken over"


@pytest.fixture
def shared(tmp_path, monkeypatch):
    """The folder of processes that share their sums."""
    monkeypatch.setenv("PROMETHEUS_MULTIPROC_DIR", str(tmp_path / "shared"))
    return tmp_path / "shared"


def take(monitor, n, model="m", seconds=0.2):
    """Have a monitor's ledger take in so many calls, as if its clients had made them."""
    ledger = monitor.ledger
    for _ in range(n):
        marks = Marks(ledger.number(), ledger.index(Target(provider="p", model=model)), ledger.zero)
        marks.start, marks.end, marks.status = ledger.zero, ledger.zero + seconds, 200
        ledger.add(marks)


def in_child(work):
    """Run `work` in a forked process, which ends as a worker does that is killed."""
    child = multiprocessing.get_context("fork").Process(target=work)
    child.start()
    child.join(60)
    assert child.exitcode == 0


def scraped(collector, samples):
    return by_model(samples(generate_latest(collector)))


def test_several_collectors_of_a_monitor_count_it_once(shared, samples):
    monitor = Monitor()
    first, second = Collector(monitor), Collector(monitor, fresh_s=0)
    take(monitor, 3)
    assert scraped(first, samples) == scraped(second, samples) == {"m": 3}
    take(monitor, 2)
    assert scraped(second, samples) == {"m": 5}
    other = Monitor()
    take(other, 1)
    assert scraped(Collector(other), samples) == {"m": 6}, "of another monitor they are more"


def test_a_fork_begins_anew_and_what_it_measured_outlasts_it(shared, samples):
    monitor = Monitor()
    collector = Collector(monitor, fresh_s=0)
    take(monitor, 3)
    assert scraped(collector, samples) == {"m": 3}

    for n in (5, 7, 9):

        def work(n=n):
            take(monitor, 2)
            assert scraped(collector, samples) == {"m": n}

        in_child(work)
        assert scraped(collector, samples) == {"m": n}
    assert len([*shared.glob("counter_*")]) == 2, "the parent's, and one that was taken over"


def test_gauges_are_the_highest_of_the_living_calls_in_flight_those_of_all_and_limits_the_least(
    shared, samples
):
    def lagging(seconds, left):
        monitor = Monitor()
        monitor.ledger.limits.tally.take(0, {"tokens": (100.0, left, 1.0)})
        monitor.called = {"m": Target(provider="p", model="m")}
        monitor._calls = SimpleNamespace(vitals=ClientHealth.of_loop(deque([seconds])))
        return monitor

    monitor = lagging(0.25, 50.0)
    collector = Collector(monitor, fresh_s=0)
    take(monitor, 1)
    hangs = Marks(1, 0, 0.0)
    monitor.ledger.open.begin(hangs, 0)

    def work():
        worse = lagging(0.5, 90.0)
        theirs = Collector(worse, fresh_s=0)
        take(worse, 1)
        worse.ledger.open.begin(hangs, 0)
        assert (lag(theirs), in_flight(theirs), remaining(theirs)) == (0.5, 2, 50.0)

    def lag(collector):
        whose = {"provider": "p", "model": "m", "stat": "max"}
        return samples(generate_latest(collector))[metric_names.LAG, frozenset(whose.items())]

    def remaining(collector):
        whose = {"provider": "p", "model": "m", "limit": "tokens"}
        return samples(generate_latest(collector))[metric_names.REMAINING, frozenset(whose.items())]

    def in_flight(collector):
        whose = {"provider": "p", "model": "m"}
        return samples(generate_latest(collector))[metric_names.IN_FLIGHT, frozenset(whose.items())]

    assert (lag(collector), in_flight(collector)) == (0.25, 1)
    in_child(work)
    assert (lag(collector), in_flight(collector)) == (0.25, 1)
    assert scraped(collector, samples) == {"m": 2}


def test_names_of_one_place_stay_as_few_however_often_it_is_taken(shared, samples):
    monitor = Monitor()
    collector = Collector(monitor, most=5, fresh_s=0)
    for life in range(3):

        def work(life=life):
            for k in range(4):
                take(monitor, 1, model=f"m{life}-{k}")
            scraped(collector, samples)

        in_child(work)
    found = scraped(collector, samples)
    assert (len(found), found["other"], sum(found.values())) == (6, 7, 12)


def test_a_forked_process_whose_calls_nobody_scrapes_says_so(monkeypatch, caplog):
    monkeypatch.delenv("PROMETHEUS_MULTIPROC_DIR", raising=False)
    monitor = Monitor()
    with expose(monitor, port=0):
        take(monitor, 1)
        assert caplog.records == []

        def work():
            caplog.clear()
            take(monitor, 1)
            take(monitor, 1, model="another")
            (line,) = [record.getMessage() for record in caplog.records]
            assert "set PROMETHEUS_MULTIPROC_DIR to a folder" in line

        with caplog.at_level(logging.WARNING, "holymon"):
            in_child(work)


def test_a_forked_child_does_not_hold_the_port():
    port = free_port()
    served = expose(Monitor(), port=port)

    def work():
        assert served._server.socket.fileno() == -1
        served.close()  # does not wait for a thread that is not here

    in_child(work)
    assert httpx.get(served.url).status_code == 200
    served.close()


def test_a_port_is_shared_with_the_same_server_and_with_no_other(shared, tmp_path, monkeypatch):
    port = free_port()
    with expose(Monitor(), port=port), expose(Monitor(), port=port) as second:
        assert httpx.get(second.url).status_code == 200
        monkeypatch.setenv("PROMETHEUS_MULTIPROC_DIR", str(tmp_path / "another"))
        with pytest.raises(ConfigError, match=f"can't listen at 127.0.0.1:{port}"):
            expose(Monitor(), port=port)
        monkeypatch.delenv("PROMETHEUS_MULTIPROC_DIR")
        with pytest.raises(ConfigError, match=r"another worker .* set PROMETHEUS_MULTIPROC_DIR"):
            expose(Monitor(), port=port)
    with socket.create_server(("127.0.0.1", port)):
        pass


def test_a_port_that_a_process_is_still_giving_up_is_waited_for(shared):
    """A process that ends lets go of its lock first; a worker that failed for it ended gunicorn."""
    ending = socket.create_server(("127.0.0.1", 0))
    threading.Timer(0.3, ending.close).start()
    with expose(Monitor(), port=ending.getsockname()[1]) as served:
        assert httpx.get(served.url).status_code == 200


def test_a_folder_that_can_be_none_is_one_sentence(tmp_path, monkeypatch):
    (tmp_path / "file").write_text("")
    monkeypatch.setenv("PROMETHEUS_MULTIPROC_DIR", str(tmp_path / "file" / "x"))
    with pytest.raises(ConfigError, match=r"PROMETHEUS_MULTIPROC_DIR .* can't be used"):
        expose(Monitor(), port=0)


@pytest.mark.parametrize("data", [
    b"", b"\0", b"\xff" * 64, struct.pack("iiii", 4096, 0, -8, 0), struct.pack("iiii", 24, 0, 0, 0) + bytes(24),
    struct.pack("iii", 48, 0, 2) + b"[]" + bytes(32), struct.pack("iii", 48, 0, 1000) + bytes(40),
    struct.pack("ii", 8 + 4 + 28 + 16, 0) + struct.pack("i28sdd", 20, b'["a", "a", {"x": 1}, ""]'[:20], 1, 1),
])  # fmt: skip
def test_what_no_process_wrote_into_their_folder_is_one_sentence(shared, samples, data):
    monitor = Monitor()
    collector = Collector(monitor, fresh_s=0)
    take(monitor, 1)
    broken = shared / "counter_holymon-7.db"
    shared.mkdir(exist_ok=True)
    broken.write_bytes(data)
    with pytest.raises(RunError, match="delete it, or set PROMETHEUS_MULTIPROC_DIR"):
        collector.families()
    broken.unlink()
    assert scraped(collector, samples) == {"m": 1}
