"""Keys are never text and text from servers is data: the one Secret, redaction and escaping."""

import base64
import html
import re
import unicodedata
from hashlib import sha256
from typing import Any, Final, NoReturn
from urllib.parse import quote, quote_plus

from holymon.errors import ConfigError

MASK: Final = "***"

_KEY_LIKE: Final = re.compile(
    r"""(?x)
    (?i:bearer)\s+[A-Za-z0-9._~+/=-]{8,}                        # a header's value
    | (?<![A-Za-z0-9]) (?:sk|rk|pk|cr|xai|gsk|hf|r8|nvapi|pplx)[-_][A-Za-z0-9_-]{8,}[^\s"'<>,;)]*
    | AIza[A-Za-z0-9_-]{20,}
    | eyJ[A-Za-z0-9_-]{8,}\.[A-Za-z0-9_-]{8,}(?:\.[A-Za-z0-9_-]*)?  # a JSON web token
    """
)
_SECRET_NAME: Final = re.compile(
    r"(?i)(?:^|[^a-z])(?:api_?key|apikey|key|token|secret|passw(?:or)?d|credentials?|auth"
    r"|bearer)(?:$|[^a-z])"
)
_PRINTABLE: Final = re.compile(r"[\x21-\x7e]+")


class Secret:
    """A key that can be sent but not shown: every text, copy or pickle of it is `***`.

    Raises ConfigError, without the value, when it can't stand in an HTTP header.
    """

    __slots__ = ("_reveal", "name")

    def __init__(self, value: str, name: str) -> None:
        """Keep `value`; `name` says where it came from, for messages."""
        if not value.strip():
            raise ConfigError(f"{name} is set but empty: put the key into it.")
        if value != value.strip():
            raise ConfigError(
                f"the key in {name} begins or ends with white space or a newline: set it again "
                "without (often it was read from a file with its last line break)."
            )
        if not _PRINTABLE.fullmatch(value):
            raise ConfigError(
                f"the key in {name} has a character that no HTTP header can carry (a space, a "
                "control character, an ellipsis from a shortened copy): copy the key again."
            )
        self.name = name
        self._reveal = lambda: value

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


def spellings(value: str) -> tuple[str, ...]:
    """`value` as it may be met in a text: plain, URL-, JSON-, HTML-, base64- and hex-encoded."""
    raw = value.encode()
    inner = base64.b64encode(raw).decode().rstrip("=")
    # At offsets 1 and 2 of a longer text base64 looks different; the ends of it are left out.
    shifted = [base64.b64encode(b"\0" * k + raw).decode()[k + 1 : -4] for k in (1, 2)]
    forms = [
        value, quote(value, safe=""), quote_plus(value), html.escape(value), inner,
        inner.translate(str.maketrans("+/", "-_")), raw.hex(), value[::-1], *shifted,
    ]  # fmt: skip
    return tuple(dict.fromkeys(f for f in forms if len(f) >= 4))


def redact(text: str, secrets: tuple[Secret, ...] = ()) -> str:
    """`text` with the given secrets, in any spelling, and all that looks like a key masked."""
    for secret in secrets:
        for form in secret.forms():
            text = text.replace(form, MASK)
    return _KEY_LIKE.sub(MASK, text)


def looks_secret(name: str, value: object = "") -> bool:
    """Whether a parameter of that name, or with that value, would carry a key."""
    if re.search(r"(?i)(?:key_env|key_name|max_tokens|prompt_tokens|output_tokens)$", name):
        return bool(_KEY_LIKE.search(str(value)))
    return bool(_SECRET_NAME.search(name)) or bool(_KEY_LIKE.search(str(value)))


def escape(value: object) -> str:
    """`value` as text that is inert in HTML, with invisible controls made visible."""
    return html.escape(plain(str(value)), quote=True)


def plain(text: str) -> str:
    """`text` without what a terminal or a reader could be fooled by.

    C0 and C1 controls are dropped (newline and tab stay), format controls such as the
    bidirectional ones are spelled out.
    """
    return "".join(_visible(c) for c in text) if not _is_plain(text) else text


def _is_plain(text: str) -> bool:
    return text.isascii() and text.isprintable()


def _visible(char: str) -> str:
    category = unicodedata.category(char)
    if category == "Cc":
        return char if char in "\n\t" else ""
    if category in {"Cf", "Zl", "Zp", "Cs", "Co"}:
        return f"<U+{ord(char):04X}>"
    return char


def short(text: str, limit: int = 512) -> str:
    """`text` on one line, at most `limit` characters long."""
    line = " ".join(plain(text).split())
    return line if len(line) <= limit else line[: limit - 1] + "…"


def file_name(text: str, limit: int = 80) -> str:
    """A file name made from any text: `[A-Za-z0-9._-]`, never hidden, reserved or too long.

    What had to be changed gets eight hexadecimal digits of its own, so two texts stay two names.
    """
    name = re.sub(r"[^A-Za-z0-9._-]+", "-", text).strip("-.") or "run"
    reserved = re.fullmatch(r"(?i)(con|prn|aux|nul|com\d|lpt\d)(\..*)?", name)
    if len(name) <= limit and not reserved and name in {text, text.replace("/", "-")}:
        return name
    return f"{name[:limit]}-{sha256(text.encode('utf-8', 'replace')).hexdigest()[:8]}"


def refuse_secret(name: str, value: Any) -> None:
    """Raise ConfigError if a parameter would put a key into a notebook or a report."""
    if looks_secret(name, value):
        raise ConfigError(
            f"parameter {plain(name)!r} looks like a key, and parameters are stored in the "
            "report: set an environment variable and pass its name as --api-key-env."
        )
