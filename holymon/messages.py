"""Anthropic's dialect (`/v1/messages`): bytes of answers in, marks and a verdict out.

Pure, beside `chat` and used in the same way:

    Reader.feed(now, bytes) ... .close() -> error type    for `stream: true`
    read_answer(bytes, marks) -> error type, message, text    for one JSON body

A stream is complete when a stop reason or `message_stop` was seen. `input_tokens` leaves out what
was read from or written to a cache; in marks `prompt_tokens` is all of it, as everywhere here.
"""

from typing import Any, Final

import msgspec

from holymon.completion import count
from holymon.errorbody import decoded, in_band, message_of, said
from holymon.errors import OK
from holymon.marks import Flag, Marks
from holymon.sse import MAX_EVENT, Decoder, Event

_FINISH: Final = {
    "end_turn": "stop", "stop_sequence": "stop", "max_tokens": "length",
    "tool_use": "tool_calls", "refusal": "content_filter",
}  # fmt: skip
_SAYS: Final = frozenset({"tool_use", "server_tool_use", "redacted_thinking"})
"""Blocks whose beginning already is output."""


class _Delta(msgspec.Struct):
    text: str = ""
    thinking: str = ""
    partial_json: str = ""
    stop_reason: str | None = None


class _Event(msgspec.Struct):
    type: str = ""
    delta: _Delta | None = None
    message: Any = None
    content_block: Any = None
    usage: Any = None
    error: Any = None


class _Message(msgspec.Struct):
    content: list[Any] | None = None
    stop_reason: str | None = None
    usage: Any = None
    error: Any = None


_event: Final = msgspec.json.Decoder(_Event).decode
_message: Final = msgspec.json.Decoder(_Message).decode


class Reader:
    """Reads one streamed answer into its marks, piece by piece.

    `error` turns non-empty when the answer has failed, `done` when nothing more is needed.
    """

    __slots__ = ("_decoder", "_finished", "_seen", "done", "error", "marks", "message")

    def __init__(self, marks: Marks, *, max_event: int = MAX_EVENT) -> None:
        """Expect the beginning of a stream."""
        self.marks = marks
        self.error = OK
        self.message = ""
        self.done = self._finished = self._seen = False
        self._decoder = Decoder(max_event)

    def feed(self, now: float, chunk: bytes) -> bool:
        """Take in what was received at `now`; whether that is enough. Raises EventTooLarge."""
        self.marks.bytes += len(chunk)
        if not self._seen and chunk.lstrip()[:1] == b"<":
            self._fail("unexpected_content_type", "a page of HTML instead of events")
        self._take(now, self._decoder.feed(chunk))
        return self.done or bool(self.error)

    def close(self, now: float) -> str:
        """The stream has ended; returns the error type, `""` if the answer is complete."""
        if not self.error and not self.done:
            self._take(now, [one for one in self._decoder.close() if _is_whole(one.data)])
        if self.error:
            return self.error
        if not self._finished and not self.done:
            return "stream_truncated" if self._seen else "empty_response"
        if not self._finished:
            self.marks.flags |= Flag.NO_FINISH
        elif not self.done:
            self.marks.flags |= Flag.NO_DONE
        return OK

    def _take(self, now: float, events: list[Event]) -> None:
        tokens = 0
        for event in events:
            if self.done or self.error:
                if self.done:
                    self.marks.flags |= Flag.AFTER_DONE
                break
            self._seen = True
            tokens += self._read(now, event.data)
        if tokens:
            self.marks.token(now, tokens)

    def _read(self, now: float, data: bytes) -> int:
        """Whether one event brought tokens of output (0 or 1)."""
        try:
            event = decoded(data, _event)
        except msgspec.ValidationError as error:
            self._fail("invalid_schema", str(error))
        except (msgspec.DecodeError, RecursionError) as error:
            self._fail("invalid_json", str(error))
        else:
            if event.type == "content_block_delta":
                return self._delta(now, event.delta or _Delta())
            if event.error or event.type == "error":
                self._fail("stream_error_event", said(data, self.marks))
            elif event.type == "content_block_start":
                return int(_kind(event.content_block) in _SAYS)
            else:
                self._about(now, event)
        return 0

    def _delta(self, now: float, delta: _Delta) -> int:
        if delta.text:
            if self.marks.content != self.marks.content:
                self.marks.content = now
            return 1
        return 1 if delta.thinking or delta.partial_json else 0

    def _about(self, now: float, event: _Event) -> None:
        if event.type == "message_start":
            self.marks.chunk = now
            if isinstance(event.message, dict):
                _prompt(event.message.get("usage"), self.marks)
        elif event.type == "message_delta":
            _prompt(event.usage, self.marks)
            _output(event.usage, self.marks)
            if event.delta and event.delta.stop_reason:
                self._finished = True
                self.marks.finish = _FINISH.get(event.delta.stop_reason, "other")
        elif event.type == "message_stop":
            self.done = True

    def _fail(self, error: str, message: str) -> None:
        self.error, self.message = error, message


def read_answer(body: bytes, marks: Marks) -> tuple[str, str, str]:
    """Error type, message and text of a 200 that was not streamed; fills in the marks' counts."""
    if not body.strip():
        return "empty_response", "", ""
    try:
        answer = decoded(body, _message)
    except msgspec.ValidationError as error:
        return "invalid_schema", str(error), ""
    except (msgspec.DecodeError, RecursionError) as error:
        return "invalid_json", str(error), ""
    if answer.error:
        message = message_of({"error": answer.error}, marks)
        return in_band(answer.error, marks), message, ""
    if answer.content is None:
        return "invalid_schema", "no content", ""
    _prompt(answer.usage, marks)
    _output(answer.usage, marks)
    if answer.stop_reason:
        marks.finish = _FINISH.get(answer.stop_reason, "other")
    texts = [one.get("text") for one in answer.content if _kind(one) == "text"]
    return OK, "", "".join(text for text in texts if isinstance(text, str))


def _kind(block: Any) -> str:
    return str(block.get("type")) if isinstance(block, dict) else ""


def _prompt(usage: Any, marks: Marks) -> None:
    parts = [
        count(usage, name, None)
        for name in ("input_tokens", "cache_read_input_tokens", "cache_creation_input_tokens")
    ]
    if parts[0] is not None:
        marks.prompt_tokens = sum(part or 0 for part in parts)
        if parts[1] is not None:
            marks.cached_tokens = parts[1]


def _output(usage: Any, marks: Marks) -> None:
    output = count(usage, "output_tokens", None)
    if output is not None:
        marks.output_tokens = output
        marks.flags |= Flag.SERVER_TOKENS


def _is_whole(data: bytes) -> bool:
    try:
        msgspec.json.decode(data)
    except (msgspec.DecodeError, UnicodeDecodeError, RecursionError):
        return False
    return True
