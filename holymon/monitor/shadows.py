"""Copies of calls for the candidate, of whose answers only the record is kept: nobody waits."""

import queue
import threading
import time
from concurrent.futures import Future
from contextlib import suppress
from typing import Any, Final

from holymon.errors import HolymonError
from holymon.monitor.forks import in_children
from holymon.monitor.monitor import Monitor
from holymon.monitor.replies import Messages, body_of
from holymon.monitor.side import at

MOST: Final = 64
"""Copies on their way, at most: of what hangs there are not ever more."""

LATER_S: Final = 0.02
"""So long after its call a copy is written and sent: then the caller waits for its answer, and
neither the work on the copy nor on what comes of it falls together with that on the call."""

_Copy = tuple[float, Messages, str, bool, dict[str, Any]]


class Shadows:
    """Copies are written and sent in a thread of their own, so that a call pays for a hand-over."""

    def __init__(self, candidate: Monitor) -> None:
        """Start nothing yet."""
        self._candidate = candidate
        self._begin()
        in_children(self._begin)

    def _begin(self) -> None:
        self._lock, self._queue = threading.Lock(), queue.SimpleQueue[_Copy | None]()
        self._thread: threading.Thread | None = None
        self._out: set[Future[None]] = set()
        self.skipped = 0
        """Copies that were not sent, as too many were on their way."""

    def send(
        self, messages: Messages, model: str, stream: bool, options: dict[str, Any]
    ) -> None:  # fmt: skip
        """Have a call made by the candidate, too."""
        if len(self._out) + self._queue.qsize() >= MOST:
            self.skipped += 1
            return
        if self._thread is None:
            with self._lock:
                if self._thread is None:
                    self._thread = threading.Thread(
                        target=self._send_all, args=(self._queue,), name="holymon-shadow",
                        daemon=True,
                    )  # fmt: skip
                    self._thread.start()
        kept = messages if isinstance(messages, str) else [*messages]  # the caller may add to it
        self._queue.put((time.perf_counter() + LATER_S, kept, model, stream, options))

    def close(self) -> None:
        """Send no more; what is on its way is called off with the candidate's monitor."""
        with self._lock:
            thread, self._thread = self._thread, None
        if thread is not None:
            self._queue.put(None)
            thread.join(10)

    def _send_all(self, copies: "queue.SimpleQueue[_Copy | None]") -> None:
        while (copy := copies.get()) is not None:
            due, messages, model, stream, options = copy
            time.sleep(max(0.0, due - time.perf_counter()))
            with suppress(HolymonError), at("shadow"):  # what can't be asked there is no call
                called = self._candidate._called(model)
                body = body_of(called, messages, stream, options)
                future = self._candidate._begin(called, body, stream=stream, into=_nowhere)
                self._out.add(future)
                future.add_done_callback(self._out.discard)


def _nowhere(_: bytes) -> None:
    """Take a piece of an answer that nobody reads."""
