"""By a colleague: the folder that one stands in runs nothing, whatever its files are called."""

import os
import subprocess
import sys
from pathlib import Path

import pytest

from holymon.errors import ConfigError
from holymon.report.notebooks import PLACES, execute, find_notebook

from .test_by_colleague_folder import notebook
from .traps import set_traps


@pytest.fixture
def hostile(tmp_path, monkeypatch):
    folder = set_traps(tmp_path / "theirs")
    monkeypatch.setenv("RAN", str(tmp_path / "ran.txt"))
    monkeypatch.chdir(folder)
    return folder


def ran(folder: Path) -> str:
    path = folder.parent / "ran.txt"
    return path.read_text() if path.exists() else ""


def test_a_kernel_imports_nothing_from_it_and_obeys_none_of_its_settings(hostile, fresh):
    """In a new interpreter; so are the command, its workers and its simulator with the wheel."""
    mine = notebook(
        hostile / "mine.ipynb",
        "import matplotlib, os, sys\n"
        "print(os.getcwd(), matplotlib.rcParams['lines.linewidth'], '' in sys.path)",
    )
    made, status, error, _ = execute(mine, {}, 60.0)
    assert (status, error, ran(hostile)) == ("ok", "", "")
    assert f"{hostile} 1.5 False" in str(made.cells[-1].outputs)


def test_python_m_imports_from_it_only_what_python_itself_does(hostile):
    for path in hostile.glob("*.py"):
        if path.stem in sys.stdlib_module_names:  # runpy.py would run before us
            path.unlink()
    (hostile / "holymon.py").unlink()
    (hostile / "__main__.py").unlink()
    done = subprocess.run(
        [sys.executable, "-m", "holymon", "runs"], capture_output=True, text=True, check=False
    )
    assert (done.returncode, ran(hostile)) == (0, ""), done.stderr


@pytest.mark.parametrize("name", ["report_health", "explore", "01_explore", "compare"])
def test_the_name_of_a_packaged_notebook_is_that_one(hostile, name):
    (hostile / name).write_text("{}")
    assert find_notebook(name).parent in PLACES
    assert find_notebook(Path(name)).parent in PLACES


@pytest.mark.parametrize("name", ["mine", "report_helth", "notes.txt"])
def test_another_notebook_needs_its_ending_or_a_path(hostile, name):
    (hostile / name).write_text("{}")
    with pytest.raises(ConfigError, match=r"there is no notebook .*ends in \.ipynb"):
        find_notebook(name)
    (hostile / f"{name}.ipynb").write_text("{}")
    assert find_notebook(f"{name}.ipynb") == Path(f"{name}.ipynb")
    assert find_notebook(hostile / name) == hostile / name


def test_modules_of_ones_own_come_from_the_folder_that_is_named(tmp_path, monkeypatch):
    helpers = tmp_path / "it's mine"
    helpers.mkdir()
    (helpers / "team_helper.py").write_text("WORD = 'helped'\n")
    book = notebook(tmp_path / "own.ipynb", "import team_helper\nprint(team_helper.WORD)")
    monkeypatch.chdir(helpers)
    _, status, error, _ = execute(book, {}, 60.0)
    assert (status, error) == ("failed", "ModuleNotFoundError: No module named 'team_helper'")
    monkeypatch.chdir(tmp_path)
    made, status, error, _ = execute(book, {}, 60.0, Path("it's mine"))
    assert (status, error) == ("ok", "")
    assert "helped" in str(made.cells[-1].outputs)
    assert "PYTHONSAFEPATH" not in os.environ
