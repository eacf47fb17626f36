"""What a thread that draws costs whatever measures, and the kernel it belongs to, by how it yields.

    python -m tests.bench.aside [--seconds S]

One process draws with matplotlib without a pause in one thread, while its main thread, as a cell
does, wants to go on every 10 ms; another, as a worker does, wakes every 2 ms for half of one. How
late both are, in ms: all on one core, and beside as many other programs as keep both cores busy.
Wants Linux and two cores.
"""

import argparse
import io
import os
import subprocess
import sys
import threading
from contextlib import ExitStack
from time import perf_counter, sleep

import numpy as np
from matplotlib.figure import Figure

WAYS = ("not at all", "nice 3", "nice 5", "nice 10", "nice 19", "SCHED_IDLE")
PLACES = ("one core", "busy", "very busy")
BUSY = {"one core": 0, "busy": 2, "very busy": 4}


def main() -> None:
    reader = argparse.ArgumentParser(description=__doc__)
    reader.add_argument("--seconds", type=float, default=8)
    reader.add_argument("--kernel", choices=WAYS, help=argparse.SUPPRESS)
    reader.add_argument("--worker", action="store_true", help=argparse.SUPPRESS)
    options = reader.parse_args()
    if options.worker:
        print(late(options.seconds, 0.002, works_s=0.0005))
    elif options.kernel:
        threading.Thread(target=draw, args=(options.kernel,), daemon=True).start()
        print(late(options.seconds, 0.01), flush=True)
        os._exit(0)  # the thread that draws may be far from its end
    else:
        print("| where | yields | worker p50 | p99 | kernel p50 | p99 | longest |")
        print("| --- | --- | --- | --- | --- | --- | --- |")
        for place in PLACES:
            for way in WAYS:
                print(f"| {place} | {way} | {measured(place, way, options.seconds)} |", flush=True)


def measured(place: str, way: str, seconds: float) -> str:
    """The cells of one line."""
    cores = {0} if place == "one core" else {0, 1}
    before = os.sched_getaffinity(0)
    os.sched_setaffinity(0, cores)
    command = [sys.executable, "-m", "tests.bench.aside", "--seconds", str(seconds)]
    with ExitStack() as stack:
        for _ in range(BUSY[place]):
            other = subprocess.Popen([sys.executable, "-c", "while True: pass"])
            stack.callback(other.wait)
            stack.callback(other.kill)
        both = [subprocess.Popen([*command, *role], stdout=subprocess.PIPE, text=True)
                for role in (["--worker"], ["--kernel", way])]  # fmt: skip
        worker, kernel = (process.communicate()[0].split() for process in both)
    os.sched_setaffinity(0, before)
    return " | ".join([*worker[:2], *kernel])


def late(seconds: float, period_s: float, works_s: float = 0.0) -> str:
    """Median, 99th percentile and longest time that this thread went on too late, in ms."""
    times, end = [], perf_counter() + seconds
    while (began := perf_counter()) < end:
        sleep(period_s)
        woke = perf_counter()
        times.append(woke - began - period_s)
        while perf_counter() - woke < works_s:
            pass
    found = np.array([*np.quantile(times, (0.5, 0.99)), max(times)]) * 1e3
    return f"{found[0]:.2f} {found[1]:.1f} {found[2]:.0f}"


def draw(way: str) -> None:
    """Draw for ever, in a thread that yields in this way."""
    if way == "SCHED_IDLE":
        os.sched_setscheduler(0, os.SCHED_IDLE, os.sched_param(0))
    elif way.startswith("nice"):
        os.setpriority(os.PRIO_PROCESS, threading.get_native_id(), int(way.split()[1]))
    values = np.random.default_rng(1).random(2000)
    while True:
        figure = Figure(figsize=(8, 4))
        for axes in figure.subplots(1, 2):
            axes.plot(values)
        figure.savefig(io.BytesIO(), format="png")


if __name__ == "__main__":
    main()
