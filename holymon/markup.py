"""Tables and lists from cells, as HTML and as text; nothing here knows what the cells mean."""

from collections.abc import Iterable, Sequence

from holymon.safety import escape, plain


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
