"""Several plans measured side by side, each on cores of its own; what fails leaves the rest."""

import os
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from queue import SimpleQueue
from threading import Event

from holymon.errors import HolymonError, PlanError, RunError
from holymon.formatting import number_of
from holymon.load.run import Run, start
from holymon.plan.plan import Plan

Outcome = Run | HolymonError
"""A run that was measured, or why it could not be."""


def cores() -> list[int]:
    """The cores that this process may use."""
    try:
        return sorted(os.sched_getaffinity(0))
    except AttributeError:  # macOS, Windows
        return list(range(os.cpu_count() or 1))


def places(at_once: int, workers: int, mine: Sequence[int]) -> list[list[int]]:
    """So many sets of the cores `mine` that share none, each with one for every worker.

    What is left over widens them: a simulator takes a core of its own where there is one. Raises
    PlanError if there are too few cores.
    """
    most = max(1, len(mine) // workers)
    if not 1 <= at_once <= most:
        raise PlanError(
            f"at_once is {at_once}: with {number_of(workers, 'worker')} a plan and "
            f"{number_of(len(mine), 'core')} here it must lie between 1 and {most}, so that no two "
            "plans share a core."
        )
    width = len(mine) // at_once
    return [list(mine[k * width : (k + 1) * width]) for k in range(at_once)]


def measured(
    plans: Sequence[Plan], *, out: Path | str = "reports", at_once: int = 1
) -> list[Outcome]:
    """Measure `plans`, up to `at_once` in the same time; what came of each, in their order.

    A plan that can't be measured is its error, and the others go on. Ctrl-C stops all. Raises
    PlanError if there are too few cores for so many.
    """
    free: SimpleQueue[list[int]] = SimpleQueue()
    for place in places(at_once, max((plan.workers for plan in plans), default=1), cores()):
        free.put(place)
    going = _Going(out)
    with ThreadPoolExecutor(at_once, initializer=_settle, initargs=(free,)) as pool:
        ends = [pool.submit(going.measured, plan) for plan in plans]
        try:
            return [end.result() for end in ends]
        except BaseException:  # Ctrl-C
            going.stop()
            raise


def _settle(free: SimpleQueue[list[int]]) -> None:
    """Give this thread, and so the workers that it starts, a place of its own."""
    place = free.get()
    if hasattr(os, "sched_setaffinity"):
        os.sched_setaffinity(0, place)  # of the calling thread alone: sched_setaffinity(2)


class _Going:
    """The runs that go on, and whether any further one may begin."""

    def __init__(self, out: Path | str) -> None:
        self._out, self._live, self._over = out, dict[str, Run](), Event()

    def measured(self, plan: Plan) -> Outcome:
        try:
            if self._over.is_set():
                raise RunError(f"{plan.name} was not begun: all was stopped before.")
            run = start(plan, out=self._out, detached=False)
            self._live[run.id] = run
            if self._over.is_set():  # since it was looked at
                run.stop()
            return run.wait()
        except HolymonError as error:
            return error

    def stop(self) -> None:
        self._over.set()
        for run in list(self._live.values()):
            run.stop()
