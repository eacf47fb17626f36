"""How long a question over many runs takes: p99 by day and target of a hundred million calls.

    python -m tests.bench.archive [MILLIONS]        (100: 7 GB of disk below TMPDIR for its time)

A run of a million calls a day; five are made as in `tests.bench.million`, the others are their copies
under other dates. The question goes to `hm.sql` in a process of its own, whose memory is its peak.
"""

import json
import subprocess
import sys
import tempfile
from datetime import UTC, datetime, timedelta
from pathlib import Path
from shutil import copyfile
from time import perf_counter

from holymon.records import run_folder
from tests.bench.million import plan_of, records_of

CALLS, MADE = 1_000_000, 5
FIRST = datetime(2026, 1, 1, tzinfo=UTC)
BY = "select sent_at::date as day, target, {} as p99, count(*) as n from calls where error_type = '' "
QUESTIONS = {
    "how many": "select count(*) as n from calls",
    "p99 by day and target": BY.format("quantile_cont(latency_s, 0.99)") + "group by all",
    "the same, approximately": BY.format("approx_quantile(latency_s, 0.99)") + "group by all",
}
ASKED = """
import json, sys, time
import holymon as hm
begun = time.perf_counter()
answer = hm.sql(sys.argv[2], out=sys.argv[1])
peak = int(open("/proc/self/status").read().split("VmHWM:")[1].split()[0]) / 1e3
print(json.dumps([time.perf_counter() - begun, peak, len(answer), int(answer["n"].sum())]))
"""


def archive(out: Path, days: int) -> None:
    """So many finished runs, one a day."""
    plan = plan_of(CALLS).to_json()
    for day in range(days):
        began = (FIRST + timedelta(days=day)).isoformat()
        folder = out / "daily" / f"{FIRST + timedelta(days=day):%Y%m%dT%H%M%SZ}"
        folder.mkdir(parents=True)
        run_folder.write_aside(folder / "plan.json", plan)
        run_folder.write_state(folder, state="finished", started_at=began)
        if day < MADE:
            run_folder.compact(folder, records_of(CALLS, seed=day))
            continue
        for path in sorted((out / "daily").iterdir())[day % MADE].glob("*.parquet"):
            copyfile(path, folder / path.name)


def main() -> None:
    days = int(sys.argv[1]) if len(sys.argv) > 1 else 100
    with tempfile.TemporaryDirectory() as folder:
        out = Path(folder)
        begun = perf_counter()
        archive(out, days)
        size = sum(path.stat().st_size for path in out.rglob("*.parquet"))
        print(f"{days} runs, {size / 1e9:.1f} GB, made in {perf_counter() - begun:.0f} s\n")
        print("| question | s | peak, MB | rows | calls |\n| --- | --- | --- | --- | --- |")
        for said, query in QUESTIONS.items():
            command = [sys.executable, "-c", ASKED, folder, query]
            done = subprocess.run(command, check=True, capture_output=True, text=True)
            seconds, peak, rows, calls = json.loads(done.stdout.splitlines()[0])
            print(f"| {said} | {seconds:.1f} | {peak:,.0f} | {rows} | {calls:,} |", flush=True)


if __name__ == "__main__":
    main()
