"""What the values of a plan must be: ranges, addresses, names of variables; else one sentence."""

import re
from typing import Final
from urllib.parse import parse_qsl, urlsplit

from holymon.errors import PlanError
from holymon.safety import looks_secret, plain, redact

_ENV_NAME: Final = re.compile(r"[A-Za-z_][A-Za-z0-9_]*")


def require(good: bool, field: str, what: str, mend: str) -> None:
    """Raise PlanError: which field, what is wrong with it, how to mend it."""
    if not good:
        raise PlanError(f"{field} {what}: {mend}.")


def number(field: str, value: float | None, low: float, high: float, unit: str = "") -> None:
    """Raise PlanError, naming the field, for a number out of bounds; None is no number."""
    # Written so that NaN fails it too.
    if value is not None and not low <= value <= high:
        said = "too large" if abs(value) >= 1e15 else f"{value:g} {unit}".rstrip()
        raise PlanError(f"{field} is {said}: it must lie between {low:g} and {high:g}.")


def address(url: str) -> None:
    """Raise PlanError for a base_url that can't be one, or that holds a secret."""
    # Nothing before an @ and nothing behind a ? is repeated: passwords and keys stand there.
    shown = plain(redact(re.split(r"[?#]", url.rpartition("@")[2])[0]))
    try:
        parts = urlsplit(url)
        good = parts.scheme in {"http", "https"} and parts.hostname and parts.port != 0
    except ValueError:
        good, parts = False, urlsplit("")
    if "@" in url:
        raise PlanError("base_url holds a user name or password: take it out, use api_key_env.")
    if any(looks_secret(k, v) for k, v in parse_qsl(parts.query)) or looks_secret("", url):
        raise PlanError("base_url holds a key: take it out and use api_key_env.")
    if not good or not url.isprintable() or " " in url:
        raise PlanError(
            f"base_url {shown!r} is not an address: write it like http://127.0.0.1:8000/v1."
        )
    if parts.query or parts.fragment:
        raise PlanError("base_url holds a ? or a #: leave out all from there on.")
    if parts.path.rstrip("/").endswith("/chat/completions"):
        raise PlanError("base_url ends in /chat/completions: leave that off, it is added.")


def variable_name(name: str) -> None:
    """Raise PlanError for an api_key_env that names no environment variable."""
    # A key can look like a name: letters and digits only. No name is such a long word, though.
    key = looks_secret("", name) or (len(name) >= 24 and name.isalnum() and not name.isalpha())
    if key or not _ENV_NAME.fullmatch(name):
        raise PlanError(
            "api_key_env must be the name of an environment variable (letters, digits, _), "
            "not a key: put the key into a variable and give the variable's name."
        )
