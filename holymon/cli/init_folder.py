"""A team's own folder: notebooks, targets, and the settings of all that watches, in one piece."""

import glob
import os
import re
import stat
from collections.abc import Iterator
from functools import partial
from pathlib import Path
from typing import Any, Final

import yaml

from holymon.cli import quoting, scheduled
from holymon.cli.timetable import Timetable
from holymon.errors import ConfigError
from holymon.plan.targets import USER_FILE, own_definition, providers_in, toml_key, toml_of
from holymon.plan.targets import unpriced as target_of
from holymon.prometheus import rules
from holymon.prometheus.alerts import OBJECTIVES, Limits, Watch
from holymon.prometheus.exporter import PORT
from holymon.records.own_files import PRIVATE, require_inside, write_aside
from holymon.report.notebooks import PLACES
from holymon.safety import plain

TEMPLATES: Final = Path(__file__).with_name("start")
EVERY_S: Final = 3600.0
SECRETS: Final = ("holymon.env", "alertmanager.yml")
"""What holds keys, or an address that is as good as one."""


def create(
    folder: Path, *, target: str = "sim/fast", slo: tuple[str, ...] = OBJECTIVES,
    webhook: str = "", port: int = PORT,
) -> tuple[list[Path], list[Path]]:  # fmt: skip
    """Write what is not there yet; the files written, and those that were left as they are.

    Raises ConfigError for a webhook that is no address or a path that can't be written, PlanError
    for objectives or a target that can't be parsed, RunError for a link that leads out of it.
    """
    target_of(target)
    slo = tuple(" ".join(text.split()) for text in slo)
    if not target.isprintable():
        raise ConfigError(
            f"target {plain(target)!r} can't stand in a crontab: it must be one line."
        )
    if webhook and not webhook.startswith(("http://", "https://")):
        raise ConfigError("the webhook is no address: write http:// or https://.")
    written: list[Path] = []
    kept: list[Path] = []
    for name, content in list(_contents(folder.resolve(), target, slo, webhook, port)):
        path = folder / name
        if path.exists():
            kept.append(path)
            continue
        try:
            for parent in Path(name).parents:
                require_inside(folder / parent, folder)
            path.parent.mkdir(parents=True, exist_ok=True)
            if isinstance(content, Path):
                path.symlink_to(content)
            else:
                write_aside(path, content, mode=PRIVATE if name in SECRETS else 0o666)
        except OSError as error:
            raise ConfigError(f"can't write {path}: {error.strerror}.") from None
        written.append(path)
    return written, kept


def too_open(paths: list[Path]) -> list[Path]:
    """Those of the files that may hold keys, and that others than their owner may read."""
    secret = [path for path in paths if path.name in SECRETS]
    return [path for path in secret if stat.S_IMODE(path.stat().st_mode) & ~PRIVATE]


def lacking(folder: Path, target: str) -> str:
    """What an older targets.toml in the folder must be told of a target; empty if nothing.

    Raises ConfigError for a file that can't be read.
    """
    name = target.partition("/")[0]
    about, path = own_definition(name), folder / USER_FILE
    if not about or name in providers_in(path):
        return ""
    return (
        f"{path} does not know {plain(name)!r}, which is to be measured: add\n\n"
        f"{toml_of(toml_key(name), about).strip()}"
    )


def _contents(
    home: Path, target: str, slo: tuple[str, ...], webhook: str, port: int
) -> Iterator[tuple[str, str | bytes | Path]]:
    """The name and the content of every file; that of a link is where it leads."""
    notebooks = next(place for place in PLACES if place.is_dir())
    for notebook in sorted(notebooks.glob("*.ipynb")):
        yield f"notebooks/{notebook.name}", notebook.read_bytes()
    goals = [word for text in slo for word in ("--slo", text)]
    hourly = scheduled.Scheduled(
        "hourly", ("report", target, "--name", "hourly", *goals), Timetable(60, 7), home,
        home / "holymon.env", home / "holymon.log", timeout_s=900,
    )  # fmt: skip
    places: dict[str, str | list[str]] = {
        "home": str(home), "target": target, "port": str(port),
        "reports": [*scheduled.command(), *hourly.words],
        "metrics": [*scheduled.command(), "metrics", "--port", str(port), *goals],
        "webhook": webhook, "off": "" if webhook else "# ", **_copied(target),
    }  # fmt: skip
    for path in sorted(path for path in TEMPLATES.rglob("*") if path.is_file()):
        text = _filled(path, places)
        if path.suffix == ".cron":
            text = text.replace("#hourly", hourly.line)
        yield str(path.relative_to(TEMPLATES)), text
    for name, text in hourly.texts("systemd"):
        yield f"systemd/{name}", text
    if os.name != "nt":  # there a link takes rights that few have
        # A kernel works in the folder of its notebook, and targets are looked for there alone:
        # whatever lies above may be anybody's.
        yield "notebooks/targets.toml", Path("..", "targets.toml")
    # Two reports that did not come are a silence; with one an hour, ten minutes are none.
    yield "rules/holymon.yml", _rules(Watch(slo, Limits(silence_s=2 * EVERY_S)))


def _copied(target: str) -> dict[str, str]:
    """What the folder must know of a target: its definition, if it is the user's own, and its key.

    The definition is copied, and stands in a file that is read from another folder.
    """
    name = target.partition("/")[0]
    about = own_definition(name)
    variable = target_of(target).api_key_env
    known = variable == "HOLYSHEEP_API_KEY" or not variable
    return {
        "definition": f"\n{toml_of(toml_key(name), about)}" if about else "",
        "key": "" if known else f"{variable}=\n",
    }


def _filled(template: Path, places: dict[str, str | list[str]]) -> str:
    """The text of a template with every `@place@` filled, as its reader spells it."""

    def line_of(line: str) -> str:
        spelled = partial(_spelled, template, line.partition("=")[0])
        return re.sub("@([a-z]+)@", lambda match: spelled(places[match[1]]), line)

    return "".join(map(line_of, template.read_text("utf-8").splitlines(keepends=True)))


def _spelled(template: Path, setting: str, value: str | list[str]) -> str:
    """A text, or the words of a command, in a template, where `setting` is set."""
    suffix = template.suffix
    if suffix == ".yml" and isinstance(value, str):
        if template.name == "prometheus.yml":
            value = quoting.go_pattern(value)
        in_grafana = template.is_relative_to(TEMPLATES / "grafana")
        return quoting.yaml_inner(value.replace("$", "$$") if in_grafana else value)
    if suffix == ".cron":
        return quoting.cron(quoting.sh(value))
    if suffix == ".md":
        return quoting.sh(value)
    if suffix == ".service" and setting == "ExecStart":
        return quoting.unit_words([value] if isinstance(value, str) else value)
    text = value if isinstance(value, str) else quoting.sh(value)
    if suffix == ".service":
        return quoting.unit(glob.escape(text) if setting == "EnvironmentFile" else text)
    return text


def _rules(watch: Watch) -> str:
    """The rule file, the one that is computed."""
    head = [f"Alerts on {', '.join(watch.objectives) or 'no objective'}, by `holymon init`.",
            "promtool check rules rules/holymon.yml"]  # fmt: skip
    if watch.unwatched:
        head.append(f"No alert can watch {', '.join(watch.unwatched)}: reports judge those.")
    return "".join(f"# {line}\n" for line in head) + str(
        yaml.dump(rules.rule_file(watch), Dumper=Readable, sort_keys=False, width=quoting.WIDE)
    )


# Where PyYAML was built with libyaml, that writes the same some ten times faster.
_Dumper: Any = getattr(yaml, "CSafeDumper", yaml.SafeDumper)


class Readable(_Dumper):  # type: ignore[misc]
    """Writes a text of several lines as such."""

    def represent_scalar(self, tag: str, value: Any, style: str | None = None) -> Any:
        """A scalar; one of several lines as a block."""
        lines = "|" if isinstance(value, str) and "\n" in value else style
        return super().represent_scalar(tag, value, lines)
