"""The command `holymon`: options to plans, runs to tables, verdicts to exit codes.

0 fine; 1 an objective is missed; 2 bad usage or configuration; 3 the measurement is invalid;
4 the run or the report could not finish; 130 interrupted, and what was measured is kept.
"""

import contextlib
import json
import os
import sys
from pathlib import Path
from typing import Any, NoReturn

import click

from holymon.cli.capacity import capacity
from holymon.cli.options import load_options, plans_of
from holymon.cli.progress import measured_with_bar
from holymon.cli.report import report
from holymon.cli.services import init, metrics
from holymon.errors import HolymonError, PlanError, RunError
from holymon.load.interrupts import INTERRUPTED, interruptible
from holymon.safety import plain, redact


class _Commands(click.Group):
    """Turns whatever holymon raises on purpose into one sentence and an exit code."""

    def invoke(self, ctx: click.Context) -> Any:
        try:
            return super().invoke(ctx)
        except HolymonError as error:
            _fail(str(error), 4 if isinstance(error, RunError) else 2)
        except OSError as error:
            _give_up_output()
            if isinstance(error, BrokenPipeError):  # as in `holymon runs | head -1`
                sys.exit(4)
            where = f" ({error.filename})" if error.filename else ""
            _fail(f"{error.strerror or type(error).__name__}{where}.", 4)
        except KeyboardInterrupt:
            _fail("interrupted.", INTERRUPTED)


def _give_up_output() -> None:
    """Send what waits for standard output nowhere: it may be what failed, and would fail again."""
    with contextlib.suppress(OSError, ValueError):
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())


def _fail(sentence: str, code: int) -> NoReturn:
    click.echo(f"holymon: {redact(plain(sentence))}", err=True)
    sys.exit(code)


@click.group(cls=_Commands, context_settings={"help_option_names": ["-h", "--help"]})
@click.version_option(package_name="holymon")
def main() -> None:
    """Measure and monitor OpenAI-compatible AI APIs: latency, TTFT, errors, cost.

    Try `holymon load sim/fast`: it needs no key, the API is simulated on this machine.
    """


main.add_command(capacity)
main.add_command(report)


@main.command()
@click.argument("targets", nargs=-1, metavar="[TARGET]...")
@load_options
@click.option("--json", "as_json", is_flag=True, help="Print one JSON object.")
def load(targets: tuple[str, ...], as_json: bool, out: Path, **options: Any) -> None:
    """Measure TARGETs (written provider/model) and print their figures."""
    from holymon.records import run_folder
    from holymon.report import text as tables

    measured, interrupted = [], False
    for plan in plans_of(targets, **options):
        if not interrupted:
            run, interrupted = measured_with_bar(plan, out)
            measured.append(run)
    found = [run.to_dict() for run in measured] if as_json else []
    if as_json:
        printed = found[0] if len(found) == 1 else {"sweep": found}
        click.echo(json.dumps(run_folder.finite(printed), indent=1))
    elif len(measured) == 1:
        click.echo(tables.text(measured[0]))
    else:
        click.echo(tables.sweep(measured))
    sys.exit(INTERRUPTED if interrupted else max(run.exit_code for run in measured))


@main.command()
@click.argument("runs", nargs=-1, required=True, metavar="RUN [RUN]")
@click.option(
    "--target",
    "targets",
    multiple=True,
    metavar="PROVIDER/MODEL",
    help="Of several targets, that of A and that of B (give it twice).",
)
@click.option(
    "--effect", type=float, default=0.05, help="The smallest difference that counts. [0.05]"
)
@click.option("--json", "as_json", is_flag=True, help="Print one JSON object.")
@click.option("--out", type=click.Path(path_type=Path), default=Path("reports"))
def compare(
    runs: tuple[str, ...], targets: tuple[str, ...], effect: float, as_json: bool, out: Path
) -> None:  # fmt: skip
    """Compare two targets of one RUN, or two RUNs (ids, or names: all runs of that name).

    Runs are compared in pairs that were measured alternately, at least five of them; the exit
    code is 3 where nothing can be claimed.
    """
    from holymon.experiments import alternate
    from holymon.records import run_folder

    if len(runs) > 2 or len(targets) not in {0, 2}:
        raise PlanError("compare takes one or two RUNs, and --target not at all or twice.")
    found = [alternate.named(name, out=out) for name in runs]
    chosen = (targets[0], targets[1]) if targets else None
    compared = alternate.compare(*found, targets=chosen, effect=effect)
    if as_json:
        click.echo(json.dumps(run_folder.finite(compared.to_dict()), indent=1))
    else:
        click.echo("\n".join(plain(line) for line in compared.lines))
    sys.exit(3 if compared.notes else 0)


@main.command()
@click.option("--json", "as_json", is_flag=True, help="Print a JSON list.")
@click.option("--out", type=click.Path(path_type=Path), default=Path("reports"))
def runs(as_json: bool, out: Path) -> None:
    """List the runs in the folder of reports, oldest first."""
    from holymon.records import listing

    found = listing.runs(out)
    if as_json:
        click.echo(json.dumps(found, indent=1))
    elif not found:
        click.echo(f"no runs in {out}: `holymon load sim/fast` makes one.")
    for run in [] if as_json else found:
        mark = "  simulated" if run.get("simulated") else ""
        number = "?" if run["requests"] is None else run["requests"]
        names = plain(", ".join(run["targets"]))
        click.echo(f"{run['run_id']:<44} {run['state']:<12} {number:>8} calls  {names}{mark}")


@main.command()
@click.option("--seconds", type=float, default=8.0, help="For each rate. [8]")
@click.option("--json", "as_json", is_flag=True, help="Print one JSON object.")
@click.option("--out", type=click.Path(path_type=Path), default=Path("reports"))
def calibrate(seconds: float, as_json: bool, out: Path) -> None:
    """Say how far off this machine measures, against the built-in simulator, whose truth is known.

    Draws a chart, too: calibration.png beside the runs.
    """
    from holymon.experiments.calibrator import calibrate as run_all
    from holymon.plots import canvas, result_plots
    from holymon.records import run_folder

    with interruptible():
        found = run_all(seconds=seconds, out=out, seen=_said)
    folder = out / "calibration"
    run_folder.write_json(folder / "calibration.json", found.to_dict())
    picture = folder / "calibration.png"
    figure = result_plots.plot_calibration(found).get_figure(root=True)
    run_folder.write_aside(picture, canvas.frame(figure) if figure else b"")
    if as_json:
        click.echo(json.dumps(run_folder.finite(found.to_dict()), indent=1))
    else:
        click.echo("\n".join([*found.lines, str(picture)]))
    sys.exit(0 if found.highest_valid_rate is not None else 3)


def _said(text: str) -> None:
    if sys.stderr.isatty():
        click.echo(f"measuring {text} ...", err=True)


@main.command()
@click.option("--host", default="127.0.0.1", help="Address to listen at. [127.0.0.1]")
@click.option("--port", type=int, default=8800, help="Port; 0 takes a free one. [8800]")
@click.option("--seed", type=int, default=0, help="Makes times and faults repeatable. [0]")
@click.option("--log", type=click.Path(path_type=Path), help="A file for one line per answer.")
def sim(host: str, port: int, seed: int, log: Path | None) -> None:
    """Run the simulated API until Ctrl-C: models fast, slow, flaky, busy, pinned."""
    from holymon.sim import __main__ as simulator

    if not 0 <= port < 65536:
        raise PlanError(f"port {port} is none: it lies between 0 and 65535.")
    sys.exit(simulator.serve(host=host, port=port, seed=seed, log=log))


@main.command()
@click.argument("targets", nargs=-1, metavar="[TARGET]...")
@click.option("--base-url", help="Root of an API to look at.")
@click.option("--api-key-env", default="", metavar="NAME", help="Variable that holds its key.")
@click.option("--json", "as_json", is_flag=True, help="Print a JSON list.")
def doctor(targets: tuple[str, ...], base_url: str | None, api_key_env: str, as_json: bool) -> None:
    """Check this machine, the packages, the keys and whether providers or TARGETs answer."""
    from holymon.cli import doctor as checks

    found = checks.examine(targets, base_url=base_url, api_key_env=api_key_env)
    if as_json:
        click.echo(json.dumps([check.to_dict() for check in found], indent=1))
    else:
        for check in found:
            click.echo(plain(check.text()))
    sys.exit(2 if any(check.state == "bad" for check in found) else 0)


main.add_command(metrics)
main.add_command(init)
