"""What watching costs, whether memory stays bounded, and what an outage makes of retries.

python -m tests.bench.monitor [overhead] [channels] [outage] [day] [view]
"""

import asyncio
import gc
import heapq
import json
import random
import sys
import time
from concurrent.futures import ThreadPoolExecutor
from math import nan

import httpx
import httpx2
import numpy as np
import psutil

from holymon.monitor.clients import monitored
from holymon.monitor.ledger import Ledger
from holymon.monitor.monitor import Monitor
from holymon.monitor.retry import Budget, Policy, next_wait
from holymon.plan.plan import Target
from holymon.records.attempt import Flag, Marks
from holymon.widgets.monitor_view import watch

BODY = {"model": "m", "messages": [{"role": "user", "content": "Say hello. " * 40}], "stream": True}
URL = "http://127.0.0.1:1/v1/chat/completions"
EVENT = (
    b'data: {"id":"chatcmpl-123","object":"chat.completion.chunk","created":1700000000,'
    b'"model":"m","choices":[{"index":0,"delta":{"content":" word"},"finish_reason":null}]}\n\n'
)
END = (
    b'data: {"id":"chatcmpl-123","object":"chat.completion.chunk","created":1700000000,'
    b'"model":"m","choices":[{"index":0,"delta":{},"finish_reason":"stop"}],'
    b'"usage":{"prompt_tokens":80,"completion_tokens":200,"total_tokens":280}}\n\ndata: [DONE]\n\n'
)
SHORT, LONG, ROUNDS, CALLS = 1, 201, 15, 60


def transports(lib):
    """A sync and an async transport that answer from memory, so that only the client is timed."""

    class Stream(lib.SyncByteStream, lib.AsyncByteStream):
        def __init__(self, chunks):
            self.chunks = chunks

        def __iter__(self):
            for _ in range(self.chunks):
                yield EVENT
            yield END

        async def __aiter__(self):
            for _ in range(self.chunks):
                yield EVENT
            yield END

    def reply(request):
        chunks = int(request.headers["x-chunks"])
        return lib.Response(
            200, headers={"content-type": "text/event-stream"}, stream=Stream(chunks)
        )

    class Sync(lib.BaseTransport):
        def handle_request(self, request):
            return reply(request)

    class Async(lib.AsyncBaseTransport):
        async def handle_async_request(self, request):
            return reply(request)

    return Sync(), Async()


def sync_calls(client, chunks):
    begun = time.perf_counter()
    for _ in range(CALLS):
        with client.stream("POST", URL, json=BODY, headers={"x-chunks": str(chunks)}) as found:
            for _ in found.iter_raw():
                pass
    return (time.perf_counter() - begun) / CALLS


async def async_calls(client, chunks):
    begun = time.perf_counter()
    for _ in range(CALLS):
        async with client.stream(
            "POST", URL, json=BODY, headers={"x-chunks": str(chunks)}
        ) as found:
            async for _ in found.aiter_raw():
                pass
    return (time.perf_counter() - begun) / CALLS


def per_call_and_chunk(times):
    """Microseconds of a call with one chunk, and of each further chunk: the best of all rounds."""
    short, long = min(times[SHORT]), min(times[LONG])
    return short * 1e6, (long - short) / (LONG - SHORT) * 1e6


def row(name, bare, watched):
    (call, chunk), (call_w, chunk_w) = map(per_call_and_chunk, (bare, watched))
    print(f"| {name} | {call:.0f} | {call_w:.0f} | {call_w - call:+.0f} "
          f"| {chunk:.2f} | {chunk_w:.2f} | {chunk_w - chunk:+.2f} |")  # fmt: skip


def rounds(bare, watched, calls):
    times = {client: {SHORT: [], LONG: []} for client in (bare, watched)}
    gc.disable()
    for _ in range(ROUNDS):
        for chunks in (SHORT, LONG):
            for client in (bare, watched):
                times[client][chunks].append(calls(client, chunks))
        gc.collect()
    gc.enable()
    return times[bare], times[watched]


def overhead():
    print(
        "| client | call bare | watched | more | chunk bare | watched | more |\n"
        + "| --- " * 7
        + "|"
    )
    for lib in (httpx, httpx2):
        name = lib.__name__
        bare = lib.Client(transport=transports(lib)[0])
        watched = monitored(lib.Client(transport=transports(lib)[0]))
        row(f"{name}, sync", *rounds(bare, watched, sync_calls))
        assert watched.monitor.stats().ok == ROUNDS * 2 * CALLS
        with asyncio.Runner() as runner:
            bare = lib.AsyncClient(transport=transports(lib)[1])
            watched = monitored(lib.AsyncClient(transport=transports(lib)[1]))
            found = rounds(bare, watched, lambda c, n: runner.run(async_calls(c, n)))
            row(f"{name}, async", *found)
            assert watched.monitor.stats().ok == ROUNDS * 2 * CALLS


def day():
    """24 h of calls at 50/s, each a stream of 64 tokens with 20 kinds of gaps."""
    ledger, process = Ledger(), psutil.Process()
    index = ledger.index(Target(provider="url", model="m"))
    marks = Marks(0, index, 0.0)
    marks.flags = Flag.STREAM | Flag.SERVER_TOKENS
    marks.prompt_tokens, marks.output_tokens, marks.status = 80, 64, 200
    for k in range(64):
        marks.token(0.2 + 0.01 * k + 0.0001 * (k % 20) ** 2, 1)
    rng, total = random.Random(0), 24 * 3600 * 50
    print(
        "| hours | attempts | in memory | in the sums | RSS MB | us each |\n" + "| --- " * 6 + "|"
    )
    begun, longest = time.perf_counter(), 0.0
    for n in range(1, total + 1):
        at = n / 50
        marks.request, marks.due, marks.start = ledger.number(), at, at
        marks.first, marks.last, marks.end = at + 0.2, at + 0.9, at + rng.lognormvariate(0, 0.3)
        marks.error = "rate_limited" if n % 50 == 0 else ""
        before = time.perf_counter()
        ledger.add(marks)
        longest = max(longest, time.perf_counter() - before)
        if n % (total // 8) == 0:
            records, sums = ledger.records(), ledger.totals().targets["url/m"]
            counted, rss = sum(sums.requests.values()), process.memory_info().rss / 2**20
            each = (time.perf_counter() - begun) / n * 1e6
            print(
                f"| {at / 3600:.0f} | {n:,} | {len(records):,} | {counted:,} | {rss:.0f} | {each:.1f} |"
            )
            assert counted == n
    print(f"\nThe longest a call had to wait for the ledger: {longest * 1e3:.1f} ms.")


def outage(calm_s, seconds=60, rate=50):
    """Attempts per request when every attempt fails for a minute, after a calm time."""
    policy, draw = Policy(), random.Random(1)
    budget = Budget(policy)
    for n in range(round(calm_s * rate)):
        budget.earn(n / rate - calm_s)
    requests = round(seconds * rate)
    waiting = [(n / rate, n, 0) for n in range(requests)]
    attempts = 0
    while waiting:
        at, number, attempt = heapq.heappop(waiting)
        attempts += 1
        if attempt == 0:
            budget.earn(at)
        wait = next_wait(
            policy, attempt, "unavailable", nan, draw.random(), left=120 - at + number / rate
        )
        if wait is not None and budget.spend(at):
            heapq.heappush(waiting, (at + wait, number, attempt + 1))
    return attempts / requests


def outages():
    cases = {"nothing": 0, "a calm hour": 3600}
    print(
        "| calls/s | " + " | ".join(f"after {name}" for name in cases) + " |\n" + "| --- " * 3 + "|"
    )
    for rate in (0.1, 0.5, 5, 50):
        found = " | ".join(f"{outage(calm, rate=rate):.3f}" for calm in cases.values())
        print(f"| {rate:g} | {found} |")


def channels():
    """What a call takes beyond its attempt, by `chat` and by a blocking httpx client."""
    felt = {"chat": [], "httpx": []}
    with Monitor("sim/fast") as monitor, monitored(httpx.Client()) as client:
        monitor.chat("hi", max_tokens=1)
        url = f"{monitor._calls._callers[False].plan.targets[0].base_url}/chat/completions"
        body = {"model": "fast", "messages": [{"role": "user", "content": "hi"}], "max_tokens": 1}
        for _ in range(400):
            begun = time.perf_counter()
            monitor.chat("hi", max_tokens=1)
            middle = time.perf_counter()
            json.loads(client.post(url, json=body).content)
            felt["chat"].append(middle - begun)
            felt["httpx"].append(time.perf_counter() - middle)
        found = {"chat": monitor.records.rows[1:], "httpx": client.monitor.records.rows}
    print("| by | ms beyond the attempt, p50 | p99 |\n| --- | --- | --- |")
    for name, rows in found.items():
        beyond = np.array(felt[name]) - (rows["end_s"] - rows["start_s"])
        p50, p99 = np.quantile(beyond, [0.5, 0.99]) * 1e3
        print(f"| {name} | {p50:.3f} | {p99:.3f} |")


def streams(monitor, rate=40, seconds=10):
    """Streams of 8 tokens at an even rate; the process's share of a core, and TTFT in ms."""
    known, begun, cpu = len(monitor.records), time.perf_counter(), time.process_time()
    asked = {"max_tokens": 8, "stream": True}
    with ThreadPoolExecutor(32) as pool:
        for k in range(rate * seconds):
            time.sleep(max(0.0, begun + k / rate - time.perf_counter()))
            pool.submit(lambda: list(monitor.chat("hi", **asked)))
    cpu = (time.process_time() - cpu) / (time.perf_counter() - begun)
    rows = monitor.records.rows[known:]
    return cpu, (rows["first_s"] - rows["start_s"]) * 1e3


def filled(monitor, n):
    """Put n streams of the last ten minutes into its memory."""
    ledger = monitor.ledger
    ledger.zero -= 600
    index = ledger.index(monitor.target)
    for k in range(n):
        one = Marks(ledger.number(), index, ledger.zero + 590 * k / n)
        one.start, one.flags, one.chunks = one.due, int(Flag.STREAM), 5
        one.first, one.last = one.due + 0.02 * (1 + k % 7 / 7), one.due + 0.06 * (1 + k % 9 / 9)
        one.end, one.gaps = one.last, {500 + k % 50: 4}
        ledger.add(one)


def view():
    """What `hm.watch` takes from the application whose calls it shows."""
    print("| attempts in memory | view | core | TTFT p50 | p95 | p99 | max |")
    print("| --- | --- | --- | --- | --- | --- | --- |")
    for n in (0, 100_000):
        found = {False: [], True: []}
        for watched in 3 * [False, True]:
            with Monitor("sim/fast", keep=200_000) as monitor:
                filled(monitor, n)
                monitor.chat("hi", max_tokens=1)
                shown = watch(monitor) if watched else None
                time.sleep(1)
                found[watched].append(streams(monitor))
            if shown is not None:
                shown.close()
        for watched, rounds in found.items():
            cpu, ttft = (
                np.median([cpu for cpu, _ in rounds]),
                np.concatenate([t for _, t in rounds]),
            )
            figures = " | ".join(f"{one:.1f}" for one in np.quantile(ttft, [0.5, 0.95, 0.99, 1]))
            print(f"| {n:,} | {'yes' if watched else 'no'} | {cpu:.3f} | {figures} |")


def main():
    parts = {"overhead": overhead, "channels": channels, "outage": outages, "day": day,
             "view": view}  # fmt: skip
    for name in sys.argv[1:] or parts:
        parts[name]()
        print()


if __name__ == "__main__":
    main()
