"""Which part of a JSON value reports an error, in any of the forms met in the field.

Beside OpenAI's `{"error": {...}}`: vLLM's `{"object": "error"}`, MiniMax's `base_resp`, FastAPI's
`detail`, `success: false`, AWS's `__type` and `...Exception`, gateways' `code` and `msg`.
"""

import re
from itertools import islice
from typing import Any, Final

WORDS: Final = (
    "message", "msg", "detail", "details", "error_message", "error_msg", "errmsg", "errorMessage",
    "errorMsg", "err_msg", "status_msg", "retmsg", "Message", "Msg", "ErrorMsg",
)  # fmt: skip
"""Where the words of an error stand."""

MORE_WORDS: Final = (
    "error_description", "statusText", "title", "reason", "description", "failed_generation",
)  # fmt: skip
"""Where they may stand beside a code that says that it is one."""

CODES: Final = (
    "code", "type", "error_code", "errorCode", "errcode", "err_code", "errno", "error_type",
    "status_code", "statusCode", "retcode", "ret", "Code", "__type", "status",
)  # fmt: skip
"""Where an error's own code stands, the most telling first."""

_KINDS: Final = (
    "object", "type", "event", "event_type", "status", "state", "finish_reason", "__type",
)  # fmt: skip
_ERROR: Final = re.compile(r"(?i)err|errors|fault|.*(?:error|exception)")
_OBJECT: Final = re.compile(rf"{_ERROR.pattern}|err(?:or)?_?(?:msg|message|info|details?|body)")
"""Names of an object that is an error; as text they may say that all is well."""

_FAILED: Final = re.compile(r"(?i).*(?:error|exception|fail(?:ed|ure)?|fault)")
_FINE: Final = re.compile(
    r"(?i)0+|2\d\d|20000|ok|okay|success(?:ful(?:ly)?)?|succeed(?:ed)?|null|none|normal|成功|正常"
)
_UNDER_WAY: Final = re.compile(
    r"(?i).*(?:ping|beat|alive|process|queue|pending|progress|start|connect|info|debug|wait|think"
    r"|running|created?|complete|success|succeed|ok|open|ready|init|status|warn)\w*"
)
_TAIL: Final = 60
"""Characters of a name or a word of a status: none is longer, and a server may send megabytes."""

_MOST_NAMES: Final = 1000
_WRAPS: Final = ("Response", "response", "Output", "output", "header", "result", "data")


def sole(value: Any) -> dict[str, Any] | None:
    """An object, or the only one in a list, as one large provider wraps its errors."""
    if isinstance(value, list) and len(value) == 1:
        value = value[0]
    return value if isinstance(value, dict) else None


def complaint(value: Any, *, strict: bool = False) -> Any:
    """The part of `value` that reports an error, None if nothing does.

    With `strict` only what calls itself an error is one; else also an object of an unknown shape
    that holds words or a code, as most servers' errors do.
    """
    about = sole(value)
    if about is None:
        return None
    for name, inner in islice(about.items(), _MOST_NAMES):
        named = _OBJECT if isinstance(inner, dict) else _ERROR
        if inner and named.fullmatch(name[-_TAIL:]) and not _is_fine(inner):
            return about if isinstance(inner, bool | int | float) else inner
    base = about.get("base_resp")
    if isinstance(base, dict) and not _is_fine(base.get("status_code")):
        return base
    for name in _WRAPS:
        if isinstance(about.get(name), dict):
            weak = strict or name not in {"header", "Response"}
            if (inner := complaint(about[name], strict=weak)) is not None:
                return inner
    if any(map(_names_failure, map(about.get, _KINDS))):
        return about
    if about.get("success") is False or about.get("ok") is False:
        return about
    return about if not strict and _speaks(about) else None


def reports(error: Any) -> bool:
    """Whether what stands in an error's place is one."""
    # Nearly every answer has none, and is asked.
    return bool(error) and complaint({"error": error}) is not None


def words_in(about: dict[str, Any], names: tuple[str, ...] = WORDS) -> Any:
    """The words of an error, as text, list or object; None if there are none."""
    return next((about[name] for name in names if about.get(name) not in (None, "", [], {})), None)


def _speaks(about: dict[str, Any]) -> bool:
    """Whether an object of unknown shape has the words or the code of an error."""
    words = words_in(about)
    code = next((about[name] for name in CODES if _is_bad(about.get(name))), None)
    if code is not None:
        return words is not None or words_in(about, MORE_WORDS) is not None or _is_status(code)
    if isinstance(words, dict):
        return _speaks(words)
    if words is None or _is_fine(words):
        return False
    return not any(map(_is_under_way, (words, *map(about.get, _KINDS))))


def _is_under_way(word: Any) -> bool:
    return isinstance(word, str) and len(word) <= _TAIL and bool(_UNDER_WAY.fullmatch(word))


def _names_failure(word: Any) -> bool:
    return isinstance(word, str) and bool(_FAILED.fullmatch(word[-_TAIL:]))


def _is_fine(value: Any) -> bool:
    """Whether a code or a word says that all is well, or says nothing; or a form does so."""
    if value is None or value is False or value == "":
        return True
    if isinstance(value, dict):  # Go writes out an error that there is none of
        return len(value) <= _MOST_NAMES and all(map(_is_fine, value.values()))
    return isinstance(value, str | int) and bool(_FINE.fullmatch(str(value)[:_TAIL].strip()))


def _is_bad(code: Any) -> bool:
    """Whether a code says that something went wrong: a number, or a word that names a failure."""
    if isinstance(code, bool) or not isinstance(code, int | str) or _is_fine(code):
        return False
    return isinstance(code, int) or code.lstrip("-").isdecimal() or _names_failure(code)


def _is_status(code: Any) -> bool:
    return bool(re.fullmatch(r"[45]\d\d|-\d+", str(code)))
