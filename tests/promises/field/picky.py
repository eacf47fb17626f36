"""A server that looks at what it is asked, and refuses what its rule says, in its own words."""

import json
import threading
from collections.abc import Callable
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any

from holymon.sim.models import error_body
from tests.promises.field.cases import WHOLE, whole

Rule = Callable[[dict[str, Any], int], tuple[int, Any] | None]
"""What a request's body and number are refused with: status and JSON (or bytes); None: nothing."""

FIRST = "x-holymon-first-call"


class Picky:
    """The server, what it was asked, and which of that were first calls."""

    def __init__(self, rule: Rule = lambda *_: None) -> None:
        self.rule, self.asked, self.firsts = rule, [], []
        outer = self

        class Handler(BaseHTTPRequestHandler):
            protocol_version, wbufsize = "HTTP/1.1", -1

            def do_POST(self) -> None:
                body = json.loads(self.rfile.read(int(self.headers["content-length"])))
                outer.answer(self, body)

            def log_message(self, *_: Any) -> None:
                pass

        self._server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        self._server.daemon_threads = True
        self._server.handle_error = lambda *_: None  # a client may hang up
        self.url = f"http://127.0.0.1:{self._server.server_port}/v1"

    def answer(self, handler: BaseHTTPRequestHandler, body: dict[str, Any]) -> None:
        first = FIRST in handler.headers
        (self.firsts if first else self.asked).append(body)
        number = len(self.firsts) + len(self.asked) - 1
        status, value = self.rule(body, number) or (200, WHOLE if body.get("stream") else whole())
        raw = value if isinstance(value, bytes) else json.dumps(value).encode()
        kind = "text/event-stream" if isinstance(value, bytes) else "application/json"
        handler.send_response(status)
        handler.send_header("content-type", kind)
        handler.send_header("content-length", str(len(raw)))
        handler.end_headers()
        handler.wfile.write(raw)

    def __enter__(self) -> "Picky":
        threading.Thread(target=self._server.serve_forever, args=(0.01,), daemon=True).start()
        return self

    def __exit__(self, *_: object) -> None:
        self._server.shutdown()
        self._server.server_close()


def error(message: str, param: str | None = None, code: str | None = None) -> dict[str, Any]:
    """An error as OpenAI writes it."""
    inner = error_body(message, code or "")["error"]
    return {"error": {**inner, "type": "invalid_request_error", "param": param, "code": code}}
