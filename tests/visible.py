"""The texts that a page shows, one for each piece without an element in it, for tests."""

import re
from html.parser import HTMLParser

HIDDEN = ("style", "template", "script")


class _Texts(HTMLParser):
    def __init__(self):
        super().__init__()
        self.found: list[str] = []
        self._hidden = 0

    def handle_starttag(self, tag, attrs):
        self._hidden += tag in HIDDEN
        self.found += [value for name, value in attrs if name == "aria-label" and value]

    def handle_endtag(self, tag):
        self._hidden -= tag in HIDDEN

    def handle_data(self, data):
        if not self._hidden and data.strip():
            self.found.append(" ".join(data.split()))


def visible(page: str) -> list[str]:
    texts = _Texts()
    texts.feed(page)
    return texts.found


def words(text: str, known: frozenset[str] = frozenset()) -> list[str]:
    """Its words of three letters or more that are not `known` and have no mark of Vietnamese."""
    found = re.findall(r"[^\W\d_]{3,}", text)
    return [word for word in found if word.isascii() and word.lower() not in known]
