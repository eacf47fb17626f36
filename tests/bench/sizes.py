"""How often the intervals of what a token costs hold: `python -m tests.bench.sizes [RUNS]`.

Of runs with a known line (20 ms and 0.2 ms for each token of a prompt), with noise that adds up, that
grows with the size, and with one call in twenty a second late; independent or alike (autocorrelation
0.7); prompts of many lengths or of two. 95 % are wanted.
"""

import sys

import numpy as np

from holymon.figures.size_fit import interval, left_out, line

BASE, EACH = 0.02, 0.0002


def noise(draw: np.random.Generator, n: int, alike: float) -> np.ndarray:
    """Standard normal, shape (n,), each `alike` the one before."""
    z = draw.standard_normal(n)
    for k in range(1, n):
        z[k] = alike * z[k - 1] + np.sqrt(1 - alike**2) * z[k]
    return z


def sizes(draw: np.random.Generator, n: int, kind: str) -> np.ndarray:
    """Tokens of prompts, shape (n,)."""
    if kind == "lognormal":
        return np.exp(draw.normal(6, 1, n)).round()
    return draw.choice([200.0, 1000.0], n) if kind == "two" else draw.uniform(100, 2000, n).round()


def times(draw: np.random.Generator, x: np.ndarray, z: np.ndarray, kind: str) -> np.ndarray:
    """TTFT, shape (n,)."""
    base = BASE + EACH * x
    if kind == "grows":
        return base * np.exp(0.3 * z)
    late = (draw.random(len(x)) < 0.05) * draw.exponential(1, len(x)) if kind == "late" else 0.0
    return base + 0.005 * z + late


def main() -> None:
    """A line for each kind of run."""
    runs, draw = int(sys.argv[1]) if len(sys.argv) > 1 else 200, np.random.default_rng(1)
    print("calls  noise  alike  prompts    base held  each held  width / each")
    for n in (100, 200, 1000):
        for kind in ("adds", "grows", "late"):
            for alike in (0.0, 0.7):
                for lengths in ("uniform", "lognormal", "two"):
                    held, widths = np.zeros(2), []
                    for _ in range(runs):
                        x = sizes(draw, n, lengths)
                        y = times(draw, x, noise(draw, n, alike), kind)
                        without = left_out(n, lambda at, x=x, y=y: line(x[at], y[at]))
                        for k, (value, truth) in enumerate(
                            zip(line(x, y), (BASE, EACH), strict=True)
                        ):
                            low, high = interval(value, without[:, k])
                            held[k] += low <= truth <= high
                        widths.append(high - low)
                    base, each = held / runs
                    print(f"{n:5} {kind:>6} {alike:6} {lengths:>10} {base:10.3f} {each:10.3f} "
                          f"{np.median(widths) / EACH:10.2f}", flush=True)  # fmt: skip


if __name__ == "__main__":
    main()
