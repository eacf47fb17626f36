"""How many tokens a server says it counted, as a row can hold them."""

from typing import Any, Final, TypeVar

from holymon.records.attempt import Flag, Marks

MAX_COUNT: Final = 2**31 - 1
_T = TypeVar("_T")


def read_usage(
    usage: Any, marks: Marks, prompt: str = "prompt_tokens", output: str = "completion_tokens"
) -> None:
    """Note the counts that make sense: a wrong one is unknown, and no reason to fail a call.

    `prompt` and `output` are the dialect's names for the two.
    """
    # The last one seen counts: some servers repeat a running total in every chunk.
    marks.prompt_tokens = count(usage, prompt, marks.prompt_tokens)
    counted = count(usage, output, -1)
    if counted >= 0:
        marks.output_tokens = counted
        marks.flags |= Flag.SERVER_TOKENS
    if isinstance(usage, dict):
        of_prompt, of_output = usage.get(f"{prompt}_details"), usage.get(f"{output}_details")
        marks.cached_tokens = count(of_prompt, "cached_tokens", marks.cached_tokens)
        marks.reasoning_tokens = count(of_output, "reasoning_tokens", marks.reasoning_tokens)


def count(usage: Any, name: str, otherwise: _T) -> int | _T:
    """A count by its name that a row can hold, else `otherwise`; `usage` is any JSON."""
    number = usage.get(name) if isinstance(usage, dict) else None
    if not isinstance(number, int | float) or isinstance(number, bool):
        return otherwise
    return int(number) if 0 <= number <= MAX_COUNT and number % 1 == 0 else otherwise
