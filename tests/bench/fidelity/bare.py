"""A bare loop over aiohttp on the same schedule: what the transport alone makes of the times.

python bare.py BASE_URL RATE SECONDS --> JSON lists of TTFT, latency and gaps in seconds
"""

import asyncio
import json
import sys
from time import perf_counter

import aiohttp
import uvloop

ASK = {"model": "pinned", "max_tokens": 64, "stream": True,
       "messages": [{"role": "user", "content": "hello"}]}  # fmt: skip


async def call(session: aiohttp.ClientSession, url: str, body: bytes, out: dict) -> None:
    start, stamps = perf_counter(), []
    async with session.post(url, data=body, headers={"content-type": "application/json"}) as answer:
        while piece := await answer.content.readany():
            now = perf_counter()
            if b'"content":"' in piece.replace(b'"content":""', b""):
                stamps.append(now)
            if b"[DONE]" in piece:
                end = now
    out["ttft_s"].append(stamps[0] - start)
    out["latency_s"].append(end - start)
    out["itl_s"] += [b - a for a, b in zip(stamps, stamps[1:], strict=False)]


async def main(base_url: str, rate: float, seconds: float) -> None:
    out: dict = {"ttft_s": [], "latency_s": [], "itl_s": []}
    url, body = f"{base_url}/chat/completions", json.dumps(ASK).encode()
    connector = aiohttp.TCPConnector(limit=0)
    async with aiohttp.ClientSession(connector=connector) as session:
        zero, tasks = perf_counter() + 0.1, []
        for k in range(int(rate * seconds)):
            await asyncio.sleep(max(0.0, zero + k / rate - perf_counter()))
            tasks.append(asyncio.ensure_future(call(session, url, body, out)))
        await asyncio.gather(*tasks)
    print(json.dumps(out))


if __name__ == "__main__":
    uvloop.run(main(sys.argv[1], float(sys.argv[2]), float(sys.argv[3])))
