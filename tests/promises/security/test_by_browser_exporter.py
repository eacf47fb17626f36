"""A browser on this machine, sent by a page of somebody else: the exporter tells it nothing."""

import socket
import struct
import time
from urllib.parse import urlsplit

import httpx
import pytest

from holymon.prometheus import server, visitors
from holymon.prometheus.exporter import expose
from holymon.records.records import Records
from tests.promises.security.targets import TARGET


@pytest.fixture
def served():
    with expose(Records((TARGET,)), port=0, names=["metrics.example"]) as exposed:
        yield exposed


@pytest.mark.parametrize(
    "host",
    [
        "attacker.example", "attacker.example:PORT", "127.0.0.1.nip.io:PORT", "localhost.evil:PORT",
        "0x7f.0.0.1:PORT", "127.0.0.1@evil.example", "evil", "[::1", "[::1].evil", "", "\x7f",
        "metrics.example.evil", "localhost\t.evil",
    ],
)  # fmt: skip
def test_a_name_that_was_pointed_here_gets_nothing(served, host):
    """DNS rebinding: the page's own name leads to this machine by now."""
    port = urlsplit(served.url).port
    if not host:
        host = ".:PORT"
    answer = httpx.get(served.url, headers={"host": host.replace("PORT", str(port))})
    assert (answer.status_code, "holymon_" in answer.text) == (421, False)
    assert "--allow-host" in answer.text


@pytest.mark.parametrize(
    "host",
    ["localhost", "LOCALHOST:PORT", "localhost.", "127.0.0.1:PORT", "[::1]:PORT", "10.1.2.3:9464",
     "app.localhost:PORT", "metrics.example", "Metrics.Example.:80", socket.gethostname()],
)  # fmt: skip
def test_its_own_names_and_any_address_are_answered(served, host):
    headers = {"host": host.replace("PORT", str(urlsplit(served.url).port))}
    assert httpx.get(served.url, headers=headers).status_code == 200


@pytest.mark.parametrize(
    "headers",
    [
        {"origin": "https://evil.example"}, {"origin": "null"}, {"origin": "http://localhost:8888"},
        {"origin": "http://[::1"}, {"sec-fetch-site": "cross-site", "sec-fetch-mode": "no-cors"},
        {"sec-fetch-site": "same-site", "sec-fetch-mode": "cors"},
        {"sec-fetch-site": "cross-site", "sec-fetch-mode": "websocket"},
        {"sec-fetch-site": "cross-site"}, {"sec-fetch-site": "same-site"},
        {"sec-fetch-site": "cross-site, none"}, {"sec-fetch-site": "CROSS-SITE"},
        *({"sec-fetch-site": "cross-site", "sec-fetch-mode": "navigate", "sec-fetch-dest": into}
          for into in ("iframe", "frame", "object", "embed")),
    ],
)  # fmt: skip
def test_a_page_of_another_site_gets_nothing(served, headers):
    """An image, a script or a fetch names its origin or its site, in every browser of today."""
    answer = httpx.get(served.url, headers=headers)
    assert (answer.status_code, "holymon_" in answer.text) == (403, False)


def test_a_link_that_a_person_follows_is_answered(served):
    followed = {"sec-fetch-site": "cross-site", "sec-fetch-mode": "navigate"}
    assert httpx.get(served.url, headers=followed).status_code == 200
    followed["sec-fetch-dest"] = "document"
    assert httpx.get(served.url, headers=followed).status_code == 200


@pytest.mark.parametrize(
    "headers",
    [{"sec-fetch-site": "none"}, {"sec-fetch-site": "same-origin"},
     {"sec-fetch-site": "none", "sec-fetch-mode": "navigate", "sec-fetch-dest": "document"}],
)  # fmt: skip
def test_an_address_that_is_typed_and_its_own_pages_are_answered(served, headers):
    assert httpx.get(served.url, headers=headers).status_code == 200
    own = {**headers, "origin": served.url.removesuffix("/metrics")}
    assert httpx.get(served.url, headers=own).status_code == 200


def test_refused_ones_are_not_counted(served):
    """Else a page could use up what the scraper may ask for: it has its address, and its agent."""
    with httpx.Client() as client:
        for _ in range(visitors.MOST_PER_S + 10):
            assert client.get(served.url, headers={"origin": "http://evil"}).status_code == 403
            assert client.get(served.url, headers={"host": "evil.example"}).status_code == 421
        assert client.get(served.url).status_code == 200


def test_a_visitor_who_drips_is_hung_up_on_in_time(monkeypatch):
    """Each byte alone comes soon enough; the whole request does not."""
    monkeypatch.setattr(server, "PATIENCE_S", 1.0)
    with expose(Records((TARGET,)), port=0) as served:
        parts, begun = urlsplit(served.url), time.monotonic()
        with socket.create_connection((parts.hostname, parts.port), 60) as slow:
            slow.settimeout(0.1)
            ended = False
            while not ended and time.monotonic() < begun + 30:
                try:
                    slow.sendall(b"G")
                    ended = slow.recv(1) == b""
                except TimeoutError:
                    continue
                except OSError:
                    ended = True
    assert ended


def test_however_many_stay_there_is_a_place_for_the_scraper(served):
    parts = urlsplit(served.url)
    idle = []
    try:
        for _ in range(3 * server.MOST_OPEN):
            one = socket.create_connection((parts.hostname, parts.port), 60)
            one.sendall(b"GET /metrics HTTP/1.1\r\nX: ")
            idle.append(one)
        assert httpx.get(served.url, timeout=30).status_code == 200
    finally:
        for one in idle:
            one.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
            one.close()


def test_who_reads_slowly_holds_no_thread_for_ever(monkeypatch):
    monkeypatch.setattr(server, "PATIENCE_S", 1.0)
    monkeypatch.setattr(server._Pages, "page", lambda *_, **__: b"#" * 50_000_000)
    with expose(Records((TARGET,)), port=0) as served:
        parts = urlsplit(served.url)
        with socket.create_connection((parts.hostname, parts.port), 60) as slow:
            slow.sendall(b"GET /metrics HTTP/1.1\r\n\r\n")
            until = time.monotonic() + 30
            while served._server._open or not slow.recv(1, socket.MSG_PEEK):
                assert time.monotonic() < until
                time.sleep(0.02)
