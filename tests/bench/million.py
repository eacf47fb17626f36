"""What a run of a million calls costs to keep, to open, to summarize, to draw and to report.

    python -m tests.bench.million [CALLS]...     (10,000, 100,000 and 1,000,000)

The run is made with numpy: two targets in an open loop at 4,000 calls/s, streams of 16 tokens, TTFT
and gaps lognormal, 2 % failures (a tenth of the calls in a bad minute), times as a monotonic clock
gives them, with all the noise of a float. It is written and read by holymon's own code. Seconds are
those of CPU, which other work on the machine changes little.
"""

import resource
import shutil
import subprocess
import sys
import tempfile
import tracemalloc
from collections.abc import Callable
from pathlib import Path
from time import process_time
from typing import Any

import numpy as np

import holymon
from holymon.errors import CODES
from holymon.figures.summary import summarize
from holymon.figures.tool_definitions import definitions
from holymon.load.run import Run
from holymon.plan.plan import Open, Plan, Target
from holymon.plan.price import Price
from holymon.plan.shapes import poisson
from holymon.plots import picture
from holymon.records import run_folder
from holymon.records.attempt import DTYPE, FINISH, GAP, GAP_BINS, Flag, gap_bin
from holymon.records.frames import header
from holymon.records.journal import Follower
from holymon.records.records import Records

SIZES = (10_000, 100_000, 1_000_000)
RATE, TOKENS, STEP = 4000.0, 16, 1000
GOALS = {
    "memory after following, bytes a record": 200,
    "memory after opening, bytes a record": 200,
    "journal, bytes a record": 250,
    "Parquet, bytes a record": 60,
    "opening a compacted run, s": 1.0,
    "summarize, s": 2.0,
    "all six plots as PNG, s": 5.0,
    "report.html, MB": 3.0,
    "holymon report --run, s": 15.0,
}


def plan_of(calls: int) -> Plan:
    price = Price(input=0.5, output=1.5)
    targets = tuple(
        Target(provider="url", model=model, base_url="http://127.0.0.1:9/v1", price=price)
        for model in ("small", "large")
    )
    return Plan(
        targets=targets, load=Open(poisson(RATE / 2)), duration_s=calls / RATE,
        slo=("ttft_p95<1s", "latency_p99<5s", "error_rate<5%"),
    )  # fmt: skip


def records_of(calls: int, seed: int = 1, tokens: int = TOKENS) -> Records:
    """Rows and gaps as `calls` real ones leave them, in the order of their ends."""
    rng = np.random.default_rng(seed)
    plan = plan_of(calls)
    due, numbers = plan.schedule()
    n = len(due)
    target = numbers % len(plan.targets)
    rows = np.zeros(n, DTYPE)
    start = due + 1e-4 + rng.exponential(1e-4, n)
    ttft = rng.lognormal(np.log(0.18 + 0.07 * target), 0.45)
    pace = rng.lognormal(np.log(0.012 + 0.006 * target), 0.25)  # of an answer: its gaps are alike
    gaps = pace[:, None] * rng.lognormal(0, 0.35, (n, tokens - 1))
    first = start + ttft
    times = first[:, None] + np.concatenate([np.zeros((n, 1)), gaps.cumsum(axis=1)], axis=1)
    bad = rng.random(n) < np.where(np.abs(due / max(due[-1], 1e-9) - 0.5) < 0.05, 0.1, 0.011)
    refused = bad & (rng.random(n) < 0.6)
    cut = bad & ~refused
    came = np.where(refused, 0, np.where(cut, rng.integers(0, tokens, n), tokens))
    last = times[np.arange(n), np.maximum(came - 1, 0)]
    headers = np.where(refused, start + rng.lognormal(-4, 0.4, n), first - rng.exponential(2e-3, n))
    rows["due_s"], rows["start_s"] = due, start
    rows["headers_s"] = np.maximum(headers, start + 1e-4)
    rows["first_s"] = np.where(came > 0, first, np.nan)
    rows["content_s"] = rows["first_s"]
    rows["chunk_s"] = rows["first_s"] - rng.exponential(1e-4, n)
    rows["last_s"] = np.where(came > 0, last, np.nan)
    rows["end_s"] = np.where(refused, rows["headers_s"], last) + rng.exponential(3e-4, n)
    there = np.arange(tokens - 1) < came[:, None] - 1
    longest = np.where(there, gaps, 0).max(axis=1)
    rows["gap_max_s"] = np.where(came > 1, longest, np.nan)
    fresh = rng.random(n) < 256 / n
    rows["connect_s"] = np.where(fresh, rng.lognormal(-7, 0.3, n), np.nan)
    rows["retry_after_s"] = np.where(refused, 1.0, np.nan)
    rows["request"], rows["target"] = numbers, target
    rows["prompt_tokens"] = np.where(bad, -1, rng.integers(20, 60, n))
    rows["output_tokens"] = np.where(bad & (came == 0), -1, came)
    rows["cached_tokens"] = rows["reasoning_tokens"] = -1
    rows["chunks"] = rows["events"] = came
    rows["bytes"] = np.where(refused, 180, 300 + 290 * came + rng.integers(0, 80, n))
    rows["status"] = np.where(refused, 429, 200)
    rows["flags"] = (
        int(Flag.STREAM) | np.where(bad, 0, int(Flag.SERVER_TOKENS))
        | np.where(fresh, int(Flag.NEW_CONNECTION), 0)
        | np.where(cut & (came > 0), int(Flag.AFTER_FIRST_TOKEN), 0)
    )  # fmt: skip
    rows["error"][refused] = CODES["rate_limited"]
    rows["error"][cut] = rng.choice([CODES["stream_truncated"], CODES["server_error"]], cut.sum())
    rows["finish"] = np.where(bad, 0, np.where(rng.random(n) < 0.8, FINISH.index("stop"),
                                               FINISH.index("length")))  # fmt: skip
    rows["code"][refused] = b"rate_limit_exceeded"
    for name in (name for name in DTYPE.names if DTYPE[name] == "f8"):
        rows[name] = _clocked(rows[name])
    order = np.argsort(rows["end_s"], kind="stable")
    pairs, counts = _counted(gaps[order], there[order])
    found = Records(plan.targets)
    found.extend(rows[order], pairs, counts)
    return found


def _clocked(seconds: np.ndarray) -> np.ndarray:
    """Times as differences of readings of a clock that counts nanoseconds since some boot."""
    zero = 345_678.123456789
    return np.round((zero + seconds) * 1e9) / 1e9 - zero


def _counted(gaps: np.ndarray, there: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Gaps as each call's pairs of (bin, n), in the order in which the bins were first met."""
    n, width = gaps.shape
    bins = np.minimum(np.log(np.maximum(gaps, 1e-6) / 1e-6) / np.log(1.01) + 1, GAP_BINS - 1)
    bins = np.where(there, bins.astype(np.int64), -1)
    assert all(gap_bin(g) == b for g, b in zip(gaps[0], bins[0], strict=True) if b > 0)
    met = np.zeros((n, width), np.int64)
    new = bins >= 0
    for k in range(1, width):  # add each gap to the first one of its bin
        same = bins[:, :k] == bins[:, k : k + 1]
        again = same.any(axis=1) & new[:, k]
        met[again, same.argmax(axis=1)[again]] += 1
        new[again, k] = False
    pairs = np.zeros(int(new.sum()), GAP)
    pairs["bin"], pairs["n"] = bins[new], met[new] + 1
    return pairs, new.sum(axis=1)


def write_journal(folder: Path, records: Records) -> None:
    """The journal that a worker would have written."""
    rows, pairs = records.rows.tobytes(), records.gap_pairs.tobytes()
    at, size, out = 0, DTYPE.itemsize, [header(0)]
    for i, count in enumerate(records.gap_counts.tolist()):
        stop = at + count * GAP.itemsize
        length = size + stop - at
        out += (length.to_bytes(2, "little"), rows[i * size : i * size + size], pairs[at:stop])
        at = stop
    (folder / "calls.0.journal").write_bytes(b"".join(out))


def a_run(out: Path, calls: int) -> tuple[Path, Records]:
    """A finished run of `calls` calls that was never compacted."""
    records = records_of(calls)
    folder = run_folder.new_folder(out, f"calls-{calls}")
    run_folder.write_aside(folder / "plan.json", plan_of(calls).to_json())
    run_folder.write_state(folder, state="finished", started_at=run_folder.now().isoformat())
    write_journal(folder, records)
    return folder, records


def held(records: Records) -> int:
    """Bytes of all arrays, with the room to grow."""
    arrays = [*vars(records).values(), *(records._columns or {}).values()]
    return sum(one.nbytes for one in arrays if isinstance(one, np.ndarray))


def timed(work: Callable[[], Any]) -> tuple[float, Any]:
    begun = process_time()
    found = work()
    return process_time() - begun, found


def peak_of(work: Callable[[], Any]) -> int:
    """The most memory that `work` holds at once, beyond what was there before, in bytes."""
    tracemalloc.start()
    before = tracemalloc.get_traced_memory()[0]
    work()
    peak = tracemalloc.get_traced_memory()[1]
    tracemalloc.stop()
    return peak - before


def following(source: Path, folder: Path, plan: Plan) -> tuple[float, Records]:
    """Follow a journal that grows by a quarter of a second at 4,000 rows/s between two looks."""
    data = (source / "calls.0.journal").read_bytes()
    step = len(data) * STEP // max(round(plan.seconds * RATE), 1)
    records = Records(plan.targets)
    follower, spent = Follower(folder, records), 0.0
    with (folder / "calls.0.journal").open("wb", buffering=0) as file:
        for at in range(0, len(data), step):
            file.write(data[at : at + step])
            spent += timed(follower.poll)[0]
    return spent / (len(data) / step), records


def reported(folder: Path, out: Path) -> float:
    command = [sys.executable, "-m", "holymon", "report", "--run", str(folder), "--out", str(out)]
    before = of_children()
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    assert "report.html" in done.stdout, done.stderr
    return of_children() - before


def of_children() -> float:
    """Seconds of CPU of all processes that have ended, with those that they started."""
    spent = resource.getrusage(resource.RUSAGE_CHILDREN)
    return spent.ru_utime + spent.ru_stime


def measured(calls: int, out: Path, *, report: bool = True) -> dict[str, float]:
    """Every step's cost for a run of so many calls."""
    folder, made = a_run(out, calls)
    n, found = len(made), {}
    del made
    plan = run_folder.read_plan(folder)
    other = out / "followed"
    other.mkdir()
    each, records = following(folder, other, plan)
    found["following 1,000 new rows, ms"] = each * 1e3
    found["memory after following, bytes a record"] = held(records) / n
    found["journal, bytes a record"] = (folder / "calls.0.journal").stat().st_size / n
    shutil.rmtree(other)
    found["reading a journal, s"], records = timed(lambda: run_folder.load(folder))
    found["compacting, s"], _ = timed(lambda: run_folder.compact(folder, records))
    for name in ("calls", "gaps"):
        size = (folder / f"{name}.parquet").stat().st_size
        found[f"{name}.parquet, bytes a record"] = size / n
    found["Parquet, bytes a record"] = sum(
        found[f"{name}.parquet, bytes a record"] for name in ("calls", "gaps")
    )
    found["opening a compacted run, s"], run = timed(lambda: Run(folder))
    records = run.records
    found["memory after opening, bytes a record"] = held(records) / n
    found["summarize, s"], _ = timed(lambda: summarize(records))
    found["summarize at its peak, bytes a record"] = peak_of(lambda: summarize(records)) / n
    found["definitions of the report, s"], _ = timed(lambda: definitions(records))
    total = 0.0
    for name in ("latency", "ttft", "ecdf", "errors", "schedule_delay", "arrivals"):
        draw, of = getattr(holymon, f"plot_{name}"), run if name == "arrivals" else records
        found[f"{name}, s"], png = timed(lambda draw=draw, of=of: picture.png(draw(of).figure))
        found[f"{name}, kB"] = len(png) / 1e3
        total += found[f"{name}, s"]
    found["all six plots as PNG, s"] = total
    found["to_frame, s"], _ = timed(records.to_frame)
    if report:
        del run, records
        found["holymon report --run, s"] = reported(folder, out)
        found["report.html, MB"] = (folder / "report.html").stat().st_size / 1e6
    return found


def main() -> None:
    sizes = [int(text.replace(",", "")) for text in sys.argv[1:]] or list(SIZES)
    columns = []
    with tempfile.TemporaryDirectory() as folder:
        for calls in sizes:
            columns.append(measured(calls, Path(folder)))
            print(f"{calls:,}: done", file=sys.stderr, flush=True)
    print("| step | goal | " + " | ".join(f"{calls:,}" for calls in sizes) + " |")
    print("| --- |" + " --- |" * (len(sizes) + 1))
    for step in columns[0]:
        goal = GOALS.get(step)
        said = "" if goal is None else f"{goal:g}"
        print(f"| {step} | {said} | " + " | ".join(f"{one[step]:.3g}" for one in columns) + " |")
    most = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1e6
    print(f"\nresident memory of all this at its peak: {most:.2f} GB")


if __name__ == "__main__":
    main()
