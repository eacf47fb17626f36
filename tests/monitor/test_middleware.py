"""Requests to web applications are recorded, by real frameworks on real servers."""

import asyncio
import contextlib
import logging
import threading
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager

import httpx
import numpy as np
import pytest
import uvicorn
from starlette.applications import Starlette
from starlette.responses import FileResponse, PlainTextResponse, StreamingResponse
from starlette.routing import Route
from werkzeug.serving import make_server

from holymon.errors import NAMES
from holymon.monitor.middleware import MonitorASGI, MonitorWSGI
from holymon.monitor.monitor import Monitor


@pytest.fixture
def monitor():
    return Monitor()


def flask_app(monitor):
    import flask

    app = flask.Flask(__name__)
    app.wsgi_app = MonitorWSGI(app.wsgi_app, monitor)

    @app.get("/ok")
    def ok():
        flask.request.environ["holymon.target"] = "holysheep/gpt-4.1"
        return "fine"

    @app.get("/bad")
    def bad():
        return "no", 429

    @app.get("/boom")
    def boom():
        raise ValueError("boom")

    @app.get("/stream")
    def stream():
        return flask.Response(iter(["a", "b", "c"]))

    @app.get("/breaks")
    def breaks():
        def parts():
            yield "a"
            raise ValueError("within")

        return flask.Response(parts())

    return app


async def ok(request):
    request.scope["holymon.target"] = "holysheep/gpt-4.1"
    return PlainTextResponse("fine")


async def bad(request):
    return PlainTextResponse("no", 429)


async def boom(request):
    raise ValueError("boom")


async def parts(fails=False):
    for piece in "abc":
        yield piece
        if fails:
            raise ValueError("within")


async def stream(request):
    return StreamingResponse(parts())


async def breaks(request):
    return StreamingResponse(parts(fails=True))


def starlette_app(monitor):
    routes = [Route(f"/{one.__name__}", one) for one in (ok, bad, boom, stream, breaks)]
    app = Starlette(routes=routes)
    app.add_middleware(MonitorASGI, monitor=monitor)
    return app


def fastapi_app(monitor):
    import fastapi

    app = fastapi.FastAPI()
    for one in (ok, bad, boom, stream, breaks):
        app.add_route(f"/{one.__name__}", one)
    app.add_middleware(MonitorASGI, monitor=monitor)
    return app


@contextmanager
def wsgi(app):
    logging.getLogger("werkzeug").setLevel(logging.CRITICAL)
    server = make_server("127.0.0.1", 0, app, threaded=True)
    server.daemon_threads = False  # then it waits for them as it closes
    thread = threading.Thread(target=server.serve_forever)
    thread.start()
    try:
        yield f"http://127.0.0.1:{server.server_port}"
    finally:
        server.shutdown()
        thread.join()
        server.server_close()


@contextmanager
def asgi(app):
    server = uvicorn.Server(uvicorn.Config(app, port=0, log_config=None, lifespan="off"))
    thread = threading.Thread(target=lambda: asyncio.run(server.serve()))
    thread.start()
    try:
        while not (server.started and server.servers):
            threading.Event().wait(0.01)
        yield f"http://127.0.0.1:{server.servers[0].sockets[0].getsockname()[1]}"
    finally:
        server.should_exit = True
        thread.join()


APPS = pytest.mark.parametrize(
    ("serve", "make"), [(wsgi, flask_app), (asgi, starlette_app), (asgi, fastapi_app)],
    ids=["flask", "starlette", "fastapi"],
)  # fmt: skip


def get(url):
    try:
        return httpx.get(url, timeout=10).text
    except httpx.RemoteProtocolError:
        return None


@APPS
def test_each_request_is_a_record_with_its_outcome(serve, make, monitor):
    with serve(make(monitor)) as url:
        said = {
            path: get(f"{url}/{path}") for path in ("ok", "bad", "stream", "boom", "breaks", "none")
        }
    assert (said["ok"], said["bad"], said["stream"], said["breaks"]) == ("fine", "no", "abc", None)
    records = monitor.records
    rows = np.sort(records.rows, order="start_s")  # one is recorded when its client has it all
    names = [records.targets[row["target"]].name for row in rows]
    found = [(int(row["status"]), NAMES[row["error"]]) for row in rows]
    assert names == ["holysheep/gpt-4.1", *["web/other"] * 5]
    assert found == [(200, ""), (429, "rate_limited"), (200, ""), (500, "server_error"),
                     (200, "stream_truncated"), (404, "not_found")]  # fmt: skip
    assert list(rows["bytes"][[0, 2]]) == [4, 3]
    assert (records["start_s"] <= records["end_s"]).all()


@pytest.mark.parametrize("within", ["call", "body"])
def test_what_fails_before_its_body_is_the_500_that_the_client_sees(within, monitor):
    def app(environ, start_response):
        start_response("200 OK", [("content-type", "text/plain")])
        if within == "call":
            raise ValueError("boom")

        def body():
            raise ValueError("boom")
            yield b""

        return body()

    with wsgi(MonitorWSGI(app, monitor)) as url:
        assert httpx.get(url).status_code == 500
    (row,) = monitor.records.rows
    assert (row["status"], NAMES[row["error"]]) == (500, "server_error")


@APPS
def test_requests_from_eight_threads_are_counted_exactly(serve, make, monitor):
    with serve(make(monitor)) as url, ThreadPoolExecutor(8) as pool:
        assert set(pool.map(get, [f"{url}/ok"] * 100)) == {"fine"}
    stats = monitor.stats()
    assert (stats.target, stats.requests, stats.ok) == ("holysheep/gpt-4.1", 100, 100)


@APPS
def test_a_client_that_leaves_early_is_no_fault_of_the_application(serve, make, monitor):
    app = make(monitor)
    gone, left = threading.Event(), threading.Event()
    if serve is wsgi:
        import flask

        @app.get("/long")
        def long():
            def many():
                yield "a"
                gone.wait(10)
                for _ in range(2000):
                    yield "x" * 10_000
                left.set()

            return flask.Response(many())
    else:

        async def long(request):
            async def many():
                yield "a"
                await asyncio.to_thread(gone.wait, 10)
                for _ in range(2000):
                    yield "x" * 10_000
                    await asyncio.sleep(0.001)  # else the server never looks

            return StreamingResponse(many())

        app.add_route("/long", long) if hasattr(app, "add_route") else app.routes.append(
            Route("/long", long)
        )
    with serve(app) as url:
        with httpx.stream("GET", f"{url}/long") as found:
            next(found.iter_raw())
        gone.set()
        for _ in range(500):
            if len(monitor.records):
                break
            threading.Event().wait(0.01)
    (row,) = monitor.records.rows
    assert NAMES[row["error"]] == "cancelled"
    assert monitor.stats().success.of == 0


def test_names_of_targets_are_made_harmless_and_few(monitor):
    async def app(scope, receive, send):
        scope["holymon.target"] = scope["name"]
        await send({"type": "http.response.start", "status": 200, "headers": []})
        await send({"type": "http.response.body", "body": b""})

    async def sink(message):
        await asyncio.sleep(0)

    async def go():
        watched = MonitorASGI(app, monitor)
        for name in ["a/b\n\x1b[31m", "nothing", 5, "/x", *(f"p/{k}" for k in range(200))]:
            await watched({"type": "http", "name": name}, None, sink)

    asyncio.run(go())
    names = [one.name for one in monitor.records.targets]
    assert names[:2] == ["a/b [31m", "web/other"]
    assert len(names) == 101


def test_a_file_that_the_server_sends_by_itself_is_a_whole_answer(monitor, tmp_path):
    (tmp_path / "one.txt").write_text("hello")
    sent = []

    async def keep(message):
        await asyncio.sleep(0)
        sent.append(message["type"])

    async def receive():
        await asyncio.sleep(0)
        return {"type": "http.request", "body": b"", "more_body": False}

    async def go():
        scope = {"type": "http", "method": "GET", "path": "/", "headers": [],
                 "extensions": {"http.response.pathsend": {}}}  # fmt: skip
        await MonitorASGI(FileResponse(tmp_path / "one.txt"), monitor)(scope, receive, keep)

    asyncio.run(go())
    assert sent == ["http.response.start", "http.response.pathsend"]
    (row,) = monitor.records.rows
    assert (row["status"], NAMES[row["error"]]) == (200, "")


@pytest.mark.parametrize("last", [False, True], ids=["in the middle", "at the end"])
@pytest.mark.parametrize("caught", [False, True], ids=["raised", "caught"])
def test_a_server_that_says_by_an_os_error_that_the_client_left(monitor, last, caught):
    async def gone(message):
        await asyncio.sleep(0)
        if message["type"] == "http.response.body" and message["more_body"] is not last:
            raise OSError("the client is gone")

    async def app(scope, receive, send):
        await send({"type": "http.response.start", "status": 200, "headers": []})
        with contextlib.suppress(OSError if caught else ZeroDivisionError):
            for more in (True, False):
                await send({"type": "http.response.body", "body": b"x", "more_body": more})

    async def go():
        with contextlib.suppress(OSError):
            await MonitorASGI(app, monitor)({"type": "http"}, None, gone)

    asyncio.run(go())
    (row,) = monitor.records.rows
    assert (row["status"], NAMES[row["error"]]) == (200, "cancelled")
