"""HTML of notebooks of which nothing runs, loads or covers the page."""

import re
from typing import Any, Final

TAGS: Final = frozenset(
    "a abbr b bdi blockquote br code dd del details div dl dt em h1 h2 h3 h4 h5 h6 hr i kbd li ol "
    "p pre s small span strong sub summary sup table tbody td tfoot th thead tr ul".split()
)
# Without an end it hides all that follows, as in a browser.
_STYLE: Final = re.compile(r"<style\b.*?(?:</style>|\Z)", re.DOTALL | re.IGNORECASE)
# As nbconvert leaves them in headings, above ASCII and beside halves of surrogate pairs.
_NUMBERED: Final = re.compile(r"&#(1(?:2[89]|[3-9]\d)|[2-9]\d\d|[1-9]\d{3}|[1-4]\d{4});")
_TABLE: Final = re.compile("<table(?=[ >])")


def harmless(html: Any) -> str:
    """HTML of which nothing runs, loads or covers the page.

    nbconvert's own filter takes out headings and the heads of tables too.
    """
    import bleach

    text = html.decode() if isinstance(html, bytes) else str(html)
    text = _NUMBERED.sub(lambda match: chr(int(match[1])), text)
    text = _STYLE.sub("", text)  # pandas' own, of which bleach would leave the text
    clean = str(
        bleach.clean(
            text, tags=TAGS, protocols={"http", "https"}, strip_comments=True,
            attributes={"*": ["class", "id"], "div": ["tabindex"], "a": ["href", "title"],
                        "td": ["colspan", "rowspan"], "th": ["colspan", "rowspan", "scope"]},
        )
    )  # fmt: skip
    # On a phone tables scroll by themselves, and who has no mouse has to get at them.
    return _TABLE.sub('<table tabindex="0"', clean)
