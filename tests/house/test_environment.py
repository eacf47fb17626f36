"""environment.yml, constraints.txt and pyproject.toml say the same, and name no host."""

import ast
import sys
import tomllib
from importlib.metadata import packages_distributions
from pathlib import Path

import pytest
import yaml
from packaging.requirements import Requirement
from packaging.utils import canonicalize_name as canonical

from tests.house.sources import PATHS, nodes

ROOT = Path(__file__).parents[2]
PROJECT = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]
CONSTRAINTS = (ROOT / "constraints.txt").read_text()


# environment.yml asks for this Python on any system.
PYTHON = {"python_version": "3.11", "python_full_version": "3.11.9"}


def pins() -> dict[str, str]:
    lines = [Requirement(line) for line in CONSTRAINTS.splitlines()]
    mine = [one for one in lines if not one.marker or one.marker.evaluate(PYTHON)]
    return {one.name: str(one.specifier).removeprefix("==") for one in mine}


def name_of(requirement: str) -> str:
    return Requirement(requirement).name


def test_conda_gets_only_python_and_pip():
    found = yaml.safe_load((ROOT / "environment.yml").read_text())
    assert found["channels"] == ["conda-forge"]
    assert [one for one in found["dependencies"] if isinstance(one, str)] == ["python=3.11", "pip"]


def test_the_pip_part_is_what_is_tested():
    found = yaml.safe_load((ROOT / "environment.yml").read_text())
    (pip,) = [one["pip"] for one in found["dependencies"] if isinstance(one, dict)]
    expected = []
    for requirement in PROJECT["dependencies"]:
        _, _, marker = requirement.partition(";")
        name = name_of(requirement)
        expected.append(f"{name}=={pins()[name]}" + (f";{marker}" if marker else ""))
    assert [*expected, "--editable ."] == pip


@pytest.mark.parametrize("group", ["", *PROJECT["optional-dependencies"]])
def test_every_dependency_is_pinned(group):
    wanted = PROJECT["optional-dependencies"][group] if group else PROJECT["dependencies"]
    assert [one for one in map(name_of, wanted) if one not in pins()] == []


def test_every_library_that_is_imported_is_asked_for():
    """Those that another library happens to bring, too: it may cease to."""
    imported = {
        (node.module or "").partition(".")[0] if isinstance(node, ast.ImportFrom) else name
        for module in PATHS
        for node in nodes(module)
        if isinstance(node, ast.Import | ast.ImportFrom)
        for name in (alias.name.partition(".")[0] for alias in node.names)
    }
    given = packages_distributions()
    asked = {name_of(one) for one in PROJECT["dependencies"]}
    for extra in ("dask", "s3", "sdk", "web"):
        asked |= {name_of(one) for one in PROJECT["optional-dependencies"][extra]}
    foreign = imported - sys.stdlib_module_names - {"holymon"}
    assert {name for name in foreign if not {*map(canonical, given[name])} & asked} == set()


def test_constraints_name_no_host():
    assert "://" not in CONSTRAINTS
    assert "@" not in CONSTRAINTS
