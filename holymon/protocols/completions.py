"""OpenAI's older completions (`/completions`), which servers of open models still speak.

Its answers are those of `chat`, whose choices hold `text`. Source:
https://platform.openai.com/docs/api-reference/completions.
"""

from collections.abc import Sequence
from typing import Any, Final

from holymon.plan.requests import Message
from holymon.protocols.chat import CHAT
from holymon.protocols.dialect import Dialect
from holymon.protocols.turns import texts


def request_body(
    model: str, messages: Sequence[Message], max_tokens: int | None, stream: bool
) -> dict[str, Any]:
    """The body of one completion."""
    body: dict[str, Any] = {"model": model, "prompt": texts(messages)}
    if max_tokens is not None:
        body["max_tokens"] = max_tokens
    if stream:
        body |= {"stream": True, "stream_options": {"include_usage": True}}
    return body


COMPLETIONS: Final = Dialect("/completions", request_body, CHAT.event, CHAT.answer)
