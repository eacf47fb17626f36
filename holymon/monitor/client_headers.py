"""What a client sends of its own accord, which is its owner's, and what is the call's alone."""

from typing import Any, Final

OF_THE_CALL: Final = frozenset(
    {"accept", "accept-encoding", "content-type", "user-agent", "anthropic-version",
     "anthropic-beta", "idempotency-key", "traceparent", "tracestate"}
)  # fmt: skip
"""The headers that are carried over to another provider; all others might name their sender."""

OF_SDKS: Final = "x-stainless-"
"""How those begin in which an SDK tells of itself, which are carried over, too."""

_OF_CONNECTIONS: Final = frozenset({"connection", "content-length", "host"})


def inner_of(client: Any) -> Any:
    """The client of httpx that a client is, or that an SDK's holds."""
    return getattr(client, "_client", client)


def base_of(client: Any) -> Any:
    """The address below which a client calls; an SDK has its own, whatever it calls by."""
    return getattr(client, "base_url", "") or getattr(inner_of(client), "base_url", "")


def own_headers(client: Any) -> dict[str, str]:
    """The headers that a client sends of its own accord: its keys, and what names its owner."""
    inner = inner_of(client)
    given = {**inner.headers, **getattr(client, "default_headers", {}),
             **getattr(client, "auth_headers", {})}  # fmt: skip
    return {name: value for name, value in given.items()
            if isinstance(value, str) and name.lower() not in OF_THE_CALL
            and name.lower() not in _OF_CONNECTIONS
            and not name.lower().startswith(OF_SDKS)}  # fmt: skip


def own_query(client: Any) -> dict[str, Any]:
    """What a client puts into the query of each call."""
    return {**dict(inner_of(client).params), **getattr(client, "default_query", {})}
