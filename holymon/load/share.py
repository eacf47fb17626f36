"""`python -m holymon.load.share FOLDER --part K`: one of the workers of a plan, on any machine.

It makes every N-th round of the plan's calls (one call to each target), and writes journals that
have K in their names: those of all N in one folder are the run. When it is ready it says so on
standard output, and reads there when to begin (ns since 1970 by this machine's clock); or
`--start` says that beforehand. With `--of N` it is on its own: it holds `share.K.lock` while it
lives, and says in `share.K.json` how it goes.
It ends early by a file named `stop` in its folder, by SIGINT or SIGTERM and, without `--start`, by
the end of standard input.
"""

import argparse
import asyncio
import contextlib
import gc
import json
import os
import socket
import sys
import time
from collections.abc import Callable
from datetime import UTC, datetime
from pathlib import Path
from time import perf_counter
from typing import Any, Final, Self

from holymon import __version__
from holymon.errors import HolymonError, RunError
from holymon.load import spending
from holymon.load.caller import Caller
from holymon.load.engine import Ending, Load
from holymon.load.first_call import FirstCalls
from holymon.load.interrupts import stop_by_signal, stop_by_stdin
from holymon.load.self_check import heed_stop, watch_self, worked
from holymon.plan.plan import Plan
from holymon.records import run_folder
from holymon.records.first_call import FirstCall, first_calls, informed
from holymon.records.journal import Journal
from holymon.records.own_files import lock_file, lock_within, write_json
from holymon.structs import replace, to_builtins

STATES: Final = {"stopped": "stopped", "failed": "failed", "interrupted": "interrupted"}
AHEAD_S: Final = 1.0
"""So long before the start both clocks are looked at: until then the wall clock may be set."""


def main(argv: list[str] | None = None) -> int:
    """Make one share of the calls of the plan in a folder; 0 if it came to its end."""
    parser = argparse.ArgumentParser(prog="python -m holymon.load.share")
    parser.add_argument("folder", type=Path)
    parser.add_argument("--part", type=int, default=0)
    parser.add_argument("--of", type=int, default=0)
    parser.add_argument("--start", type=_moment, default=0, metavar="TIME")
    parser.add_argument("--sim-url", default="")
    parser.add_argument("--spent", type=float, default=0.0)
    parser.add_argument("--first-call", action="store_true")
    options = parser.parse_args(argv)
    if options.first_call:
        return worked(lambda: _only_first_calls(options.folder, options.sim_url))
    return worked(lambda: _share(options))


def _moment(text: str) -> int:
    """Nanoseconds since 1970 of a moment written as such, or as `2026-01-31T12:00:00Z`."""
    if text.isdigit():
        return int(text)
    return int(datetime.fromisoformat(text).timestamp() * 1e9)


class _Word:
    """What a share on its own says of itself in `share.K.json`, and its lock; else nothing."""

    def __init__(self, folder: Path, part: int, of: int) -> None:
        self._folder, self._part, self._of = folder, part, of
        self._about: dict[str, Any] = {
            "part": part, "of": of, "version": __version__, "host": socket.gethostname(),
            "pid": os.getpid(),
        }  # fmt: skip
        self._lock = contextlib.ExitStack()

    def __enter__(self) -> Self:
        if self._of:
            file = self._lock.enter_context(lock_file(self._folder / f"share.{self._part}.lock"))
            if not lock_within(file):
                raise RunError(f"share {self._part} is already being measured.")
        return self

    def __exit__(self, _kind: object, error: BaseException | None, _trace: object) -> None:
        with self._lock:
            if error is not None:
                detail = str(error) if isinstance(error, HolymonError) else repr(error)
                self.note(state="failed", detail=detail)

    def note(self, **word: Any) -> None:
        """Say how it goes; a full disk is no reason to end."""
        self._about |= word
        if self._of:
            with contextlib.suppress(OSError):
                write_json(self._folder / f"share.{self._part}.json", self._about, mode=0o600)


def _share(options: argparse.Namespace) -> int:
    with _Word(options.folder, options.part, options.of) as word:
        return _measured(options, word)


def _measured(options: argparse.Namespace, word: _Word) -> int:
    folder, part = options.folder, options.part
    plan = placed(run_folder.read_plan(folder), options.sim_url)
    plan = informed(plan, first_calls(run_folder.read_state(folder)))
    if options.of:
        plan = replace(plan, workers=options.of)

    def begin() -> int:
        word.note(state="ready")
        wall = options.start or _start_by_stdin()
        word.note(state="running", zero_at=datetime.fromtimestamp(wall / 1e9, UTC).isoformat())
        return int(wall)

    work = measure(folder, plan, part, begin, watch_stdin=not options.start, spent=options.spent)
    ending, trouble = asyncio_run(work)
    word.note(
        state=STATES.get(ending.why, "finished"), ended=ending.why, detail=ending.detail,
        trouble=trouble, ended_at=run_folder.now().isoformat(),
    )  # fmt: skip
    return 1 if ending.why in {"failed", "interrupted"} else 0


def _start_by_stdin() -> int:
    print("ready", flush=True)
    line = sys.stdin.readline()
    if not line.strip().isdigit():
        raise RunError("whoever started this worker ended before the start.")
    return int(line)


def _only_first_calls(folder: Path, sim_url: str) -> int:
    """Make the first calls of the plan in a folder, and print what came of them as JSON."""
    calls = FirstCalls(placed(run_folder.read_plan(folder), sim_url))
    known = asyncio_run(call_first(folder, calls, watch_stdin=False))
    ending = calls.ending and [calls.ending.why, calls.ending.detail]
    outcome = {"first_calls": to_builtins(known), "spent": calls.spent, "ending": ending}
    print(json.dumps(outcome))
    return 0


async def call_first(folder: Path, calls: FirstCalls, *, watch_stdin: bool) -> list[FirstCall]:
    """Make first calls, unless the run in `folder` is stopped meanwhile."""
    stop_by_signal(calls.stop)
    if watch_stdin:
        stop_by_stdin(calls.stop)
    watching = asyncio.ensure_future(heed_stop(folder, calls.stop))
    try:
        return await calls.run()
    finally:
        watching.cancel()


def asyncio_run(work: Any) -> Any:
    """Run a coroutine on uvloop where there is one."""
    try:
        import uvloop
    except ImportError:
        return asyncio.run(work)
    return uvloop.run(work)


def placed(plan: Plan, sim_url: str) -> Plan:
    """The plan with an address for every target. Raises RunError for one that has none."""
    homeless = [t.name for t in plan.targets if not t.base_url and not t.simulated]
    if homeless:
        raise RunError(f"{', '.join(homeless)} has no base_url: put one into targets.toml.")
    keyless = {"base_url": sim_url, "api_key_env": "", "headers": {}, "query": {}}
    targets = tuple(t if t.base_url else replace(t, **keyless) for t in plan.targets)
    return replace(plan, targets=targets)


async def measure(
    folder: Path, plan: Plan, part: int, begin: Callable[[], int], *, watch_stdin: bool,
    spent: float = 0.0,
) -> tuple[Ending, str]:  # fmt: skip
    """Drive one share of a run that has `spent` so much; how it ended, and trouble with writing.

    `begin` is called when all is prepared, and says at which time (ns, wall clock) to start.
    """
    caller = Caller(plan)
    journal = Journal(
        folder, part, masked=caller.masked, words=caller.words, limits=caller.limits.tally
    )
    load = Load(
        plan=plan, send=caller.send, sink=journal.record, begin=journal.begin,
        part=(part, plan.workers), cost=spending.counter(plan), reserve=spending.reserve(plan),
        spent=spent, follow=caller.follow,
    )  # fmt: skip
    stop_by_signal(load.stop)
    gc.collect()
    gc.freeze()
    wall = begin()
    if watch_stdin:
        stop_by_stdin(load.stop)
    await _nearly(wall, load)
    # One look at both clocks; from here on only the monotonic one counts.
    load.zero = journal.zero = perf_counter() + (wall - time.time_ns()) / 1e9
    watching = asyncio.ensure_future(watch_self(load, journal, folder))
    try:
        ending = await load.run()
    finally:
        watching.cancel()
        with contextlib.suppress(asyncio.CancelledError):
            await watching
        await caller.aclose()
        journal.close()
    return ending, journal.trouble


async def _nearly(wall: int, load: Load) -> None:
    """Wait until shortly before a moment (ns, wall clock), unless the load is stopped."""
    while not load.over and (ahead := wall / 1e9 - time.time() - AHEAD_S) > 0:  # noqa: ASYNC110
        await asyncio.sleep(min(ahead, AHEAD_S))  # in steps, for the clock may be set meanwhile


if __name__ == "__main__":
    sys.exit(main())
