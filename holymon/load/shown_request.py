"""The first request to a target as text, as it will be sent; of secrets their variables' names."""

import json
from typing import Final

from holymon.load.requests import body_of
from holymon.plan.plan import Plan
from holymon.plan.request_fields import BEARER, NO_KEY
from holymon.plan.target import Target
from holymon.protocols.dialects import DIALECTS
from holymon.safety import redact

MOST: Final = 2000
"""Characters of a body that are shown."""


def shown_request(plan: Plan, target: Target) -> str:
    """Line, headers that say something of it, and body. Raises PlanError, ConfigError."""
    dialect = DIALECTS[target.endpoint]
    query = "&".join(f"{name}={value}" for name, value in target.query.items())
    root = target.address.rstrip("/") or "(the built-in simulator)"
    lines = [f"POST {root}{dialect.path}" + f"?{query}" * bool(query)]
    fields = {**dialect.headers, **{name.lower(): v for name, v in target.headers.items()}}
    if target.api_key_env and target.auth != NO_KEY:
        lines.append(f"{_key_header(target)}${target.api_key_env}")
    lines += [f"{name}: {value}" for name, value in fields.items()]
    body = json.dumps(body_of(plan, target, 0), indent=1, ensure_ascii=False)
    cut = "..." * (len(body) > MOST)
    return redact("\n".join([*lines, "", body[:MOST] + cut]))


def _key_header(target: Target) -> str:
    if target.auth == BEARER or not target.auth:
        usual = DIALECTS[target.endpoint].key_header.decode("ascii")
        return "authorization: Bearer " if target.auth == BEARER else usual
    return f"{target.auth}: "
