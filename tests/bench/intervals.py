"""How often intervals of a run hold the truth, and how wide they are, by simulation.

    python -m tests.bench.intervals [RUNS]      (400)

Calls are lognormal; successive ones are correlated by rho, or slow for stretches of 100. A cell is
`held / given / wide`: how often an interval that is given holds the truth, how often it is given,
and its width over that of the plain interval, which takes calls for independent.
"""

import sys
from statistics import NormalDist

import numpy as np

from holymon.figures.quantiles import PERCENTILES, fewest_for_interval
from tests.promises.statistics.test_successive_calls import (
    chain,
    coverage,
    stretches,
    true_of_stretches,
)

SIZES = (30, 60, 100, 300, 1000, 3000, 10_000, 100_000)
MOST = 40_000_000
"""Values of one cell at most: of long runs there are fewer."""


def cells(kind, n, runs):
    rng = np.random.default_rng((5, n))
    runs = min(runs, MOST // n)
    values = stretches(rng, runs, n) if kind == "stretches" else chain(rng, runs, n, kind)
    for level, q in PERCENTILES.items():
        if n < fewest_for_interval(q):
            yield ""
            continue
        true = true_of_stretches(q) if kind == "stretches" else NormalDist().inv_cdf(q)
        plain, held, given, wide = coverage(values, true, level)
        yield f"{held:.3f} / {given:.2f} / {wide:.2f} (plain {plain:.3f})"


def main() -> None:
    runs = int(sys.argv[1]) if len(sys.argv) > 1 else 400
    print("| calls | rho | " + " | ".join(PERCENTILES) + " |")
    print("| --- | --- |" + " --- |" * len(PERCENTILES))
    for n in SIZES:
        for kind in (0.0, 0.3, 0.6, 0.9, "stretches"):
            print(f"| {n:,} | {kind} | " + " | ".join(cells(kind, n, runs)) + " |", flush=True)


if __name__ == "__main__":
    main()
