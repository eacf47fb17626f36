"""What a watched call asks, and of which model, by its address and its body.

    read_call(request) -> Aim        `request` is one of httpx or httpx2

The model stands in the body, in a form, or in the path, as with Vertex, google-genai, Bedrock and
Azure. A call that names none is called by what its path is about (`files`, `batches`).
"""

import re
from contextlib import suppress
from functools import lru_cache
from typing import Any, Final, NamedTuple

import msgspec

from holymon.errors import ConfigError
from holymon.protocols.chat import CHAT
from holymon.protocols.cohere import COHERE
from holymon.protocols.converse import CONVERSE
from holymon.protocols.dialect import Dialect
from holymon.protocols.dialects import of_path
from holymon.protocols.embeddings import EMBEDDINGS
from holymon.protocols.gemini import GEMINI
from holymon.protocols.messages import MESSAGES
from holymon.protocols.ollama import OLLAMA
from holymon.protocols.written_json import asks_for_json
from holymon.safety import Secret, looks_secret

UNKNOWN: Final = "unknown"
_MOST_FIELDS: Final = 50

_IN_PATH: Final = re.compile(
    r"/(?:models|tunedModels|deployments|engines|endpoints)/([^/]+?)(?::[A-Za-z]+)?(?:/|\Z)"
)
_OF_BEDROCK: Final = re.compile(r"(?:invoke|converse)[a-z-]*")
_NOT_ABOUT: Final = re.compile(r"v\d+\w*|api|openai|compatible-mode|inference")
"""Parts of a path that stand before what it is about."""

_WORD: Final = re.compile(r"[a-z][a-z_-]{1,30}")
"""No key and no number of a customer looks like this."""

_RAW: Final = (":rawPredict", ":streamRawPredict")
_OWN: Final = {
    ":generateContent": GEMINI, ":streamGenerateContent": GEMINI,
    "/api/chat": OLLAMA, "/api/generate": OLLAMA, "/v2/chat": COHERE,
    "/converse": CONVERSE, "/converse-stream": CONVERSE,
}  # fmt: skip


class _Body(msgspec.Struct):
    model: Any = ""
    model_id: Any = ""
    anthropic_version: Any = None


_body: Final = msgspec.json.Decoder(_Body).decode


class Aim(NamedTuple):
    """What a call asks: of which model (`""` if none is named), and in which dialect.

    Not `sure` is one whose answers may look otherwise, too: only an error that they report is one.
    """

    model: str
    dialect: Dialect
    sure: bool
    wants_json: bool


def read_call(request: Any) -> Aim:
    """What a call asks. Never raises: what can't be read is not known."""
    path = request.url.path
    content = _content(request)
    try:
        body = _body(content)
    except (msgspec.MsgspecError, RecursionError, UnicodeError):
        body = _Body()
    named = body.model or body.model_id
    model = named if isinstance(named, str) else ""
    dialect = _dialect(path)
    if dialect is None and isinstance(body.anthropic_version, str):  # Bedrock's and Vertex' Claude
        dialect = MESSAGES
    likely = EMBEDDINGS if path.endswith(EMBEDDINGS.path) else CHAT
    return Aim(
        model or _in_path(path) or _in_form(request), dialect or likely, dialect is not None,
        asks_for_json(content),
    )  # fmt: skip


def keys_of(request: Any) -> tuple[Secret, ...]:
    """What in a request's headers and query stands where keys do; no answer's words may hold it."""
    pairs = [*request.headers.items(), *request.url.params.items()]
    keys = []
    for name, value in pairs:
        if looks_secret(name.replace("-", "_"), value):
            with suppress(ConfigError):  # it is none that could come back
                keys.append(Secret(value.rpartition(" ")[2], name))
    return tuple(keys)


def subject(path: str) -> str:
    """What a path without a model is about: its first word, `unknown` if that may be an id."""
    parts = [part for part in path.split("/") if part and not _NOT_ABOUT.fullmatch(part)]
    return parts[0] if parts and _WORD.fullmatch(parts[0]) else UNKNOWN


@lru_cache(maxsize=256)
def _dialect(path: str) -> Dialect | None:
    for end, dialect in _OWN.items():
        if path.endswith(end):
            return dialect
    if path.endswith(_RAW) and "/publishers/mistralai/" in path:
        return CHAT
    return of_path(path)


def _in_path(path: str) -> str:
    """The model in a path, which may hold slashes where it is Bedrock's or Cloudflare's."""
    name, _, verb = path.partition("/model/")[2].rpartition("/")
    if name and _OF_BEDROCK.fullmatch(verb):
        return name
    match = _IN_PATH.search(path)
    return match[1] if match else path.partition("/ai/run/")[2]


def _in_form(request: Any) -> str:
    """The model in the fields of a form, or in the query."""
    for field in list(getattr(request.stream, "fields", ()))[:_MOST_FIELDS]:
        value = getattr(field, "value", None) or getattr(field, "file", None)
        if getattr(field, "name", "") == "model" and isinstance(value, str | bytes):
            return value if isinstance(value, str) else value.decode("utf-8", "replace")
    return str(request.url.params.get("model", ""))


def _content(request: Any) -> bytes:
    """The body of a request; one that follows a redirection has it in its stream only."""
    body = getattr(request, "_content", None)
    if body is None and request.stream.__class__.__name__ == "ByteStream":
        body = b"".join(request.stream)
    return body or b""
