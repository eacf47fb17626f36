"""The language of a report: checked, handed to its notebook, whose prose is put into it."""

import re
from pathlib import Path
from typing import Any, Final

from holymon.errors import ConfigError
from holymon.language import said
from holymon.language.catalogue import ENGLISH, LANGUAGES
from holymon.safety import plain

_HEADING: Final = re.compile(r"\A#+ ")


def speak(lang: str) -> None:
    """From here on, show all in the language `lang`: `en`, or `vi` for Vietnamese.

    For a notebook; JSON, tables of calls and errors stay in English. Raises ConfigError for a
    language that is none of these.
    """
    check_language(lang)
    said.speak(lang)


def check_language(lang: str) -> None:
    """Raise ConfigError for a language that no report is written in."""
    if lang not in LANGUAGES:
        known = ", ".join(LANGUAGES)
        raise ConfigError(f"there are no reports in {plain(str(lang))!r}: say one of {known}.")


def hand_on(lang: str, notebook: Path, known: dict[str, Any], given: dict[str, Any]) -> None:
    """Give a notebook the language of its report, if it does not say another.

    `known` are the parameters that it has, `given` those it gets. Raises ConfigError for a notebook
    that takes none, where it is not English.
    """
    check_language(lang)
    if "lang" in known:
        given.setdefault("lang", lang)
        check_language(given["lang"])
    elif lang != ENGLISH:
        raise ConfigError(
            f"{notebook.name} has no parameter 'lang', so its report can't be in {lang}: add "
            'lang: str = "en" to its parameters, and hm.speak(lang) after them.'
        )


def paragraphs(text: str) -> list[str]:
    """The paragraphs and headings of Markdown, without the marks of the latter."""
    return [_HEADING.sub("", part, count=1) for part in _parts(text)]


def translate(notebook: Any) -> None:
    """Put the prose of a notebook, and what its pictures show, into the language of the document.

    What the catalogue does not know, such as the prose of a notebook of yours, stays as it is.
    """
    for cell in notebook.cells:
        if cell.cell_type == "markdown":
            cell.source = "\n\n".join(map(_shown, _parts(cell.source)))
        elif alt := cell.metadata.get("alt"):
            cell.metadata["alt"] = said.tell(str(alt))


def _parts(text: str) -> list[str]:
    return [part.strip() for part in re.split(r"\n\s*\n", text) if part.strip()]


def _shown(part: str) -> str:
    mark = _HEADING.match(part)
    begin = mark.group() if mark else ""
    return begin + said.tell(part.removeprefix(begin))
