"""How a text is written for another program so that it stays a text there: a function each.

sh          a command of words          POSIX, "Shell Command Language", 2.2
cron        a command line of sh        crontab(5), and cron's do_command.c
unit        a value of a unit file      systemd.syntax(7), systemd.unit(5)
unit_words  a command of a unit file    systemd.service(5), "Command lines"
go_pattern  a path as Prometheus looks for it   pkg.go.dev/path/filepath#Match
yaml_inner  what stands in "..." of YAML
"""

import re
import shlex
from collections.abc import Iterable
from typing import Final

from holymon.errors import ConfigError
from holymon.safety import plain

WIDE: Final = 1 << 30
_PLAIN_WORD: Final = re.compile(r"[A-Za-z0-9_./:=,+@-]+")


def sh(words: str | Iterable[str]) -> str:
    """One word, or several, of a shell's command."""
    return shlex.quote(words) if isinstance(words, str) else shlex.join(words)


def cron(command: str) -> str:
    """A shell's command as the rest of a line in a crontab, where a bare % ends it.

    Raises ConfigError for what no such line can hold: an end of line; and a backslash, before
    which one cron takes another for an escape and the next one does not.
    """
    if re.search(r"[\n\r\0\\]", command):
        raise ConfigError(
            f"{plain(command)!r} can't stand in a crontab: it must be one line without a backslash."
        )
    return command.replace("%", r"\%")


def unit(text: str) -> str:
    """A value in a unit file, as far as its line goes.

    Raises ConfigError for an end of line, a backslash that would join the next one, or white space
    that would be lost at the end.
    """
    if re.search(r"[\n\r\0]|[\\ \t]\Z", text):
        raise ConfigError(f"{plain(text)!r} can't stand in a unit file: it must be one whole line.")
    return text.replace("%", "%%")


def unit_words(words: Iterable[str]) -> str:
    """The words of ExecStart=, of which the first is a program and no place for a variable.

    Raises ConfigError for a program whose name systemd takes for none.
    """
    program, *_ = words = [*words]
    if re.search(r"[\"'\\]", program):
        raise ConfigError(f"systemd starts no program with a quote in its path: {plain(program)}.")
    first, *rest = map(_unit_word, words)
    return " ".join([first, *(word.replace("$", "$$") for word in rest)])


def _unit_word(word: str) -> str:
    if _PLAIN_WORD.fullmatch(word):
        return word
    known = {"\\": r"\\", '"': r"\"", "%": "%%"}
    return f'"{"".join(known.get(char) or _printed(char) for char in word)}"'


def _printed(char: str) -> str:
    return f"\\x{ord(char):02x}" if ord(char) < 0x20 or ord(char) == 0x7F else char


def go_pattern(text: str) -> str:
    """A path in a pattern of Go's filepath.Match, as Prometheus looks for files of rules.

    Raises ConfigError for a star, of which it takes one, and as a wildcard.
    """
    if "*" in text:
        raise ConfigError(f"Prometheus reads no rules in a folder with a * in it: {plain(text)}.")
    return re.sub(r"([*?\[\\])", r"\\\1", text)


def yaml_inner(text: str) -> str:
    """What stands between two double quotes in YAML."""
    import yaml

    quoted = yaml.safe_dump(text, default_style='"', allow_unicode=True, width=WIDE)
    return str(quoted).strip()[1:-1]
