"""What a server says when it refuses: the error type, the code and the words of an answer."""

import re
from collections.abc import Callable
from typing import Any, Final, TypeVar

import msgspec

from holymon.errors import OK, from_status
from holymon.records.attempt import Marks
from holymon.safety import short

T = TypeVar("T")

_CODE: Final = re.compile(r"[A-Za-z0-9_.\-]{1,64}")
# Neither pattern can be made to look at the same text again and again.
_HIDDEN: Final = re.compile(r"(?is)<(script|style)\b.*?(?:</\1[^<>]*>?|\Z)")
_TAG: Final = re.compile(r"<[^<>]*>")
_ESCAPE: Final = re.compile(
    rb"(?s)\\(?:u[dD][89abAB][0-9a-fA-F]{2}\\u[dD][c-fC-F][0-9a-fA-F]{2}"
    rb"|u[dD][89a-fA-F][0-9a-fA-F]{2}|.)"
)


def read_error(status: int, body: bytes, marks: Marks) -> tuple[str, str]:
    """Error type and message of an answer that is not a 200; fills in the provider's code."""
    message = error_text(body, marks)
    return from_status(status, marks.code), message


def is_error(body: bytes) -> bool:
    """Whether a body is a JSON object that reports an error."""
    return bool(error_of(body))


def error_of(body: bytes) -> Any:
    """The error that a JSON object reports; None if it reports none."""
    return (_object(parsed(body)) or {}).get("error") or None


def in_band(error: Any, marks: Marks) -> str:
    """The error type of a 200 that carries an error: by its code, if that is a status."""
    number = error.get("code") if isinstance(error, dict) else None
    for word in (_text(number), marks.code):
        if re.fullmatch(r"[45][0-9][0-9]", word):
            return from_status(int(word))
    by_name = {
        "rate_limit_exceeded": "rate_limited", "insufficient_quota": "quota_exhausted",
        "invalid_api_key": "authentication", "model_not_found": "not_found",
        "overloaded_error": "overloaded", "server_overloaded": "overloaded",
    }  # fmt: skip
    return by_name.get(marks.code, "server_error")


def error_text(data: bytes, marks: Marks) -> str:
    """The words of a body or an event that reports an error, JSON, HTML or plain text."""
    value = parsed(data)
    if value is not None:
        return message_of(value, marks)
    return short(_TAG.sub(" ", _HIDDEN.sub(" ", data.decode("utf-8", "replace"))))


def message_of(value: Any, marks: Marks) -> str:
    """The text of an error in any of the forms met in the wild; notes its code in the marks."""
    about = _object(value)
    if about is None:
        return short(_text(value))
    error = about.get("error") or about.get("detail") or about.get("message") or about
    if isinstance(error, list):
        return short("; ".join(map(_detail, error[:5])))
    if not isinstance(error, dict):
        marks.code = _code(about.get("code"))
        return short(_text(error))
    marks.code = _code(error.get("code"), error.get("type"), about.get("code"))
    return short(_text(error.get("message") or error.get("detail") or error))


def _object(value: Any) -> dict[str, Any] | None:
    """An object, or the only one in a list, as one large provider wraps its errors."""
    if isinstance(value, list) and len(value) == 1:
        value = value[0]
    return value if isinstance(value, dict) else None


def _code(*codes: Any) -> str:
    """The first word among the codes, else the first number: words tell more than a status."""
    good = [
        str(code) for code in codes if type(code) in {str, int} and _CODE.fullmatch(_text(code))
    ]
    words = [text for text in good if not text.isdecimal()]
    return [*words, *good, "other" if any(codes) else ""][0]


def _detail(item: Any) -> str:
    """One entry of FastAPI's list of validation errors."""
    if not (isinstance(item, dict) and "msg" in item):
        return _text(item)
    place = item.get("loc")
    return f"{'.'.join(map(_text, place if isinstance(place, list) else []))}: {_text(item['msg'])}"


def _text(value: Any) -> str:
    """`value` in words; what nests too deep, or is too long a number, has none."""
    try:
        return "" if value is None else str(value)
    except (RecursionError, ValueError):
        return ""


def parsed(data: bytes) -> Any:
    """Whatever JSON `data` holds; None for what is no JSON."""
    try:
        return decoded(data.removeprefix(b"\xef\xbb\xbf"), msgspec.json.decode)
    except BROKEN:
        return None


BROKEN: Final = (msgspec.DecodeError, UnicodeDecodeError, RecursionError)
"""What `decoded` raises for what it can't read."""


def read_body(body: bytes, decode: Callable[[bytes], T], marks: Marks) -> tuple[T | None, str, str]:
    """The answer in the body of a 200, or None with the error type and message of what is none."""
    if not body.strip():
        return None, "empty_response", ""
    if not is_utf8(body):
        return None, "invalid_utf8", ""
    try:
        return decoded(body.removeprefix(b"\xef\xbb\xbf"), decode), OK, ""
    except msgspec.ValidationError as error:
        if reported := error_of(body):
            message = error_text(body, marks)
            return None, in_band(reported, marks), message
        return None, "invalid_schema", str(error)
    except (msgspec.DecodeError, RecursionError) as error:
        return None, "invalid_json", str(error)


def is_utf8(data: bytes) -> bool:
    """Whether `data` is text in UTF-8."""
    try:
        data.decode()
    except UnicodeDecodeError:
        return False
    return True


def decoded(data: bytes, decode: Callable[[bytes], T]) -> T:
    """JSON decoded, with halves of surrogate pairs replaced, which some servers do send.

    Raises what `decode` raises.
    """
    try:
        return decode(data)
    except msgspec.ValidationError:
        raise
    except msgspec.DecodeError:
        whole = _ESCAPE.sub(lambda match: b"\\ufffd" if len(match[0]) == 6 else match[0], data)
        if whole == data:
            raise
        return decode(whole)
