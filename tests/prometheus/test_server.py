"""The exporter's server: one path, one machine, and no scraper can disturb another or the run."""

import http.client
import socket
import struct
import subprocess
import sys
import threading
import time
from types import MappingProxyType, SimpleNamespace
from urllib.parse import urlsplit

import httpx
import pytest
from prometheus_client.openmetrics import parser as openmetrics

from holymon.errors import ConfigError
from holymon.plan.plan import Closed, Plan, Target
from holymon.prometheus import metric_names, server, visitors
from holymon.prometheus.exporter import expose
from holymon.prometheus.server import prefers_openmetrics
from holymon.prometheus.sources import source
from holymon.records.attempt import Marks
from holymon.records.records import from_marks

PLAN = Plan(targets=(Target(provider="sim", model="a"),), load=Closed(users=1), requests=1)


def records_of(n):
    marks = [Marks(i, 0, float(i)) for i in range(n)]
    for one in marks:
        one.start, one.end, one.status = one.due, one.due + 0.2, 200
    return from_marks(PLAN.targets, marks)


@pytest.fixture
def served():
    with expose(records_of(200), port=0) as found:
        yield found


def test_only_metrics_are_served_and_only_on_this_machine(served, samples):
    parts = urlsplit(served.url)
    assert (parts.hostname, parts.path) == ("127.0.0.1", "/metrics")
    answer = httpx.get(served.url)
    assert answer.headers["content-type"] == "text/plain; version=0.0.4; charset=utf-8"
    assert samples(answer.content)
    root = served.url.removesuffix("/metrics")
    assert [httpx.get(root + path).status_code for path in ("/", "/favicon.ico", "/metrics/x")] == [
        404
    ] * 3
    assert [httpx.request(m, served.url).status_code for m in ("POST", "PUT", "DELETE")] == [
        405
    ] * 3
    assert httpx.post(served.url).headers["allow"] == "GET, HEAD, OPTIONS"
    assert httpx.options(served.url).headers["allow"] == "GET, HEAD, OPTIONS"
    assert "python" not in httpx.get(served.url).headers["server"].lower()


def test_a_head_has_the_head_of_a_get_and_nothing_behind_it(served):
    """By bytes: a client would not show a body that has no place there."""
    parts = urlsplit(served.url)

    def raw(method, path):
        with socket.create_connection((parts.hostname, parts.port), 30) as one:
            one.sendall(f"{method} {path} HTTP/1.1\r\nHost: localhost\r\n\r\n".encode())
            head, _, body = b"".join(iter(lambda: one.recv(65536), b"")).partition(b"\r\n\r\n")
        return [line for line in head.split(b"\r\n") if not line.startswith(b"Date")], body

    for path in ("/metrics", "/nothing"):
        (head, nothing), (same, body) = raw("HEAD", path), raw("GET", path)
        assert (head, nothing) == (same, b"")
        assert f"Content-Length: {len(body)}".encode() in head
    assert head[0] == b"HTTP/1.0 404 Not Found"


def test_who_asks_for_openmetrics_gets_it_with_the_same_values(served, samples):
    accept = "application/openmetrics-text; version=1.0.0; charset=utf-8"
    answer = httpx.get(served.url, headers={"accept": accept, "accept-encoding": "gzip"})
    assert answer.headers["content-type"] == accept
    assert answer.headers["vary"] == "Accept"
    assert "content-encoding" not in answer.headers  # nor is the watched process' time spent so
    assert answer.text.endswith("\n# EOF\n")
    strict = {
        (s.name, frozenset(s.labels.items())): s.value
        for family in openmetrics.text_string_to_metric_families(answer.text)
        for s in family.samples
    }
    assert strict == samples(httpx.get(served.url).content) != {}
    head = httpx.head(served.url, headers={"accept": accept}).headers
    for headers in (head, answer.headers):
        del headers["date"]
    assert head == answer.headers


OF_PROMETHEUS = (
    "application/openmetrics-text;version=1.0.0;q=0.5,application/openmetrics-text;version=0.0.1;"
    "q=0.4,text/plain;version=0.0.4;q=0.3,*/*;q=0.2"
)


@pytest.mark.parametrize(
    ("accept", "strict"),
    [
        ("", False), ("*/*", False), ("text/plain", False), ("application/json", False),
        ("application/openmetrics-text", True), ("Application/OpenMetrics-Text;Q=0.1", True),
        (OF_PROMETHEUS, True), ("text/plain, application/openmetrics-text;q=0.9", False),
        ("text/plain;q=0.5, application/openmetrics-text", True),
        ("application/*", True), ("application/openmetrics-text;q=0, */*", False),
        ("text/*;q=0.3, application/openmetrics-text;q=0.4", True),
        ("application/openmetrics-text;q=nan", False), (",;=,;q=", False),
        ("application/vnd.google.protobuf;q=1,text/plain;q=0.4", False),
    ],
)  # fmt: skip
def test_the_format_is_the_one_that_is_preferred(accept, strict):
    assert prefers_openmetrics(accept) is strict


def test_closing_frees_the_port(served):
    port = urlsplit(served.url).port
    served.close()
    with expose(records_of(10), port=port) as again:
        assert again.url == served.url
        assert httpx.get(again.url).status_code == 200


def test_a_port_that_is_taken_is_one_sentence_and_disturbs_nobody(served):
    port = urlsplit(served.url).port
    with pytest.raises(ConfigError, match=f"can't listen at 127.0.0.1:{port}.*another port"):
        expose(records_of(10), port=port)
    assert httpx.get(served.url).status_code == 200
    with pytest.raises(ConfigError, match=r"0-65535\. Name another"):
        expose(records_of(10), port=99999)
    with pytest.raises(ConfigError, match="can't listen"):
        expose(records_of(10), host="no such host", port=0)


def test_slow_scrapers_take_nobodys_place_and_are_hung_up_on(monkeypatch):
    """Half a request each, then silence: others are served, and no thread waits for ever."""
    monkeypatch.setattr(server, "PATIENCE_S", 1.0)
    with expose(records_of(10), port=0) as served:
        parts, before = urlsplit(served.url), threading.active_count()
        slow = [socket.create_connection((parts.hostname, parts.port), 60) for _ in range(30)]
        for one in slow:
            one.sendall(b"GET /metrics HTTP/1.1\r\n")
        assert httpx.get(served.url).status_code == 200
        assert [one.recv(1) for one in slow] == [b""] * 30
        until = time.monotonic() + 20
        while threading.active_count() > before:
            assert time.monotonic() < until
            time.sleep(0.02)
        for one in slow:
            one.close()


def test_figures_are_made_once_a_second_and_a_greedy_visitor_silences_nobody_else():
    made, answers, refused = [], 0, 0

    class Sums:
        ledger, limits = SimpleNamespace(in_flight={}), MappingProxyType({})

        def tally(self):
            made.append(time.monotonic())
            return source(records_of(10), metric_names.bucket_edges()).read().totals

    with expose(Sums(), port=0) as served:
        parts, begun = urlsplit(served.url), time.monotonic()
        while answers + refused < 600:
            connection = http.client.HTTPConnection(parts.hostname, parts.port)
            connection.request("GET", "/metrics")
            status = connection.getresponse().status
            assert status in {200, 429}
            answers, refused = answers + (status == 200), refused + (status == 429)
            connection.close()
            if status == 429 and refused % 40 == 1:
                assert httpx.get(served.url, headers={"user-agent": "Prometheus"}).is_success
        took = time.monotonic() - begun
    assert 1 <= len(made) <= took + 2
    assert 0 < answers <= visitors.MOST_PER_S * (took + 2)


def test_a_source_that_fails_is_told_and_the_next_scrape_is_served():
    class Sums:
        broken = True
        ledger, limits = SimpleNamespace(in_flight={}), MappingProxyType({})

        def tally(self):
            if self.broken:
                raise OSError("no disk\x1b[31m")
            return source(records_of(10), metric_names.bucket_edges()).read().totals

    sums = Sums()
    with expose(sums, port=0) as served:
        answer = httpx.get(served.url)
        assert (answer.status_code, answer.text) == (
            500,
            "the figures could not be read: no disk[31m\n",
        )
        sums.broken = False
        assert httpx.get(served.url).status_code == 200


def test_a_scraper_that_hangs_up_leaves_nothing_behind(served, capfd):
    parts = urlsplit(served.url)
    before = threading.active_count()
    for k in range(20):
        with socket.create_connection((parts.hostname, parts.port)) as one:
            one.sendall(b"GET /metrics HTTP/1.1\r\n\r\n"[: None if k % 2 else 9])
            now = struct.pack("ii", 1, 0)  # a reset
            one.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, now)
    until = time.monotonic() + 20
    while threading.active_count() > before:
        assert time.monotonic() < until
        time.sleep(0.02)
    assert capfd.readouterr() == ("", "")


def test_an_exporter_ends_with_its_process():
    code = (
        "import holymon as hm, json, sys\n"
        "from holymon.records.records import Records\n"
        "print(hm.expose(Records((hm.target('sim/fast'),)), port=0).url, flush=True)"
    )
    done = subprocess.run(
        [sys.executable, "-c", code], capture_output=True, text=True, timeout=60, check=False
    )
    assert (done.returncode, done.stderr) == (0, "")
    with pytest.raises(httpx.ConnectError):
        httpx.get(done.stdout.strip())


def test_records_without_a_call_can_be_served():
    with expose(from_marks(PLAN.targets, []), port=0) as served:
        assert httpx.get(served.url).status_code == 200
