"""A server of somebody who would like to have a key: it notes what it is given, and answers."""

import http.server
import json
import ssl
import threading
from collections.abc import Iterator
from contextlib import contextmanager

ANSWER = {"choices": [{"message": {"content": "hello"}, "finish_reason": "stop"}], "data": []}


class Heard(list[str]):
    """The keys that came, one for each request that had one; `requests` counts all."""

    requests = 0


@contextmanager
def listening(
    status: int = 200, tls: ssl.SSLContext | None = None, **headers: str
) -> Iterator[tuple[str, Heard]]:  # fmt: skip
    """Its address, and what it hears."""
    heard = Heard()

    class Handler(http.server.BaseHTTPRequestHandler):
        protocol_version = "HTTP/1.1"

        def answer(self):
            self.rfile.read(int(self.headers.get("content-length", 0)))
            heard.requests += 1
            names = ("authorization", "x-api-key", "proxy-authorization")
            heard.extend(self.headers[name] for name in names if self.headers[name])
            body = json.dumps(ANSWER).encode()
            self.send_response(status)
            for name, value in headers.items():
                self.send_header(name, value)
            self.send_header("content-type", "application/json")
            self.send_header("content-length", str(len(body)))
            self.end_headers()
            self.wfile.write(body)

        do_GET = do_POST = answer  # noqa: N815 - http.server's own names

        def do_CONNECT(self):
            heard.extend(f"{name}: {value}" for name, value in self.headers.items())
            heard.requests += 1
            self.send_error(502)

        def log_message(self, *_):
            pass

    with http.server.ThreadingHTTPServer(("127.0.0.1", 0), Handler) as server:
        if tls is not None:
            server.socket = tls.wrap_socket(server.socket, server_side=True)
        threading.Thread(target=server.serve_forever, args=(0.01,), daemon=True).start()
        yield f"{'https' if tls else 'http'}://127.0.0.1:{server.server_port}/v1", heard
        server.shutdown()
