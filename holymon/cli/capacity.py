"""The command `holymon capacity`: options to a search, its levels as they come, the answer."""

import json
import sys
from pathlib import Path
from typing import TYPE_CHECKING

import click

from holymon.cli.options import plans_of
from holymon.load.interrupts import INTERRUPTED, interruptible
from holymon.safety import plain

if TYPE_CHECKING:
    from holymon.experiments.capacity import Capacity


# fmt: off
@click.command()
@click.argument("target", required=False, metavar="[TARGET]")
@click.option("--slo", multiple=True, required=True, metavar="EXPR",
              help="An objective that is to be met, such as 'ttft_p95<1' or 'error_rate<1%'.")
@click.option("--from", "start", type=float, default=1.0, help="First rate, calls/s. [1]")
@click.option("--to", "most", type=float, default=1000.0, help="Highest rate, calls/s. [1000]")
@click.option("--duration", type=float, default=10.0, help="Seconds for each rate; longer where "
              "the objectives need more calls. [10]")
@click.option("--precision", type=float, default=0.1, help="How close the highest rate met and "
              "the lowest missed are to be. [0.1]")
@click.option("--budget", type=float, default=600.0, help="Seconds for all rates. [600]")
@click.option("--max-calls", type=int, help="Never make more calls than that.")
@click.option("--max-cost", type=float, metavar="USD", help="Never spend more than this.")
@click.option("--arrivals", type=click.Choice(["poisson", "constant"]), default="poisson",
              help="How calls arrive. [poisson]")
@click.option("--base-url", help="Root of an API that is in no targets.toml (with --model).")
@click.option("--model", help="Its model.")
@click.option("--api-key-env", default="", metavar="NAME", help="Variable that holds its key.")
@click.option("--prompt", help="What to ask.")
@click.option("--prompts", "prompts_file", type=click.Path(path_type=Path),
              help="JSONL file of what to ask in turn.")
@click.option("--prompt-tokens", type=int, help="Ask synthetic prompts of about so many tokens.")
@click.option("--max-tokens", type=int, default=64, help="Longest answer. [64]")
@click.option("--no-stream", is_flag=True, help="Ask for whole answers (no TTFT then).")
@click.option("--workers", type=int, default=1, help="Processes that send. [1]")
@click.option("--seed", type=int, default=0, help="Makes the schedules repeatable. [0]")
@click.option("--timeout", type=float, default=120.0, help="Seconds for one call. [120]")
@click.option("--name", default="capacity", help="Name of its runs. [capacity]")
@click.option("--json", "as_json", is_flag=True, help="Print one JSON object.")
@click.option("--out", type=click.Path(path_type=Path), default=Path("reports"))
def capacity(
    target: str | None, slo: tuple[str, ...], start: float, most: float, duration: float,
    precision: float, budget: float, max_calls: int | None, max_cost: float | None,
    arrivals: str, base_url: str | None, model: str | None, api_key_env: str,
    prompt: str | None, prompts_file: Path | None,
    prompt_tokens: int | None, max_tokens: int, no_stream: bool, workers: int, seed: int,
    timeout: float, name: str, as_json: bool, out: Path,
) -> None:
    """Find the highest rate at which TARGET still meets all objectives.

    The exit code is 0 if a rate was met, 1 if none was, 3 if no measurement was valid.
    """
    from holymon.experiments import capacity_search
    from holymon.records import run_folder

    (plan,) = plans_of(
        (target,) if target else (), base_url=base_url, model=model, api_key_env=api_key_env,
        shape=None, arrivals="", rate=f"{start:g}", concurrency=None, duration=duration,
        requests=None, prompt=prompt, prompts_file=prompts_file, prompt_tokens=prompt_tokens,
        max_tokens=max_tokens, no_stream=no_stream, warmup=0.0, workers=workers, seed=seed,
        timeout=timeout, name=name, max_cost=None, slo=slo,
    )
    with interruptible():
        found = capacity_search.capacity(
            plan, start=start, most=most, seconds=duration, precision=precision, budget_s=budget,
            max_calls=max_calls, max_cost=max_cost, arrivals=arrivals, out=out, seen=_said,
        )
    if as_json:
        click.echo(json.dumps(run_folder.finite(found.to_dict()), indent=1))
    else:
        click.echo("\n".join(plain(line) for line in found.lines))
    if found.ended == "interrupted":
        sys.exit(INTERRUPTED)
    sys.exit(0 if found.best else 1 if found.limit else 3)


# fmt: on


def _said(found: "Capacity") -> None:
    if sys.stderr.isatty():
        click.echo(found.lines[-1], err=True)
