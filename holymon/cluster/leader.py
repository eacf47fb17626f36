"""`python -m holymon.cluster.leader FOLDER`: holds a run whose calls the workers of Dask make.

It fetches what each worker has written since, so that a slow link makes records late and loses
none: they wait on the worker's disk. It says in `state.json` how the run goes, and holds its lock.
A run ends early by a file named `stop` in its folder, by SIGINT or SIGTERM, and, if it belongs to
another process (`--attached`), by the end of standard input.
"""

import argparse
import asyncio
import contextlib
import os
import signal
import sys
from pathlib import Path
from typing import Any, Final

from holymon.cluster.crew import Crew
from holymon.cluster.member import GONE, Member
from holymon.errors import HolymonError, RunError
from holymon.load.engine import Ending
from holymon.load.interrupts import stop_by_signal, stop_by_stdin
from holymon.load.pieces import Replica
from holymon.load.share import STATES
from holymon.load.worker import last_word, simulating
from holymon.records import run_folder

ANSWER_S: Final = 10.0
"""A scheduler that is not back after so long is lost."""


def main(argv: list[str] | None = None) -> int:
    """Measure the plan in a folder on Dask's workers; 0 if every record was written."""
    parser = argparse.ArgumentParser(prog="python -m holymon.cluster.leader")
    parser.add_argument("folder", type=Path)
    parser.add_argument("--scheduler", required=True, metavar="ADDRESS")
    parser.add_argument("--worker", action="append", required=True, metavar="ADDRESS=NAME")
    parser.add_argument("--attached", action="store_true")
    parser.add_argument("--keep", action="store_true")
    options = parser.parse_args(argv)
    if hasattr(signal, "SIGHUP"):  # a closed terminal ends no run
        signal.signal(signal.SIGHUP, signal.SIG_IGN)
    try:
        with run_folder.take_lock(options.folder):
            ending = asyncio.run(_lead(options))
    except HolymonError as error:
        print(error, file=sys.stderr)
        return 4
    if not options.attached or ending.why == "interrupted":  # nobody else will
        with contextlib.suppress(RunError):  # a full disk: the journals are enough
            run_folder.compact(options.folder, run_folder.load(options.folder))
    return 0


async def _lead(options: argparse.Namespace) -> Ending:
    folder: Path = options.folder
    state: dict[str, Any] = {
        "pid": os.getpid(), "workers": len(options.worker),
        "started_at": run_folder.now().isoformat(), "scheduler": options.scheduler,
    }  # fmt: skip
    try:
        plan = run_folder.read_plan(folder)
        with simulating(folder, plan) as sim_url:
            state |= {"sim_url": sim_url} if sim_url else {}
            async with _client(options.scheduler) as client:
                pairs = (worker.partition("=") for worker in options.worker)
                members = [
                    Member(client, part, address, name, Replica(folder, part))
                    for part, (address, _, name) in enumerate(pairs)
                ]
                crew = Crew(folder, plan, client, members, state, keep=options.keep)
                stop_by_signal(crew.halt)
                if options.attached:
                    stop_by_stdin(crew.halt)
                ending, trouble = await crew.run(sim_url)
    except BaseException as error:
        reason = str(error) if isinstance(error, HolymonError) else repr(error)
        last_word(folder, **{**state, "state": "failed", "detail": reason})
        raise
    state |= {"state": STATES.get(ending.why, "finished"), "ended": ending.why}
    ended_at = run_folder.now().isoformat()
    last_word(folder, **state, detail=ending.detail, trouble=trouble, ended_at=ended_at)
    return ending


@contextlib.asynccontextmanager
async def _client(scheduler: str) -> Any:
    """A client of the scheduler, which need not be there any more in the end."""
    from distributed import Client

    try:
        client = await Client(scheduler, asynchronous=True, name="holymon", timeout=ANSWER_S)
    except GONE as error:
        raise RunError(f"no Dask scheduler answers at {scheduler}: {error}.") from None
    try:
        yield client
    finally:
        with contextlib.suppress(*GONE):
            await asyncio.wait_for(client.close(), 5)


if __name__ == "__main__":
    sys.exit(main())
