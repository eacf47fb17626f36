"""Brings the catalogues of holymon/language up to date with the sentences of code and notebooks.

Run it after a sentence was added or changed, then put the translations in; the tests of
holymon/language fail until none is missing.
"""

import ast
import json
import re
from collections.abc import Iterator
from pathlib import Path
from typing import IO, Any

from babel.messages.catalog import Catalog
from babel.messages.extract import extract
from babel.messages.pofile import read_po, write_po

ROOT = Path(__file__).parents[1]
HOUSE = ROOT / "holymon"
FUNCTIONS = {"say": 1, "tell": 1, "heads": None, "vocabulary": None}
"""By their names, of how many arguments the first ones are sentences; None for all."""

HEADER = """msgid ""
msgstr ""
"Content-Type: text/plain; charset=utf-8\\n"
"Language: {}\\n"
"Plural-Forms: {}\\n"

"""
"""Without a date, which would differ each time."""

ENGLISH_ROOMS = ("cli", "load", "monitor", "prometheus", "sim", "widgets")
"""What they say is in no report."""

PAGES = re.compile(r'"([^"]+)" \| tell')


def of_code(file: IO[bytes], *_: Any, **__: Any) -> Iterator[tuple[int, str, Any, list[str]]]:
    """The sentences of a module, as an extractor of Babel."""
    code = file.read()
    if not any(f"{name}(".encode() in code for name in (*FUNCTIONS, "say_n", "number_of")):
        return
    for node in ast.walk(ast.parse(code)):
        if not isinstance(node, ast.Call):
            continue
        name = getattr(node.func, "id", getattr(node.func, "attr", ""))
        texts = [arg.value if isinstance(arg, ast.Constant) else None for arg in node.args]
        if name == "number_of" and len(texts) > 1 and texts[1]:
            counted = f"{{n:,}} {texts[1]}"
            yield node.lineno, "ngettext", (counted, f"{counted}s"), []
        elif name == "say_n":
            yield node.lineno, "ngettext", tuple(texts[1:3]), []
        elif name in FUNCTIONS:
            for text in texts[: FUNCTIONS[name]]:
                if isinstance(text, str) and re.search("[A-Za-z]", text):
                    yield node.lineno, "gettext", text, []


def of_pages(file: IO[bytes], *_: Any, **__: Any) -> Iterator[tuple[int, str, Any, list[str]]]:
    """Those of a template of Jinja."""
    for number, line in enumerate(file.read().decode().splitlines(), 1):
        for text in PAGES.findall(line):
            yield number, "gettext", text, []


def of_notebooks(file: IO[bytes], *_: Any, **__: Any) -> Iterator[tuple[int, str, Any, list[str]]]:
    """The paragraphs of a notebook, and what its pictures show."""
    from holymon.report.prose import paragraphs

    for number, cell in enumerate(json.load(file)["cells"]):
        if cell["cell_type"] == "markdown":
            for text in paragraphs("".join(cell["source"])):
                yield number, "gettext", text, []
        if alt := cell["metadata"].get("alt"):
            yield number, "gettext", alt, []


def extracted() -> Catalog:
    """All sentences, with the places they stand in."""
    made = Catalog(project="holymon", charset="utf-8")
    rooms = [path for path in sorted(HOUSE.rglob("*.py")) if path.parent.name not in ENGLISH_ROOMS]
    files = [(path, of_code) for path in rooms]
    files += [(path, of_pages) for path in sorted(HOUSE.rglob("*.j2"))]
    files += [(path, of_notebooks) for path in sorted((ROOT / "notebooks").glob("report_*.ipynb"))]
    for path, method in files:
        with path.open("rb") as file:
            for _, message, comments, context in extract(method, file):
                where = path.relative_to(ROOT).as_posix()
                made.add(message, None, [(where, None)], user_comments=comments, context=context)
    return made


def up_to_date(language: str) -> Catalog:
    """The catalogue of a language with all sentences, and none that is there no more."""
    with (HOUSE / "language" / f"{language}.po").open("rb") as file:
        known = read_po(file, language)
    known.update(extracted(), no_fuzzy_matching=True, update_header_comment=False)
    known.obsolete.clear()
    return known


if __name__ == "__main__":
    for path in (HOUSE / "language").glob("*.po"):
        catalog = up_to_date(path.stem)
        with path.open("wb") as out:
            out.write(HEADER.format(path.stem, catalog.plural_forms).encode())
            write_po(out, catalog, width=100, sort_by_file=True, omit_header=True)
        missing = [
            message.id for message in catalog if message.id and not any(message.string or ())
        ]
        print(f"{path.name}: {len(catalog)} sentences, {len(missing)} to translate")
