"""Seconds, longest stop of the loop and MB that each bomb costs each way in which we read answers.

    python -m tests.bench.bombs [PART OF A NAME]

The server and each reader are processes of their own. A call has 3 s. The table of
`tests/promises/security/README.md` was made with it, before and after.
"""

import asyncio
import os
import resource
import subprocess
import sys
from pathlib import Path
from time import perf_counter

import httpx

import holymon as hm
from holymon.load.caller import Caller
from holymon.plan.plan import Closed, Plan, Prompts, Target

sys.path.insert(0, str(Path(__file__).parents[1] / "promises" / "security"))
import bombs

LIMIT_S = 3.0
WAYS = ("load", "watched", "doctor", "idle reader")


def rss() -> float:
    """The most memory that this process ever had, in MB."""
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024


async def worst_lag(work) -> float:
    """The longest that the loop did not turn while `work` was done, in seconds."""
    worst, before = 0.0, perf_counter()
    task = asyncio.ensure_future(work)
    while not task.done():
        await asyncio.sleep(0.005)
        now = perf_counter()
        worst, before = max(worst, now - before - 0.005), now
    await task
    return worst


def load(url: str) -> tuple[float, str]:
    async def go():
        target = Target(provider="url", model="m", base_url=url)
        plan = Plan(targets=(target,), load=Closed(users=1), requests=1, timeout_s=LIMIT_S,
                    prompts=Prompts(stream=not url.endswith("json/v1")))  # fmt: skip
        caller = Caller(plan)
        marks = await caller.send(0, 0, 0.0)
        await caller.aclose()
        ends.append(marks.error)

    ends: list[str] = []
    lag = asyncio.run(worst_lag(go()))
    return lag, ends[0]


def watched(url: str) -> tuple[float, str]:
    monitor = hm.Monitor()

    async def go():
        async with hm.monitored(httpx.AsyncClient(timeout=LIMIT_S), monitor) as client:
            try:
                async with (
                    asyncio.timeout(LIMIT_S),
                    client.stream(
                        "POST", url + "/chat/completions", content=bombs.question()
                    ) as got,
                ):
                    async for _ in got.aiter_raw():
                        pass
            except (httpx.HTTPError, TimeoutError):
                pass

    lag = asyncio.run(worst_lag(go()))
    records = monitor.records
    return lag, str(records.to_frame()["error_type"].iloc[0]) if len(records) else "no record"


def doctor(url: str) -> tuple[float, str]:
    from holymon.cli.doctor import examine

    found = examine(base_url=url)[-1]
    return 0.0, found.result[:40]


def idle_reader(url: str) -> tuple[float, str]:
    from time import sleep

    target = Target(provider="url", model="m", base_url=url)
    monitor = hm.Monitor(target, policy=hm.Policy(deadline_s=LIMIT_S))
    try:
        events = monitor.chat("?", stream=True)
        sleep(2)
        del events
    except hm.CallError as error:
        return 0.0, error.error_type
    finally:
        monitor.close()
    return 0.0, "read"


def main() -> None:
    part = sys.argv[1] if len(sys.argv) > 1 else ""
    ways = sys.argv[2].split(",") if len(sys.argv) > 2 else WAYS
    for name in bombs.BOMBS:
        if part not in name:
            continue
        serve = subprocess.Popen(
            [sys.executable, __file__, "--serve", name], stdout=subprocess.PIPE, text=True
        )
        url = serve.stdout.readline().strip()
        cells = []
        for way in ways:
            try:
                done = subprocess.run(
                    [sys.executable, __file__, "--way", way, url],
                    text=True,
                    stdout=subprocess.PIPE,
                    stderr=subprocess.DEVNULL,
                    timeout=12,
                    check=False,
                )
                cells.append(done.stdout.strip() or "died")
            except subprocess.TimeoutExpired:
                cells.append("over 12 s")
        print(f"| {name} | " + " | ".join(cells) + " |", flush=True)
        serve.kill()
        serve.wait()


def one(way: str, url: str) -> None:
    how = {"load": load, "watched": watched, "doctor": doctor, "idle reader": idle_reader}[way]
    before, begun = rss(), perf_counter()
    try:
        lag, end = how(url)
    except Exception as error:  # noqa: BLE001 - whatever a bomb does is what is to be shown
        lag, end = 0.0, type(error).__name__
    print(
        f"{perf_counter() - begun:.1f} s, {lag:.2f} s, {rss() - before:.0f} MB ({end})", flush=True
    )
    os._exit(0)


if __name__ == "__main__":
    if sys.argv[1:2] == ["--serve"]:
        with bombs.serving(bombs.BOMBS[sys.argv[2]]) as at:
            print(at, flush=True)
            sys.stdin.read() if sys.stdin.isatty() else __import__("time").sleep(3600)
    elif sys.argv[1:2] == ["--way"]:
        one(*sys.argv[2:])
    else:
        main()
