"""Rows of attempts as they come, from any thread, in bounded memory; what leaves it is summed up.

    add(marks) --> fresh rows --> block of rows --> blocks --> folded into totals, and spilled

Adding is one append to a deque, which needs no lock; a block gets its rows in batches, and leaves
as a whole. In a forked child the ledger begins anew: the parent's records stay the parent's.
"""

import contextlib
import itertools
import math
import threading
import time
from collections import OrderedDict, deque
from collections.abc import Callable, Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from functools import partial
from pathlib import Path
from typing import Final, Protocol

import numpy as np

from holymon.errors import PlanError
from holymon.figures.totals import Edges, Totals, totals
from holymon.monitor.forks import in_children
from holymon.monitor.open_calls import OpenCalls
from holymon.plan.target import Target
from holymon.protocols.rate_limits import LimitWatch
from holymon.records.attempt import Flag, Marks, gaps, row
from holymon.records.parquet import spill
from holymon.records.records import Records
from holymon.safety import short

_BATCH: Final = 256
_PARTS: Final = 8
MOST_TARGETS: Final = 100
MOST_HELD: Final = 10_000
OTHER: Final = Target(provider="other", model="other")


class Observer(Protocol):
    """Whoever wants to know that there are calls, in each process."""

    def begun(self) -> None:
        """Take note that there is a target that was not there before."""
        ...


class Ledger:
    """Attempts, newest last: at most `keep` of them, or those of about the last `keep_s` seconds.

    A failed attempt that may yet be repeated by others is held open until it is settled. With a
    `folder`, `spilled` attempts were written to it, and `lost` ones could not be.
    """

    def __init__(
        self,
        *,
        keep: int = 100_000,
        keep_s: float | None = None,
        edges: Edges | None = None,
        folder: Path | None = None,
    ) -> None:
        """Begin empty. Raises PlanError if a limit is out of range."""
        if not 1 <= keep <= 10**8 or (keep_s is not None and not 0 < keep_s < 1e9):
            raise PlanError(f"keep and keep_s must be positive, not {keep} and {keep_s}.")
        self.edges = Edges() if edges is None else edges
        self.folder = folder
        self._keep, self._keep_s = keep, keep_s
        self._part = max(1, keep // _PARTS)
        self._batch = min(_BATCH, self._part)
        self.observer: Observer | None = None
        self.ended: Callable[[Marks], None] | None = None
        """Is told of each attempt that is over, unless it is repeated here."""
        self._begin()
        in_children(self._begin)

    def _begin(self) -> None:
        self.zero, self.began = time.perf_counter(), time.time()
        self.spilled = self.lost = self._left = 0
        self._lock, self._inside = threading.RLock(), False
        self._targets: list[Target] = []
        self._index: dict[str, int] = {}
        self._numbers = itertools.count()
        self._words: dict[int, dict[str, str]] = {}
        self._fresh: deque[tuple[bytes, bytes]] = deque()
        self._blocks: deque[Records] = deque()
        self._rows = 0
        self._held: OrderedDict[int, tuple[Marks, float]] = OrderedDict()
        self.open, self.limits = OpenCalls(), LimitWatch()
        self._block = self._none()
        self._folded = Totals(self.edges, {})
        self._writer: ThreadPoolExecutor | None = None
        self._writing: deque[Future[None]] = deque()

    def number(self) -> int:
        """The number of a new request."""
        return next(self._numbers)

    def index(self, target: Target) -> int:
        """The position of a target in the rows; too many of them share one, `other/other`."""
        position = self._index.get(target.name)
        if position is not None:
            return position
        with self._lock:
            if target.name not in self._index:
                if len(self._targets) >= MOST_TARGETS:
                    target = OTHER
                if target.name not in self._index:
                    self._index[target.name] = len(self._targets)
                    self._targets.append(target)
                    if self.observer is not None:
                        self.observer.begun()
            return self._index[target.name]

    @property
    def taken(self) -> int:
        """How many attempts were taken in since the start, but for those that are held open."""
        return self._left + self._rows + len(self._fresh)

    @property
    def held(self) -> int:
        """How many are held open."""
        return len(self._held)

    @property
    def in_flight(self) -> dict[str, list[float]]:
        """When the attempts of each target were due that have begun and are not over (s)."""
        names = [target.name for target in tuple(self._targets)]
        dues: dict[str, list[float]] = {name: [] for name in names}
        for target, due in self.open.begun():
            dues[names[target]].append(due - self.zero)
        return dues

    def add(self, marks: Marks) -> None:
        """Take in an attempt that is over; the first words of each error type are kept."""
        self.open.end(marks)
        if marks.message:
            self._keep_words(marks)
        self._fresh.append((row(marks, self.zero), gaps(marks)))
        if self.ended is not None and not marks.flags & Flag.RETRIED:
            self.ended(marks)
        if len(self._fresh) >= self._batch:
            with self._alone() as free:
                if free:
                    self._drain()

    def hold(self, marks: Marks, until: float) -> None:
        """Take in a failed attempt of which others decide until then whether it is repeated."""
        self.open.end(marks)
        if marks.message:
            self._keep_words(marks)
        if self.ended is not None:
            self.ended(marks)
        with self._lock:
            self._held[marks.request] = (marks, until)
            if len(self._held) > MOST_HELD:
                self._settle(next(iter(self._held)))

    def settle(self, request: int, *, retried: bool, elsewhere: bool = False) -> None:
        """Say whether another attempt, at another target, followed on the one held open."""
        with self._lock:
            self._settle(request, Flag.RETRIED * retried | Flag.WENT_ON * elsewhere)

    def _keep_words(self, marks: Marks) -> None:
        # Whoever adds has taken the keys out that are known there. Targets and types are few.
        self._words.setdefault(marks.target, {}).setdefault(marks.error, short(marks.message))

    def records(self, since: float = -math.inf) -> Records:
        """A copy of all attempts in memory; blocks that ended before `since` (s) are left out."""
        with self._alone():
            whole, blocks = self._none(), self._now()
        words = {target: dict(words) for target, words in list(self._words.items())}
        whole.messages = partial(dict, words)
        return _joined(whole, [block for block in blocks if not (block["end_s"] < since).all()])

    def totals(self) -> Totals:
        """The sums of all attempts since the start; they never shrink."""
        with self._alone():
            whole, blocks, folded = self._none(), self._now(), self._folded
        return folded + totals(_joined(whole, blocks), self.edges)

    def refine(self, edges: Edges) -> bool:
        """Count with these bucket edges from now on, if nothing has left memory counted so far."""
        with self._alone():
            if not self._folded.targets:
                self.edges, self._folded = edges, Totals(edges, {})
            return self.edges == edges

    def flush(self) -> None:
        """Spill what is still in memory, and wait until all is written; for the end."""
        with self._alone():
            self._expire(float("inf"))
            self._drain()
            self._close_block()
            while self._blocks:
                self._fold(self._blocks.popleft())
            writer, self._writer = self._writer, None
        if writer is not None:
            writer.shutdown(wait=True)

    @contextlib.contextmanager
    def _alone(self) -> Iterator[bool]:
        """Hold the lock; false where the same thread holds it already.

        Garbage is collected anywhere, and a stream that is left in it ends, and is added, there.
        """
        with self._lock:
            before, self._inside = self._inside, True
            try:
                yield not before
            finally:
                self._inside = before

    # With the lock.

    def _none(self) -> Records:
        """No rows yet, of the targets known by now."""
        return Records(tuple(self._targets), self.began)

    def _settle(self, request: int, flags: int = 0) -> None:
        held = self._held.pop(request, None)
        if held is not None:
            held[0].flags |= flags
            self._fresh.append((row(held[0], self.zero), gaps(held[0])))

    def _expire(self, now: float) -> None:
        for request in [number for number, (_, until) in self._held.items() if until < now]:
            self._settle(request)

    def _drain(self) -> None:
        fresh = [self._fresh.popleft() for _ in range(len(self._fresh))]
        self._block.add(fresh)
        self._rows += len(fresh)
        now = time.perf_counter() - self.zero
        if len(self._block) >= self._part or self._is_old(self._block, now, 1):
            self._close_block()
        while self._blocks and (
            self._rows > self._keep or self._is_old(self._blocks[0], now, _PARTS)
        ):
            self._fold(self._blocks.popleft())

    def _is_old(self, block: Records, now: float, parts: int) -> bool:
        """Whether the first row of a block came so many eighths of `keep_s` ago."""
        if self._keep_s is None or not len(block):
            return False
        return bool(now - block["end_s"][0] > self._keep_s * parts / _PARTS)

    def _close_block(self) -> None:
        if len(self._block):
            whole = np.ones(len(self._block), bool)
            self._blocks.append(self._block.select(whole))  # a copy without room to spare
            self._block = self._none()

    def _fold(self, block: Records) -> None:
        self._rows -= len(block)
        self._left += len(block)
        block.targets = tuple(self._targets)  # targets may have come since
        self._folded += totals(block, self.edges)
        if self.folder is not None:
            self._writer = self._writer or ThreadPoolExecutor(1, "holymon-spill")
            try:
                self._writing.append(self._writer.submit(self._spill, block, self.folder))
            except RuntimeError:  # the interpreter ends, and has no more threads to give
                self._spill(block, self.folder)
            while len(self._writing) > _PARTS:  # a disk that can't keep up: memory stays bounded
                self._writing.popleft().result()

    def _spill(self, block: Records, folder: Path) -> None:
        try:
            spill(block, folder)
            self.spilled += len(block)
        except Exception:  # noqa: BLE001 - whoever makes calls is not to be told by an exception
            self.lost += len(block)

    def _now(self) -> list[Records]:
        """All blocks; only the last two are copies, so whoever makes calls waits for these alone.

        Rows of a closed block never change.
        """
        self._expire(time.perf_counter())
        self._drain()
        last, held = self._none(), self._none()
        last.extend(self._block.rows, self._block.gap_pairs, self._block.gap_counts)
        held.add(map(self._as_open, self._held.values()))
        return [*self._blocks, last, held]

    def _as_open(self, held: tuple[Marks, float]) -> tuple[bytes, bytes]:
        marks = held[0]
        flags, marks.flags = marks.flags, marks.flags | Flag.UNDECIDED
        packed = row(marks, self.zero), gaps(marks)
        marks.flags = flags
        return packed


def _joined(whole: Records, blocks: list[Records]) -> Records:
    for block in blocks:
        whole.extend(block.rows, block.gap_pairs, block.gap_counts)
    return whole
