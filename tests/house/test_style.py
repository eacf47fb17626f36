"""The tree is linted, formatted and typed; notebooks are thin and hold no outputs."""

import json
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]
NOTEBOOKS = sorted((ROOT / "notebooks").glob("*.ipynb"))


def run(*command: str) -> None:
    done = subprocess.run(
        [sys.executable, "-m", *command], cwd=ROOT, capture_output=True, text=True, check=False
    )
    assert done.returncode == 0, done.stdout + done.stderr


def test_ruff_has_nothing_to_say():
    run("ruff", "check", "--no-cache", ".")


def test_everything_is_formatted():
    run("ruff", "format", "--check", "--no-cache", ".")


def test_types_are_strict():
    run("mypy", "--no-incremental")


@pytest.mark.parametrize("path", NOTEBOOKS, ids=lambda path: path.name)
def test_notebooks_are_stripped_thin_and_for_python3(path):
    notebook = json.loads(path.read_text())
    code = [cell for cell in notebook["cells"] if cell["cell_type"] == "code"]
    assert notebook["metadata"]["kernelspec"]["name"] == "python3"
    assert [cell for cell in code if cell["outputs"] or cell["execution_count"]] == []
    assert [cell for cell in code if len(cell["source"]) > 8] == []
    assert "def " not in "".join("".join(cell["source"]) for cell in code)


def test_there_are_notebooks():
    assert NOTEBOOKS
