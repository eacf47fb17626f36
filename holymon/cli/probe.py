"""The command `holymon probe`: bills of stopped streams, lives of caches, roads to one model."""

import sys
from pathlib import Path
from typing import TYPE_CHECKING

import click

from holymon.cli.consent import agreed, over_http
from holymon.cli.options import JSON, OUT, Command
from holymon.cli.output import say, show
from holymon.cli.target_options import ONE_OFF, targets_of
from holymon.errors import ERRORS, CallError, PlanError, RunError
from holymon.load.interrupts import interruptible
from holymon.plan.checks import CHECKS
from holymon.structs import seconds_of

if TYPE_CHECKING:
    from holymon.figures.probes import CacheLife, StoppedStreams
    from holymon.figures.same_types import SameModel


@click.command(cls=Command)
@click.argument("kind", type=click.Choice(["cancelled", "cache", "same"]))
@click.argument("targets", nargs=-1, metavar="[TARGET]...")
@ONE_OFF
@click.option("--max-cost", type=float, required=True, metavar="USD",
              help="What it may cost; nothing is sent if it could cost more.")  # fmt: skip
@click.option("--streams", type=int, default=3, help="cancelled: so many are stopped.")
@click.option("--after", type=int, default=8, help="cancelled: events after which.")
@click.option("--max-tokens", type=int, default=200, help="cancelled: of a whole answer.")
@click.option("--pauses", default="2s,30s,1m,2m,4m,6m,10m", help="cache: after which to read a "
              "prefix again, each its own.")  # fmt: skip
@click.option("--prompt-tokens", type=int, default=2048, help="cache: of a prefix.")
@click.option("--checks", type=int, default=CHECKS, help="same: so many questions to each.")
@JSON
@OUT
def probe(
    kind: str, targets: tuple[str, ...], base_url: str | None, model: tuple[str, ...],
    api_key_env: str, endpoint: str, auth: str, header: tuple[str, ...], query: tuple[str, ...],
    insecure_http: bool, max_cost: float, streams: int, after: int, max_tokens: int, pauses: str,
    prompt_tokens: int, checks: int, as_json: bool, out: Path,
) -> None:  # fmt: skip
    """Ask TARGET in ways that show what it is; it costs money, as much as --max-cost at most.

    cancelled: streams are stopped on purpose; what to look for in the bill is printed, and
    `holymon reconcile` knows these calls. cache: prefixes are read again after growing pauses; how
    long the prompt cache lives, how much of a prompt comes from it and what that saves. same: two
    targets, what is in use and a candidate, answer the same questions: whether they serve one
    model, and what the second road adds. A model is called another one by mistake in 5 % of all
    probes at most.

    The exit code is 0, or 3 where nothing was shown; of same 0 for equal, 1 for different.
    """
    from holymon.experiments.same_model import probe_same
    from holymon.monitor.probe import probe_cache, probe_cancelled
    from holymon.plan.ways import with_ways

    called = over_http(targets_of(targets, base_url, model, api_key_env), insecure_http)
    if kind == "same" and len(called) != 2:
        raise PlanError("this probe takes two targets: what is in use, and a candidate.")
    if kind != "same" and len(called) != 1:
        raise PlanError("a probe takes one target.")
    chosen, *others = with_ways(called, endpoint, auth, header, query)
    agreed((chosen, *others))

    def tell(text: str) -> None:
        say(text, err=True)

    result: StoppedStreams | CacheLife | SameModel
    try:
        with interruptible():  # what is paid for is kept: its records are in the folder
            if kind == "cancelled":
                result = probe_cancelled(chosen, max_cost=max_cost, streams=streams, after=after,
                                         max_tokens=max_tokens, out=out, tell=tell)  # fmt: skip
            elif kind == "same":
                result = probe_same(chosen, others[0], max_cost=max_cost, number=checks, out=out,
                                    tell=tell)  # fmt: skip
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
