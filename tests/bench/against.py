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

from tests.bench.speed.__main__ import CLIENT, row, server

HERE = Path(__file__).parents[2]
SIDE = """
import sys, tempfile, warnings
warnings.simplefilter("ignore")
import holymon as hm
port, stream, seconds = sys.argv[1], sys.argv[2] == "True", float(sys.argv[3])
target = hm.Target(provider="url", model="whole", base_url=f"http://127.0.0.1:{port}/v1")
prompts = hm.Prompts(texts=("hello",), max_tokens=16, stream=stream)
plan = hm.Plan(targets=(target,), prompts=prompts, load=hm.Closed(users=32), duration_s=seconds)
with tempfile.TemporaryDirectory() as folder:
    run = hm.measure(plan, out=folder)
    assert run.records.ok.all(), run.records.errors(~run.records.ok)
    calls = (run.records["end_s"] < seconds).sum() / seconds
    print(run.vitals.cpu[1:-1].mean() / calls)
"""


def both(trees, stream, seconds):
    """CPU seconds per call of each tree, measured at the same time."""
    sides = []
    with server() as one, server() as two:
        for tree, port in zip(trees, (one, two), strict=True):
            words = ["taskset", "-c", str(CLIENT[0]), sys.executable, "-c", SIDE]
            words += [str(port), str(stream), str(seconds)]
            about = dict(os.environ, PYTHONPATH=str(tree))
            sides.append(
                subprocess.Popen(words, cwd=tree, env=about, stdout=subprocess.PIPE, text=True)
            )
        texts = [side.communicate()[0] for side in sides]
    return [float(text.split()[-1]) for text in texts]


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
