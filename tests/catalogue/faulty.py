"""A proxy before a store that fails as it is told to, over real sockets."""

import contextlib
import socket
import struct
import threading
from http.client import HTTPConnection
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

ERROR = (
    "<?xml version='1.0' encoding='UTF-8'?><Error><Code>{0}</Code>"
    "<Message>the key WORDS-OF-THE-SERVER is none</Message><RequestId>1</RequestId></Error>"
)
STATUS = {"SlowDown": 503, "InternalError": 500}


class Faulty(ThreadingHTTPServer):
    """`fault(method, path)` says what becomes of a request: nothing (`""`), the code of an error
    such as SlowDown, `reset`, `cut` (what is written loses its end) or `ahead` (the clock)."""

    daemon_threads = True
    block_on_close = False

    def __init__(self, behind: tuple[str, int]) -> None:
        super().__init__(("127.0.0.1", 0), Handler)
        self.behind, self.seen = behind, []
        self.fault = lambda method, path: ""
        threading.Thread(target=self.serve_forever, args=(0.02,), daemon=True).start()

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self.server_address[1]}"

    def handle_error(self, request, client_address) -> None:
        pass


class Handler(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"

    def _any(self) -> None:
        body = self.rfile.read(int(self.headers.get("content-length") or 0))
        self.server.seen.append((self.command, self.path))
        fault = self.server.fault(self.command, self.path)
        if fault == "reset":
            self.connection.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
            self.connection.close()
            self.close_connection = True
            return
        if fault and fault not in {"cut", "ahead"}:
            answer = b"" if self.command == "HEAD" else ERROR.format(fault).encode()
            self._answer(STATUS.get(fault, 403), {"content-type": "application/xml"}, answer)
            return
        headers = {
            k: v for k, v in self.headers.items() if k.lower() not in {"connection", "expect"}
        }
        if fault == "cut":
            body = body[: len(body) // 2]
            headers = {
                k: v
                for k, v in headers.items()
                if "checksum" not in k.lower()
                and k.lower() not in {"content-length", "content-md5"}
            }
        with contextlib.closing(HTTPConnection(*self.server.behind)) as store:
            store.request(self.command, self.path, body or None, headers)
            answer = store.getresponse()
            known = dict(answer.getheaders())
            if fault == "ahead":
                known["Last-Modified"] = "Fri, 01 Jan 2100 00:00:00 GMT"
            self._answer(answer.status, known, answer.read())

    def _answer(self, status: int, headers: dict, body: bytes) -> None:
        self.send_response_only(status)
        for name, value in headers.items():
            if name.lower() not in {"connection", "transfer-encoding", "content-length"}:
                self.send_header(name, value)
        length = headers.get("Content-Length") if self.command == "HEAD" else None
        self.send_header("Content-Length", length or str(len(body)))
        self.end_headers()
        if self.command != "HEAD":
            self.wfile.write(body)

    def __getattr__(self, name: str):
        if name.startswith("do_"):  # whatever the method
            return self._any
        raise AttributeError(name)

    def log_message(self, *_) -> None:
        pass
