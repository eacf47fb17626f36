"""By a colleague: the folder that one stands in runs nothing, whatever its files are called."""

import os
import subprocess
import sys
from pathlib import Path

import pytest

from holymon.errors import ConfigError
from holymon.report.notebooks import PLACES, execute, find_notebook

from .test_by_colleague_folder import notebook

TRAP = "import os, sys; open(os.environ['RAN'], 'a').write(f'{__file__} {sys.argv}\\n')\n"
LIBRARIES = """
    IPython _distutils_hack aiohappyeyeballs aiohttp bleach certifi click comm dateutil debugpy decorator
    duckdb holymon holymon_extra httptools httpx idna ipykernel ipykernel_launcher ipywidgets jinja2
    jsonschema jupyter_client jupyter_core matplotlib matplotlib_inline mistune msgspec nbclient nbconvert
    nbformat numpy pandas papermill PIL prometheus_client psutil pygments pytz sitecustomize tornado tqdm
    traitlets usercustomize uvloop yaml zmq ipython_config ipython_kernel_config jupyter_config
    jupyter_nbconvert_config papermill_config __main__ conftest report_health
""".split()


@pytest.fixture
def hostile(tmp_path, monkeypatch):
    """A folder with a file for each library that anything of ours may import."""
    folder = tmp_path / "theirs"
    folder.mkdir()
    for name in {*LIBRARIES, *sys.stdlib_module_names}:
        (folder / f"{name}.py").write_text(TRAP)
    for name in ("report_health", "report", "index.html.j2", "base.html.j2", "conf.json"):
        (folder / name).write_text("{{ 7*7 }} not a notebook")
    (folder / "holymon").mkdir()
    (folder / "holymon" / "index.html.j2").write_text("{{ 7*7 }}")
    (folder / "matplotlibrc").write_text("lines.linewidth: 77\n")
    monkeypatch.setenv("RAN", str(tmp_path / "ran.txt"))
    monkeypatch.chdir(folder)
    return folder


def ran(folder: Path) -> str:
    path = folder.parent / "ran.txt"
    return path.read_text() if path.exists() else ""


def test_neither_workers_nor_the_simulator_nor_a_kernel_import_from_it(hostile, fresh):
    command = Path(sys.executable).with_name("holymon")
    mine = notebook(
        hostile / "mine.ipynb",
        "import matplotlib, os, sys\n"
        "print(os.getcwd(), matplotlib.rcParams['lines.linewidth'], '' in sys.path)",
    )
    load = ["sim/fast", "--requests", "4", "--rate", "8", "--workers", "2"]
    done = subprocess.run(
        [command, "report", "./mine.ipynb", *load], capture_output=True, text=True, check=False
    )
    assert ran(hostile) == ""
    assert done.returncode in {0, 3}, done.stderr
    (page,) = hostile.glob("reports/*/*/report.html")
    assert f"{hostile} 1.5 False" in page.read_text()
    assert mine.is_file()


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
