"""The options that make a plan, shared by the commands that measure."""

from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from holymon.errors import PlanError

if TYPE_CHECKING:
    from holymon.plan import Closed, Open, Plan, Prompts, Target


def load_options(command: Callable[..., Any]) -> Callable[..., Any]:
    """The options that make a plan, shared by `load` and `report`."""
    options = [
        click.option("--base-url", help="Root of an OpenAI-compatible API, for a target that is "
                     "in no targets.toml (with --model)."),
        click.option("--model", help="Its model."),
        click.option("--api-key-env", default="", metavar="NAME",
                     help="Name of the environment variable that holds its key."),
        click.option("--shape", type=click.Choice(["constant", "poisson", "closed"]),
                     help="When calls are sent: evenly, at random, or each user after the last "
                     "answer. [constant; closed with --concurrency]"),
        click.option("--rate", type=float, help="Calls per second for each target. [5]"),
        click.option("--concurrency", type=int, help="Users of a closed loop for each target."),
        click.option("--duration", type=float, help="Seconds. [30, unless --requests]"),
        click.option("--requests", type=int, help="Calls for each target."),
        click.option("--warmup", type=float, default=0.0,
                     help="Seconds before that, recorded but in no figure. [0]"),
        click.option("--prompt", help="What to ask."),
        click.option("--prompts", "prompts_file", type=click.Path(path_type=Path),
                     help="JSONL file of what to ask in turn: strings, or objects with 'prompt'."),
        click.option("--prompt-tokens", type=int, help="Ask synthetic prompts of about so many "
                     "tokens, each one different."),
        click.option("--max-tokens", type=int, default=64, help="Longest answer. [64]"),
        click.option("--no-stream", is_flag=True, help="Ask for whole answers (no TTFT then)."),
        click.option("--workers", type=int, default=1, help="Processes that send. [1]"),
        click.option("--seed", type=int, default=0, help="Makes a random schedule repeatable. [0]"),
        click.option("--timeout", type=float, default=120.0, help="Seconds for one call. [120]"),
        click.option("--name", default="", help="Name of the run. [made from the models]"),
        click.option("--max-cost", type=float, metavar="USD", help="Stop when it is spent."),
        click.option("--slo", multiple=True, metavar="EXPR", help="An objective such as "
                     "'ttft_p95<0.5' or 'error_rate<1%'; if one is missed, the exit code is 1."),
        click.option("--out", type=click.Path(path_type=Path), default=Path("reports"),
                     help="Folder of everything that is made. [reports]"),
    ]  # fmt: skip
    for option in reversed(options):
        command = option(command)
    return command


def plan_of(
    targets: tuple[str, ...], *, base_url: str | None, model: str | None, api_key_env: str,
    shape: str | None, rate: float | None, concurrency: int | None, duration: float | None,
    requests: int | None, prompt: str | None, prompts_file: Path | None,
    prompt_tokens: int | None, max_tokens: int, no_stream: bool, warmup: float, workers: int,
    seed: int, timeout: float, name: str, max_cost: float | None, slo: tuple[str, ...],
) -> "Plan":  # fmt: skip
    """The plan that the options describe. Raises PlanError, ConfigError."""
    from holymon.plan import Plan

    return Plan(
        targets=_targets(targets, base_url, model, api_key_env),
        load=_shape(shape, rate, concurrency),
        prompts=_prompts(prompt, prompts_file, prompt_tokens, max_tokens, not no_stream, seed),
        duration_s=30.0 if duration is None and requests is None else duration,
        requests=requests, warmup_s=warmup, max_cost=max_cost, timeout_s=timeout,
        first_byte_s=min(timeout, 60.0), workers=workers, seed=seed, name=name, slo=slo,
    )  # fmt: skip


def _targets(
    names: tuple[str, ...], base_url: str | None, model: str | None, api_key_env: str
) -> tuple["Target", ...]:
    from holymon.targets import one_off, target

    found = [target(name) for name in names]
    if base_url is not None:
        if not model:
            raise PlanError("--base-url needs --model: say which model to call there.")
        found.append(one_off(base_url, model, api_key_env))
    elif model or api_key_env:
        raise PlanError("--model and --api-key-env belong to --base-url: give that too.")
    if not found:
        raise PlanError("no target: name one (such as sim/fast), or give --base-url and --model.")
    return tuple(found)


def _shape(shape: str | None, rate: float | None, users: int | None) -> "Open | Closed":
    from holymon.plan import Closed, Open

    if shape == "closed" or (shape is None and users is not None):
        if rate is not None:
            raise PlanError("--rate does not go with a closed loop: its users set the pace.")
        return Closed(users=1 if users is None else users)
    if users is not None:
        raise PlanError(f"--concurrency does not go with --shape {shape}: use --rate.")
    rate = 5.0 if rate is None else rate
    return Open(rate=rate, arrivals="poisson" if shape == "poisson" else "constant")


def _prompts(
    prompt: str | None, file: Path | None, tokens: int | None, max_tokens: int, stream: bool,
    seed: int,
) -> "Prompts":  # fmt: skip
    from holymon.plan import Prompts
    from holymon.prompts import from_file, synthetic

    if sum(one is not None for one in (prompt, file, tokens)) > 1:
        raise PlanError("--prompt, --prompts and --prompt-tokens exclude each other: give one.")
    if file is not None:
        return Prompts(texts=from_file(file), max_tokens=max_tokens, stream=stream)
    if tokens is not None:
        texts = synthetic(tokens, seed=seed)
        return Prompts(texts=texts, tokens=tokens, max_tokens=max_tokens, stream=stream)
    if prompt is not None:
        return Prompts(texts=(prompt,), max_tokens=max_tokens, stream=stream)
    return Prompts(max_tokens=max_tokens, stream=stream)
