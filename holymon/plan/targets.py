"""Targets by name: `provider/model` looked up in the packaged targets.toml and the user's own."""

import json
import os
import re
import tomllib
from copy import deepcopy
from datetime import UTC, datetime
from functools import cache
from importlib.resources import files
from pathlib import Path
from typing import Any, Final

from holymon.errors import ConfigError, PlanError
from holymon.plan import known_prices
from holymon.plan.given_file import decoded, raw
from holymon.plan.plan import Plan
from holymon.plan.price import Price
from holymon.plan.request_fields import overlaid
from holymon.plan.target import Target
from holymon.safety import looks_secret, plain
from holymon.structs import from_builtins, mark_received, replace

USER_FILE: Final = "targets.toml"
FILE_ENV: Final = "HOLYMON_TARGETS"
_MOST_BYTES: Final = 2**18
_MOST_DOTS: Final = 100
"""In a line: what `tomllib` takes for a dotted key grows with the square of its parts."""

_PROVIDER_KEYS: Final = frozenset({
    "base_url", "endpoint", "api_key_env", "auth", "headers", "query", "body", "stall_s", "ca_file",
    "cert_file", "cert_password_env", "insecure_http", "limits", "models",
})  # fmt: skip
_FILES: Final = ("ca_file", "cert_file")


def target(name: str) -> Target:
    """The target written `provider/model`, with what it costs today.

    Raises PlanError if it lacks a provider or a model, ConfigError for a file that can't be read.
    """
    return priced(unpriced(name))


def priced(of: Target) -> Target:
    """A target with what it costs now, by the library that knows, where no book states a price."""
    return known_prices.priced(of, datetime.now(UTC))


def with_prices(plan: Plan) -> Plan:
    """A plan that is to be measured now, with what its targets cost now."""
    return replace(plan, targets=tuple(map(priced, plan.targets)))


def unpriced(name: str) -> Target:
    """The target written `provider/model`, with a price only if a book states it: see `target`."""
    provider, slash, model = name.partition("/")
    known = providers()
    if not slash or not model or provider not in known:
        raise PlanError(
            f"target {plain(name)!r} is not known: write provider/model with one of "
            f"{', '.join(known)} as provider (such as sim/fast), add your own to {USER_FILE}, or "
            "use --base-url and --model."
        )
    about = known[provider]
    if provider == "sim" and model not in about["models"]:
        models = ", ".join(about["models"])
        raise PlanError(f"the simulator has no model {plain(model)!r}, only {models}.")
    return _target(provider, model, about, str(user_file() or USER_FILE))


def targets_in(path: Path) -> tuple[Target, ...]:
    """A target of each provider in a file, with any model. Raises ConfigError, PlanError."""
    own = _own(path)
    known = _laid_over_packaged(own)
    return tuple(_target(name, "any", known[name], str(path)) for name in own)


def _target(provider: str, model: str, about: dict[str, Any], source: str) -> Target:
    """A target of a provider; where it sends which key is the word of `source`."""
    where = f"[{provider}] in {USER_FILE}"
    others = {key: value for key, value in about.items() if key not in {"models", "body"}}
    price = dict(about.get("models", {}).get(model, {}))
    body = overlaid(_body(about, where), _body(price, where), keep_none=True)
    price.pop("body", None)
    if (limits := price.pop("limits", None)) is not None:
        others["limits"] = limits
    fields = {"provider": provider, "model": model, "price": price, "body": body, **others}
    made: Target = from_builtins(fields, Target, where)
    mark_received(made, source)
    return made


def _body(about: dict[str, Any], where: str) -> dict[str, Any]:
    """Fields of each body: a table, or JSON in a text, for TOML has no null. Raises ConfigError."""
    body = about.get("body", {})
    if isinstance(body, str):
        try:
            body = json.loads(body)
        except (ValueError, RecursionError):
            raise ConfigError(f"{where}: body is no JSON: write an object, or a table.") from None
    if not isinstance(body, dict):
        raise ConfigError(f"{where}: body must be a table, or JSON with an object.")
    return body


def sibling(of: Target, model: str) -> Target:
    """Another model at the address of a target, with its own price where that is known.

    Raises PlanError for an empty name, or a model that the simulator lacks.
    """
    about = providers().get(of.provider)
    price = Price() if about is None else unpriced(f"{of.provider}/{model}").price
    return priced(replace(of, model=model, price=price))


def one_off(base_url: str, model: str, api_key_env: str = "") -> Target:
    """A target that stands in no file. Raises PlanError."""
    target = Target(provider="url", model=model, base_url=base_url, api_key_env=api_key_env)
    return priced(target)


def providers() -> dict[str, dict[str, Any]]:
    """Every provider that is known, the user's own settings laid over the packaged ones.

    What a packaged one sends stays at its address: it does not come along to another one.
    """
    return _laid_over_packaged(_own(user_file()))


def _laid_over_packaged(own: dict[str, dict[str, Any]]) -> dict[str, dict[str, Any]]:
    known = packaged()
    for name, about in own.items():
        base = known.get(name, {})
        if about.get("base_url", base.get("base_url")) != base.get("base_url"):
            for sent in ("api_key_env", "headers", "query"):
                base.pop(sent, None)
        models = {**base.get("models", {}), **about.get("models", {})}
        known[name] = {**base, **about, "models": models}
    return known


def packaged() -> dict[str, dict[str, Any]]:
    """The providers that holymon knows by itself: a copy of its own for each caller."""
    return deepcopy(_packaged())


@cache  # it never changes, and is asked for with every target
def _packaged() -> dict[str, dict[str, Any]]:
    return _read(files("holymon").joinpath("plan/targets.toml").read_text("utf-8"), "packaged")


def _own(path: Path | None) -> dict[str, dict[str, Any]]:
    """The providers in the user's file, if there is any; a `ca_file` there is relative to it."""
    if path is None:
        return {}
    own = providers_in(path)
    for about in own.values():
        for name in _FILES:
            if isinstance(about.get(name), str):
                about[name] = str(path.parent / about[name])
    return own


def providers_in(path: Path) -> dict[str, dict[str, Any]]:
    """The providers that a file of targets defines. Raises ConfigError."""
    try:
        text = decoded(raw(path, _MOST_BYTES))
    except (OSError, UnicodeDecodeError) as error:
        raise ConfigError(f"can't read {path}: {error}.") from None
    if max(line.count(".") for line in text.split("\n")) > _MOST_DOTS:
        raise ConfigError(f"{path} is no file of targets: a line has over {_MOST_DOTS} dots.")
    return _read(text, str(path))


def own_definition(provider: str) -> dict[str, Any]:
    """What the user's file says of a provider, paths made absolute; empty if nothing."""
    about = dict(_own(user_file()).get(provider, {}))
    for name in _FILES:
        if name in about:
            about[name] = str(Path(about[name]).resolve())
    return about


def toml_of(name: str, table: dict[str, Any]) -> str:
    """A table in TOML, with those inside of it; `name` as it stands between the brackets."""
    plain_values = {key: value for key, value in table.items() if not isinstance(value, dict)}
    lines = [f"[{name}]", *(f"{toml_key(key)} = {_value(v)}" for key, v in plain_values.items())]
    inner = [
        toml_of(f"{name}.{toml_key(key)}", value)
        for key, value in table.items() if isinstance(value, dict)
    ]  # fmt: skip
    if not plain_values and inner:
        return "\n".join(inner)
    return "\n".join(["\n".join(lines) + "\n", *inner])


def toml_key(name: str) -> str:
    """A name as it stands in TOML, in quotes where it must."""
    return name if re.fullmatch(r"[A-Za-z0-9_-]+", name) else _value(name)


def _value(value: Any) -> str:
    """A value in TOML, whose strings, numbers and lists are JSON's but for DEL."""
    return json.dumps(value, ensure_ascii=False, default=str).replace("\x7f", "\\u007F")


def user_file() -> Path | None:
    """The user's targets file: where HOLYMON_TARGETS points, or in the current folder."""
    named = os.environ.get(FILE_ENV)
    if named:
        return Path(named)
    here = Path(USER_FILE)
    return here if here.is_file() else None


def _read(text: str, where: str) -> dict[str, dict[str, Any]]:
    try:
        tables = tomllib.loads(text)
    except (ValueError, RecursionError) as error:
        raise ConfigError(f"{where} is not TOML: {plain(str(error))}.") from None
    for name, about in tables.items():
        if name == "sim" and "base_url" in about:
            raise ConfigError(
                f"{where}: [sim] is the simulator that is built in, whose figures are called "
                "simulated: give your server another name."
            )
        if not isinstance(about, dict):
            raise ConfigError(f"{where}: {plain(name)!r} must be a table, [{plain(name)}].")
        for key, value in about.items():
            if key == "base_url" and not isinstance(value, str):
                raise ConfigError(f"{where}: [{plain(name)}] base_url must be text, in quotes.")
            if key in _PROVIDER_KEYS:
                continue
            if looks_secret(key, value):
                raise ConfigError(
                    f"{where}: [{plain(name)}] holds a key in {plain(key)!r}: take it out, put it "
                    "into an environment variable and name that in api_key_env."
                )
            raise ConfigError(
                f"{where}: [{plain(name)}] has no setting {plain(key)!r}; use "
                f"{', '.join(sorted(_PROVIDER_KEYS))}."
            )
        if not isinstance(about.get("models", {}), dict):
            raise ConfigError(f"{where}: [{plain(name)}] models must be tables of their own.")
    return tables
