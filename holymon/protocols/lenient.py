"""JSON as servers really write it: strictly first, then leniently what the strict reader refuses.

Halves of surrogate pairs, NaN and Infinity (as Python's json writes them), control characters in
strings; then types that are odd but readable: PHP's `[]` for an empty object, a text as a list of
parts, a reason as an object, a number as text.
"""

import json
import re
from collections.abc import Callable
from functools import cache
from typing import Any, Final, TypeVar, cast

import msgspec
from msgspec import inspect

from holymon.protocols.bounds import LOOSE, is_vast

T = TypeVar("T")

BROKEN: Final = (msgspec.DecodeError, UnicodeDecodeError, RecursionError)
"""What the readers here raise for what they can't read."""

_ESCAPE: Final = re.compile(
    rb"(?s)\\(?:u[dD][89abAB][0-9a-fA-F]{2}\\u[dD][c-fC-F][0-9a-fA-F]{2}"
    rb"|u[dD][89a-fA-F][0-9a-fA-F]{2}|.)"
)
_TEXTS: Final = ("text", "content", "value", "type", "reason", "name", "status")
"""Where an object that stands for a text may hold it."""


class _Lost(Exception):  # noqa: N818 - never seen outside: it becomes a ValidationError
    """A value is of a kind that nothing can be made of."""


def parsed(data: bytes) -> Any:
    """Whatever JSON `data` holds; None for what is no JSON."""
    if is_vast(data):
        return None
    data = data.removeprefix(b"\xef\xbb\xbf")
    try:
        return msgspec.json.decode(data)
    except BROKEN:
        pass
    try:
        return _loose(data)
    except (ValueError, RecursionError):
        return None


def read(data: bytes, decoder: msgspec.json.Decoder[T]) -> tuple[T, bool]:
    """The JSON in `data` as the decoder's type, and whether that took leniency.

    Raises msgspec.ValidationError for JSON that is of no readable shape, msgspec.DecodeError for
    what is no JSON, RecursionError.
    """
    try:
        return decoder.decode(data), False
    except msgspec.ValidationError as error:
        refused: msgspec.DecodeError = error
    except msgspec.DecodeError as error:
        refused = error
        whole = _ESCAPE.sub(_replaced, data)
        if whole != data:
            return read(whole, decoder)
    if is_vast(data):
        raise refused
    try:
        value = _loose(data)
    except (ValueError, RecursionError):
        raise refused from None
    if not isinstance(value[0] if isinstance(value, list) and len(value) == 1 else value, dict):
        raise refused
    try:
        fit = _fitted(value, _type_of(cast(Any, decoder.type)))
        return msgspec.convert(fit, decoder.type), True
    except _Lost:
        reason = refused if isinstance(refused, msgspec.ValidationError) else None
        raise reason or msgspec.ValidationError("of no readable shape") from None


def type_of(part: Any) -> str:
    """What a part of an answer says that it is; empty where it is none."""
    return str(part.get("type")) if isinstance(part, dict) else ""


def _replaced(match: re.Match[bytes]) -> bytes:
    return b"\\ufffd" if len(match[0]) == 6 else match[0]


def _loose(data: bytes) -> Any:
    """JSON with what Python's reader takes besides. Raises ValueError, RecursionError."""
    if len(data) > LOOSE:
        raise ValueError
    return json.loads(_ESCAPE.sub(_replaced, data).decode(), strict=False)


@cache
def _type_of(kind: Any) -> inspect.Type:
    return inspect.type_info(kind)


def _fitted(value: Any, wanted: inspect.Type) -> Any:
    """`value` as `wanted`, msgspec.UNSET if it is as good as missing. Raises _Lost."""
    kinds = wanted.types if isinstance(wanted, inspect.UnionType) else (wanted,)
    if any(isinstance(kind, inspect.AnyType) for kind in kinds):
        return value
    if value is None:
        return None if any(isinstance(kind, inspect.NoneType) for kind in kinds) else msgspec.UNSET
    for kind in kinds:
        fit = _FITS.get(type(kind))
        if fit is not None:
            return fit(value, kind)
    return value


def _struct(value: Any, kind: Any) -> Any:
    if isinstance(value, list) and len(value) == 1:
        value = value[0]
    if isinstance(value, str) and value:
        value = {kind.fields[0].encode_name: value}
    if not value:
        return {}
    if not isinstance(value, dict):
        raise _Lost
    fields = {field.encode_name: field.type for field in kind.fields}
    fit = {name: _fitted(value[name], fields[name]) for name in fields if name in value}
    return {name: item for name, item in fit.items() if item is not msgspec.UNSET}


def _list(value: Any, kind: Any) -> Any:
    if isinstance(value, dict):
        numbered = all(str(key).isdecimal() for key in value)
        value = list(value.values()) if numbered else [value]
    if isinstance(value, str) and value and _is_part(kind.item_type):
        value = [{"type": "text", "text": value}]
    if not value:
        return []
    if not isinstance(value, list):
        raise _Lost
    fit = [_fitted(item, kind.item_type) for item in value if item is not None]
    return [item for item in fit if item is not msgspec.UNSET]


def _is_part(kind: Any) -> bool:
    """Whether things of this kind say what they are, as a part of a message does."""
    return any(field.encode_name == "type" for field in getattr(kind, "fields", ()))


def _text(value: Any, kind: Any) -> Any:
    if isinstance(value, str):
        return value
    if not value:
        return msgspec.UNSET
    if isinstance(value, dict):
        inner = next((value[name] for name in _TEXTS if value.get(name)), None)
        if inner is None:
            raise _Lost
        return _text(inner, kind)
    if isinstance(value, list):
        pieces = [_text(item, kind) for item in value]
        return "".join(piece for piece in pieces if isinstance(piece, str))
    return str(value).lower()


_FITS: Final[dict[type, Callable[[Any, Any], Any]]] = {
    inspect.StructType: _struct, inspect.ListType: _list, inspect.StrType: _text,
}  # fmt: skip
