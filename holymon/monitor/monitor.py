"""An application's own calls, repeated where that is safe, every attempt of them recorded.

chat / achat --> Requests (attempts, on a loop of their own) --> Ledger --> stats, tally
<-- the provider's answer, or its events one by one
"""

import asyncio
import os
import queue
import threading
from collections.abc import AsyncIterator, Iterator
from concurrent.futures import Future
from contextlib import suppress
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal, Self, overload

from holymon.errors import PlanError
from holymon.figures.request_stats import RequestStats, request_stats
from holymon.figures.totals import Edges, Totals
from holymon.formatting import number_of
from holymon.load.caller import Taker
from holymon.monitor.ledger import MOST_TARGETS, Ledger
from holymon.monitor.replies import (
    Event,
    Messages,
    Pipe,
    Reply,
    aevents_of,
    body_of,
    embedding_of,
    events_of,
    reply_of,
    wait,
)
from holymon.monitor.requests import Requests
from holymon.monitor.retry import Policy
from holymon.plan.target import Target
from holymon.plan.targets import sibling
from holymon.plan.targets import target as target_of
from holymon.records.client_health import ClientHealth
from holymon.records.headroom import Known
from holymon.records.records import Records
from holymon.structs import replace

if TYPE_CHECKING:
    import pandas as pd


class Monitor:
    """Calls a target and watches these calls, or watches those of clients (`monitored`) only.

    A call may name another `model` at the target's address; each model has a row of its own.

    Safe to use from threads, from event loops and after a fork. The last `keep` attempts are in
    memory, with `keep_s` only those of about so many seconds; what leaves it stays in `tally()`,
    and goes to Parquet files in the folder `spill`, if given. A call opens it when `closed`.
    """

    def __init__(
        self,
        target: Target | str | None = None,
        *,
        policy: Policy | None = None,
        connect_s: float = 10.0,
        first_byte_s: float = 60.0,
        keep: int = 100_000,
        keep_s: float | None = None,
        spill: Path | str | None = None,
        edges: Edges | None = None,
    ) -> None:
        """Open nothing before the first call. Raises PlanError, ConfigError."""
        self.target = target_of(target) if isinstance(target, str) else target
        self.policy = Policy() if policy is None else policy
        self.ledger = Ledger(
            keep=keep, keep_s=keep_s, edges=edges, folder=None if spill is None else Path(spill)
        )
        self.called: dict[str, Target] = {}
        """What was called so far, by model."""
        self.closed = False
        self.router: Any = None
        """The router whose calls these are, if any."""
        self._limits = {"connect_s": connect_s, "first_byte_s": first_byte_s}
        self._calls: Requests | None = None
        self._lock, self._process = threading.Lock(), os.getpid()

    def __repr__(self) -> str:
        return f"<Monitor of {self.name}: {number_of(len(self.records), 'attempt')} in memory>"

    @property
    def name(self) -> str:
        """What it watches: a target, several models of a provider, or clients."""
        if self.target is None:
            return "clients"
        several = len({*self.called, self.target.model}) > 1
        return f"{self.target.provider}'s models" if several else self.target.name

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def close(self) -> None:
        """Close all connections, and spill what is in memory if there is a folder for it."""
        with self._lock:
            self.closed = True
            calls, self._calls = self._calls, None
        if calls is not None:
            calls.stop()
        if self.ledger.folder is not None:
            self.ledger.flush()

    # Calls.

    @overload
    def chat(
        self, messages: Messages, *, model: str = "", stream: Literal[False] = False, **options: Any
    ) -> Reply:
        pass

    @overload
    def chat(
        self, messages: Messages, *, model: str = "", stream: Literal[True], **options: Any
    ) -> Iterator[Event]:
        pass

    def chat(
        self, messages: Messages, *, model: str = "", stream: bool = False, **options: Any
    ) -> Reply | Iterator[Event]:
        """Ask, and return the provider's answer, or with `stream` its events as they come.

        `messages` are as the target's endpoint takes them, or one text; a system message goes where
        Anthropic wants it. Vectors are asked for with `embed`.
        `model` is another one at the same address: it names the row, and has its own price.
        `options` go into the request's body (`max_tokens`, `temperature`, ...); where an API asks
        for the longest answer under another name, it gets it so. With `stream` it returns when the
        first event is there. Raises CallError when the last attempt has failed,
        PlanError for what can't be asked, ConfigError without a key.
        """
        called = self._called(model)
        body = body_of(called, messages, stream, options)
        if not stream:
            return self._answer(called, body)
        pieces: queue.SimpleQueue[bytes | None] = queue.SimpleQueue()
        pipe = Pipe(pieces.put)
        task = self._begin(called, body, stream=True, into=pipe.send)
        task.add_done_callback(lambda _: pieces.put(None))
        events = events_of(task, pieces.get, pipe)
        next(events)
        return events

    @overload
    async def achat(
        self, messages: Messages, *, model: str = "", stream: Literal[False] = False, **options: Any
    ) -> Reply:
        pass

    @overload
    async def achat(
        self, messages: Messages, *, model: str = "", stream: Literal[True], **options: Any
    ) -> AsyncIterator[Event]:
        pass

    async def achat(
        self, messages: Messages, *, model: str = "", stream: bool = False, **options: Any
    ) -> Reply | AsyncIterator[Event]:
        """`chat` for asyncio; the task that awaits it may be cancelled."""
        called = self._called(model)
        body = body_of(called, messages, stream, options)
        if not stream:
            return await self._aanswer(called, body)
        pieces: asyncio.Queue[bytes | None] = asyncio.Queue()
        loop = asyncio.get_running_loop()

        def put(piece: bytes | None) -> None:
            with suppress(RuntimeError):  # the loop is closed: nobody waits for it
                loop.call_soon_threadsafe(pieces.put_nowait, piece)

        pipe = Pipe(put)
        task = self._begin(called, body, stream=True, into=pipe.send)
        task.add_done_callback(lambda _: put(None))
        events = aevents_of(task, pieces.get, pipe)
        await anext(events)
        return events

    def embed(self, texts: str | list[str], *, model: str = "", **options: Any) -> Reply:
        """Ask for the vectors of texts, and return the provider's answer; raises as `chat`."""
        called = self._called(model)
        return self._answer(called, embedding_of(called, texts, options))

    async def aembed(self, texts: str | list[str], *, model: str = "", **options: Any) -> Reply:
        """`embed` for asyncio."""
        called = self._called(model)
        return await self._aanswer(called, embedding_of(called, texts, options))

    def _answer(self, called: Target, body: bytes) -> Reply:
        parts: list[bytes] = []
        wait(self._begin(called, body, stream=False, into=parts.append))
        return reply_of(called, parts)

    async def _aanswer(self, called: Target, body: bytes) -> Reply:
        parts: list[bytes] = []
        await asyncio.wrap_future(self._begin(called, body, stream=False, into=parts.append))
        return reply_of(called, parts)

    def _called(self, model: str) -> Target:
        """The target that a call is to, by its model. Raises PlanError."""
        if self.target is None:
            raise PlanError("this monitor has no target to call: hm.Monitor('provider/model').")
        if not model:
            return self.called.setdefault(self.target.model, self.target)
        called = self.called.get(model)
        if called is None:
            called = sibling(self.target, model)
            if len(self.called) < MOST_TARGETS:
                self.called[model] = called
        return called

    def _begin(self, called: Target, body: bytes, *, stream: bool, into: Taker) -> "Future[None]":
        """Begin a request, never on what `close` is stopping, and anew in another process."""
        assert self.target is not None
        if self._process != os.getpid():  # another thread may have held it at the fork
            self._lock, self._process = threading.Lock(), os.getpid()
        with self._lock:
            if self._calls is None or not self._calls.alive:
                self._calls = Requests(self.target, self.policy, self.ledger, **self._limits)
                self.closed = False
            return self._calls.begin(called, body, stream=stream, into=into)

    # Figures.

    @property
    def records(self) -> Records:
        """All attempts in memory: a copy that does not change."""
        return self.ledger.records()

    @property
    def requests(self) -> Records:
        """The last attempt of each request; at another target than before, it was due there then.

        So the whole time of what a router asked twice is in `stats()`, copies are in `records`.
        """
        records = self.records
        return records.select(records.final)

    @property
    def errors(self) -> Records:
        """The attempts that failed, also those that were repeated."""
        records = self.records
        return records.select(~records.ok)

    def to_frame(self) -> "pd.DataFrame":
        """All attempts in memory as a DataFrame, columns as in `Records.to_frame`."""
        return self.records.to_frame()

    def stats(self) -> RequestStats:
        """The figures of what is in memory, with the first words of each error type."""
        return request_stats(self.records, self.limits)

    def tally(self) -> Totals:
        """The sums of all attempts since the start, or since a fork; they only grow."""
        return self.ledger.totals()

    @property
    def limits(self) -> dict[str, Known]:
        """What answers told of the limits of each target, and of what remained of them."""
        known = list(self.ledger.limits.tally.known.items())
        names = [target.name for target in self.ledger._targets]
        return {names[index]: dict(of_target) for index, of_target in known}

    @property
    def vitals(self) -> ClientHealth | None:
        """How late its own event loop woke; None for calls of clients, which have their own."""
        return None if self._calls is None else self._calls.vitals


def HolySheepMonitor(  # noqa: N802 - as a class
    model: str = "gpt-4.1", *, base_url: str = "", **options: Any
) -> Monitor:
    """A Monitor of one of HolySheep's models, with the key from HOLYSHEEP_API_KEY.

    Another `base_url`, such as the simulator's, is called without it: a key goes to its owner only.
    """
    target = target_of(f"holysheep/{model}")
    if base_url:
        target = replace(target, base_url=base_url, api_key_env="", headers={}, query={})
    return Monitor(target, **options)
