"""`holymon schedule` writes what cron's shell, systemd and YAML take, and leaves other lines alone."""

import os
import subprocess
import sys
import time

import pytest
import yaml
from click.testing import CliRunner

from holymon.cli import scheduled
from holymon.cli.main import main
from holymon.cli.timetable import Timetable
from holymon.errors import PlanError

BARE = {"PATH": "/usr/bin:/bin", "HOME": "/", "SHELL": "/bin/sh", "LOGNAME": "x"}
"""All that cron gives to a job: crontab(5)."""


@pytest.mark.parametrize(
    ("every", "at", "cron", "calendar"),
    [
        ("1m", "00:07", "* * * * *", "*-*-* *:*:00"),
        ("15m", "00:07", "7,22,37,52 * * * *", "*-*-* *:07,22,37,52:00"),
        ("1h", "03:30", "30 * * * *", "*-*-* *:30:00"),
        ("6h", "07:05", "5 1,7,13,19 * * *", "*-*-* 01,07,13,19:05:00"),
        ("1d", "06:30", "30 6 * * *", "*-*-* 06:30:00"),
    ],
)
def test_a_timetable_says_the_same_to_cron_and_systemd(every, at, cron, calendar):
    made = Timetable.parse(every, at)
    assert (made.cron, made.calendar) == (cron, calendar)


@pytest.mark.parametrize(("every", "at"), [("7m", "00:07"), ("90m", "00:07"), ("1h", "24:00"),
                                           ("1h", "7"), ("2d", "00:07"), ("soon", "00:07")])  # fmt: skip
def test_what_no_crontab_can_say_is_refused(every, at):
    with pytest.raises(PlanError):
        Timetable.parse(every, at)


def of(folder, name="mine", words=("report", "x"), env=None, timeout_s=60):
    return scheduled.Scheduled(name, words, Timetable(60, 7), folder, env, folder / "it's.log",
                               timeout_s, ("A_KEY",))  # fmt: skip


def test_cron_runs_it_with_its_keys_in_its_folder_and_never_twice_at_once(tmp_path, monkeypatch):
    folder = tmp_path / "a 100% team"
    folder.mkdir()
    job = folder / "job"
    job.write_text('#!/bin/sh\necho "$A_KEY $PWD $*"\nwhile [ -e wait ]; do sleep 0.05; done\n')
    job.chmod(0o755)
    monkeypatch.setattr(scheduled, "command", lambda: [str(job)])
    (folder / "keys.env").write_text("A_KEY=one\n")
    (folder / "wait").touch()
    first, other = of(folder, env=folder / "keys.env"), of(folder, "other", env=folder / "keys.env")

    def begin(known):
        command = known.line.split(" ", 5)[5].replace(r"\%", "%")  # as cron reads it
        return subprocess.Popen(["/bin/sh", "-c", command], env=BARE, cwd="/")

    def told():
        return (folder / "it's.log").read_text().splitlines()

    going = [begin(first), begin(other)]
    until = time.monotonic() + 30
    while not (folder / "it's.log").exists() or len(told()) < 2:
        assert time.monotonic() < until
        time.sleep(0.02)
    assert begin(first).wait(30) == scheduled.SKIPPED
    (folder / "wait").unlink()
    assert [one.wait(30) for one in going] == [0, 0]
    assert told() == [f"one {folder} report x"] * 2
    (folder / "wait").touch()
    late = of(folder, env=folder / "keys.env", timeout_s=1)
    assert begin(late).wait(30) == 124, "its time was over"


@pytest.fixture
def schedule(tmp_path, monkeypatch):
    """`holymon schedule` in an empty folder, with an environment free of keys."""
    for name in [name for name in os.environ if name.endswith("_KEY")]:
        monkeypatch.delenv(name)
    monkeypatch.chdir(tmp_path)
    return lambda *words: CliRunner().invoke(main, ["schedule", *words])


@pytest.fixture
def crontab(tmp_path, monkeypatch):
    """The table of a program in the place of crontab, so that nobody's is touched."""
    folder = tmp_path / "bin"
    folder.mkdir()
    program = folder / "crontab"
    table = tmp_path / "table"
    program.write_text(f'#!/bin/sh\n[ "$1" = - ] && exec cat > {table}\n'
                       f'[ -e {table} ] && exec cat {table}\necho none >&2; exit 1\n')  # fmt: skip
    program.chmod(0o755)
    monkeypatch.setenv("PATH", f"{folder}:{os.environ['PATH']}")
    return table


def test_it_is_printed_checked_installed_and_removed_again(schedule, crontab):
    words = ("--every", "1h", "--", "sim/fast", "--name", "mine", "--slo", "error_rate<1%")
    shown = schedule(*words)
    assert shown.exit_code == 0, shown.stderr
    assert shown.stderr == "mine: every hour, at minute 7; not installed.\n"
    label, line = shown.stdout.splitlines()
    assert not crontab.exists()
    crontab.write_text("1 1 * * * theirs\n")
    for _ in range(2):
        done = schedule("--install", *words)
        assert done.exit_code == 0, done.stderr
        assert crontab.read_text().splitlines() == ["1 1 * * * theirs", label, line]
    assert schedule("--remove", *words).exit_code == 0
    assert crontab.read_text() == "1 1 * * * theirs\n"
    crontab.write_text(f"{label}\n1 1 * * * theirs\n")  # its line was taken away by hand
    assert schedule("--remove", *words).exit_code == 0
    assert crontab.read_text() == "1 1 * * * theirs\n"


def test_what_would_fail_in_the_night_is_said_today(schedule, tmp_path, crontab):
    words = ("--", "--base-url", "https://h.invalid/v1", "--model", "m", "--api-key-env", "M_KEY",
             "--notify", "slack=S_URL")  # fmt: skip
    done = schedule("--install", *words)
    assert done.exit_code == 2
    assert "no --env file gives M_KEY and S_URL" in done.stderr
    (tmp_path / "holymon.env").write_text("OTHER=1\n")
    (tmp_path / "holymon.env").chmod(0o644)
    assert "name holymon.env with it, if that is yours" in schedule("--install", *words).stderr
    done = schedule("--install", "--env", "holymon.env", *words)
    assert "gives no M_KEY" in done.stderr
    assert "chmod 600" in done.stderr
    assert not crontab.exists()
    done = schedule("--every", "1m", "--", "sim/fast", "--duration", "2m")
    assert (done.exit_code, "too short" in done.stderr) == (2, True)
    assert schedule("--", "sim/nothing").exit_code == 2


def test_what_others_run_is_one_of_theirs_and_says_it_was_not_run(tmp_path):
    known = of(tmp_path, words=("report", "{{ x }}", "--slo", "a<1%"))
    ((_, job),) = known.texts("kubernetes")
    ((_, flow),) = known.texts("github")
    ((_, graph),) = known.texts("airflow")
    assert all("Not run here" in text for text in (job, flow, graph))
    about = yaml.safe_load(job)["spec"]
    assert (about["schedule"], about["concurrencyPolicy"]) == ("7 * * * *", "Forbid")
    assert yaml.safe_load(flow)["concurrency"]["cancel-in-progress"] is False
    assert "secrets.A_KEY" in flow
    compile(graph, "holymon_dag.py", "exec")
    assert "{{ x }}" not in graph


@pytest.mark.parametrize("command", [
    ("schedule", "--for", "kubernetes", "--"), ("schedule", "--for", "github", "--"),
    ("job", "--pods", "2", "--container-image", "r.example/holymon:1", "--trust",
     "H_KEY=https://h.invalid/v1"),
])  # fmt: skip
def test_a_key_that_a_targets_toml_names_stands_in_yaml_too(schedule, tmp_path, command):
    (tmp_path / "targets.toml").write_text(
        '[h]\nbase_url = "https://h.invalid/v1"\napi_key_env = "H_KEY"\n'
    )
    done = CliRunner().invoke(main, [*command, "h/m", "--max-tokens", "2"], env={"H_KEY": "x-1"})
    assert done.exit_code == 0, done.stderr
    assert "H_KEY" in str([*yaml.safe_load_all(done.stdout)])


def test_systemd_takes_the_units(tmp_path, debian, monkeypatch):
    monkeypatch.setattr(scheduled, "command", lambda: [sys.executable])
    paths = []
    for name, text in of(tmp_path, env=tmp_path / "x.env").texts("systemd"):
        paths.append(tmp_path / name)
        paths[-1].write_text(text)
    done = subprocess.run([debian("systemd-analyze", "systemd"), "verify", *paths],
                          capture_output=True, text=True, check=False)  # fmt: skip
    assert (done.returncode, done.stderr) == (0, "")
