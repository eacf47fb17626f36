"""A figure by the formula of one tool, and how it is shown."""

from dataclasses import dataclass
from itertools import groupby
from typing import Final

from holymon.formatting import CLOSE, Table, Tables, per_cent, rounded
from holymon.language.said import Digits, glued, heads, vocabulary
from holymon.structs import shows_table

OURS: Final = "holymon"


_FIGURES: Final = vocabulary("latency", "response", "schedule delay", "throughput", "error rate",
                             "answers/s")  # fmt: skip


@dataclass(frozen=True, slots=True)
class Definition:
    """A figure by one tool's formula. Values are None where the records can't tell them.

    `unit` is `s` (then `p50` and `p95` are given), `1/s` or `share` (then `value` is).
    """

    figure: str
    tool: str
    name: str
    formula: str
    unit: str
    target: str = ""
    p50: float | None = None
    p95: float | None = None
    value: float | None = None

    @property
    def values(self) -> str:
        """What it comes to, in words; empty if it has no values."""
        if self.p50 is not None and self.p95 is not None:
            return glued(
                "p50\u00a0",
                rounded(self.p50 * 1e3, CLOSE),
                ", p95\u00a0",
                rounded(self.p95 * 1e3, CLOSE),
                "\u00a0ms",
            )
        if self.value is None:
            return ""
        if self.unit == "1/s":
            return glued(rounded(self.value, CLOSE), "/s")
        return per_cent(Digits(f"{self.value * 100:.4g}"))

    @property
    def cells(self) -> tuple[str, ...]:
        """Its row in a table; the figure is named once, where it is ours."""
        figure, name = _FIGURES.get(self.figure, self.figure), self.name
        if self.tool == OURS:
            name = _FIGURES.get(name, name)
        tool = self.tool if self.name == self.figure else glued(self.tool, ": ", name)
        return figure if self.tool == OURS else "", tool, self.values, self.formula


@shows_table
class Definitions(tuple[Definition, ...]):
    """Every figure's formula here and elsewhere, with its value; shows itself as a table."""

    __slots__ = ()

    @property
    def table(self) -> Tables:
        """A table for each target."""
        names = heads("figure", "tool", "is", "formula")
        return Tables(
            Table(names, [row.cells for row in rows], "l", lead=(target,) * bool(target))
            for target, rows in groupby(self, key=lambda definition: definition.target)
        )
