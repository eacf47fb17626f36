"""The command `holymon`: options to plans, runs to tables, verdicts to exit codes.

0 fine; 1 an objective is missed or, if asked, a figure is worse than before; 2 bad usage or
configuration; 3 the measurement is invalid; 4 the run or the report could not finish; 130
interrupted, and what was measured is kept.
"""

import contextlib
import errno
import io
import os
import sys
import tempfile
import traceback
from pathlib import Path
from typing import TYPE_CHECKING, Any, NoReturn

import click

from holymon.cli.calls import calls
from holymon.cli.capacity import capacity
from holymon.cli.catalogue import prune, runs
from holymon.cli.consent import INSECURE_HTTP, TRUST, agreed
from holymon.cli.job import job
from holymon.cli.migrate import migrate
from holymon.cli.options import DASK, JSON, LOAD, OUT, PATH, SECONDS, Command, plans_of
from holymon.cli.output import note, say, show
from holymon.cli.probe import probe
from holymon.cli.progress import measured_with_bar
from holymon.cli.reconcile import reconcile
from holymon.cli.report import report
from holymon.cli.route import route
from holymon.cli.schedule import schedule
from holymon.cli.services import init, metrics, trust
from holymon.cli.target_options import API_KEY_ENV, BASE_URL, WAYS
from holymon.errors import HolymonError, PlanError, RunError
from holymon.load.interrupts import INTERRUPTED, interruptible
from holymon.safety import plain, redact, short

if TYPE_CHECKING:
    from holymon.figures.comparison import Comparison
    from holymon.figures.comparisons import Comparisons
    from holymon.load.run import Run


class _Commands(click.Group):
    """Turns whatever holymon raises on purpose into one sentence and an exit code."""

    def main(self, *args: Any, **more: Any) -> Any:
        """Run the command; no way out of it ends with 1, which is a missed objective's."""
        for stream in (sys.stdout, sys.stderr):  # a terminal may not know every letter
            if isinstance(stream, io.TextIOWrapper):
                with contextlib.suppress(OSError, ValueError):
                    stream.reconfigure(errors="backslashreplace")
        try:
            sys.exit(super().main(*args, **{**more, "standalone_mode": False}))
        except click.ClickException as error:
            usage = io.StringIO()
            error.show(usage)
            say(usage.getvalue().rstrip(), err=True)
            sys.exit(2)
        except (click.Abort, KeyboardInterrupt):
            _fail("interrupted.", INTERRUPTED)
        except Exception as error:  # noqa: BLE001 - a fault of ours
            _fail(_fault(error), 4)

    def invoke(self, ctx: click.Context) -> Any:
        try:
            return super().invoke(ctx)
        except HolymonError as error:
            _fail(str(error), 4 if isinstance(error, RunError) else 2)
        except OSError as error:
            _give_up_output()
            if isinstance(error, BrokenPipeError):  # as in `holymon runs | head -1`
                sys.exit(4)
            where = f" ({short(str(error.filename), 200)})" if error.filename else ""
            code = 2 if error.errno == errno.ENAMETOOLONG else 4  # a word that is no file's name
            _fail(f"{error.strerror or type(error).__name__}{where}.", code)
        except KeyboardInterrupt:
            _fail("interrupted.", INTERRUPTED)


def _fault(error: Exception) -> str:
    """What to say of a fault of our own; its details are written to a file."""
    details = redact(plain("".join(traceback.format_exception(error))))
    sentence = "this is a fault of holymon's own, please report it"
    try:
        with tempfile.NamedTemporaryFile(
            "w", prefix="holymon-fault-", suffix=".txt", delete=False, encoding="utf-8"
        ) as file:
            file.write(details)
    except OSError:
        say(details, err=True)
        return f"{sentence} with the lines above."
    return f"{sentence}: the details are in {file.name}."


def _give_up_output() -> None:
    """Send what waits for standard output nowhere: it may be what failed, and would fail again."""
    with contextlib.suppress(OSError, ValueError):
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())


def _fail(sentence: str, code: int) -> NoReturn:
    say(f"holymon: {redact(plain(sentence))}", err=True)
    sys.exit(code)


@click.group(
    cls=_Commands, context_settings={"help_option_names": ["-h", "--help"], "show_default": True}
)
@click.version_option(package_name="holymon")
def main() -> None:
    """Measure and monitor OpenAI-compatible AI APIs: latency, TTFT, errors, cost.

    Try `holymon load sim/fast`: it needs no key, the API is simulated on this machine.
    """


@main.command(cls=Command)
@click.argument("targets", nargs=-1, metavar="[TARGET]...")
@LOAD
@DASK
@JSON
def load(
    targets: tuple[str, ...], as_json: bool, out: Path, dask: str | None, **options: Any
) -> None:  # fmt: skip
    """Measure TARGETs (written provider/model) and print their figures."""
    from holymon.plan.estimate import over_limits
    from holymon.report import sections

    runs: list[Run] = []
    interrupted = False
    plans = plans_of(targets, **options)
    agreed(plans[0].targets)
    for plan in plans:
        if interrupted or any(call.ended for run in runs for call in run.first_calls):
            break
        for sentence in over_limits(plan):
            say(sentence, err=True)
        known = runs[0].informed(plan) if runs else plan
        run, interrupted = measured_with_bar(known, out, dask)
        runs.append(run)
    single = runs[0] if len(runs) == 1 else None

    def text() -> str:
        return sections.run_text(single) if single else sections.sweep_table(runs).text()

    def result() -> dict[str, Any]:
        return single.to_dict() if single else {"sweep": [run.to_dict() for run in runs]}

    show(result, text, as_json=as_json)
    sys.exit(INTERRUPTED if interrupted else max(run.exit_code for run in runs))


@main.command()
@click.argument("runs", nargs=-1, required=True, metavar="RUN [RUN]")
@click.option("--target", "targets", multiple=True, metavar="PROVIDER/MODEL",
              help="Of several targets, that of A and that of B (give it twice).")  # fmt: skip
@click.option("--effect", type=float, default=0.05, help="The smallest difference that counts.")
@JSON
@OUT
def compare(
    runs: tuple[str, ...], targets: tuple[str, ...], effect: float, as_json: bool, out: Path
) -> None:  # fmt: skip
    """Compare the targets of one RUN, each other one with the first, or two RUNs.

    A RUN is an id, a name (all runs of that name), or the report.html of one.

    Runs are compared in pairs that were measured alternately, at least five of them; the exit
    code is 3 where nothing can be claimed.
    """
    from holymon.experiments import alternate

    if len(runs) > 2 or len(targets) not in {0, 2}:
        raise PlanError("compare takes one or two RUNs, and --target not at all or twice.")
    measured = [alternate.named(name, out=out) for name in runs]
    pair = (targets[0], targets[1]) if targets else None
    compared: Comparison | Comparisons
    if pair is None and [len(run.plan.targets) > 2 for each in measured for run in each] == [True]:
        compared = alternate.compare_all(measured[0][0], effect=effect)
    else:
        compared = alternate.compare(*measured, targets=pair, effect=effect)
    show(compared.to_dict, compared.table.text, as_json=as_json)
    sys.exit(3 if compared.notes else 0)


@main.command()
@click.option("--seconds", type=SECONDS, default=8.0, help="For each rate.")
@JSON
@OUT
def calibrate(seconds: float, as_json: bool, out: Path) -> None:
    """Say how far off this machine measures, against the built-in simulator, whose truth is known.

    Draws a chart, too: calibration.png beside the runs.
    """
    from holymon.experiments import calibrator
    from holymon.plots import result_plots
    from holymon.plots.picture import png
    from holymon.records import own_files

    with interruptible():
        calibration = calibrator.calibrate(
            seconds=seconds, out=out, seen=lambda step: note(f"measuring {step} ...")
        )
    folder = out / "calibration"
    own_files.write_json(folder / "calibration.json", calibration.to_dict())
    picture = folder / "calibration.png"
    figure = result_plots.plot_calibration(calibration).get_figure(root=True)
    own_files.write_aside(picture, png(figure) if figure else b"")
    show(calibration.to_dict, lambda: f"{calibration.table.text()}\n{picture}", as_json=as_json)
    sys.exit(0 if calibration.highest_valid_rate is not None else 3)


@main.command()
@click.option("--host", default="127.0.0.1", help="Address to listen at.")
@click.option("--port", type=int, default=8800, help="Port; 0 takes a free one.")
@click.option("--seed", type=int, default=0, help="Makes times and faults repeatable.")
@click.option("--log", type=PATH, help="A file for one line per answer.")
@click.option("--auth", default="", metavar="HEADER", help="The header that has to hold a key.")
def sim(host: str, port: int, seed: int, log: Path | None, auth: str) -> None:
    """Run the simulated API until Ctrl-C.

    Its models are fast, slow, flaky, busy, pinned, cached, reasoning, tools, strict, limited,
    gateway (hides a prompt, buffers), quantized and other (not the same model), and odd (answers
    and refusals as some servers word them: a limit inside a 200, usage where few look for it).
    /completion answers as llama.cpp's server does.
    """
    from holymon.sim import __main__ as simulator

    if not 0 <= port < 65536:
        raise PlanError(f"port {port} is none: it lies between 0 and 65535.")
    sys.exit(simulator.serve(host=host, port=port, seed=seed, log=log, auth=auth))


@main.command()
@click.argument("targets", nargs=-1, metavar="[TARGET]...")
@BASE_URL
@API_KEY_ENV
@WAYS
@TRUST
@INSECURE_HTTP
@JSON
def doctor(
    targets: tuple[str, ...], base_url: str | None, api_key_env: str, insecure_http: bool,
    as_json: bool, **ways: Any,
) -> None:  # fmt: skip
    """Check this machine, the packages and the keys, and whether TARGETs or providers answer.

    Only those that are named are asked.
    """
    from holymon.cli.doctor import examine
    from holymon.plan.ways import with_ways

    findings = examine(
        targets, base_url=base_url, api_key_env=api_key_env, insecure=insecure_http,
        adapt=lambda called: with_ways(called, **ways),
    )  # fmt: skip
    show(
        lambda: [finding.to_dict() for finding in findings],
        lambda: "\n".join(finding.text() for finding in findings),
        as_json=as_json,
    )
    sys.exit(2 if any(finding.state == "bad" for finding in findings) else 0)


for _command in (calls, capacity, job, migrate, runs, probe, prune, reconcile, report, route,
                 schedule, metrics, init, trust):  # fmt: skip
    main.add_command(_command)
