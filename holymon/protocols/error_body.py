"""What a server says when it refuses: the error type, the code and the words of an answer."""

import re
from math import isnan
from typing import Any, Final, TypeVar

import msgspec

from holymon.errors import OK, from_status
from holymon.protocols.bounds import MAX_ERROR_BODY
from holymon.protocols.complaint import CODES, MORE_WORDS, complaint, sole, words_in
from holymon.protocols.lenient import BROKEN, parsed, read
from holymon.protocols.quota import no_credit
from holymon.protocols.retry_after import retry_delay, wait_in
from holymon.records.attempt import Flag, Marks
from holymon.safety import short

T = TypeVar("T")

PAGE: Final = "a page of HTML"
"""How the words of an error begin that no API wrote."""

FIRST: Final = 120
"""Characters that are shown of what can't be read."""

_CODE: Final = re.compile(r"[A-Za-z0-9_.\-]{1,64}")
# Neither pattern can be made to look at the same text again and again.
_HIDDEN: Final = re.compile(r"(?is)<(script|style)\b.*?(?:</\1[^<>]*>?|\Z)|<!--.*?(?:-->|\Z)")
_TAG: Final = re.compile(r"<[^<>]*>")
_PAGE: Final = re.compile(
    rb"(?is)[\xef\xbb\xbf\s]*(?:<!--.{0,500}?-->\s*)?"
    rb"<(?:!doctype html|html|head|body|center|title|h1|meta|script|iframe|p>)"
)
_IN_EVENT: Final = re.compile(rb"(?m)^(?:data|error):\s*([{\[].*[}\]])\s*$")
"""JSON in an event, where an error's status says that there is no stream."""

_JOB: Final = re.compile(r"(?i)failed|cancell?(?:ed|ing)|expired")
_OF_ANY_KIND: Final = frozenset({400, 403, 404, 422, 500})
_KEY: Final = re.compile(
    r"(?i)\b(?:invalid|incorrect|wrong|missing|no|expired|unknown|bad|malformed)[ _-](?:\w+[ _-])?"
    r"api[ _-]?key\b"
    r"|\bapi[ _-]?key[ _-](?:is[ _-]|was[ _-]|has[ _-])?"
    r"(?:been[ _-])?(?:not[ _-](?:valid|found|provided|set)|invalid|incorrect|expired|missing"
    r"|required|wrong|disabled|revoked|deactivated|suspended|blocked)"
    r"|\bInvalidApiKey\b|\bno_db_connection\b"
    r"|API ?Key ?(?:无效|错误|不正确|已过期)|无效的 ?(?:API ?Key|令牌|密钥)"
)
"""What says that a key was refused, whichever status it comes with (Google's and xAI's is 400).

A proxy of litellm that keeps no keys in a database says that it has none.
"""
_OVERLOADED: Final = re.compile(r"(?i)overload|capacity[ _]exceeded|(?:at|over) capacity")
"""What says that the server has too much to do, whatever its callers ask of it."""
_LIMITED: Final = re.compile(
    r"(?i)\brate[ _-]?limit|too many requests|\b[qrt]p[sm]\b|requests? limit reached|频繁|限流"
)
"""What says so of too many calls, where no status does (Baidu's, MiniMax', Cloudflare's 200)."""

_BY_NAME: Final = {
    "rate_limit_exceeded": "rate_limited", "invalid_api_key": "authentication",
    "model_not_found": "not_found",
    "overloaded_error": "overloaded", "server_overloaded": "overloaded",
}  # fmt: skip


def read_error(status: int, body: bytes, marks: Marks) -> tuple[str, str]:
    """Error type and message of an answer that is not a 2xx; fills in the provider's code."""
    message = error_text(body, marks)
    value = parsed(body)
    if isnan(marks.retry_after):
        marks.retry_after = retry_delay(complaint(value))
        if isnan(marks.retry_after) and status in {429, 503}:
            marks.retry_after = wait_in(message)
    if no_credit((marks.code, *_kinds(value)), message):
        return "quota_exhausted", message
    if status in {429, 500} and _OVERLOADED.search(f"{marks.code} {message}"):
        return "overloaded", message
    if status in _OF_ANY_KIND and _KEY.search(f"{marks.code} {message}"):
        return "authentication", message
    return from_status(status), message


def _kinds(value: Any) -> list[str]:
    """All codes of an error: the one that is kept may tell less than another."""
    about = sole(value) or {}
    return [*_codes(about), *_codes(sole(about.get("error")))]


def _codes(about: Any) -> list[str]:
    """Words and numbers in the places of codes; none is longer, and a server may send megabytes."""
    values = map(about.get, CODES) if isinstance(about, dict) else ()
    return [_text(value)[:FIRST] for value in values if isinstance(value, str | int)]


def of_page(body: bytes, words: str) -> str:
    """The words of an error; those of a page, as walls and proxies write them, say that it is."""
    return f"{PAGE}: {words}".rstrip(": ") if _PAGE.match(body) else words


def is_good(status: int) -> bool:
    """Whether a status promises an answer: any 2xx but those that have none."""
    return 200 <= status < 300 and status not in {204, 205}


def redirection(status: int, location: str) -> str:
    """Where a 3xx leads, without what may be secret: no user, no query, no fragment."""
    if not 300 <= status < 400:
        return ""
    place = re.sub(r"//[^/]*@", "//", re.split(r"[?#]", location)[0])
    return f"redirected to {short(place, 300)}" if place else ""


def is_job(body: bytes) -> bool:
    """Whether a body tells of a file or a batch that failed: a good answer about a bad job."""
    about = parsed(body)
    if not isinstance(about, dict) or not isinstance(about.get("id"), str):
        return False
    state, kind = str(about.get("status")), about.get("object")
    return kind != "error" and _JOB.fullmatch(state) is not None


def in_band(error: Any, marks: Marks) -> str:
    """The error type of a 200 that carries an error: by its code and words, else a status in it."""
    codes = (*_codes(error), marks.code)
    words = _words_and_code({"error": error})[0]  # a few of what may be megabytes
    if no_credit(codes, words):
        return "quota_exhausted"
    for word in codes:
        if re.fullmatch(r"[45][0-9][0-9]", word):
            return from_status(int(word))
    both = " ".join((*codes, words))
    if _OVERLOADED.search(both):
        return "overloaded"
    if _LIMITED.search(both):
        return "rate_limited"
    if "unexpected endpoint" in words.lower():  # LM Studio's 404
        return "not_found"
    return _BY_NAME.get(marks.code, "server_error")


def error_text(data: bytes, marks: Marks) -> str:
    """The words of a body or an event that reports an error, JSON, HTML or plain text."""
    value = parsed(data)
    if value is None and (event := _IN_EVENT.search(data)):
        value = parsed(event[1])
    return page_text(data) if value is None else message_of(value, marks)


def page_text(data: bytes) -> str:
    """The words of a page or of plain text."""
    text = data[:MAX_ERROR_BODY].decode("utf-8", "replace")
    return short(_TAG.sub(" ", _HIDDEN.sub(" ", text)))


def first_of(data: bytes) -> str:
    """The first characters of what can't be read, on one line."""
    return short(data[: 8 * FIRST].decode("utf-8", "replace"), FIRST)


def message_of(value: Any, marks: Marks) -> str:
    """The text of an error in any of the forms met in the wild; notes its code in the marks."""
    words, code = _words_and_code(value)
    marks.code = marks.code if code is None else code
    return words


def _words_and_code(value: Any) -> tuple[str, str | None]:
    """The words and the code of an error; no code where it is of a form that has none."""
    about = sole(value)
    if about is None:
        return short(_text(value)), None
    error = complaint(about)
    if error is None or error is about:
        error = _words_of(about) or about.get("error") or about
    if isinstance(error, list):
        inner = sole(error)
        if inner is None or "loc" in inner:
            return short("; ".join(map(_detail, error[:5]))), None
        error = inner
    if not isinstance(error, dict):
        more = _words_of(about)
        both = [error, more] if isinstance(more, str) and more != error else [error]
        return short(": ".join(map(_text, both))), _code_of(about, about)
    words = _words_of(error)
    if isinstance(words, str) and words.lstrip()[:1] == "{":  # another server's whole body
        inner = parsed(words.encode("utf-8", "replace"))
        words = _words_and_code(inner)[0] if isinstance(inner, dict) else words
    if isinstance(words, dict):
        words = words_in(words) or words
    raw = error.get("metadata")
    raw = raw.get("raw") if isinstance(raw, dict) else None  # OpenRouter's provider's own words
    return short(": ".join(map(_text, filter(None, (words or error, raw))))), _code_of(error, about)


def _words_of(about: dict[str, Any]) -> Any:
    return words_in(about) or words_in(about, MORE_WORDS)


def _code_of(error: dict[str, Any], about: dict[str, Any]) -> str:
    return _code(error.get("code"), error.get("type"), about.get("code")) or _code(
        *(part.get(name) for part in (error, about) for name in CODES[2:])
    )


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


def read_body(
    body: bytes, decoder: msgspec.json.Decoder[T], marks: Marks
) -> tuple[T, str, str] | tuple[None, str, str]:
    """The answer in the body of a 200, or None with the error type and message of what is none.

    An error that the body reports is told here; what JSON of another shape says is not.
    """
    if body.isascii():
        try:
            return decoder.decode(body), OK, ""
        except BROKEN:
            pass
    body = body.removeprefix(b"\xef\xbb\xbf")
    if not body.strip():
        return None, "empty_response", ""
    if not is_utf8(body):
        return None, "invalid_utf8", first_of(body)
    try:
        answer, odd = read(body, decoder)
    except msgspec.ValidationError:
        return None, *refused(body, marks)
    except BROKEN:
        if (bare := _without_end(body)) != body:  # as some gateways end any answer
            marks.flags |= Flag.LENIENT
            return read_body(bare, decoder, marks)
        return None, "invalid_json", first_of(body)
    if odd:
        marks.flags |= Flag.LENIENT
    return answer, OK, ""


def _without_end(body: bytes) -> bytes:
    """A body without the last event of a stream."""
    start, event, end = body.rpartition(b"data:")
    return start.rstrip() if event and end.strip() == b"[DONE]" else body


def refused(body: bytes, marks: Marks) -> tuple[str, str]:
    """Error type and message of JSON that is no answer: what it reports, else how it begins."""
    value = parsed(body)
    error = complaint(value)
    if error is None:
        return "invalid_schema", f"no answer of this API: {first_of(body)}"
    message = message_of(value, marks)
    return in_band(error, marks), message


def is_utf8(data: bytes) -> bool:
    """Whether `data` is text in UTF-8."""
    try:
        data.decode()
    except UnicodeDecodeError:
        return False
    return True
