"""Copies of calls for the candidate, of whose answers only the record is kept: nobody waits.

send(...) --> a deque --> thread that looks by itself, 20 to 40 ms later --> candidate
"""

import logging
import threading
import time
import weakref
from collections import deque
from collections.abc import Callable
from concurrent.futures import Future
from contextlib import suppress
from functools import partial
from typing import Any, Final

from holymon.errors import HolymonError
from holymon.monitor.forks import in_children
from holymon.monitor.monitor import Monitor
from holymon.monitor.replies import body_of, embedding_of
from holymon.monitor.side import at

MOST: Final = 64
"""Copies on their way, at most: of what hangs there are not ever more."""

LATER_S: Final = 0.02
"""So long after its call a copy is written and sent, or twice that: then the caller waits for its
answer, and neither the work on the copy nor on what comes of it falls together with the call's."""

AWAKE_S: Final = 1.0
"""So long after the last copy its thread goes on looking for the next one."""

_LOG: Final = logging.getLogger("holymon")


class Later:
    """Work that is done a while after it was handed over, in a thread of its own, in batches.

    A thread that is woken for each takes its turn on the interpreter from the very call that
    hands it over: so this one looks by itself, every `LATER_S` while there are calls.
    """

    def __init__(self) -> None:
        """Start nothing yet."""
        self._begin()
        in_children(self._begin)

    def _begin(self) -> None:
        self._lock, self._wake = threading.Lock(), threading.Event()
        self._waiting: deque[tuple[float, Callable[[], object]]] = deque()
        self._thread: threading.Thread | None = None
        self._awake = False
        weakref.finalize(self, self._wake.set).atexit = False

    def __len__(self) -> int:
        return len(self._waiting)

    def put(self, work: Callable[[], object]) -> None:
        """Have it done later; nobody is told what comes of it."""
        self._waiting.append((time.perf_counter() + LATER_S, work))
        if not self._awake:
            self._start()

    def close(self) -> None:
        """Do nothing more; what was handed over and not begun is forgotten."""
        with self._lock:
            thread, self._thread = self._thread, None
        self._waiting.clear()
        self._wake.set()
        if thread is not None and thread is not threading.current_thread():
            thread.join(10)
        self._awake = False

    def _start(self) -> None:
        with self._lock:
            if self._thread is None:
                self._wake.clear()
                self._thread = threading.Thread(
                    target=_look_on, args=(weakref.ref(self), self._wake), name="holymon-shadow",
                    daemon=True,
                )  # fmt: skip
                self._thread.start()
        self._wake.set()

    def _work(self) -> bool:
        """Do what is due, and tell whether there was any."""
        self._awake, now, any_due = True, time.perf_counter(), False
        while self._waiting and self._waiting[0][0] <= now:
            work, any_due = self._waiting.popleft()[1], True
            try:
                work()
            except Exception:  # noqa: BLE001 - what follows is done all the same
                _LOG.exception("a copy of a call could not be made")
        return any_due

    def _may_sleep(self) -> bool:
        """Whether nothing waits; whoever hands something over from now on wakes the thread."""
        self._awake = False
        return not self._waiting


def _look_on(weak: "weakref.ref[Later]", wake: threading.Event) -> None:
    """Look again and again, until it is closed or nobody holds it any more."""
    last = time.perf_counter()
    while (later := weak()) is not None and later._thread is threading.current_thread():
        now = time.perf_counter()
        if later._work():
            last = now
        if now - last > AWAKE_S and later._may_sleep():
            del later
            wake.wait()
            wake.clear()
            last = time.perf_counter()
        else:
            del later
            time.sleep(LATER_S)


class Shadows:
    """Copies of a router's calls: a call pays for an entry in a list."""

    def __init__(self, candidate: Monitor) -> None:
        """Start nothing yet."""
        self._candidate, self._later = candidate, Later()
        self._begin()
        in_children(self._begin)

    def _begin(self) -> None:
        self._out: set[Future[None]] = set()
        self.skipped = 0
        """Copies that were not sent, as too many were on their way."""

    def send(self, question: Any, options: dict[str, Any]) -> None:
        """Have a call made by the candidate, too: of chat, where a `stream` may be, or of embed."""
        if len(self._out) + len(self._later) >= MOST:
            self.skipped += 1
            return
        if isinstance(question, list):  # the caller may add to it, and to its last message
            question = [{**part} if isinstance(part, dict) else part for part in question]
        # A copy, for the call itself may take its own options after this one has taken from them.
        self._later.put(partial(self._copy, question, {**options}))

    def _copy(self, question: Any, options: dict[str, Any]) -> None:
        stream = options.pop("stream", None)
        with suppress(HolymonError), at("shadow"):  # what can't be asked there is no call
            called = self._candidate._called(options.pop("model"))
            if stream is None:
                body = embedding_of(called, question, options)
            else:
                body = body_of(called, question, stream, options)
            future = self._candidate._begin(called, body, stream=bool(stream), into=_nowhere)
            self._out.add(future)
            future.add_done_callback(self._out.discard)

    def close(self) -> None:
        """Send no more; what is on its way is called off with the candidate's monitor."""
        self._later.close()


def _nowhere(_: bytes) -> None:
    """Take a piece of an answer that nobody reads."""
