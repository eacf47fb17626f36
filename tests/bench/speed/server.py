"""The fastest server that Python makes: answers from memory, prepared once for each request body.

python server.py [PORT] --> its port on standard output; ends with its standard input

The model says how a stream of `max_tokens` tokens is written: `whole` in one write, `single` with
a write for each event, `paced` with a write for each event and 10 ms between them. Several servers
can share a port.
"""

import asyncio
import json
import socket
import sys
import threading
from functools import cache

import uvloop

WORD = "word "


def plain(tokens: int) -> bytes:
    body = {
        "id": "c-1", "object": "chat.completion", "created": 0, "model": "m",
        "choices": [{"index": 0, "finish_reason": "stop",
                     "message": {"role": "assistant", "content": WORD * tokens}}],
        "usage": {"prompt_tokens": 9, "completion_tokens": tokens, "total_tokens": 9 + tokens},
    }  # fmt: skip
    text = json.dumps(body).encode()
    head = (
        f"HTTP/1.1 200 OK\r\ncontent-type: application/json\r\ncontent-length: {len(text)}\r\n\r\n"
    )
    return head.encode() + text


PACE_S = 0.01


def stream(tokens: int) -> list[bytes]:
    def event(delta: dict, reason: str | None = None) -> bytes:
        chunk = {"id": "c-1", "object": "chat.completion.chunk", "created": 0, "model": "m",
                 "choices": [{"index": 0, "delta": delta, "finish_reason": reason}]}  # fmt: skip
        return b"data: " + json.dumps(chunk).encode() + b"\n\n"

    usage = {"id": "c-1", "object": "chat.completion.chunk", "choices": [],
             "usage": {"prompt_tokens": 9, "completion_tokens": tokens}}  # fmt: skip
    events = [event({"role": "assistant", "content": ""})]
    events += [event({"content": WORD}) for _ in range(tokens)]
    events += [event({}, "stop"), b"data: " + json.dumps(usage).encode() + b"\n\n"]
    events += [b"data: [DONE]\n\n"]
    head = (
        b"HTTP/1.1 200 OK\r\ncontent-type: text/event-stream\r\ntransfer-encoding: chunked\r\n\r\n"
    )
    return [head, *(b"%x\r\n%s\r\n" % (len(e), e) for e in events), b"0\r\n\r\n"]


@cache
def answer_of(model: str, tokens: int, streamed: bool) -> list[bytes]:
    pieces = stream(tokens) if streamed else [plain(tokens)]
    return [b"".join(pieces)] if model == "whole" else pieces


class Server(asyncio.Protocol):
    made: dict[bytes, tuple[str, list[bytes]]] = {}  # noqa: RUF012 - shared on purpose

    def __init__(self) -> None:
        self.got = b""

    def connection_made(self, transport) -> None:
        self.transport = transport
        self.loop = asyncio.get_running_loop()
        transport.set_write_buffer_limits(high=0)  # each write leaves at once

    def data_received(self, data: bytes) -> None:
        self.got += data
        while (end := self.got.find(b"\r\n\r\n")) >= 0:
            head = self.got[:end].lower()
            at = head.index(b"content-length:") + 15
            stop = end + 4 + int(head[at:].split(b"\r\n", 1)[0])
            if len(self.got) < stop:
                return
            body, self.got = self.got[end + 4 : stop], self.got[stop:]
            self.respond(body)

    def respond(self, body: bytes) -> None:
        model, pieces = self.answer(body)
        if model == "single":
            for piece in pieces:
                self.transport.write(piece)
        elif model == "paced":
            self.transport.write(pieces[0])
            self.next(pieces, 1, self.loop.time() + PACE_S)
        else:
            self.transport.write(pieces[0])

    def next(self, pieces: list[bytes], number: int, due: float) -> None:
        """Write a piece when it is due; the end comes with the last one."""
        last = number == len(pieces) - 2
        self.transport.write(pieces[number] + pieces[-1] if last else pieces[number])
        if not last:
            self.loop.call_at(due, self.next, pieces, number + 1, due + PACE_S)

    def answer(self, body: bytes) -> tuple[str, list[bytes]]:
        if body not in self.made:
            asked = json.loads(body)
            model, tokens = asked["model"], asked["max_tokens"]
            self.made[body] = (model, answer_of(model, tokens, bool(asked.get("stream"))))
        return self.made[body]


async def main(port: int) -> None:
    loop = asyncio.get_running_loop()
    sock = socket.socket()
    sock.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
    sock.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEPORT, 1)
    sock.bind(("127.0.0.1", port))
    server = await loop.create_server(Server, sock=sock, backlog=1024)
    print(sock.getsockname()[1], flush=True)
    ended = asyncio.Event()

    def wait() -> None:
        sys.stdin.read()
        loop.call_soon_threadsafe(ended.set)

    threading.Thread(target=wait, daemon=True).start()
    await ended.wait()
    server.close()


if __name__ == "__main__":
    uvloop.run(main(int(sys.argv[1]) if len(sys.argv) > 1 else 0))
