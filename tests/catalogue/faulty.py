"""A store, and before it a proxy that fails as it is told to, over real sockets."""

import contextlib
import logging
import socket
import struct
import threading
from http.client import HTTPConnection
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

import pytest
from moto.server import ThreadedMotoServer

ERROR = (
    "<?xml version='1.0' encoding='UTF-8'?><Error><Code>{0}</Code>"
    "<Message>the key WORDS-OF-THE-SERVER is none</Message><RequestId>1</RequestId></Error>"
)
STATUS = {
    "SlowDown": 503,
    "InternalError": 500,
    "PermanentRedirect": 301,
    "TemporaryRedirect": 307,
    "NoSuchBucket": 404,
    "AuthorizationHeaderMalformed": 400,
    "NotImplemented": 501,
    "XMinioStorageFull": 507,
}
ELSEWHERE = {"PermanentRedirect", "TemporaryRedirect", "AuthorizationHeaderMalformed"}
REGION = "eu-central-1"
SECRET = "wJalrXUtnFEMIK7MDENGbPxRfiCYEXAMPLEKEY12"


class Faulty(ThreadingHTTPServer):
    """`fault(method, path)` says what becomes of a request: nothing (`""`), the code of an error
    such as SlowDown, `reset`, `cut` (what is written loses its end), `ahead` (the clock), `hang` (no
    answer), `torn` (cut, and then no answer) or `drip` (a byte a second). A bucket that is
    `abroad` is in REGION: asked elsewhere it says so."""

    daemon_threads = True
    block_on_close = False

    def __init__(self, behind: tuple[str, int]) -> None:
        super().__init__(("127.0.0.1", 0), Handler)
        self.behind, self.seen = behind, []
        self.fault = lambda method, path: ""
        self.stuck = threading.Event()
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
        if fault in {"hang", "drip"}:
            self._stall(fault)
            return
        if fault == "abroad":
            fault = "PermanentRedirect" * (REGION not in self.headers.get("Authorization", ""))
        if fault and fault not in {"cut", "ahead", "torn"}:
            answer = b"" if self.command == "HEAD" else ERROR.format(fault).encode()
            about = {"content-type": "application/xml"}
            if fault in ELSEWHERE:
                about["x-amz-bucket-region"] = REGION
            self._answer(STATUS.get(fault, 403), about, answer)
            return
        headers = {
            k: v for k, v in self.headers.items() if k.lower() not in {"connection", "expect"}
        }
        if fault in {"cut", "torn"}:
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
            if fault == "torn":
                answer.read()
                self._stall("hang")
                return
            if fault == "ahead":
                known["Last-Modified"] = "Fri, 01 Jan 2100 00:00:00 GMT"
            self._answer(answer.status, known, answer.read())

    def _stall(self, how: str) -> None:
        """Answer nothing, or a byte a second, until the client goes away."""
        self.close_connection = True
        self.server.stuck.set()
        with contextlib.suppress(OSError):
            for byte in b"HTTP/1.1 200 OK\r\nx-words: " + b"x" * 600:
                self.connection.settimeout(1 if how == "drip" else 60)
                with contextlib.suppress(TimeoutError):
                    if not self.connection.recv(1):
                        return
                self.connection.sendall(bytes([byte]))

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


@pytest.fixture(scope="module")
def server(tmp_path_factory):
    """A store with a bucket, behind a faulty proxy; keys and address come from the environment."""
    logging.getLogger("werkzeug").setLevel(logging.ERROR)
    behind = ThreadedMotoServer(ip_address="127.0.0.1", port=0, verbose=False)
    behind.start()
    proxy = Faulty(behind.get_host_and_port())
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("AWS_ENDPOINT_URL", proxy.url)
        patch.setenv("AWS_ACCESS_KEY_ID", "AKIAIOSFODNN7EXAMPLE")
        patch.setenv("AWS_SECRET_ACCESS_KEY", SECRET)
        patch.setenv("AWS_DEFAULT_REGION", "us-east-1")
        patch.setenv("AWS_MAX_ATTEMPTS", "1")
        patch.setenv("XDG_STATE_HOME", str(tmp_path_factory.mktemp("state")))
        import s3fs

        s3fs.S3FileSystem(skip_instance_cache=True).mkdir("team")
        yield proxy
    proxy.shutdown()
    proxy.server_close()
    behind.stop()
