"""The command `holymon schedule`: a report every so often, printed, checked and installed."""

import os
import re
import shutil
import stat
import subprocess
import tempfile
from pathlib import Path
from typing import Final

import click

from holymon.cli.options import PATH, SECONDS, plan_of
from holymon.cli.output import say
from holymon.cli.report import report, split
from holymon.cli.scheduled import KINDS, SKIPPED, Scheduled
from holymon.cli.sharing import OPTIONS
from holymon.cli.timetable import Timetable
from holymon.errors import ConfigError, PlanError
from holymon.formatting import file_name
from holymon.safety import plain, short

MOST_S: Final = 900
_SET: Final = re.compile(r"^[ \t]*([A-Za-z_][A-Za-z0-9_]*)=[ \t]*['\"]?[^\s'\"]", re.MULTILINE)


@click.command(context_settings={"ignore_unknown_options": False})
@click.argument("arguments", nargs=-1, required=True, metavar="-- REPORT-ARGUMENT...")
@click.option("--every", default="1h", help="How often: minutes that divide an hour, or hours that "
              "divide a day.")  # fmt: skip
@click.option("--at", default="00:07", help="A time of day at which one begins, in the time zone "
              "of the machine.")  # fmt: skip
@click.option("--for", "kind", type=click.Choice(KINDS), default="cron", help="Who runs it; the "
              "last three are written only, and were not run here.")  # fmt: skip
@click.option("--env", type=PATH, help="A file of NAME=VALUE lines with the keys, which only you "
              "may read.")  # fmt: skip
@click.option("--log", type=PATH, help="Where cron's output goes. [default: holymon.log]")
@click.option("--limit", type=SECONDS, help="The longest that a run may take in all. "
              "[default: 15m, or --every if that is shorter]")  # fmt: skip
@click.option("--install", is_flag=True, help="Put it in your crontab, or systemd's folder.")
@click.option("--remove", is_flag=True, help="Take it out of there again.")
def schedule(
    arguments: tuple[str, ...], every: str, at: str, kind: str, env: Path | None,
    log: Path | None, limit: float | None, install: bool, remove: bool,
) -> None:  # fmt: skip
    """Have `holymon report REPORT-ARGUMENT...` run every so often, in this folder.

    It is printed and checked; paths are absolute, a run that is still going on keeps the next from
    beginning, and each is ended after --limit. Two reports need two names. As in

    holymon schedule --every 1h -- sim/fast --name hourly --slo 'error_rate<1%'
    """
    timetable = Timetable.parse(every, at)
    most = min(MOST_S, timetable.every * 60) if limit is None else limit
    home, default = Path.cwd(), Path("holymon.log")
    if log is None and default.is_symlink():
        raise ConfigError("holymon.log is a link to elsewhere: remove it, or name another --log.")
    name, variables, seconds = _examined(arguments)
    if not seconds < most:
        raise PlanError(f"--limit {most:g} s is too short: the load alone takes {seconds:g} s.")
    keys = env.resolve() if env else None  # cron runs it as sh: whoever filled this folder can't
    known = Scheduled(
        name, ("report", *arguments), timetable, home, keys,
        (log or default).resolve(), int(most), variables,
    )  # fmt: skip
    texts = known.texts(kind)
    if remove or install:
        if kind not in {"cron", "systemd"}:
            raise PlanError(f"holymon installs nothing in {kind}: copy what it prints.")
        faults = [] if remove else _faults(known, kind)
        if faults:
            raise ConfigError(f"not installed: {'; '.join(faults)}.")
        if kind == "cron":
            _in_crontab(known, remove=remove)
        else:
            _in_systemd(texts, remove=remove)
        say(f"{name}: {'removed' if remove else timetable.words}.", err=True)
        return
    for file, text in texts:
        say((f"# {file}\n" * (len(texts) > 1) + text).rstrip("\n"))
    if any(plain(text) != text for _, text in texts):
        mend = "put such a text into a file, and name that"
        if kind in {"cron", "systemd"}:
            mend = "--install writes it as it is"
        say(f"not to be copied: what is printed as <U+...> is another character in it: {mend}.",
            err=True)  # fmt: skip
    for fault in _faults(known, kind):
        say(f"to be mended: {fault}.", err=True)
    say(f"{name}: {timetable.words}; not installed.", err=True)


def _examined(arguments: tuple[str, ...]) -> tuple[str, tuple[str, ...], float]:
    """Of what `holymon report` is told: the run's name, the variables it reads, and its seconds.

    Raises PlanError, ConfigError, as the command itself would.
    """
    from holymon.report.channels import split as channel
    from holymon.report.notebooks import find_notebook, title
    from holymon.report.report import DEFAULT

    given = dict(report.make_context("report", list(arguments)).params)
    notebook, targets = split(given.pop("arguments"))
    variables = dict.fromkeys(channel(text)[1] for text in given["notify"])
    path = find_notebook(notebook)
    if given["wanted"] is not None:
        raise PlanError("--run does not go with a schedule: that load is over.")
    if not targets and not given["base_url"] and notebook != DEFAULT:
        return file_name(given["name"] or title(path)), tuple(variables), 0.0
    others = {"parameters", "import_from", "baseline", "fail_on_change", "lang", "wanted", "out",
              *OPTIONS}  # fmt: skip
    plan = plan_of(
        targets or (() if given["base_url"] else ("sim/fast",)), "a report",
        **{name: value for name, value in given.items() if name not in others},
    )  # fmt: skip
    variables = dict.fromkeys(v for target in plan.targets for v in target.variables) | variables
    return file_name(plan.run_name), tuple(variables), plan.seconds


def _faults(known: Scheduled, kind: str) -> list[str]:
    """What is to be mended before it can run here, by the word of those that run it."""
    if kind not in {"cron", "systemd"}:
        return []
    faults = [f"{program} is not here" for program in
              (("flock", "timeout", "crontab") if kind == "cron" else ("systemctl",))
              if shutil.which(program) is None]  # fmt: skip
    faults += _about_keys(known)
    if kind == "cron":
        shell = subprocess.run(["/bin/sh", "-n", "-c", known.shell], capture_output=True,
                               text=True, check=False)  # fmt: skip
        faults += [short(shell.stderr)] * bool(shell.returncode)
    elif analyze := shutil.which("systemd-analyze"):
        with tempfile.TemporaryDirectory() as folder:
            for name, text in known.texts(kind):
                (Path(folder) / name).write_text(text, "utf-8")
            done = subprocess.run([analyze, "verify", *map(str, Path(folder).iterdir())],
                                  capture_output=True, text=True, check=False)  # fmt: skip
            faults += [short(done.stderr)] * bool(done.returncode)
    return faults


def _about_keys(known: Scheduled) -> list[str]:
    if known.env is None:
        lacking, beside = " and ".join(known.variables), known.home / "holymon.env"
        mend = f" (name {beside.name} with it, if that is yours)" if beside.exists() else ""
        fault = f"no --env file gives {lacking}, and cron and systemd know no other{mend}"
        return [fault] * bool(lacking)
    try:
        text, about = known.env.read_text("utf-8"), known.env.stat()
    except (OSError, UnicodeError) as error:
        return [f"{plain(str(known.env))} can't be read ({type(error).__name__})"]
    given = set(_SET.findall(text))
    faults = [f"{plain(str(known.env))} gives no {name}" for name in known.variables
              if name not in given]  # fmt: skip
    open_to = stat.S_IMODE(about.st_mode) & 0o077 and os.name != "nt"
    return faults + [f"others may read {plain(str(known.env))}: chmod 600 it"] * bool(open_to)


def _in_crontab(known: Scheduled, *, remove: bool) -> None:
    """Put its line, under its mark, in the place of the one before it; all others stay."""
    # Whatever else Python takes for an end of line is none to cron.
    before = _run("crontab", "-l", fine=(0, 1)).removesuffix("\n").split("\n")
    if known.label in before:
        at = before.index(known.label)
        del before[at]
        # Somebody may have taken away the line and left its mark: what follows then is theirs.
        if before[at : at + 1] and f"flock -n -E {SKIPPED} " in before[at]:
            del before[at]
    after = [] if before == [""] else before
    after += [] if remove else [known.label, known.line]
    _run("crontab", "-", given="".join(f"{line}\n" for line in after))


def _in_systemd(texts: list[tuple[str, str]], *, remove: bool) -> None:
    from holymon.records.own_files import write_aside

    root = hasattr(os, "geteuid") and os.geteuid() == 0
    config = Path(os.environ.get("XDG_CONFIG_HOME") or Path.home() / ".config")
    folder = Path("/etc/systemd/system") if root else config / "systemd" / "user"
    control = ["systemctl", *["--user"] * (not root)]
    timer = texts[-1][0]
    if remove:
        _run(*control, "disable", "--now", timer)
        for name, _text in texts:
            (folder / name).unlink(missing_ok=True)
    else:
        folder.mkdir(parents=True, exist_ok=True)
        for name, text in texts:
            write_aside(folder / name, text)
    _run(*control, "daemon-reload")
    if not remove:
        _run(*control, "enable", "--now", timer)
        if not root:
            say("while you are not logged in it rests, unless you say: loginctl enable-linger",
                err=True)  # fmt: skip


def _run(*words: str, given: str = "", fine: tuple[int, ...] = (0,)) -> str:
    try:
        done = subprocess.run(words, input=given, capture_output=True, text=True, check=False)
    except FileNotFoundError:
        raise ConfigError(f"{words[0]} is not here.") from None
    if done.returncode not in fine:
        raise ConfigError(f"{' '.join(words)} failed: {short(done.stderr)}")
    return done.stdout
