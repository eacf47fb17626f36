"""Processes of a Dask cluster, and one that starts a run on it and is killed, for the tests.

    python -m tests.cluster.dask_process dask scheduler|worker WORDS...    Dask's own commands
    python -m tests.cluster.dask_process holymon WORDS...                  and ours
    python -m tests.cluster.dask_process scheduler
    python -m tests.cluster.dask_process worker SCHEDULER NAME FOLDER [SKEW_S [ADDRESS HOSTNAME]]
    python -m tests.cluster.dask_process start SCHEDULER PLAN OUT

The first line that they print is their address, or the run's id. A worker whose clock is off has
children whose clocks are, too.
"""

import asyncio
import os
import signal
import socket
import sys
import time
from pathlib import Path

from distributed import Scheduler, Worker
from distributed.cli import dask_scheduler, dask_worker

from holymon.cli.main import main as holymon
from holymon.cluster.executors import start
from holymon.plan import consent
from holymon.plan.plan import Plan
from tests import warm


async def serve(server) -> None:
    async with server:
        print(server.address, flush=True)
        await server.finished()


async def scheduler() -> None:
    await serve(Scheduler(host="127.0.0.1", port=0, dashboard=False))


async def worker(address, name, folder, host) -> None:
    await serve(Worker(address, name=name, nthreads=1, local_directory=folder, host=host,
                       dashboard=False))  # fmt: skip


def skew(seconds: float, hostname: str) -> None:
    """Have this process, and all that it forks, read another clock and another name."""
    right, right_ns = time.time, time.time_ns
    time.time = lambda: right() + seconds
    time.time_ns = lambda: right_ns() + int(seconds * 1e9)
    if hostname:
        socket.gethostname = lambda: hostname
    if warm.LARGE.born or warm.SMALL._owner == os.getpid():
        warm.SMALL.inherit()


def main() -> None:
    what, *arguments = sys.argv[1:]
    if what == "dask":
        commands = {"scheduler": dask_scheduler.main, "worker": dask_worker.main}
        commands[arguments[0]](arguments[1:])
    elif what == "holymon":
        holymon(arguments)
    elif what == "scheduler":
        asyncio.run(scheduler())
    elif what == "worker":
        address, name, folder, seconds, host, hostname = (
            *arguments,
            *("0", "127.0.0.1", "")[len(arguments) - 3 :],
        )
        skew(float(seconds), hostname)
        asyncio.run(worker(address, name, folder, host))
    else:
        address, plan, out = arguments
        measured = Plan.from_json(Path(plan).read_bytes())
        consent.remember(consent.unasked(measured.targets))
        run = start(measured, out=out, on=address)
        print(run.id, flush=True)
        os.kill(os.getpid(), signal.SIGKILL)


if __name__ == "__main__":
    main()
