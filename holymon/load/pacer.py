"""Waits for moments: never too short, hardly too long, and no longer than the load goes on."""

import asyncio
import math
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Final

TICK_S: Final = 0.001
"""Timers of event loops are no finer than this."""


@dataclass(slots=True)
class Pacer:
    """Whoever waits for a moment of `clock`, and whether anything is still waited for.

    With `spin` the last tick is spent turning the loop.
    """

    clock: Callable[[], float]
    spin: bool = False
    over: bool = False
    _naps: "set[asyncio.Future[None]]" = field(default_factory=set)

    async def until(self, at: float) -> bool:
        """Wait until `at`, never less; False if it was ended meanwhile."""
        wait = at - self.clock()
        while wait > 0 and not self.over:
            if self.spin and wait <= TICK_S:
                await asyncio.sleep(0)
            else:
                await self._nap(math.ceil((wait - TICK_S * self.spin) / TICK_S) * TICK_S)
            wait = at - self.clock()
        return not self.over

    def end(self) -> None:
        """Wait for nothing any more."""
        self.over = True
        for nap in self._naps:
            _end(nap)

    async def _nap(self, seconds: float) -> None:
        """Sleep for about that long; the end ends it."""
        loop = asyncio.get_running_loop()
        nap = loop.create_future()
        self._naps.add(nap)
        timer = loop.call_later(seconds, _end, nap)
        try:
            await nap
        finally:
            timer.cancel()
            self._naps.discard(nap)


def _end(nap: "asyncio.Future[None]") -> None:
    if not nap.done():
        nap.set_result(None)
