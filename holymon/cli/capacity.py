"""The command `holymon capacity`: options to a search, its levels as they come, the answer."""

import sys
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final

import click

from holymon.cli.asked_options import PROMPTS
from holymon.cli.consent import agreed
from holymon.cli.options import JSON, OUT, SECONDS, SENDING, SLO, Command, plans_of
from holymon.cli.output import note, show
from holymon.cli.target_options import ONE_OFF
from holymon.errors import PlanError
from holymon.load.interrupts import INTERRUPTED, interruptible

if TYPE_CHECKING:
    from collections.abc import Sequence

    from holymon.experiments.bounds import Bounds
    from holymon.experiments.capacity import Capacity
    from holymon.experiments.load_level import LoadLevel

LONGER: Final = 1.2
"""So many times as long as was expected is said anew."""


@click.command(cls=Command)
@click.argument("target", required=False, metavar="[TARGET]")
@ONE_OFF
@click.option("--from", "start", type=float, default=1.0, help="First rate, calls/s.")
@click.option("--to", "most", type=float, default=1000.0, help="Highest rate, calls/s.")
@click.option("--duration", type=SECONDS, default=10.0,
              help="Seconds for each rate, at least; far from the limit a quarter.")  # fmt: skip
@click.option("--arrivals", type=click.Choice(["poisson", "constant"]), default="poisson",
              help="How calls arrive.")  # fmt: skip
@click.option("--precision", type=float, default=0.1,
              help="How close the highest rate met and the lowest missed are to be.")  # fmt: skip
@click.option("--budget", type=SECONDS, help="Seconds for all rates, which being certain may take "
              "up. [default: as long again as finding the limit takes, 600 at most]")  # fmt: skip
@click.option("--max-calls", type=int, help="Never make more calls than that.")
@PROMPTS
@SENDING
@click.option("--name", default="capacity", help="Name of its runs.")
@SLO
@OUT
@JSON
def capacity(
    target: str | None, start: float, most: float, duration: float, arrivals: str,
    precision: float, budget: float | None, max_calls: int | None, max_cost: float | None,
    out: Path, as_json: bool, **options: Any,
) -> None:  # fmt: skip
    """Find the highest rate at which TARGET still meets all objectives (--slo, at least one).

    A call that failed counts as one that took for ever; without an objective of yours on the error
    rate, 'error_rate<=1%' is added.

    The exit code is 0 if a rate was met, 1 if none was, 3 if no measurement was valid.
    """
    from holymon.experiments import capacity_search
    from holymon.experiments.bounds import Bounds, time_of

    if not options["slo"]:
        raise PlanError("capacity needs an objective to meet: give --slo, such as 'ttft_p95<1'.")
    targets = (target,) if target else ()
    (plan,) = plans_of(targets, rate=f"{start:g}", duration=duration, **options)
    agreed(plan.targets)
    whole_s, again = time_of(budget)
    bounds = Bounds(
        plan.slo, start=start, most=most, seconds=duration, budget_s=whole_s, again=again
    )
    note(_expected(bounds))
    with interruptible():
        result = capacity_search.capacity(
            plan, start=start, most=most, seconds=duration, precision=precision, budget_s=budget,
            max_calls=max_calls, max_cost=max_cost, arrivals=arrivals, out=out,
            seen=lambda result: _tell(result, bounds),
        )  # fmt: skip
    show(result.to_dict, result.table.text, as_json=as_json)
    if result.ended == "interrupted":
        sys.exit(INTERRUPTED)
    sys.exit(0 if result.best else 1 if result.limit else 3)


def _tell(result: "Capacity", bounds: "Bounds") -> None:
    """What is known after a level; and how long it will take, where answers are slow."""
    note(result.so_far)
    # The first level makes a call more before its load: the second tells what others will take.
    if len(result.levels) == 2 and bounds.usual_s(result.levels) > LONGER * bounds.usual_s():
        note(f"answers take long: {_expected(bounds, result.levels)}")


def _expected(bounds: "Bounds", levels: "Sequence[LoadLevel]" = ()) -> str:
    """What a search will take, before it begins or by its first levels."""
    find, given = bounds.usual_s(levels), bounds.given_s
    more = f"{bounds.certainty_s(find):.0f} s more" if given is None else f"all of {given:g} s"
    return (
        f"it takes about {find:.0f} s to find a limit, shorter with --from near it, and up to "
        f"{more} to be certain of it (--budget). Ctrl-C ends it and shows what was found."
    )
