"""The steps of a call, written once for threads and for asyncio.

def steps() -> Steps:                          run(steps())            in a thread
answer = yield lambda: client.send(...)    await arun(steps())     in a loop of asyncio
return answer
"""

from collections.abc import Callable, Generator
from typing import Any

Steps = Generator[Callable[[], Any], Any, Any]
"""Yields what is to be done, gets what came of it, or what it raised, and returns the answer."""


def run(steps: Steps) -> Any:
    """Do what the steps of a call say, and return its answer."""
    try:
        do = next(steps)
        while True:
            try:
                came = do()
            except BaseException as error:  # noqa: BLE001 - raised again there
                do = steps.throw(error)
            else:
                do = steps.send(came)
    except StopIteration as done:
        return done.value


async def arun(steps: Steps) -> Any:
    """The same for asyncio."""
    try:
        do = next(steps)
        while True:
            try:
                came = await do()
            except BaseException as error:  # noqa: BLE001 - raised again there
                do = steps.throw(error)
            else:
                do = steps.send(came)
    except StopIteration as done:
        return done.value
