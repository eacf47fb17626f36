"""The command `holymon`: options to plans, runs to tables, verdicts to exit codes.

0 fine; 1 an objective is missed; 2 bad usage or configuration; 3 the measurement is invalid;
4 the run or the report could not finish; 130 interrupted, and what was measured is kept.
"""

import contextlib
import json
import signal
import sys
import threading
from collections.abc import Callable, Iterator
from pathlib import Path
from types import FrameType
from typing import TYPE_CHECKING, Any, Final, NoReturn

import click

from holymon.errors import HolymonError, PlanError, RunError
from holymon.safety import plain, redact

if TYPE_CHECKING:
    from holymon.plan import Closed, Open, Plan, Prompts, Target
    from holymon.run import Run

INTERRUPTED: Final = 130
BAR_FROM_S: Final = 2.0


class _Commands(click.Group):
    """Turns whatever holymon raises on purpose into one sentence and an exit code."""

    def invoke(self, ctx: click.Context) -> Any:
        try:
            return super().invoke(ctx)
        except HolymonError as error:
            _fail(str(error), 4 if isinstance(error, RunError) else 2)
        except KeyboardInterrupt:
            _fail("interrupted.", INTERRUPTED)


def _fail(sentence: str, code: int) -> NoReturn:
    click.echo(f"holymon: {redact(plain(sentence))}", err=True)
    sys.exit(code)


@click.group(cls=_Commands, context_settings={"help_option_names": ["-h", "--help"]})
@click.version_option(package_name="holymon")
def main() -> None:
    """Measure and monitor OpenAI-compatible AI APIs: latency, TTFT, errors, cost.

    Try `holymon load sim/fast`: it needs no key, the API is simulated on this machine.
    """


def _load_options(command: Callable[..., Any]) -> Callable[..., Any]:
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


@main.command()
@click.argument("targets", nargs=-1, metavar="[TARGET]...")
@_load_options
@click.option("--json", "as_json", is_flag=True, help="Print one JSON object.")
def load(targets: tuple[str, ...], as_json: bool, out: Path, **options: Any) -> None:
    """Measure TARGETs (written provider/model) and print their figures."""
    from holymon import store, tables

    plan = _plan(targets, **options)
    run, interrupted = _measured(plan, out)
    if as_json:
        click.echo(json.dumps(store.finite(run.to_dict()), indent=1))
    else:
        click.echo(tables.text(run))
    sys.exit(INTERRUPTED if interrupted else _exit_code(run))


@main.command()
@click.argument("arguments", nargs=-1, metavar="[NOTEBOOK] [TARGET]...")
@_load_options
@click.option(
    "-p",
    "--parameter",
    "parameters",
    nargs=2,
    multiple=True,
    metavar="NAME VALUE",
    help="A parameter of the notebook; VALUE is read as JSON if it is that.",
)
@click.option(
    "--run",
    "wanted",
    metavar="RUN",
    help="Report this finished run (an id, a name for its latest, or last).",
)
def report(
    arguments: tuple[str, ...], parameters: tuple[tuple[str, str], ...], wanted: str | None,
    out: Path, **options: Any,
) -> None:  # fmt: skip
    """Measure TARGETs and make a self-contained HTML report from NOTEBOOK.

    Without NOTEBOOK it is report_health. A notebook of your own without TARGET measures what it
    likes.
    """
    from holymon import report as reports

    notebook, targets = _split(arguments)
    given = {name: _value(text) for name, text in parameters}
    run, interrupted = None, False
    reports.check_parameters(notebook, given)
    if wanted is not None:
        from holymon.run import attach

        run = attach(wanted, out=out)
        if run.live:
            raise RunError(f"{run.id} is still going on: report it when it has ended.")
    elif targets or options["base_url"] or notebook == reports.DEFAULT:
        if not targets and not options["base_url"]:
            targets = ("sim/fast",)
        run, interrupted = _measured(_plan(targets, **options), out)
    made = reports.write_report(
        notebook, run=run, parameters=given, out=out, name=options["name"] or None
    )
    click.echo(str(made.html))
    if made.status != "ok":
        _fail(f"the report is not complete, {made.status}: {made.error}", 4)
    if run is not None:
        for sentence in _findings(run):
            click.echo(sentence, err=True)
    sys.exit(INTERRUPTED if interrupted else _exit_code(run) if run else 0)


@main.command()
@click.option("--json", "as_json", is_flag=True, help="Print a JSON list.")
@click.option("--out", type=click.Path(path_type=Path), default=Path("reports"))
def runs(as_json: bool, out: Path) -> None:
    """List the runs in the folder of reports, oldest first."""
    from holymon import store

    found = store.runs(out)
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
@click.option("--host", default="127.0.0.1", help="Address to listen at. [127.0.0.1]")
@click.option("--port", type=int, default=8800, help="Port; 0 takes a free one. [8800]")
@click.option("--seed", type=int, default=0, help="Makes times and faults repeatable. [0]")
@click.option("--log", type=click.Path(path_type=Path), help="A file for one line per answer.")
def sim(host: str, port: int, seed: int, log: Path | None) -> None:
    """Run the simulated API until Ctrl-C: models fast, slow, flaky, busy."""
    from holymon import sim as simulator

    sys.exit(simulator.serve(host=host, port=port, seed=seed, log=log))


@main.command()
@click.argument("targets", nargs=-1, metavar="[TARGET]...")
@click.option("--base-url", help="Root of an API to look at.")
@click.option("--api-key-env", default="", metavar="NAME", help="Variable that holds its key.")
@click.option("--json", "as_json", is_flag=True, help="Print a JSON list.")
def doctor(targets: tuple[str, ...], base_url: str | None, api_key_env: str, as_json: bool) -> None:
    """Check this machine, the packages, the keys and whether providers or TARGETs answer."""
    from holymon import doctor as checks

    found = checks.examine(targets, base_url=base_url, api_key_env=api_key_env)
    if as_json:
        click.echo(json.dumps([check.to_dict() for check in found], indent=1))
    else:
        for check in found:
            click.echo(plain(check.text()))
    sys.exit(2 if any(check.state == "bad" for check in found) else 0)


def _plan(
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


def _measured(plan: "Plan", out: Path) -> tuple["Run", bool]:
    """Measure with a progress bar; whether it was interrupted."""
    from holymon.run import start

    interrupted = False
    with _sigterm_as_interrupt():
        run = start(plan, out=out, detached=False)
        with _bar(plan) as show:
            try:
                run.wait(show)
            except KeyboardInterrupt:
                interrupted = True
                run.stop()
                _wait_stopped(run)
    return run, interrupted


def _wait_stopped(run: "Run") -> None:
    """Wait for the worker's last words; a second Ctrl-C does not wait."""
    try:
        run.wait(timeout=30)
    except KeyboardInterrupt:
        run.kill()
        run.wait(timeout=30)


@contextlib.contextmanager
def _sigterm_as_interrupt() -> Iterator[None]:
    if threading.current_thread() is not threading.main_thread():
        yield
        return

    def interrupt(_number: int, _frame: FrameType | None) -> NoReturn:
        raise KeyboardInterrupt

    before = signal.signal(signal.SIGTERM, interrupt)
    # A shell's `&` starts a command with Ctrl-C ignored; a load must always be stoppable.
    before_int = signal.signal(signal.SIGINT, interrupt)
    try:
        yield
    finally:
        signal.signal(signal.SIGTERM, before)
        signal.signal(signal.SIGINT, before_int)


@contextlib.contextmanager
def _bar(plan: "Plan") -> Iterator[Callable[["Run"], None] | None]:
    """A progress bar on a terminal, for anything that takes over two seconds."""
    import time

    from holymon.plan import Closed

    timed = plan.duration_s is not None or not isinstance(plan.load, Closed)
    if not sys.stderr.isatty() or (timed and plan.seconds <= BAR_FROM_S):
        yield None
        return
    from tqdm import tqdm

    begun = time.monotonic()
    total = plan.seconds if timed else float((plan.requests or 0) * len(plan.targets))
    form = "{desc} {percentage:3.0f}% |{bar}| {postfix}"
    with tqdm(total=total, desc="measuring", bar_format=form, leave=False, file=sys.stderr) as bar:

        def show(run: "Run") -> None:
            records = run.records
            done = time.monotonic() - begun if timed else float(len(records))
            bar.n = min(done, total)
            failed = int((~records.ok).sum())
            bar.set_postfix_str(f"{len(records)} calls, {failed} failed")

        yield show


def _exit_code(run: "Run") -> int:
    return 4 if run.state == "failed" else run.verdict().exit_code


def _findings(run: "Run") -> list[str]:
    judged = run.verdict()
    lines = [f"{judged.measurement}: {reason.text}" for reason in judged.reasons]
    return [redact(plain(line)) for line in [*lines, *(check.text for check in judged.checks)]]


def _split(arguments: tuple[str, ...]) -> tuple[str, tuple[str, ...]]:
    """The notebook (by default report_health) and the targets."""
    from holymon.report import DEFAULT

    if arguments and (arguments[0].endswith(".ipynb") or "/" not in arguments[0]):
        return arguments[0], arguments[1:]
    return DEFAULT, arguments


def _value(text: str) -> Any:
    try:
        return json.loads(text)
    except ValueError:
        return text
