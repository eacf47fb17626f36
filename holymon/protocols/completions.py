"""OpenAI's older completions (`/completions`), which servers of open models still speak.

Its answers are those of `chat`, whose choices hold `text`. Source:
https://platform.openai.com/docs/api-reference/completions.
"""

from typing import Any, Final

import msgspec

from holymon.protocols.chat import CHAT
from holymon.protocols.dialect import Dialect


def request_body(model: str, text: str, max_tokens: int | None, stream: bool) -> bytes:
    """The JSON body of one completion. Raises ValueError for what JSON can't carry."""
    body: dict[str, Any] = {"model": model, "prompt": text}
    if max_tokens is not None:
        body["max_tokens"] = max_tokens
    if stream:
        body |= {"stream": True, "stream_options": {"include_usage": True}}
    return msgspec.json.encode(body)


COMPLETIONS: Final = Dialect("/completions", request_body, CHAT.event, CHAT.answer)
