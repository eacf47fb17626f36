"""The Dask workers of a run, led from its first call to its last record.

examine, prepare, put --> first call (worker 0) --> one task a worker --> ready
go, at one moment --> pull, pull, ... (each worker's files into the run's folder) --> forget
"""

import asyncio
import contextlib
import json
import os
import socket
import time
from datetime import UTC, datetime
from math import inf
from pathlib import Path
from time import perf_counter
from typing import Any, Final
from uuid import uuid4

from holymon.cluster import remote
from holymon.cluster.member import GONE, Member, place_of, reached
from holymon.errors import RunError
from holymon.load.engine import Ending
from holymon.load.settle import settle
from holymon.plan import consent
from holymon.plan.plan import Plan
from holymon.records import client_health, request_store, run_folder
from holymon.records.first_call import first_calls
from holymon.records.own_files import content
from holymon.records.run_state import ENDED
from holymon.safety import short
from holymon.structs import replace, to_builtins

AHEAD_S: Final = 0.25
"""Between the word "go" and the first call, beside the longest way of a message."""

READY_S: Final = 60.0
WATCH_S: Final = 0.5
LOOK_S: Final = 0.1
TELL_S: Final = 5.0
SALVAGE_S: Final = 20.0
ORPHANED: Final = "interrupted"
"""How a share ends when its Dask worker does: the share is lost, and the others go on."""

NOTICED_S: Final = 2.0
"""So long a share may go on when its Dask worker has died."""


class Crew:
    """The Dask workers of a run, led from its first call to its last record."""

    def __init__(
        self, folder: Path, plan: Plan, client: Any, members: list[Member], state: dict[str, Any],
        *, keep: bool = False,
    ) -> None:  # fmt: skip
        """Nothing is sent yet."""
        self.folder, self.client, self.members, self.state = folder, client, members, state
        self.plan = replace(plan, workers=len(members))
        self._keep = keep
        self._ending: Ending | None = None
        self._scheduler_lost = False
        self._there: set[str] = {member.address for member in members}
        self._zero = 0.0
        self._halting: set[asyncio.Future[Any]] = set()
        self._told_at = -inf

    async def run(self, sim_url: str) -> tuple[Ending, str]:
        """Lead the run; how it ended, and trouble with writing."""
        try:
            await self._prepared(sim_url)
            if self._ending is None:
                await self._started()
        except GONE as error:
            await self._released()
            raise RunError(f"a Dask worker was lost before the start: {error}.") from None
        except RunError:
            await self._released()
            raise
        watching = asyncio.ensure_future(self._watch())
        try:
            if self._zero:
                await asyncio.gather(*map(self._tend, self.members))
        finally:
            watching.cancel()
            for member in self.members:
                member.replica.close()
        return await self._settled()

    async def _prepared(self, sim_url: str) -> None:
        """Have everything on the workers' disks, and make the first calls from the first one."""
        run_id, path = uuid4().hex, str(self.folder.resolve())
        files = {"plan.json": content(self.folder / "plan.json")}
        if (self.folder / request_store.NAME).exists():
            files[request_store.NAME] = content(self.folder / request_store.NAME)
        orders = {
            "of": len(self.members), "sim_url": sim_url, "spent": 0.0,
            "trust": os.environ.get(consent.ENV, "").split(),
        }  # fmt: skip

        async def prepare(member: Member) -> None:
            about = await member.ask(remote.examine, b"", path)
            member.host = str(about["host"])
            member.here = bool(about["here"]) and member.host == socket.gethostname()
            member.clock_s, member.clock_error_s = await member.read_clock()
            member.path = await member.ask(remote.prepare, f"{run_id}-{member.part}")
            for name, data in files.items():
                await member.send(name, data)
            await member.order(orders)

        await asyncio.gather(*map(prepare, self.members))
        if sim_url and not all(member.here for member in self.members):
            raise RunError(
                "the simulated targets are on this machine, where not all Dask workers are: run "
                "`holymon sim --host ...` where all of them reach it, and name it by --base-url."
            )
        if self.plan.first_call and self._ending is None:
            await self._called_first(orders)

    async def _called_first(self, orders: dict[str, Any]) -> None:
        self.show("first call")
        outcome = await self.members[0].ask(remote.first_call, self.members[0].path)
        if problem := outcome.get("problem"):
            raise RunError(f"{self.members[0].name}: {short(str(problem))}")
        self.state["first_calls"] = to_builtins(first_calls(outcome))
        if outcome["ending"] is not None:
            self.halt(*map(str, outcome["ending"]))
        known = json.dumps({"state": "starting", "first_calls": self.state["first_calls"]})
        for member in self.members:
            await member.send("state.json", known.encode())
        await self.members[0].order({**orders, "spent": float(outcome["spent"])})

    async def _started(self) -> None:
        """Begin the tasks, wait until all are ready, and say when the run begins."""
        self.show("starting")
        for member in self.members:
            member.task = self.client.submit(
                remote.work, member.path, key=f"holymon-{Path(member.path).name}", retries=0,
                pure=False, workers=[member.address], allow_other_workers=False,
            )  # fmt: skip
        until = perf_counter() + READY_S
        await asyncio.gather(*(member.ready(until) for member in self.members))
        if (self.folder / "stop").exists():
            self.halt()
            return
        way_s = max(member.clock_error_s or 0.0 for member in self.members)
        zero_ns = time.time_ns() + int((AHEAD_S + 2 * way_s) * 1e9)
        await asyncio.gather(*(member.go(zero_ns) for member in self.members))
        self._zero = perf_counter() + (zero_ns - time.time_ns()) / 1e9
        self.state["started_at"] = datetime.fromtimestamp(zero_ns / 1e9, UTC).isoformat()
        self.show("running")

    def halt(self, why: str = "stopped", detail: str = "") -> None:
        """Have all of them end: at once, or by a limit, which lets the calls in flight end."""
        if self._ending is not None:
            return
        self._ending = Ending(why, detail)
        words = "" if why in {"stopped", "interrupted"} else f"{why}\n{detail}"
        for member in self.members:
            if member.path and not member.over:
                sent = asyncio.ensure_future(member.ask(remote.stop, member.path, words))
                self._halting.add(sent)
                sent.add_done_callback(self._halted)

    def _halted(self, sent: "asyncio.Future[Any]") -> None:
        self._halting.discard(sent)
        if not sent.cancelled():
            sent.exception()  # who can't be told has nobody to ask for its records, and ends, too

    async def _watch(self) -> None:
        """See who is gone, who has met a limit, and whether somebody wants the run to end."""
        looked = 0.0
        while True:
            if (self.folder / "stop").exists():
                self.halt()
            for member in self.members:
                if member.stop_words is not None and self._ending is None:
                    why, _, detail = member.stop_words.partition("\n")
                    if why != ORPHANED:
                        self.halt(*((why, short(detail)) if why in ENDED else ()))
            if perf_counter() - looked > WATCH_S:
                looked = perf_counter()
                await self._count()
                if looked - self._told_at > TELL_S:
                    self.show("running")
            await asyncio.sleep(LOOK_S)

    async def _count(self) -> None:
        """See which Dask workers the scheduler knows, and whether it is there itself."""
        try:
            self._there = set(await self._known())
        except GONE:
            self._scheduler_lost, self._there = True, set()
        for member in self.members:
            if member.address not in self._there:
                member.gone.set()

    async def _known(self) -> Any:
        """The workers that the scheduler knows. Where it is busy, one question may be lost."""
        try:
            return await reached(self.client, self.client.scheduler.ncores())
        except GONE:
            await asyncio.sleep(WATCH_S)
            if self.client.status != "running":
                raise
        return await reached(self.client, self.client.scheduler.ncores())

    async def _tend(self, member: Member) -> None:
        """Fetch what a worker has until its share is over; if it is lost, what can be had of it."""
        following = asyncio.ensure_future(member.follow())
        gone = asyncio.ensure_future(member.gone.wait())
        await asyncio.wait({following, gone}, return_when=asyncio.FIRST_COMPLETED)
        gone.cancel()
        if following.done() and following.exception() is None:
            why, orderly = member.word.get("ended", ""), {"finished", "stopped"}
            stopped = member.word.get("state") in orderly or member.stop_words is not None
            if stopped and why != ORPHANED:
                if why in ENDED - orderly:
                    self.halt(why, member.word.get("detail", ""))
                return
        elif following.done() and not isinstance(following.exception(), GONE):
            following.result()
        following.cancel()
        member.lost_s = perf_counter() - self._zero
        await self._count()
        if not member.over:
            await member.salvage(lambda: self._beside(member), SALVAGE_S)

    def _beside(self, member: Member) -> list[str]:
        """The Dask workers of the same machine, by their addresses."""
        return [address for address in self._there if place_of(address) == place_of(member.address)]

    async def _settled(self) -> tuple[Ending, str]:
        """Write down what lost shares leave open; how the run ended, and trouble with writing."""
        lost = [member for member in self.members if member.lost_s is not None]
        ending = self._ending or Ending()
        if self._scheduler_lost:
            ending = Ending(
                "interrupted", f"the Dask scheduler at {self.state['scheduler']} was lost"
            )
        elif len(lost) == len(self.members):
            ending = Ending("interrupted", "all Dask workers were lost")
        early = ending.why != "finished"
        until = perf_counter() - self._zero if early else inf
        more_s = remote.SILENCE_S if self._scheduler_lost else NOTICED_S
        sent_until = {m.part: -inf if m.over else (m.lost_s or 0.0) + more_s for m in lost}
        left = settle(self.folder, self.plan, sent_until, until) if self._zero else {}
        await self._released()
        known = []
        for member in self.members:
            share = member.share(lag_p99(self.folder, member.part))
            if member.part in left:
                about = left[member.part]
                share = replace(share, unsent=about.unsent, unknown=about.unknown + about.under_way)
            known.append(share)
        self.state["shares"] = to_builtins(known)
        troubles = [member.word.get("trouble") or member.replica.trouble for member in self.members]
        return ending, next(filter(None, troubles), "")

    async def _released(self) -> None:
        """Read the clocks once more, and let go of the workers; what is not here stays there."""

        async def release(member: Member) -> None:
            if member.lost_s is None and member.path:
                member.drift_s = (await member.read_clock())[0] - member.clock_s
            if member.task is not None:
                await member.task.cancel()
            if (member.over or not self._zero) and member.path and not self._keep:
                ways = [member.address] if member.lost_s is None else self._beside(member)
                for way in ways[:1]:
                    await member.ask(remote.forget, member.path, via=way)
                    member.path = ""

        if not self._scheduler_lost:
            await asyncio.gather(*map(release, self.members), return_exceptions=True)
            return
        for member in self.members:  # all of whose files were read by hand
            if member.over and member.here and not self._keep:
                remote.forget(member.path)
                member.path = ""

    def show(self, state: str) -> None:
        """Say in `state.json` how the run goes."""
        self._told_at = perf_counter()
        self.state["shares"] = to_builtins([member.share() for member in self.members])
        run_folder.write_state(self.folder, **{**self.state, "state": state})


def lag_p99(folder: Path, part: int) -> float | None:
    """How late the loop of a share's worker woke (p99, s); None if it noted nothing."""
    with contextlib.suppress(OSError, RunError):
        lines = content(folder / f"vitals.{part}.jsonl").splitlines()
        return client_health.read(lines).lag(0.99)
    return None
