"""Ctrl-C, SIGTERM and the death of an owner, so that what was done is kept and shown.

In a command both signals become KeyboardInterrupt; in a worker they stop what goes on in its loop.
"""

import _thread
import asyncio
import contextlib
import os
import signal
import threading
import time
from collections.abc import Callable, Iterator
from types import FrameType
from typing import Final

INTERRUPTED: Final = 130
"""The exit code of a command that was."""
AGAIN_S: Final = 0.01
_again: Final[set[int]] = set()
"""The signals that come again in a moment."""


@contextlib.contextmanager
def interruptible() -> Iterator[None]:
    """Raise KeyboardInterrupt in the main thread for either signal, while this lasts.

    A shell's `&` starts a command with Ctrl-C ignored; a load must always be stoppable.
    """
    if threading.current_thread() is not threading.main_thread():
        yield
        return

    before = {n: signal.signal(n, _interrupt) for n in (signal.SIGTERM, signal.SIGINT)}
    try:
        yield
    finally:
        for number, handler in before.items():
            signal.signal(number, handler)


def _interrupt(number: int, frame: FrameType | None) -> None:
    """Raise KeyboardInterrupt, though a moment later if Python itself is about an import.

    There it may keep a lock that all imports need: another thread that imports, as for a page, then
    waits for ever, and so does whoever waits for that thread.
    """
    if number in _again:
        return
    while frame and frame.f_globals is globals():  # another signal came as this began
        frame = frame.f_back
    if frame is None or not frame.f_code.co_filename.startswith("<frozen importlib"):
        raise KeyboardInterrupt
    _again.add(number)
    _thread.start_new_thread(_repeat, (number,))  # `threading` waits for it, where a signal comes


def _repeat(number: int) -> None:
    time.sleep(AGAIN_S)
    _again.discard(number)
    signal.raise_signal(number)


@contextlib.contextmanager
def deferred() -> Iterator[None]:
    """Hand either signal to whom it was meant for at the end of this only; a second one won't wait.

    So whoever has to end what is begun here knows it, and what is written here is whole.
    """
    if threading.current_thread() is not threading.main_thread():
        yield
        return
    came: list[int] = []

    def note(number: int, frame: FrameType | None) -> None:
        if came:
            _interrupt(number, frame)
        came.append(number)

    # What an application has set elsewhere than in Python can't be put back, so it stays.
    theirs = [n for n in (signal.SIGTERM, signal.SIGINT) if signal.getsignal(n) is not None]
    before = {n: signal.signal(n, note) for n in theirs}
    try:
        yield
    finally:
        for number, handler in before.items():
            signal.signal(number, handler)
    if came:
        signal.raise_signal(came[0])


def stop_by_signal(stop: Callable[[], None]) -> None:
    """Have a signal call `stop` in the loop that runs."""
    loop = asyncio.get_running_loop()
    for number in (signal.SIGINT, signal.SIGTERM):
        try:
            loop.add_signal_handler(number, stop)
        except NotImplementedError:  # Windows
            signal.signal(number, lambda *_: loop.call_soon_threadsafe(stop))


def interrupted_by_stdin() -> None:
    """Have the end of standard input, and so of whoever started this process, be as Ctrl-C."""

    def wait() -> None:
        while os.read(0, 4096):
            pass
        os.kill(os.getpid(), signal.SIGINT)  # on Windows that ends it at once

    threading.Thread(target=wait, daemon=True).start()


def stop_by_stdin(stop: Callable[[str, str], None]) -> None:
    """Have the end of standard input, and so of whoever started this process, call `stop`."""
    loop = asyncio.get_running_loop()

    def wait() -> None:
        while os.read(0, 4096):
            pass
        with contextlib.suppress(RuntimeError):  # the loop is closed: the run is over
            loop.call_soon_threadsafe(stop, "interrupted", "the process that owned it ended")

    threading.Thread(target=wait, daemon=True).start()
