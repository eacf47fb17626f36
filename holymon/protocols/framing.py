"""Streams that are framed otherwise than as server-sent events, turned into such events.

    events_of(content_type) -> a function from bytes as they come to bytes of events, or None

So that an answer is read in one way however it is framed. Sources: NDJSON as Ollama sends it
(docs/api/streaming.mdx of ollama/ollama), Amazon's event stream of Bedrock's models
(https://docs.aws.amazon.com/transcribe/latest/dg/streaming-setting-up.html#streaming-event-stream).
"""

import json
import re
from binascii import a2b_base64
from collections.abc import Callable
from typing import Final

from holymon.protocols.lenient import parsed

_LINES: Final = re.compile(r"application/(?:x-)?(?:ndjson|jsonl|jsonlines|json-lines|stream\+json)")
_AMAZON: Final = "application/vnd.amazon.eventstream"
_PRELUDE: Final = 12
_SUM: Final = 4
_MOST: Final = 24 * 1024 * 1024
"""Bytes of a message, at most, as Amazon limits them (16 MB), and some more."""

_FAILED: Final = re.compile(rb"(?s):(?:exception-type|error-code)\x07(..)")


class BadFrame(ValueError):  # noqa: N818 - as EventTooLarge
    """Bytes that are no message of an event stream."""


def events_of(content_type: str) -> Callable[[bytes], bytes] | None:
    """What makes events of a stream of this content type; None if it needs nothing of the kind."""
    if _LINES.match(content_type):
        return _Lines()
    return _Messages() if content_type.startswith(_AMAZON) else None


class _Lines:
    """Lines of JSON, each an event."""

    def __init__(self) -> None:
        self._begun = False

    def __call__(self, data: bytes) -> bytes:
        start = b"" if self._begun else b"data: "
        self._begun = True
        return start + data.replace(b"\n", b"\n\ndata: ")


class _Messages:
    """Messages of Amazon's event stream: lengths, headers, a payload of JSON, check sums."""

    def __init__(self) -> None:
        self._rest = bytearray()  # which grows and shrinks without a copy of it all

    def __call__(self, data: bytes) -> bytes:
        """The events in all messages that are complete now. Raises BadFrame."""
        rest, events, at = self._rest, list[bytes](), 0
        rest += data
        while len(rest) - at >= _PRELUDE:
            length, head = int.from_bytes(rest[at : at + 4]), int.from_bytes(rest[at + 4 : at + 8])
            if not _PRELUDE + head + _SUM <= length <= _MOST:
                if events:  # what came before it counts, however it was cut
                    break
                raise BadFrame("no message of an event stream")
            if len(rest) - at < length:
                break
            headers = bytes(rest[at + _PRELUDE : at + _PRELUDE + head])
            events.append(_event(headers, bytes(rest[at + _PRELUDE + head : at + length - _SUM])))
            at += length
        del rest[:at]
        return b"".join(events)


def _event(headers: bytes, payload: bytes) -> bytes:
    """A message as an event: the error it is, the JSON packed in it, or its own."""
    value = parsed(payload)
    about = value if isinstance(value, dict) else {}
    if failed := _FAILED.search(headers):
        name = headers[failed.end() :][: int.from_bytes(failed[1])].decode("utf-8", "replace")
        words = about.get("message") or payload.decode("utf-8", "replace")
        error = {"error": {"type": name, "message": words}}
        return b"event: error\ndata: " + json.dumps(error).encode() + b"\n\n"
    if isinstance(about.get("bytes"), str):
        try:
            payload = a2b_base64(about["bytes"])
        except ValueError:
            payload = b"{}"
    return b"data: " + payload.replace(b"\n", b" ") + b"\n\n"
