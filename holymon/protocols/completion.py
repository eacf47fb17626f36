"""The JSON of a chat completion: its shape, and what its parts leave in the marks of a call."""

from typing import Any, Final, TypeVar

import msgspec

from holymon.records.attempt import FINISH, Flag, Marks

MAX_COUNT: Final = 2**31 - 1
_T = TypeVar("_T")


class Message(msgspec.Struct):
    """What was said, or a piece of it."""

    content: str | list[Any] | None = None
    reasoning_content: Any = None
    reasoning: Any = None
    tool_calls: Any = None
    function_call: Any = None
    refusal: Any = None


class Choice(msgspec.Struct):
    """One of the answers asked for, or a piece of it."""

    index: Any = 0
    delta: Message | None = None
    message: Message | None = None
    text: str | None = None
    finish_reason: str | None = None
    error: Any = None


class Answer(msgspec.Struct):
    """A whole body, or one event of a stream."""

    choices: list[Choice] | None = None
    usage: Any = None
    error: Any = None


answer_of: Final = msgspec.json.Decoder(Answer).decode


def read_usage(
    usage: Any, marks: Marks, asked: str = "prompt_tokens", answered: str = "completion_tokens"
) -> None:
    """Note the counts that make sense: a wrong one is unknown, and no reason to fail a call."""
    # The last one seen counts: some servers repeat a running total in every chunk.
    marks.prompt_tokens = count(usage, asked, marks.prompt_tokens)
    output = count(usage, answered, -1)
    if output >= 0:
        marks.output_tokens = output
        marks.flags |= Flag.SERVER_TOKENS
    if isinstance(usage, dict):
        prompt, details = usage.get(f"{asked}_details"), usage.get(f"{answered}_details")
        marks.cached_tokens = count(prompt, "cached_tokens", marks.cached_tokens)
        marks.reasoning_tokens = count(details, "reasoning_tokens", marks.reasoning_tokens)


def count(found: Any, name: str, otherwise: _T) -> int | _T:
    """A count by its name that a row can hold, else `otherwise`; `found` is any JSON."""
    number = found.get(name) if isinstance(found, dict) else None
    if not isinstance(number, int | float) or isinstance(number, bool):
        return otherwise
    return int(number) if 0 <= number <= MAX_COUNT and number % 1 == 0 else otherwise


def failed(choice: Choice, marks: Marks) -> bool:
    """Whether a choice reports an error of its own."""
    if choice.error or choice.finish_reason == "error":
        marks.finish = "error"
        return True
    return False


def finish(reason: str, marks: Marks) -> None:
    """Note why an answer ended."""
    if reason:
        marks.finish = reason if reason in FINISH else "other"


def says(message: Message) -> bool:
    """Whether there is any output in it, be it text or not."""
    return bool(
        message.content or message.reasoning_content or message.reasoning or message.tool_calls
        or message.function_call or message.refusal
    )  # fmt: skip
