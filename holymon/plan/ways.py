"""How targets are to be asked, in the words of options and fields: `NAME=VALUE`, and JSON."""

import json
from collections.abc import Iterable
from typing import Any

from holymon.errors import PlanError
from holymon.plan.request_fields import overlaid
from holymon.plan.target import Target
from holymon.safety import plain
from holymon.structs import replace


def with_ways(
    targets: Iterable[Target], endpoint: str = "", auth: str = "", header: tuple[str, ...] = (),
    query: tuple[str, ...] = (), field: tuple[str, ...] = (), *, mark: str = "--",
) -> tuple[Target, ...]:  # fmt: skip
    """The targets, asked as the options say, which win. Raises PlanError.

    `mark` stands before the name of an option where one is wrong.
    """
    headers, queries = _pairs(f"{mark}header", header), _pairs(f"{mark}query", query)
    body: dict[str, Any] = {}
    for name, value in _pairs(f"{mark}set", field).items():
        inner: Any = _json(value)
        parts = name.split(".")
        if not value.strip():
            raise PlanError(f"{mark}set {plain(name)}= has no value: write null to take the "
                            "field out, or '\"\"' for an empty text.")  # fmt: skip
        if not all(part.strip() for part in parts):
            raise PlanError(f"{mark}set {plain(name)} has a part without a name: a dot reaches "
                            "inside a field, as in reasoning.effort.")  # fmt: skip
        for part in reversed(parts):
            inner = {part: inner}
        body = overlaid(body, inner, keep_none=True)
    return tuple(
        replace(
            target, endpoint=endpoint or target.endpoint, auth=auth or target.auth,
            headers={**target.headers, **headers}, query={**target.query, **queries},
            body=overlaid(target.body, body, keep_none=True),
        )
        for target in targets
    )  # fmt: skip


def _pairs(option: str, given: tuple[str, ...]) -> dict[str, str]:
    """Names and values of an option that may be given several times. Raises PlanError."""
    for pair in given:
        if not pair.partition("=")[0].strip() or "=" not in pair:
            raise PlanError(f"{option} is written {option} NAME=VALUE.")
    return {name.strip(): value for name, _, value in (pair.partition("=") for pair in given)}


def _json(text: str) -> Any:
    """A value in JSON; what is none is a text."""
    try:
        return json.loads(text)
    except (ValueError, RecursionError):
        return text
