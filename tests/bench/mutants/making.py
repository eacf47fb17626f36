"""Mutants of a module: its source with one small change each, by mutmut's operators.

mutmut's own walk leaves out what is decorated (all properties and cached functions) and what stands
outside of functions (all limits); this one changes them too. Wording is not mutated, nor types,
decorators, and `strict=`, which only matters after a mistake elsewhere.
"""

from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import libcst as cst
from libcst.metadata import MetadataWrapper, ParentNodeProvider, PositionProvider
from mutmut.mutation.mutators import mutation_operators, operator_string

OPERATORS = [(kind, change) for kind, change in mutation_operators if change is not operator_string]
_LEFT_OUT = cst.Annotation | cst.Decorator | cst.Import | cst.ImportFrom
Lines = tuple[int, int]


@dataclass(frozen=True)
class Mutant:
    """One change: where it is, the line before and after, and the module's whole source with it.

    `statement` and `function` are the lines, first and last, of the innermost ones around it.
    """

    path: str
    line: int
    was: str
    now: str
    code: str
    statement: Lines
    function: Lines | None

    @property
    def key(self) -> tuple[str, str, str]:
        """What it is, wherever its line has moved."""
        return self.path, self.was, self.now


@dataclass(frozen=True)
class Place:
    """A change that can be made."""

    path: str
    module: cst.Module
    node: cst.CSTNode
    new: cst.CSTNode
    line: int
    statement: Lines
    function: Lines | None

    @property
    def lines(self) -> set[str]:
        """The lines of the statement that it is in, without their indent."""
        first, last = self.statement
        return {line.strip() for line in self.module.code.splitlines()[first - 1 : last]}

    def mutant(self) -> Mutant | None:
        """The mutant; None where it would be no Python or no change."""
        source = self.module.code
        replaced = self.module.deep_replace(self.node, self.new)
        assert isinstance(replaced, cst.Module)
        try:
            compile(replaced.code, self.path, "exec")
        except (SyntaxError, ValueError):
            return None
        was, now = _differing(source.splitlines(), replaced.code.splitlines())
        if was == now:
            return None
        return Mutant(self.path, self.line, was, now, replaced.code, self.statement, self.function)


def _differing(a: list[str], b: list[str]) -> tuple[str, str]:
    """What two sources do not share at their beginning and at their end, each on one line."""
    same = 0
    while same < min(len(a), len(b)) and a[same] == b[same]:
        same += 1
    a, b = a[same:], b[same:]
    while a and b and a[-1] == b[-1]:
        del a[-1], b[-1]
    was, now = ("; ".join(line.strip() for line in lines) for lines in (a, b))
    return was, now


class _Walk(cst.CSTVisitor):
    METADATA_DEPENDENCIES = (PositionProvider, ParentNodeProvider)

    def __init__(self, path: str, module: cst.Module) -> None:
        super().__init__()
        self.path, self.module, self.places = path, module, list[Place]()

    def on_visit(self, node: cst.CSTNode) -> bool:
        if isinstance(node, _LEFT_OUT) or (isinstance(node, cst.Arg) and _strict(node)):
            return False
        for kind, change in OPERATORS:
            if isinstance(node, kind):
                for new in change(node):
                    if not _only_strict(node, new):
                        self.places.append(self._place(node, new))
        return True

    def _place(self, node: cst.CSTNode, new: cst.CSTNode) -> Place:
        statement, function, at = None, None, node
        while not isinstance(at, cst.Module):
            body = getattr(at, "body", None)
            if isinstance(at, cst.SimpleStatementLine) and statement is None:
                statement = self._lines(at)
            elif isinstance(body, cst.BaseSuite):
                first, last = self._lines(at)[0], self._lines(body)
                statement = statement or (first, max(first, last[0] - 1))
                if isinstance(at, cst.FunctionDef) and function is None:
                    function = last
            at = self.get_metadata(ParentNodeProvider, at)
        assert statement is not None
        line = self._lines(node)[0] or statement[0]
        return Place(self.path, self.module, node, new, line, statement, function)

    def _lines(self, node: cst.CSTNode) -> Lines:
        position = self.get_metadata(PositionProvider, node, None)
        return (position.start.line, position.end.line) if position else (0, 0)


def _strict(arg: cst.Arg) -> bool:
    return arg.keyword is not None and arg.keyword.value == "strict"


def _only_strict(node: cst.CSTNode, new: cst.CSTNode) -> bool:
    """Whether two calls are the same but for `strict=`."""
    if not isinstance(node, cst.Call) or not isinstance(new, cst.Call):
        return False
    a, b = ([arg for arg in call.args if not _strict(arg)] for call in (node, new))
    return len(a) == len(b) and all(x is y for x, y in zip(a, b, strict=True)) and (
        node.func is new.func)  # fmt: skip


def places(root: Path, path: str) -> Iterator[Place]:
    """Every change that can be made in the module at `path` below `root`."""
    wrapper = MetadataWrapper(cst.parse_module((root / path).read_text("utf-8")))
    walk = _Walk(path, wrapper.module)
    wrapper.visit(walk)
    yield from walk.places
