"""Answers of a hostile server that are cheap to send and dear to read, and the server that sends them.

    BOMBS[name] -> a Bomb        with serving(bomb) as url: ...

Of decompression bombs: CVE-2018-1000164 (gunicorn's like), aiohttp's GHSA-6mq8-rvhq-8wgg of 2025,
urllib3's CVE-2025-66471 (a chunk unpacked at once) and CVE-2025-66418 (chained encodings).
"""

import contextlib
import gzip
import json
import socket
import threading
import time
import zlib
from collections.abc import Callable, Iterator
from typing import NamedTuple

OK = b"HTTP/1.1 200 OK\r\n"
STREAM, JSON = (
    OK + b"content-type: text/event-stream\r\n",
    OK + b"content-type: application/json\r\n",
)
GZIP, DEFLATE = b"content-encoding: gzip\r\n", b"content-encoding: deflate\r\n"
CHUNKED, END = b"transfer-encoding: chunked\r\n", b"\r\n"
FOR_EVER = 10_000_000


class Bomb(NamedTuple):
    """What is sent: the head or its beginning, then pieces, `pause` s apart."""

    head: bytes
    pieces: Callable[[], Iterator[bytes]]
    pause: float = 0.0


def packed(unit: bytes, size: int = 200_000_000, wbits: int = 31) -> Callable[[], Iterator[bytes]]:
    """`size` bytes of `unit` over and over, packed: some 200 kB."""

    def pieces() -> Iterator[bytes]:
        pack, block = zlib.compressobj(9, zlib.DEFLATED, wbits), unit * (1_000_000 // len(unit))
        head = pack.compress(block) + pack.flush(zlib.Z_FULL_FLUSH)
        again = pack.compress(block) + pack.flush(zlib.Z_FULL_FLUSH)
        yield head + again * (size // len(block))

    return pieces


def many(start: bytes, unit: bytes, times: int, end: bytes) -> Callable[[], Iterator[bytes]]:
    """One piece that is long; made only when it is sent."""
    return lambda: iter([start + unit * times + end])


def endless(piece: bytes) -> Callable[[], Iterator[bytes]]:
    """A piece over and over, until nobody reads it."""
    return lambda: (piece for _ in range(FOR_EVER))


def once(piece: bytes) -> Callable[[], Iterator[bytes]]:
    """One piece."""
    return lambda: iter([piece])


def _amazon() -> Iterator[bytes]:
    """The beginning of a message of 16 MB, in small pieces."""
    yield (16_000_000).to_bytes(4) + (0).to_bytes(4) + bytes(4)
    yield from (bytes(1000) for _ in range(16_000))


_DELTA = b'data: {"choices":[{"delta":{"content":"a"}}]}\n\n'
_DIGITS = b"9" * 400
AMAZON = OK + b"content-type: application/vnd.amazon.eventstream\r\n"

BOMBS = {
    "packed newlines": Bomb(STREAM + GZIP + END, packed(b"\n")),
    "packed comments": Bomb(STREAM + GZIP + END, packed(b":\n")),
    "packed lines that are no field": Bomb(STREAM + GZIP + END, packed(b"x\n")),
    "packed empty events": Bomb(STREAM + GZIP + END, packed(b"data:\n\n")),
    "packed pings": Bomb(STREAM + GZIP + END, packed(b'data: {"type":"ping"}\n\n')),
    "packed tokens": Bomb(STREAM + GZIP + END, packed(_DELTA)),
    "packed line without an end": Bomb(STREAM + GZIP + END, packed(b"data: x")),
    "deflate without a header": Bomb(STREAM + DEFLATE + END, packed(b"\n", wbits=-15)),
    "packed spaces for JSON": Bomb(JSON + GZIP + END, packed(b" ")),
    "packed lists for JSON": Bomb(JSON + GZIP + END, packed(b"[],")),
    "packed twice": Bomb(JSON + GZIP[:-2] + b", gzip\r\n\r\n", packed(b" ")),
    "a hundred thousand gzip members": Bomb(JSON + GZIP + END, once(gzip.compress(b"") * 100_000)),
    "newlines": Bomb(STREAM + END, endless(b"\n" * 65536)),
    "comments": Bomb(STREAM + END, endless(b": alive\n" * 8192)),
    "lines that are no field": Bomb(STREAM + END, endless(b"x\n" * 32768)),
    "empty events": Bomb(STREAM + END, endless(b"data:\n\n" * 9000)),
    "pings": Bomb(STREAM + END, endless(b'data: {"type":"ping"}\n\n' * 2500)),
    "ids of events": Bomb(STREAM + END, endless(b"id: " + b"7" * 65000 + b"\n")),
    "names of events": Bomb(STREAM + END, endless(b"event: " + b"e" * 65000 + b"\n")),
    "data without an end": Bomb(STREAM + END, endless(b"data: " + b"x" * 65000)),
    "spaces for a body": Bomb(JSON + END, endless(b" " * 65536)),
    "a body of lists": Bomb(JSON + END, many(b'{"usage":[', b"[],", 10_000_000, b"0]}")),
    "a body of choices": Bomb(JSON + END, many(b'{"choices":[', b"{},", 10_000_000, b"{}]}")),
    "an event of choices": Bomb(STREAM + END, many(b'data: {"choices":[', b"{},", 5_000_000, b"{}]}\n\n")
    ),
    "an event of lists": Bomb(STREAM + END, many(b'data: {"usage":[', b"[],", 5_000_000, b"0]}\n\n")),
    "deep JSON": Bomb(JSON + END, many(b"", b"[", 5_000_000, b"")),
    "a deep event": Bomb(STREAM + END, many(b"data: ", b'{"a":', 1_000_000, b"\n\n")),
    "numbers of 400 digits": Bomb(JSON + END, once(b'{"choices":[{"message":{"content":"a"},"finish_reason":"stop"}],"usage":'
                   b'{"prompt_tokens":%b,"completion_tokens":%b}}' % (_DIGITS, _DIGITS))
    ),
    "many headers": Bomb(OK, lambda: (b"a%d: b\r\n" % n * 100 for n in range(FOR_EVER))),
    "a header without an end": Bomb(OK + b"a: ", endless(b"b" * 65536)),
    "interim responses": Bomb(b"", endless(b"HTTP/1.1 100 Continue\r\n\r\n" * 2000)),
    "extensions of chunks": Bomb(
        JSON + CHUNKED + END,
        lambda: (b"1;" + b"e" * 60000 + b"\r\n \r\n" for _ in range(FOR_EVER)),
    ),
    "trailers": Bomb(
        JSON + CHUNKED + END,
        lambda: (b"t%d: v\r\n" % n * 100 if n else b"0\r\n" for n in range(FOR_EVER)),
    ),
    "an error page of gigabytes": Bomb(OK + b"content-type: text/html\r\n\r\n", endless(b"<" * 65536)),
    "a byte now and then": Bomb(JSON + END, endless(b" "), 0.05),
    "a header now and then": Bomb(OK + b"a: ", endless(b"b"), 0.05),
    "Amazon's frames in small pieces": Bomb(AMAZON + END, _amazon),
}  # fmt: skip


def _answer(connection: socket.socket, bomb: Bomb, made: list[bytes] | None) -> None:
    with connection, contextlib.suppress(OSError):
        connection.recv(65536)
        connection.sendall(bomb.head)
        for piece in made if made is not None else bomb.pieces():
            connection.sendall(piece)
            if bomb.pause:
                time.sleep(bomb.pause)


@contextlib.contextmanager
def serving(bomb: Bomb) -> Iterator[str]:
    """The address of a server that answers whatever it is asked with `bomb`."""
    with socket.create_server(("127.0.0.1", 0)) as listening:
        threading.Thread(target=_accept, args=(listening, bomb), daemon=True).start()
        yield f"http://127.0.0.1:{listening.getsockname()[1]}/v1"


def _accept(listening: socket.socket, bomb: Bomb) -> None:
    made = (
        list(bomb.pieces()) if b"encoding: gzip" in bomb.head or b"deflate" in bomb.head else None
    )
    with contextlib.suppress(OSError):
        while True:
            connection, _ = listening.accept()
            threading.Thread(target=_answer, args=(connection, bomb, made), daemon=True).start()


def question(model: str = "m") -> bytes:
    """A request that asks for anything."""
    return json.dumps({"model": model, "messages": [{"role": "user", "content": "?"}]}).encode()
