"""When a call has taken too long: one timer for each call, and the error type it stands for."""

import asyncio
from math import inf, isnan
from typing import Final

from holymon.errors import OK
from holymon.plan.plan import TIMEOUT_S, Plan
from holymon.protocols.reading import Reading
from holymon.records.attempt import Flag
from holymon.transport.response import Response

GRACE_S: Final = 2.0
"""How long a stream that has told why it ended is waited for: some servers then send neither usage
nor an end, and keep the connection open."""

GRACE_COUNTED_S: Final = 1.0
"""The same when the usage has come, and only the last event is missing."""


STALL_S: Final = 30.0
"""Seconds between two tokens of a stream, at most, if no limit of its calls was asked for."""


def stall_asked(plan: Plan, target: int) -> float | None:
    """Seconds without a token that were asked for as a limit, by the number of the target."""
    return plan.targets[target].stall_s if plan.stall_s is None else plan.stall_s


def stall_of(plan: Plan, target: int) -> float:
    """Seconds after which a stream without a further token has stalled."""
    usual = STALL_S if plan.timeout_s == TIMEOUT_S else plan.timeout_s
    return stall_asked(plan, target) or usual


class Deadlines:
    """Cancels the task it was made in when a limit of the call has passed.

    Until the headers come it is the first byte's (from when the request began to be written;
    opening a connection has a limit of its own, which the transport keeps), for a stream then
    the stall between tokens, and the total always. There is one timer, set for the shortest of
    them and moved by nothing that comes: when it rings early it is set anew. A stream that has
    finished has a short grace for the rest of it: then it was whole, and no limit was exceeded.
    """

    __slots__ = (
        "_exceeded", "_first_byte", "_handle", "_loop", "_plan", "_reading", "_response", "_task",
        "_until", "message",
    )  # fmt: skip

    def __init__(
        self, plan: Plan, reading: Reading, response: Response, until: float = inf
    ) -> None:
        """Start the timer of a call that has just begun; it is to be over at `until`."""
        marks = reading.marks
        self._until = min(until, marks.start + plan.timeout_s)
        self._plan, self._reading, self._response = plan, reading, response
        reading.settles = self._settle
        self._task = asyncio.current_task()
        self._loop = asyncio.get_running_loop()
        self._exceeded = OK
        self.message = ""
        """The limit that was exceeded, its value, and what lifts it."""
        first_byte = plan.first_byte_s
        self._first_byte = plan.timeout_s if first_byte is None else first_byte
        stall = stall_of(plan, marks.target) if marks.flags & Flag.STREAM else inf
        total = self._until - marks.start
        self._handle = self._timer(min(self._first_byte, total, stall))

    def disarm(self) -> None:
        """End the watch: the call is over, no limit of it matters."""
        self._handle.cancel()
        # They would keep each other alive until the collector's next run, which costs a third more.
        self._reading.settles = bool

    def settle(self) -> str:
        """The error type of the limit that cancelled the task, `""` if it was none of them.

        The task then counts as not cancelled.
        """
        if self._exceeded and self._task is not None:
            self._task.uncancel()
        return self._exceeded

    def _settle(self, now: float) -> None:
        counted = self._reading.marks.flags & Flag.SERVER_TOKENS
        self._until = min(self._until, now + (GRACE_COUNTED_S if counted else GRACE_S))
        self._handle.cancel()
        self._handle = self._timer(self._until - now)

    def _next(self, now: float) -> tuple[float, str, str]:
        """When the nearest limit passes, its error type, and its words."""
        reading, plan, response = self._reading, self._plan, self._response
        marks = reading.marks
        total = (self._until, "deadline_exceeded", _words("not over", plan.timeout_s, "--timeout"))
        if reading.finished:
            return total
        if isnan(marks.headers):
            begun = now if isnan(response.write_start) else response.write_start
            late = begun + self._first_byte
            if not response.written:
                words = _words("request not written out", self._first_byte, "--first-byte")
                return min(total, (late, "write_error", words))
            words = _words("no answer began", self._first_byte, "--first-byte")
            return min(total, (late, "first_byte_timeout", words))
        thinking = isnan(marks.last) and not stall_asked(plan, marks.target)
        if not reading.streaming or thinking:
            return total
        first_byte = plan.first_byte_s
        self._first_byte = plan.timeout_s if first_byte is None else first_byte
        stall = stall_of(plan, marks.target)
        last = marks.headers if isnan(marks.last) else marks.last
        words = _words("no further token", stall, "--stall")
        return min(total, (last + stall, "stream_stalled", words))

    def _timer(self, seconds: float) -> asyncio.TimerHandle:
        return self._loop.call_later(max(0.0, seconds), self._ring)

    def _ring(self) -> None:
        now = self._response.clock()
        at, error, words = self._next(now)
        if now < at:
            self._handle = self._timer(at - now)
        elif self._task is not None:
            self._exceeded, self.message = error, words
            self._task.cancel()


def _words(what: str, seconds: float, option: str) -> str:
    return f"{what} within {seconds:g} s: {option} sets this limit"
