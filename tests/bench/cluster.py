"""What is lost by measuring on a Dask cluster: rate, TTFT, bytes of a record, and by a slow link.

    python -m tests.bench.cluster [rounds]       two Dask workers, a server on each core: 4 minutes
    python -m tests.bench.cluster link           over a slow link: half a minute

Truth is the log of the simulator's model `pinned`, which tells when it wrote each token.
"""

import asyncio
import contextlib
import json
import os
import shutil
import statistics
import sys
import tempfile
import threading
import time
from contextlib import ExitStack
from pathlib import Path

from distributed import Client, LocalCluster

import holymon as hm
from holymon.cluster.executors import DaskWorkers
from holymon.experiments.calibration import errors_of
from holymon.load import run as local
from holymon.records import run_folder
from holymon.sim.process import simulator

RATE, SECONDS = 50.0, 8.0
"""For each of two servers."""

DELAY_S, BYTES_PER_S = 0.1, 8000.0
"""Of the slow link."""


def plan_on(*servers: str, rate: float = RATE, seconds: float = SECONDS) -> hm.Plan:
    targets = [hm.Target(provider=f"server{k}", model="pinned", base_url=url)
               for k, url in enumerate(servers)]  # fmt: skip
    return hm.Plan(targets=tuple(targets), load=hm.Open(hm.poisson(rate)), duration_s=seconds,
                   prompts=hm.Prompts(max_tokens=16), first_call=False)  # fmt: skip


def concatenated(run, scratch: Path):
    """The figures of the journals that stayed on the workers' disks, and how many bytes they have."""
    copy = scratch / "copies" / run.folder.name
    copy.mkdir(parents=True)
    shutil.copy(run.folder / "plan.json", copy)
    (copy / "state.json").write_text(json.dumps(run.status))
    journals = list(scratch.glob("dask-scratch-space/holymon-*/calls.*.journal"))
    for path in journals:
        shutil.copy(path, copy)
    size = sum(path.stat().st_size for path in journals)
    run_folder.compact(copy, run_folder.load(copy))
    summary = hm.summarize(run_folder.load(copy), run.plan)
    for path in scratch.glob("dask-scratch-space/holymon-*"):
        shutil.rmtree(path)
    return summary, size


def truth_since(logs: list[Path], since: list[int]) -> list[dict]:
    return [json.loads(line) for log, n in zip(logs, since, strict=True)
            for line in log.read_text().splitlines()[n:]]  # fmt: skip


def compare(rounds: int) -> None:
    """One process here and two Dask workers, in turn, against the same two servers."""
    with ExitStack() as stack:
        scratch = Path(stack.enter_context(tempfile.TemporaryDirectory()))
        logs = [scratch / f"sim{k}.jsonl" for k in range(2)]
        servers = [stack.enter_context(simulator(log=log)) for log in logs]
        for core, served in zip(sorted(os.sched_getaffinity(0)), servers, strict=False):
            os.sched_setaffinity(served.pid, {core})
        cluster = stack.enter_context(LocalCluster(
            n_workers=2, threads_per_worker=1, dashboard_address=":0", local_directory=scratch))  # fmt: skip
        client = stack.enter_context(Client(cluster))
        plan, off = plan_on(*(served.base_url for served in servers)), {"one": [], "two": []}
        rates, packed, raw = [], [], []
        for number in range(2 * rounds):
            name = ("one", "two")[number % 2]
            since = [len(log.read_text().splitlines()) if log.exists() else 0 for log in logs]
            executor = DaskWorkers(client, keep=True) if name == "two" else local.LOCAL
            run = local.start(plan, out=scratch / "runs", executor=executor).wait()
            errors = errors_of(run.records, truth_since(logs, since))
            off[name].append(errors["ttft_s"]["p50"])
            sent = sum(t.sent_per_s for t in run.summary().targets)
            wanted = sum(t.wanted_per_s for t in run.summary().targets)
            print(f"{name}: {len(run.records)} calls, {sent / wanted:.4f} of the rate, TTFT off "
                  f"{1e3 * off[name][-1]:+.2f} ms; {run.verdict().measurement}", flush=True)  # fmt: skip
            if name == "one":
                continue
            rates.append(sent / wanted)
            summary, size = concatenated(run, scratch)
            assert summary.targets == hm.summarize(run.records, run.plan).targets
            shares = run.status["shares"]
            packed.append(sum(s["wire_bytes"] for s in shares) / len(run.records))
            raw.append(size / len(run.records))
        one, two = (statistics.median(off[name]) for name in ("one", "two"))
        print(f"rate {min(rates):.4f} to {max(rates):.4f} of the plan; TTFT off {1e3 * one:+.2f} ms by "
              f"one process, {1e3 * two:+.2f} ms by two Dask workers: {1e3 * (two - one):+.2f} ms; "
              f"{statistics.median(raw):.0f} bytes of a record in a journal, "
              f"{statistics.median(packed):.0f} packed, with all that comes beside it; figures "
              "equal to those of the concatenated journals in every round")  # fmt: skip


class SlowLink:
    """A way to a scheduler that takes `DELAY_S` and carries `BYTES_PER_S`, and counts them."""

    def __init__(self, address: str) -> None:
        self._host, _, port = address.removeprefix("tcp://").rpartition(":")
        self._port, self.crossed, self._free, self._listening = int(port), 0, {}, threading.Event()
        threading.Thread(target=asyncio.run, args=[self._serve()], daemon=True).start()
        self._listening.wait()

    async def _serve(self) -> None:
        server = await asyncio.start_server(self._joined, "127.0.0.1", 0)
        self.address = f"tcp://127.0.0.1:{server.sockets[0].getsockname()[1]}"
        self._listening.set()
        await server.serve_forever()

    async def _joined(self, reader, writer) -> None:
        there, back = await asyncio.open_connection(self._host, self._port)
        await asyncio.gather(self._carry("up", reader, back), self._carry("down", there, writer))

    async def _carry(self, way: str, reader, writer) -> None:
        with contextlib.suppress(OSError):
            while data := await reader.read(1024):
                self.crossed += len(data)
                begins = max(time.monotonic(), self._free.get(way, 0.0))
                self._free[way] = begins + len(data) / BYTES_PER_S
                await asyncio.sleep(self._free[way] + DELAY_S - time.monotonic())
                writer.write(data)
                await writer.drain()
        writer.close()


def link() -> None:
    """A leader whose way to the scheduler is slower than its records are made."""
    with ExitStack() as stack:
        scratch = Path(stack.enter_context(tempfile.TemporaryDirectory()))
        served = stack.enter_context(simulator(log=scratch / "sim.jsonl"))
        cluster = stack.enter_context(LocalCluster(
            n_workers=2, threads_per_worker=1, dashboard_address=":0", local_directory=scratch))  # fmt: skip
        slow = SlowLink(cluster.scheduler_address)
        plan = plan_on(served.base_url, rate=100.0)
        began = time.monotonic()
        run = hm.measure(plan, on=slow.address, out=scratch / "runs")
        took, records = time.monotonic() - began, len(run.records)
        answered = len((scratch / "sim.jsonl").read_text().splitlines())
        shares = run.status["shares"]
        print(f"{records} records of {answered} answers, {run.state} after {took:.1f} s; records came up to "
              f"{max(s['behind_s'] for s in shares):.1f} s late, {sum(s['wire_bytes'] for s in shares) / records:.0f} "
              f"bytes each packed, {slow.crossed / records:.0f} on the wire with all of Dask's own; clocks known to "
              f"within {1e3 * max(s['clock_error_s'] for s in shares):.0f} ms")  # fmt: skip
        assert answered == records
        print(run.verdict())


def main() -> None:
    words = sys.argv[1:]
    if words == ["link"]:
        link()
    else:
        compare(int(words[0]) if words else 3)


if __name__ == "__main__":
    main()
