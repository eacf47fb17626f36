"""By a colleague: what stands in a folder, or in a prompt, runs nothing where a report is scheduled."""

import ast
import re
import shlex
from pathlib import Path

import jinja2
import pytest
import yaml
from click.testing import CliRunner

from holymon.cli import schedule as command
from holymon.cli.main import main
from holymon.cli.scheduled import Scheduled
from holymon.cli.timetable import Timetable

TEXTS = [
    "costs $(OPENAI_API_KEY) or $$(X) or $X", "{% endraw %}{{ 7*7 }}{% raw %}", "{%- endraw -%}{# x #}",
    "${{ secrets.OPENAI_API_KEY }}", "$${{ x }} ${{ '${{' }}", "it's `id` and \"$(id)\"",
]  # fmt: skip


def written(kind: str, text: str) -> str:
    words = ("report", "sim/fast", "--prompt", text)
    known = Scheduled(
        "n", words, Timetable(60, 7), Path("/x"), None, Path("/x/log"), 60, ("A_KEY",)
    )
    return known.texts(kind)[0][1]


def expanded(word: str) -> str:
    """As Kubernetes does it (third_party/forked/golang/expansion), with a value for every name."""
    return re.sub(r"\$\$|\$\(([^)]*)\)", lambda m: "$" if m[0] == "$$" else "VALUE", word)


@pytest.mark.parametrize("text", TEXTS)
def test_a_prompt_stays_text_for_those_that_run_it_elsewhere(text):
    job = yaml.safe_load(written("kubernetes", text))["spec"]["jobTemplate"]["spec"]
    container = job["template"]["spec"]["containers"][0]
    assert expanded(container["command"][4]) == text
    (line,) = re.findall(r"bash_command=(.*),$", written("airflow", text), re.MULTILINE)
    assert shlex.split(jinja2.Template(ast.literal_eval(line)).render())[-1] == text
    steps = yaml.safe_load(written("github", text))["jobs"]["report"]["steps"]
    run = re.sub(r"\$\{\{ ('\$\{\{'|.*?) \}\}", lambda m: "${{" if "'" in m[1] else "VALUE",
                 steps[2]["run"])  # fmt: skip
    assert shlex.split(run)[-1] == text


@pytest.fixture
def here(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    return tmp_path


def test_a_file_of_keys_that_lies_here_is_not_run_unless_it_is_named(here):
    """cron's shell would run it: `. holymon.env`."""
    (here / "holymon.env").write_text("A_KEY=x$(touch /tmp/owned)\n")
    (here / "holymon.env").chmod(0o600)
    done = CliRunner().invoke(main, ["schedule", "--", "sim/fast"])
    assert done.exit_code == 0
    assert "holymon.env" not in done.stdout


def test_a_log_that_lies_here_as_a_link_is_not_written_through(here):
    (here / "holymon.log").symlink_to(here / "authorized_keys")
    done = CliRunner().invoke(main, ["schedule", "--", "sim/fast"])
    assert "holymon.log is a link" in done.output


@pytest.mark.parametrize("kind", ["cron", "systemd", "kubernetes"])
@pytest.mark.parametrize("mark", ["\u2028", "\u202e", "\u200c"])
def test_a_text_that_is_not_what_is_printed_is_told(here, monkeypatch, kind, mark):
    """It was the unit of another folder, without a word; some languages join letters so."""
    folder = here / f"a{mark}b"
    folder.mkdir()
    monkeypatch.chdir(folder)
    words = ["schedule", "--for", kind, "--", "sim/fast", "--name", "n", "--prompt", f"a{mark}b"]
    done = CliRunner().invoke(main, words)
    assert done.exit_code == 0
    assert mark not in done.output
    assert "not to be copied: what is printed as <U+...> is another character" in done.stderr
    assert ("--install" in done.stderr.splitlines()[0]) == (kind != "kubernetes")
    monkeypatch.chdir(here)
    assert "copied" not in CliRunner().invoke(main, words[:-2]).stderr


def test_lines_of_a_crontab_are_those_that_cron_reads(monkeypatch):
    """A form feed or a letter of Unicode's that ends a line elsewhere would begin a job."""
    others, given = "# a\x0c* * * * * evil\n# b\u2028* * * * * evil\x85x", []

    def run(*words, given_=given, **more):
        given_.append(more.get("given"))
        return others + "\n"

    monkeypatch.setattr(command, "_run", run)
    known = Scheduled("n", ("report",), Timetable(60, 7), Path("/x"), None, Path("/x/log"), 60)
    command._in_crontab(known, remove=False)
    assert given[-1] == f"{others}\n{known.label}\n{known.line}\n"
    command._in_crontab(known, remove=True)
    assert given[-1] == others + "\n"
