"""The house: rooms import one way, pure rooms stay pure, each library has its home rooms."""

import ast
import re
import shutil
import subprocess
import sys
from collections.abc import Iterable
from functools import cache
from pathlib import Path

import pytest

from tests.house.sources import HOUSE, PATHS, nodes, text_of, trees

ROOT = Path(__file__).parents[2]

PURE = ("errors", "safety", "structs", "formatting", "protocols", "figures", "plots/binning",
        "plan/plan", "plan/shapes", "plan/slo", "plan/estimate", "plan/price", "plan/quirks", "records/attempt", "records/first_call",
        "records/records", "records/frames", "experiments/bisection", "experiments/bounds",
        "experiments/capacity", "experiments/level", "experiments/objectives",
        "experiments/calibration", "monitor/retry", "prometheus/metric_names",
        "prometheus/alerts", "prometheus/conditions", "prometheus/counting", "prometheus/rules",
        "prometheus/backtest", "report/digest", "report/payloads", "report/reported", "report/sparkline")  # fmt: skip
HOMES = {
    "aiohappyeyeballs": {"transport"},
    "aiohttp": {"sim"},
    "babel": {"language"},
    "bleach": {"report"},
    "click": {"cli"},
    "distributed": {"cluster"},
    "duckdb": {"catalogue", "records"},
    "fsspec": {"records"},
    "genai_prices": {"plan"},
    "httptools": {"transport"},
    "httpx": {"load", "report", "transport"},
    "IPython": {"widgets"},
    "PIL": {"widgets"},
    "ipywidgets": {"widgets"},
    "jinja2": {"report"},
    "matplotlib": {"plots", "widgets"},
    "msgspec": {"catalogue", "load", "monitor", "plan", "protocols", "report", "structs"},
    "jupyter_client": {"report"},
    "nbclient": {"report"},
    "nbconvert": {"report"},
    "nbformat": {"report"},
    "pandas": {"catalogue", "monitor", "records"},
    "papermill": {"report"},
    "prometheus_client": {"prometheus"},
    "tqdm": {"cli"},
    "traitlets": {"report"},
    "uvloop": {"load", "sim"},
    "yaml": {"cli"},
}
IMPURE = {
    "asyncio", "datetime", "importlib", "io", "logging", "os", "pathlib", "random", "socket",
    "subprocess", "threading", "time",
}  # fmt: skip
MODULES = [*PATHS]
PURE_MODULES = sorted(name for name in MODULES if name in PURE or name.partition("/")[0] in PURE)


@cache
def libraries(module: str) -> frozenset[str]:
    """The top-level names of all that a module imports, anywhere in it."""
    found = set()
    for node in nodes(module):
        if isinstance(node, ast.Import):
            found |= {alias.name for alias in node.names}
        elif isinstance(node, ast.ImportFrom):
            assert node.level == 0, "imports are absolute"
            found.add(node.module)
    return frozenset(name.partition(".")[0] for name in found)


def lint_imports(tree: Path) -> subprocess.CompletedProcess[str]:
    """The contracts of pyproject.toml, held against the package beside it."""
    return subprocess.run(
        [sys.executable, "-c", "from importlinter.cli import lint_imports_command as c; c()",
         "--no-cache"],
        cwd=tree, capture_output=True, text=True, check=False,
    )  # fmt: skip


def test_the_contracts_of_the_rooms_are_kept():
    done = lint_imports(ROOT)
    assert done.returncode == 0, done.stdout + done.stderr
    assert "4 kept, 0 broken" in done.stdout


BREAKS = {
    "records/records": (
        "holymon.figures.quantiles",
        "records.records -> holymon.figures.quantiles",
    ),
    "sim/models": ("holymon.formatting", "sim.models -> holymon.formatting"),
    "transport/pool": ("holymon.load.engine", "transport.pool -> holymon.load.engine"),
    "plan/shapes": ("holymon.plan.plan", ".shapes -> .plan"),
}
"""What a module may not import, and how that is told: each breaks another contract."""


def test_a_contract_fails_when_it_is_broken(tmp_path):
    shutil.copytree(HOUSE, tmp_path / "holymon")
    shutil.copy(ROOT / "pyproject.toml", tmp_path)
    for module, (imported, _) in BREAKS.items():
        with (tmp_path / "holymon" / f"{module}.py").open("a") as file:
            file.write(f"\nimport {imported}\n")
    done = lint_imports(tmp_path)
    assert done.returncode == 1
    assert "0 kept, 4 broken" in done.stdout
    assert [words for _, words in BREAKS.values() if words not in done.stdout] == []


def test_only_the_front_door_imports_by_name():
    by_name = [name for name in MODULES if "import_module" in text_of(name)]
    assert by_name == ["__init__"]


def test_the_house_has_six_files_beside_its_rooms():
    files = {path.stem for path in HOUSE.glob("*.py")}
    assert files == {"__init__", "__main__", "errors", "formatting", "safety", "structs"}


@pytest.mark.parametrize("library", sorted(HOMES))
def test_a_library_is_imported_only_at_home(library):
    found = {name.partition("/")[0] for name in MODULES if library in libraries(name)}
    assert found == HOMES[library]


def outside_in(module: str) -> set[str]:
    """The clocks, chance and outside world that a module has; a seeded generator is none."""
    chance = {
        f"np.random.{node.attr}"
        for node in nodes(module)
        if isinstance(node, ast.Attribute) and ast.unparse(node.value) == "np.random"
    }
    called = {
        node.func.id
        for node in nodes(module)
        if isinstance(node, ast.Call) and isinstance(node.func, ast.Name)
    }
    outside = {"open", "print", "input", "exec", "eval", "__import__"}
    return libraries(module) & IMPURE | chance - {"np.random.default_rng"} | called & outside


def test_pure_modules_have_no_clock_no_chance_and_no_outside():
    assert {name: found for name in PURE_MODULES if (found := outside_in(name))} == {}


def test_every_pure_name_is_there():
    assert [name for name in PURE if name not in MODULES and not (HOUSE / name).is_dir()] == []


def test_every_module_tells_its_job_in_its_first_line():
    first = {name: f"{ast.get_docstring(trees()[name])}".splitlines()[0] for name in MODULES}
    assert [name for name, line in first.items() if len(line) <= 20] == []


def test_a_module_fits_one_sitting_and_a_function_one_screen():
    assert [name for name in MODULES if len(text_of(name).splitlines()) > 300] == []
    long = [
        (name, node.name)
        for name in MODULES
        for node in nodes(name)
        if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef)
        and node.end_lineno - node.lineno >= 60
    ]
    assert long == []


def test_a_room_hands_on_nothing():
    """Its `__init__` is a docstring: what is in a room is imported from its modules."""
    rooms = [name for name in MODULES if "/" in name and name.endswith("__init__")]
    assert {
        name for name in rooms if [type(node) for node in trees()[name].body] != [ast.Expr]
    } == set()
    assert len(rooms) == 17


TAGS = "a b br details div h1 h2 h3 li ol p small span style summary table tbody td th thead tr ul"
TAG = re.compile(rf"</?({'|'.join(TAGS.split())})(?=[ >/])")
WITH_TAGS = {
    "formatting": "is where they are made",
    "protocols/error_body": "finds what an error page says",
    "report/report": "links to a page",
    "report/harmless": "takes style sheets out of what notebooks put out",
}
"""Modules that may name tags, and why."""


def tags_in(walked: Iterable[ast.AST]) -> list[str]:
    """What looks like a tag in the strings of a module; docstrings aside."""
    constants, docs = [], set()
    for node in walked:
        if isinstance(node, ast.Constant):
            constants.append(node)
        elif isinstance(node, ast.Expr):
            docs.add(id(node.value))
    return [
        node.value
        for node in constants
        if isinstance(node.value, str)
        if id(node) not in docs and TAG.search(node.value)
    ]


def test_html_is_made_in_formatting_alone():
    others = [name for name in MODULES if name not in WITH_TAGS]
    assert {name: tags for name in others if (tags := tags_in(nodes(name)))} == {}


def test_a_tag_in_a_string_is_found():
    assert tags_in(ast.walk(ast.parse("f'<p>{word}'"))) == ["<p>"]
    assert tags_in(ast.walk(ast.parse("x = 'a<br/>b'"))) == ["a<br/>b"]
    assert (
        tags_in(
            ast.walk(ast.parse("'<p>in a docstring</p>'\nx = '<Run a/b>' if 1 <2 else 'a < b'"))
        )
        == []
    )


def test_importing_a_module_changes_nothing():
    """At module level there are only imports, definitions and constants."""
    allowed = (
        ast.Import, ast.ImportFrom, ast.FunctionDef, ast.AsyncFunctionDef, ast.ClassDef,
        ast.Assign, ast.AnnAssign, ast.If, ast.Assert,
    )  # fmt: skip
    does = {
        name: ast.unparse(node)
        for name in MODULES
        for node in trees()[name].body
        if not isinstance(node, allowed)
        and not (isinstance(node, ast.Expr) and isinstance(node.value, ast.Constant))
    }
    assert [*does] == ["cli/main"], does
