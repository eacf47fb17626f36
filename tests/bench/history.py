"""A simulated fortnight of hourly reports: what is found on its run or the next, what falsely.

    python -m tests.bench.history [REPETITIONS]        (10)

Each run has its calls drawn one by one; its level follows the hour of day and a noise with a memory
of one half between hours. On three days between the fourth and the last, in an order by chance,
both latency and TTFT go up by 15 % for good, 6 % of the calls of one run fail (0.4 % else), and
prices rise by 20 %. Each run is judged by those before it only: a report has news where a step of a
figure shows at its run. A false alarm is any news that none of the three explains; they are counted
by days. Below: the same for E-divisive with Welch's t-test over the last 50 runs, as Apache Otava
has it, and for PELT of ruptures where that is installed, both given the figures without the median
of their hour.
"""

import math
import sys
from time import process_time
from typing import NamedTuple

import numpy as np

from holymon.catalogue.history import Measured, lines_of
from holymon.figures.changes import courses
from holymon.load.entry import Entry, Known, OfTarget

HOURS = 336
TIMES = tuple(
    f"{metric}_{stat}" for metric in ("latency", "ttft") for stat in ("p50", "p95", "p99")
)
FAILURES = ("error_rate", "requests_per_s")
EXPLAINED = {"shift": TIMES, "errors": FAILURES, "price": ("cost_per_call",)}
ROWS = ((0.01, 400), (0.02, 400), (0.03, 400), (0.04, 400), (0.02, 100), (0.02, 2000))
BESIDE = ("latency_p50", "error_rate", "cost_per_call")
"""The figures that the other methods are given: there is less to be wrong about."""
SETTLING = 24
"""Hours in which the same step may show in further figures without being another alarm."""


class Fortnight(NamedTuple):
    """Runs of one target, and the hour at which each thing happened."""

    rows: list[Measured]
    begun: dict[str, int]


def fortnight(seed, spread=0.02, calls=400, *, hours=HOURS, memory=0.5, swing=0.15, earliest=4):
    """A fortnight whose runs of so many calls differ by a standard deviation of `spread`."""
    rng = np.random.default_rng(seed)
    days = rng.choice(np.arange(earliest, hours // 24 - 1), 3, replace=False)
    begun = {
        what: int(24 * day + rng.integers(24)) for what, day in zip(EXPLAINED, days, strict=True)
    }
    hour = np.arange(hours)
    day = swing * np.sin(2 * np.pi * (hour - 9) / 24) + swing / 3 * np.sin(np.pi * (hour - 3) / 6)
    after = math.log(1.15) * (hour >= begun["shift"])
    latency = math.log(0.4) + day + after + remembered(rng, hours, spread, memory)
    ttft = math.log(0.15) + 0.7 * day + after + remembered(rng, hours, spread, memory)
    tail = 0.3 * np.exp(remembered(rng, hours, 0.05, memory))
    rows = []
    for h in range(hours):
        z = rng.normal(size=(2, calls))
        figures = percentiles("latency", np.exp(latency[h] + tail[h] * z[0]))
        figures |= percentiles("ttft", np.exp(ttft[h] + 0.4 * (0.6 * z[0] + 0.8 * z[1])))
        failed = int(rng.binomial(calls, 0.06 if h == begun["errors"] else 0.004))
        price = 1e-3 * (1.2 if h >= begun["price"] else 1.0)
        figures["error_rate"] = Known(failed / calls)
        figures["requests_per_s"] = Known((calls - failed) / 60 * rng.normal(1, 0.002))
        figures["cost_usd"] = Known(float(price * rng.lognormal(-0.125, 0.5, calls).sum()))
        began = f"2026-11-{2 + h // 24:02}T{h % 24:02}:00:00+00:00"
        entry = Entry(f"hourly/{h:03}", 0, "finished", calls, began)
        rows.append(Measured(entry, OfTarget("sim/fast", calls, calls - failed, figures)))
    return Fortnight(rows, begun)


def remembered(rng, n, spread, memory):
    """Noise of which a part is there in the next hour."""
    kept, values = rng.normal(0, spread), np.zeros(n)
    for h in range(n):
        kept = memory * kept + rng.normal(0, spread * math.sqrt(1 - memory**2))
        values[h] = kept
    return values


def percentiles(metric, values):
    """The percentiles of a run with their intervals."""
    known, half = {}, 1.96 / math.sqrt(len(values))
    for stat, q in (("p50", 0.5), ("p95", 0.95), ("p99", 0.99)):
        about = half * math.sqrt(q * (1 - q))
        value, low, high = np.quantile(values, [q, q - about, min(q + about, 1)]).tolist()
        known[f"{metric}_{stat}"] = Known(value, low, high if q + about < 1 else None)
    return known


def alarms(rows):
    """The figure and the hour of each piece of news."""
    known = courses(lines_of("sim/fast", rows))
    return [(line.figure, shift.shown_at) for line, course in known for shift in course.shifts]


def judged(known, begun):
    """After how many runs each thing was found, None if it was not, and the false alarms."""
    delays, false = dict.fromkeys(EXPLAINED), []
    for figure, at in sorted(known, key=lambda alarm: alarm[1]):
        mine = [what for what, figures in EXPLAINED.items()
                if figure in figures and 0 <= at - begun[what] <= SETTLING]  # fmt: skip
        if not mine:
            false.append((figure, at))
        elif delays[mine[0]] is None:
            delays[mine[0]] = at - begun[mine[0]]
    return delays, false


def without_hours(y):
    """A figure without the median of its hour on the days before, from the fourth day on."""
    rest = np.zeros(len(y))
    for h in range(72, len(y)):
        rest[h] = y[h] - np.median(y[h % 24 : h : 24])
    return rest


def e_divisive(y):
    """Where the last of the runs so far are another distribution: the split, or None.

    Energy distance between the parts (Matteson and James 2014), then Welch's test with p < 0.001.
    """
    y, n = y[-50:], len(y[-50:])
    apart = np.abs(y[:, None] - y)
    best, where = 0.0, None
    for k in range(2, n - 1):
        a, b = apart[:k, :k].sum() / (k * (k - 1)), apart[k:, k:].sum() / ((n - k) * (n - k - 1))
        energy = k * (n - k) / n * (2 * apart[:k, k:].mean() - a - b)
        if energy > best:
            best, where = energy, k
    if where is None:
        return None
    left, right = y[:where], y[where:]
    error = math.sqrt(left.var(ddof=1) / len(left) + right.var(ddof=1) / len(right))
    return where - n if abs(left.mean() - right.mean()) > 3.5 * max(error, 1e-9) else None


def pelt(y):
    """The last change point of PELT with least squares, as a place from the end, or None."""
    import ruptures

    y = y[-150:]
    noise = (np.median(np.abs(np.diff(y))) / 0.9539) ** 2
    points = ruptures.Pelt("l2", min_size=2, jump=1).fit(y).predict(pen=12 * noise)
    return points[-2] - len(y) if len(points) > 1 else None


def alarms_by(method, rows):
    """News of a method that looks back over the figures so far: a split that is new."""
    known = []
    for line in lines_of("sim/fast", rows):
        if line.figure not in BESIDE:
            continue
        y, told = without_hours(line.runs.y), []
        for h in range(76, len(y)):
            split = method(y[72 : h + 1])
            if split is not None and all(abs(h + 1 + split - place) > 3 for place in told):
                told.append(h + 1 + split)
                known.append((line.figure, h))
    return known


def summary(name, results, seconds):
    """A line of the table."""
    at_once = {
        what: sum(d[what] is not None and d[what] <= 1 for d, _ in results) for what in EXPLAINED
    }
    false = [len({at // 24 for _, at in wrong}) for _, wrong in results]
    late = [d["shift"] for d, _ in results if d["shift"] is not None]
    return (
        f"| {name} | {' | '.join(f'{at_once[what]} of {len(results)}' for what in EXPLAINED)} | "
        f"{np.median(late) if late else '-'} | {sum(false)}, {max(false)} | {seconds / len(results):.2f} |"
    )


def main():
    repetitions = int(sys.argv[1]) if len(sys.argv) > 1 else 10
    print("| method; spread between runs, calls a run | shift of 15 % | errors | price | median delay "
          "of the shift, runs | days with a false alarm: all, most of one | s a fortnight |")  # fmt: skip
    print("|---|---|---|---|---|---|---|")
    for spread, calls in ROWS:
        worlds = [fortnight(seed, spread, calls) for seed in range(repetitions)]
        begun = process_time()
        results = [judged(alarms(world.rows), world.begun) for world in worlds]
        label = f"holymon; {spread:.0%}, {calls}"
        print(summary(label, results, process_time() - begun), flush=True)
        if (spread, calls) != (0.02, 400):
            continue
        for method in (e_divisive, pelt):
            begun = process_time()
            try:
                results = [judged(alarms_by(method, w.rows), w.begun) for w in worlds[:4]]
            except ImportError:
                continue
            label = f"{method.__name__}; {spread:.0%}, {calls}"
            print(summary(label, results, process_time() - begun), flush=True)


if __name__ == "__main__":
    main()
