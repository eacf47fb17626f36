"""A report that is due again and again, as the text that each scheduler reads.

cron and systemd run it here; the others are written from the same data, and were not run here.
"""

import glob
import sys
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

from holymon.cli import quoting
from holymon.cli.timetable import Timetable
from holymon.sim.process import PYTHON_M

SKIPPED: Final = 75
"""How a run ends that was not begun since the one before goes on (EX_TEMPFAIL of sysexits.h)."""
GRACE_S: Final = 30
"""From SIGTERM, at which holymon makes its page, to SIGKILL."""
KINDS: Final = ("cron", "systemd", "kubernetes", "airflow", "github")


@dataclass(frozen=True, slots=True)
class Scheduled:
    """A report that is due again and again: what is run, where, when, and for how long at most."""

    name: str
    words: tuple[str, ...]
    """The arguments of `holymon`."""
    timetable: Timetable
    home: Path
    env: Path | None
    log: Path
    timeout_s: int
    variables: tuple[str, ...] = ()
    """The environment variables that it reads."""

    @property
    def label(self) -> str:
        """What marks its line in a crontab: a line of its own before it."""
        return f"# holymon schedule: {self.name} in {self.home}"

    @property
    def shell(self) -> str:
        """The command as cron's shell runs it: nothing of it depends on cron's environment."""
        sh = quoting.sh
        keys = f"set -a; . {sh(str(self.env))}; set +a; " if self.env else ""
        lock = sh(str(self.home / f".{self.name}.lock"))
        return (
            f"exec >> {sh(str(self.log))} 2>&1; {keys}cd {sh(str(self.home))} && "
            f"flock -n -E {SKIPPED} {lock} timeout -k {GRACE_S} {self.timeout_s} "
            f"{sh([*command(), *self.words])}"
        )

    @property
    def line(self) -> str:
        """Its line in a crontab. Raises ConfigError for what no such line can hold."""
        return f"{self.timetable.cron} {quoting.cron(self.shell)}"

    def texts(self, kind: str) -> list[tuple[str, str]]:
        """The files of a kind in KINDS, with their names."""
        return list(_FORMS[kind](self))


def command() -> list[str]:
    """How holymon is started by a daemon, which knows no virtual environment."""
    beside = Path(sys.executable).with_name("holymon")
    return [str(beside)] if beside.is_file() else [*PYTHON_M, "holymon"]


def _cron(known: Scheduled) -> Iterator[tuple[str, str]]:
    yield "crontab", f"{known.label}\n{known.line}\n"


def _systemd(known: Scheduled) -> Iterator[tuple[str, str]]:
    unit, env = quoting.unit, known.env
    keys = f"EnvironmentFile=-{unit(glob.escape(str(env)))}\n" if env else ""
    yield (
        f"holymon-{known.name}.service",
        (
            f"[Unit]\nDescription=holymon: report {unit(known.name)}\n"
            "After=network-online.target\nWants=network-online.target\n\n"
            f"[Service]\nType=oneshot\nWorkingDirectory={unit(str(known.home))}\n"
            f"{keys}ExecStart={quoting.unit_words([*command(), *known.words])}\n"
            "# A missed objective (1) is for the alerts to tell; the unit has done its work.\n"
            f"SuccessExitStatus=1\nTimeoutStartSec={known.timeout_s}\nTimeoutStopSec={GRACE_S}\n"
            "NoNewPrivileges=yes\n"
        ),
    )
    yield (
        f"holymon-{known.name}.timer",
        (
            f"[Unit]\nDescription=holymon: report {unit(known.name)}, {known.timetable.words}\n\n"
            f"[Timer]\nOnCalendar={known.timetable.calendar}\nPersistent=true\n\n"
            "[Install]\nWantedBy=timers.target\n"
        ),
    )


NOT_RUN: Final = "# Not run here: check it with your own tools before you rely on it.\n"


def _kubernetes(known: Scheduled) -> Iterator[tuple[str, str]]:
    keys: list[dict[str, Any]] = [
        {"name": name, "valueFrom": {"secretKeyRef": {"name": "holymon", "key": name}}}
        for name in known.variables
    ]
    holder: dict[str, Any] = {
        "name": "report", "image": "REGISTRY/holymon:VERSION",
        # It would put the value of a variable where $(NAME) stands.
        "command": ["holymon", *(w.replace("$", "$$") for w in known.words), "--out", "/reports"],
        "env": keys, "volumeMounts": [{"name": "reports", "mountPath": "/reports"}],
    }  # fmt: skip
    claim = {"name": "reports", "persistentVolumeClaim": {"claimName": "holymon-reports"}}
    pod = {"restartPolicy": "Never", "terminationGracePeriodSeconds": GRACE_S,
           "containers": [holder], "volumes": [claim]}  # fmt: skip
    job = {"activeDeadlineSeconds": known.timeout_s, "backoffLimit": 0, "template": {"spec": pod}}
    about = {
        "apiVersion": "batch/v1", "kind": "CronJob",
        "metadata": {"name": f"holymon-{known.name.lower().replace('_', '-').replace('.', '-')}"},
        "spec": {"schedule": known.timetable.cron, "timeZone": "Etc/UTC",
                 "concurrencyPolicy": "Forbid", "jobTemplate": {"spec": job}},
    }  # fmt: skip
    yield "cronjob.yml", NOT_RUN + _yaml(about)


def _airflow(known: Scheduled) -> Iterator[tuple[str, str]]:
    # Jinja would read braces in the command, and a space at its end keeps it from being a file.
    shell = quoting.sh([*command(), *known.words])
    yield (
        "holymon_dag.py",
        (
            f"{NOT_RUN}from datetime import timedelta\n\nimport pendulum\n"
            "from airflow.providers.standard.operators.bash import BashOperator\n"
            "from airflow.sdk import DAG\n\n"
            f"with DAG(\n    dag_id={f'holymon-{known.name}'!r},\n"
            f"    schedule={known.timetable.cron!r},\n"
            '    start_date=pendulum.datetime(2026, 1, 1, tz="UTC"),\n'
            "    catchup=False,\n    max_active_runs=1,\n) as dag:\n    BashOperator(\n"
            f'        task_id="report",\n'
            f"        bash_command={_raw(shell + ' ')!r},\n        cwd={str(known.home)!r},\n"
            "        append_env=True,\n"
            f"        execution_timeout=timedelta(seconds={known.timeout_s}),\n"
            "        retries=0,\n    )\n"
        ),
    )


def _raw(text: str) -> str:
    """A text that Jinja leaves as it is."""
    return text.replace("{", "{{ '{' }}")


def _github(known: Scheduled) -> Iterator[tuple[str, str]]:
    run = f"timeout -k {GRACE_S} {known.timeout_s} holymon {quoting.sh(known.words)}"
    steps: list[dict[str, Any]] = [
        {"uses": "actions/setup-python@v5", "with": {"python-version": "3.12"}},
        {"run": "pip install WHERE-YOUR-TEAM-HAS-holymon"},
        {"run": run.replace("${{", "${{ '${{' }}"), "shell": "bash",
         "env": {name: f"${{{{ secrets.{name} }}}}" for name in known.variables}},
        {"uses": "actions/upload-artifact@v4", "if": "always()",
         "with": {"name": "reports", "path": "reports/"}},
    ]  # fmt: skip
    minutes = -(-known.timeout_s // 60) + 10
    about = {
        "name": f"holymon {known.name}",
        "on": {"schedule": [{"cron": known.timetable.cron}], "workflow_dispatch": {}},
        "permissions": {"contents": "read"},
        "concurrency": {"group": f"holymon-{known.name}", "cancel-in-progress": False},
        "jobs": {"report": {"runs-on": "ubuntu-latest", "timeout-minutes": minutes,
                            "steps": steps}},
    }  # fmt: skip
    # Its schedule is in UTC, may come late, and is no less than five minutes apart.
    yield "holymon.yml", NOT_RUN + _yaml(about)


def _yaml(about: dict[str, Any]) -> str:
    import yaml

    return str(yaml.safe_dump(about, sort_keys=False, width=quoting.WIDE, allow_unicode=True))


_FORMS: Final = {
    "cron": _cron, "systemd": _systemd, "kubernetes": _kubernetes, "airflow": _airflow,
    "github": _github,
}  # fmt: skip
