"""A 200 whose body is one piece: an answer, or what came instead of one, by what it is."""

from typing import Final

from holymon.protocols.dialect import Dialect
from holymon.protocols.error_body import page_text
from holymon.protocols.stray import Meaning, of_text
from holymon.records.attempt import Flag, Marks

NO_STREAM: Final = (
    "the whole answer came in one piece of JSON, though a stream was asked for: measure it with "
    "--no-stream"
)
_JSON: Final = frozenset({b"{", b"["})


def answer(
    body: bytes, kind: str, dialect: Dialect, marks: Marks, *, certain: bool
) -> tuple[str, str, str]:
    """Error type, message and text of a body whose content type is `kind`.

    `certain` if it is certain that such an answer was asked for: then other text is no JSON at all.
    """
    start = _start(body)
    if start not in _JSON and (start == b"<" or (start and certain and kind.startswith("text/"))):
        return "unexpected_content_type", page_text(body), ""
    error, message, text = dialect.answer(body, marks)
    if not error and kind and "json" not in kind:
        marks.flags |= Flag.LENIENT
    return error, message, text


def instead_of_a_stream(body: bytes, dialect: Dialect, marks: Marks) -> tuple[str, str]:
    """What came when a stream was asked for: error type and message."""
    start = _start(body)
    if not start:
        return "empty_response", ""
    if start not in _JSON:
        words = page_text(body)
        says_error = start != b"<" and of_text(words) is Meaning.ERROR
        return "stream_error_event" if says_error else "unexpected_content_type", words
    scratch = Marks(0, 0, 0.0)
    error, message, _ = dialect.answer(body, scratch)
    cut = marks.bytes > len(body)  # of a long one only the beginning is here
    if error in {"", "empty_response"} or (error == "invalid_json" and cut):
        return "unexpected_content_type", NO_STREAM
    marks.code = scratch.code
    return "stream_error_event" if error == "server_error" else error, message


def _start(body: bytes) -> bytes:
    start = body[:1]
    return start if start in _JSON else body.lstrip(b"\xef\xbb\xbf \t\r\n")[:1]
