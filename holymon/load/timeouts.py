"""When a call has taken too long: its limits, one alarm for all calls, and what it stands for."""

import asyncio
from collections.abc import Callable
from math import inf, isnan
from typing import Final, NamedTuple

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


class CallLimits(NamedTuple):
    """The limits of every call to one target, in seconds.

    `patient`: that a stream says nothing before its first token is no stall, since no limit for
    stalls was asked for. `soonest_s` is when the first of them can pass.
    """

    total_s: float
    first_byte_s: float
    stall_s: float
    patient: bool
    soonest_s: float


def limits_of(plan: Plan, target: int) -> CallLimits:
    """The limits of calls to a target, by its number."""
    total, first_byte, stall = plan.timeout_s, plan.first_byte_s, stall_of(plan, target)
    first_byte = total if first_byte is None else first_byte
    patient = not stall_asked(plan, target)
    return CallLimits(total, first_byte, stall, patient, min(total, first_byte, stall))


class Alarm:
    """The one timer of all calls under way, set for the moment when the first may have to end.

    A timer of its own for each would take a tenth of the time of a whole call.
    """

    __slots__ = ("_at", "_clock", "_loop", "_timer", "_watched")

    def __init__(self, clock: Callable[[], float]) -> None:
        """Watch nothing yet; moments are those of `clock`, in seconds."""
        self._clock, self._at = clock, inf
        self._watched: dict[Deadlines, float] = {}
        self._loop: asyncio.AbstractEventLoop | None = None
        self._timer: asyncio.TimerHandle | None = None

    def watch(self, deadlines: "Deadlines", at: float, loop: asyncio.AbstractEventLoop) -> None:
        """Look at a call of the running `loop` again at `at`, at the latest."""
        self._watched[deadlines] = at
        if at < self._at or self._loop is not loop:
            self._set(at)

    def forget(self, deadlines: "Deadlines") -> None:
        """A call is over."""
        self._watched.pop(deadlines, None)

    def stop(self) -> None:
        """Ring no more."""
        if self._timer is not None:
            self._timer.cancel()
        self._at, self._timer = inf, None

    def _set(self, at: float) -> None:
        loop = asyncio.get_running_loop()
        if loop is self._loop:  # of another, which may be closed, nothing is to be touched
            self.stop()
        self._at, self._loop = at, loop
        self._timer = loop.call_later(max(0.0, at - self._clock()), self._ring)

    def _ring(self) -> None:
        now, self._at = self._clock(), inf
        for deadlines, at in self._watched.items():
            if at <= now:
                self._watched[deadlines] = deadlines.look(now)
        if (soonest := min(self._watched.values(), default=inf)) < inf:
            self._set(soonest)


class Deadlines:
    """Cancels the task it was made in when a limit of the call has passed.

    Until the headers come it is the first byte's (from when the request began to be written;
    opening a connection has a limit of its own, which the transport keeps), for a stream then
    the stall between tokens, and the total always. The alarm is set for the shortest of them and
    moved by nothing that comes: when it rings early it is set anew. A stream that has finished has
    a short grace for the rest of it: then it was whole, and no limit was exceeded.
    """

    __slots__ = (
        "_alarm", "_exceeded", "_limits", "_reading", "_response", "_task", "_until", "message",
    )  # fmt: skip

    def __init__(
        self,
        alarm: Alarm,
        limits: CallLimits,
        reading: Reading,
        response: Response,
        until: float = inf,
    ) -> None:
        """Watch over a call that has just begun; it is to be over at `until`."""
        start = reading.marks.start
        self._until = min(until, start + limits.total_s)
        self._alarm, self._limits, self._reading, self._response = alarm, limits, reading, response
        reading.settles = self._settle
        loop = asyncio.get_running_loop()
        self._task = asyncio.current_task(loop)
        self._exceeded = OK
        self.message = ""
        """The limit that was exceeded, its value, and what lifts it."""
        alarm.watch(self, min(self._until, start + limits.soonest_s), loop)

    def disarm(self) -> None:
        """End the watch: the call is over, no limit of it matters."""
        self._alarm.forget(self)
        # They would keep each other alive until the collector's next run, which costs a third more.
        self._reading.settles = bool

    def settle(self) -> str:
        """The error type of the limit that cancelled the task, `""` if it was none of them.

        The task then counts as not cancelled.
        """
        if self._exceeded and self._task is not None:
            self._task.uncancel()
        return self._exceeded

    def look(self, now: float) -> float:
        """Cancel the task if a limit has passed; when to look again."""
        at, error, words = self._next(now)
        if now < at or self._task is None:
            return at
        self._exceeded, self.message = error, words
        self._task.cancel()
        return inf

    def _settle(self, now: float) -> None:
        counted = self._reading.marks.flags & Flag.SERVER_TOKENS
        self._until = min(self._until, now + (GRACE_COUNTED_S if counted else GRACE_S))
        self._alarm.watch(self, self._until, asyncio.get_running_loop())

    def _next(self, now: float) -> tuple[float, str, str]:
        """When the nearest limit passes, its error type, and its words."""
        reading, limits, response = self._reading, self._limits, self._response
        marks = reading.marks
        words = _words("not over", limits.total_s, "--timeout")
        total = (self._until, "deadline_exceeded", words)
        if reading.finished:
            return total
        if isnan(marks.headers):
            begun = now if isnan(response.write_start) else response.write_start
            late = begun + limits.first_byte_s
            if not response.written:
                words = _words("request not written out", limits.first_byte_s, "--first-byte")
                return min(total, (late, "write_error", words))
            words = _words("no answer began", limits.first_byte_s, "--first-byte")
            return min(total, (late, "first_byte_timeout", words))
        if not reading.streaming or response.full or (isnan(marks.last) and limits.patient):
            return total
        last = marks.headers if isnan(marks.last) else marks.last
        last = max(last, response.freed)  # the server was not heard while nobody listened
        words = _words("no further token", limits.stall_s, "--stall")
        return min(total, (last + limits.stall_s, "stream_stalled", words))


def _words(what: str, seconds: float, option: str) -> str:
    return f"{what} within {seconds:g} s: {option} sets this limit"
