"""A team's own folder: notebooks, targets, and the settings of all that watches, in one piece."""

import shlex
import sys
from collections.abc import Iterator
from importlib.resources import files
from pathlib import Path
from typing import Final

from holymon.cli import yamltext
from holymon.errors import ConfigError
from holymon.plan.targets import target as target_of
from holymon.prometheus import rules
from holymon.prometheus.alerts import OBJECTIVES, Limits, Watch
from holymon.prometheus.server import PORT
from holymon.records.run_folder import write_aside
from holymon.report.notebooks import PLACES
from holymon.safety import plain

DATA: Final = files("holymon") / "cli/start"
EVERY_S: Final = 3600.0
SECRETS: Final = "holymon.env"


def create(
    folder: Path, *, target: str = "sim/fast", slo: tuple[str, ...] = OBJECTIVES,
    webhook: str = "", port: int = PORT,
) -> tuple[list[Path], list[Path]]:  # fmt: skip
    """Write what is not there yet; the files written, and those that were left as they are.

    Raises ConfigError if it can't be written, PlanError for objectives or a target that can't be.
    """
    target_of(target)
    if not target.isprintable():
        raise ConfigError(
            f"target {plain(target)!r} can't stand in a crontab: it must be one line."
        )
    written: list[Path] = []
    kept: list[Path] = []
    for name, text in list(_contents(folder.resolve(), target, slo, webhook, port)):
        path = folder / name
        if path.exists():
            kept.append(path)
            continue
        try:
            path.parent.mkdir(parents=True, exist_ok=True)
            write_aside(path, text)
            if name == SECRETS:
                path.chmod(0o600)
        except OSError as error:
            raise ConfigError(f"can't write {path}: {error.strerror}.") from None
        written.append(path)
    return written, kept


def _contents(
    home: Path, target: str, slo: tuple[str, ...], webhook: str, port: int
) -> Iterator[tuple[str, str | bytes]]:
    """The name and the content of every file."""
    if any(char in str(home) for char in "%\n\\\"'$ \t"):
        raise ConfigError(
            f"{plain(str(home))} has a space or another special character in it, which cron, "
            "systemd and Prometheus each read in their own way: choose a plain path."
        )
    # Two reports that did not come are a silence; with one an hour, ten minutes are none.
    watch = Watch(slo, Limits(silence_s=2 * EVERY_S))
    command = _command()
    told = " ".join(f"--slo {shlex.quote(text)}" for text in slo)
    place = next(one for one in PLACES if one.is_dir())
    for notebook in sorted(place.glob("*.ipynb")):
        yield f"notebooks/{notebook.name}", notebook.read_bytes()
    yield "targets.toml", (DATA / "start" / "targets.toml").read_text("utf-8")
    yield SECRETS, (DATA / "start" / SECRETS).read_text("utf-8")
    yield (
        "prometheus.yml",
        yamltext.dump(
            rules.prometheus(exporter=f"127.0.0.1:{port}", rules=f"{home}/rules/*.yml"),
            "prometheus --config.file=prometheus.yml; promtool check config prometheus.yml",
        ),
    )
    yield "rules/holymon.yml", yamltext.dump(rules.rule_file(watch), _about_rules(watch))
    yield "alertmanager.yml", yamltext.dump(rules.alertmanager(webhook), _about_alerts(webhook))
    for name, settings in _grafana(home).items():
        yield f"grafana/{name}", yamltext.dump(settings)
    yield "grafana/dashboards/holymon.json", (DATA / "grafana/holymon.json").read_text("utf-8")
    places = {"home": str(home), "command": command, "target": shlex.quote(target), "told": told,
              "port": str(port)}  # fmt: skip
    for name in ("holymon.cron", "README.md", "systemd/holymon-metrics.service",
                 "systemd/holymon-report.service", "systemd/holymon-report.timer"):  # fmt: skip
        yield name, _filled((DATA / "start" / name).read_text("utf-8"), name, places)


def _filled(text: str, name: str, places: dict[str, str]) -> str:
    """A template with its places filled; cron and systemd read `%` and `$` in ways of their own."""
    own = {".cron": {"%": "\\%"}, ".service": {"%": "%%", "$": "$$"}}.get(Path(name).suffix, {})
    for place, value in places.items():
        spelled = "".join(own.get(char, char) for char in value)
        text = text.replace(f"@{place}@", spelled)
    return text


def _command() -> str:
    """How holymon is started by a daemon, which knows no virtual environment."""
    beside = Path(sys.executable).with_name("holymon")
    return str(beside) if beside.is_file() else f"{sys.executable} -m holymon"


def _about_rules(watch: Watch) -> str:
    lines = [f"Alerts on {', '.join(watch.objectives) or 'no objective'}, by `holymon init`.",
             "promtool check rules rules/holymon.yml"]  # fmt: skip
    if watch.unwatched:
        lines.append(f"No alert can watch {', '.join(watch.unwatched)}: reports judge those.")
    return "\n".join(lines)


def _about_alerts(webhook: str) -> str:
    if webhook:
        return "amtool check-config alertmanager.yml"
    return (
        "amtool check-config alertmanager.yml\n"
        "Nobody is told yet: give `team` a webhook, e-mail or chat (prometheus.io/docs/alerting)."
    )


def _grafana(home: Path) -> dict[str, dict[str, object]]:
    """Where Grafana finds its data and the dashboard."""
    source = {"name": "Prometheus", "type": "prometheus", "access": "proxy", "uid": "prometheus",
              "url": "http://127.0.0.1:9090", "isDefault": True}  # fmt: skip
    boards = {"name": "holymon", "type": "file",
              "options": {"path": f"{home}/grafana/dashboards"}}  # fmt: skip
    return {
        "provisioning/datasources/holymon.yml": {"apiVersion": 1, "datasources": [source]},
        "provisioning/dashboards/holymon.yml": {"apiVersion": 1, "providers": [boards]},
    }
