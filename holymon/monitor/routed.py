"""An SDK's calls that move from its provider to another's.

routed(client_a, client_b) -> client_a      its POSTs of a dialect go through either transport
"""

import weakref
from collections.abc import Mapping
from typing import Any, Final, TypeVar

from holymon.errors import PlanError
from holymon.monitor.carrier import Carrier
from holymon.monitor.client_headers import base_of, inner_of
from holymon.monitor.clients import monitored, wrap
from holymon.monitor.monitor import Monitor
from holymon.monitor.move import LiveMove, require_patience
from holymon.monitor.retry import Policy

C = TypeVar("C")

_HTTP: Final = frozenset({"httpx", "httpx2"})
_LIBRARIES: Final = _HTTP | {"openai", "anthropic", "ollama"}
_OF_A_CLOUD: Final = ("Azure", "Bedrock", "Vertex", "Foundry", "Aws", "AWS", "GoogleCloud")
_MADE_EACH_TIME: Final = (
    "_api_key_provider", "workload_identity", "_provider_runtime", "credentials", "auth",
)  # fmt: skip
"""By what clients make their keys anew for each call."""


def routed(
    baseline: C, candidate: object, *, models: Mapping[str, str] | None = None,
    patience_s: float = 20.0, policy: Policy | None = None, **options: Any,
) -> C:  # fmt: skip
    """Move a share of the calls of the client `baseline` to the provider of `candidate`.

    Both are clients as `monitored` takes them, of one library and either both for asyncio or
    neither, with a base_url each; both are watched (`client.monitor`), and `client.router` is the
    move. `options` are those of `Router`. `models` gives the candidate's name of a model where it
    has another. Carried over are POSTs of JSON to the chat, completions, responses, messages and
    embeddings of a base_url, which must be of the same dialect there, streamed or not, also by
    `with_options`, `with_raw_response` and `parse`, with those headers of a call that its dialect
    knows: others may name their sender. Whatever else is called stays where it was, as
    do an SDK's retries and what is stored at its provider or builds on that (responses without
    `store=False`, files): `client.router.stays` counts that by its reason, of which the log tells
    once. A call stays at a side by its header `x-holymon-key`, which is not sent, or its field
    `user`. What fails there, or is silent for `patience_s`, is made at the baseline, within the
    policy's budget for retries; a stream that has begun is not. Raises PlanError for clients that
    can't be routed.
    """
    require_patience(patience_s)
    _require_fit(baseline, candidate)
    addresses = [str(base_of(client)).rstrip("/") for client in (baseline, candidate)]
    if not all(addresses) or addresses[0] == addresses[1]:
        raise PlanError("both clients need a base_url, and each one of its own.")
    monitor, inner = Monitor(), inner_of(baseline)
    names = [address.partition("://")[2] for address in addresses]
    move = LiveMove(monitor.ledger, (names[0], names[1]), policy, **options)
    monitored(baseline, monitor)
    monitored(candidate, monitor)
    monitor.router = inner.router = baseline.router = move  # type: ignore[attr-defined]
    weakref.finalize(inner, move.close)  # also where an application ends without a close
    carrier = Carrier(baseline, candidate, move, models or {}, patience_s)
    move.stays = carrier.stays
    wrap(inner, handle_request=carrier.synchronous, handle_async_request=carrier.asynchronous)
    return baseline


def _require_fit(baseline: Any, candidate: Any) -> None:
    """Raise PlanError for two clients of which one can't take the other's calls."""
    inner, other = inner_of(baseline), inner_of(candidate)
    names = [type(client).__name__ for client in (baseline, candidate)]
    if (
        _library(baseline) != _library(candidate)
        or _library(inner, _HTTP) != _library(other, _HTTP)
        or (hasattr(inner, "aclose") != hasattr(other, "aclose"))
    ):
        raise PlanError(
            f"a {names[0]} and a {names[1]} can't take each other's calls: take two clients of one "
            "library, both for asyncio or neither."
        )
    if inner is other:
        raise PlanError(
            f"both {names[0]} clients call by one and the same connections, as with_options makes "
            "them: make the candidate one of its own."
        )
    for client, name in zip((baseline, candidate), names, strict=True):
        if any(word in kind.__name__ for kind in type(client).__mro__ for word in _OF_A_CLOUD):
            raise PlanError(
                f"the calls of a {name} can't be carried over, as it signs them or writes their "
                "model into their address: take a plain client with the base_url of the same "
                "service."
            )
        if hasattr(inner_of(client), "monitor"):
            raise PlanError("this client is watched already: routed watches both by itself.")
    if any(
        getattr(client, name, None) for client in (candidate, other) for name in _MADE_EACH_TIME
    ):
        raise PlanError(
            f"the key of the candidate's {names[1]} is made anew for each call (credentials, auth, "
            "a function), which can't be carried over: give it a plain api_key, or headers."
        )


def _library(client: Any, known: frozenset[str] = _LIBRARIES) -> str:
    """The library of a client, whoever has made a class of its own of it."""
    homes = [kind.__module__.partition(".")[0] for kind in type(client).__mro__]
    return next((home for home in homes if home in known), homes[0])
