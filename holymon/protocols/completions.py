"""OpenAI's older completions (`/completions`), which servers of open models still speak.

Its answers are those of `chat`, whose choices hold `text`, or llama.cpp's own: `content`, and in
the last event `stop` with what was counted (`/completions` without `/v1` is that there). Sources:
https://platform.openai.com/docs/api-reference/completions, ggml-org/llama.cpp tools/server/README.
"""

from collections.abc import Sequence
from typing import Any, Final

import msgspec

from holymon.plan.requests import Message
from holymon.protocols.chat import CHAT
from holymon.protocols.dialect import Dialect, began, decoded, noted, whole
from holymon.protocols.finish import finish_of
from holymon.protocols.lenient import BROKEN, read
from holymon.protocols.reading import Reading
from holymon.protocols.sse import Event
from holymon.protocols.turns import texts
from holymon.protocols.usage import read_usage
from holymon.records.attempt import Marks


class _Own(msgspec.Struct, gc=False):
    """A piece of what llama.cpp completes, or all of it."""

    content: str
    stop: bool
    stop_type: Any = "eos"
    timings: Any = None
    tokens_evaluated: Any = None
    tokens_predicted: Any = None

    def ends(self, marks: Marks) -> None:
        """Note why it ended, and what was counted."""
        marks.finish = "length" if self.stop_type == "limit" else finish_of("stop")
        counted = {"prompt_tokens": self.tokens_evaluated,
                   "completion_tokens": self.tokens_predicted}  # fmt: skip
        for usage in (self.timings, counted):
            read_usage(usage, marks)


_OWN: Final = msgspec.json.Decoder(_Own)


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


def _read(reading: Reading, now: float, event: Event) -> int:
    """Tokens (0 or 1) in an event of either form."""
    if b'"choices"' in event.data or b'"stop"' not in event.data:
        return CHAT.event(reading, now, event)
    try:
        own = decoded(reading.marks, event.data, _OWN)
    except BROKEN:
        return CHAT.event(reading, now, event)
    began(reading.marks, now)
    if own.stop:
        reading.finished = reading.done = True
        own.ends(reading.marks)
    return noted(reading, now, own.content, thought=False, acted=False)


def _answer(body: bytes, marks: Marks) -> tuple[str, str, str]:
    """Error type, message and text of a 200 in one piece."""
    if b'"choices"' not in body and b'"stop"' in body:
        try:
            own, _ = read(body, _OWN)
        except BROKEN:
            pass
        else:
            own.ends(marks)
            return whole(marks, own.content, thought=False, acted=False)
    return CHAT.answer(body, marks)


COMPLETIONS: Final = Dialect("/completions", request_body, _read, _answer)
