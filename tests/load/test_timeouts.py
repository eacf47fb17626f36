"""One alarm for all calls: each ends at its own limit, in any order, in any loop."""

import asyncio
import socket
from math import inf
from time import perf_counter

import pytest

from holymon.load.caller import Caller
from holymon.plan.plan import Closed, Plan, Target
from holymon.records.attempt import Marks

BODY = b"{}"


@pytest.fixture
def mute():
    """The plan of calls to a server that takes requests and never answers; limits of 0.5 s."""
    with socket.create_server(("127.0.0.1", 0)) as server:
        target = Target(
            provider="url", model="m", base_url=f"http://127.0.0.1:{server.getsockname()[1]}"
        )
        yield Plan(targets=(target,), load=Closed(users=1), requests=1, timeout_s=0.5)


async def ended(caller: Caller, limits: list[float]) -> list[tuple[int, str]]:
    """Numbers of the calls with these limits (s from now) and their errors, as they end."""
    order: list[tuple[int, str]] = []

    async def call(number: int, limit: float) -> None:
        marks = Marks(number, 0, 0.0)
        await caller.ask(marks, BODY, until=perf_counter() + limit)
        order.append((number, marks.error))

    await asyncio.gather(*(call(number, limit) for number, limit in enumerate(limits)))
    return order


def test_calls_end_at_their_own_limits_whichever_began_first(mute):
    async def go():
        caller = Caller(mute)
        order = await ended(caller, [inf, 0.3, 0.1, 0.2])
        await caller.aclose()
        return order

    assert asyncio.run(go()) == [(number, "deadline_exceeded") for number in (2, 3, 1, 0)]


def test_a_caller_keeps_its_limits_in_another_loop(mute):
    """An alarm that was set in a loop that is closed would never ring."""
    caller = Caller(mute)

    async def go():
        call = asyncio.create_task(ended(caller, [0.1]))
        await asyncio.sleep(0.02)
        call.cancel()
        await asyncio.gather(call, return_exceptions=True)

    asyncio.run(go())
    assert asyncio.run(ended(caller, [0.3])) == [(0, "deadline_exceeded")]


def test_a_cancelled_call_is_not_looked_at_again(mute):
    async def go():
        caller = Caller(mute)
        call = asyncio.create_task(ended(caller, [0.1]))
        await asyncio.sleep(0.05)
        call.cancel()
        await asyncio.gather(call, return_exceptions=True)
        order = await ended(caller, [0.2])
        await caller.aclose()
        return order

    assert asyncio.run(go()) == [(0, "deadline_exceeded")]
