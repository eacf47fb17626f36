"""What a newcomer copies from the README exists and is what is tested."""

import json
import os
import re
import shlex
import subprocess
from pathlib import Path

import pytest
from click.testing import CliRunner

from holymon.cli.main import main

ROOT = Path(__file__).parents[2]
README = (ROOT / "README.md").read_text()


def commands() -> list[str]:
    blocks = re.findall(r"```(?:sh)\n(.*?)```", README, re.DOTALL)
    return [line for block in blocks for line in block.splitlines() if line]


def test_the_test_command_stands_once_between_its_marks():
    found = re.findall(r"<!-- test -->\n```sh\n(.*)\n```\n<!-- end -->", README)
    assert len(found) == 1
    assert found[0].endswith("-m pytest -n auto")


def test_the_first_command_makes_a_report_on_the_simulator():
    first = commands()[0]
    assert first.startswith("python3 -m venv .venv && .venv/bin/pip install")
    assert "holymon report sim/fast" in first


def understood(line: str) -> bool:
    """Parse a holymon command with all its options, up to the point where it would begin."""
    words = shlex.split(line, comments=True)
    at = next((i for i, word in enumerate(words) if word.endswith("holymon")), None)
    if at is None or at + 1 == len(words) or "=" in words[0]:
        return False
    name, *arguments = words[at + 1 :]
    main.commands[name].make_context(name, arguments)  # raises for an option that isn't there
    return True


@pytest.fixture(autouse=True)
def _no_place(monkeypatch):
    """--place is handed on by the environment, which the next test must not see."""
    monkeypatch.setenv("HOLYMON_PLACE", "")


def test_every_holymon_command_in_the_readme_is_understood():
    parts = [part for line in commands() for part in re.split(r"&&|>>", line)]
    assert sum(map(understood, parts)) >= 14


def test_every_holymon_command_in_a_notebook_is_understood():
    seen = 0
    for path in sorted((ROOT / "notebooks").glob("*.ipynb")):
        text = "".join("".join(cell["source"]) for cell in json.loads(path.read_text())["cells"])
        seen += sum(map(understood, re.findall("`(holymon [a-z]+ [^`]+)`", text)))
    assert seen >= 5


def test_it_reads_in_five_minutes():
    prose = re.sub(r"```.*?```", "", README.split("## Security")[0], flags=re.DOTALL)
    assert len(prose.split()) <= 700
    assert len(README.splitlines()) <= 161


def test_relative_links_lead_somewhere():
    targets = re.findall(r"\]\(([^)#:]+)\)", README)
    assert [target for target in targets if not (ROOT / target).exists()] == []


def test_notebooks_lead_to_notebooks():
    folder = ROOT / "notebooks"
    texts = [path.read_text() for path in folder.glob("*.ipynb")]
    found = {name for text in texts for name in re.findall(r"\]\(([^)#:]+)\)", text)}
    assert {name for name in found if not (folder / name).exists()} == set()
    assert {path.name for path in folder.glob("[01][0-9]_*.ipynb")} - {"00_start.ipynb"} <= found, (
        "00_start names them all"
    )


def test_ci_runs_the_readmes_own_command():
    script = (ROOT / ".ci" / "run").read_text()
    assert "README.md" in script
    assert "pytest" not in script.replace("# ", "")
    assert os.access(ROOT / ".ci" / "run", os.X_OK)
    subprocess.run(["bash", "-n", ROOT / ".ci" / "run"], check=True)


def test_the_version_is_told():
    assert CliRunner().invoke(main, ["--version"]).output.strip().endswith("0.1.0")
