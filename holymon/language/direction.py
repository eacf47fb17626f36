"""Names that are written from right to left, in sentences that are not."""

import re
from typing import Final

_LETTERS: Final = "[\u0590-\u08ff\ufb1d-\ufdff\ufe70-\ufefc]"
_RUN: Final = re.compile(rf"{_LETTERS}+(?:[\s\-_./]+{_LETTERS}+)*")


def isolated(html: str) -> str:
    """Escaped text, with what is read from right to left in elements of its own.

    Else a number or a colon behind such a name changes its place (Unicode's UAX 9, 2.4).
    """
    return html if html.isascii() else _RUN.sub(r"<bdi>\g<0></bdi>", html)
