"""Reported minus true, side by side: a bare loop, holymon, and holymon under a drawing kernel.

    python -m tests.bench.fidelity [--rates 20,50,100,200] [--seconds 10] [--rounds 3]

Wants Linux and two cores. The server (`sim/pinned`: TTFT 100 ms, ITL 10 ms, 64 tokens) has one
and logs when it wrote each token; the client side has the other. The three take turns, each time
with a fresh server and a fresh client; a cell is the median over the rounds, in ms.
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

from holymon.calibration import QUANTILES, errors_of
from holymon.plan import Open, Plan, Prompts, Target
from holymon.run import start
from holymon.screen import Screen
from holymon.shapes import constant, poisson

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


def measured(folder: Path, shape, seconds: float, *, draw: bool):
    server = Server(folder)
    target = Target(provider="url", model="pinned", base_url=server.base_url)
    plan = Plan(
        targets=(target,), load=Open(shape), duration_s=seconds, prompts=Prompts(max_tokens=64)
    )
    run = start(plan, out=folder, detached=False)
    frames = []
    if draw:
        ended = threading.Event()
        screen = Screen(failed=print, ended=lambda _: ended.set())
        screen.image.observe(lambda change: frames.append(len(change["new"])), "value")
        screen.follow(run)
        ended.wait()
        screen.close()
    run.wait()
    return run, server.close(), len(frames)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--rates", default="20,50,100,200")
    parser.add_argument("--seconds", type=float, default=10.0)
    parser.add_argument("--rounds", type=int, default=3)
    options = parser.parse_args()
    os.sched_setaffinity(0, CORES[:1])
    heads = [f"{side} {q}" for side in ("bare", "holymon", "drawing") for q in QUANTILES]
    print("| calls/s | figure | " + " | ".join(heads) + " |")
    print("| --- " * (2 + len(heads)) + "|", flush=True)
    with tempfile.TemporaryDirectory() as scratch:
        for rate in map(float, options.rates.split(",")):
            seconds = max(options.seconds, 200 / rate)
            rounds = []
            for i in range(options.rounds):
                places = [Path(scratch) / f"{rate:g}-{i}-{side}" for side in "bhd"]
                for place in places:
                    place.mkdir()
                rounds.append(one_round(places, rate, seconds))
            table(rate, rounds)
        arrivals(Path(scratch))


def one_round(places: list[Path], rate: float, seconds: float) -> list[dict]:
    """The errors of the three sides, one after the other."""
    cells = [bare(places[0], rate, seconds)]
    for place, draw in zip(places[1:], (False, True), strict=True):
        run, truth, frames = measured(place, constant(rate), seconds, draw=draw)
        cells.append(errors_of(run.records, truth))
        note = f"with {frames} frames: " if draw else ""
        print(f"# {rate:g}/s {note}{run.verdict().measurement}", file=sys.stderr, flush=True)
    return cells


def table(rate: float, rounds: list[list[dict]]) -> None:
    for metric, title in METRICS.items():
        line = f"| {rate:g} | {title} |"
        for side in zip(*rounds, strict=True):
            for q in QUANTILES:
                line += f" {statistics.median(cell[metric][q] for cell in side) * 1e3:+.2f} |"
        print(line, flush=True)


def arrivals(scratch: Path) -> None:
    """Quantiles of the gaps between sent calls beside those of theory, at 100/s."""
    shares = np.array([0.01, 0.25, 0.5, 0.75, 0.99])
    for name, shape, theory in (
        ("constant", constant(100), np.full(5, 0.01)),
        ("poisson", poisson(100), -np.log(1 - shares) / 100),
    ):
        place = scratch / name
        place.mkdir()
        run, _, _ = measured(place, shape, 15.0, draw=False)
        gaps = np.quantile(np.diff(np.sort(run.records["start_s"])), shares)
        cells = " | ".join(
            f"{g * 1e3:.2f} ({t * 1e3:.2f})" for g, t in zip(gaps, theory, strict=True)
        )
        print(f"| {name} | {cells} |", flush=True)


if __name__ == "__main__":
    main()
