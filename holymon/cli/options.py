"""The options that make a plan, shared by the commands that measure."""

from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING, Any, TypeVar

import click
from click.core import ParameterSource

from holymon.errors import PlanError
from holymon.safety import plain

if TYPE_CHECKING:
    from holymon.plan.plan import Closed, Open, Plan, Prompts, Target

_Number = TypeVar("_Number", int, float)


def load_options(command: Callable[..., Any]) -> Callable[..., Any]:
    """The options that make a plan, shared by `load` and `report`."""
    options = [
        click.option("--base-url", help="Root of an OpenAI-compatible API, for a target that is "
                     "in no targets.toml (with --model)."),
        click.option("--model", help="Its model."),
        click.option("--api-key-env", default="", metavar="NAME",
                     help="Name of the environment variable that holds its key."),
        click.option("--shape", help="When calls are sent: constant, poisson, gamma:CV, "
                     "ramp:FROM,TO, steps:R1,R2,..., spike:BASE,PEAK, sine:MEAN,AMPLITUDE[,PERIOD]"
                     ", replay:FILE[,SPEED], or closed: each user after the last answer. "
                     "[constant; closed with --concurrency]"),
        click.option("--arrivals", default="", help="How calls spread around a shape: constant, "
                     "poisson, gamma:CV. [constant]"),
        click.option("--rate", help="Calls per second for each target; several, as 5,10,20, are a "
                     "sweep: one run after another. [5]"),
        click.option("--concurrency", help="Users of a closed loop for each target; several, as "
                     "1,4,16, are a sweep."),
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
        click.option("--max-cost", type=float, metavar="USD", help="Stop before more is spent."),
        click.option("--slo", multiple=True, metavar="EXPR", help="An objective such as "
                     "'ttft_p95<0.5' or 'error_rate<1%'; if one is missed, the exit code is 1."),
        click.option("--out", type=click.Path(path_type=Path), default=Path("reports"),
                     help="Folder of everything that is made. [reports]"),
    ]  # fmt: skip
    for option in reversed(options):
        command = option(command)
    return command


def given(ctx: click.Context) -> set[str]:
    """The options that were written in the command, by their names there."""
    return {
        option.opts[0]
        for option in ctx.command.params
        if isinstance(option, click.Option)
        and ctx.get_parameter_source(option.name or "") is ParameterSource.COMMANDLINE
    }


def plans_of(
    targets: tuple[str, ...], *, base_url: str | None, model: str | None, api_key_env: str,
    shape: str | None, arrivals: str, rate: str | None, concurrency: str | None,
    duration: float | None, requests: int | None, prompt: str | None, prompts_file: Path | None,
    prompt_tokens: int | None, max_tokens: int, no_stream: bool, warmup: float, workers: int,
    seed: int, timeout: float, name: str, max_cost: float | None, slo: tuple[str, ...],
) -> "tuple[Plan, ...]":  # fmt: skip
    """The plan that the options describe, or those of a sweep. Raises PlanError, ConfigError."""
    from holymon.plan.plan import Plan

    recorded = shape is not None and shape.startswith("replay:")
    if duration is None and requests is None and not recorded:
        duration = 30.0
    loads = _loads(shape, arrivals, rate, concurrency, duration)
    plan = Plan(
        targets=_targets(targets, base_url, model, api_key_env), load=loads[0],
        prompts=_prompts(prompt, prompts_file, prompt_tokens, max_tokens, not no_stream, seed),
        duration_s=duration, requests=requests, warmup_s=warmup, max_cost=max_cost,
        timeout_s=timeout, first_byte_s=min(timeout, 60.0), workers=workers, seed=seed, name=name,
        slo=slo,
    )  # fmt: skip
    return plan.sweep(*loads)


def _targets(
    names: tuple[str, ...], base_url: str | None, model: str | None, api_key_env: str
) -> tuple["Target", ...]:
    from holymon.plan.targets import one_off, target

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


def _loads(
    shape: str | None, arrivals: str, rate: str | None, users: str | None, seconds: float | None
) -> "list[Open | Closed]":
    from holymon.plan import shapes
    from holymon.plan.plan import Closed, Open
    from holymon.plan.replay_file import replay

    if shape == "closed" or (shape is None and users is not None):
        if rate is not None or arrivals:
            option = "--rate" if rate is not None else "--arrivals"
            raise PlanError(f"{option} does not go with a closed loop: its users set the pace.")
        return [
            Closed(users=n) for n in _several("1" if users is None else users, "concurrency", int)
        ]
    if users is not None:
        raise PlanError(f"--concurrency does not go with --shape {plain(str(shape))}: use --rate.")
    said = "constant" if shape is None else shape
    kind, _, given = said.partition(":")
    paced = kind in {"constant", "poisson", "gamma"}
    if rate is not None and not paced:
        raise PlanError(f"--rate does not go with --shape {plain(kind)}, which has its own rates.")
    if arrivals and kind in {"poisson", "gamma", "replay"}:
        raise PlanError(f"--arrivals does not go with --shape {kind}, which has its own.")
    if kind == "replay":
        file, _, speed = given.rpartition(",") if "," in given else (given, "", "1")
        return [Open(replay(Path(file), speed=_several(speed, "speed", float)[0]))]
    rates = _several("5" if rate is None else rate, "rate", float)
    return [Open(shapes.parse(said, rate=r, seconds=seconds, arrivals=arrivals)) for r in rates]


def _several(text: str, field: str, kind: type[_Number]) -> list[_Number]:
    try:
        return [kind(one) for one in text.split(",")]
    except ValueError:
        raise PlanError(
            f"{field} {plain(text)!r} is not a number, nor several with commas between."
        ) from None


def _prompts(
    prompt: str | None, file: Path | None, tokens: int | None, max_tokens: int, stream: bool,
    seed: int,
) -> "Prompts":  # fmt: skip
    from holymon.plan.plan import Prompts
    from holymon.plan.prompts import from_file, synthetic

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
