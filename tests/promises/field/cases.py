"""What real servers send, as cases: exact bytes, where they were seen, and what must come of them.

A case is played over sockets to a load's caller and to a watched client alike.
"""

import asyncio
import json
from collections.abc import Callable, Iterable
from dataclasses import dataclass, field
from typing import Any

import pytest

from holymon.errors import NAMES
from holymon.load.caller import Caller
from holymon.monitor.clients import monitored
from holymon.plan.plan import Closed, Plan, Prompts, Target
from holymon.protocols.dialects import DIALECTS
from holymon.records.attempt import Flag, Marks
from holymon.records.records import Records
from tests.promises.faults.server import DONE, LAST, Server, chunk, event, said, usage

PATHS = {name: dialect.path for name, dialect in DIALECTS.items()}
HEL, LO, STOP = event(said("Hel")), event(said("lo")), event(said(finish="stop"))
USAGE = event({"choices": [], "usage": usage(3, 2), "object": "chat.completion.chunk"})
END = STOP + USAGE + DONE
WHOLE = HEL + LO + END


@dataclass(frozen=True)
class Case:
    """Bytes of a body, and what must come of them: an error type, or `""` and a text."""

    name: str
    source: str
    body: bytes | Iterable[Any]
    error: str = ""
    words: str = ""
    text: str = "Hello"
    flags: int = 0
    wanted: dict[str, Any] = field(default_factory=dict)
    streamed: bool = True
    kind: str = "text/event-stream"
    status: str = "200 OK"
    endpoint: str = "chat"
    head: str = ""
    watched: bool = True

    def steps(self) -> list[Any]:
        """What a server plays."""
        if not isinstance(self.body, bytes):
            return list(self.body)
        kind = f"content-type: {self.kind}\r\n" if self.kind else ""
        head = f"HTTP/1.1 {self.status}\r\n{kind}{self.head}transfer-encoding: chunked\r\n\r\n"
        # In pieces that end anywhere: a server's writes are no events.
        cut = max(1, len(self.body) // 3)
        pieces = [self.body[at : at + cut] for at in range(0, len(self.body), cut)]
        return [head.encode(), *map(chunk, pieces), LAST]


def ids(case: Case) -> str:
    return case.name.replace(" ", "-")


def data(value: Any) -> bytes:
    """An event with JSON, or with bare text, in it."""
    return event(value) if isinstance(value, dict | list) else b"data: " + value + b"\n\n"


def plan_of(url: str, case: Case, **limits: Any) -> Plan:
    target = Target(provider="url", model="m", base_url=url, endpoint=case.endpoint)
    limits = {"timeout_s": 10, **limits}
    return Plan(targets=(target,), prompts=Prompts(stream=case.streamed), load=Closed(users=1),
                requests=1, **limits)  # fmt: skip


async def load(case: Case, **limits: Any) -> tuple[Marks, str]:
    """The marks of a load's call, and the text that it kept."""
    async with Server(case.steps) as server:
        caller = Caller(plan_of(server.url, case, **limits), keep=True)
        try:
            marks = await caller.send(0, 0, 0.0)
        finally:
            await caller.aclose()
    return marks, caller.kept.get(0, "")


async def watch(case: Case) -> Records:
    """The records of a client of httpx that makes the same call, and reads all of the answer."""
    import httpx

    ask = {"model": "m", "stream": case.streamed}
    async with Server(case.steps) as server, monitored(httpx.AsyncClient()) as client:
        url = server.url + PATHS[case.endpoint]
        try:
            async with client.stream("POST", url, json=ask) as found:
                async for _ in found.aiter_raw():
                    pass
        except httpx.HTTPError:
            pass
        return client.monitor.records


def pair(cases: Iterable[Case]) -> tuple[Callable[[Case], None], Callable[[Case], None]]:
    """Tests of all cases: that a load calls each what it is, and that a watched client does."""

    @pytest.mark.parametrize("case", cases, ids=ids)
    def of_a_load(case: Case) -> None:
        check(case, *asyncio.run(load(case)))

    @pytest.mark.parametrize("case", [case for case in cases if case.watched], ids=ids)
    def of_a_watched_client(case: Case) -> None:
        (row,) = asyncio.run(watch(case)).rows
        error = NAMES[row["error"]]
        # Nobody told which answer was wanted: JSON in one piece is read as one, and is no oddity.
        if case.body.startswith((b"data", b"event", b"error")):
            assert case.error == error
        assert bool(case.error) == bool(error)
        assert error or row["flags"] & ODD in {case.flags, 0}
        counts = [name for name in case.wanted if name.endswith("_tokens")]
        assert {name: row[name] for name in counts} == {name: case.wanted[name] for name in counts}

    return of_a_load, of_a_watched_client


def check(case: Case, marks: Marks, text: str) -> None:
    """What must hold of every case: its type, its words, its flags, and a text that is whole."""
    assert case.error == marks.error, marks.message
    assert case.words in marks.message
    if not case.error:
        assert (text, marks.message) == (case.text, "")
        assert marks.flags & ODD == case.flags
    found = {name: getattr(marks, name) for name in case.wanted}
    assert found == case.wanted


ODD = Flag.KEEP_ALIVE | Flag.SKIPPED | Flag.LENIENT | Flag.EMPTY | Flag.NO_DONE | Flag.NO_FINISH


def whole(text: str | None = "Hello", **more: Any) -> dict[str, Any]:
    """A completion in one piece."""
    choice = {"index": 0, "message": {"role": "assistant", "content": text},
              "finish_reason": "stop"}  # fmt: skip
    return {"id": "1", "object": "chat.completion", "choices": [choice], "usage": usage(3, 2),
            **more}  # fmt: skip


def body(value: Any) -> bytes:
    """JSON in one piece."""
    return json.dumps(value).encode()
