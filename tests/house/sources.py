"""The package as its tests of style read it: each module once, and each tree walked once."""

import ast
import gc
from functools import cache
from pathlib import Path

HOUSE = Path(__file__).parents[2] / "holymon"
PATHS = {str(path.relative_to(HOUSE).with_suffix("")): path for path in sorted(HOUSE.rglob("*.py"))}


@cache
def text_of(module: str) -> str:
    return PATHS[module].read_text("utf-8")


@cache
def trees() -> dict[str, ast.Module]:
    """Every module's tree, by the module's name as a path."""
    gc.disable()  # nothing of what is made here ends: to look for it again and again doubles the time
    try:
        return {module: ast.parse(text_of(module)) for module in PATHS}
    finally:
        gc.enable()
        gc.freeze()


@cache
def nodes(module: str) -> tuple[ast.AST, ...]:
    """All that is in a module, by breadth first."""
    return tuple(ast.walk(trees()[module]))
