"""Plain values: what plans are made of, the checks of their fields, and the two types of figures.

A field that makes no sense is a PlanError: which field, what is wrong, how to mend it.
"""

import json
import re
from dataclasses import dataclass
from functools import cache
from typing import Any, Final, Self, TypeVar
from urllib.parse import parse_qsl, urlsplit

import msgspec
import numpy as np

from holymon.errors import ConfigError, PlanError
from holymon.safety import looks_secret, plain, redact, short

Interval = tuple[float, float]
"""The low and the high end of a 95 % interval."""

SECONDS_IN: Final = {
    "": 1.0, "ms": 1e-3, "s": 1.0, "sec": 1.0, "m": 60.0, "min": 60.0, "h": 3600.0, "d": 86400.0,
}  # fmt: skip
_SPAN: Final = re.compile(
    r"([-+]?(?:\d+\.?\d*|\.\d+)(?:[eE][-+]?\d+)?)\s*((?i:ms|sec|s|min|m|h|d)?)"
)
_ENV_NAME: Final = re.compile(r"[A-Za-z_][A-Za-z0-9_]*")


@dataclass(frozen=True, slots=True)
class Rate:
    """A share of `of` calls, with Wilson's 95 % interval; all None for no calls at all."""

    value: float | None
    low: float | None
    high: float | None
    of: int


Allowed: Final = msgspec.Meta
"""What a field of a file may hold, as in `Annotated[float, Allowed(ge=0)]`."""


class SparseStruct(msgspec.Struct, frozen=True, omit_defaults=True):
    """What a file has many of, written without the fields that are as they are at first."""


@cache
def _fields(kind: type[msgspec.Struct]) -> tuple[msgspec.structs.FieldInfo, ...]:
    """What a class of values is made of: msgspec reads all its annotations anew each time."""
    return msgspec.structs.fields(kind)


class Struct(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """What plans are made of: frozen, named fields, no field unknown."""

    def __post_init__(self) -> None:
        """Bring every field to its type: lists become tuples, numpy's numbers Python's own.

        What comes from JSON has its types already; what comes from a notebook may not.
        """
        for field in _fields(type(self)):
            given = getattr(self, field.name)
            native = given.item() if isinstance(given, np.generic) else given
            try:
                value = msgspec.convert(native, field.type)
            except msgspec.ValidationError as error:
                raise PlanError(f"{field.name}: {plain(str(error))}.") from None
            if value is not given:
                msgspec.structs.force_setattr(self, field.name, value)

    @property
    def facts(self) -> list[tuple[str, str]]:
        """The fields that differ from their defaults, in words; without the name."""
        given = [(field, getattr(self, field.name)) for field in _fields(type(self))]
        return [
            (field.name, words)
            for field, value in given
            if value != field.default and field.name != "name" and (words := in_words(value))
        ]

    @property
    def words(self) -> str:
        """All facts in a line."""
        return ", ".join(f"{name} {text}" for name, text in self.facts)

    def __repr__(self) -> str:
        return plain(f"<{type(self).__name__} {self.words}>")


class Received(str):
    """A text that others chose, since it stood in a file or in a run's plan: `source` names that.

    It is equal to its plain text, and stays what it is in a copy of a plan that changes others of
    its fields; a value that is given in Python or on the command line is a plain text.
    """

    __slots__ = ("source",)
    source: str

    def __new__(cls, text: str, source: str = "") -> Self:
        """The text, and where it stood."""
        made = super().__new__(cls, text)
        made.source = source
        return made


_S = TypeVar("_S", bound=Struct)
_Shown = TypeVar("_Shown")


def replace(value: _S, **changes: Any) -> _S:
    """A copy with some fields changed, and checked. Raises PlanError."""
    return msgspec.structs.replace(value, **changes)


def in_words(value: Any) -> str:
    """A value of a plan in words."""
    if isinstance(value, tuple):
        return ", ".join(map(in_words, value))
    if isinstance(value, Struct):
        return value.words
    if isinstance(value, dict):
        return ", ".join(f"{key}: {in_words(item)}" for key, item in value.items())
    return f"{value:g}" if isinstance(value, float) else str(value)


def mark_received(target: Struct, source: str) -> None:
    """Say of a target that was just read from `source`: others chose where it sends which key."""
    for name in ("base_url", "api_key_env", "ca_file", "cert_file", "headers", "query"):
        value: Any = getattr(target, name)
        if isinstance(value, dict):
            marked: Any = {key: Received(text, source) for key, text in value.items()}
        else:
            marked = Received(value, source)
        msgspec.structs.force_setattr(target, name, marked)


def to_builtins(value: Any) -> Any:
    """A plan or a part of it as dicts, lists and scalars, ready for JSON."""
    return msgspec.to_builtins(value, enc_hook=plain_text)


def plain_text(value: Any) -> str:
    """The text of a `Received` or `Said`: msgspec knows `str` alone. Raises NotImplementedError."""
    if isinstance(value, str):
        return str(value)
    raise NotImplementedError


def from_builtins(value: Any, kind: type[msgspec.Struct], where: str) -> Any:
    """A part of a plan from dicts and lists; PlanError names `where` and the field."""
    try:
        return msgspec.convert(value, type=kind)
    except (msgspec.ValidationError, UnicodeEncodeError) as error:  # the latter for half a letter
        raise PlanError(f"{where}: {plain(str(error.__cause__ or error)).rstrip('.')}.") from None


def fields_in(data: bytes, most: int, *names: str) -> dict[str, Any]:
    """Some fields of an object in JSON, None for those it has not; others are not even looked at.

    Raises ValueError if it is none, or if those fields are over `most` bytes, RecursionError.
    """
    raw = (msgspec.Raw, msgspec.Raw(b"null"))
    kind = msgspec.defstruct("Fields", [(name, *raw) for name in names])
    try:
        known = msgspec.structs.asdict(msgspec.json.decode(data, type=kind))
    except msgspec.MsgspecError as error:
        raise ValueError(str(error)) from None
    if sum(len(bytes(value)) for value in known.values()) > most:
        raise ValueError("it is too long")
    return {name: json.loads(bytes(value)) for name, value in known.items()}


def require(good: bool, field: str, what: str, mend: str) -> None:
    """Raise PlanError: which field, what is wrong with it, how to mend it."""
    if not good:
        raise PlanError(f"{field} {what}: {mend}.")


def check_range(field: str, value: float | None, low: float, high: float, unit: str = "") -> None:
    """Raise PlanError, naming the field, for a number out of bounds; None is no number."""
    # Written so that NaN fails it too.
    if value is not None and not low <= value <= high:
        given = "too large" if abs(value) >= 1e15 else f"{value:g} {unit}".rstrip()
        raise PlanError(f"{field} is {given}: it must lie between {low:g} and {high:g}.")


def seconds_of(text: str) -> float:
    """Seconds as people write them: `90`, `90s`, `1m`, `1.5h`, `1m30s`, `500ms`, `2 min`.

    Raises PlanError for what is no time.
    """
    parts = _SPAN.findall(text)
    if "".join(number + unit for number, unit in parts) != text.replace(" ", "") or not parts:
        raise PlanError(f"{plain(text)!r} is no time: write seconds, or such as 90s, 1m30s or 2h.")
    if len(parts) > 1 and not all(unit for _, unit in parts):
        raise PlanError(f"{plain(text)!r} has a part without a unit: write it like 1m30s.")
    return sum(float(number) * SECONDS_IN[unit.lower()] for number, unit in parts)


def check_base_url(url: str) -> None:
    """Raise PlanError for a base_url that can't be one, or that holds a secret."""
    # Nothing before an @ and nothing behind a ? is repeated: passwords and keys stand there.
    shown = plain(redact(re.split(r"[?#]", url.rpartition("@")[2])[0]))
    try:
        parts = urlsplit(url)
        good = parts.scheme in {"http", "https"} and parts.hostname and parts.port != 0
    except ValueError:
        good, parts = False, urlsplit("")
    if "@" in url:
        raise PlanError("base_url holds a user name or password: take it out, use api_key_env.")
    if any(looks_secret(k, v) for k, v in parse_qsl(parts.query)) or looks_secret("", url):
        raise PlanError("base_url holds a key: take it out and use api_key_env.")
    if not good or not url.isprintable() or " " in url:
        raise PlanError(
            f"base_url {shown!r} is not an address: write it like http://127.0.0.1:8000/v1."
        )
    if parts.query or parts.fragment:
        raise PlanError("base_url holds a ? or a #: leave out all from there on, or give a query.")
    if parts.path.rstrip("/").endswith("/chat/completions"):
        raise PlanError("base_url ends in /chat/completions: leave that off, it is added.")


def check_variable_name(name: str, field: str = "api_key_env") -> None:
    """Raise PlanError for a field that is to name an environment variable, and names none."""
    # A key can look like a name: letters and digits only. No name is such a long word, though.
    key = looks_secret("", name) or (len(name) >= 24 and name.isalnum() and not name.isalpha())
    if key or not _ENV_NAME.fullmatch(name):
        raise PlanError(
            f"{field} must be the name of an environment variable (letters, digits, _), "
            "not a key: put the key into a variable and give the variable's name."
        )


def refuse_secret(name: str, value: Any) -> None:
    """Raise ConfigError if a parameter would put a key into a notebook or a report."""
    if looks_secret(name, value):
        raise ConfigError(
            f"parameter {short(name, 60)!r} looks like a key, and parameters are stored in the "
            "report: set an environment variable and pass its name as --api-key-env."
        )


def shows_table(result: type[_Shown]) -> type[_Shown]:
    """Have a class of results, which have a `table`, show it as text, and in a notebook as HTML."""

    def text(self: Any) -> Any:
        return self.table.text()

    def html(self: Any) -> Any:
        return self.table.html()

    for name, shown in {"__repr__": text, "_repr_html_": html}.items():
        setattr(result, name, shown)
    return result
