"""How often a comparison cries wolf, and how often it finds a shift of 10 %, by simulation.

    python -m tests.bench.comparison

Latencies are lognormal (sigma 0.3), successive ones correlated by rho, and each run has a level
of its own that differs by 3 % (standard deviation), as runs at different hours do.
"""

import numpy as np

from tests.figures.test_comparison import alternated, interleaved

DESIGNS = {
    "5 pairs of runs, 200 calls each": (alternated, {"offset": 0.03}),
    "8 pairs of runs, 200 calls each": (alternated, {"offset": 0.03, "pairs": 8}),
    "12 pairs of runs, 200 calls each": (alternated, {"offset": 0.03, "pairs": 12}),
    "one run, interleaved, 600 calls each": (interleaved, {}),
    "one run, interleaved, 2,000 calls each": (interleaved, {"n": 2000}),
}
ALARMS, FINDS = 200, 100


def found(compared) -> bool:
    """Whether the second side's p50 or p95 latency is shown to be higher."""
    return any(one.metric == "latency_s" and one.result == "higher" for one in compared.ratios)


def main() -> None:
    print("| design | rho | false alarms | finds +10 % |")
    print("| --- | --- | --- | --- |", flush=True)
    for name, (design, more) in DESIGNS.items():
        for rho in (0.0, 0.3, 0.6, 0.9, 0.98):
            rng = np.random.default_rng(1)
            alarms = sum(design(rng, rho=rho, **more).shown for _ in range(ALARMS)) / ALARMS
            finds = sum(found(design(rng, rho=rho, shift=1.1, **more)) for _ in range(FINDS))
            print(f"| {name} | {rho} | {alarms:.1%} | {finds / FINDS:.0%} |", flush=True)


if __name__ == "__main__":
    main()
