"""The command `holymon migrate`: what is in use and candidates to one run, a decision, a page."""

import sys
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final

import click

from holymon.cli.consent import agreed
from holymon.cli.options import JSON, LANG, LOAD, RUN, Command, given, plan_of, share_in
from holymon.cli.output import say, show
from holymon.cli.progress import measured_with_bar
from holymon.cli.report import require_whole
from holymon.cli.target_options import composed
from holymon.errors import PlanError
from holymon.language.said import speaking
from holymon.load.interrupts import INTERRUPTED, interruptible
from holymon.plan.checks import CHECKS, checks_in
from holymon.safety import plain

if TYPE_CHECKING:
    from holymon.load.run import Run

NOTEBOOK: Final = "report_migrate"
OF_A_RUN: Final = {
    "--calls-per-month", "--min-saving", "--one-off", "--work", "--hourly", "--fx", "--fee",
    "--min-topup", "--credit-expires", "--run", "--slo", "--lang", "--out", "--json", "--trust",
}  # fmt: skip
"""What may be said of a run that is there."""


class _Share(click.ParamType[float]):
    """A share: 10% or 0.1."""

    name = "share"

    def convert(
        self, value: str | float, param: click.Parameter | None, ctx: click.Context | None
    ) -> float:
        """The share, from 0 to 1; what is none is a wrong usage."""
        if not isinstance(value, str):
            return value
        try:
            share = share_in(value)
        except PlanError:
            share = -1.0
        if not 0 <= share <= 1:
            self.fail(f"{plain(value)!r} is no share: write 10% or 0.1.", param, ctx)
        return share


class _Days(click.ParamType[float]):
    """Days: 30 or 30d."""

    name = "days"

    def convert(
        self, value: str | float, param: click.Parameter | None, ctx: click.Context | None
    ) -> float:
        """The days; what is no number is a wrong usage."""
        text: Any = value.removesuffix("d") if isinstance(value, str) else value
        return float(click.FLOAT.convert(text, param, ctx))


class _OfTarget(click.ParamType[tuple[str, float]]):
    """A value of all candidates, or of the target that stands before it: [TARGET=]VALUE."""

    name = "value"

    def __init__(self, kind: click.ParamType[float]) -> None:
        """A value of a `kind`."""
        self._kind = kind

    def convert(
        self, value: Any, param: click.Parameter | None, ctx: click.Context | None
    ) -> tuple[str, float]:
        """The target, empty for all candidates, and its value."""
        if isinstance(value, tuple):
            return value
        target, _, number = str(value).rpartition("=")
        return target, self._kind.convert(number, param, ctx)


TERMS: Final = composed(
    click.option("--calls-per-month", type=click.FLOAT, metavar="N", required=True,
                 help="Calls that have to succeed each month."),
    click.option("--min-saving", type=_Share(), default="10%", metavar="SHARE",
                 help="The least saving that is worth it."),
    click.option("--one-off", type=click.FLOAT, metavar="USD", help="What the work of moving "
                 "costs. [default: 0]"),
    click.option("--work", type=click.FLOAT, metavar="HOURS", help="The same in hours, with "
                 "--hourly."),
    click.option("--hourly", type=click.FLOAT, metavar="USD", help="What an hour of that costs."),
    click.option("--fx", type=_OfTarget(click.FLOAT), multiple=True, metavar="[TARGET=]USD",
                 help="What one unit of a price list costs you in USD: 0.14 where prices are in "
                 "CNY, or a dollar of credit is sold for a yuan. Of all candidates, or of one."),
    click.option("--fee", type=_OfTarget(_Share()), multiple=True, metavar="[TARGET=]SHARE",
                 help="What is added to each top-up, such as 4%."),
    click.option("--min-topup", type=_OfTarget(click.FLOAT), multiple=True,
                 metavar="[TARGET=]AMOUNT", help="The least that is topped up at once, in units "
                 "of the price list."),
    click.option("--checks", type=click.INT, default=CHECKS, metavar="N",
                 help="Questions with known answers that each target is asked after the load, to "
                 "tell whether a candidate serves the same model: mostly of one token. 0 for "
                 "none."),
    click.option("--credit-expires", "credit_days", type=_OfTarget(_Days()), multiple=True,
                 metavar="[TARGET=]DAYS", help="After so many days what is unused is lost."),
)  # fmt: skip


@click.command(cls=Command)
@click.argument("targets", nargs=-1, metavar="[BASELINE CANDIDATE...]")
@LOAD
@TERMS
@LANG
@RUN
@JSON
@click.pass_context
def migrate(
    ctx: click.Context, /, targets: tuple[str, ...], wanted: str | None, as_json: bool, out: Path,
    lang: str, calls_per_month: float, min_saving: float, one_off: float | None, work: float | None,
    hourly: float | None, fx: tuple[tuple[str, float], ...], fee: tuple[tuple[str, float], ...],
    min_topup: tuple[tuple[str, float], ...], credit_days: tuple[tuple[str, float], ...],
    checks: int, **options: Any,
) -> None:  # fmt: skip
    """Decide whether to move from BASELINE, which is in use, to a CANDIDATE: one to five of them.

    All are called in the same time with the same requests: your own, with --prompts or --trace;
    400 calls of each unless --requests or --duration say otherwise. Of a run that is there, with
    --run, the first target is the baseline. Without an objective on the error rate,
    'error_rate<=1%' is added. A report in HTML is made beside the run. After the load each target
    is asked questions with known answers (--checks), which tell whether a candidate serves the same
    model: about 10,000 tokens of input and 2,000 of output each.

    The exit code is 0 for go, 1 for no-go, 3 where it is not shown or the measurement is invalid.
    """
    ctx.with_resource(speaking(lang))
    from holymon.experiments import migrate as migration
    from holymon.figures.migration import Stated
    from holymon.report.report import write_report

    move = Stated(calls_per_month=calls_per_month, min_saving=min_saving,
                one_off=_one_off(one_off, work, hourly))  # fmt: skip
    bought = {"fx": fx, "fee": fee, "min_topup": min_topup, "credit_days": credit_days}
    if wanted is None:
        run, interrupted = _measured(targets, out, given(ctx), bought, checks, options)
    else:
        run, interrupted = _there(targets, wanted, out, ctx), False
    terms = _by_target(run.plan, bought)
    made = migration.sheet_of(
        run, move, migration.terms_of(run.plan, **terms), options["slo"]
    )  # fmt: skip
    stated = {"calls_per_month": calls_per_month, "one_off": move.one_off,
              "min_saving": min_saving, "slo": [*options["slo"]], "terms": terms}  # fmt: skip
    report = write_report(NOTEBOOK, run=run, parameters=stated, lang=lang)
    show(lambda: {**made.to_dict(), "report": str(report.html)},
         lambda: f"{made!r}\n{report.html}", as_json=as_json)  # fmt: skip
    require_whole(report)
    sys.exit(INTERRUPTED if interrupted else made.exit_code)


def _one_off(one_off: float | None, work: float | None, hourly: float | None) -> float:
    """What the work of moving costs in USD. Raises PlanError."""
    if (work is None) != (hourly is None):
        raise PlanError("--work and --hourly belong together: give both, or --one-off USD.")
    if one_off is not None and work is not None:
        raise PlanError("--one-off and --work say the same: give one of them.")
    return (one_off or 0.0) + (work or 0.0) * (hourly or 0.0)


def _measured(
    targets: tuple[str, ...], out: Path, written: set[str],
    bought: dict[str, tuple[tuple[str, float], ...]], checks: int, options: dict[str, Any],
) -> "tuple[Run, bool]":  # fmt: skip
    """All of them in one run, and whether it was interrupted. Raises PlanError, ConfigError."""
    from holymon.experiments import migrate as migration
    from holymon.experiments.same_model import check_run

    checks_in(checks)
    if not written & {"--duration", "--requests", "--trace", "--shape"}:
        options = {**options, "requests": migration.CALLS}
    plan = plan_of(targets, "a decision", **{**options, "name": options["name"] or "migrate"})
    migration.check_plan(plan)
    migration.terms_of(plan, **_by_target(plan, bought))  # before a call is paid for
    agreed(plan.targets)
    run, interrupted = measured_with_bar(plan, out)
    if checks and not interrupted:
        with interruptible():
            check_run(run, checks, tell=lambda text: say(text, err=True))
    return run, interrupted


def _there(targets: tuple[str, ...], wanted: str, out: Path, ctx: click.Context) -> "Run":
    """The run that was named. Raises PlanError for a load beside it, RunError if there is none."""
    from holymon.load.run import attach

    for argument in (*targets, *sorted(given(ctx) - OF_A_RUN)):
        raise PlanError(f"{plain(argument)} does not go with --run: that load is over.")
    return attach(wanted, out=out)


def _by_target(
    plan: Any, bought: dict[str, tuple[tuple[str, float], ...]]
) -> dict[str, dict[str, float]]:  # fmt: skip
    """By the name of a term, what it is of each target."""
    candidates = [target.name for target in plan.targets][1:]
    return {
        name: {each: number for target, number in values for each in ([target] if target
                                                                      else candidates)}
        for name, values in bought.items() if values
    }  # fmt: skip
