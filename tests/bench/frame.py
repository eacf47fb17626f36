"""CPU and bytes of a frame of the live figure: blit, a full draw, and savefig, in the same run.

    python -m tests.bench.frame

Two targets, 20 calls a second in all, 3 % of them fail; drawn at 4 Hz in real time for 30 s, as
the dashboard does. Smooth latencies vary by 6 %, noisy ones by 60 % (lognormal). Milliseconds of
CPU of the drawing thread; savefig draws the same figure with the same data at every fourth frame.
"""

import io
from time import sleep, thread_time

import numpy as np

from holymon.errors import NAMES
from holymon.plan.plan import Open, Plan, Target
from holymon.plan.shapes import poisson
from holymon.records import client_health
from holymon.records.attempt import DTYPE, GAP, Flag
from holymon.records.records import Records
from holymon.widgets.live_figure import LiveFigure

SECONDS, RATE, HZ = 30, 20, 4


def rows(sigma: float) -> np.ndarray:
    """The calls of a run, in the order of their ends."""
    rng, n = np.random.default_rng(1), RATE * SECONDS
    made = np.zeros(n, DTYPE)
    start = np.sort(rng.uniform(0, SECONDS, n))
    latency = 0.35 * np.exp(rng.normal(0, sigma, n))
    made["due_s"] = made["start_s"] = start
    made["first_s"], made["end_s"] = start + 0.3 * latency, start + latency
    made["target"], made["flags"] = np.arange(n) % 2, Flag.STREAM
    failed = rng.random(n) < 0.03
    made["error"][failed] = rng.integers(1, len(NAMES), failed.sum())
    return made[np.argsort(made["end_s"])]


def main() -> None:
    targets = tuple(Target(provider="sim", model=name) for name in ("fast", "slow"))
    plan = Plan(targets=targets, load=Open(poisson(RATE / 2)), duration_s=SECONDS)
    print("| data | drawn by | frames | ms p50 | ms p95 | kB p50 | kB max |")
    print("| --- | --- | --- | --- | --- | --- | --- |")
    for name, sigma in (("smooth", 0.06), ("noisy", 0.6)):
        for kind, found in drawn(plan, rows(sigma)).items():
            cost, size = np.array(found).T
            print(f"| {name} | {kind} | {len(cost)} | {np.median(cost) * 1e3:.1f} | "
                  f"{np.quantile(cost, 0.95) * 1e3:.1f} | {np.median(size) / 1e3:.0f} | "
                  f"{size.max() / 1e3:.0f} |", flush=True)  # fmt: skip


def drawn(plan: Plan, calls: np.ndarray) -> dict[str, list[tuple[float, int]]]:
    """CPU seconds and bytes of each frame, by the way it was drawn."""
    figure, records, lines = LiveFigure(plan.targets, plan), Records(plan.targets), []
    found: dict[str, list[tuple[float, int]]] = {"blit": [], "full draw": [], "savefig": []}
    for step in range(1, SECONDS * HZ + 1):
        now, seen = step / HZ, len(records)
        new = calls[seen : np.searchsorted(calls["end_s"], now)]
        records.extend(new, np.zeros(0, GAP), np.zeros(len(new), np.int64))
        if step % HZ == 0:
            lines.append(
                client_health.line(now, [0.001], 0.2, 0.0, 0.0, 0.0, int(5 + 3 * np.sin(now)), 100)
            )
        health, before, began = [client_health.read(lines).flight], figure.full_draws, thread_time()
        size = len(figure.frame(records, health, now))
        kind = "blit" if figure.full_draws == before else "full draw"
        found[kind].append((thread_time() - began, size))
        if step % HZ == 0:
            found["savefig"].append(saved(figure))
        sleep(1 / HZ)
    return found


def saved(figure: LiveFigure) -> tuple[float, int]:
    """The same figure, drawn and written in full."""
    began, out = thread_time(), io.BytesIO()
    figure.figure.savefig(out, format="png", dpi=100)
    return thread_time() - began, len(out.getvalue())


if __name__ == "__main__":
    main()
