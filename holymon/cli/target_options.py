"""The options that say what is called, and how it is to be asked; and the targets of them."""

from collections.abc import Callable
from typing import TYPE_CHECKING, Any, Final

import click

from holymon.cli.consent import INSECURE_HTTP, TRUST
from holymon.cli.output import say
from holymon.errors import PlanError
from holymon.safety import plain

if TYPE_CHECKING:
    from holymon.plan.target import Target

_Decorator = Callable[[Callable[..., Any]], Callable[..., Any]]


def composed(*options: _Decorator) -> _Decorator:
    """Several options as one, in the order in which help shows them."""

    def add(command: Callable[..., Any]) -> Callable[..., Any]:
        for option in reversed(options):
            command = option(command)
        return command

    return add


def text(flag: str, **more: Any) -> _Decorator:
    """An option for a text that is empty unless given."""
    return click.option(flag, **{"default": "", "show_default": False, **more})


BASE_URL: Final = click.option("--base-url", help="Root of an OpenAI-compatible API that is in no "
                               "targets.toml.")  # fmt: skip
API_KEY_ENV: Final = text("--api-key-env", metavar="NAME", help="Name of the environment variable "
                          "that holds its key.")  # fmt: skip
WAYS: Final = composed(
    text("--endpoint", metavar="NAME", help="What it speaks: chat, messages, responses, "
         "completions or embeddings."),
    text("--auth", metavar="HEADER", help="How the key is sent: bearer, none, or the name of the "
         "header that holds it, such as api-key."),
    click.option("--header", multiple=True, metavar="NAME=VALUE", help="A header of each request; "
                 "'$NAME' in it stands for a variable, whose value stays secret."),
    click.option("--query", multiple=True, metavar="NAME=VALUE", help="A part of the query, as "
                 "in api-version=...; '$NAME' likewise."),
)  # fmt: skip
"""How a target is to be asked."""

ONE_OFF: Final = composed(
    BASE_URL,
    click.option("--model", multiple=True, help="The model there; several are several targets."),
    API_KEY_ENV,
    WAYS,
    TRUST,
    INSECURE_HTTP,
)


def targets_of(
    names: tuple[str, ...], base_url: str | None, models: tuple[str, ...], api_key_env: str
) -> tuple["Target", ...]:
    """The targets that a command names. Raises PlanError, ConfigError."""
    from holymon.plan.targets import one_off, target

    targets = [target(name) for name in names]
    if base_url is None and (models or api_key_env):
        raise PlanError("--model and --api-key-env belong to --base-url: give that too.")
    if base_url is not None and models:
        targets += [one_off(base_url, model, api_key_env) for model in models]
    elif base_url is not None:
        if not targets:
            raise PlanError("--base-url needs --model: say which model to call there.")
        targets = moved(targets, base_url, api_key_env)
    if not targets:
        raise PlanError("no target: name one (such as sim/fast), or give --base-url and --model.")
    return tuple(targets)


def moved(targets: "list[Target]", base_url: str, api_key_env: str) -> "list[Target]":
    """The same models at another address, which is not to see the key of the first; says so."""
    from holymon.structs import replace

    for target in targets:
        if target.simulated:
            raise PlanError(
                f"{target.name} is the simulator that is built in: to call --base-url, name the "
                "model there with --model."
            )
        key = f"with the key in {api_key_env}" if api_key_env else "without a key"
        say(f"{target.name} is called at {plain(base_url)}, {key}.", err=True)
    elsewhere = {"base_url": base_url, "api_key_env": api_key_env, "headers": {}, "query": {}}
    return [replace(target, **elsewhere) for target in targets]
