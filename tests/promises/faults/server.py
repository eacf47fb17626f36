"""A server that plays scripts over real sockets on the loopback: bytes, pauses, resets, silence.

A script is an iterable of steps, played when a request has been read:

    bytes    are sent        RST    resets the connection      HANG   waits for the peer to go
    float    is a pause      FIN    closes it (both in order)

The n-th request, over all connections, is answered by the n-th script (then by the last one).
"""

import asyncio
import contextlib
import json
import socket
import ssl
import struct
from collections.abc import Callable, Iterable
from typing import Any

RST, FIN, HANG = object(), object(), object()
Script = Callable[[], Iterable[Any]]


class Server:
    """Plays one script for each request; `seen` holds the requests as they came.

    `deaf`: nothing is ever read. `hello`: steps to play on a new connection, before any request.
    """

    def __init__(
        self,
        *scripts: Iterable[Any] | Script,
        tls: ssl.SSLContext | None = None,
        deaf: bool = False,
        hello: Iterable[Any] = (),
    ) -> None:
        self.scripts = scripts
        self.seen: list[bytes] = []
        self.connections = 0
        self._tls, self._deaf, self._hello = tls, deaf, hello
        self._tasks: set[asyncio.Task[None]] = set()

    async def __aenter__(self) -> "Server":
        listener = socket.socket()
        listener.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        if self._deaf:
            listener.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 4096)
        listener.bind(("127.0.0.1", 0))
        self.port = listener.getsockname()[1]
        self._server = await asyncio.start_server(self._accepted, sock=listener, ssl=self._tls)
        return self

    async def __aexit__(self, *_: object) -> None:
        self._server.close()
        for task in self._tasks:
            task.cancel()
        await asyncio.gather(*self._tasks, return_exceptions=True)
        await self._server.wait_closed()

    @property
    def url(self) -> str:
        return f"http{'s' if self._tls else ''}://127.0.0.1:{self.port}/v1"

    async def _accepted(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        task = asyncio.current_task()
        self._tasks.add(task)
        self.connections += 1
        try:
            await self._serve(reader, writer)
        except (OSError, asyncio.IncompleteReadError, asyncio.CancelledError, _Over):
            pass  # the peer has gone, or the test is over
        finally:
            self._tasks.discard(task)
            writer.transport.abort()

    async def _serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        if self._deaf:
            writer.transport.pause_reading()
            await asyncio.sleep(3600)
        await self._play(self._hello, reader, writer)
        while True:
            self.seen.append(await _request(reader))
            script = self.scripts[min(len(self.seen), len(self.scripts)) - 1]
            await self._play(script() if callable(script) else script, reader, writer)

    async def _play(
        self, steps: Iterable[Any], reader: asyncio.StreamReader, writer: asyncio.StreamWriter
    ) -> None:
        for step in steps:
            if isinstance(step, bytes):
                writer.write(step)
                await writer.drain()
            elif step is HANG:
                await reader.read()
                raise _Over
            elif step is FIN:
                with contextlib.suppress(OSError):
                    writer.close()
                    await writer.wait_closed()
                raise _Over
            elif step is RST:
                sock = writer.get_extra_info("socket")
                sock.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
                writer.transport.abort()
                raise _Over
            else:
                await asyncio.sleep(step)


class _Over(Exception):
    """The connection is done."""


async def _request(reader: asyncio.StreamReader) -> bytes:
    head = await reader.readuntil(b"\r\n\r\n")
    length = 0
    for line in head.lower().split(b"\r\n"):
        if line.startswith(b"content-length:"):
            length = int(line.split(b":")[1])
    return head + await reader.readexactly(length)


# What servers say.

CHUNKED = (
    b"HTTP/1.1 200 OK\r\ncontent-type: text/event-stream\r\ntransfer-encoding: chunked\r\n\r\n"
)
LAST = b"0\r\n\r\n"
DONE = b"data: [DONE]\n\n"


def chunk(data: bytes) -> bytes:
    """One chunk of a chunked body."""
    return b"%x\r\n%s\r\n" % (len(data), data)


def stream(*pieces: bytes, pause: float = 0.0) -> list[Any]:
    """A whole answer: each piece in a chunk of its own, sent in a segment of its own."""
    steps: list[Any] = [CHUNKED]
    for piece in pieces:
        steps += [chunk(piece), pause]
    return [*steps, LAST]


def answer(
    body: bytes | dict[str, Any] = b"",
    status: str = "200 OK",
    kind: str = "application/json",
    *headers: str,
) -> bytes:
    """A whole answer with a content-length."""
    data = body if isinstance(body, bytes) else json.dumps(body).encode()
    lines = [f"HTTP/1.1 {status}", f"content-type: {kind}", f"content-length: {len(data)}"]
    return "\r\n".join([*lines, *headers, "", ""]).encode() + data


def event(data: Any) -> bytes:
    """One server-sent event with JSON in it."""
    return b"data: " + json.dumps(data, separators=(",", ":")).encode() + b"\n\n"


def said(
    text: str | None = None, *, index: int = 0, finish: str | None = None, **delta: Any
) -> Any:
    """One chunk of a streamed completion."""
    if text is not None:
        delta["content"] = text
    choice = {"index": index, "delta": delta, "finish_reason": finish}
    return {"id": "chatcmpl-1", "object": "chat.completion.chunk", "choices": [choice]}


def usage(prompt: int, output: int) -> dict[str, int]:
    """A usage object."""
    return {
        "prompt_tokens": prompt, "completion_tokens": output, "total_tokens": prompt + output
    }  # fmt: skip


HELLO = (event(said("Hel")), event(said("lo")), event(said(finish="stop")), DONE)
"""The pieces of a good stream that says Hello."""


def completion(text: str = "Hello", **more: Any) -> dict[str, Any]:
    """A completion that is not streamed."""
    choice = {
        "index": 0, "message": {"role": "assistant", "content": text}, "finish_reason": "stop"
    }  # fmt: skip
    return {
        "id": "chatcmpl-1", "object": "chat.completion", "choices": [choice],
        "usage": usage(3, 2), **more,
    }  # fmt: skip
