"""What a call costs in CPU, beside the code of another checkout: both at once on the same core.

    python -m tests.bench.against OTHER_CHECKOUT [--rounds 9] [--seconds 10]

Two measurements that share a core share its temper too, so that their ratio bears a noisy machine.
Each side has a server process of its own on the other core. In every second round the sides change
places, and both trees are compiled first: code that is not read from `__pycache__` lies differently
in memory, which costs up to a twentieth.
"""

import argparse
import compileall
import os
import statistics
import subprocess
import sys
from pathlib import Path

from tests.bench.speed.__main__ import row

HERE = Path(__file__).parents[2]
SIDE = """
import pathlib, sys, tempfile, warnings
warnings.simplefilter("ignore")
import holymon as hm
from tests.bench.speed.__main__ import measured, server, speed
stream, seconds = sys.argv[1] == "True", float(sys.argv[2])
with tempfile.TemporaryDirectory() as folder, server() as port:
    more = dict(stream=stream, load=hm.Closed(users=32), duration_s=seconds)
    print(speed(measured(pathlib.Path(folder), port, **more))[1])
"""


def both(trees, stream, seconds):
    """CPU seconds per call of each tree's worker, measured at the same time."""
    sides = [
        subprocess.Popen(
            [sys.executable, "-c", SIDE, str(stream), str(seconds)],
            cwd=tree, env=dict(os.environ, PYTHONPATH=str(tree)), stdout=subprocess.PIPE, text=True,
        )
        for tree in trees
    ]  # fmt: skip
    return [float(side.communicate()[0].split()[-1]) for side in sides]


def ratios(other, stream, rounds, seconds):
    """CPU per call of this tree, over that of the other, of each round."""
    values = []
    for k in range(rounds):
        trees = [other, HERE][:: -1 if k % 2 else 1]
        cost = dict(zip(trees, both(trees, stream, seconds), strict=True))
        values.append(cost[HERE] / cost[other])
    return sorted(values)


def main():
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("other", type=Path)
    parser.add_argument("--rounds", type=int, default=9)
    parser.add_argument("--seconds", type=float, default=10.0)
    words = parser.parse_args()
    other = words.other.resolve()
    for tree in (HERE, other):
        compileall.compile_dir(tree / "holymon", quiet=1)
        compileall.compile_dir(tree / "tests/bench", quiet=1)
    row("32 in flight, CPU per call of the other's", "median", "least", "most")
    row(*["---"] * 4)
    for stream in (False, True):
        values = ratios(other, stream, words.rounds, words.seconds)
        label = "streams of 16 tokens" if stream else "not streamed"
        row(
            label, *(f"{value:.3f}" for value in (statistics.median(values), values[0], values[-1]))
        )


if __name__ == "__main__":
    main()
