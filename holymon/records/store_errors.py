"""Why a store failed, in one sentence: what it means, the mend, and the code that a server gave.

The codes are those of AWS, and of others where they have their own (MinIO's begin with X). What a
server says beside its code is left out: it repeats keys and signed headers.
"""

import re
from typing import Any, Final

from holymon.safety import redact

_KEYS: Final = "set AWS_ACCESS_KEY_ID and AWS_SECRET_ACCESS_KEY, or AWS_PROFILE"
_ELSEWHERE: Final = "is in another region than it was asked in"
_SENTENCES: Final = {
    "NoSuchBucket": "has no such bucket: make it, or name another",
    "InvalidBucketName": "has no bucket of such a name: name another",
    "PermanentRedirect TemporaryRedirect Redirect AuthorizationHeaderMalformed "
    "IllegalLocationConstraintException 301 302 307": _ELSEWHERE,
    "InvalidAccessKeyId SignatureDoesNotMatch ExpiredToken InvalidToken AccessDenied "
    "AllAccessDisabled Unauthorized 401 403": f"refuses these credentials: {_KEYS}",
    "NoCredentialsError PartialCredentialsError ProfileNotFound "
    "CredentialRetrievalError": f"needs credentials: {_KEYS}",
    "RequestTimeTooSkewed": "refuses the clock of this machine, which is far off: set it",
    "SlowDown ServiceUnavailable RequestLimitExceeded Throttling SlowDownRead SlowDownWrite "
    "XMinioServerNotInitialized 503": "is too busy (503)",
    "QuotaExceeded XMinioStorageFull 507": "is full: make room, `holymon prune` deletes calls",
    "NotImplemented 501": "can't do what it was asked for",
    "InternalError 500 502 504": "has a fault of its own (5xx)",
    "ConnectTimeoutError ProxyConnectionError SSLError": "can't be reached",
    "RequestTimeout ReadTimeoutError FSTimeoutError TimeoutError": "did not answer in time",
    "EndpointConnectionError ConnectionClosedError ConnectionError ClientConnectionError "
    "ClientPayloadError IncompleteReadError "
    "ResponseStreamingError": "can't be reached, or broke the connection",
    "NoSuchKey 404 FileNotFoundError": "has no longer what it listed: try again",
    "PermissionError": f"refuses these credentials: {_KEYS}",
}  # fmt: skip
_WHY: Final = {name: why for names, why in _SENTENCES.items() for name in names.split()}
_GENERAL: Final = frozenset({"PermissionError", "FileNotFoundError", "TimeoutError"})
"""Classes into which s3fs puts errors of many kinds: the code tells them apart."""

_CODE: Final = re.compile(r"[A-Z][A-Za-z]{2,47}")
_REGION: Final = re.compile(r"[a-z]{2,12}(-[a-z]{2,12}){0,3}-\d{1,2}")
_GONE: Final = frozenset({"NoSuchKey", "404", "FileNotFoundError"})


def why(error: BaseException) -> str:
    """Why a store failed, in words of our own and with the server's code; its text may hold all."""
    answers, names = _answers(error), _names(error)
    named = next((_WHY[name] for name in names if name in _WHY), "")
    if named == _ELSEWHERE:
        known = next(filter(None, map(_region, answers)), "")
        named += f", {known}: set AWS_DEFAULT_REGION" if known else ": set AWS_DEFAULT_REGION to it"
        named += ", or AWS_ENDPOINT_URL if it is not of AWS"
    code = next(filter(None, map(_code, answers)), "")
    if named:
        return f"{named} ({code})" if code else named
    return f"failed ({code or type(error).__name__})"


def is_gone(error: BaseException) -> bool:
    """Whether an object was not there."""
    return bool(_GONE & {*_names(error)})


def has_no_bucket(error: BaseException) -> bool:
    """Whether not even its bucket was there."""
    return "NoSuchBucket" in _names(error) or "bucket" in str(error)


def _answers(error: BaseException | None) -> list[dict[str, Any]]:
    """What servers answered, of an error and of those it came from."""
    answers = (getattr(each, "response", None) for each in _chain(error))
    return [answer for answer in answers if isinstance(answer, dict)]


def _names(error: BaseException | None) -> list[str]:
    """The codes and classes of an error and of those it came from, the telling ones first."""
    codes = [str(answer.get("Error", {}).get("Code", "")) for answer in _answers(error)]
    classes = [kind.__name__ for each in _chain(error) for kind in type(each).__mro__[:3]]
    return [*codes, *sorted(classes, key=lambda name: name in _GENERAL)]


def _chain(error: BaseException | None) -> list[BaseException]:
    chain: list[BaseException] = []
    while error is not None and len(chain) < 8:
        chain.append(error)
        error = error.__cause__ or error.__context__
    return chain


def _code(answer: dict[str, Any]) -> str:
    """The code of an answer, if it looks like one and like no key."""
    code = str(answer.get("Error", {}).get("Code", ""))
    return code if _CODE.fullmatch(code) and redact(code) == code else ""


def _region(answer: dict[str, Any]) -> str:
    """Where a bucket is, as S3 says it beside a redirection."""
    headers = answer.get("ResponseMetadata", {}).get("HTTPHeaders", {})
    region = headers.get("x-amz-bucket-region") or answer.get("Error", {}).get("Region", "")
    return region if _REGION.fullmatch(str(region)) else ""
