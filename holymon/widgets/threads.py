"""The two threads of a dashboard: one that draws and steps aside, one that does what is asked.

ipykernel calls widgets' callbacks now from its main thread, now from that of a subshell, each with
a loop of its own; so a callback only puts its work here, and all work is done by one thread.
"""

import contextlib
import math
import os
import sys
import threading
from collections.abc import Callable
from contextvars import ContextVar, copy_context
from queue import SimpleQueue
from time import perf_counter, thread_time
from typing import Final, TypeVar

PERIOD_S: Final = 0.25
SHARE: Final = 0.05
YIELDS: Final = 5  # see `tests/bench/aside.py`
_Result = TypeVar("_Result")


def free_of_cells(work: Callable[[], _Result]) -> _Result:
    """What `work` returns, with the widgets that it makes bound to no cell."""

    def freed() -> _Result:
        _answer_no_cell()
        return work()

    return copy_context().run(freed)


def _answer_no_cell() -> None:
    """Have what this thread says to widgets from now on count as no cell's doing.

    ipykernel 7 hands a click to the thread whose request its widget was last updated for: if that
    was a cell, the click waits until the main thread is free, which is no way to stop a run. With
    no such request it goes to JupyterLab's subshell at once. Other kernels are left alone.
    """
    base = sys.modules.get("ipykernel.kernelbase")
    if base is None or not base.Kernel.initialized():
        return
    parent = getattr(base.Kernel.instance(), "_shell_parent", None)
    if isinstance(parent, ContextVar):
        parent.set({})


def step_aside() -> None:
    """Let everything else run before the calling thread, for the rest of that thread's life.

    A kernel that draws on the worker's core holds it for a scheduler's slice at a time (3 to 5 ms
    on Linux), and every answer that arrives meanwhile looks that much slower. `YIELDS` is nice
    enough for the worker to be let in at once. More of it (nice 19, SCHED_IDLE) would hold up this
    very process on a busy machine: a thread that gets no core keeps Python's lock all the same, and
    cells and clicks wait for it. Only Linux has a niceness of each thread; elsewhere this does
    nothing. It needs no rights to enter, but some to leave: call it in a thread that only draws.
    """
    if sys.platform == "linux":
        with contextlib.suppress(OSError):
            os.setpriority(os.PRIO_PROCESS, threading.get_native_id(), YIELDS)


class Pace:
    """Lets work that gets dearer with the number of calls happen less often."""

    def __init__(self, least_s: float, share: float = SHARE) -> None:
        """At most every `least_s` seconds, and at most `share` of one core.

        What counts is the time of a core, not of a clock: on a busy machine work that steps aside
        takes long and costs nobody anything. The first time is dear, and does not count.
        """
        self._least, self._share, self._next = least_s, share, -math.inf

    def due(
        self, work: Callable[[], _Result], *, at: float | None = None, now: bool = False
    ) -> _Result | None:
        """What `work` returns, or None where it is not its turn yet, unless it must be `now`.

        `at` are seconds on a clock of the caller's, where it has one.
        """
        began, used = perf_counter() if at is None else at, thread_time()
        first = self._next == -math.inf
        if began < self._next and not now:
            return None
        try:
            return work()
        finally:
            cost = 0.0 if first else thread_time() - used
            self._next = began + max(self._least, cost / self._share)


class Ticker(threading.Thread):
    """A thread that draws: calls `tick` four times a second until that is false, or until closed.

    It steps aside for whatever measures, so nothing may be started from it that does not draw. Not
    so where calls are made by this very process (`aside` false): they would wait for its locks.
    """

    def __init__(
        self, tick: Callable[[], bool], *, aside: bool = True, owner: object = None
    ) -> None:
        """Start to tick at once; `owner` is what `owners` lists."""
        super().__init__(name="holymon-draws", daemon=True)
        self.period_s, self.owner = PERIOD_S, owner
        self._aside = aside
        self._tick = tick
        self._over = threading.Event()
        self.start()

    def run(self) -> None:
        """Tick; a late tick does not make the next ones come in a burst."""
        if self._aside:
            step_aside()
        _answer_no_cell()
        rest = 0.0
        while not self._over.wait(rest):
            began = perf_counter()
            if not self._tick():
                return
            rest = max(self.period_s - (perf_counter() - began), 0.02)

    def close(self) -> None:
        """End it; returns when it draws no more."""
        self._over.set()
        if self.is_alive() and self is not threading.current_thread():
            self.join(5)


class Jobs(threading.Thread):
    """A thread that does one piece of work after another, for as long as its owner is shown."""

    def __init__(self, failed: Callable[[Exception], None], owner: object) -> None:
        """Start to work; `failed` is told what a piece of work raised, and the next one follows."""
        super().__init__(name="holymon-works", daemon=True)
        self.owner = owner
        self._failed = failed
        self._queue: SimpleQueue[Callable[[], object] | None] = SimpleQueue()
        self.start()

    def do(self, work: Callable[[], object]) -> None:
        """Have `work` done in its turn; from any thread."""
        self._queue.put(work)

    def run(self) -> None:
        """Do one piece of work after another, until the queue says that it is closed."""
        _answer_no_cell()
        while (work := self._queue.get()) is not None:
            try:
                work()
            except Exception as error:  # noqa: BLE001 - it is shown, and the thread goes on
                self._failed(error)

    def close(self) -> None:
        """End it after the work that was asked for before."""
        self._queue.put(None)


def owners() -> list[object]:
    """Whoever has a thread of these that has not ended: the thread itself is the register."""
    return [thread.owner for thread in threading.enumerate() if isinstance(thread, Jobs | Ticker)]
