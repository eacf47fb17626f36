"""The prose of a notebook in another language: its paragraphs are sentences of the catalogue."""

import re
from typing import Any, Final

from holymon.language.said import tell

_HEADING: Final = re.compile(r"#+ ")


def paragraphs(text: str) -> list[str]:
    """The paragraphs and headings of Markdown, without the marks of the latter."""
    return [_HEADING.sub("", part, count=1) for part in _parts(text)]


def translate(notebook: Any) -> None:
    """Put the prose of a notebook, and what its pictures show, into the language of the document.

    What the catalogue does not know, as the prose of a notebook of yours, stays as it is.
    """
    for cell in notebook.cells:
        if cell.cell_type == "markdown":
            cell.source = "\n\n".join(map(_shown, _parts(cell.source)))
        elif alt := cell.metadata.get("alt"):
            cell.metadata["alt"] = _whole(str(alt))


def _parts(text: str) -> list[str]:
    return [part.strip() for part in re.split(r"\n\s*\n", text) if part.strip()]


def _shown(part: str) -> str:
    mark = _HEADING.match(part)
    begin = mark.group() if mark else ""
    return begin + _whole(part.removeprefix(begin))


def _whole(text: str) -> str:
    """A text without places for values, whatever braces it has."""
    return tell(text)
