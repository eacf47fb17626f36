"""What a server says when it refuses: the error type, the code and the words of an answer."""

import re
from typing import Any, Final

import msgspec

from holymon.errors import from_status
from holymon.records import Marks
from holymon.safety import short

_CODE: Final = re.compile(r"[A-Za-z0-9_.\-]{1,64}")


def read_error(status: int, body: bytes, marks: Marks) -> tuple[str, str]:
    """Error type and message of an answer that is not a 200; fills in the provider's code."""
    found = lenient(body)
    if found is None and body:
        text = re.sub(r"(?s)<(script|style).*?</\1>|<[^>]*>", " ", body.decode("utf-8", "replace"))
        return from_status(status), short(text)
    message = message_of(found, marks)
    return from_status(status, marks.code), message


def is_error(body: bytes) -> bool:
    """Whether a body is a JSON object that reports an error."""
    found = lenient(body)
    return isinstance(found, dict) and bool(found.get("error"))


def in_band(error: Any, marks: Marks) -> str:
    """The error type of a 200 that carries an error: by its code, if that is a status."""
    number = error.get("code") if isinstance(error, dict) else None
    for word in (number, marks.code):
        if str(word).isdigit() and 400 <= int(str(word)) < 600:
            return from_status(int(str(word)))
    by_name = {
        "rate_limit_exceeded": "rate_limited", "insufficient_quota": "quota_exhausted",
        "invalid_api_key": "authentication", "model_not_found": "not_found",
        "overloaded_error": "overloaded", "server_overloaded": "overloaded",
    }  # fmt: skip
    return by_name.get(marks.code, "server_error")


def message_of(found: Any, marks: Marks) -> str:
    """The text of an error in any of the forms met in the wild; notes its code in the marks."""
    if not isinstance(found, dict):
        return short(str(found)) if found is not None else ""
    error = found.get("error") or found.get("detail") or found.get("message") or found
    if isinstance(error, list):
        return short("; ".join(_detail(item) for item in error[:5]))
    if not isinstance(error, dict):
        return short(str(error))
    code = error.get("code") or error.get("type") or found.get("code") or ""
    marks.code = str(code) if _CODE.fullmatch(str(code)) else ("other" if code else "")
    return short(str(error.get("message") or error.get("detail") or error))


def _detail(item: Any) -> str:
    """One entry of FastAPI's list of validation errors."""
    if isinstance(item, dict) and "msg" in item:
        return f"{'.'.join(str(part) for part in item.get('loc', ()))}: {item['msg']}"
    return str(item)


def lenient(data: bytes) -> Any:
    """Whatever JSON `data` holds; None for what is no JSON."""
    try:
        return msgspec.json.decode(data)
    except (msgspec.DecodeError, UnicodeDecodeError, RecursionError):
        return None
