"""A closed loop of users over a transport, with next to nothing done: what can be had at most.

python bare.py TRANSPORT PORT MODEL USERS SECONDS TOKENS STREAM --> {"calls", "seconds", "cpu_s"}

TRANSPORT is `aiohttp` or `holymon` (the transport of a load, without all the rest): every delta
decoded with json.loads and stamped, nothing checked and nothing kept. `alone` is holymon's, whose
answers nobody reads.
"""

import asyncio
import json
import sys
import time
from time import perf_counter

import aiohttp
import httpx
import uvloop

from holymon.transport.pool import Transport
from holymon.transport.prepared_request import prepare
from holymon.transport.response import Response


class Reader:
    """The least that a client does with an answer: when did each delta come, and what is in it."""

    def __init__(self, *, stream: bool) -> None:
        self.stream, self.rest, self.stamps = stream, b"", []

    def piece(self, at: float, piece: bytes) -> bool:
        self.rest += piece
        if self.stream:
            *events, self.rest = self.rest.split(b"\n\n")
            for event in events:
                if event != b"data: [DONE]":
                    json.loads(event[6:])
                    self.stamps.append(at)
        return False

    def end(self) -> None:
        if not self.stream:
            json.loads(self.rest)


def ours(url: str, body: bytes, *, stream: bool, read: bool):
    headers = {"content-type": "application/json"}
    prepared = prepare(httpx.Request("POST", url, headers=headers, content=body))
    transport = Transport()

    def nothing(at: float, piece: bytes) -> bool:
        return False

    async def call() -> None:
        answer = Response()
        await transport.send(prepared, answer)
        await answer.begin()
        if read:
            reader = Reader(stream=stream)
            await answer.pour(reader.piece)
            reader.end()
        else:
            await answer.pour(nothing)
        answer.close()

    return call, transport.aclose


def theirs(url: str, body: bytes, *, stream: bool):
    session = aiohttp.ClientSession(
        connector=aiohttp.TCPConnector(limit=0),
        cookie_jar=aiohttp.DummyCookieJar(),
        auto_decompress=False,
    )
    headers = {"content-type": "application/json"}

    async def call() -> None:
        reader = Reader(stream=stream)
        async with session.post(url, data=body, headers=headers) as answer:
            while piece := await answer.content.readany():
                reader.piece(perf_counter(), piece)
        reader.end()

    return call, session.close


async def main(
    kind: str, port: str, model: str, users: str, seconds: str, tokens: str, stream: str
) -> None:
    ask = {"model": model, "messages": [{"role": "user", "content": "hello"}]}
    body = json.dumps(ask | {"max_tokens": int(tokens), "stream": stream == "1"}).encode()
    url = f"http://127.0.0.1:{port}/v1/chat/completions"
    if kind == "aiohttp":
        call, close = theirs(url, body, stream=stream == "1")
    else:
        call, close = ours(url, body, stream=stream == "1", read=kind != "alone")
    begun, cpu = perf_counter(), time.process_time()
    end = begun + float(seconds)

    async def user() -> int:
        n = 0
        while perf_counter() < end:
            await call()
            n += 1
        return n

    calls = sum(await asyncio.gather(*(user() for _ in range(int(users)))))
    spent = {"seconds": perf_counter() - begun, "cpu_s": time.process_time() - cpu}
    await close()
    print(json.dumps({"calls": calls, **spent}))


if __name__ == "__main__":
    uvloop.run(main(*sys.argv[1:]))
