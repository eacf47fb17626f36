"""A worker watches itself: the lag of its loop, its share of a core, its stops for garbage."""

import asyncio
import contextlib
import gc
import math
import os
import signal
import sys
import time
from collections.abc import Callable
from pathlib import Path
from time import perf_counter
from typing import Final

from holymon.errors import HolymonError
from holymon.load.engine import Ending, Load
from holymon.records import client_health
from holymon.records.journal import Journal
from holymon.records.own_files import opened, write_aside
from holymon.records.run_state import ENDED
from holymon.safety import short

SAMPLE_S: Final = 0.05
FILES: Final = (2**17, 10240)
SHORTEST_S: Final = 0.25
"""A share of a core over less than this says nothing."""


def open_many() -> None:
    """Allow this process as many connections as the system does.

    A soft limit of 256 (macOS) or 1,024 (Linux) would be met long before a load's own limits.
    """
    for most in FILES:
        with contextlib.suppress(ImportError, OSError, ValueError):  # Windows; too many for macOS
            import resource

            soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
            wanted = most if hard == resource.RLIM_INFINITY else min(most, hard)
            if 0 <= soft < wanted:
                resource.setrlimit(resource.RLIMIT_NOFILE, (wanted, hard))
            return


def worked(work: Callable[[], int]) -> int:
    """The exit code of a worker's `work`, which a closed terminal does not end; 4 if it can't."""
    open_many()
    if hasattr(signal, "SIGHUP"):
        signal.signal(signal.SIGHUP, signal.SIG_IGN)
    try:
        return work()
    except HolymonError as error:
        sys.stderr.write(f"{error}\n")
        return 4


async def watch_self(load: Load, journal: Journal, folder: Path) -> None:
    """Sample the loop's lag, write one line a second, and look for the stop file."""
    stop = folder / "stop"
    pause, share, lags = _Pause(), _Share(), list[float]()
    try:
        while True:
            before = perf_counter()
            await asyncio.sleep(SAMPLE_S)
            after = perf_counter()
            if after < load.zero:
                share = _Share()
                continue
            lags.append(max(0.0, after - before - SAMPLE_S))
            with contextlib.suppress(OSError):  # a full disk, no more files: the next time, then
                _see_to(stop, load, look=len(lags) % 2 == 0)
            if share.seconds >= 1.0:
                _note(load, journal, lags, share, pause)
                share, lags = _Share(), []
    finally:
        if lags and share.seconds >= SHORTEST_S:
            _note(load, journal, lags, share, pause)
        pause.close()


async def heed_stop(folder: Path, stop: Callable[[], None]) -> None:
    """Call `stop` once somebody asks the run in `folder` to end."""
    while True:
        await asyncio.sleep(SAMPLE_S)
        if (folder / "stop").exists():
            return stop()


def _see_to(stop: Path, load: Load, *, look: bool) -> None:
    if load.over and load.ending.why != "failed" and not stop.exists():
        _tell(stop, load.ending)  # the other workers end with this one
    elif look and stop.exists():
        _heed(stop, load)


def _tell(stop: Path, ending: Ending) -> None:
    words = "" if ending.why == "stopped" else f"{ending.why}\n{ending.detail}"
    write_aside(stop, words)


def _heed(stop: Path, load: Load) -> None:
    """Stop as the file says: if it is empty at once, else by a limit that another worker met.

    A limit lets the calls in flight end; whoever stops the run does not want to wait for them.
    """
    with opened(stop) as file:
        why, _, detail = file.read(4096).decode("utf-8", "replace").partition("\n")
    if why in ENDED:
        load.stop(why, short(detail), cancel=False)
    else:
        load.stop()


def _note(
    load: Load, journal: Journal, lags: list[float], share: "_Share", pause: "_Pause"
) -> None:
    moment = perf_counter() - load.zero
    cpu, waited, late = share.take()
    journal.vital(
        client_health.line(moment, lags, cpu, waited, late, pause.take(), load.in_flight, _rss_mb())
    )


class _Share:
    """The part of a core that the process had since this was made, and what it had to wait."""

    def __init__(self) -> None:
        self._begun, self._cpu, self._run = perf_counter(), time.process_time(), _scheduled()

    @property
    def seconds(self) -> float:
        return perf_counter() - self._begun

    def take(self) -> tuple[float, float, float]:
        """CPU seconds per second; waited / (ran + waited) and seconds waited each time.

        The last two are NaN if they aren't known.
        """
        now = zip(_scheduled(), self._run, strict=True)
        ran, waited, times = (after - before for after, before in now)
        wanted = ran + waited
        cpu = (time.process_time() - self._cpu) / max(self.seconds, 1e-3)
        share = waited / wanted if wanted > 0 else math.nan
        return cpu, share, waited / 1e9 / times if times > 0 else math.nan


def _scheduled() -> tuple[float, float, float]:
    """How long the loop's thread has run, and waited for a core while it could have run (ns).

    And how many times it got one (Linux, Documentation/scheduler/sched-stats.rst).
    """
    try:
        ran, waited, times = Path("/proc/thread-self/schedstat").read_text().split()
        return float(ran), float(waited), float(times)
    except (OSError, ValueError):
        return math.nan, math.nan, math.nan


class _Pause:
    """The longest stop for garbage collection since it was last asked for."""

    def __init__(self) -> None:
        self._begun = self._longest = 0.0
        gc.callbacks.append(self._noted)

    def _noted(self, phase: str, _info: dict[str, int]) -> None:
        if phase == "start":
            self._begun = perf_counter()
        else:
            self._longest = max(self._longest, perf_counter() - self._begun)

    def take(self) -> float:
        longest, self._longest = self._longest, 0.0
        return longest

    def close(self) -> None:
        gc.callbacks.remove(self._noted)


def _rss_mb() -> float:
    try:
        pages = int(Path("/proc/self/statm").read_text().split()[1])
        return pages * os.sysconf("SC_PAGE_SIZE") / 1e6
    except (OSError, ValueError, IndexError):
        return float("nan")
