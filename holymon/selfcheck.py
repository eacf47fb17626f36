"""A worker watches itself: the lag of its loop, its share of a core, its stops for garbage."""

import asyncio
import gc
import os
import time
from pathlib import Path
from time import perf_counter
from typing import Final

from holymon import vitals
from holymon.engine import Load
from holymon.journal import Journal

SAMPLE_S: Final = 0.05


async def watch_self(load: Load, journal: Journal, folder: Path) -> None:
    """Sample the loop's lag, write one line a second, and look for the stop file."""
    stop = folder / "stop"
    pause = _Pause()
    cpu_at = perf_counter()
    cpu, lags = time.process_time(), list[float]()
    try:
        while True:
            before = perf_counter()
            await asyncio.sleep(SAMPLE_S)
            after = perf_counter()
            if after < load.zero:
                cpu, cpu_at = time.process_time(), after
                continue
            lags.append(max(0.0, after - before - SAMPLE_S))
            if load.over and load.ending.why != "failed":
                stop.touch()  # the other workers end with this one
            elif len(lags) % 2 == 0 and stop.exists():
                load.stop()
            if after - cpu_at >= 1.0:
                _note(load, journal, lags, (time.process_time() - cpu) / (after - cpu_at), pause)
                cpu, cpu_at, lags = time.process_time(), after, []
    finally:
        spent = perf_counter() - cpu_at
        if lags:
            _note(load, journal, lags, (time.process_time() - cpu) / max(spent, 1e-3), pause)
        pause.close()


def _note(load: Load, journal: Journal, lags: list[float], cpu: float, pause: "_Pause") -> None:
    moment = perf_counter() - load.zero
    journal.vital(vitals.line(moment, lags, cpu, pause.take(), load.in_flight, _rss_mb()))


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
