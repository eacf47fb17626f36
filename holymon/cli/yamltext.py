"""Settings as YAML text, in the order given and readable; what is read back is what was given."""

import json
import re
from collections.abc import Mapping, Sequence
from typing import Any, Final

_PLAIN: Final = re.compile(r"[A-Za-z_/](?:[A-Za-z0-9_./:-]*[A-Za-z0-9_])?")
_WORDS: Final = frozenset({"true", "false", "yes", "no", "on", "off", "null", "y", "n"})


def dump(value: Any, comment: str = "") -> str:
    """A mapping, a sequence or a scalar as YAML, after `comment`."""
    head = "".join(f"# {line}".rstrip() + "\n" for line in comment.splitlines())
    return head + "\n".join(_lines(value)) + "\n"


def _lines(value: Any) -> list[str]:
    if isinstance(value, Mapping) and value:
        return [line for key, one in value.items() for line in _entry(f"{_scalar(key)}:", one)]
    if isinstance(value, Sequence) and not isinstance(value, str) and value:
        return [line for one in value for line in _item(one)]
    return [_scalar(value)]


def _entry(key: str, value: Any) -> list[str]:
    if isinstance(value, str) and "\n" in value and _is_block(value):
        return [f"{key} |-", *(f"  {line}" for line in value.split("\n"))]
    if isinstance(value, Mapping | list | tuple) and value:
        return [key, *(f"  {line}" for line in _lines(value))]
    return [f"{key} {_scalar(value)}"]


def _item(value: Any) -> list[str]:
    first, *rest = _lines(value)
    return [f"- {first}", *(f"  {line}" for line in rest)]


def _is_block(text: str) -> bool:
    """Whether a text can stand as it is, line by line."""
    lines = text.split("\n")
    return text == text.strip() and all(
        line.strip() and line.isprintable() and line == line.rstrip() for line in lines
    )


def _scalar(value: Any) -> str:
    if isinstance(value, str) and _PLAIN.fullmatch(value) and value.lower() not in _WORDS:
        return value
    return json.dumps(value, ensure_ascii=True)
