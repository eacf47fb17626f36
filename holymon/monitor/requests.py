"""Requests of an application with all their attempts: made, repeated by policy, recorded.

    Requests.begin(body) -> Future      its thread and loop --> Caller --> Ledger

One event loop of its own serves threads and other loops alike: only there can a call have a total
limit and a stall be noticed (a blocking httpx call has neither), what arrives is stamped however
busy the application is, and connections are shared by all. It costs two changes of thread a call.
"""

import asyncio
import random
import threading
import weakref
from collections import deque
from concurrent.futures import Future
from math import isnan
from time import perf_counter
from typing import Final

from holymon.errors import CallError
from holymon.load.caller import Caller, Taker
from holymon.monitor.ledger import Ledger
from holymon.monitor.longest_answer import Names
from holymon.monitor.retry import Budget, Policy, next_wait
from holymon.monitor.side import PLACE, Place
from holymon.plan.plan import Closed, Plan
from holymon.plan.prompts import Prompts
from holymon.plan.target import Target
from holymon.records.attempt import Flag, Marks
from holymon.records.client_health import ClientHealth
from holymon.sim.process import SimulatorProcess, simulator
from holymon.structs import replace
from holymon.transport.pool import Transport

SAMPLE_S: Final = 0.05
MOST_LAGS: Final = 6000
_REFUSED: Final = frozenset({"bad_request", "unprocessable"})
_LIMIT: Final = " sets this limit"
_IN_PYTHON: Final = {
    "--timeout": "the policy's deadline_s", "--first-byte": "first_byte_s",
    "--stall": "the target's stall_s",
}  # fmt: skip
"""What an option of the command is called where there is none."""


class Requests:
    """Requests to one address, on an event loop in a thread of its own; they share connections."""

    def __init__(
        self, target: Target, policy: Policy, ledger: Ledger, *, connect_s: float,
        first_byte_s: float,
    ) -> None:  # fmt: skip
        """Start the thread and its loop. Raises ConfigError if the key is missing."""
        self.policy, self.ledger = policy, ledger
        self._budget, self._names = Budget(policy), Names()
        self._simulator = simulator() if target.simulated and not target.base_url else None
        url = target.base_url if self._simulator is None else self._simulator.base_url
        at = replace(target, base_url=url)
        transport = Transport(connect_s=connect_s)
        plans = {
            stream: Plan(targets=(at,), load=Closed(users=1), requests=1,
                         prompts=Prompts(stream=stream), timeout_s=policy.deadline_s,
                         connect_s=connect_s, first_byte_s=first_byte_s)
            for stream in (False, True)
        }  # fmt: skip
        self._callers = {
            stream: Caller(plan, transport=transport, limits=ledger.limits)
            for stream, plan in plans.items()
        }
        self._open = 0
        self._lags: deque[float] = deque(maxlen=MOST_LAGS)
        self._closed = threading.Event()
        self._loop = asyncio.new_event_loop()
        self._thread = threading.Thread(
            target=_serve, args=(self._loop,), name="holymon", daemon=True
        )
        self._thread.start()
        self.stop = weakref.finalize(
            self, _stop, self._closed, self._loop, self._thread, transport, self._simulator
        )

    @property
    def alive(self) -> bool:
        """False in a forked child, where the thread is not."""
        return self._thread.is_alive()

    def begin(self, target: Target, body: bytes, *, stream: bool, into: Taker) -> "Future[None]":
        """Make one request, to be a row of `target`; what comes is handed to `into`.

        The result raises CallError.
        """
        work = self._request(target, body, stream, into, perf_counter(), PLACE.get())
        return asyncio.run_coroutine_threadsafe(work, self._loop)

    @property
    def vitals(self) -> ClientHealth:
        """How late the loop woke of late, while calls were under way (some minutes of that)."""
        return ClientHealth.of_loop(self._lags.copy())

    async def _request(
        self, target: Target, body: bytes, stream: bool, into: Taker, due: float, place: Place
    ) -> None:
        self._open += 1
        if self._open == 1 and (self._watching is None or self._watching.done()):
            self._watching = asyncio.create_task(self._watch())
        try:
            await self._attempts(target, body, stream, into, due, place)
        finally:
            self._open -= 1

    _watching: "asyncio.Task[None] | None" = None

    async def _watch(self) -> None:
        """Sample the lag of the loop for as long as calls are under way; idle costs nothing."""
        while self._open:
            before = perf_counter()
            await asyncio.sleep(SAMPLE_S)
            self._lags.append(max(0.0, perf_counter() - before - SAMPLE_S))

    async def _attempts(
        self, target: Target, body: bytes, stream: bool, into: Taker, due: float, place: Place
    ) -> None:
        before, attempt, handed = place.goes_on(self.ledger), 0, False
        number = self.ledger.number() if before is None else before.request
        first = 0 if before is None else before.attempt + 1

        def take(piece: bytes) -> "asyncio.Future[None] | None":
            nonlocal handed
            handed = True
            return into(piece)

        index, caller = self.ledger.index(target), self._callers[stream]
        body = self._names.applied(target.model, body)
        self._budget.earn(due)
        until = due + self.policy.deadline_s
        while True:
            marks = Marks(number, 0, due, first + attempt)
            marks.side = place.side
            self.ledger.open.begin(marks, index)
            await caller.ask(marks, body, into=take, until=until, row=index)
            other = None
            if attempt == 0 and marks.error in _REFUSED:
                other = self._names.learned(target.model, body, marks.message)
            body = other or body
            wait = 0.0 if other else None if handed else self._next(marks, attempt, until)
            marks.target = index
            if marks.message.endswith(_LIMIT):
                marks.message = _in_python(marks.message)
            if before is not None and attempt == 0:
                marks.flags |= Flag.CAME_OVER
            if place.side == "shadow":
                marks.flags |= Flag.SHADOW
            if wait is not None:
                marks.flags |= Flag.RETRIED
            if wait is None and not handed and place.may_leave(marks):
                place.hold(self.ledger, marks)
            else:
                self.ledger.add(marks)
            if marks.error == "cancelled":
                raise self._ended(target, attempt + 1)
            if not marks.error:
                return
            if wait is None:
                raise CallError(
                    target.name, marks.error, status=marks.status, code=marks.code,
                    message=marks.message, attempts=attempt + 1,
                )  # fmt: skip
            attempt += 1
            try:
                await asyncio.sleep(wait)
            except asyncio.CancelledError:  # the attempt that would have followed is on record
                following = Marks(number, index, due, first + attempt)
                following.side = place.side
                following.error, following.end = "cancelled", perf_counter()
                self.ledger.add(following)
                raise self._ended(target, attempt) from None

    def _next(self, marks: Marks, attempt: int, until: float) -> float | None:
        if not marks.error:
            return None
        reused = isnan(marks.connect_start)
        wait = next_wait(
            self.policy, attempt, marks.error, marks.retry_after, random.random(),
            should_retry=marks.should_retry, stale=reused and not marks.status,
            left=until - perf_counter(),
        )  # fmt: skip
        return wait if wait is not None and self._budget.spend(perf_counter()) else None

    def _ended(self, target: Target, attempts: int) -> BaseException:
        """What tells a caller that its call was broken off: another's doing needs words."""
        if not self._closed.is_set():
            return asyncio.CancelledError()
        return CallError(
            target.name, "cancelled", status=0, code="", attempts=attempts,
            message="the monitor was closed before the answer had come.",
        )  # fmt: skip


def _in_python(message: str) -> str:
    """The words of a limit, which name an option of the command, for who sets it in Python."""
    for option, name in _IN_PYTHON.items():
        message = message.replace(f": {option}{_LIMIT}", f": {name}{_LIMIT}")
    return message


def _serve(loop: asyncio.AbstractEventLoop) -> None:
    loop.run_forever()
    loop.close()


def _stop(
    closed: threading.Event,
    loop: asyncio.AbstractEventLoop,
    thread: threading.Thread,
    transport: Transport,
    served: SimulatorProcess | None,
) -> None:
    async def end() -> None:
        tasks = asyncio.all_tasks() - {asyncio.current_task()}
        for task in tasks:
            task.cancel()
        try:
            await asyncio.gather(*tasks, return_exceptions=True)
            await transport.aclose()
        finally:
            loop.stop()

    closed.set()
    if thread.is_alive():
        asyncio.run_coroutine_threadsafe(end(), loop)
        # The last to know a forgotten monitor may be a task of this loop: it can't wait for itself.
        if threading.current_thread() is not thread:
            thread.join(10)
    if served is not None:
        served.close()
