"""A bare loop over aiohttp: a closed loop of users that reads answers and does nothing with them.

python bare.py PORT USERS SECONDS TOKENS STREAM --> calls a second
"""

import asyncio
import json
import sys
from time import perf_counter

import aiohttp
import uvloop


async def user(session: aiohttp.ClientSession, url: str, body: bytes, end: float) -> int:
    n = 0
    while perf_counter() < end:
        async with session.post(url, data=body, headers={"content-type": "application/json"}) as a:
            while await a.content.readany():
                perf_counter()
        n += 1
    return n


async def main(port: int, users: int, seconds: float, tokens: int, stream: bool) -> None:
    ask = {"model": "m", "messages": [{"role": "user", "content": "hello"}]}
    body = json.dumps(ask | {"max_tokens": tokens, "stream": stream}).encode()
    url = f"http://127.0.0.1:{port}/v1/chat/completions"
    connector = aiohttp.TCPConnector(limit=0)
    async with aiohttp.ClientSession(
        connector=connector, cookie_jar=aiohttp.DummyCookieJar(), auto_decompress=False
    ) as session:
        begun = perf_counter()
        users = [user(session, url, body, begun + seconds) for _ in range(users)]
        done = sum(await asyncio.gather(*users))
        print(done / (perf_counter() - begun))


if __name__ == "__main__":
    port, users, seconds, tokens, stream = sys.argv[1:]
    uvloop.run(main(int(port), int(users), float(seconds), int(tokens), stream == "1"))
