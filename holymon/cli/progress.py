"""A run measured for the command line: with a progress bar on a terminal, and stopped by Ctrl-C."""

import contextlib
import sys
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import TYPE_CHECKING, Final

from holymon.formatting import number_of
from holymon.load.interrupts import deferred, interruptible
from holymon.safety import short

if TYPE_CHECKING:
    from holymon.load.run import Run
    from holymon.plan.plan import Plan

BAR_FROM_S: Final = 2.0


def measured_with_bar(plan: "Plan", out: Path, dask: str | None = None) -> tuple["Run", bool]:
    """Measure with a progress bar, here or on a Dask cluster; whether it was interrupted."""
    from holymon.cluster.executors import start

    run, interrupted = None, False
    with interruptible():
        try:
            with deferred():  # or nobody would know what to stop, and there would be no report
                run = start(plan, out=out, detached=False, on=dask)
            with _bar(plan) as show:
                run.wait(show)
        except KeyboardInterrupt:
            if run is None:
                raise
            interrupted = True
            run.stop()
            _wait_stopped(run)
    return run, interrupted


def _wait_stopped(run: "Run") -> None:
    """Wait for the worker's last words; a second Ctrl-C does not wait."""
    try:
        run.wait(timeout=30)
    except KeyboardInterrupt:
        run.kill()
        run.wait(timeout=30)


@contextlib.contextmanager
def _bar(plan: "Plan") -> Iterator[Callable[["Run"], None] | None]:
    """A progress bar on a terminal, for anything that takes over two seconds."""
    from tqdm import tqdm

    from holymon.plan.plan import Closed
    from holymon.records.headroom import headroom, in_a_line

    timed = plan.duration_s is not None or not isinstance(plan.load, Closed)
    each = plan.prompts.sizes.number / plan.prompts.number  # turns of a conversation
    total = plan.seconds if timed else (plan.requests or 0) * len(plan.targets) * each
    form = "{desc} {percentage:3.0f}% |{bar}| {postfix}"
    with tqdm(total=total, desc="measuring", bar_format=form, leave=False, file=sys.stderr,
              disable=None, delay=BAR_FROM_S) as bar:  # fmt: skip

        def show(run: "Run") -> None:
            records = run.records
            done = bar.format_dict["elapsed"] if timed else float(len(records))
            bar.n = min(done, total)
            failed = int((~records.ok).sum())
            left = [in_a_line(known) for known in headroom(run.folder).values()]
            words = f"{number_of(len(records), 'call')}, {failed} failed"
            bar.set_postfix_str(short("; ".join([words, *left]), 120))

        yield None if bar.disable else show
