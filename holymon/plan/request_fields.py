"""What each request of a target carries besides what is asked: headers, query, fields of its body.

A value of a header or of the query is literal, or holds variables of the environment, as a shell
writes them: `$NAME` or `${NAME}`, and `$$` for a dollar. What a variable holds is a secret: it is
read where it is sent, like a key.

    variables_in("Basic $LOGIN") -> ("LOGIN",)
    overlaid(body, fields)       -> the body with fields set, taken out (None), or changed inside
"""

import re
from collections.abc import Mapping
from typing import Any, Final

from holymon.safety import looks_secret, plain
from holymon.structs import check_variable_name, require

BEARER: Final = "bearer"
NO_KEY: Final = "none"
MOST_FIELDS: Final = 50
_VARIABLE: Final = re.compile(r"\$(?:(?P<dollar>\$)|\{(?P<braced>[^{}]*)\}|(?P<name>\w*))")
_TOKEN: Final = re.compile(r"[A-Za-z0-9!#$%&'*+.^_`|~-]+")
"""A name of a header: RFC 9110, section 5.6.2."""

_OURS: Final = frozenset({
    "host", "content-length", "transfer-encoding", "connection", "accept-encoding",
})  # fmt: skip
"""What only whoever writes to the connection, and reads from it, can say."""


def parts_of(text: str) -> tuple[tuple[str, bool], ...]:
    """The literal parts of a value, and the names of its variables, which are `True`."""
    parts: list[tuple[str, bool]] = []
    end = 0
    for match in _VARIABLE.finditer(text):
        literal = text[end : match.start()] + (match["dollar"] or "")
        parts.append((literal, False))
        if not match["dollar"]:
            parts.append((match["braced"] or match["name"] or "", True))
        end = match.end()
    return (*parts, (text[end:], False))


def variables_in(text: str) -> tuple[str, ...]:
    """The names of the variables in a value."""
    return tuple(name for name, is_variable in parts_of(text) if is_variable)


def check_auth(auth: str) -> None:
    """Raise PlanError for what is no way to send a key."""
    good = auth in {"", BEARER, NO_KEY} or (_TOKEN.fullmatch(auth) and auth.lower() not in _OURS)
    require(
        bool(good), "auth", f"{plain(auth)!r} is none",
        "write bearer, none, or the name of the header that carries the key, such as api-key",
    )  # fmt: skip


def check_headers(headers: Mapping[str, str]) -> None:
    """Raise PlanError for names and values that no header can have, and for a key in one."""
    for name, value in headers.items():
        good = _TOKEN.fullmatch(name) and name.lower() not in _OURS
        require(bool(good), "headers", f"can't hold {plain(name)!r}", "name another header")
        fine = value.isascii() and value.isprintable()
        require(fine, "headers", f"hold no text in {plain(name)!r}", "write it in plain ASCII")
        _check_value("headers", name, value)
    _check_number("headers", len(headers))


def check_query(query: Mapping[str, str]) -> None:
    """Raise PlanError for a name that is empty, and for a key in a value."""
    for name, value in query.items():
        require(bool(name), "query", "has a value without a name", "write NAME=VALUE")
        _check_value("query", name, value)
    _check_number("query", len(query))


def _check_value(where: str, name: str, value: str) -> None:
    for variable in variables_in(value):
        require(bool(variable), where, f"have a lone $ in {plain(name)!r}", "write $$ for a dollar")
        check_variable_name(variable, f"what follows $ in {where}")
    literal = "".join(part for part, is_variable in parts_of(value) if not is_variable)
    placed = looks_secret(name.replace("-", "_"), literal) and not variables_in(value)
    secret = placed or looks_secret("", value)
    require(
        not secret, where, f"hold a key in {plain(name)!r}",
        "put it into an environment variable and write $ and its name",
    )  # fmt: skip


def _check_number(where: str, number: int) -> None:
    require(number <= MOST_FIELDS, where, f"are {number}", f"give {MOST_FIELDS} at most")


def overlaid(
    body: Mapping[str, Any], fields: Mapping[str, Any], *, keep_none: bool = False
) -> dict[str, Any]:
    """A copy of `body` with `fields`: None takes one out, an object changes what is inside one.

    As a JSON merge patch (RFC 7396). With `keep_none`, None stays: two patches become one.
    """
    result = dict(body)
    for name, value in fields.items():
        before = result.get(name)
        if value is None and not keep_none:
            result.pop(name, None)
        elif isinstance(value, dict):
            inner = before if isinstance(before, dict) else {}
            result[name] = overlaid(inner, value, keep_none=keep_none)
        else:
            result[name] = value
    return result
