"""When a call has taken too long: one timer for each call, and the error type it stands for."""

import asyncio
from math import inf, isnan

from holymon.errors import OK
from holymon.plan.plan import Plan
from holymon.records.attempt import Marks
from holymon.transport.response import Response


class Deadlines:
    """Cancels the task it was made in when a limit of the call has passed.

    Until the headers come it is the first byte's (from when the request began to be written;
    opening a connection has a limit of its own, which the transport keeps), for a stream then
    the stall between tokens, and the total always. There is one timer, set for the shortest of
    them and moved by nothing that comes: when it rings early it is set anew.
    """

    __slots__ = (
        "_exceeded",
        "_handle",
        "_loop",
        "_marks",
        "_plan",
        "_response",
        "_stream",
        "_task",
        "_until",
    )  # fmt: skip

    def __init__(self, plan: Plan, marks: Marks, response: Response, until: float = inf) -> None:
        """Start the timer of a call that has just begun; it is to be over at `until`."""
        self._until = min(until, marks.start + plan.timeout_s)
        self._plan, self._marks, self._response = plan, marks, response
        self._task = asyncio.current_task()
        self._loop = asyncio.get_running_loop()
        self._stream = False
        self._exceeded = OK
        stall = plan.targets[marks.target].stall_s if plan.prompts.stream else plan.timeout_s
        total = self._until - marks.start
        self._handle = self._timer(min(plan.first_byte_s, total, stall))

    def streaming(self) -> None:
        """From now on tokens are expected."""
        self._stream = True

    def disarm(self) -> None:
        """End the watch: the call is over, no limit of it matters."""
        self._handle.cancel()

    def settle(self) -> str:
        """The error type of the limit that cancelled the task, `""` if it was none of them.

        The task then counts as not cancelled.
        """
        if self._exceeded and self._task is not None:
            self._task.uncancel()
        return self._exceeded

    def _next(self, now: float) -> tuple[float, str]:
        """When the nearest limit passes, and its error type."""
        marks, plan, response = self._marks, self._plan, self._response
        total = (self._until, "deadline_exceeded")
        if isnan(marks.headers):
            begun = now if isnan(response.write_start) else response.write_start
            waiting = "first_byte_timeout" if response.written else "write_error"
            return min(total, (begun + plan.first_byte_s, waiting))
        if not self._stream:
            return total
        last = marks.headers if isnan(marks.last) else marks.last
        return min(total, (last + plan.targets[marks.target].stall_s, "stream_stalled"))

    def _timer(self, seconds: float) -> asyncio.TimerHandle:
        return self._loop.call_later(max(0.0, seconds), self._ring)

    def _ring(self) -> None:
        now = self._response.clock()
        at, error = self._next(now)
        if now < at:
            self._handle = self._timer(at - now)
        elif self._task is not None:
            self._exceeded = error
            self._task.cancel()
