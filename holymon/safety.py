"""Keys are never text and text from servers is data: the one Secret, redaction and escaping."""

import base64
import codecs
import html
import json
import re
import unicodedata
from collections.abc import Callable, Iterator
from functools import cache
from typing import Final, NamedTuple, NoReturn
from urllib.parse import quote, quote_plus

from holymon.errors import ConfigError

MASK: Final = "***"

# Every real key has a digit, or a long run without separators: words with hyphens have neither.
_KEY_LIKE: Final = re.compile(
    r"""(?x)
    (?i:bearer)\s+ (?=[A-Za-z0-9._~+/=-]{0,200}\d | [A-Za-z0-9._~+/=-]{24})
        [A-Za-z0-9._~+/=-]{8,}
    | (?<![A-Za-z0-9])
      (?: (?:sk|rk|pk|nvapi)[-_] (?=[A-Za-z0-9_-]{0,200}\d) [A-Za-z0-9_-]{8,}
        | (?:sk|rk|pk|cr|gsk|hf|pplx|r8|xai)[-_] (?=[A-Za-z0-9_-]{0,40}[A-Za-z0-9]{20})
          [A-Za-z0-9_-]+
      ) [^\s"'<>,;)]*
    | AIza[A-Za-z0-9_-]{20,} | (?<=://)[^\s/:@]{0,200}:[^\s/@]{1,200}(?=@)  # a user's password
    | (?<![A-Za-z0-9_-]) eyJ[A-Za-z0-9_-]{8,}\.[A-Za-z0-9_-]{8,}(?:\.[A-Za-z0-9_-]*)?  # a JWT
    """
)
_SECRET_PLACE: Final = re.compile(
    r"(?i)(?:.*[^a-z])?(?:secrets?|passw(?:or)?ds?|passphrase|pwd|credentials?|authorization|bearer"
    r"|jwt|api_?keys?|(?:api|auth|access|bearer|client|private|refresh|secret|session|id)_?"
    r"(?:key|token)s?)|key|token|auth"
)
"""Names of places where only a secret stands."""

_PERHAPS_SECRET: Final = re.compile(r"(?i)(?!prompt_cache_).*[^a-z](?:key|token)")
"""Names that may be of a secret, or of a dictionary: then the value tells. Not those by which
OpenAI (prompt_cache_key) and Fireworks (prompt_cache_isolation_key) find a prompt in a cache."""

_RANDOM: Final = re.compile(r"(?=[^ ]*\d)(?=[^ ]*[A-Za-z])[A-Za-z0-9._~+/=-]{12,}")
_PRINTABLE: Final = re.compile(r"[\x21-\x7e]+")


class Secret:
    """A key that can be sent but not shown: every text of it is `***`, no copy can be made.

    Raises ConfigError, without the value, when it can't stand in an HTTP header.
    """

    __slots__ = ("_parts", "_reveal", "name")

    def __init__(self, value: str, name: str) -> None:
        """Keep `value`; `name` says where it came from, for messages."""
        if fault := _fault(value):
            del value  # tracebacks may show local variables
            raise ConfigError(f"the key in {name} {fault}")
        self.name = name
        self._reveal: Callable[[], str] = lambda: value
        self._parts = cache(lambda: tuple(_parts(value)))

    def reveal(self) -> str:
        """The key itself, for the one place that sends it."""
        return self._reveal()

    def __repr__(self) -> str:
        return MASK

    def __format__(self, spec: str) -> str:
        return MASK

    def __reduce__(self) -> NoReturn:
        raise TypeError("a secret can't be pickled or copied: pass the variable's name instead")

    def forms(self) -> tuple[str, ...]:
        """The spellings by which this key could come back in a text."""
        return spellings(self.reveal())

    def parts(self) -> "tuple[_Parts, ...]":
        """Its parts, as they are and as they are coded: what masks them."""
        return self._parts()


def _fault(value: str) -> str:
    """What is wrong with a key, and the mend; `""` if nothing is."""
    if not value.strip():
        return "is empty: set the variable to the key."
    if value != value.strip():
        return (
            "begins or ends with white space or a newline: set it again without (often it was read "
            "from a file with its last line break)."
        )
    if not _PRINTABLE.fullmatch(value):
        return (
            "has a character that no HTTP header can carry (a space, a control character, an "
            "ellipsis from a shortened copy): copy the key again."
        )
    return ""


def spellings(value: str) -> tuple[str, ...]:
    """`value` as it may be met in a text: plain, URL-, JSON-, HTML-, base64- and hex-encoded.

    Longest first, so that masking one does not leave the end of another.
    """
    raw = value.encode()
    coded = [base64.b64encode(raw).decode().rstrip("="), _whole_groups(raw)]
    # At offsets 1 and 2 of a longer text base64 looks different; the ends of it are left out.
    coded += [_whole_groups(b"\0" * k + raw)[k + 1 :] for k in (1, 2)]
    forms = [
        value, value[::-1], quote(value), quote(value, safe=""), quote_plus(value),
        html.escape(value), json.dumps(value)[1:-1], raw.hex(), raw.hex().upper(),
        *coded, *(form.translate(_URL_SAFE) for form in coded),
    ]  # fmt: skip
    return tuple(sorted({form for form in forms if len(form) >= 4}, key=_longest_first))


_URL_SAFE: Final = str.maketrans("+/", "-_")


def _whole_groups(raw: bytes) -> str:
    return base64.b64encode(raw[: len(raw) // 3 * 3]).decode()


def _longest_first(form: str) -> tuple[int, str]:
    return -len(form), form


def redact(text: str, secrets: tuple[Secret, ...] = ()) -> str:
    """`text` with the given secrets, in any spelling, and all that looks like a key masked."""
    forms = {form for secret in secrets for form in secret.forms()}
    for form in sorted(forms, key=_longest_first):
        text = text.replace(form, MASK)
    readings = _readings(text) if secrets else []
    for size, blocks, parts in (parts for secret in secrets for parts in secret.parts()):
        if any(block in letters for letters in readings for block in blocks):
            text = _cut(text, size, parts.__contains__)
    return _KEY_LIKE.sub(MASK, text)


_PART: Final = 8
"""So many letters and digits of a key in a row are a part of it, in any case, however spaced."""


class _Parts(NamedTuple):
    size: int
    blocks: set[str]
    """Of half that length, one behind the other: each part holds one of them whole."""
    all: set[str]


def _parts(value: str) -> Iterator[_Parts]:
    """Parts of a key in letters and digits of one case: as it is, and as it may be coded."""
    raw, letters = value.encode(), _lettered(value)
    coded = {
        _PART: [letters, letters[::-1], codecs.encode(letters, "rot13")],
        12: [base64.b64encode(b"\0" * k + raw)[2 * k :].decode() for k in range(3)],
        2 * _PART: [raw.hex(), "".join(map(str, raw)), base64.b32encode(raw).decode()],
        4 * _PART: ["".join(f"{byte:#04x}" for byte in raw), "".join(f"{b:03o}" for b in raw)],
        8 * _PART: ["".join(f"{byte:08b}" for byte in raw)],
    }
    for size, texts in coded.items():
        yield _Parts(size, _pieces(texts, size // 2, size // 2), _pieces(texts, size, 1))


def _pieces(texts: list[str], size: int, step: int) -> set[str]:
    letters = map(_lettered, texts)
    return {text[k : k + size] for text in letters for k in range(0, len(text) - size + 1, step)}


def _lettered(text: str) -> str:
    return "".join(filter(str.isalnum, text)).casefold()


_ECHO: Final = 24
_SHORTEST: Final = 12
_COMPARED: Final = 2**15
"""Characters at the beginning and at the end of a prompt: servers repeat no more than a line."""


def without_echo(text: str, prompt: str) -> str:
    """`text` without what it repeats of what was asked: 24 letters or more, or all of a short one.

    Whoever reads a page or a log is not whoever may read the prompts.
    """
    if len(prompt) > 2 * _COMPARED:
        prompt = f"{prompt[:_COMPARED]} {MASK} {prompt[-_COMPARED:]}"
    prompt = _lettered(prompt)
    size = min(_ECHO, len(prompt))
    return _cut(text, size, prompt.__contains__) if size >= _SHORTEST else text


def _cut(text: str, size: int, is_part: Callable[[str], bool]) -> str:
    """`text` without its stretches of `size` letters and digits that are parts of a secret."""
    for spelled in _SPELLED[: 1 + ("\\" in text)]:
        chars = _places(text, spelled)
        places = [char for char in chars if char[0].isalnum() or char[0] in MASK]
        letters = "".join(char.casefold()[:1] for char, _, _ in places)
        cuts: list[list[int]] = []
        for k in range(len(letters) - size + 1):
            if is_part(letters[k : k + size]):
                first, last = places[k][1], places[k + size - 1][2]
                if cuts and first <= cuts[-1][1]:
                    cuts[-1][1] = last
                else:
                    cuts.append([first, last])
        for first, last in reversed(cuts):
            text = text[:first] + MASK + text[last:]
    return text


def _readings(text: str) -> list[str]:
    """The letters and digits of a text in one case, with and without short escapes."""
    if text.isascii() and not any(mark in text for mark in ("%", "\\", "&", "<U+")):
        return [_lettered(text)]
    return [_lettered("".join(char for char, *_ in _places(text, each))) for each in _SPELLED]


_CODES: Final = (r"%([0-9a-f]{2})|\\x([0-9a-f]{2})|\\u([0-9a-f]{4})|<u\+([0-9a-f]{4,6})>|"
                 r"&\#x([0-9a-f]{1,5});|&\#(\d{1,6});|")  # fmt: skip
_SPELLED: Final = (re.compile(f"(?is){_CODES}."), re.compile(rf"(?is){_CODES}\\[nrtbf]|."))
"""A character as a text spells it. What looks like a line end in JSON may be a path's letter."""


def _places(text: str, spelled: re.Pattern[str]) -> Iterator[tuple[str, int, int]]:
    """Each character of a text, however it is spelled there, and where that begins and ends."""
    for match in spelled.finditer(text):
        *hexadecimal, decimal = match.groups()
        number = next((int(digits, 16) for digits in hexadecimal if digits), int(decimal or 0))
        char = chr(number) if number else match[0]
        yield unicodedata.normalize("NFKC", char)[:1], *match.span()


def looks_secret(name: str, value: object = "") -> bool:
    """Whether a parameter of that name, with that value, would carry a key.

    A word somewhere in a name makes no key of what stands there: the place or the value does.
    """
    if isinstance(value, dict):
        return any(looks_secret(str(inner), value[inner]) for inner in value)
    if isinstance(value, list | tuple):
        return any(looks_secret(name, item) for item in value)
    if value is None or isinstance(value, bool):
        return False
    words = re.sub(r"(?<=[a-z0-9])(?=[A-Z])", "_", name)  # apiKey is api_Key
    placed = value != "" and bool(_SECRET_PLACE.fullmatch(words))
    if not isinstance(value, str):
        return placed
    random = _PERHAPS_SECRET.fullmatch(words) and _RANDOM.fullmatch(value)
    return bool(placed or random or _KEY_LIKE.search(value))


def escape(value: object) -> str:
    """`value` as text that is inert in HTML, with invisible controls made visible."""
    return html.escape(plain(str(value)), quote=True)


def plain(text: str) -> str:
    """`text` without what a terminal, a log or a reader could be fooled by.

    C0 and C1 controls are dropped (newline and tab stay); what is not seen, such as bidirectional
    controls and letters without a width, and halves of surrogate pairs, are spelled out. What a
    CI service would take for a command gets a space inside.
    """
    if not (text.isascii() and text.isprintable()):
        text = _PERHAPS_UNSEEN.sub(lambda match: _visible(match[0]), text)
    return _CI_COMMAND.sub(r"\g<mark> ", text) if "##" in text or "::" in text else text


_CI_COMMAND: Final = re.compile(
    r"(?x)(?P<mark> \#(?=\#\w*\[)"  # Azure's ##vso[, GitHub's older ##[, TeamCity's, anywhere
    r"| (?m:^)[^\S\n]*: (?=:[A-Za-z][\w-]*(?:\s[^\n]*)?::))"  # GitHub's ::name ...::, at the left
)
_PERHAPS_UNSEEN: Final = re.compile(r"[^\n\t -~]")
_UNSEEN: Final = frozenset(
    "\u034f\u115f\u1160\u17b4\u17b5\u180b\u180c\u180d\u180f\u3164\uffa0"
    "\u2800"  # a Braille cell without a dot
)
"""Of no width though letters or marks (Unicode's Default_Ignorable_Code_Point)."""


def _visible(char: str) -> str:
    category = unicodedata.category(char)
    if category == "Cc":
        return char if char in "\n\t" else ""
    selector = "\ufe00" <= char <= "\ufe0f" or "\U000e0100" <= char <= "\U000e01ef"
    if category in {"Cf", "Zl", "Zp", "Cs", "Co"} or char in _UNSEEN or selector:
        # This one only makes a sign an emoji.
        return "" if char == "\ufe0f" else f"<U+{ord(char):04X}>"
    return char


def short(text: str, limit: int = 512, secrets: tuple[Secret, ...] = ()) -> str:
    """`text` on one line, with keys masked, at most `limit` characters long."""
    # Cut roughly first: a server may send megabytes. Cut exactly last: half a key is no match.
    line = redact(" ".join(plain(text[: 8 * limit]).split()), secrets)
    return line if len(line) <= limit else line[: limit - 1] + "…"
