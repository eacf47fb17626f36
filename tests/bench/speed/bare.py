"""A closed loop of users that read whole answers and do nothing with them: what a transport allows.

python bare.py TRANSPORT PORT MODEL USERS SECONDS TOKENS STREAM --> {"calls", "seconds", "cpu_s"}

TRANSPORT is `aiohttp`, or `holymon`: the same transport as under a load, without all the rest.
"""

import asyncio
import json
import sys
import time
from time import perf_counter

import aiohttp
import httpx
import uvloop

from holymon.answer import Progress
from holymon.prepared import prepare
from holymon.transport import Transport


def ours(url: str, body: bytes):
    headers = {"content-type": "application/json"}
    prepared = prepare(httpx.Request("POST", url, headers=headers, content=body))
    transport = Transport()

    def stamp(at: float, piece: bytes) -> bool:
        return False

    async def call() -> None:
        answer = await transport.send(prepared, Progress())
        await answer.begin()
        await answer.pour(stamp)
        answer.close()

    return call, transport.aclose


def theirs(url: str, body: bytes):
    session = aiohttp.ClientSession(
        connector=aiohttp.TCPConnector(limit=0),
        cookie_jar=aiohttp.DummyCookieJar(),
        auto_decompress=False,
    )
    headers = {"content-type": "application/json"}

    async def call() -> None:
        async with session.post(url, data=body, headers=headers) as answer:
            while await answer.content.readany():
                perf_counter()

    return call, session.close


async def main(
    kind: str, port: str, model: str, users: str, seconds: str, tokens: str, stream: str
) -> None:
    ask = {"model": model, "messages": [{"role": "user", "content": "hello"}]}
    body = json.dumps(ask | {"max_tokens": int(tokens), "stream": stream == "1"}).encode()
    url = f"http://127.0.0.1:{port}/v1/chat/completions"
    call, close = (theirs if kind == "aiohttp" else ours)(url, body)
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
