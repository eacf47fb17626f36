"""`holymon init` writes a folder whose parts find each other, by the word of their own tools."""

import json
import os
import re
import shlex
import subprocess
import sys
from pathlib import Path

import pytest
import yaml

from holymon.cli.init_folder import create, lacking
from holymon.cli.main import main
from holymon.errors import PlanError
from holymon.plan.targets import target
from holymon.prometheus.alerts import Limits, Watch
from holymon.prometheus.rules import rule_file

NOTEBOOKS = Path(__file__).parents[2] / "notebooks"
SLO = ("error_rate<1%", "ttft_p95<0.5", "cost_usd<5")


@pytest.fixture
def team(tmp_path):
    folder = tmp_path / "team"
    create(folder, slo=SLO, webhook="http://127.0.0.1:9/hook", port=9470)
    return folder


def run(*command, **more):
    return subprocess.run([*command], capture_output=True, text=True, check=False, **more)


def test_prometheus_finds_its_rules_and_takes_them(team, debian):
    done = run(debian("promtool"), "check", "config", team / "prometheus.yml")
    assert done.returncode == 0, done.stdout + done.stderr
    assert str(team / "rules" / "holymon.yml") in done.stdout
    assert "No alert can watch cost_usd<5" in (team / "rules" / "holymon.yml").read_text()


def settings(team, name):
    return yaml.safe_load((team / name).read_text())


@pytest.mark.parametrize("webhook", ["", "http://127.0.0.1:9/hook"])
def test_alertmanager_takes_its_settings(tmp_path, debian, webhook):
    create(tmp_path, webhook=webhook)
    tool = debian("amtool", "prometheus-alertmanager")
    done = run(tool, "check-config", tmp_path / "alertmanager.yml")
    assert done.returncode == 0, done.stderr
    assert "SUCCESS" in done.stdout
    (receiver,) = settings(tmp_path, "alertmanager.yml")["receivers"]
    hooks = [{"url": webhook, "send_resolved": True}]
    assert receiver == {"name": "team", **({"webhook_configs": hooks} if webhook else {})}


def test_tickets_and_pages_take_their_routes(team, debian):
    tool = debian("amtool", "prometheus-alertmanager")
    for label in ("severity=page", "severity=ticket"):
        done = run(tool, "config", "routes", "test", f"--config.file={team / 'alertmanager.yml'}",
                   "--verify.receivers=team", label)  # fmt: skip
        assert done.returncode == 0, done.stderr


def test_what_mutes_and_what_is_muted_are_alerts_of_the_rules(team):
    alerts = {rule["alert"]: rule["labels"] for rule in rules_of(team) if "alert" in rule}
    assert {labels["job"] for labels in alerts.values()} == {
        settings(team, "prometheus.yml")["scrape_configs"][0]["job_name"]
    }
    for rule in settings(team, "alertmanager.yml")["inhibit_rules"]:
        for matcher in (*rule["source_matchers"], *rule["target_matchers"]):
            label, pattern = re.fullmatch('(\\w+)=~?"(.*)"', matcher).groups()
            values = alerts if label == "alertname" else [a.get(label, "") for a in alerts.values()]
            assert any(re.fullmatch(pattern, value) for value in values), matcher


def rules_of(team):
    return settings(team, "rules/holymon.yml")["groups"][0]["rules"]


def test_the_rules_read_back_as_what_was_computed_a_line_of_an_expression_a_line(team):
    watch = Watch(SLO, Limits(silence_s=7200.0))
    assert settings(team, "rules/holymon.yml") == rule_file(watch)
    lines = (team / "rules" / "holymon.yml").read_text().splitlines()
    for rule in rules_of(team):
        assert all(any(line == shown.strip() or shown.endswith(line) for shown in lines)
                   for line in map(str.strip, rule["expr"].splitlines()))  # fmt: skip


@pytest.mark.parametrize(
    "odd",
    ["@port@", "a: b #c", "{a}", "?é", "\u2028", "\x7f", "[x]", "&a", "\U0001f600", "-", "a" * 200],
)
def test_odd_paths_and_webhooks_read_back_as_they_were_given(tmp_path, odd):
    folder, webhook = tmp_path / odd.replace(" ", ""), f'http://h/{odd}"\\\n'
    create(folder, webhook=webhook)
    (pattern,) = settings(folder, "prometheus.yml")["rule_files"]
    assert re.sub(r"\\(.)", r"\1", pattern) == f"{folder}/rules/*.yml"
    (receiver,) = settings(folder, "alertmanager.yml")["receivers"]
    assert receiver["webhook_configs"][0]["url"] == webhook
    (boards,) = settings(folder, "grafana/provisioning/dashboards/holymon.yml")["providers"]
    assert boards["options"]["path"] == f"{folder}/grafana/dashboards"


def test_systemd_takes_the_units_and_starts_what_is_there(team, debian):
    units = sorted((team / "systemd").iterdir())
    done = run(debian("systemd-analyze", "systemd"), "verify", *units)
    assert (done.returncode, done.stderr) == (0, "")


def test_a_unit_that_is_wrong_would_be_found(team, debian):
    path = team / "systemd" / "holymon-metrics.service"
    path.write_text(path.read_text().replace("ExecStart=/", "ExecStart=/nowhere/"))
    assert run(debian("systemd-analyze", "systemd"), "verify", path).returncode != 0


def commands_of(team):
    """What cron, the units and the README start, as the shell would see it."""
    cron = (team / "holymon.cron").read_text().replace("\\%", "%")
    yield from (line.split("&&")[1].split(">>")[0] for line in cron.splitlines() if line[0] in "7@")
    for unit in (team / "systemd").glob("*.service"):
        yield re.search("^ExecStart=(.*)$", unit.read_text(), re.MULTILINE)[1].replace("%%", "%")
    blocks = re.findall("```sh\n(.*?)```", (team / "README.md").read_text(), re.DOTALL)
    yield from (line for line in blocks[0].splitlines() if line)


def test_every_command_is_understood_with_all_its_options(team):
    seen = []
    for line in commands_of(team):
        words = shlex.split(line, comments=True)
        at = next(i for i, word in enumerate(words) if word.endswith("holymon"))
        name, *arguments = words[at + 1 :]
        context = main.commands[name].make_context(name, arguments)
        assert context.params["slo"] == SLO
        seen.append(name)
        if name == "metrics":
            assert context.params["port"] == 9470
    assert sorted(seen) == ["metrics"] * 3 + ["report"] * 3


def test_the_cron_lines_are_a_shells(team):
    lines = [line for line in (team / "holymon.cron").read_text().splitlines() if line[0] in "7@"]
    assert len(lines) == 2
    for line in lines:
        command = line.split(" ", 5)[5] if line[0] == "7" else line.split(" ", 1)[1]
        assert "%" not in command.replace("\\%", ""), "a bare % is a line's end in a crontab"
        assert run("sh", "-n", "-c", command.replace("\\%", "%")).returncode == 0


def test_the_parts_name_the_same_places(team):
    scraped = yaml.safe_load((team / "prometheus.yml").read_text())
    assert scraped["scrape_configs"][0]["static_configs"] == [{"targets": ["127.0.0.1:9470"]}]
    source = yaml.safe_load((team / "grafana/provisioning/datasources/holymon.yml").read_text())
    assert source["datasources"][0]["url"] == "http://127.0.0.1:9090"
    boards = yaml.safe_load((team / "grafana/provisioning/dashboards/holymon.yml").read_text())
    assert boards["providers"][0]["options"]["path"] == str(team / "grafana" / "dashboards")
    assert json.loads((team / "grafana/dashboards/holymon.json").read_text())["title"] == "holymon"
    ours = {path.name: path.read_bytes() for path in NOTEBOOKS.glob("*.ipynb")}
    copies = (team / "notebooks").glob("*.ipynb")
    assert {path.name: path.read_bytes() for path in copies} == ours
    assert "05_watch.ipynb" in ours


def test_a_copied_notebook_makes_the_hourly_report(team):
    done = run(sys.executable, "-m", "holymon", "report", "notebooks/report_health.ipynb", "sim/fast",
               "--requests", "30", "--rate", "30", "--name", "hourly", cwd=team)  # fmt: skip
    assert done.returncode in {0, 3}, done.stderr
    assert (team / "reports" / "hourly" / "latest.html").is_file()


def test_what_is_there_stays(team):
    (team / "targets.toml").write_text("# mine\n")
    (team / "holymon.cron").unlink()
    written, kept = create(team, slo=SLO)
    assert [path.name for path in written] == ["holymon.cron"]
    assert team / "targets.toml" in kept
    assert (team / "targets.toml").read_text() == "# mine\n"


@pytest.mark.skipif(os.name == "nt", reason="links take rights there")
def test_a_kernel_in_the_folder_of_notebooks_knows_the_teams_targets_and_none_above(
    team, monkeypatch
):
    own = '[mine]\nbase_url = "http://127.0.0.1:1/v1"\n'
    (team / "targets.toml").write_text(own)
    monkeypatch.delenv("HOLYMON_TARGETS", raising=False)
    monkeypatch.chdir(team / "notebooks")
    assert target("mine/any").base_url == "http://127.0.0.1:1/v1"
    (team / "targets.toml").unlink()
    create(team, slo=SLO)  # a link that leads nowhere is no obstacle
    assert (team / "notebooks" / "targets.toml").read_bytes() == (
        team / "targets.toml"
    ).read_bytes()
    (team / "targets.toml").write_text(own)
    (team / "notebooks" / "targets.toml").unlink()
    with pytest.raises(PlanError, match="not known"):
        target("mine/any")


def test_the_file_for_keys_is_its_owners_and_holds_none(team):
    assert (team / "holymon.env").stat().st_mode & 0o777 == 0o600
    lines = (team / "holymon.env").read_text().splitlines()
    assert [line for line in lines if not line.startswith("#")] == []


def test_no_place_is_left_unfilled(team):
    for path in team.rglob("*"):
        if path.is_file() and path.suffix not in {".ipynb", ".json"}:
            assert not re.search("@[a-z]+@", path.read_text()), path


def test_bad_wishes_are_one_sentence_and_write_nothing(holymon, tmp_path):
    for wish, said in (
        (("--target", "nobody/x"), "not known"),
        (("--target", "local/a\nb"), "one line"),
        (("--slo", "nonsense"), "not an objective"),
        (("--webhook", "me@example.com"), "no address"),
        (("--port", "0"), "65535"),
    ):
        done = holymon("init", "team", *wish)
        assert (done.returncode, len(done.stderr.splitlines())) == (2, 1), done.stderr
        assert said in done.stderr
    done = holymon("init", "my\\team")
    assert done.returncode == 2
    assert "without a backslash" in done.stderr
    assert list(tmp_path.iterdir()) == []


def test_names_with_dollars_and_percents_reach_the_command_whole(tmp_path):
    folder = tmp_path / "team"
    create(folder, target="local/a$HOME%h'b")
    unit = (folder / "systemd" / "holymon-hourly.service").read_text()
    assert "$$HOME%%h" in unit
    cron = (folder / "holymon.cron").read_text()
    command = cron.splitlines()[1].split("&&")[1].replace("\\%", "%")
    assert "local/a$HOME%h'b" in shlex.split(command)


@pytest.mark.parametrize("name", ["mine", "my server"])
def test_a_target_of_ones_own_goes_with_the_folder(tmp_path, monkeypatch, name):
    monkeypatch.chdir(tmp_path)
    (tmp_path / "targets.toml").write_text(
        f'["{name}"]\nbase_url = "http://10.0.0.1:8000/v1"\napi_key_env = "MINE_KEY"\n'
        f'ca_file = "ca.pem"\n["{name}".models."q/wen 3 \\"x\\""]\ninput = 0.5\noutput = 1\n'
        '[other]\nbase_url = "http://secret.internal/v1"\n'
    )
    wanted = target(f'{name}/q/wen 3 "x"')
    create(tmp_path / "team", target=f"{name}/x")
    copied = (tmp_path / "team" / "targets.toml").read_text("utf-8")
    assert "secret.internal" not in copied
    assert "\nMINE_KEY=\n" in (tmp_path / "team" / "holymon.env").read_text("utf-8")
    assert not lacking(tmp_path / "team", f"{name}/x")
    (tmp_path / "team" / "targets.toml").write_text("[older]\nbase_url = 'http://h/v1'\n")
    told, _, definition = lacking(tmp_path / "team", f"{name}/x").partition("\n\n")
    assert told.endswith(f"targets.toml does not know '{name}', which is to be measured: add")
    assert definition in copied, "what to add is what a new folder has"
    (tmp_path / "team" / "targets.toml").write_text(definition)
    monkeypatch.chdir(tmp_path / "team")
    there = target(f'{name}/q/wen 3 "x"')
    assert there.ca_file == str(tmp_path / "ca.pem")
    assert there.price == wanted.price
    assert (there.base_url, there.api_key_env) == (wanted.base_url, wanted.api_key_env)
