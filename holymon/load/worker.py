"""`python -m holymon.load.worker FOLDER`: plan in, rows to the journal; nothing is drawn here.

Worker 0 starts what the run needs (the simulator, further workers), says in `state.json` how it
goes, makes the first calls, and holds the run's lock while it lives. Worker k of n sends every
n-th round of the same plan: one call to each target.
A run ends early by a file named `stop` in its folder, by SIGINT or SIGTERM, and, if it belongs
to another process (`--attached`), by the end of standard input.
"""

import argparse
import contextlib
import json
import os
import subprocess
import sys
import time
from collections.abc import Iterator
from datetime import UTC, datetime
from pathlib import Path
from typing import Any, Final

from holymon.errors import HolymonError, RunError
from holymon.load.engine import Ending
from holymon.load.first_call import FirstCalls
from holymon.load.self_check import worked
from holymon.load.share import STATES, asyncio_run, call_first, measure, placed
from holymon.plan.plan import Plan
from holymon.records import run_folder
from holymon.records.first_call import informed
from holymon.records.place import place
from holymon.sim.process import PYTHON_M, simulator
from holymon.structs import to_builtins
from holymon.transport.prepared_request import proxy_of

START_NS: Final = 20_000_000
"""Between the word "go" and the first call: time enough for every worker to hear it."""

STEP_S: Final = 10.0
"""What two clocks do not differ by in a day, unless one of them is set."""


def main(argv: list[str] | None = None) -> int:
    """Measure the plan in a folder; 0 if every record was written."""
    parser = argparse.ArgumentParser(prog="python -m holymon.load.worker")
    parser.add_argument("folder", type=Path)
    parser.add_argument("--attached", action="store_true")
    options = parser.parse_args(argv)
    return worked(lambda: _first(options.folder, attached=options.attached))


def _first(folder: Path, *, attached: bool) -> int:
    lock = run_folder.take_lock(folder)
    state: dict[str, Any] = {"pid": os.getpid(), "workers": 1}
    if place():
        state["place"] = place()
    with lock, contextlib.ExitStack() as stack:
        try:
            plan = run_folder.read_plan(folder)
            sim_url = stack.enter_context(simulating(folder, plan))
            state |= {"started_at": run_folder.now().isoformat(), "workers": plan.workers}
            if sim_url:
                state["sim_url"] = sim_url
            plan = placed(plan, sim_url)
            through = {target.name: proxy_of(target.address) for target in plan.targets}
            if any(through.values()):
                state["proxies"] = {name: proxy for name, proxy in through.items() if proxy}
            calls = FirstCalls(plan)
            if plan.first_call:
                plan = _called_first(folder, plan, calls, state, attached=attached)
            if calls.ending is None:
                ending, trouble = _load(folder, plan, calls.spent, state, attached=attached)
            else:
                ending, trouble = calls.ending, ""
        except BaseException as error:
            reason = str(error) if isinstance(error, HolymonError) else repr(error)
            last_word(folder, state="failed", detail=reason, **state)
            raise
        last_word(
            folder, state=STATES.get(ending.why, "finished"), ended=ending.why,
            detail=ending.detail, trouble=trouble, ended_at=run_folder.now().isoformat(), **state,
        )  # fmt: skip
    if not attached or ending.why == "interrupted":  # nobody else will
        with contextlib.suppress(RunError):  # a full disk: the journals are enough
            run_folder.compact(folder, run_folder.load(folder))
    return 0


def _called_first(
    folder: Path, plan: Plan, calls: FirstCalls, state: dict[str, Any], *, attached: bool
) -> Plan:
    """The plan with what its first calls found out; they are part of the state from here on."""
    run_folder.write_state(folder, state="first call", **state)
    known = tuple(asyncio_run(call_first(folder, calls, watch_stdin=attached)))
    state["first_calls"] = to_builtins(known)
    return informed(plan, known)


def _load(
    folder: Path, plan: Plan, spent: float, state: dict[str, Any], *, attached: bool
) -> tuple[Ending, str]:
    """Drive the load with all its workers; how it ended, and trouble with writing."""
    if plan.workers > 1:  # they read there how their targets are asked
        run_folder.write_state(folder, state="starting", **state)
    with _others(folder, plan, state.get("sim_url", "")) as others:
        clocks = list[float]()

        def begin() -> int:
            zero_wall = time.time_ns() + START_NS
            clocks.append(_ahead())
            for other in others:
                _tell(other, f"{zero_wall}\n")
            state["started_at"] = datetime.fromtimestamp(zero_wall / 1e9, UTC).isoformat()
            run_folder.write_state(folder, state="running", **state)
            return zero_wall

        work = measure(folder, plan, 0, begin, watch_stdin=attached, spent=spent)
        ending, trouble = asyncio_run(work)
        if clocks and abs(step := _ahead() - clocks[0]) > STEP_S:
            state["clock_step_s"] = step
        for other in others:
            other.wait()
        if any(other.returncode for other in others):
            ending = Ending("failed", "one of the workers died")
    return ending, trouble


def _ahead() -> float:
    """By how many seconds the wall clock is ahead of the one that durations are taken by."""
    return time.time() - time.perf_counter()


def last_word(folder: Path, **state: Any) -> None:
    """Say how the run ended, in `state.json`; on a full disk over what stands there."""
    try:
        run_folder.write_state(folder, **state)
    except OSError as error:
        with contextlib.suppress(OSError):
            return _write_over(folder / "state.json", json.dumps(state).encode())
        # The run will be shown as interrupted.
        print(f"can't write state.json: {error.strerror}.", file=sys.stderr)


def _write_over(path: Path, text: bytes) -> None:
    """Write in the block that a file has: there is no other. Raises OSError."""
    with path.open("r+b", buffering=0) as file:
        file.write(text.ljust(os.fstat(file.fileno()).st_size))


@contextlib.contextmanager
def simulating(folder: Path, plan: Plan) -> Iterator[str]:
    """The address of a simulator that lives as long as this run, if the plan needs one."""
    if all(target.base_url for target in plan.targets) or not plan.simulated:
        yield ""
        return
    try:  # its log is the truth to hold the records against
        served = simulator(seed=plan.seed, log=folder / "sim.jsonl")
    except ChildProcessError as error:
        raise RunError(str(error)) from None
    with served:
        _apart(served.pid, plan.workers)
        yield served.base_url


def _apart(pid: int, workers: int) -> None:
    """Give the simulator a core of its own, where there are enough and the system can.

    It wakes the client and is woken by it, so a scheduler likes to put both on one core, where
    one waits for the other.
    """
    with contextlib.suppress(AttributeError, OSError):
        cores = sorted(os.sched_getaffinity(0))
        if len(cores) > workers:
            os.sched_setaffinity(pid, cores[-1:])
            os.sched_setaffinity(0, cores[:-1])


@contextlib.contextmanager
def _others(folder: Path, plan: Plan, sim_url: str) -> Iterator[list["subprocess.Popen[str]"]]:
    """The workers beside this one, ready to go."""
    with contextlib.ExitStack() as stack:
        command = [*PYTHON_M, "holymon.load.share", str(folder), "--sim-url", sim_url]
        others = [
            stack.enter_context(_child([*command, "--part", str(k)]))
            for k in range(1, plan.workers)
        ]
        for other in others:
            if other.stdout is None or other.stdout.readline() != "ready\n":
                raise RunError("a worker did not start; see worker.log in the run's folder.")
        yield others


@contextlib.contextmanager
def _child(command: list[str]) -> Iterator["subprocess.Popen[str]"]:
    """A process that ends when its standard input does, and so with this one."""
    process = subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True)
    try:
        yield process
    finally:
        with contextlib.suppress(OSError):
            if process.stdin:
                process.stdin.close()
        try:
            process.wait(10)
        except subprocess.TimeoutExpired:
            process.kill()
            process.wait()
        if process.stdout:
            process.stdout.close()


def _tell(process: "subprocess.Popen[str]", text: str) -> None:
    if process.stdin:
        process.stdin.write(text)
        process.stdin.flush()


if __name__ == "__main__":
    sys.exit(main())
