"""The house: imports point up one list, and each third-party library has its home modules."""

import ast
from pathlib import Path

import pytest

HOUSE = Path(__file__).parent.parent / "holymon"

# A module may import only modules that stand before it.
ORDER = (
    "errors", "safety", "sse", "shapes", "quantiles", "slo", "plan", "records", "frames",
    "errorbody", "chat", "prices", "vitals", "summary", "verdict", "bins",
    "failures", "inflate", "prepared", "transport", "limits", "client", "engine", "journal",
    "store", "selfcheck", "worker", "run", "signals", "plots", "tables", "cards", "pages",
    "prompts", "targets", "headless", "report", "simmodels", "sim", "doctor", "options", "cli", "__init__",
    "__main__",
)  # fmt: skip
PURE = ORDER[: ORDER.index("bins") + 1]

HOMES = {
    "aiohttp": {"transport", "failures", "limits", "client", "prepared", "inflate", "sim"},
    "bleach": {"report"},
    "click": {"cli", "options"},
    "duckdb": {"store"},
    "httpx": {"transport", "failures", "limits", "client", "prepared", "inflate", "doctor"},
    "ipywidgets": set(),
    "matplotlib": {"plots"},
    "msgspec": {"plan", "chat", "errorbody", "worker"},
    "nbclient": {"headless"},
    "nbconvert": {"report"},
    "nbformat": {"headless", "report"},
    "pandas": {"records"},
    "papermill": {"headless"},
    "tqdm": {"cli"},
    "uvloop": {"worker", "sim"},
}
IMPURE = {
    "asyncio", "datetime", "io", "logging", "os", "pathlib", "random", "socket", "subprocess",
    "threading", "time",
}  # fmt: skip


def modules() -> dict[str, ast.Module]:
    return {path.stem: ast.parse(path.read_text()) for path in HOUSE.glob("*.py")}


def imported(tree: ast.Module, *, package: str = "") -> set[str]:
    """Top-level names imported anywhere, or the modules of `package`; not those for types only."""
    found = set()
    typing = [
        inner
        for node in ast.walk(tree)
        if isinstance(node, ast.If) and "TYPE_CHECKING" in ast.unparse(node.test)
        for inner in ast.walk(node)
    ]
    for node in ast.walk(tree):
        if node in typing:
            continue
        if isinstance(node, ast.Import):
            found |= {alias.name for alias in node.names}
        elif isinstance(node, ast.ImportFrom) and node.module:
            found |= {f"{node.module}.{alias.name}" for alias in node.names}
    if not package:
        return {name.partition(".")[0] for name in found}
    inside = {name.split(".")[1] for name in found if name.startswith(f"{package}.")}
    return inside & set(modules())


def test_the_list_names_every_module():
    assert sorted(ORDER) == sorted(modules())


@pytest.mark.parametrize("name", ORDER)
def test_imports_point_one_way(name):
    before = set(ORDER[: ORDER.index(name)])
    assert imported(modules()[name], package="holymon") - before == set()


def test_the_simulator_knows_nothing_of_the_rest():
    assert imported(modules()["sim"], package="holymon") == {"simmodels"}
    assert imported(modules()["simmodels"], package="holymon") == set()


@pytest.mark.parametrize("library", sorted(HOMES))
def test_a_library_is_imported_only_at_home(library):
    users = {name for name, tree in modules().items() if library in imported(tree)}
    assert users - HOMES[library] == set()


@pytest.mark.parametrize("name", PURE)
def test_pure_modules_have_no_clock_no_chance_and_no_outside(name):
    assert imported(modules()[name]) & IMPURE == set()
    source = (HOUSE / f"{name}.py").read_text()
    assert "np.random.seed" not in source
    assert "open(" not in source


@pytest.mark.parametrize("name", sorted(modules()))
def test_every_module_tells_its_job_in_its_first_line(name):
    said = ast.get_docstring(modules()[name]) or ""
    assert len(said.splitlines()[0]) > 20


@pytest.mark.parametrize("name", sorted(modules()))
def test_importing_a_module_changes_nothing(name):
    """At module level there are only imports, definitions and constants."""
    allowed = (
        ast.Import, ast.ImportFrom, ast.FunctionDef, ast.AsyncFunctionDef, ast.ClassDef,
        ast.Assign, ast.AnnAssign, ast.If, ast.Assert,
    )  # fmt: skip
    for node in modules()[name].body:
        is_text = isinstance(node, ast.Expr) and isinstance(node.value, ast.Constant)
        is_command = name == "cli" and isinstance(node, ast.Expr)
        assert isinstance(node, allowed) or is_text or is_command, ast.unparse(node)
