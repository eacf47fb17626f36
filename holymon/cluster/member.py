"""One Dask worker of a run, as its leader sees it: asked through Dask, its files fetched."""

import asyncio
import json
import statistics
import time
import zlib
from collections.abc import Awaitable, Callable
from dataclasses import dataclass, field
from itertools import count
from time import perf_counter
from typing import Any, Final
from urllib.parse import urlsplit

from holymon.cluster import remote
from holymon.errors import RunError
from holymon.load import pieces
from holymon.load.pieces import MOST, Replica
from holymon.records.shares import MachineShare
from holymon.safety import short

PATIENCE_S: Final = 30.0
"""A worker that has not answered for so long is lost: its share has ended by then, for nobody has
asked for its records for `remote.SILENCE_S`."""

GONE: Final = (OSError, TimeoutError)
"""What a worker, or a scheduler, that is not there any more raises."""

PULL_S: Final = 0.25
WHOLE: Final = 4
"""The calls under way are fetched each time after so many."""

LOOKS: Final = 7
"""So often a clock is read: the quickest answer says best what time it is there."""

READY_LOOK_S: Final = 0.1
LEAST: Final = 2**14
SLOW_S, QUICK_S = 2.0, 0.5
"""Answers that take so long are to be shorter; those that don't may be longer."""


@dataclass(slots=True)
class Member:
    """A Dask worker that makes share `part`; `ask` raises OSError or TimeoutError if it is lost."""

    client: Any
    part: int
    address: str
    name: str
    replica: Replica
    host: str = ""
    here: bool = False
    path: str = ""
    task: Any = None
    word: dict[str, Any] = field(default_factory=dict)
    stop_words: str | None = None
    over: bool = False
    clock_s: float = 0.0
    clock_error_s: float | None = None
    drift_s: float | None = None
    lost_s: float | None = None
    gone: asyncio.Event = field(default_factory=asyncio.Event)
    log: str = ""
    _most: int = 2**16
    _behind_s: float | None = None
    _trips: list[float] = field(default_factory=list)
    _since: float = 0.0

    async def ask(self, function: Callable[..., Any], *args: Any, via: str = "") -> Any:
        """What a function of `remote` returns on this worker, or on another one of its machine."""
        address = via or self.address
        answers = await reached(self.client, self.client.run(function, *args, workers=[address]))
        if address not in answers:
            raise OSError(f"{self.name} is not there any more")
        return answers[address]

    async def read_clock(self) -> tuple[float, float]:
        """How far its clock is ahead of ours, and to within how much, in seconds."""
        best = (0.0, float("inf"))
        for _ in range(LOOKS):
            before = time.time_ns()
            there = await self.ask(remote.clock)
            after = time.time_ns()
            best = min(best, ((2 * there - before - after) / 2e9, (after - before) / 2e9),
                       key=lambda look: look[1])  # fmt: skip
        return best

    async def send(self, name: str, data: bytes) -> None:
        """Put a file into its folder, piece by piece."""
        for at in range(0, max(len(data), 1), MOST):
            await self.ask(remote.put, self.path, name, zlib.compress(data[at : at + MOST], 1), at)

    async def order(self, orders: dict[str, Any]) -> None:
        """Say what its share is, and what it needs to know."""
        await self.send("orders.json", json.dumps({**orders, "part": self.part}).encode())

    async def ready(self, until: float) -> None:
        """Wait until its worker is ready to begin. Raises RunError if it never is."""
        while perf_counter() < until and not self.task.done():
            answer = await self.ask(pieces.pull, *self._wish(whole=False))
            if _word(answer["word"]).get("state") == "ready":
                return
            await asyncio.sleep(READY_LOOK_S)
        answer = await self.ask(pieces.pull, *self._wish(whole=False))
        why = _word(answer["word"]).get("detail") or short(str(answer["log"])) or "no word of it"
        raise RunError(f"the worker on {self.name} did not start: {why}")

    async def go(self, moment: int) -> None:
        """Have it begin at a moment of our clock (ns since 1970), told by its own."""
        await self.ask(remote.go, self.path, moment + int(self.clock_s * 1e9))

    async def follow(self) -> None:
        """Fetch what the share writes, until it has ended and all of it is here."""
        self._since = perf_counter()
        for number in count():
            began = perf_counter()
            whole = number % WHOLE == 0
            if self.take(await self.ask(pieces.pull, *self._wish(whole=whole)), began):
                return
            await asyncio.sleep(max(0.0, began + PULL_S - perf_counter()))

    def _wish(self, *, whole: bool) -> tuple[Any, ...]:
        return self.path, self.part, self.replica.have, self._most, whole

    def take(self, answer: dict[str, Any], began: float) -> bool:
        """Take in an answer that was asked for at `began`; whether it was the last one."""
        now = perf_counter()
        self.replica.take(answer)
        self._trips.append(now - began)
        if answer["grown"]:
            self._behind_s = max(self._behind_s or 0.0, now - self._since)
        if not answer["more"]:
            self._since = began
        if now - began > SLOW_S:
            self._most = max(self._most // 2, LEAST)
        elif now - began < QUICK_S:
            self._most = min(self._most * 2, MOST)
        self.word = _word(answer["word"]) or self.word
        self.log = short(str(answer["log"]))
        if answer["stop"] is not None:
            self.stop_words = answer["stop"].decode("utf-8", "replace")
        self.over = bool(answer["over"]) and not answer["more"]
        return self.over

    async def salvage(self, others: Callable[[], list[str]], seconds: float) -> None:
        """Fetch the rest by another Dask worker of its machine, or by hand if that is this one."""
        until = perf_counter() + seconds
        while not self.over and perf_counter() < until:
            began, wish = perf_counter(), self._wish(whole=True)
            for way in (*others(), ""):
                try:
                    if way:
                        answer = await asyncio.wait_for(self.ask(pieces.pull, *wish, via=way), 5)
                    elif self.here:
                        answer = await asyncio.to_thread(pieces.pull, *wish)
                    else:
                        continue
                except GONE:
                    continue
                if not answer["word"]:  # no such folder there
                    continue
                if self.take(answer, began):
                    return
                break
            await asyncio.sleep(PULL_S)

    def share(self, lag_p99_s: float | None = None) -> MachineShare:
        """What is known of it by now."""
        return MachineShare(
            part=self.part, name=self.name, host=self.host, clock_s=self.clock_s,
            clock_error_s=self.clock_error_s, drift_s=self.drift_s,
            round_trip_s=statistics.median(self._trips) if self._trips else None,
            behind_s=self._behind_s, lag_p99_s=lag_p99_s, records=self.replica.records,
            wire_bytes=self.replica.wire_bytes, lost_s=self.lost_s, folder=short(self.path),
        )  # fmt: skip


def _word(raw: bytes) -> dict[str, Any]:
    """What a share says of itself: texts, of a length that may be shown."""
    try:
        word = json.loads(raw or b"{}")
    except (ValueError, RecursionError):
        return {}
    known = word.items() if isinstance(word, dict) else ()
    return {key: short(value) for key, value in known if isinstance(value, str)}


async def reached(client: Any, answer: Awaitable[Any]) -> Any:
    """What comes of a question. Raises OSError or TimeoutError if nobody is there."""
    try:
        return await asyncio.wait_for(answer, PATIENCE_S)
    except Exception as error:
        if isinstance(error, GONE) or client.status == "running":
            raise
        raise OSError(f"the scheduler is gone: {error}") from None


def place_of(address: str) -> str:
    """The host of an address, which all Dask workers of a machine have in common."""
    return urlsplit(address).hostname or ""
