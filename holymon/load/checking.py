"""Questions with known answers put to all targets of a plan: what came is `records.checked`.

    ask(plan_of_checks(targets, 300)) --> Checked

Each question goes to all targets at the same moment, a few questions at a time. It is no load: it
runs in this process, in a thread with an event loop of its own, for a notebook's is busy.
"""

import asyncio
import contextlib
import math
from collections.abc import Awaitable, Callable, Iterator, Sequence
from concurrent.futures import FIRST_COMPLETED, Future, ThreadPoolExecutor, wait
from time import perf_counter
from typing import Any, Final, TypeVar

import msgspec

from holymon.errors import ConfigError, PlanError, RunError
from holymon.load.caller import Caller
from holymon.load.first_call import FirstCalls
from holymon.load.requests import body_of
from holymon.load.share import asyncio_run, placed
from holymon.load.spending import cost_of
from holymon.plan.checks import checks, dataset_of_checks
from holymon.plan.plan import Closed, Plan
from holymon.plan.prompts import Prompts
from holymon.plan.target import Target
from holymon.protocols.lenient import parsed
from holymon.protocols.sse import Decoder, EventTooLarge
from holymon.records.attempt import Flag, Marks
from holymon.records.checked import MOST_TEXT, Checked, CheckedCall
from holymon.records.first_call import informed
from holymon.safety import plain, short
from holymon.sim.process import simulator
from holymon.structs import replace

TOGETHER: Final = 4
"""So many questions are under way at a time."""

MOST_KEPT: Final = 2**18
MOST_EVENTS: Final = 16
"""Bytes of an answer, and events of it, in which its model's name is looked for."""

MOST_NAME: Final = 80
_REFUSED: Final = frozenset({"bad_request", "unprocessable", "http_4xx"})
T = TypeVar("T")


def plan_of_checks(targets: Sequence[Target], number: int, seed: int = 0) -> Plan:
    """The plan of so many questions to each of the targets. Raises PlanError."""
    for target in targets:
        if target.endpoint == "embeddings":
            raise PlanError(f"{plain(target.name)} speaks embeddings: it answers no questions.")
    endpoints = {target.endpoint for target in targets}
    battery = dataset_of_checks(
        checks(number, seed), "responses" if "responses" in endpoints else ""
    )
    return Plan(targets=tuple(targets), load=Closed(users=1), requests=number, seed=seed,
                prompts=Prompts(dataset=battery))  # fmt: skip


def ask(plan: Plan) -> Checked:
    """Put the questions of a plan to its targets; each first gets a first call if the plan says so.

    Raises ConfigError for a key that is missing or refused, RunError where there is no connection.
    """
    with _placed(plan) as placed:
        return _in_thread(lambda: _ask(placed))


async def _ask(plan: Plan) -> Checked:
    plan = await _called_first(plan) if plan.first_call else plan
    number = plan.requests or 0
    questions = _Questions(plan)
    room = asyncio.Semaphore(TOGETHER)

    async def question(number: int) -> list[CheckedCall]:
        async with room:
            each = (questions.put(number, k) for k in range(len(plan.targets)))
            return await asyncio.gather(*each)

    try:
        answers = await asyncio.gather(*map(question, range(number)))
    finally:
        await questions.caller.aclose()
    return Checked(
        targets=tuple(target.name for target in plan.targets), checks=number, seed=plan.seed,
        calls=tuple(call for calls in answers for call in calls), costs=tuple(questions.costs),
    )  # fmt: skip


async def _called_first(plan: Plan) -> Plan:
    """The plan as its targets want it. Raises ConfigError, RunError where one can't be called."""
    # With a prompt that asks for nothing that a model may refuse, such as a temperature.
    first = FirstCalls(replace(plan, prompts=Prompts()))
    known = tuple(await first.run())
    for call in known:
        if call.ended:
            kind = RunError if call.exit_code == 4 else ConfigError
            raise kind(f"the first call to {plain(call.target)} failed: {plain(call.failure)}")
    return informed(plan, known)


class _Questions:
    """What is asked, and what it cost: of a target whose counts lack, None."""

    def __init__(self, plan: Plan) -> None:
        self.caller = Caller(plan, keep=True)
        self.costs = [0.0 if target.billed.known else None for target in plan.targets]
        self._plan = plan
        self._cold: set[int] = set()
        """Targets that take no temperature, as some models that reason do."""
        self._zero = perf_counter()

    async def put(self, number: int, target: int) -> CheckedCall:
        """Ask a target a question; without a temperature where it refuses that."""
        body, answer = body_of(self._plan, self._plan.targets[target], number), bytearray()
        if target in self._cold:
            body.pop("temperature", None)
        marks = await self._call(number, target, body, answer)
        refused = marks.error in _REFUSED and "temperature" in marks.message.lower()
        if refused and "temperature" in body:
            self._cold.add(target)
            return await self.put(number, target)
        self._count(marks)
        return self._noted(number, marks, bytes(answer))

    async def _call(
        self, number: int, target: int, body: dict[str, Any], answer: bytearray
    ) -> Marks:
        marks = Marks(number * len(self._plan.targets) + target, target, perf_counter())

        def take(piece: bytes) -> None:
            answer.extend(piece[: MOST_KEPT - len(answer)])

        await self.caller.ask(marks, msgspec.json.encode(body), into=take)
        return marks

    def _count(self, marks: Marks) -> None:
        price, before = self._plan.targets[marks.target].billed, self.costs[marks.target]
        money = cost_of(marks, price)
        if before is not None and not (marks.error and math.isnan(money)):
            self.costs[marks.target] = None if math.isnan(money) else before + money

    def _noted(self, number: int, marks: Marks, answer: bytes) -> CheckedCall:
        stream = bool(marks.flags & Flag.STREAM)
        served, fingerprint = _names_in(answer, stream=stream)
        text = self.caller.kept.pop(marks.request, "")
        masked, counted = self.caller.masked, bool(marks.flags & Flag.SERVER_TOKENS)
        return CheckedCall(
            number=number, target=marks.target, text=masked(text[:MOST_TEXT]),
            served=masked(served), fingerprint=masked(fingerprint), error_type=marks.error,
            prompt_tokens=marks.prompt_tokens, output_tokens=marks.output_tokens if counted else -1,
            finish=marks.finish, message=short(self.caller.words(marks)) if marks.error else "",
            at_s=marks.start - self._zero, ttft_s=_seconds(marks.first - marks.start),
            latency_s=_seconds(marks.end - marks.start), span_s=_seconds(marks.last - marks.first),
            pieces=marks.chunks, events=marks.events, stream=stream,
        )  # fmt: skip


def _seconds(value: float) -> float | None:
    return None if math.isnan(value) else value


def _names_in(body: bytes, *, stream: bool) -> tuple[str, str]:
    """The model that an answer names, and its system_fingerprint; empty where it has none."""
    values = [parsed(body)]
    if stream:
        with contextlib.suppress(EventTooLarge):
            values = [parsed(event.data) for event in Decoder().feed(body)[:MOST_EVENTS]]
    events = [value for value in values if isinstance(value, dict)]
    holders = [holder for event in events
               for holder in (event, event.get("message"), event.get("response"))
               if isinstance(holder, dict)]  # fmt: skip
    return _text(holders, "model", "modelVersion"), _text(holders, "system_fingerprint")


def _text(holders: list[dict[str, Any]], *names: str) -> str:
    texts = (holder.get(name) for holder in holders for name in names)
    return next((short(text, MOST_NAME) for text in texts if isinstance(text, str) and text), "")


@contextlib.contextmanager
def _placed(plan: Plan) -> Iterator[Plan]:
    """The plan with an address for the built-in simulator, while that lives."""
    if all(target.base_url or not target.simulated for target in plan.targets):
        yield plan
        return
    try:
        served = simulator(seed=plan.seed)
    except ChildProcessError as error:
        raise RunError(str(error)) from None
    with served:
        yield placed(plan, served.base_url)


def _in_thread(work: Callable[[], Awaitable[T]]) -> T:
    """What the work gives, done in a loop of its own; whoever is interrupted calls it off."""
    begun: Future[tuple[asyncio.AbstractEventLoop, asyncio.Task[Any]]] = Future()

    async def main() -> T:
        task = asyncio.current_task()
        assert task is not None
        begun.set_result((asyncio.get_running_loop(), task))
        return await work()

    with ThreadPoolExecutor(1, "holymon-checks") as pool:
        done = pool.submit(asyncio_run, main())
        try:
            result: T = done.result()
        except BaseException:
            wait([begun, done], return_when=FIRST_COMPLETED)  # it may fail before it has begun
            with contextlib.suppress(RuntimeError):  # it is over already
                if begun.done():
                    loop, task = begun.result()
                    loop.call_soon_threadsafe(task.cancel)
            raise
        return result
