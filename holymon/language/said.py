"""Sentences made of a template and values: English as a str, shown in a document's language.

    say(template, ...) / say_n(n, singular, plural, ...)    one sentence
    glued(...) / listed(between, ...)                several pieces, one after the other
    shown(text)                                      in the language that `speaking` or `speak` set

JSON, logs and whoever compares strings see the English. The language is that of the context (of
contextvars), so reports that are made at the same time don't mix.
"""

from collections.abc import Iterable, Iterator, Mapping
from contextlib import contextmanager
from contextvars import ContextVar
from decimal import Decimal
from numbers import Number
from string import Formatter
from typing import Final, Self, SupportsIndex

from holymon.language.catalogue import ENGLISH, Words, words_of

_SPOKEN: Final[ContextVar[str]] = ContextVar("holymon_language", default=ENGLISH)
_PARSE: Final = Formatter().parse


class Digits(str):
    """A number as English writes it, with or without its unit; other languages swap its points.

    It has no exponent: 4.06e-05 is for machines.
    """

    __slots__ = ()

    def __new__(cls, number: object) -> Self:
        """A number, or its text."""
        text = str(number)
        small = "e-" in text and text[-1].isdecimal()
        return super().__new__(cls, f"{Decimal(text):f}" if small else text)

    def __add__(self, other: str) -> "Said":
        return glued(self, other)

    def __radd__(self, other: str) -> "Said":
        return glued(other, self)


class Said(str):
    """A sentence in English that knows its template and values, or the pieces it is made of.

    `+` keeps that, and so does `*` by a truth; all other ways of a str give plain English.
    """

    __slots__ = ("template", "values")
    template: str | tuple[str, str]
    values: Mapping[str, object] | tuple[object, ...]

    def __new__(
        cls, text: str, template: str | tuple[str, str] = "",
        values: Mapping[str, object] | tuple[object, ...] = (),
    ) -> Self:  # fmt: skip
        """The English `text`, and what it was made of; pieces have no template."""
        made = super().__new__(cls, text)
        made.template, made.values = template, values
        return made

    def __add__(self, other: str) -> "Said":
        return glued(self, other)

    def __radd__(self, other: str) -> "Said":
        return glued(other, self)

    def __mul__(self, times: SupportsIndex) -> str:
        return self if times.__index__() == 1 else str(self) * times

    __rmul__ = __mul__


def say(template: str, /, **values: object) -> Said:
    """The sentence that `template` makes of `values`, as by `str.format`."""
    return Said(template.format(**values) if values else template, template, values)


def say_n(n: int, singular: str, plural: str, /, **values: object) -> Said:
    """The sentence for `n` of something, which both templates may name; English has two forms."""
    named = {"n": n, **values}
    return Said((singular if n == 1 else plural).format(**named), (singular, plural), named)


def heads(*texts: str) -> tuple[str, ...]:
    """The heads of a table."""
    return tuple(map(say, texts))


def vocabulary(*words: str) -> dict[str, Said]:
    """Words of a closed list, which JSON has as they are, each by itself to be shown."""
    return {word: say(word) for word in words}


def glued(*pieces: object) -> Said:
    """Pieces that are whole by themselves, one after the other."""
    return Said("".join(map(str, pieces)), "", pieces)


def listed(between: str, pieces: Iterable[object]) -> str:
    """Pieces with the same thing between each two, such as a list of clauses."""
    pieces = tuple(pieces)
    each = [part for piece in pieces for part in (between, piece)][1:]
    return glued(*each) if any(isinstance(piece, Said | Digits) for piece in pieces) else (
        between.join(map(str, pieces)))  # fmt: skip


def without_stop(text: str) -> str:
    """A sentence without its full stop, to be a clause of another one."""
    return Said(text.rstrip("."), "", (text,)) if isinstance(text, Said) else text.rstrip(".")


def language() -> str:
    """The language of the document that is being made."""
    return _SPOKEN.get()


@contextmanager
def speaking(language: str) -> Iterator[None]:
    """All that is shown in here is in that language."""
    before = _SPOKEN.set(language)
    try:
        yield
    finally:
        _SPOKEN.reset(before)


def speak(language: str) -> None:
    """From here on, what is shown is in that language."""
    _SPOKEN.set(language)


def shown(text: object) -> str:
    """A sentence or a number in the language of the document; any other text as it is."""
    spoken = _SPOKEN.get()
    return str(text) if spoken == ENGLISH else _in(words_of(spoken), text)


def tell(template: str, /, **values: object) -> str:
    """A sentence that is shown right away, as those in pictures are."""
    return shown(say(template, **values))


def _in(words: Words, text: object) -> str:
    if isinstance(text, Digits):
        return words.digits(text)
    if not isinstance(text, Said):
        return str(text)
    if isinstance(text.values, tuple):
        whole = "".join(_in(words, piece) for piece in text.values)
        return whole if text.endswith(".") else whole.rstrip(".")  # see `without_stop`
    return _filled(words, words.template(text.template, text.values.get("n")), text.values)


def _filled(words: Words, template: str, values: Mapping[str, object]) -> str:
    """A template in another language with its values, as `str.format` would fill it in."""
    if not values:
        return template
    pieces = []
    for literal, name, spec, _ in _PARSE(template):
        pieces.append(literal)
        if name is not None:
            value = values[name]
            if isinstance(value, Number):
                pieces.append(words.digits(format(value, spec or "")))
            else:
                pieces.append(_in(words, value))
    return "".join(pieces)
