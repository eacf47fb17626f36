"""The tree is linted, formatted and typed; notebooks are thin and hold no outputs."""

import ast
import json
import re
import subprocess
import sys
from pathlib import Path

import pytest

import holymon
from tests import types_read
from tests.house.sources import PATHS, nodes, trees

ROOT = Path(__file__).parents[2]
NOTEBOOKS = sorted((ROOT / "notebooks").glob("*.ipynb"))


def run(*command: str | Path) -> str:
    done = subprocess.run(
        [sys.executable, "-m", *command], cwd=ROOT, capture_output=True, text=True, check=False
    )
    assert done.returncode == 0, done.stdout + done.stderr
    return done.stdout


def test_ruff_has_nothing_to_say():
    run("ruff", "check", "--no-cache", ".")


def test_everything_is_formatted():
    run("ruff", "format", "--check", "--no-cache", ".")


@pytest.mark.parametrize("path", NOTEBOOKS, ids=lambda path: path.name)
def test_notebooks_are_stripped_thin_and_for_python3(path):
    notebook = json.loads(path.read_text())
    code = [cell for cell in notebook["cells"] if cell["cell_type"] == "code"]
    assert notebook["metadata"]["kernelspec"]["name"] == "python3"
    assert [cell for cell in code if cell["outputs"] or cell["execution_count"]] == []
    most = {False: 8, True: 10}  # of parameters, with those of language and money
    of_parameters = [(cell, "parameters" in cell["metadata"].get("tags", ())) for cell in code]
    assert [cell for cell, given in of_parameters if len(cell["source"]) > most[given]] == []
    assert "def " not in "".join("".join(cell["source"]) for cell in code)


@pytest.mark.parametrize("path", NOTEBOOKS, ids=lambda path: path.name)
def test_a_notebook_uses_public_names_only(path):
    """It imports `holymon as hm` and what analysts have anyway, and looks behind no name."""
    cells = [cell for cell in json.loads(path.read_text())["cells"] if cell["cell_type"] == "code"]
    lines = "".join("".join([*cell["source"], "\n"]) for cell in cells).splitlines()
    tree = ast.parse("\n".join(line for line in lines if not line.startswith("%")))
    imported = {
        (alias.name if isinstance(node, ast.Import) else node.module).partition(".")[0]
        for node in ast.walk(tree)
        if isinstance(node, ast.Import | ast.ImportFrom)
        for alias in node.names
    }
    known = {
        "holymon",
        "matplotlib",
        "pandas",
        "httpx",
        "distributed",
    }  # clients to be watched, and to measure on
    assert imported - known - sys.stdlib_module_names == set()
    used = [node for node in ast.walk(tree) if isinstance(node, ast.Attribute)]
    ours = {node.attr for node in used if ast.unparse(node.value) == "hm"}
    assert ours <= set(holymon.__all__)
    assert [node.attr for node in used if node.attr.startswith("_")] == []


def test_notebooks_have_their_order_in_their_names_and_reports_are_beside_it():
    names = [path.stem for path in NOTEBOOKS]
    numbers = [int(name[:2]) for name in names if not name.startswith("report_")]
    assert numbers == list(range(len(numbers)))
    assert len(numbers) > 5


def test_no_variable_argument_or_function_has_a_pronoun_or_a_participle_for_a_name():
    """`one`, `found` and `said` may be anything: a reader is told what it is."""
    vague = {"one", "found", "said", "told", "asked"}
    hits = [
        f"{module}:{node.lineno} {name}"
        for module in PATHS
        for node in nodes(module)
        for name in (
            [node.id] if isinstance(node, ast.Name) and isinstance(node.ctx, ast.Store)
            else [node.arg] if isinstance(node, ast.arg)
            else [node.name.strip("_")] if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef)
            else []
        )
        if name in vague
    ]  # fmt: skip
    assert hits == []


def test_no_two_public_classes_have_one_name():
    """Who reads `Level` knows which it is, wherever it stands."""
    homes: dict[str, list[str]] = {}
    for module, tree in trees().items():
        for node in tree.body:
            if isinstance(node, ast.ClassDef) and not node.name.startswith("_"):
                homes.setdefault(node.name, []).append(module)
    assert {name: where for name, where in homes.items() if len(where) > 1} == {}


def test_types_are_strict_and_every_public_name_has_one():
    """mypy has nothing to say, and reveals for each name a type that is not Any."""
    revealed = re.findall('Revealed type is "(.*)"', types_read.said())
    assert len(revealed) == len(types_read.NAMES)
    assert {"Any", "object"} & set(revealed) == set()
