"""Connections are shared, closed when they must be, and lead through proxies; httpx can use them."""

import asyncio
import contextlib
import gc
import socket
import ssl
import sys
import threading
from base64 import b64encode

import httpx
import pytest
from hypothesis import given
from hypothesis import strategies as st

from holymon.errors import ConfigError
from holymon.safety import redact, short
from holymon.transport import pool
from holymon.transport.connection import Connection
from holymon.transport.connector import Connector
from holymon.transport.exceptions import classify, words
from holymon.transport.pool import Transport
from holymon.transport.prepared_request import Origin, prepare, proxy_of
from holymon.transport.response import Response
from tests.promises.faults.server import CHUNKED, FIN, HANG, LAST, RST, Server, answer, chunk

HELLO = answer(b"hello", "200 OK", "text/plain", "x-one: 1", "set-cookie: a=1", "set-cookie: b=2")


def with_client(work, *scripts, **more):
    """What `work(client, server)` returns, with an httpx client over our transport."""

    async def go():
        client = httpx.AsyncClient(transport=Transport())
        async with asyncio.timeout(20), Server(*scripts, **more) as server, client:
            return await work(client, server)

    return asyncio.run(go())


def test_httpx_reads_status_headers_and_body():
    async def work(client, server):
        return await client.post(server.url, json={"a": 1}), server.seen

    response, seen = with_client(work, [HELLO])
    assert (response.status_code, response.text, response.headers["x-one"]) == (200, "hello", "1")
    assert response.headers.get_list("set-cookie") == ["a=1", "b=2"]
    assert seen[0].startswith(b"POST /v1 HTTP/1.1\r\n")
    assert seen[0].endswith(b'content-length: 7\r\n\r\n{"a":1}')


@pytest.mark.parametrize("method", ["GET", "HEAD", "DELETE"])
def test_a_request_without_a_body_announces_none(method):
    async def work(client, server):
        return await client.request(method, server.url), server.seen[0]

    response, seen = with_client(work, [HELLO])
    assert response.content == (b"" if method == "HEAD" else b"hello")
    assert b"content-length" not in seen.lower()


def test_httpx_reads_a_stream_piece_by_piece():
    async def work(client, server):
        async with client.stream("GET", server.url) as response:
            return [piece async for piece in response.aiter_raw()]

    script = [CHUNKED, chunk(b"one"), 0.05, chunk(b"two"), 0.05, chunk(b"three"), LAST]
    assert with_client(work, script) == [b"one", b"two", b"three"]


@pytest.mark.parametrize(
    ("script", "error"),
    [([HANG], httpx.ReadTimeout), ([CHUNKED, chunk(b"x"), HANG], httpx.ReadTimeout),
     ([FIN], httpx.RemoteProtocolError), ([CHUNKED, FIN], httpx.RemoteProtocolError)],
)  # fmt: skip
def test_httpx_gets_its_own_errors(script, error):
    async def work(client, server):
        with pytest.raises(error):
            await client.get(server.url, timeout=httpx.Timeout(10, read=0.2))

    with_client(work, script)


@pytest.mark.parametrize("how", [FIN, RST])
def test_a_server_that_hangs_up_at_once_is_no_endless_wait(how):
    """Which error it is depends on who was first: the request or the end."""

    async def work(client, server):
        for _ in range(20):
            with pytest.raises((httpx.NetworkError, httpx.RemoteProtocolError)):
                await client.post(server.url, content=b"x", timeout=None)

    with_client(work, hello=[how])


@pytest.mark.parametrize("status", [b"000", b"000 OK", b"099"])
def test_a_status_that_is_none_is_no_endless_wait(status):
    async def work(client, server):
        with pytest.raises(httpx.RemoteProtocolError):
            await client.get(server.url, timeout=None)

    with_client(work, [b"HTTP/1.1 " + status + b"\r\ncontent-length: 0\r\n\r\n"])


def test_calls_one_after_the_other_share_a_connection_and_at_once_they_have_their_own():
    async def work(client, server):
        for _ in range(3):
            await client.get(server.url)
        alone = server.connections
        await asyncio.gather(*(client.get(server.url) for _ in range(3)))
        return alone, server.connections

    assert with_client(work, [0.05, HELLO]) == (1, 3)


def test_a_connection_that_its_server_may_be_about_to_close_is_not_used_again(monkeypatch):
    """Or the request meets the close: with 5 s between calls that was every other one."""
    assert pool.IDLE_S <= 4  # a server's usual 5 s, less the way there and back
    monkeypatch.setattr(pool, "IDLE_S", 0.05)

    async def work(client, server):
        await client.get(server.url)
        await asyncio.sleep(0.1)
        await client.get(server.url)
        return server.connections

    assert with_client(work, [HELLO]) == 2


@pytest.mark.parametrize(
    "script",
    [[answer(b"x", "200 OK", "text/plain", "connection: close")],
     [b"HTTP/1.0 200 OK\r\ncontent-length: 1\r\n\r\nx"], [HELLO + b"more than was asked for"],
     [HELLO + HELLO], [b"HTTP/1.1 200 OK\r\n\r\nx", FIN], [HELLO, FIN]],
)  # fmt: skip
def test_a_connection_of_which_more_or_no_more_is_to_be_expected_is_not_used_again(script):
    async def work(client, server):
        first = (await client.get(server.url)).text
        await asyncio.sleep(0.05)
        return first, (await client.get(server.url)).text, server.connections

    first, second, connections = with_client(work, script)
    assert (first, connections) == (second, 2)


@pytest.mark.parametrize(("end", "kind"), [(FIN, "server_disconnected"), (RST, "connection_reset")])
def test_a_close_in_answer_to_a_further_request_says_that_the_connection_had_been_kept(end, kind):
    """golang/go#22158, nodejs/undici#3492, ggml-org/llama.cpp#7694.

    It is not asked again: nobody knows whether a POST was applied (RFC 9110, section 9.2.2), and
    one attempt is one record.
    """

    async def work(client, server):
        await client.post(server.url)
        with pytest.raises(httpx.TransportError) as failed:
            await client.post(server.url)
        return failed.value, server.connections, len(server.seen)

    error, *counts = with_client(work, [HELLO], [end])
    assert classify(error) == kind
    assert "on a connection that it had kept open" in words(error)
    assert counts == [1, 2]


def test_a_coding_that_is_not_chunked_lasts_until_the_connection_closes():
    """RFC 9112, section 6.3; and, of the folded header, section 5.2."""

    async def work(client, server):
        response = await client.get(server.url)
        return response.text, response.headers["x-a"]

    head = b"HTTP/1.1 200 OK\r\nx-a: one\r\n two\r\ntransfer-encoding: identity\r\n\r\n"
    assert with_client(work, [head, b"hello", FIN]) == ("hello", "one two")


def test_a_close_that_the_loop_has_not_told_yet_is_seen():
    """A server that closes after each answer without a word would fail every other call."""
    closed = threading.Semaphore(0)

    def serve(listener):
        for _ in range(5):
            one, _ = listener.accept()
            with one:
                one.recv(65536)
                one.sendall(HELLO)
            closed.release()

    async def go(url):
        async with httpx.AsyncClient(transport=Transport()) as client:
            for _ in range(5):
                assert (await client.get(url)).text == "hello"
                assert closed.acquire(timeout=10)  # and the loop has no turn meanwhile

    with socket.create_server(("127.0.0.1", 0)) as listener:
        listener.settimeout(10)
        serving = threading.Thread(target=serve, args=(listener,), daemon=True)
        serving.start()
        asyncio.run(go(f"http://127.0.0.1:{listener.getsockname()[1]}/"))
        serving.join()


def test_a_server_that_speaks_unasked_is_not_believed():
    """A 408 on an idle connection is nobody's answer."""

    async def work(client, server):
        one = await client.get(server.url)
        await asyncio.sleep(0.2)
        return one.status_code, (await client.get(server.url)).status_code, server.connections

    late = answer(b"", "408 Request Timeout")
    assert with_client(work, [HELLO, 0.05, late], [HELLO]) == (200, 200, 2)


def test_an_answer_that_nobody_reads_does_not_fill_the_memory():
    sent = 0

    def flood():
        nonlocal sent
        yield CHUNKED
        while True:
            sent += 2**18
            yield chunk(b"x" * 2**18)

    async def work(client, server):
        async with client.stream("GET", server.url) as response:
            pieces = response.aiter_raw()
            await anext(pieces)
            await asyncio.sleep(0.3)
            before = sent
            await asyncio.sleep(0.3)
            assert sent == before
            for _ in range(200):
                await anext(pieces)
            assert sent > before

    with_client(work, flood)
    assert sent < 100 * 2**20


def test_a_name_with_several_addresses_leads_to_the_one_that_answers():
    """`localhost` may be ::1 first, where nobody listens."""

    async def work(client, server):
        found = await asyncio.gather(
            *(client.get(f"http://localhost:{server.port}/") for _ in range(5))
        )
        return [one.text for one in found]

    assert with_client(work, [HELLO]) == ["hello"] * 5


@pytest.mark.skipif(sys.platform == "win32", reason="Windows has its own store of certificates")
@pytest.mark.parametrize("empty", [False, True])
def test_a_machine_without_certificates_trusts_those_of_httpx(monkeypatch, tmp_path, empty):
    monkeypatch.setenv("SSL_CERT_FILE", str(tmp_path / "none.pem"))
    monkeypatch.setenv("SSL_CERT_DIR", str(tmp_path if empty else tmp_path / "none"))
    context = Connector()._tls(Origin(secure=True, host="localhost", port=443))
    assert context.cert_store_stats()["x509_ca"] > 100
    assert context.verify_mode is ssl.CERT_REQUIRED
    assert context.check_hostname


def test_a_name_that_nobody_waits_for_any_more_fails_in_silence():
    """Or a notebook shows the traceback of a task, for calls that were named long before."""
    told = []

    async def go():
        loop = asyncio.get_running_loop()
        loop.set_exception_handler(lambda _, about: told.append(about["message"]))

        async def slow(*_, **__):
            await asyncio.sleep(0.1)
            raise socket.gaierror(socket.EAI_AGAIN, "later")

        loop.getaddrinfo = slow
        async with httpx.AsyncClient(transport=Transport(connect_s=0.01), timeout=None) as client:
            with pytest.raises(httpx.ConnectTimeout):
                await client.get("http://far.example/")
        await asyncio.sleep(0.2)

    asyncio.run(go())
    gc.collect()
    assert told == []


# Proxies: a server of ours takes the part of one.


class Proxy:
    """Takes CONNECT, says `reply`, and then passes bytes both ways; keeps what it was asked."""

    def __init__(self, reply=b"HTTP/1.1 200 Connection established\r\n\r\n"):
        self.reply, self.asked = reply, []

    async def __aenter__(self):
        self._server = await asyncio.start_server(self._accepted, "127.0.0.1", 0)
        self.port = self._server.sockets[0].getsockname()[1]
        return self

    async def __aexit__(self, *_):
        self._server.close()

    async def _accepted(self, reader, writer):
        head = await reader.readuntil(b"\r\n\r\n")
        self.asked.append(head)
        host, port = head.split(b" ")[1].decode().rsplit(":", 1)
        writer.write(self.reply)
        if b" 200 " in self.reply:
            assert host == "far.example"
            there = await asyncio.open_connection("127.0.0.1", int(port))
            with contextlib.suppress(asyncio.CancelledError):  # the test is over
                await asyncio.gather(passed(reader, there[1]), passed(there[0], writer))
        writer.close()


async def passed(reader, writer):
    with contextlib.suppress(OSError):
        while data := await reader.read(65536):
            writer.write(data)
        writer.close()


@pytest.fixture
def far(tmp_path):
    """A certificate of `far.example`, which only a proxy finds, and who trusts it."""
    import subprocess

    cert, key = tmp_path / "cert.pem", tmp_path / "key.pem"
    subprocess.run(
        ["openssl", "req", "-x509", "-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:prime256v1",
         "-nodes", "-keyout", key, "-out", cert, "-days", "2", "-subj", "/CN=far.example",
         "-addext", "subjectAltName=DNS:far.example"],
        check=True, capture_output=True,
    )  # fmt: skip
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(cert, key)
    return context, ssl.create_default_context(cafile=cert)


PAIR = b64encode(b"me:p@ss").decode()


def test_https_goes_through_a_proxys_tunnel_with_its_credentials(monkeypatch, far):
    tls, trusting = far

    async def go():
        async with Server([HELLO], tls=tls) as server, Proxy() as proxy:
            monkeypatch.setenv("HTTPS_PROXY", f"http://me:p%40ss@127.0.0.1:{proxy.port}")
            pool = Transport(verify=trusting)
            async with httpx.AsyncClient(transport=pool) as client:
                pair = [await client.get(f"https://far.example:{server.port}/") for _ in range(2)]
            return [one.text for one in pair], proxy.asked, server.seen

    texts, asked, seen = asyncio.run(go())
    assert texts == ["hello", "hello"]
    assert len(asked) == 1
    assert asked[0].startswith(b"CONNECT far.example:")
    assert f"proxy-authorization: Basic {PAIR}".encode() in asked[0]
    assert b"proxy-authorization" not in b"".join(seen)


def test_http_is_asked_of_the_proxy_by_its_whole_address(monkeypatch):
    async def work(client, server):
        monkeypatch.setenv("HTTP_PROXY", f"http://me:p%40ss@127.0.0.1:{server.port}")
        return (await client.get("http://far.example/x?y=1")).text, server.seen[0]

    text, seen = with_client(work, [HELLO])
    assert text == "hello"
    assert seen.startswith(b"GET http://far.example/x?y=1 HTTP/1.1\r\n")
    assert f"proxy-authorization: Basic {PAIR}".encode() in seen


@pytest.mark.parametrize(
    "reply",
    [b"HTTP/1.1 407 Proxy Authentication Required\r\n\r\n", b"no\r\n\r\n", b"",
     b"HTTP/1.1 502 Bad\r\n" + b"x: y\r\n" * 20_000, b"HTTP/1.1 299 cut\r\nx: y\r\n",
     b"HTTP/1.1 299 long\r\nx: " + b"y" * 200_000],
)  # fmt: skip
def test_a_proxy_that_refuses_is_a_proxy_error(monkeypatch, reply):
    async def go():
        async with Proxy(reply) as proxy:
            monkeypatch.setenv("HTTPS_PROXY", f"http://127.0.0.1:{proxy.port}")
            async with httpx.AsyncClient(transport=Transport()) as client:
                with pytest.raises(httpx.ProxyError):
                    await client.get("https://far.example/")

    asyncio.run(go())


@pytest.mark.parametrize("at", range(20, 80, 5))
def test_a_proxy_that_repeats_its_password_does_so_to_nobody_else(monkeypatch, at):
    password = "Proxy7fQ2x9Zb0123456789"

    async def go():
        async with Proxy(b"HTTP/1.1 407 " + b"z" * at + password.encode() + b"\r\n\r\n") as proxy:
            monkeypatch.setenv("HTTPS_PROXY", f"http://me:{password}@127.0.0.1:{proxy.port}")
            made = prepare(httpx.Request("GET", "https://far.example/"))
            with pytest.raises(httpx.ProxyError) as caught:
                await Transport().send(made, Response(), None)
            return short(words(caught.value), secrets=(made.proxy_key,)), made.proxy_key

    said, key = asyncio.run(go())
    assert "zzz***" in said
    for part in (password[k : k + 9] for k in range(len(password) - 8)):
        assert part not in said
        assert part not in redact(f"a part of it, {part}", (key,))


def test_a_bad_certificate_behind_a_proxy_is_no_fault_of_the_proxy(monkeypatch, far):
    tls, _ = far

    async def go():
        async with Server([HELLO], tls=tls) as server, Proxy() as proxy:
            monkeypatch.setenv("HTTPS_PROXY", f"http://127.0.0.1:{proxy.port}")
            async with httpx.AsyncClient(transport=Transport()) as client:
                with pytest.raises(httpx.ConnectError) as caught:
                    await client.get(f"https://far.example:{server.port}/")
                return classify(caught.value)

    assert asyncio.run(go()) == "tls_error"


def test_a_proxy_that_is_not_there_is_a_proxy_error(monkeypatch):
    async def work(client, _):
        with socket.socket() as free:
            free.bind(("127.0.0.1", 0))
            monkeypatch.setenv("HTTP_PROXY", f"http://127.0.0.1:{free.getsockname()[1]}")
            with pytest.raises(httpx.ProxyError):
                await client.get("http://far.example/")

    with_client(work)


def test_no_proxy_is_asked_for_this_machine_nor_for_what_no_proxy_names(monkeypatch):
    monkeypatch.setenv("HTTP_PROXY", "http://127.0.0.1:9")
    monkeypatch.setenv("NO_PROXY", "near.example")
    for url in ("http://127.0.0.1:1/", "http://localhost/", "http://near.example/"):
        assert prepare(httpx.Request("GET", url)).origin.proxy is None
    assert prepare(httpx.Request("GET", "http://far.example/")).origin.proxy is not None


@pytest.mark.parametrize(
    ("listed", "urls"),
    [
        ("10.0.0.0/8", "http://10.1.2.3/ https://10.255.0.1:8443/"),
        ("x, 10.1.2.3/8", "http://10.9.9.9/"),
        ("10.1.2.3", "http://10.1.2.3:81/"),
        ("192.168.*", "http://192.168.7.1/"),
        ("corp", "http://corp/ http://a.corp/ http://b.a.corp/"),
        (".corp", "http://a.corp/ http://A.CORP./"),
        ("*.corp", "http://a.corp/ http://b.a.corp/"),
        ("a.corp:8080", "http://a.corp:8080/"),
        ("a.corp:80", "http://a.corp/"),
        ("a.corp:443", "https://a.corp/"),
        ("http://a.corp:80/", "http://a.corp/"),
        ("one two\ta.corp", "http://a.corp/"),
        ("[fd00::1]", "http://[fd00::1]/ http://[fd00:0::1]:81/"),
        ("fd00::1", "http://[fd00::1]/"),
        ("[fd00::1]:81", "http://[fd00::1]:81/"),
        ("fd00::/8", "http://[fdff::1]/"),
        ("*", "http://a.corp/ http://10.1.2.3/ http://[fd00::1]/"),
        ("one,*", "http://a.corp/"),
    ],
)
@pytest.mark.parametrize("name", ["NO_PROXY", "no_proxy"])
def test_no_proxy_is_read_as_people_write_it(monkeypatch, name, listed, urls):
    """As any of curl, Go (CIDR, ports), requests and httpx (schemes) does."""
    monkeypatch.setenv("ALL_PROXY", "http://127.0.0.1:9")
    monkeypatch.setenv(name, listed)
    through = {url: prepare(httpx.Request("GET", url)).origin.proxy for url in urls.split()}
    assert set(through.values()) == {None}


@pytest.mark.parametrize(
    ("listed", "urls"),
    [
        ("10.0.0.0/8", "http://11.1.2.3/ http://10.corp/"),
        ("corp", "http://acorp/ http://corp.evil/"),
        (".corp", "http://acorp/"),
        ("a.corp:8080", "http://a.corp/ http://a.corp:80/"),
        ("[fd00::1]:81", "http://[fd00::1]/ http://[fd00::2]:81/"),
        (" , ,., /,://,[],10.0.0.0/99", "http://a.corp/ http://10.0.0.1/"),
    ],
)
def test_no_proxy_holds_for_nothing_else(monkeypatch, listed, urls):
    monkeypatch.setenv("ALL_PROXY", "http://127.0.0.1:9")
    monkeypatch.setenv("NO_PROXY", listed)
    assert None not in {prepare(httpx.Request("GET", url)).origin.proxy for url in urls.split()}


def test_a_proxy_is_told_by_its_host_and_port_alone(monkeypatch):
    monkeypatch.setenv("HTTP_PROXY", "http://me:p%40ss@proxy.corp")
    monkeypatch.setenv("HTTPS_PROXY", "http://me@[fd00::1]:3128")
    assert proxy_of("http://far.example/v1") == "proxy.corp:80"
    assert proxy_of("https://far.example/v1") == "[fd00::1]:3128"
    assert proxy_of("http://127.0.0.1:1/v1") == ""


def test_a_proxy_of_another_kind_is_refused_with_the_mend(monkeypatch):
    monkeypatch.setenv("ALL_PROXY", "socks5://127.0.0.1:9")
    with pytest.raises(ConfigError, match=r"NO_PROXY=far\.example"):
        prepare(httpx.Request("GET", "http://far.example/"))


def test_no_repr_of_a_request_holds_the_proxys_password(monkeypatch):
    monkeypatch.setenv("HTTP_PROXY", "http://me:p%40ss@127.0.0.1:9")
    said = repr(prepare(httpx.Request("GET", "http://far.example/")))
    assert not [form for form in ("p@ss", "p%40ss", PAIR) if form in said]


@pytest.mark.parametrize("url", ["ftp://x/", "http:///x"])
def test_what_is_no_web_address_is_refused(url):
    with pytest.raises(httpx.UnsupportedProtocol):
        prepare(httpx.Request("GET", url))


# However an answer is cut, it is the same.

BODIES = st.lists(st.binary(max_size=60), max_size=6)
KINDS = ("length", "chunked", "close")


def written(pieces, kind, interim):
    body = b"".join(pieces)
    head = b"HTTP/1.1 103 Early\r\nlink: x\r\n\r\n" * interim + b"HTTP/1.1 200 OK\r\n"
    if kind == "length":
        return head + b"content-length: %d\r\n\r\n" % len(body) + body
    if kind == "close":
        return head + b"\r\n" + body
    return (
        head + b"transfer-encoding: chunked\r\n\r\n" + b"".join(chunk(p) for p in pieces if p)
    ) + LAST


@given(BODIES, st.sampled_from(KINDS), st.booleans(), st.lists(st.integers(0, 10**6), max_size=8))
def test_any_cut_of_an_answer_gives_the_same_body_and_times_in_order(pieces, kind, interim, cuts):
    async def go():
        loop = asyncio.get_running_loop()
        ours, theirs = socket.socketpair()
        freed = []
        connection = Connection(Origin(secure=False, host="x", port=1), freed.append)
        await loop.create_connection(lambda: connection, sock=ours)
        got = Response()
        got.expect(httpx.Request("GET", "http://x/"), connection)
        connection.send(got, b"GET\r\n\r\n")
        data = written(pieces, kind, interim)
        edges = [0, *sorted(at % (len(data) + 1) for at in cuts), len(data)]
        with theirs:
            for a, b in zip(edges, edges[1:], strict=False):
                theirs.sendall(data[a:b])
                await asyncio.sleep(0)
            if kind == "close":
                theirs.shutdown(socket.SHUT_WR)
            await got.begin()
            times = [got.at]
            found = []

            def take(at, piece):
                found.append(piece)
                times.append(at)
                return False

            await got.pour(take)
            times.append(got.at)
        usable = connection.usable
        connection.abort()
        await asyncio.sleep(0)
        return b"".join(found), times, got.ended, len(freed), usable

    body, times, ended, freed, usable = asyncio.run(go())
    assert body == b"".join(pieces)
    assert times == sorted(times)
    assert (ended, freed, usable) == (True, 1, kind != "close")
