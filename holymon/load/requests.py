"""What is sent to a target, made ready: its address, headers and query, and each body.

    Bodies(plan, target)[turn]    a Prepared for each turn
    prepared_of(target, "/models", method="GET")

The keys and whatever else the environment holds are read here, and stay secrets: they are in no
text of a request.
"""

import os
from collections.abc import Callable, Mapping, Sequence
from contextlib import nullcontext, suppress
from functools import partial
from secrets import token_hex
from types import MappingProxyType
from typing import Any, Final
from urllib.parse import quote, urlencode

import msgspec

from holymon.errors import ConfigError, HolymonError
from holymon.plan import consent
from holymon.plan.plan import Plan
from holymon.plan.request_fields import BEARER, NO_KEY, overlaid, parts_of
from holymon.plan.requests import Message, Request
from holymon.plan.target import Target
from holymon.protocols.dialects import DIALECTS
from holymon.safety import Secret
from holymon.transport.connector import trusting
from holymon.transport.prepared_request import Prepared, hiding, post, prepared_for

EXACT: Final = frozenset({"chat", "completions"})
"""Where servers of open models take `ignore_eos` and `min_tokens`."""

MADE_AT_ONCE: Final = 10_000
MOST_AT_ONCE: Final = 2**25
"""So many requests, of so many bytes, are made before a load begins, for all targets."""

MOST_KEPT: Final = 2**27
"""Bytes of requests that are kept to be sent again."""

_NONE: Final[Mapping[str, str]] = MappingProxyType({})


def key_of(target: Target) -> Secret | None:
    """The key of a target from its environment variable. Raises ConfigError, without the value."""
    if not target.api_key_env or target.auth == NO_KEY:
        return None
    return _secret(target, target.api_key_env, "a key")


def _secret(target: Target, name: str, what: str, kind: type[Secret] = Secret) -> Secret:
    if name not in os.environ:
        raise ConfigError(f"{target.name} needs {what}: set the environment variable {name}.")
    # Never in a variable here: tracebacks may show local variables.
    # A file of variables with Windows' line ends leaves a CR at the end of each.
    return kind(os.environ[name].removesuffix("\r"), name)


def require_ways(targets: Sequence[Target]) -> None:
    """Raise ConfigError for a secret or a certificate that is missing, or may not be sent there."""
    for target in targets:
        secrets_of(target)
        if target.ca_file or target.cert_file:
            trusting(target.ca_file, target.cert_file, target.cert_password_env)
    consent.require(targets)


def secrets_of(target: Target, *, lacking: bool = False) -> tuple[Secret, ...]:
    """What no text of a call may hold.

    The target's key, what its headers and its query take from the environment, the password of its
    certificate, and the credentials of a proxy before it. Raises ConfigError for one that is not
    there or can't be one, unless some may be `lacking`.
    """
    more = [name for name in target.variables if name != target.api_key_env]
    more += [target.cert_password_env] if target.cert_password_env else []
    ways: list[Callable[[], Secret | None]] = [
        lambda: key_of(target),
        lambda: post(target.address).proxy_key if target.base_url else None,
        *(partial(_secret, target, name, name) for name in more),
    ]
    secrets: list[Secret | None] = []
    for way in ways:
        with suppress(ConfigError) if lacking else nullcontext():
            secrets.append(way())
    return tuple(secret for secret in secrets if secret is not None)


def known_secrets(plan: Plan | None) -> tuple[Secret, ...]:
    """All that no text about a plan may hold, as far as the environment has it now."""
    secrets: list[Secret] = []
    for target in plan.targets if plan is not None else ():
        secrets += secrets_of(target, lacking=True)
    return tuple(secrets)


def prepared_of(
    target: Target, path: str, headers: Mapping[str, str] = _NONE, *, method: str = "POST"
) -> Prepared:
    """A request to a target, to be given a body and its key. Raises ConfigError."""
    dialect = DIALECTS[target.endpoint]
    marks: dict[str, Secret] = {}
    fields = {**headers, **dialect.headers}
    for name, value in target.headers.items():
        fields[name.lower()] = _marked(target, value, marks, Secret)
    query = {name: _marked(target, value, marks, _Quoted) for name, value in target.query.items()}
    url = target.address.rstrip("/") + path + "?" * bool(query) + urlencode(query, quote_via=quote)
    if target.auth == BEARER:
        key_header = b"authorization: Bearer "
    else:
        key_header = f"{target.auth}: ".encode("ascii") if target.auth else dialect.key_header
    prepared = prepared_for(method, url, fields, key_header, target.ca_file)
    origin = prepared.origin._replace(
        cert_file=target.cert_file, cert_password_env=target.cert_password_env
    )
    return hiding(prepared._replace(origin=origin), marks)


class _Quoted(Secret):
    """A secret that stands in a query."""

    __slots__ = ()

    def reveal(self) -> str:
        """It, as a query can hold it."""
        return quote(super().reveal(), safe="")

    def forms(self) -> tuple[str, ...]:
        """Its spellings: those of what is quoted are among them."""
        return Secret(super().reveal(), self.name).forms()


def _marked(target: Target, value: str, marks: dict[str, Secret], kind: type[Secret]) -> str:
    """A value with a mark for each of its variables, whose secrets go into `marks`."""
    text = ""
    for part, is_variable in parts_of(value):
        if not is_variable:
            text += part
            continue
        mark = f"holymon-{token_hex(12)}"
        marks[mark] = _secret(target, part, part, kind)
        text += mark
    return text


class Bodies:
    """A prepared request to a target for each turn, made when it is first wanted, and kept.

    Those of the first turns are made at once, so that none of them is late for that; of very many,
    not all are kept.
    """

    def __init__(self, plan: Plan, target: Target, more: Mapping[str, str]) -> None:
        """Read what is common to all of them, with `more` headers. Raises ConfigError."""
        self._plan, self._target = plan, target
        stream = target.streams(plan.prompts.stream)
        headers = {
            "accept": "text/event-stream" if stream else "application/json",
            "accept-encoding": "gzip, deflate",
            "content-type": "application/json",
            "user-agent": "holymon",
            **more,
        }
        self._common = prepared_of(target, DIALECTS[target.endpoint].path, headers)
        self._number = plan.prompts.number
        self._mark = token_hex(12) if plan.prompts.unique else ""
        self._made: dict[int, Prepared | Exception] = {}
        self._room = MOST_KEPT
        targets = len(plan.targets)
        for turn in range(min(self._number, MADE_AT_ONCE // targets)):
            if self._room < MOST_KEPT - MOST_AT_ONCE // targets:
                break
            self[turn]

    def __getitem__(self, turn: int) -> Prepared | Exception:
        """The request of a turn; what can't be written as JSON is what fails when it is called."""
        number = turn % self._number
        made = self._made.get(number)
        if made is None:
            made = self._prepared(number)
            if self._room > 0:
                self._room -= len(made.content) if isinstance(made, Prepared) else 0
                self._made[number] = made
        if self._mark and isinstance(made, Prepared):
            unique = self.unique(turn).rstrip().encode()
            return made._replace(content=made.content.replace(self._mark.encode(), unique, 1))
        return made

    def unique(self, turn: int) -> str:
        """What a unique prompt begins with."""
        return f"{int(self._mark, 16) ^ turn:024x} " if self._mark else ""

    def prepared(self, request: Request, messages: Sequence[Message]) -> Prepared | Exception:
        """A request whose messages are these; what can't be written fails when it is called."""
        return self._written(lambda: written_body(self._plan, self._target, request, messages))

    def _prepared(self, number: int) -> Prepared | Exception:
        return self._written(lambda: body_of(self._plan, self._target, number, f"{self._mark} "))

    def _written(self, body: Callable[[], dict[str, Any]]) -> Prepared | Exception:
        try:
            return self._common._replace(content=msgspec.json.encode(body()))
        except (ValueError, TypeError, UnicodeError, HolymonError) as error:
            return error


def body_of(plan: Plan, target: Target, number: int, mark: str = "") -> dict[str, Any]:
    """What is sent to a target of a request, as an object. Raises ConfigError if it is damaged."""
    prompts = plan.prompts
    request = prompts.request(number)
    messages = prompts.messages(request, number, plan.seed, mark)
    return written_body(plan, target, request, messages)


def written_body(
    plan: Plan, target: Target, request: Request, messages: Sequence[Message]
) -> dict[str, Any]:  # fmt: skip
    """What is sent to a target of a request that says these messages, as an object."""
    prompts = plan.prompts
    limit = prompts.limit(request)
    stream = target.streams(prompts.stream)
    body = DIALECTS[target.endpoint].body(target.model, messages, limit, stream)
    if prompts.exact_tokens and limit is not None and target.endpoint in EXACT:
        body |= {"ignore_eos": True, "min_tokens": limit}
    body = target.quirks.applied(overlaid(body, request.body) if request.body else body)
    return overlaid(body, target.body) if target.body else body
