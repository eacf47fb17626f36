"""How long questions to a store of ten thousand runs take: the list, p99 by day and target.

    python -m tests.bench.store [RUNS] [CALLS]        (10,000 runs of 10,000 calls: 12 GB below TMPDIR)

A hundred runs a day, each with the files that `hm.measure` sends; five are made as in
`tests.bench.million`, the others are their copies under other dates. The store is
`tests.bench.objects`, a process of its own on this machine. What `holymon runs --sync` does is part of
it: the catalogue and the calls of each day are packed. Each question goes to a process of its own.
"""

import json
import os
import subprocess
import sys
import tempfile
from datetime import timedelta
from pathlib import Path
from shutil import copyfile
from time import perf_counter

import msgspec

from holymon.catalogue import packed_calls
from holymon.load import store_entries
from holymon.load.publish import entry_of
from holymon.load.run import Run
from holymon.records import run_folder
from holymon.records.spool import folder_of, store_of
from tests.bench.archive import ASKED, FIRST, QUESTIONS
from tests.bench.million import plan_of, records_of

MADE, A_DAY, URL = 5, 100, "s3://bench/team"
FILES = ("plan.json", "state.json", "calls.parquet", "gaps.parquet")
LISTED = """
import json, sys, time
begun = time.perf_counter()
import holymon as hm
listed = hm.runs(sys.argv[1])
first = time.perf_counter() - begun
begun = time.perf_counter()
hm.runs(sys.argv[1])
print(json.dumps([first, time.perf_counter() - begun, len(listed)]))
"""


def made_here(folder: Path, calls: int) -> list[Run]:
    runs = []
    for k in range(MADE):
        one = folder / "made" / f"20260101T00000{k}Z"
        one.mkdir(parents=True)
        run_folder.write_aside(one / "plan.json", plan_of(calls).to_json())
        run_folder.write_state(one, state="finished", started_at=FIRST.isoformat())
        run_folder.compact(one, records_of(calls, seed=k))
        runs.append(Run(one))
    return runs


def fill(bucket: Path, runs: list[Run], n: int) -> None:
    """The objects of so many runs, as `load.publish` leaves them, and their entries in one pack."""
    entries, known = [], [entry_of(run) for run in runs]
    for k in range(n):
        run, began = runs[k % MADE], FIRST + timedelta(days=k // A_DAY, seconds=k % A_DAY * 600)
        run_id = f"hourly/{began:%Y%m%dT%H%M%SZ}-{k:08x}"
        folder = bucket / "runs" / run_id
        folder.mkdir(parents=True)
        for name in FILES:
            copyfile(run.folder / name, folder / name)
        entries.append(msgspec.structs.replace(
            known[k % MADE], run_id=run_id, started_at=began.isoformat(), measurement="valid",
            files={name: (folder / name).stat().st_size for name in FILES},
        ))  # fmt: skip
    store = store_of(folder_of(URL))
    for k in range(0, n, 5000):
        store_entries.add_many(store, entries[k : k + 5000])


def asked(code: str, *arguments: str) -> list:
    done = subprocess.run([sys.executable, "-c", code, *arguments], check=True, capture_output=True,
                          text=True)  # fmt: skip
    return json.loads(done.stdout.splitlines()[-1])


def main() -> None:
    runs, calls = (int(text.replace(",", "")) for text in (*sys.argv[1:], "10,000", "10,000")[:2])
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        (folder / "bench").mkdir()
        command = [sys.executable, "-m", "tests.bench.objects", name]
        server = subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True)
        os.environ |= {
            "AWS_ENDPOINT_URL": server.stdout.readline().strip(), "AWS_ACCESS_KEY_ID": "bench",
            "AWS_SECRET_ACCESS_KEY": "bench", "AWS_DEFAULT_REGION": "us-east-1",
            "XDG_STATE_HOME": str(folder / "state"),
        }  # fmt: skip
        begun = perf_counter()
        fill(folder / "bench" / "team", made_here(folder / "here", calls), runs)
        print(
            f"{runs:,} runs of {calls:,} calls, made in {perf_counter() - begun:.0f} s", flush=True
        )
        first, again, n = asked(LISTED, URL)
        print(f"list of {n:,}: {first:.2f} s with all imports, {again:.2f} s again", flush=True)
        begun = perf_counter()
        packed = packed_calls.pack(store_of(folder_of(URL)), 1e11)
        print(f"calls of {packed:,} runs packed in {perf_counter() - begun:.0f} s", flush=True)
        size = sum(path.stat().st_size for path in folder.rglob("*") if path.is_file())
        print(
            f"{size / 1e9:.1f} GB\n\n| question | s | peak, MB | rows | calls |\n| --- | --- | --- | --- | --- |"
        )
        for question, query in QUESTIONS.items():
            seconds, peak, rows, counted = asked(ASKED, URL, query)
            print(
                f"| {question} | {seconds:.1f} | {peak:,.0f} | {rows} | {counted:,} |", flush=True
            )
        server.stdin.close()
        server.wait(30)


if __name__ == "__main__":
    main()
