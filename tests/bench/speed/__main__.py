"""How many calls and tokens a core can measure, at which rate the clock is still kept, and at
which cost in memory and time: holymon beside bare loops over its own transport and over aiohttp.

    python -m tests.bench.speed [calls tokens paced open workers memory starts datasets] [--rounds 3]

Wants Linux and two cores: the server has one, the client side the other. The sides take turns, a
cell is the median over the rounds.
"""

import argparse
import contextlib
import json
import os
import statistics
import subprocess
import sys
import tempfile
import time
from pathlib import Path

import matplotlib as mpl
from matplotlib.figure import Figure

from holymon.load.run import Run
from holymon.plan.plan import Closed, Open, Plan, Prompts, Target
from holymon.plan.requests import Request
from holymon.plan.shapes import constant
from holymon.plots.canvas import COLORS, MARKERS, STYLE
from holymon.plots.picture import png
from holymon.records import request_store, run_folder
from holymon.records.datasets import dataset
from holymon.structs import replace
from tests.bench.million import held, plan_of, records_of, write_journal

HERE = Path(__file__).parent
CORES = sorted(os.sched_getaffinity(0))
SERVER, CLIENT = CORES[-1:], CORES[:1]
SECONDS = 4.0
TOKENS = (2, 16, 64, 256)
KINDS = ("aiohttp", "alone", "holymon")
WAYS = ("aiohttp, bare loop", "its transport, not read", "its transport, bare loop", "holymon")
KEPT = {"highest_valid": {}, "bytes": {}}
RATES = (500, 1000, 2000, 4000, 6000, 8000, 10000, 12000, 14000, 16000, 18000, 20000, 24000, 28000)


@contextlib.contextmanager
def server(cores=SERVER, port=0):
    """A server on `cores`; its port."""
    process = on(cores, [str(HERE / "server.py"), str(port)], stdin=subprocess.PIPE)
    try:
        yield int(process.stdout.readline())
    finally:
        process.stdin.close()
        process.wait()
        process.stdout.close()


def on(cores, words, **more):
    """A Python process on `cores` from its start."""
    before = os.sched_getaffinity(0)
    os.sched_setaffinity(0, cores)
    try:
        return subprocess.Popen(
            [sys.executable, *words], stdout=subprocess.PIPE, text=True, cwd=HERE.parents[2], **more
        )
    finally:
        os.sched_setaffinity(0, before)


def bare(kind, port, model, users, tokens, stream):
    """Calls per second, and CPU seconds per call, of a bare loop."""
    words = [kind, port, model, users, SECONDS, tokens, int(stream)]
    with on(CLIENT, [str(HERE / "bare.py"), *map(str, words)]) as process:
        found = json.loads(process.stdout.read())
    return found["calls"] / found["seconds"], found["cpu_s"] / found["calls"]


def measured(
    folder,
    port,
    model="whole",
    tokens=16,
    *,
    stream=True,
    cores=CLIENT,
    targets=1,
    prompts=None,
    **load,
):
    """A run of a worker on `cores`, in a new folder below `folder`."""
    all_of = [
        Target(provider=f"url{k}", model=model, base_url=f"http://127.0.0.1:{port}/v1")
        for k in range(targets)
    ]
    prompts = prompts or Prompts(texts=("hello",), max_tokens=tokens, stream=stream)
    plan = Plan(targets=tuple(all_of), prompts=prompts, **load)
    place = run_folder.new_folder(folder, "run")
    request_store.keep(plan, place)
    run_folder.write_aside(place / "plan.json", plan.to_json())
    run_folder.write_state(place, state="starting")
    owned = ["-m", "holymon.load.worker", str(place), "--attached"]  # compacts nothing itself
    with on(cores, owned, stdin=subprocess.PIPE) as process:
        assert process.wait() == 0
    return Run(place)


def speed(run):
    """Successful calls per second, and CPU seconds per call, both of whole seconds in the run."""
    records = run.records
    ends = records["end_s"][records.ok]
    assert len(ends) == len(records), records.errors(~records.ok)
    rate = float((ends < run.plan.seconds).sum()) / run.plan.seconds
    cpu = run.vitals.cpu[1:-1]
    return rate, float(cpu.mean()) / rate if len(cpu) else float("nan")


def row(*cells):
    print("| " + " | ".join(str(cell) for cell in cells) + " |", flush=True)


def head(*cells):
    print()
    row(*cells)
    row(*("---" for _ in cells))


def median(rounds, k=0):
    return statistics.median(one[k] for one in rounds)


def calls(folder, rounds):
    """Calls per second: holymon beside the bare loops."""
    head("calls/s on one core", "goal", *WAYS, "holymon / bare")
    for said, goal, users, stream in (
        ("streams of 16 tokens, 32 in flight", 4000, 32, True),
        ("streams of 16 tokens, 256 in flight", 3000, 256, True),
        ("not streamed, 32 in flight", 6000, 32, False),
    ):
        ways = turns(folder, rounds, "whole", users, 16, stream)
        found = [median(way) for way in ways]
        row(said, f"{goal:,}", *(f"{one:,.0f}" for one in found), f"{found[-1] / found[-2]:.2f}")


def turns(folder, rounds, model, users, tokens, stream):
    """The sides in turns: for each its rounds."""
    found = []
    for _ in range(rounds):
        with server() as port:
            sides = [bare(k, port, model, users, tokens, stream) for k in KINDS]
            load = {"load": Closed(users=users), "duration_s": SECONDS}
            sides.append(speed(measured(folder, port, model, tokens, stream=stream, **load)))
        found.append(sides)
    return zip(*found, strict=True)


def tokens(folder, rounds):
    """Tokens per second of streams of 128, as they come in one segment, or in as many as there are."""
    head("tokens/s on one core", "goal", *WAYS, "holymon / bare")
    for said, model in (("a write for each answer", "whole"), ("a write for each event", "single")):
        ways = turns(folder, rounds, model, 32, 128, stream=True)
        found = [median(way) * 128 for way in ways]
        row(f"streams of 128 tokens, {said}", "150,000", *(f"{one:,.0f}" for one in found),
            f"{found[-1] / found[-2]:.2f}")  # fmt: skip


def paced(folder, rounds):
    """CPU per token when each comes alone: 100 streams, a token every 10 ms."""
    head("CPU per token, a token every 10 ms", *WAYS)
    ways = turns(folder, rounds, "paced", 100, 128, stream=True)
    cells = [f"{median(way, 1) / 128 * 1e6:.1f} us" for way in ways]
    row("100 streams of 128 tokens", *cells)


def open_loop(folder, rounds):
    """The highest rate that stays valid, and how late calls leave: streams of 16 tokens.

    Two workers share their cores with the servers here, which the verdict calls suspect; for them
    a rate counts as long as it is not invalid.
    """
    for n in (1, 2):
        head(f"wanted calls/s, workers: {n}", "sent/s", "schedule delay p50, p99, ms",
             "TTFT p50, p99, ms", "core", "verdict")  # fmt: skip
        best = 0
        for rate in RATES:
            levels = []
            for _ in range(rounds):
                with servers(n) as (port, cores):
                    load = {"load": Open(constant(rate), max_in_flight=4000), "duration_s": 5.0}
                    run = measured(folder, port, cores=cores, workers=n, **load)
                levels.append(run.verdict().measurement)
            (one,) = run.summary().targets
            delay, ttft = one.schedule_delay_s, one.ttft_s
            row(f"{rate:,}", f"{one.sent_per_s:,.0f}", ms(delay.p50, delay.p99),
                ms(ttft.p50, ttft.p99), f"{run.vitals.cpu.max():.0%}", ", ".join(levels))  # fmt: skip
            if levels.count("invalid") * 2 >= rounds or (n == 1 and "valid" not in levels):
                break
            best = rate
        KEPT["highest_valid"][str(n)] = best
        print(f"\nhighest valid rate, workers: {n}: {best:,} calls/s", flush=True)


@contextlib.contextmanager
def servers(workers):
    """A port with a server, and the cores for so many workers.

    One worker has a core of its own; two share theirs, each with a server too.
    """
    if workers == 1:
        with server() as port:
            yield port, CLIENT
        return
    with server(CORES[:1]) as port, server(CORES[1:2], port):
        yield port, CORES[:2]


def ms(*seconds):
    return ", ".join("-" if one is None else f"{one * 1e3:.2f}" for one in seconds)


def workers(folder, rounds):
    """Two workers on two cores beside one on one, each core with a server of its own as well."""
    head("workers", "streams of 128 tokens/s", "of one")
    found = {1: [], 2: []}
    for _ in range(rounds):
        for n, rounds_of in found.items():
            with contextlib.ExitStack() as stack:
                cores = CORES[:n]
                port = stack.enter_context(server(cores[:1]))
                for core in cores[1:]:
                    stack.enter_context(server([core], port))
                load = {"load": Closed(users=64), "duration_s": SECONDS, "workers": n}
                rounds_of.append(speed(measured(folder, port, tokens=128, cores=cores, **load)))
    for n, rounds_of in found.items():
        row(n, f"{median(rounds_of):,.0f}", f"{median(rounds_of) / median(found[1]):.2f}")


def memory(folder, _rounds):
    """A million calls through one worker: its memory, and bytes per record on disk."""
    head("1,000,000 calls, not streamed", "goal", "found")
    with server() as port:
        begun = time.monotonic()
        run = measured(folder, port, stream=False, load=Closed(users=64), requests=1_000_000)
    rss = run.vitals.rss_mb
    journal = sum(path.stat().st_size for path in run.folder.glob("calls.*.journal"))
    row("seconds", "", f"{time.monotonic() - begun:.0f}")
    row("worker's memory after 1 s, at the end", "150 MB", f"{rss[0]:.0f}, {rss[-1]:.0f} MB")
    row("journal, bytes per call", 250, f"{journal / len(run.records):.0f}")
    before = time.monotonic()
    run.close()
    files = sum(path.stat().st_size for path in run.folder.glob("*.parquet"))
    row("Parquet, bytes per call", 60, f"{files / len(run.records):.0f}")
    row("seconds to compact", "", f"{time.monotonic() - before:.1f}")


def growth(folder, rounds):
    """What more tokens and more targets cost: CPU for each call, bytes of each record."""
    head("tokens in a stream", "calls/s", "CPU per call, us", "journal, bytes per call",
         "Parquet", "in memory")  # fmt: skip
    for n in TOKENS:
        found = []
        for _ in range(rounds):
            with server() as port:
                load = {"load": Closed(users=32), "duration_s": SECONDS}
                found.append(speed(measured(folder, port, tokens=n, **load)))
        row(n, f"{median(found):,.0f}", f"{median(found, 1) * 1e6:.0f}", *sizes(folder, n))
    head("targets", "calls/s")
    for n in (1, 4, 16):
        found = []
        for _ in range(rounds):
            with server() as port:
                load = {"load": Closed(users=max(1, 32 // n)), "duration_s": SECONDS}
                found.append(speed(measured(folder, port, targets=n, **load)))
        row(n, f"{median(found):,.0f}")


def sizes(folder, n):
    """Bytes of a record of a stream of `n` tokens: in a journal, in Parquet, in memory."""
    records = records_of(20_000, tokens=n)
    place = run_folder.new_folder(folder, "sizes")
    run_folder.write_aside(place / "plan.json", plan_of(20_000).to_json())
    write_journal(place, records)
    journal = (place / "calls.0.journal").stat().st_size
    run_folder.compact(place, records)
    files = sum(path.stat().st_size for path in place.glob("*.parquet"))
    found = [size / len(records) for size in (journal, files, held(run_folder.load(place)))]
    KEPT["bytes"][str(n)] = [round(one, 1) for one in found]
    return [f"{one:.0f}" for one in found]


def starts(folder, rounds):
    """Seconds until something happens."""
    head("start", "goal, s", "found, s")
    python = sys.executable
    for said, goal, command in (
        ("`python -c pass`", "", [python, "-c", "pass"]),
        ("`import holymon`", 0.15, [python, "-c", "import holymon"]),
        ("`holymon --help`", 0.3, [python, "-m", "holymon", "--help"]),
    ):
        row(said, goal, f"{statistics.median(took(command) for _ in range(2 * rounds + 1)):.3f}")
    firsts = []
    with server() as port:
        for _ in range(rounds):
            begun = time.time()
            run = measured(folder, port, load=Closed(users=1), requests=1, cores=CORES)
            plan = (run.folder / "plan.json").stat().st_mtime
            first = (run.folder / "calls.0.journal").stat().st_mtime
            firsts.append(first - max(plan, begun))
    row("a worker until its first call has ended", 0.6, f"{statistics.median(firsts):.2f}")
    command = [python, "-m", "holymon", "report", "sim/fast", "--rate", "10", "--duration", "5",
               "--out", str(folder)]  # fmt: skip
    row("`holymon report`, beyond its 5 s", "", f"{took(command) - 5:.2f}")


def datasets(folder, rounds):
    """Many different requests beside one prompt, and how soon a large set begins."""
    kinds = {"one prompt": None}
    kinds |= {
        said: Prompts(dataset=dataset(requests), max_tokens=16)
        for said, requests in (
            ("10,000 texts of 40 words", [f"{k} " + "hello " * 40 for k in range(10_000)]),
            ("10,000 made up of 300 tokens", [Request(prompt_tokens=300)] * 10_000),
        )
    }
    kinds["10,000 unique texts"] = replace(kinds["10,000 texts of 40 words"], unique=True)
    found = {said: [] for said in kinds}
    for _ in range(rounds):
        for said, prompts in kinds.items():
            with server() as port:
                load = {"load": Closed(users=32), "duration_s": SECONDS, "prompts": prompts}
                found[said].append(speed(measured(folder, port, **load)))
    head("streams of 16 tokens, 32 in flight", "calls/s", "of one prompt", "CPU per call, us")
    first = median(found["one prompt"])
    for said, ways in found.items():
        row(
            said,
            f"{median(ways):,.0f}",
            f"{median(ways) / first:.2f}",
            f"{median(ways, 1) * 1e6:.0f}",
        )
    head("a worker until its first call is sent", "goal, s", "found, s", "plan.json, bytes")
    large = Prompts(
        dataset=dataset(f"{k} " + "words " * 100 for k in range(100_000)), max_tokens=16
    )
    for said, prompts in (("one prompt", None), ("100,000 requests, 60 MB", large)):
        with server() as port:
            runs = [measured(folder, port, load=Closed(users=1), requests=1, cores=CORES, prompts=prompts)
                    for _ in range(rounds)]  # fmt: skip
        firsts = [run.records.began + run.records["start_s"][0] - (run.folder / "plan.json").stat().st_mtime
                  for run in runs]  # fmt: skip
        size = (runs[0].folder / "plan.json").stat().st_size
        row(said, 1.5, f"{statistics.median(firsts):.2f}", f"{size:,}")


def took(command):
    begun = time.monotonic()
    subprocess.run(command, check=True, capture_output=True)
    return time.monotonic() - begun


PARTS = {
    "calls": calls, "tokens": tokens, "paced": paced, "open": open_loop, "workers": workers,
    "memory": memory, "growth": growth, "starts": starts, "datasets": datasets,
}  # fmt: skip


def main():
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("parts", nargs="*", choices=[*PARTS, []], default=list(PARTS))
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--picture", help="draw what was found to this PNG (open and growth)")
    options = parser.parse_args()
    with tempfile.TemporaryDirectory() as scratch:
        for name in options.parts or PARTS:
            PARTS[name](Path(scratch), options.rounds)
    if options.picture:
        Path(options.picture).write_bytes(picture())


def picture():
    """The highest valid rate by workers, and the bytes of a record by its tokens, as a PNG."""
    figure = Figure(figsize=(8, 2.8), layout="constrained", dpi=100)
    with mpl.rc_context(STYLE):
        left, right = figure.subplots(1, 2)
        rates = KEPT["highest_valid"]
        bars = left.bar(list(rates), list(rates.values()), width=0.5, color=COLORS[0])
        left.bar_label(bars, [f"{rate:,}" for rate in rates.values()], padding=2)
        left.set(title="Highest valid rate, calls/s", xlabel="workers")
        left.margins(y=0.15)
        found = KEPT["bytes"]
        for k, name in enumerate(("journal", "Parquet", "in memory")):
            right.plot([int(n) for n in found], [one[k] for one in found.values()],
                       marker=MARKERS[k], color=COLORS[k], label=name)  # fmt: skip
        right.set(title="Bytes of a record", xlabel="tokens in its stream", ylim=(0, None))
        right.legend()
    return png(figure)


if __name__ == "__main__":
    main()
