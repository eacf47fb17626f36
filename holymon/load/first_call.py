"""One call to each target before its load: what every call would be refused for is known at once.

    FirstCalls(plan).run() --> a FirstCall for each target, with the quirks that its API asked for

An API that refuses the longest answer, `stream_options` or a stream, and says so, is asked again as
it wants it. What else the caller got wrong ends the run; a server's own failures are what the load
is there to measure.
"""

import asyncio
import math
import re
from dataclasses import dataclass, field
from time import perf_counter
from typing import Any, Final

from holymon.errors import ERRORS, UNREACHABLE
from holymon.load.caller import Caller
from holymon.load.engine import Ending
from holymon.load.spending import cost_of, spent_on
from holymon.plan.estimate import most_of_a_call
from holymon.plan.plan import Closed, Plan
from holymon.plan.quirks import Quirks
from holymon.plan.target import Target
from holymon.protocols.refusal import refusal
from holymon.records.attempt import Marks
from holymon.records.first_call import FirstCall
from holymon.safety import short, without_echo
from holymon.structs import replace
from holymon.transport.pool import Transport

HEADERS: Final = {"x-holymon-first-call": "1"}
"""By which a server can tell it from the calls of the load, and the simulator does."""

TOKENS: Final = 16
"""The longest answer that is asked for: no API is known to want a higher limit."""

MOST_S: Final = 20.0
"""How long a load waits for it: refusals come at once, and a slow answer is for the load."""

MOST_CALLS: Final = 5
WORDS: Final = 200
"""Characters that are kept of the words of a refusal."""

_LATE: Final = frozenset({"deadline_exceeded", "first_byte_timeout", "stream_stalled"})
_NO_REFUSAL: Final = UNREACHABLE | {
    "authentication", "quota_exhausted", "rate_limited", "overloaded", "unavailable",
}  # fmt: skip
"""What says nothing of a field, whichever it may name."""

_LIMIT: Final = {
    "chat": "max_tokens", "messages": "", "responses": "max_output_tokens",
    "completions": "max_tokens", "embeddings": "",
}  # fmt: skip
"""What the longest answer is called; Anthropic's dialect knows no request without it."""

_OF_A_PROMPT: Final = re.compile(
    r"(?i)context.?(?:length|window|size)|too.?long|content.?(?:filter|polic)|moderation|safety"
)
"""What codes and words say that refuse one prompt: its API may take the next."""


@dataclass(slots=True)
class FirstCalls:
    """The first calls of a plan while they are made; `spent` is what they cost at most (USD)."""

    plan: Plan
    spent: float = 0.0
    ending: Ending | None = None
    _task: "asyncio.Task[list[FirstCall]] | None" = field(default=None)

    async def run(self) -> list[FirstCall]:
        """Call all targets at once; what is known when this is stopped is lost."""
        if not self.plan.first_call or not self._affordable():
            return []
        self._task = asyncio.ensure_future(self._all())
        try:
            return await self._task
        except asyncio.CancelledError:
            return []

    def stop(self, why: str = "stopped", detail: str = "") -> None:
        """End them, and the run with them."""
        if self.ending is None and self._task is not None:
            self.ending = Ending(why, detail)
            self._task.cancel()

    def _affordable(self) -> bool:
        plan = self.plan
        if plan.max_cost is None:
            return True
        each = [most_of_a_call(_single(plan, t, TOKENS), 0, TOKENS) for t in plan.targets]
        return math.fsum(each) <= plan.max_cost

    async def _all(self) -> list[FirstCall]:
        transport = Transport(connect_s=self.plan.connect_s)
        try:
            calls = await asyncio.gather(*(self._first(t, transport) for t in self.plan.targets))
        finally:
            await transport.aclose()
        if any(call.ended for call in calls):
            names = ", ".join(call.target for call in calls if call.ended)
            self.ending = Ending("first_call", f"the first call to {names} failed")
        return calls

    async def _first(self, target: Target, transport: Transport) -> FirstCall:
        """Ask a target until it takes what it is asked, or refuses for good."""
        begun = perf_counter()
        until = begun + min(self.plan.timeout_s, MOST_S)
        prompts = self.plan.prompts
        whole, refused = prompts.limit(prompts.request(0)), list[str]()
        most = None if whole is None else min(whole, TOKENS)
        calls, settled = 0, False
        while not settled and calls < MOST_CALLS:
            calls += 1
            plan = _single(self.plan, target, most)
            marks, body = await Caller(plan, transport=transport, headers=HEADERS).probe(until)
            if marks.error == "cancelled":
                raise asyncio.CancelledError
            if self.plan.max_cost is not None:
                self.spent += spent_on(plan, marks)
            quirks, enough = _adapted(plan, marks, body)
            if quirks != target.quirks:
                refused.append(self._words(marks, WORDS))
                target = replace(target, quirks=quirks)
            else:
                settled = enough or most == whole
                most = whole
        return self._outcome(target, marks, calls, refused, perf_counter() - begun)

    def _words(self, marks: Marks, limit: int = 512) -> str:
        """What was said, without what that repeats of the prompt."""
        return without_echo(short(marks.message, limit), self.plan.prompts.text(0))

    def _outcome(
        self, target: Target, marks: Marks, calls: int, refused: list[str], seconds: float
    ) -> FirstCall:
        message, money = self._words(marks), cost_of(marks, target.billed)
        if marks.error in _LATE and self.plan.timeout_s > MOST_S <= seconds:
            message = f"not over within {MOST_S:g} s: the load did not wait for it any longer"
        return FirstCall(
            target=target.name, error_type=marks.error, status=marks.status, code=marks.code,
            message=message, seconds=round(seconds, 6), calls=calls, refused=tuple(refused),
            quirks=target.quirks, cost_usd=None if math.isnan(money) else money,
            ended=_ends(marks, several=self.plan.prompts.number > 1),
        )  # fmt: skip


def _single(plan: Plan, target: Target, most: int | None) -> Plan:
    """One call to a target, with the first prompt and within the limits of a plan."""
    prompts = plan.prompts.first(most)
    return Plan(
        targets=(target,), load=Closed(users=1), requests=1, prompts=prompts,
        timeout_s=plan.timeout_s, connect_s=plan.connect_s, first_byte_s=plan.first_byte_s,
        stall_s=plan.stall_s,
    )  # fmt: skip


def _adapted(plan: Plan, marks: Marks, body: bytes) -> tuple[Quirks, bool]:
    """How to ask for what this call was refused, and whether its longest answer was long enough."""
    (target,) = plan.targets
    quirks, prompts = target.quirks, plan.prompts
    if not marks.error or marks.error in _NO_REFUSAL:
        return quirks, True
    usual = _LIMIT[target.endpoint] if prompts.max_tokens else ""
    sent = usual if quirks.max_tokens is None or not usual else quirks.max_tokens
    streamed = target.streams(prompts.stream)
    refused = refusal(body, marks.message, sent=sent, streamed=streamed)
    changes: dict[str, Any] = {}
    if refused.limit:
        # Whoever refuses the name that it asked for takes none.
        changes["max_tokens"] = refused.instead if quirks.max_tokens is None else ""
    if refused.stream_options and quirks.stream_options:
        changes["stream_options"] = False
    if refused.stream and quirks.stream is None:
        changes["stream"] = not streamed
    return replace(quirks, **changes), not refused.value


def _ends(marks: Marks, *, several: bool) -> bool:
    """Whether all calls of a load would fail like this one, and not for the server's reasons."""
    if not marks.error or (several and _OF_A_PROMPT.search(f"{marks.code} {marks.message}")):
        return False
    return ERRORS[marks.error].blame == "caller" or marks.error in UNREACHABLE
