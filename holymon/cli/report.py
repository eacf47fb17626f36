"""The command `holymon report`: a load or a run, and a notebook, to a page of HTML."""

import json
import sys
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final

import click

from holymon.cli.consent import agreed
from holymon.cli.options import LANG, LOAD, PATH, RUN, Command, given, plan_of
from holymon.cli.output import say
from holymon.cli.progress import measured_with_bar
from holymon.cli.sharing import SHARING, followed, sharing
from holymon.errors import PlanError, RunError
from holymon.language.said import shown, speaking
from holymon.load.interrupts import INTERRUPTED, interruptible
from holymon.safety import plain, redact

if TYPE_CHECKING:
    from holymon.load.run import Run
    from holymon.plan.plan import Plan
    from holymon.report.report import Report

OF_A_LOAD: Final = {
    "run": "use --run", "targets": "name all of them", "rate": "use --rate",
    "duration_s": "use --duration", "slo": "use --slo", "prompts": "use --prompts",
    "baseline": "use --baseline", "lang": "use --lang",
}  # fmt: skip
"""Parameters of notebooks that the command's own options stand for."""

NOT_OF_A_LOAD: Final = frozenset(
    "-p --import-from --baseline --fail-on-change --lang --run --out --trust --insecure-http "
    "--summary --pdf --notify --reports-url".split()
)
"""Options that a load has no use for, or that are of use without one."""


@click.command(cls=Command)
@click.argument("arguments", nargs=-1, metavar="[NOTEBOOK] [TARGET]...")
@LOAD
@click.option("-p", "--parameter", "parameters", nargs=2, multiple=True, metavar="NAME VALUE",
              help="A parameter of the notebook; VALUE is read as JSON if it is that, and of a "
              "list as A,B.")  # fmt: skip
@click.option("--import-from", type=PATH, metavar="DIR", help="A folder of modules that the "
              "notebook imports; none are taken from the current one.")  # fmt: skip
@click.option(
    "--baseline",
    metavar="last|RUN|7d|none",
    help="What it is compared with: the last "
    "run, one by its id or name, or those of so long ago. [default: the notebook's, 7d]",
)
@click.option("--fail-on-change", is_flag=True, help="Exit with 1 if it is worse than its "
              "baseline.")  # fmt: skip
@LANG
@RUN
@SHARING
@click.pass_context
def report(
    ctx: click.Context, /, arguments: tuple[str, ...], parameters: tuple[tuple[str, str], ...],
    import_from: Path | None, baseline: str | None, fail_on_change: bool, lang: str,
    wanted: str | None, out: Path, summaries: tuple[Path, ...], pdf: bool,
    notify: tuple[str, ...], reports_url: str | None, **options: Any,
) -> None:  # fmt: skip
    """Measure TARGETs and make a self-contained HTML report from NOTEBOOK.

    Without NOTEBOOK it is report_health. report_compare tells which TARGETs are better than the
    first; without any, report_trend shows how the runs so far went (-p name NAME), report_capacity
    finds the highest rate of -p target TARGET, and report_move tells how a move of traffic went (-p
    route FILE). A notebook of your own without TARGET measures what it likes.
    """
    ctx.with_resource(speaking(lang))
    ctx.with_resource(interruptible())
    from holymon.catalogue.news import check_baseline
    from holymon.report import notebooks
    from holymon.report import report as reports

    shared = sharing(out, summaries, pdf, notify, reports_url,
                     insecure_http=options["insecure_http"])  # fmt: skip
    notebook, targets = split(arguments)
    values = {name: _value(text) for name, text in parameters}
    run, interrupted = None, False
    measures = bool(targets or options["base_url"] or notebook == reports.DEFAULT)
    of_a_run = {"run": ""} if measures or wanted is not None else {}
    if baseline is not None:
        check_baseline(baseline, out)
    against = {} if baseline is None else {"baseline": baseline}
    known = notebooks.check_parameters(notebook, {**values, **of_a_run, **against})
    values |= _lists(values, known)
    if fail_on_change and not (of_a_run and "baseline" in known):
        raise PlanError(f"--fail-on-change: {plain(notebook)} compares no run with others.")
    load = given(ctx) - NOT_OF_A_LOAD
    if wanted is not None:
        for argument in (*targets, *sorted(load)):
            raise PlanError(f"{plain(argument)} does not go with --run: that load is over.")
        run = _ended(wanted, out)
    elif not measures:
        for option in sorted(load - {"--name"}):
            raise PlanError(f"{option} needs a TARGET: {plain(notebook)} measures by itself.")
    else:
        plan = _plan(targets, values, options)
        with followed(shared, plan.run_name):
            agreed(plan.targets)
            with notebooks.prepared():
                run, interrupted = measured_with_bar(plan, out)
    title = options["name"] or notebooks.title(notebooks.find_notebook(notebook))
    with followed(shared, run.id.partition("/")[0] if run else title):
        made = reports.write_report(
            notebook, run=run, parameters={**values, **against}, out=out,
            name=options["name"] or None, import_from=import_from, lang=lang,
        )  # fmt: skip
    say(made.html)
    lost = shared.of(made, interrupted=interrupted)
    _tell(made, run)
    worse = fail_on_change and made.health is not None and made.health.news.worse
    code = (run.exit_code if run else 0) or int(worse) or 4 * lost
    sys.exit(INTERRUPTED if interrupted else code)


def _ended(wanted: str, out: Path) -> "Run":
    """A run of which the kernel, which draws it, is to read the records."""
    from holymon.load import fetch
    from holymon.load.gathered import gathered
    from holymon.load.run import Run
    from holymon.records.spool import folder_of

    return Run(gathered(fetch.find(folder_of(out), wanted)), later=True)


def _plan(targets: tuple[str, ...], values: dict[str, Any], options: dict[str, Any]) -> "Plan":
    for name in values.keys() & OF_A_LOAD.keys():
        raise PlanError(f"-p {name} does not go with a TARGET: {OF_A_LOAD[name]}.")
    if not targets and not options["base_url"]:
        targets = ("sim/fast",)
    return plan_of(targets, "a report", **options)


def _tell(made: "Report", run: "Run | None") -> None:
    """Say what was found; raise RunError for a report that is not complete."""
    first = made.health
    require_whole(made, *([first.line, *(each.text for each in first.news.changes)] if first
                          else ()))  # fmt: skip
    for sentence in _findings(run) if run is not None else ():
        say(sentence, err=True)


def require_whole(made: "Report", *more: str) -> None:
    """Say what a report notes, and `more`; raise RunError for one that is not complete."""
    for sentence in (*made.notes, *more):
        say(redact(plain(shown(sentence))), err=True)
    if made.status != "ok":
        raise RunError(f"the report is not complete, {made.status}: {made.error}")


def _findings(run: "Run") -> list[str]:
    judged = run.verdict()
    lines = [reason.line for reason in judged.reasons]
    several = len(run.plan.targets) > 1
    goals = [f"{check.target}: " * several + shown(check.text) for check in judged.checks]
    return [redact(plain(shown(line))) for line in [*lines, *goals]]


def split(arguments: tuple[str, ...]) -> tuple[str, tuple[str, ...]]:
    """The notebook (by default report_health) and the targets."""
    from holymon.report.report import DEFAULT

    if arguments and (arguments[0].endswith(".ipynb") or "/" not in arguments[0]):
        return arguments[0], arguments[1:]
    return DEFAULT, arguments


def _lists(values: dict[str, Any], known: dict[str, Any]) -> dict[str, list[str]]:
    """Those values that were given as A,B for a parameter that is a list."""
    return {
        name: [part.strip() for part in text.split(",")] for name, text in values.items()
        if isinstance(text, str) and known[name]["inferred_type_name"] == "list"
    }  # fmt: skip


def _value(text: str) -> Any:
    try:
        return json.loads(text)
    except ValueError:
        return text
