"""By a colleague: names that stand in what `holymon init` writes are data for cron, sh and the rest."""

import json
import os
import re
import shlex
import stat
import subprocess
from pathlib import Path

import pytest
import yaml

from holymon.cli import quoting, scheduled
from holymon.cli.init_folder import create
from holymon.errors import ConfigError, RunError
from holymon.prometheus.alerts import Watch
from holymon.prometheus.rules import quoted

DUMP = """#!/bin/sh
pwd > "$DUMPED"
for word; do printf '%s\\n' "$word" >> "$DUMPED"; done
"""
FOLDERS = [
    "a`id>pwned`b",
    ";id>pwned;",
    "&&id>pwned",
    "#c",
    "~",
    "!!",
    "(x)",
    "<y>",
    "?",
    "[a]",
    "-",
    "we ird",
    "it's",
    'a"b',
    "%h%%",
    "$HOME",
    "$(id>pwned)",
]
ODD = """a b [c] ? 'd' "e" $f ${HOME} %h %% ;`g`"""
MODELS = [
    "`touch pwned`", "$(touch pwned)", "a%b", "%%n", "'; touch pwned; '", 'a"b', "a b", "#x", ";", "&",
    "~root", "$HOME", "{a,b}", "!!", "-x", ">pwned", "a\u2028b", "é",
]  # fmt: skip
SLO = ("error_rate<1%", "ttft_p95\n<2s", "latency_p99<3s\r\n")
ONE_LINE = ["error_rate<1%", "ttft_p95 <2s", "latency_p99<3s"]


def vixie(command: str) -> str:
    """What Debian's cron hands to sh of the rest of a line: do_command.c of Vixie's 3.0."""
    return re.split(r"(?<!\\)%", re.sub(r"\\([%\\])", "\0\\1", command).replace("\0%", "\0"))[
        0
    ].replace("\0", "%")


def cronie(command: str) -> str:
    """As above, of Red Hat's: only a % is taken for escaped."""
    return re.split(r"(?<!\\)%", command)[0].replace(r"\%", "%")


@pytest.fixture
def team(tmp_path, monkeypatch):
    """Makes a team's folder whose commands write down what reached them."""
    dump = tmp_path / "dump"
    dump.write_text(DUMP)
    dump.chmod(0o755)
    monkeypatch.setenv("DUMPED", str(tmp_path / "dumped.txt"))
    monkeypatch.setattr(scheduled, "command", lambda: [str(dump)])

    def make(name="team", **wishes):
        folder = tmp_path / name
        create(folder, **wishes)
        return folder

    return make


def reached(team: Path, read) -> list[list[str]]:
    """Where and with which words the commands of a crontab ran, as that cron reads it."""
    lines = [line for line in (team / "holymon.cron").read_text("utf-8").split("\n") if line]
    assert [line[0] for line in lines] == ["#", "7", "@"]
    seen = []
    for line in lines[1:]:
        command = line.split(" ", 5 if line[0] == "7" else 1)[-1]
        subprocess.run(["sh", "-c", read(command)], cwd=team.parent, check=True, timeout=30)
        seen.append((team.parent / "dumped.txt").read_text("utf-8").split("\n")[:-1])
    assert not [*team.parent.rglob("pwned")]
    return seen


def words(*goals: str) -> list[str]:
    return [word for goal in goals for word in ("--slo", goal)]


@pytest.mark.parametrize("cron", [vixie, cronie])
@pytest.mark.parametrize("name", FOLDERS)
def test_the_name_of_a_folder_runs_nothing_from_cron(team, name, cron):
    folder = team(name, slo=SLO)
    assert reached(folder, cron) == [
        [str(folder), "report", "sim/fast", "--name", "hourly", *words(*ONE_LINE)],
        [str(folder), "metrics", "--port", "9464", *words(*ONE_LINE)],
    ]


@pytest.mark.parametrize("cron", [vixie, cronie])
@pytest.mark.parametrize("model", MODELS)
def test_the_name_of_a_model_reaches_the_command_whole(team, model, cron):
    if not model.isprintable():
        with pytest.raises(ConfigError, match="one line"):
            team(target=f"local/{model}")
        return
    folder = team(target=f"local/{model}")
    assert reached(folder, cron)[0][1:3] == ["report", f"local/{model}"]


@pytest.mark.parametrize("text", ["a\nb", "a\rb", "a\0b", "a\\b", "a\\", "\\%"])
def test_what_no_crontab_can_hold_is_refused(text):
    with pytest.raises(ConfigError, match="can't stand in a crontab"):
        quoting.cron(quoting.sh(text))


def test_what_prometheus_takes_for_a_pattern_alone_is_refused_and_nothing_is_written(team):
    with pytest.raises(ConfigError, match="no rules in a folder with a \\*"):
        team("a*b")
    assert not [*Path(os.environ["DUMPED"]).parent.glob("a*")]


@pytest.mark.parametrize("text", ["a\nb", "a\rb", "a\\", "a "])
def test_what_would_join_or_end_a_line_of_a_unit_is_refused(text):
    with pytest.raises(ConfigError, match="can't stand in a unit file"):
        quoting.unit(text)


def argv(line: str) -> list[str]:
    """The words of ExecStart= as systemd reads them: specifiers, quotes, escapes, variables."""
    lexer = shlex.shlex(line, posix=True, punctuation_chars=False)
    lexer.whitespace_split, lexer.commenters, lexer.quotes = True, "", '"'
    return [word.replace("%%", "%").replace("$$", "$") for word in lexer]


@pytest.mark.parametrize("model", [model for model in MODELS if model.isprintable()])
def test_the_units_start_the_same_words(team, model):
    folder = team(target=f"local/{model}", slo=SLO)
    unit = (folder / "systemd" / "holymon-hourly.service").read_text("utf-8")
    (line,) = re.findall("^ExecStart=(.*)$", unit, re.MULTILINE)
    assert argv(line)[1:] == ["report", f"local/{model}", "--name", "hourly", *words(*ONE_LINE)]
    bare = re.sub(r"%%|\$\$", "", line)
    assert not re.search(r"[%$]", bare), "a specifier or a variable would be filled in"
    assert len(unit.split("\n")) == 16


@pytest.mark.parametrize(
    "name", ["we ird", "per%cent", "dol$lar", "back`tick", "semi;colon", "@-+", "é"]
)
def test_systemd_itself_finds_a_program_whatever_its_name(tmp_path, monkeypatch, debian, name):
    program = tmp_path / name
    program.write_text(DUMP)
    program.chmod(0o755)
    monkeypatch.setattr(scheduled, "command", lambda: [str(program)])
    create(tmp_path / "team", target="local/$HOME%h;\"'`x`", slo=SLO)
    units = sorted((tmp_path / "team" / "systemd").iterdir())
    done = subprocess.run(
        [debian("systemd-analyze", "systemd"), "verify", *units],
        capture_output=True, text=True, check=False,
    )  # fmt: skip
    assert (done.returncode, done.stderr) == (0, "")


def test_prometheus_and_systemd_find_the_files_of_a_folder_whatever_its_name(tmp_path, debian):
    folder = tmp_path / ODD
    create(folder)
    done = subprocess.run(
        [debian("promtool"), "check", "config", folder / "prometheus.yml"],
        capture_output=True, text=True, check=False,
    )  # fmt: skip
    assert (done.returncode, "1 rule files found" in done.stdout) == (0, True), done.stdout
    done = subprocess.run(
        [debian("systemd-analyze", "systemd"), "verify", *(folder / "systemd").iterdir()],
        capture_output=True, text=True, check=False,
    )  # fmt: skip
    assert (done.returncode, done.stderr) == (0, "")
    grafana = (folder / "grafana/provisioning/dashboards/holymon.yml").read_text("utf-8")
    (provider,) = yaml.safe_load(grafana)["providers"]
    assert provider["options"]["path"].replace("$$", "$") == f"{folder}/grafana/dashboards"


@pytest.mark.parametrize(
    "value", ['a"b', "a\\b", "a\nb", "{{x}}", "`", "\x1b", "é\u2028", "a'b", "%s"]
)
def test_a_label_of_promql_reads_back_as_it_was(tmp_path, debian, value):
    rule = {"alert": "A", "expr": f"up{{job={quoted(value)}}} == 0"}
    path = tmp_path / "rules.yml"
    path.write_text(yaml.safe_dump({"groups": [{"name": "g", "rules": [rule]}]}))
    cases = tmp_path / "test.yml"
    exists = {"series": f"up{{job={quoted(value)}}}", "values": "0 0"}
    alert = {"eval_time": "1m", "alertname": "A", "exp_alerts": [{"exp_labels": {"job": value}}]}
    tests = [{"interval": "1m", "input_series": [exists], "alert_rule_test": [alert]}]
    cases.write_text(yaml.safe_dump({"rule_files": [str(path)], "tests": tests}))
    done = subprocess.run(
        [debian("promtool"), "test", "rules", cases], capture_output=True, text=True, check=False
    )
    assert done.returncode == 0, done.stdout + done.stderr


def test_line_ends_of_objectives_split_nothing(team, debian):
    folder = team(slo=SLO)
    rules = folder / "rules" / "holymon.yml"
    assert (
        rules.read_text().splitlines()[0]
        == f"# Alerts on {', '.join(ONE_LINE)}, by `holymon init`."
    )
    done = subprocess.run(
        [debian("promtool"), "check", "rules", rules], capture_output=True, text=True, check=False
    )
    assert done.returncode == 0, done.stderr
    assert Watch(tuple(ONE_LINE)).parsed
    shown = (folder / "README.md").read_text().split("```sh\n")[1].split("```")[0]
    assert [shlex.split(line, comments=True)[1] for line in shown.splitlines() if line] == [
        "report", "metrics",
    ]  # fmt: skip


def test_what_holds_a_secret_is_its_owners_and_a_wider_one_is_named(holymon, tmp_path):
    hook = "https://hooks.example.com/services/T0/B0/secret"
    done = holymon("init", "team", "--webhook", hook)
    assert done.returncode == 0
    secret = [tmp_path / "team" / name for name in ("holymon.env", "alertmanager.yml")]
    assert [stat.S_IMODE(path.stat().st_mode) for path in secret] == [0o600, 0o600]
    assert "others may read it" not in done.stderr
    for path in secret:
        path.chmod(0o644)
    again = holymon("init", "team").stderr
    for path in secret:
        assert f"team/{path.name} may hold a key, and others may read it: chmod 600" in again
    holders = [
        path
        for path in (tmp_path / "team").rglob("*")
        if path.is_file() and hook in path.read_text()
    ]
    assert holders == [tmp_path / "team" / "alertmanager.yml"]


@pytest.mark.parametrize(
    "name", ["notebooks", "rules", "grafana", "grafana/provisioning", "systemd"]
)
def test_no_file_is_written_through_a_link_out_of_the_folder(tmp_path, name):
    elsewhere = tmp_path / "elsewhere"
    elsewhere.mkdir()
    link = tmp_path / "team" / name
    link.parent.mkdir(parents=True)
    link.symlink_to(elsewhere)
    with pytest.raises(RunError, match="leads out of"):
        create(tmp_path / "team")
    assert [*elsewhere.iterdir()] == []


def test_a_link_in_the_place_of_a_file_is_replaced_not_followed(tmp_path):
    missing = tmp_path / "elsewhere.txt"
    (tmp_path / "team").mkdir()
    for name in ("prometheus.yml", "holymon.cron", "holymon.env"):
        (tmp_path / "team" / name).symlink_to(missing)
    create(tmp_path / "team")
    assert not missing.exists()
    assert not (tmp_path / "team" / "holymon.env").is_symlink()
    assert json.loads((tmp_path / "team/grafana/dashboards/holymon.json").read_bytes())
