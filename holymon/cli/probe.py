"""The command `holymon probe`: what is billed of stopped streams, how long a prompt cache lives."""

import sys
from pathlib import Path
from typing import TYPE_CHECKING

import click

from holymon.cli.consent import agreed, over_http
from holymon.cli.options import JSON, OUT, Command
from holymon.cli.output import say, show
from holymon.cli.target_options import ONE_OFF, targets_of
from holymon.errors import ERRORS, CallError, PlanError, RunError
from holymon.structs import seconds_of

if TYPE_CHECKING:
    from holymon.figures.probes import CacheLife, StoppedStreams


@click.command(cls=Command)
@click.argument("kind", type=click.Choice(["cancelled", "cache"]))
@click.argument("target", required=False, metavar="[TARGET]")
@ONE_OFF
@click.option("--max-cost", type=float, required=True, metavar="USD",
              help="What it may cost; nothing is sent if it could cost more.")  # fmt: skip
@click.option("--streams", type=int, default=3, help="cancelled: so many are stopped.")
@click.option("--after", type=int, default=8, help="cancelled: events after which.")
@click.option("--max-tokens", type=int, default=200, help="cancelled: of a whole answer.")
@click.option("--pauses", default="2s,30s,1m,2m,4m,6m,10m", help="cache: after which to read a "
              "prefix again, each its own.")  # fmt: skip
@click.option("--prompt-tokens", type=int, default=2048, help="cache: of a prefix.")
@JSON
@OUT
def probe(
    kind: str, target: str | None, base_url: str | None, model: tuple[str, ...], api_key_env: str,
    endpoint: str, auth: str, header: tuple[str, ...], query: tuple[str, ...],
    insecure_http: bool, max_cost: float, streams: int, after: int, max_tokens: int, pauses: str,
    prompt_tokens: int, as_json: bool, out: Path,
) -> None:  # fmt: skip
    """Ask TARGET in ways that show how it bills; it costs money, as much as --max-cost at most.

    cancelled: streams are stopped on purpose; what to look for in the bill is printed, and
    `holymon reconcile` knows these calls. cache: prefixes are read again after growing pauses; how
    long the prompt cache lives, how much of a prompt comes from it and what that saves.

    The exit code is 0, or 3 where nothing was shown.
    """
    from holymon.monitor.probe import probe_cache, probe_cancelled
    from holymon.plan.ways import with_ways

    names = (target,) if target else ()
    called = over_http(targets_of(names, base_url, model, api_key_env), insecure_http)
    if len(called) != 1:
        raise PlanError("a probe takes one target.")
    (chosen,) = with_ways(called, endpoint, auth, header, query)
    agreed((chosen,))

    def tell(text: str) -> None:
        say(text, err=True)

    result: StoppedStreams | CacheLife
    try:
        if kind == "cancelled":
            result = probe_cancelled(chosen, max_cost=max_cost, streams=streams, after=after,
                                     max_tokens=max_tokens, out=out, tell=tell)  # fmt: skip
        else:
            pauses_s = [seconds_of(part) for part in pauses.split(",")]
            result = probe_cache(chosen, max_cost=max_cost, pauses_s=pauses_s,
                                 prompt_tokens=prompt_tokens, out=out, tell=tell)  # fmt: skip
    except CallError as error:
        if ERRORS[error.error_type].blame == "caller":
            raise
        raise RunError(f"the probe could not finish: {error}") from None
    show(result.to_dict, result.table.text, as_json=as_json)
    sys.exit(result.exit_code)
