"""One monitored call: sends a prepared request, and hands what arrives to its reading.

    Caller.send(number, target, due) -> Marks      never raises for what a server or network does
    Caller.ask(marks, body)                        the same with a body of one's own

Every received piece is stamped before it is parsed. Limits of a call: connect, first byte, token
stall (comments keep a socket alive, not a stream), total. The key is added when a request is
sent; it is in no request, client, marks or message.
"""

import asyncio
import contextlib
from collections.abc import Callable, Mapping
from math import inf
from time import perf_counter
from types import MappingProxyType
from typing import Final

import httpx

from holymon.errors import HolymonError
from holymon.load.conversations import Conversations
from holymon.load.requests import Bodies, key_of, secrets_of
from holymon.load.timeouts import Alarm, Deadlines, limits_of
from holymon.plan import consent
from holymon.plan.plan import Plan
from holymon.protocols.dialects import DIALECTS
from holymon.protocols.rate_limits import LimitWatch
from holymon.protocols.reading import Reading
from holymon.protocols.written_json import asks_for_json
from holymon.records.attempt import Flag, Marks
from holymon.safety import MASK, Secret, redact, short, without_echo
from holymon.transport.exceptions import classify, words
from holymon.transport.pool import Transport
from holymon.transport.prepared_request import Prepared
from holymon.transport.response import Into, Response

Clock = Callable[[], float]
Taker = Callable[[bytes], "asyncio.Future[None] | None"]
"""Takes a piece; without room for more it returns what will be done when there is some."""

LINGER_S: Final = 0.025
"""How long a finished stream waits for the end of its body, so that its connection can stay.

An error that comes meanwhile, behind the last event, still makes the answer a failed one; one that
comes later belongs to nobody. The call has ended with its last event, however long this takes.
"""


class Caller:
    """Calls the targets of a plan; one for each worker.

    With `keep`, the content of an answer's first choice is kept in `kept` by the number of the
    call (for tests and for applications, never for a load).
    """

    def __init__(
        self,
        plan: Plan,
        *,
        clock: Clock = perf_counter,
        transport: Transport | None = None,
        keep: bool = False,
        headers: Mapping[str, str] = MappingProxyType({}),
        limits: LimitWatch | None = None,
    ) -> None:
        """Read the keys and prepare the requests, with more `headers`. Raises ConfigError."""
        self.plan = plan
        self.kept: dict[int, str] = {}
        self._clock = clock
        self._keep = keep
        self._keys = [key_of(target) for target in plan.targets]
        consent.require(plan.targets)
        self._secrets = tuple(secret for t in plan.targets for secret in secrets_of(t))
        self._transport = transport or Transport(connect_s=plan.connect_s)
        self._streams = [target.streams(plan.prompts.stream) for target in plan.targets]
        self._requests = [Bodies(plan, target, headers) for target in plan.targets]
        held = plan.prompts.turns > 1
        self.conversations = Conversations(plan, self._requests) if held else None
        self._dialects = [DIALECTS[target.endpoint] for target in plan.targets]
        self._limits = [limits_of(plan, number) for number in range(len(plan.targets))]
        self._alarm = Alarm(clock)
        self.limits = limits or LimitWatch()

    async def aclose(self) -> None:
        """Close all connections."""
        self._alarm.stop()
        await self._transport.aclose()

    def masked(self, text: str) -> str:
        """`text` without the keys, not even the beginning of one where it was cut off."""
        return masked(text, self._secrets)

    def words(self, marks: Marks) -> str:
        """What was said of a call of the load, without what that repeats of its prompt."""
        prompts = self.plan.prompts
        number = marks.request // len(self.plan.targets) // prompts.turns
        try:
            return without_echo(marks.message, prompts.text(number))
        except HolymonError:  # a damaged dataset: what can't be read was not sent
            return marks.message

    async def send(self, number: int, target: int, due: float) -> Marks:
        """Make call `number` to the `target`-th target; what happened is in the marks.

        A task that is cancelled meanwhile gets its marks all the same, as `cancelled`.
        """
        marks, held = Marks(number, target, due), self.conversations
        if held is None:
            await self._attempt(marks, self._requests[target][number // len(self.plan.targets)])
            return marks
        reading = await self._attempt(marks, held.request(number, target))
        text, acted = reading.text, reading.acted or marks.flags & Flag.TOOLS
        held.answered(marks, text, acted=bool(acted))
        return marks

    @property
    def follow(self) -> Callable[[Marks], float | None] | None:
        """Tells when the next turn of a call's conversation is due; None where none are held."""
        return None if self.conversations is None else self.conversations.follow

    async def probe(self, until: float) -> tuple[Marks, bytes]:
        """Make the first call to the first target, and see what it says if it is no stream."""
        marks = Marks(0, 0, self._clock())
        reading = await self._attempt(marks, self._requests[0][0], until=until)
        return marks, reading.body

    async def ask(
        self, marks: Marks, body: bytes, *, into: Taker | None = None, until: float = inf,
        row: int | None = None,
    ) -> None:  # fmt: skip
        """Make one attempt with a body of its own; it is to be over at `until`, at the latest.

        The body of a good answer is handed to `into`, piece by piece as it comes. `row` is whose
        limits the answer tells, if not the target's. Never raises for what a server or network
        does.
        """
        request = self._requests[marks.target][0]
        assert isinstance(request, Prepared)
        await self._attempt(marks, request._replace(content=body), into, until, row)

    async def _attempt(
        self,
        marks: Marks,
        request: Prepared | Exception,
        into: Taker | None = None,
        until: float = inf,
        row: int | None = None,
    ) -> Reading:
        row = marks.target if row is None else row
        marks.start = self._clock()
        response = Response(self._clock)
        dialect, stream = self._dialects[marks.target], self._streams[marks.target]
        wants_json = isinstance(request, Prepared) and asks_for_json(request.content)
        keep = self._keep or self.conversations is not None
        reading = Reading(marks, dialect, stream=stream, keep=keep, wants_json=wants_json)
        deadlines = Deadlines(self._alarm, self._limits[marks.target], reading, response, until)
        broken: tuple[str, ...] = ()
        try:
            await self._exchange(reading, response, deadlines, request, into, row)
        except asyncio.CancelledError:
            # What had come may be whole all the same, and only its end was still waited for.
            broken = deadlines.settle() or "cancelled", deadlines.message
        except Exception as error:  # noqa: BLE001 - whatever happens to a call is a record
            broken = classify(error), words(error)
        finally:
            deadlines.disarm()
        if not reading.over:
            reading.end(self._clock(), *broken)
        self._complete(reading, response, row)
        return reading

    def _complete(self, reading: Reading, response: Response, row: int) -> None:
        marks = reading.marks
        marks.connect_start, marks.connect_end = response.connect_start, response.connect_end
        if marks.connect_end == marks.connect_end:
            marks.flags |= Flag.NEW_CONNECTION
        if marks.error == "rate_limited":
            marks.message = self.limits.refused(row, marks.message, response.raw_headers)
        if marks.message:
            marks.message = self.masked(short(marks.message))
        if marks.code and redact(marks.code, self._secrets) != marks.code:
            marks.code = "other"
        if self._keep and 200 <= marks.status < 300:
            self.kept[marks.request] = reading.text

    async def _exchange(
        self,
        reading: Reading,
        response: Response,
        deadlines: Deadlines,
        request: Prepared | Exception,
        into: Taker | None,
        row: int,
    ) -> None:
        if isinstance(request, Exception):
            raise request
        key = self._keys[reading.marks.target]
        await self._transport.send(request, response, key)
        try:
            await response.begin()
            reading.head(response.at, response.status, response.header)
            if response.at >= self.limits.again.get(row, -inf):
                self.limits.look(row, response.at, response.raw_headers)
            await response.pour(reading.piece if into is None else _both(reading, response, into))
            if reading.done and not response.ended:
                deadlines.disarm()
                await _linger(response, reading)
            error = reading.end(response.at, whole=response.whole)
            if into is not None and not error and not reading.streaming:
                into(reading.body)
        finally:
            response.close()


def _both(reading: Reading, response: Response, into: Taker) -> Into:
    """Reads a piece, and hands it on if it is good, as soon as it is known to be of a stream."""
    held: list[bytes] = []

    def take(now: float, piece: bytes) -> bool:
        enough = reading.piece(now, piece)
        held.append(piece)
        if reading.streaming and not reading.error:
            room = into(b"".join(held))
            held.clear()
            if room is not None:
                response.wait_for(room)
        return enough

    return take


async def _linger(response: Response, reading: Reading) -> None:
    """Read on until the end of the body, which most servers send right behind `[DONE]`."""

    def take(now: float, piece: bytes) -> bool:
        reading.piece(now, piece)
        return False

    with contextlib.suppress(TimeoutError, httpx.TransportError, httpx.DecodingError, HolymonError):
        async with asyncio.timeout(LINGER_S):
            await response.pour(take)


def masked(text: str, secrets: tuple[Secret, ...]) -> str:
    """`text` without the secrets, not even the beginning of one where the text was cut off."""
    text = redact(text, secrets)
    if text.endswith("…"):
        for form in (form for secret in secrets for form in secret.forms()):
            cut = max((n for n in range(4, len(form)) if text.endswith(form[:n] + "…")), default=0)
            text = text[: -cut - 1] + MASK + "…" if cut else text
    return text
