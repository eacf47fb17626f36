"""Hours of a simulated fortnight as real reports, beside what the simulation says of the same hours.

    python -m tests.bench.hourly [SEED]        (seed 1: 19 reports, 13 s of CPU each)

The calls that `tests.bench.history` draws become rows of run folders, an hour apart by their own
clock, and of chosen hours `holymon report --run --baseline 7d` makes the report as cron would: each
before the runs after it are there. Chosen are the hour before each of the three things that happen,
that hour and the two after it, and some quiet ones.
"""

import json
import os
import subprocess
import sys
import tempfile
from datetime import UTC, datetime, timedelta
from pathlib import Path
from unittest import mock

import numpy as np

from holymon.catalogue.history import lines_of
from holymon.errors import CODES
from holymon.figures.changes import since
from holymon.plan.plan import Open, Plan, Target
from holymon.plan.price import Price
from holymon.plan.shapes import constant
from holymon.records import run_folder
from holymon.records.attempt import DTYPE, FINISH, Flag
from holymon.records.records import Records
from tests.bench import history

FIRST = datetime(2026, 11, 2, tzinfo=UTC)
CALLS, LENGTH_S, WEEK_S = 400, 60, 7 * 86400
QUIET = (60, 96, 150, 200, 250, 300, 330)


def drawn(seed):
    """A fortnight, and the latency and TTFT of each of its calls."""
    kept, real = [], history.percentiles

    def keeping(metric, values):
        kept.append(values)
        return real(metric, values)

    with mock.patch.object(history, "percentiles", keeping):
        known = history.fortnight(seed, calls=CALLS)
    return known, [*zip(kept[::2], kept[1::2], strict=True)]


def written(out, hour, row, times, dearer):
    """The run of an hour as a folder; its id."""
    at = FIRST + timedelta(hours=hour)
    folder = out / "hourly" / f"{at:%Y%m%dT%H%M%SZ}"
    folder.mkdir(parents=True)
    price = 1200.0 if dearer else 1000.0
    target = Target(provider="url", model="m", base_url="http://127.0.0.1:9/v1",
                    price=Price(input=0.0, output=price))  # fmt: skip
    plan = Plan(targets=(target,), load=Open(constant(CALLS / LENGTH_S)), duration_s=LENGTH_S,
                name="hourly", slo=("error_rate<5%",))  # fmt: skip
    run_folder.write_aside(folder / "plan.json", plan.to_json())
    run_folder.write_state(folder, state="finished", started_at=at.isoformat())
    records = Records(plan.targets)
    rows = rows_of(plan, row, times, price, np.random.default_rng(hour))
    none = np.empty(0, records.gap_pairs.dtype)
    records.extend(rows, none, np.zeros(len(rows), np.int64))
    run_folder.compact(folder, records)
    return f"hourly/{folder.name}"


def rows_of(plan, row, times, price, rng):
    due, numbers = plan.schedule()
    latency, ttft = times[0], np.minimum(times[1], 0.98 * times[0])
    rows, bad = np.zeros(len(due), DTYPE), np.zeros(len(due), bool)
    bad[rng.choice(len(due), row.of.requests - row.of.ok, replace=False)] = True
    weight = np.where(bad, 0, rng.lognormal(-0.125, 0.5, len(due)))
    tokens = row.of.figures["cost_usd"].value / (price / 1e6) * weight / weight.sum()
    start = due + 1e-4 + rng.exponential(1e-4, len(due))
    first = np.where(bad, np.nan, start + ttft)
    for name in ("connect_s", "retry_after_s", "tool_call_s"):
        rows[name] = np.nan
    for name in ("cached_tokens", "reasoning_tokens", "written_tokens"):
        rows[name] = -1
    rows["due_s"], rows["start_s"], rows["request"] = due, start, numbers
    rows["first_s"] = rows["content_s"] = rows["chunk_s"] = first
    rows["end_s"] = start + np.where(bad, 0.05, latency)
    rows["headers_s"] = np.minimum(start + 0.9 * ttft, rows["end_s"])
    rows["last_s"] = np.where(bad, np.nan, rows["end_s"] - 1e-4)
    rows["gap_max_s"] = np.where(bad, np.nan, (latency - ttft) / 15)
    rows["prompt_tokens"] = np.where(bad, -1, 20)
    rows["output_tokens"] = np.where(bad, -1, np.maximum(1, np.round(tokens)))
    rows["chunks"] = rows["events"] = np.where(bad, 0, 16)
    rows["status"] = np.where(bad, 500, 200)
    rows["flags"] = int(Flag.STREAM) | np.where(bad, 0, int(Flag.SERVER_TOKENS))
    rows["error"][bad] = CODES["server_error"]
    rows["finish"][~bad] = FINISH.index("stop")
    return rows


def reported(out, run_id):
    """The exit code of a report, what it says, and the CPU of its processes."""
    before = os.times()
    command = [sys.executable, "-m", "holymon", "report", "--run", run_id, "--out", str(out),
               "--baseline", "7d"]  # fmt: skip
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    after = os.times()
    about = json.loads((out / run_id / "run.json").read_text())
    return done.returncode, about, after.children_user - before.children_user


def simulated(rows, hour):
    """What the simulation says has changed in the week before that hour: figures and hours."""
    at = (FIRST + timedelta(hours=hour)).timestamp()
    found = since(lines_of("sim/fast", rows[: hour + 1]), rows[hour].entry.run_id, at - WEEK_S)
    return {(c.figure, int(c.since_run.rpartition("/")[2])) for c in found.changes}


def main(seed=1):
    (rows, begun), times = drawn(seed)
    around = {hour + k for hour in begun.values() for k in (-1, 0, 1, 2)}
    hours = sorted(around.union(QUIET))
    ids, equal = [], 0
    print(f"seed {seed}: {begun}")
    with tempfile.TemporaryDirectory() as folder:
        for hour in hours:
            ids += [written(Path(folder), k, rows[k], times[k], k >= begun["price"])
                    for k in range(len(ids), hour + 1)]  # fmt: skip
            code, about, cpu = reported(Path(folder), ids[hour])
            ours = {(c["figure"], ids.index(c["since_run"])) for c in about["changes"]}
            theirs = simulated(rows, hour)
            equal += ours == theirs
            print(f"{hour:>4} exit {code}, {cpu:.0f} s: {about['health']['line']}", flush=True)
            for name, only in (("report", ours - theirs), ("simulation", theirs - ours)):
                if only:
                    print(f"       only the {name}: {sorted(only)}")
    print(f"the same changes in {equal} of {len(hours)} hours")


if __name__ == "__main__":
    main(*map(int, sys.argv[1:]))
