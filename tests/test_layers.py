"""The house: imports point up one list, and each third-party library has its home modules."""

import ast
from functools import cache
from pathlib import Path

import pytest

HOUSE = Path(__file__).parent.parent / "holymon"

# A module may import only modules that stand before it.
ORDER = (
    "errors", "retry", "safety", "markup", "sse", "bounds", "structs", "shapes", "quantiles", "drift", "units", "slo", "plan", "chosen", "gaps", "marks", "records", "frames",
    "errorbody", "events", "completion", "chat", "messages", "responses", "prices", "estimate", "vitals", "throughput", "tally", "figures", "summary", "stats", "peers", "differences", "reasons", "comparison", "verdict", "calibration", "series", "alerts", "rehearsal", "rules", "yamltext", "ceiling", "bisection", "bins",
    "failures", "inflate", "answer", "prepared", "dial", "wire", "transport", "limits", "client", "engine", "journal",
    "parquet", "store", "listing", "export", "spill", "ledger", "selfcheck", "worker", "run", "sources", "gauges", "exporter", "scrape", "trials", "drill", "climb", "signals", "aside", "canvas", "arrivals", "plots", "charts", "live", "threads", "panels", "board", "tables", "cards", "pages", "readings",
    "prompts", "traces", "targets", "attempts", "monitor", "exchange", "clients", "web", "calibrator", "headless", "report", "starter", "baseline", "fields", "choices", "controls", "screen", "results", "dashboard", "lookout", "simmodels", "simmessages", "simulator", "sim", "doctor", "options", "progress", "capacity_command", "report_command", "watching", "cli", "__init__",
    "__main__",
)  # fmt: skip
PURE = ORDER[: ORDER.index("bins") + 1]

HOMES = {
    "aiohappyeyeballs": {"dial"},
    "aiohttp": {"sim", "simulator"},
    "bleach": {"report"},
    "click": {"capacity_command", "cli", "options", "report_command", "watching"},
    "duckdb": {"parquet", "spill"},
    "httptools": {"wire"},
    "httpx": {"answer", "client", "dial", "doctor", "failures", "prepared", "transport", "wire"},
    "PIL": {"live"},
    "ipywidgets": {"choices", "controls", "dashboard", "fields", "lookout", "results", "screen"},
    "matplotlib": {"arrivals", "board", "canvas", "charts", "dashboard", "live", "panels", "plots"},
    "msgspec": {
        "events",
        "calibrator",
        "chat",
        "clients",
        "climb",
        "completion",
        "errorbody",
        "messages",
        "plan",
        "responses",
        "structs",
        "worker",
    },
    "nbclient": {"headless"},
    "nbconvert": {"report"},
    "nbformat": {"headless", "report"},
    "pandas": {"monitor", "records", "spill"},
    "papermill": {"headless"},
    "prometheus_client": {"exporter"},
    "tqdm": {"progress"},
    "uvloop": {"worker", "sim"},
}
IMPURE = {
    "asyncio", "datetime", "io", "logging", "os", "pathlib", "random", "socket", "subprocess",
    "threading", "time",
}  # fmt: skip


@cache
def modules() -> dict[str, ast.Module]:
    return {path.stem: ast.parse(path.read_text()) for path in HOUSE.glob("*.py")}


def typing_only(tree: ast.Module) -> set[ast.AST]:
    return {
        inner
        for node in ast.walk(tree)
        if isinstance(node, ast.If) and "TYPE_CHECKING" in ast.unparse(node.test)
        for inner in ast.walk(node)
    }


@cache
def names(module: str) -> frozenset[str]:
    """All that a module imports, anywhere in it; `__init__` names what it loads later for types."""
    tree = modules()[module]
    skipped = typing_only(tree) if module == "__init__" else set()
    found = set()
    for node in ast.walk(tree):
        if isinstance(node, ast.Import):
            found |= {alias.name for alias in node.names} if node not in skipped else set()
        elif isinstance(node, ast.ImportFrom) and node not in skipped:
            assert node.level == 0, "imports are absolute"
            found |= {f"{node.module}.{alias.name}" for alias in node.names}
    return frozenset(found)


def libraries(module: str) -> set[str]:
    return {name.partition(".")[0] for name in names(module)}


def inside(module: str) -> set[str]:
    found = {name.split(".")[1] for name in names(module) if name.startswith("holymon.")}
    return found & set(modules())


def test_the_list_names_every_module():
    assert sorted(ORDER) == sorted(modules())


@pytest.mark.parametrize("name", ORDER)
def test_imports_point_one_way(name):
    before = set(ORDER[: ORDER.index(name)])
    assert inside(name) - before == set()


def test_the_simulator_knows_nothing_of_the_rest():
    assert inside("sim") == {"simulator"}
    assert inside("simulator") == {"simmodels", "simmessages"}
    assert (inside("simmodels"), inside("simmessages")) == (set(), {"simmodels"})


@pytest.mark.parametrize("library", sorted(HOMES))
def test_a_library_is_imported_only_at_home(library):
    assert {name for name in ORDER if library in libraries(name)} == HOMES[library]


@pytest.mark.parametrize("name", PURE)
def test_pure_modules_have_no_clock_no_chance_and_no_outside(name):
    assert libraries(name) & IMPURE == set()
    tree = modules()[name]
    chance = {
        node.attr
        for node in ast.walk(tree)
        if isinstance(node, ast.Attribute) and ast.unparse(node.value) == "np.random"
    }
    assert chance <= {"default_rng"}, "only generators with a seed of their own"
    called = {ast.unparse(node.func) for node in ast.walk(tree) if isinstance(node, ast.Call)}
    assert called & {"open", "print", "input", "exec", "eval", "__import__"} == set()


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
