"""Drives a plan: when to send, what is in flight, when to stop; knows neither HTTP nor files.

    Load(plan, send, sink).run() --> Ending
    due[i] -> begin(n, target, due[i]) -> send(n, target, due[i]) -> Marks -> sink(Marks)
    n = numbers[i], target = n % targets, round = n // targets: worker k of m has every m-th round
    follow(marks) -> when the next turn of its conversation is due, None after its last

Open loop: the schedule is an array made before the first call, and it never slips silently. A
call that is due while `max_in_flight` others of its target are still unanswered is not queued, it
is a record (`client_dropped`). Closed loop: each user sends when its last answer has come.

Of conversations it is their beginnings that are scheduled, and each user holds one at a time. A
further turn is due when the answer before has come and its person has thought, and its delay counts
from then. With the load end its conversations: what is in flight ends, no further turn is sent. A
limit of time ends them too; a number of `requests` is one of conversations, which are held whole.
"""

import asyncio
from collections.abc import Awaitable, Callable, Coroutine
from dataclasses import dataclass, field
from math import inf
from time import perf_counter
from typing import Any, Final

import numpy as np
import numpy.typing as npt

from holymon.errors import ERRORS, NOT_THE_SERVER, OK, UNREACHABLE
from holymon.load.pacer import Pacer
from holymon.plan.plan import Closed, Open, Plan
from holymon.plan.shapes import Floats
from holymon.records.attempt import Flag, Marks

Send = Callable[[int, int, float], Awaitable[Marks]]
Sink = Callable[[Marks], None]
Clock = Callable[[], float]
Ints = npt.NDArray[np.int64]

SPIN_BELOW: Final = 400.0
"""Up to so many calls a second and worker, the last tick before a call is spent turning the loop,
so that calls leave within microseconds of their time. At higher rates that would eat the core:
then calls leave with the first tick after it."""

HOPELESS: Final = 10
"""After so many calls that all failed for the caller's or the network's reasons, it is enough."""


@dataclass(slots=True)
class Ending:
    """Why it ended: `finished`, `stopped`, `max_errors`, `max_cost`, `hopeless`, `first_call`."""

    why: str = "finished"
    detail: str = ""


@dataclass(slots=True)
class Load:
    """The state of a load that is going on: shared by the schedule, the calls and whoever stops.

    `spent` is what it has cost so far, in USD: before it begins, what the first calls did.
    """

    plan: Plan
    send: Send
    sink: Sink
    zero: float = 0.0
    clock: Clock = perf_counter
    begin: Callable[[int, int, float], None] = lambda *_: None
    follow: Callable[[Marks], float | None] | None = None
    cost: Callable[[Marks], float] | None = None
    reserve: float = 0.0
    spent: float = 0.0
    part: tuple[int, int] = (0, 1)
    ending: Ending = field(default_factory=Ending)
    tasks: "set[asyncio.Task[None]]" = field(default_factory=set)
    _due: Floats = field(init=False)
    _numbers: Ints = field(init=False)
    _pacer: Pacer = field(init=False)
    _busy: list[int] = field(default_factory=list)
    _room: float = inf
    _crash: BaseException | None = None
    _sent: int = 0
    _errors: int = 0
    _ok: int = 0
    _asking: int = 0
    _alike: dict[str, int] = field(default_factory=dict)

    def __post_init__(self) -> None:
        """Compute the schedule, before the clock of the run starts."""
        self._pacer = Pacer(self.clock)
        self._due, self._numbers = self.plan.share(*self.part)
        self._busy = [0] * len(self.plan.targets)

    @property
    def in_flight(self) -> int:
        """Calls that were sent and have not ended."""
        return self._asking

    @property
    def over(self) -> bool:
        """Whether nothing more is to be sent."""
        return self._pacer.over

    def stop(self, why: str = "stopped", detail: str = "", *, cancel: bool = True) -> None:
        """Send nothing more; with `cancel`, calls in flight end now and are recorded as such."""
        if not self.over:
            self.ending = Ending(why, detail)
            self._pacer.end()
        if cancel:
            for task in self.tasks:
                task.cancel()

    async def run(self) -> Ending:
        """Drive the load to its end; every call that was due is a record when this returns."""
        if isinstance(self.plan.load, Open):
            await self._open(self.plan.load)
        else:
            await self._closed(self.plan.load)
        if self._crash is not None:
            raise self._crash
        return self.ending

    async def _open(self, load: Open) -> None:
        parts, targets = self.part[1], len(self.plan.targets)
        self._room = max(1, load.max_in_flight // parts)
        self._pacer.spin = load.shape.peak * targets / parts <= SPIN_BELOW
        for i in range(len(self._due)):
            at, number = self.zero + float(self._due[i]), int(self._numbers[i])
            if not await self._until(at) or self._spent():
                break
            target = number % targets
            number = self._first_call(number)
            if self._busy[target] >= self._room:
                self._unsent(number, target, at, "client_dropped")
            else:
                self._start(number, target, at)
        await self._drain()

    async def _until(self, at: float) -> bool:
        """Wait until `at`, never less; False if the load was ended meanwhile."""
        if self._sent % 64 == 0 and at < self.clock():
            # Behind schedule: answers must still be read.
            await asyncio.sleep(0)
        return await self._pacer.until(at)

    def _start(self, number: int, target: int, due: float) -> None:
        self._sent += 1
        if self.follow is not None:
            # Its calls are counted one by one: nobody waits for an answer while a person thinks.
            task = self._spawn(self._converse(number, target, due))
        else:
            self._busy[target] += 1
            task = self._spawn(self._call(number, target, due))

        # A task that is cancelled before its first step has sent nothing, and is a record too.
        def ended(done: "asyncio.Task[None]") -> None:
            self._busy[target] -= self.follow is None
            if done.cancelled():
                self._unsent(number, target, due, "cancelled")

        task.add_done_callback(ended)

    def _spawn(self, work: Coroutine[Any, Any, Any]) -> "asyncio.Task[Any]":
        task = asyncio.ensure_future(work)
        self.tasks.add(task)
        task.add_done_callback(self._ended)
        return task

    def _ended(self, task: "asyncio.Task[None]") -> None:
        self.tasks.discard(task)
        if not task.cancelled() and (error := task.exception()) is not None:
            self._crash = self._crash or error
            self.stop("failed", type(error).__name__)

    async def _call(self, number: int, target: int, due: float) -> Marks:
        self.begin(number, target, due)
        self._asking += 1
        try:
            marks = await self.send(number, target, due)
        finally:
            self._asking -= 1
        self._record(marks)
        return marks

    async def _converse(self, number: int, target: int, due: float | None) -> None:
        """Hold a conversation of one target, whose first call has that number."""
        targets, until = len(self.plan.targets), self.zero + self.plan.sending_s
        while due is not None:
            if self._busy[target] >= self._room:
                marks = self._unsent(number, target, due, "client_dropped")
            else:
                self._busy[target] += 1
                try:
                    marks = await self._call(number, target, due)
                finally:
                    self._busy[target] -= 1
            due = None if self.follow is None else self.follow(marks)
            if due is None or due >= until or not await self._thought(due):
                return
            number += targets

    async def _thought(self, until: float) -> bool:
        """Wait until its person goes on; whether a further call may be sent."""
        try:
            return await self._pacer.until(until) and not self._spent()
        except asyncio.CancelledError:  # by `stop`: nothing was under way
            return False

    def _unsent(self, number: int, target: int, due: float, error: str) -> Marks:
        marks = Marks(number, target, due)
        marks.error, marks.end = error, self.clock()
        self._record(marks)
        return marks

    async def _closed(self, load: Closed) -> None:
        await self._until(self.zero)
        (k, parts), targets = self.part, len(self.plan.targets)
        width = load.users * targets
        for user in range(width):
            if user // targets % parts == k:
                self._spawn(self._user(user, width))
        await self._drain()

    async def _user(self, user: int, width: int) -> None:
        targets = len(self.plan.targets)
        end = self.zero + self.plan.seconds
        warm_end = self.zero + self.plan.warmup_s
        # Users share the wanted number evenly; the first ones take what is left over.
        share = None
        if self.plan.requests is not None:
            users = width // targets
            share, more = divmod(self.plan.requests, users)
            share += user // targets < more
        turn = measured = 0
        while not (self.over or (due := self.clock()) >= end or measured == share or self._spent()):
            measured += due >= warm_end
            # Numbers are unique without talking to the other users or workers.
            number = user + turn * width
            if self.follow is None:
                await self._call(number, user % targets, due)
            else:
                await self._converse(self._first_call(number), user % targets, due)
            turn += 1

    def _first_call(self, number: int) -> int:
        """The number of the call that the `number`-th request or conversation begins with."""
        if self.follow is None:
            return number
        conversation, target = divmod(number, len(self.plan.targets))
        return conversation * self.plan.prompts.turns * len(self.plan.targets) + target

    async def _drain(self) -> None:
        while self.tasks:
            await asyncio.wait(set(self.tasks))

    def _record(self, marks: Marks) -> None:
        if marks.due < self.zero + self.plan.warmup_s:
            marks.flags |= Flag.WARMUP
        self.sink(marks)
        if marks.error == OK:
            self._ok += 1
        elif marks.error not in NOT_THE_SERVER:
            self._failed(marks.error)
        if self.cost is not None and self.plan.max_cost is not None:
            self.spent += self.cost(marks)
            if self.spent >= self.plan.max_cost / self.part[1]:
                self._spent()

    def _spent(self) -> bool:
        """Whether one call more could cost more than is left; then nothing more is sent.

        `reserve` is what a call may cost at most. What is in flight is billed in any case: it is
        let end, and counted.
        """
        limit = self.plan.max_cost
        if limit is None:
            return False
        still = self.reserve * (self._asking + 1)
        spent = self.spent + still > limit / self.part[1] or self.spent >= limit / self.part[1]
        if spent:
            message = f"one call more could pass the spending limit of {limit:g} USD"
            self.stop("max_cost", message, cancel=False)
        return spent

    def _failed(self, error: str) -> None:
        self._errors += 1
        self._alike[error] = self._alike.get(error, 0) + 1
        limit = self.plan.max_errors
        if limit is not None and self._errors >= limit / self.part[1]:
            self.stop("max_errors", f"the limit of {limit} errors is reached", cancel=False)
        # Nothing has ever worked, and asking again can't mend it: spare the server and the purse.
        settled = ERRORS[error].blame == "caller" or error in UNREACHABLE
        if settled and not self._ok and self._alike[error] == self._errors >= HOPELESS:
            self.stop("hopeless", f"all calls failed with {error}", cancel=False)
