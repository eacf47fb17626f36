"""Threads that draw make way for the process that measures."""

import contextlib
import os


def step_aside() -> None:
    """Let everything else run before the calling thread, for the rest of that thread's life.

    A kernel that draws on the worker's core holds it for a scheduler's slice at a time (3 to 5 ms
    on Linux), and every answer that arrives meanwhile looks that much slower. Linux's SCHED_IDLE
    needs no rights to enter, but some to leave: call this in a thread that only draws. Elsewhere
    it does nothing.
    """
    with contextlib.suppress(AttributeError, OSError):
        os.sched_setscheduler(0, os.SCHED_IDLE, os.sched_param(0))
