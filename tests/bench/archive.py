"""How long a question over many runs takes: p99 by day and target of a hundred million calls.

    python -m tests.bench.archive [MILLIONS] [--keep DIR]    (100: 7 GB of disk below TMPDIR, or in DIR)

A run of a million calls a day; five are made as in `tests.bench.million`, the others are their copies
under other dates. The question goes to `hm.sql` in a process of its own, whose memory is its peak.
"""

import argparse
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
begun = time.perf_counter(), time.process_time()
answer = hm.sql(sys.argv[2], out=sys.argv[1])
peak = int(open("/proc/self/status").read().split("VmHWM:")[1].split()[0]) / 1e3
cpu = time.process_time() - begun[1]
print(json.dumps([time.perf_counter() - begun[0], cpu, peak, len(answer), int(answer["n"].sum())]))
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


def ask(folder: str) -> None:
    """Print a row for each question."""
    print("| question | s | CPU, s | peak, MB | rows | calls |")
    print("| --- | --- | --- | --- | --- | --- |")
    for question, query in QUESTIONS.items():
        command = [sys.executable, "-c", ASKED, folder, query]
        done = subprocess.run(command, check=True, capture_output=True, text=True)
        seconds, cpu, peak, rows, calls = json.loads(done.stdout.splitlines()[0])
        cells = f"{seconds:.1f} | {cpu:.1f} | {peak:,.0f} | {rows} | {calls:,}"
        print(f"| {question} | {cells} |", flush=True)


def main() -> None:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("days", type=int, nargs="?", default=100, metavar="MILLIONS")
    parser.add_argument("--keep", metavar="DIR", help="make it there, or ask what is there")
    options = parser.parse_args()
    if options.keep and (Path(options.keep) / "daily").exists():
        ask(options.keep)
        return
    with tempfile.TemporaryDirectory() as folder:
        out = Path(options.keep or folder)
        begun = perf_counter()
        archive(out, options.days)
        size = sum(path.stat().st_size for path in out.rglob("*.parquet"))
        print(f"{options.days} runs, {size / 1e9:.1f} GB, made in {perf_counter() - begun:.0f} s\n")
        ask(str(out))


if __name__ == "__main__":
    main()
