"""Figures as text, with as many digits as they bear; lists and tables as HTML and as text."""

from collections.abc import Iterable, Sequence
from typing import Final

from holymon.safety import escape, plain
from holymon.structs import Interval, Rate

DASH: Final = "–"


def ms(seconds: float | None) -> str:
    """Seconds as milliseconds with three figures."""
    if seconds is None:
        return DASH
    value = seconds * 1e3
    if value == 0:
        return "0"
    return f"{value:,.0f}" if abs(value) >= 99.95 else f"{value:#.3g}"


def percent(share: float) -> str:
    """A share as per cent, with two figures; 100 only where it is all."""
    if share < 0.995:
        return f"{share * 100:.2g} %"
    # All is said of all only: one failure in a million is still one.
    said = (f"{share * 100:.{digits}g}" for digits in range(4, 17))
    return f"{next((one for one in said if share >= 1 or one != '100'), '100')} %"


def rounded(value: float | None, figures: int = 4) -> str:
    """A number with so many figures, or all it has before the point."""
    if value is None:
        return DASH
    whole_ones = abs(value) >= 10**figures - 0.5
    return f"{value:,.0f}" if whole_ones else f"{value:.{figures}g}"


def count(value: int | None) -> str:
    """A count."""
    return DASH if value is None else f"{value:,}"


def ms_interval(found: Interval | None) -> str:
    """Both ends of an interval in milliseconds."""
    return DASH if found is None else f"{ms(found[0])}–{ms(found[1])}"


def failures(rate: Rate) -> str:
    """An error rate in words; no errors are never shown without their upper bound."""
    if rate.value is None or rate.low is None or rate.high is None:
        return "no error rate"
    failed = round(rate.value * rate.of)
    if failed == 0:
        return f"0 of {rate.of:,} failed, at most {percent(rate.high)}"
    low, high = percent(rate.low), percent(rate.high)
    return f"{failed:,} of {rate.of:,} failed, {percent(rate.value)} ({low} to {high})"


def bullets(items: Iterable[str], kind: str = "") -> str:
    """A list of items that are HTML already; `""` if there are none."""
    inner = "".join(f"<li>{item}</li>" for item in items)
    return f'<ul class="{kind}">{inner}</ul>' if inner else ""


def table(names: Iterable[str], rows: Iterable[Iterable[str]], kind: str = "") -> str:
    """A table of cells that are HTML already."""
    names = tuple(names)
    head = "".join(f"<th>{escape(name)}</th>" for name in names) if any(names) else ""
    body = "".join("<tr>" + "".join(f"<td>{cell}</td>" for cell in row) + "</tr>" for row in rows)
    return f'<table class="{kind}"><thead><tr>{head}</tr></thead><tbody>{body}</tbody></table>'


def escaped(rows: Iterable[Iterable[object]]) -> list[list[str]]:
    """Cells of any text as HTML."""
    return [[escape(cell) for cell in row] for row in rows]


def columns(names: Sequence[str], rows: Iterable[Sequence[object]]) -> str:
    """A table as text: the first column to the left, the others to the right."""
    cells = [tuple(names), *(tuple(plain(str(cell)) for cell in row) for row in rows)]
    widths = [max(map(len, column)) for column in zip(*cells, strict=True)]
    lines = [
        "  ".join(cell.rjust(width) if k else cell.ljust(width)
                  for k, (cell, width) in enumerate(zip(row, widths, strict=True)))
        for row in cells
    ]  # fmt: skip
    return "\n".join(line.rstrip() for line in lines)
