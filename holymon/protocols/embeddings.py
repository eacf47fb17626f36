"""OpenAI's embeddings (`/embeddings`): whole answers, a vector for each text and no tokens out.

Source: https://platform.openai.com/docs/api-reference/embeddings. A vector may be text in base64.
"""

from collections.abc import Sequence
from typing import Any, Final

import msgspec

from holymon.errors import OK
from holymon.plan.requests import Message
from holymon.protocols.complaint import reports
from holymon.protocols.dialect import NOT_MINE, Dialect
from holymon.protocols.error_body import read_body, refused
from holymon.protocols.lenient import read
from holymon.protocols.reading import Reading
from holymon.protocols.sse import Event
from holymon.protocols.turns import texts
from holymon.protocols.usage import read_usage
from holymon.records.attempt import Marks


class _Item(msgspec.Struct):
    embedding: msgspec.Raw = msgspec.Raw()


class _Embeddings(msgspec.Struct):
    data: list[_Item] | None = None
    usage: Any = None
    error: Any = None


_DECODER: Final = msgspec.json.Decoder(_Embeddings)
_ITEMS: Final = msgspec.json.Decoder(list[_Item])
_NO_VECTOR: Final = frozenset({b"", b"null", b"[]", b"{}", b'""'})


def request_body(
    model: str, messages: Sequence[Message], max_tokens: int | None, stream: bool
) -> dict[str, Any]:
    """The body for one text, which has no longest answer and no stream."""
    del max_tokens, stream
    return {"model": model, "input": texts(messages)}


def _read(reading: Reading, now: float, event: Event) -> int:
    """Nothing of a stream is its own."""
    del reading, now
    read(event.data, _DECODER)
    return NOT_MINE


def read_answer(body: bytes, marks: Marks) -> tuple[str, str, str]:
    """Error type, message and no text of a 200; fills in the marks' counts."""
    answer, error, message = read_body(_as_openai(body), _DECODER, marks)
    if answer is None:
        return error, message, ""
    vectors = [bytes(item.embedding).strip() for item in answer.data or ()]
    lacking = not vectors or any(vector in _NO_VECTOR for vector in vectors)
    if lacking or reports(answer.error):
        return *refused(body, marks), ""
    read_usage(answer.usage, marks)
    marks.output_tokens, marks.events = -1, len(vectors)
    marks.finish = "stop"
    return OK, "", ""


def _as_openai(body: bytes) -> bytes:
    """Vectors without anything around them, as llama.cpp sends them where /v1 is left out."""
    if body.lstrip()[:1] != b"[":
        return body
    try:
        items = _ITEMS.decode(body)
    except (msgspec.DecodeError, RecursionError):
        return body
    bare = items and all(bytes(item.embedding) for item in items)
    return b'{"data":%b}' % body if bare else body


EMBEDDINGS: Final = Dialect("/embeddings", request_body, _read, read_answer)
