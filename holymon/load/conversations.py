"""The conversations that are under way: what was said in each, and the call that comes next.

    request(number, target) -> Prepared     of that turn
    answered(marks, text) --> the next turn is made ready; follow(marks) -> when it is due

A turn says all that was said before, with the text of each answer: reasoning is not said again. A
conversation ends early with a turn that failed, and with an answer that can't be answered: one
without text, or one that calls a tool, whose result nobody knows. Recorded answers need no text.
"""

import math
from dataclasses import dataclass
from typing import Any

from holymon.errors import HolymonError
from holymon.load.requests import Bodies
from holymon.plan.plan import Plan
from holymon.plan.prompts import words_of
from holymon.plan.requests import Message, Request
from holymon.records.attempt import Flag, Marks
from holymon.transport.prepared_request import Prepared


@dataclass(slots=True)
class _Conversation:
    """One under way: its turns, what was said so far, when it began, and what comes next."""

    turns: list[Request]
    history: list[Message]
    began: float
    next: Prepared | Exception | None = None
    due: float = math.nan


class Conversations:
    """Those of one worker, by the numbers of their first calls."""

    def __init__(self, plan: Plan, bodies: list[Bodies]) -> None:
        """Hold none yet; `bodies` are those of each target."""
        self._plan, self._bodies = plan, bodies
        self._targets, self._turns = len(plan.targets), plan.prompts.turns
        self._open: dict[tuple[int, int], _Conversation] = {}

    def request(self, number: int, target: int) -> Prepared | Exception:
        """What is sent with a call."""
        conversation, turn = divmod(number // self._targets, self._turns)
        if turn == 0:
            return self._bodies[target][conversation]
        return self._open[conversation, target].next or LookupError("no turn was to follow")

    def answered(self, marks: Marks, text: str, *, acted: bool) -> None:
        """Take in the answer to a call, of which `acted` says that it calls tools or refuses."""
        number, turn = divmod(marks.request // self._targets, self._turns)
        held = self._open.pop((number, marks.target), None)
        if held is None:
            held = self._begun(number, marks)
        if held is None or turn + 1 >= len(held.turns):
            return
        marks.flags |= Flag.TURN_FOLLOWS
        following = held.turns[turn + 1]
        if marks.error:
            return
        if not (following.has_answer or (text and not acted)):
            marks.flags |= Flag.NO_TEXT_TO_FOLLOW
            return
        self._say(held, number, turn + 1, marks.target, text)
        held.due = _due(held, following, marks)
        self._open[number, marks.target] = held

    def follow(self, marks: Marks) -> float | None:
        """When the turn behind a call is due; None if there is none, as behind one not sent."""
        key = marks.request // self._targets // self._turns, marks.target
        held = self._open.pop(key, None) if marks.error else self._open.get(key)
        return None if held is None or marks.error else held.due

    def _begun(self, number: int, marks: Marks) -> _Conversation | None:
        prompts = self._plan.prompts
        try:
            request = prompts.request(number)
            unique = self._bodies[marks.target].unique(number)
            history = prompts.messages(request, number % prompts.number, self._plan.seed, unique)
        except HolymonError:  # damaged: its call has failed
            return None
        return _Conversation(list(request.conversation), list(history), marks.due)

    def _say(self, held: _Conversation, number: int, turn: int, target: int, text: str) -> None:
        """Make the next turn ready: before its person thinks, so that it is not late for that."""
        prompts, seed, following = self._plan.prompts, self._plan.seed, held.turns[turn]
        place = number % prompts.number
        bodies = self._bodies[target]
        if following.whole:
            unique = bodies.unique(number)
            held.history = list(prompts.messages(following, place, seed, unique, turn))
        else:
            answer: list[dict[str, Any]] = [{"role": "assistant", "content": text}]
            held.history += [] if following.has_answer else answer
            held.history += following.turns(words_of(seed, place, turn))
        held.next = bodies.prepared(following, held.history)


def _due(held: _Conversation, following: Request, marks: Marks) -> float:
    """When its person goes on: after some thought, or when it came once, if it is answered then."""
    if following.think_s is not None:
        return marks.end + following.think_s
    first = held.turns[0].at
    if following.at is None or first is None:
        return marks.end
    return max(marks.end, held.began + following.at - first)
