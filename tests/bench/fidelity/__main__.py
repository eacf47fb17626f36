"""Reported minus true, side by side: a bare loop and holymon; holymon with and without a dashboard.

    python -m tests.bench.fidelity [bare] [drawing] [arrivals] [--rates R,R] [--rounds N] [--seconds S]

Wants Linux and two cores. The server (`sim/pinned`: TTFT 100 ms, ITL 10 ms, 64 tokens) has one
and logs when it wrote each token; the client side has the other. The sides take turns, each time
with a fresh server and a fresh client.
"""

import argparse
import json
import os
import statistics
import subprocess
import sys
import tempfile
import threading
from pathlib import Path

import numpy as np

from holymon.experiments.calibration import QUANTILES, errors_of
from holymon.load.run import start
from holymon.plan.plan import Open, Plan, Prompts, Target
from holymon.plan.shapes import constant, poisson
from holymon.widgets.live_tab import LiveTab

HERE = Path(__file__).parent
CORES = sorted(os.sched_getaffinity(0))
METRICS = {"ttft_s": "TTFT", "latency_s": "latency", "itl_s": "gaps"}


class Server:
    """The reference server on a core of its own."""

    def __init__(self, folder: Path) -> None:
        self.log = folder / "truth.jsonl"
        self.process = subprocess.Popen(
            [sys.executable, "-m", "holymon.sim", "--port", "0", "--until-eof", "--log", str(self.log)],
            stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True,
        )  # fmt: skip
        os.sched_setaffinity(self.process.pid, CORES[-1:])
        self.base_url = json.loads(self.process.stdout.readline())["base_url"]

    def close(self) -> list[dict]:
        """End it; its truth."""
        self.process.stdin.close()
        self.process.wait()
        self.process.stdout.close()
        return [json.loads(line) for line in self.log.read_text().splitlines()]


def bare(folder: Path, rate: float, seconds: float) -> dict:
    server = Server(folder)
    done = subprocess.run(
        [sys.executable, str(HERE / "bare.py"), server.base_url, str(rate), str(seconds)],
        capture_output=True, text=True, check=True,
    )  # fmt: skip
    found, truth = json.loads(done.stdout), server.close()
    real = {
        "ttft_s": [one["token_s"][0] for one in truth],
        "latency_s": [one["token_s"][-1] for one in truth],
        "itl_s": np.concatenate([np.diff(one["token_s"]) for one in truth]),
    }
    return {
        metric: {name: float(np.quantile(found[metric], q) - np.quantile(real[metric], q))
                 for name, q in QUANTILES.items()}
        for metric in METRICS
    }  # fmt: skip


def measured(folder: Path, shape, seconds: float, *, draw: bool = False):
    """A run, the server's truth, and how many frames the dashboard drew meanwhile."""
    server = Server(folder)
    target = Target(provider="url", model="pinned", base_url=server.base_url)
    plan = Plan(
        targets=(target,), load=Open(shape), duration_s=seconds, prompts=Prompts(max_tokens=64)
    )
    run = start(plan, out=folder, detached=False)
    frames = []
    if draw:
        ended = threading.Event()
        tab = LiveTab(failed=print, ended=lambda _: ended.set())
        tab.image.observe(lambda change: frames.append(len(change["new"])), "value")
        tab.follow(run)
        ended.wait()
        tab.close()
    run.wait()
    return run, server.close(), len(frames)


def errors(shape, seconds: float, *, draw: bool = False) -> dict:
    """What a run says of itself, held against the truth."""
    with tempfile.TemporaryDirectory() as scratch:
        run, truth, frames = measured(Path(scratch), shape, seconds, draw=draw)
        verdict = run.verdict().measurement
        if verdict != "valid" or (draw and frames < 3 * seconds):
            print(f"# {shape}: {verdict}, {frames} frames", file=sys.stderr, flush=True)
        return errors_of(run.records, truth)


def beside_bare(rates: list[float], rounds: int, seconds: float) -> None:
    """A bare loop over aiohttp and holymon at constant rates; medians over the rounds."""
    heads([f"{side} {q}" for side in ("bare", "holymon") for q in QUANTILES], "figure")
    for rate in rates:
        long, found = max(seconds, 200 / rate), []
        for _ in range(rounds):
            with tempfile.TemporaryDirectory() as scratch:
                found.append((bare(Path(scratch), rate, long), errors(constant(rate), long)))
        for metric, title in METRICS.items():
            cells = [
                f"{statistics.median(one[metric][q] for one in side) * 1e3:+.2f}"
                for side in zip(*found, strict=True)
                for q in QUANTILES
            ]
            print(f"| {rate:g} | {title} | {' | '.join(cells)} |", flush=True)


def drawing(rates: list[float], rounds: int, seconds: float) -> None:
    """What a dashboard on the worker's core adds to the errors: paired, with 95 % intervals.

    Arrivals are Poisson, the same in all runs. At a constant 100/s all tokens of all streams come
    at once, and which of them is read first is settled by chance when a server starts: that noise
    is ten times what is looked for here.
    """
    heads(
        [f"{what} {q}" for q in QUANTILES for what in ("without", "with", "more (95 %)")], "figure"
    )
    draws = np.random.default_rng(1)
    for rate in rates:
        found = {False: [], True: []}
        for _ in range(rounds):
            for draw in draws.permutation([False, True]).tolist():
                found[draw].append(errors(poisson(rate), max(seconds, 200 / rate), draw=draw))
        for metric, title in METRICS.items():
            cells = []
            for q in QUANTILES:
                off, on = (
                    np.array([one[metric][q] for one in found[draw]]) * 1e3 for draw in found
                )
                again = draws.choice(on - off, (10_000, rounds))
                low, high = np.quantile(np.median(again, axis=1), (0.025, 0.975))
                cells += [f"{np.median(off):+.2f}", f"{np.median(on):+.2f}",
                          f"{np.median(on - off):+.2f} ({low:+.2f} to {high:+.2f})"]  # fmt: skip
            print(f"| {rate:g} | {title} | {' | '.join(cells)} |", flush=True)


def arrivals() -> None:
    """Quantiles of the gaps between sent calls beside those of theory, at 100/s."""
    shares = np.array([0.01, 0.25, 0.5, 0.75, 0.99])
    heads([f"p{100 * share:g}" for share in shares])
    for name, shape, theory in (
        ("constant", constant(100), np.full(5, 0.01)),
        ("Poisson", poisson(100), -np.log(1 - shares) / 100),
    ):
        with tempfile.TemporaryDirectory() as scratch:
            run, _, _ = measured(Path(scratch), shape, 15.0)
            gaps = np.quantile(np.diff(np.sort(run.records["start_s"])), shares)
        cells = " | ".join(
            f"{g * 1e3:.2f} ({t * 1e3:.2f})" for g, t in zip(gaps, theory, strict=True)
        )
        print(f"| {name} | {cells} |", flush=True)


def heads(columns: list[str], *first: str) -> None:
    """The first two lines of a table."""
    names = ["calls/s" if first else "arrivals", *first, *columns]
    print(f"\n| {' | '.join(names)} |\n{'| --- ' * len(names)}|", flush=True)


def main() -> None:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("parts", nargs="*", help="bare, drawing, arrivals; all where none is named")
    parser.add_argument("--rates", default="20,50,100,200", help="calls a second")
    parser.add_argument("--rounds", type=int, help="bare: 3; drawing: 12")
    parser.add_argument("--seconds", type=float, default=8.0)
    options = parser.parse_args()
    os.sched_setaffinity(0, CORES[:1])
    parts = options.parts or ["bare", "drawing", "arrivals"]
    rates = [float(rate) for rate in options.rates.split(",")]
    if "bare" in parts:
        beside_bare(rates, options.rounds or 3, options.seconds)
    if "drawing" in parts:
        drawing(rates, options.rounds or 12, options.seconds)
    if "arrivals" in parts:
        arrivals()


if __name__ == "__main__":
    main()
