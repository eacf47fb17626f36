"""Conversations out of what files hold, and other ones out of these.

    split(request, recorded=False)     a request whose messages are a conversation: its turns
    joined(requests, recorded=False)   requests of one session, in their order: the same
    capped, thoughtful, faster         fewer turns, time to think, all of it quicker

A turn holds what is new in it. In the next one the answers are those that came, or, `recorded`,
those of the file, with which its messages then begin.
"""

from collections.abc import Callable, Sequence
from typing import Any

import numpy as np

from holymon.plan.dataset import Dataset
from holymon.plan.entries import Unfit
from holymon.plan.lengths import Ints, Lengths
from holymon.plan.requests import BYTES_OF_TOKEN, MOST_TOKENS, MOST_TURNS, Message, Request, text_of

LIVE_TOOLS = "with calls of tools, to which only recorded answers fit"


def about_answer(text: str) -> int:
    """About how many tokens an answer is."""
    return min(len(text.encode("utf-8", "replace")) // BYTES_OF_TOKEN + 1, MOST_TOKENS)


def split(request: Request, *, recorded: bool) -> Request:
    """The conversation that the messages of a request are; one without an answer stays as it is.

    Raises Unfit for calls of tools without their recorded answers.
    """
    if isinstance(request.messages, str) or request.then:
        return request
    parts = _parts_of(request.messages)
    if len(parts) == 1:
        return request
    expected = [about_answer(text_of(part[0].get("content"))) for part in parts[1:]]
    turns = [
        request.changed(
            messages=_new_in(part, recorded=recorded or not number),
            output_tokens=tokens, prompt_tokens=None, at=request.at if not number else None,
        )
        for number, (part, tokens) in enumerate(
            zip(parts, [*expected, request.output_tokens], strict=True)
        )
    ]  # fmt: skip
    first, *then = turns[:MOST_TURNS]
    return first.changed(then=tuple(then))


def _parts_of(messages: Sequence[Message]) -> list[list[dict[str, Any]]]:
    """What is said in each turn: all behind the first begin with an answer."""
    parts: list[list[dict[str, Any]]] = [[]]
    for message in messages:
        known = parts[-1]
        answerable = any(each.get("role") in ("user", "tool") for each in known)
        if message.get("role") == "assistant" and answerable:
            parts.append([])
        parts[-1].append(dict(message))
    return parts


def _new_in(part: list[dict[str, Any]], *, recorded: bool) -> list[dict[str, Any]]:
    if recorded:
        return part
    rest = [message for message in part if message.get("role") != "assistant"]
    if any(message.get("role") == "tool" for message in rest) or not rest:
        raise Unfit(LIVE_TOOLS)
    return rest


def joined(requests: Sequence[Request], *, recorded: bool) -> Request:
    """The conversation of which these requests are the turns.

    Of one that is `whole` and holds all messages before, only what is new is kept.
    """
    turns, before = [requests[0].changed(whole=False)], requests[0].messages
    for request in requests[1:]:
        known, turn = request.messages, request
        if before and not isinstance(known, str) and not isinstance(before, str):
            new = list(known[len(before) :])
            if new and list(known[: len(before)]) == list(before):
                rest = _new_in(new, recorded=recorded)
                turn = request.changed(messages=rest, prompt_tokens=None, whole=False)
        turns.append(turn)
        before = known
    first, *then = turns[:MOST_TURNS]
    return first.changed(then=tuple(then))


def turns_of(turns: Lengths, number: int, seed: int) -> Ints:
    """How many turns each of so many conversations has, shape (n,)."""
    return np.minimum(turns.drawn(number, seed, 2), MOST_TURNS)


def turned(request: Request, change: Callable[[Request], Request]) -> Request:
    """The same conversation with each turn changed, in their order."""
    first = change(request)
    return first.changed(then=tuple(map(change, request.then))) if request.then else first


def capped(dataset: Dataset, turns: Lengths, seed: int = 0) -> Dataset:
    """The same conversations with at most so many turns of each."""
    most = turns_of(turns, dataset.requests, seed).tolist()
    return dataset.mapped(
        lambda number, request: request.changed(then=request.then[: most[number] - 1]),
        timed=dataset.timed,
    )  # fmt: skip


def thoughtful(dataset: Dataset, thinking: Lengths, seed: int = 0) -> Dataset:
    """The same conversations with so many milliseconds of thought before each further turn."""
    waits = iter((thinking.drawn(dataset.calls, seed, 4) / 1e3).tolist())
    return dataset.mapped(
        lambda _, request: request.changed(
            then=tuple(turn.changed(think_s=next(waits)) for turn in request.then)
        ),
        timed=dataset.timed,
    )  # fmt: skip


def faster(dataset: Dataset, speed: float) -> Dataset:
    """The same conversations so many times as fast: when they came, and what was thought."""

    def quick(turn: Request) -> Request:
        times = {"at": turn.at, "think_s": turn.think_s}
        return turn.changed(**{k: None if t is None else t / speed for k, t in times.items()})

    return dataset.mapped(lambda _, request: turned(request, quick), timed=dataset.timed)
