"""What `import holymon` offers, and how little it loads."""

import ast
import subprocess
import sys
from importlib import import_module
from importlib.util import find_spec
from pathlib import Path

import pytest

import holymon

MODULES = {path.stem for path in Path(holymon.__file__).parent.iterdir()}


def test_the_names_are_sorted_and_told():
    names = [name for name in holymon.__all__ if not name.startswith("__")]
    assert names == sorted(names)
    assert dir(holymon) == holymon.__all__
    assert set(names) == set(holymon._HOME)


@pytest.mark.parametrize("name", holymon.__all__)
def test_every_name_is_there(name):
    assert getattr(holymon, name) is not None


def test_every_name_is_known_to_type_checkers():
    tree = ast.parse(Path(holymon.__file__).read_text("utf-8"))
    (block,) = [node for node in tree.body if isinstance(node, ast.If)]
    known = {name.name for node in block.body for name in node.names}
    assert known == set(holymon.__all__) - {"__version__"}


def test_names_are_what_goes_in_and_verbs():
    """What a verb gives is reached by it: no such class is a name, so there are few of them."""
    results = {
        "Calibration",
        "Capacity",
        "Comparison",
        "Matrix",
        "Records",
        "Report",
        "Run",
        "Summary",
    }
    assert set(holymon.__all__) & results == set()
    assert len(holymon.__all__) <= 74


def test_no_name_is_a_modules():
    assert set(holymon.__all__) & MODULES == set()


def test_an_unknown_name_is_an_attribute_error():
    with pytest.raises(AttributeError, match="nothing"):
        _ = holymon.nothing


def test_a_name_is_the_same_object_wherever_it_is_imported():
    assert holymon.Plan is import_module("holymon.plan.plan").Plan


def test_importing_holymon_loads_nothing_heavy():
    heavy = {
        "aiohttp",
        "duckdb",
        "httpx",
        "matplotlib",
        "nbconvert",
        "numpy",
        "pandas",
        "papermill",
    }
    done = subprocess.run(
        [sys.executable, "-c", "import sys, holymon; print(*sys.modules)"],
        capture_output=True, text=True, check=True,
    )  # fmt: skip
    assert heavy & set(done.stdout.split()) == set()


def test_the_worker_loads_no_notebook_library():
    heavy = {"matplotlib", "nbconvert", "pandas", "papermill", "IPython", "duckdb"}
    done = subprocess.run(
        [sys.executable, "-c", "import sys, holymon.load.worker; print(*sys.modules)"],
        capture_output=True, text=True, check=True,
    )  # fmt: skip
    assert heavy & set(done.stdout.split()) == set()


def test_a_benchmark_imports_what_there_is():
    """They run too seldom to tell of a name that went."""
    gone = [
        f"{path.name}: {node.module}.{name.name}"
        for path in (Path(__file__).parents[1] / "bench").rglob("*.py")
        for node in ast.walk(ast.parse(path.read_text("utf-8")))
        if isinstance(node, ast.ImportFrom) and (node.module or "").startswith("holymon")
        for name in node.names
        if not hasattr(import_module(node.module), name.name)
        and find_spec(f"{node.module}.{name.name}") is None
    ]
    assert gone == []
