"""The sentences of other languages, from files of gettext; and how those write numbers."""

from functools import cache
from gettext import GNUTranslations
from io import BytesIO
from pathlib import Path
from typing import Final

ENGLISH: Final = "en"
LANGUAGES: Final = (ENGLISH, "vi")
FOLDER: Final = Path(__file__).parent


class Words:
    """What a language says in place of templates, and how it writes numbers."""

    def __init__(self, texts: GNUTranslations, decimal: str, group: str) -> None:
        """Its texts by the English ones, its decimal point, and what stands between thousands."""
        self._texts = texts
        self._points = str.maketrans({".": decimal, ",": group})

    def template(self, english: str | tuple[str, str], n: object) -> str:
        """A template in this language; of several the one for `n`. English where it has none."""
        if not english:
            return ""
        if isinstance(english, str):
            return self._texts.gettext(english)
        return self._texts.ngettext(*english, n if isinstance(n, int) else 2)

    def digits(self, number: str) -> str:
        """A number as this language writes it."""
        return number.translate(self._points)


@cache
def words_of(language: str) -> Words:
    """Those of a language of LANGUAGES; read only once, and only where it is spoken."""
    from babel.messages.mofile import write_mo
    from babel.messages.pofile import read_po
    from babel.numbers import get_decimal_symbol, get_group_symbol

    compiled = BytesIO()
    with (FOLDER / f"{language}.po").open("rb") as file:
        write_mo(compiled, read_po(file, language))
    compiled.seek(0)
    texts = GNUTranslations(compiled)
    return Words(texts, get_decimal_symbol(language), get_group_symbol(language))
