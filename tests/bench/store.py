"""How long questions to a store of ten thousand runs take: the list, p99 by day and target.

    python -m tests.bench.store [RUNS] [CALLS]         (10,000 runs of 10,000 calls: 5 GB below TMPDIR)

A hundred runs a day, each with the files that `hm.measure` sends; those of a day are made as in
`tests.bench.million`, the others are links to theirs under other dates. The store is
`tests.bench.objects`, a process of its own on this machine. The calls of the first day are packed by
what `holymon runs --sync` does, those of the other days, which are alike, are copies. Each question
goes to a process of its own; CPU is that of it and of the store together.
"""

import argparse
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
from tests.bench.archive import FIRST, QUESTIONS
from tests.bench.million import plan_of, records_of

MADE, A_DAY, URL = 100, 100, "s3://bench/team"
FILES = ("plan.json", "state.json", "calls.parquet", "gaps.parquet")
LISTED = """
import json, sys, time
import holymon as hm
times = []
for _ in range(3):
    begun = time.perf_counter(), time.process_time()
    listed = hm.runs(sys.argv[1])
    times += [time.perf_counter() - begun[0], time.process_time() - begun[1]]
print(json.dumps([len(listed), *times]))
"""
ASKED = """
import json, sys, time
import holymon as hm
hm.sql("select 1", out=sys.argv[1])
begun = time.perf_counter(), time.process_time()
answer = hm.sql(sys.argv[2], out=sys.argv[1])
peak = int(open("/proc/self/status").read().split("VmHWM:")[1].split()[0]) / 1e3
print(json.dumps([time.perf_counter() - begun[0], time.process_time() - begun[1], peak,
                  len(answer), int(answer["n"].sum())]))
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
            os.link(run.folder / name, folder / name)
        entries.append(msgspec.structs.replace(
            known[k % MADE], run_id=run_id, started_at=began.isoformat(), measurement="valid",
            files={name: (folder / name).stat().st_size for name in FILES},
        ))  # fmt: skip
    store = store_of(folder_of(URL))
    for k in range(0, n, 5000):
        store_entries.add_many(store, entries[k : k + 5000])


def pack(bucket: Path, n: int) -> float:
    """Pack the first day; the others are its copies. How many seconds the first one took."""
    store, begun = store_of(folder_of(URL)), perf_counter()
    packed_calls.pack(store, FIRST.timestamp() + packed_calls.DAY_S)
    seconds = perf_counter() - begun
    (made,) = (bucket / "calls").glob("*.parquet")
    days: dict[str, list[str]] = {}
    for run_id in sorted(f"hourly/{path.name}" for path in (bucket / "runs" / "hourly").iterdir()):
        days.setdefault(run_id[:15], []).append(run_id)
    for k, ids in enumerate([*days.values()][1:]):
        copyfile(made, made.with_name(f"{k:024x}.parquet"))
        made.with_name(f"{k:024x}.json").write_bytes(msgspec.json.encode(ids))
    return seconds


def cpu_of(pid: int) -> float:
    """Seconds of CPU that a process had."""
    fields = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()
    return (int(fields[11]) + int(fields[12])) / os.sysconf("SC_CLK_TCK")


def asked(code: str, *arguments: str) -> list:
    done = subprocess.run([sys.executable, "-c", code, *arguments], check=True, capture_output=True,
                          text=True)  # fmt: skip
    return json.loads(done.stdout)


def number(text: str) -> int:
    return int(text.replace(",", ""))


def main() -> None:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    for name in ("RUNS", "CALLS"):
        parser.add_argument(name.lower(), type=number, nargs="?", default=10_000, metavar=name)
    options = parser.parse_args()
    runs, calls = options.runs, options.calls
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
        n, *times = asked(LISTED, URL)
        listed = ", ".join(
            f"{wall:.2f} s ({cpu:.2f} s of CPU)"
            for wall, cpu in zip(times[::2], times[1::2], strict=True)
        )
        print(f"list of {n:,}, first with what it imports: {listed}", flush=True)
        print(f"a day packed in {pack(folder / 'bench' / 'team', runs):.0f} s", flush=True)
        size = sum(path.stat().st_size for path in (folder / "bench" / "team" / "calls").iterdir())
        print(
            f"{size / 1e9:.1f} GB\n\n| question | s | CPU, s | peak, MB | rows | calls |\n| --- | --- | --- | --- | --- | --- |"
        )
        for question, query in QUESTIONS.items():
            before = cpu_of(server.pid)
            seconds, cpu, peak, rows, counted = asked(ASKED, URL, query)
            cpu += cpu_of(server.pid) - before
            print(
                f"| {question} | {seconds:.1f} | {cpu:.1f} | {peak:,.0f} | {rows} | {counted:,} |",
                flush=True,
            )
        server.stdin.close()
        server.wait(30)


if __name__ == "__main__":
    main()
