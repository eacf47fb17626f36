"""Where a key may go: only where its owner sent it.

    an option, a Target made in Python           its owner's own word
    a packaged variable to its own provider      what it is for
    a targets.toml, the plan of a run            others' word: its owner is asked once

What was agreed to is a line `NAME=ADDRESS`, with `#ca=SHA256` where a file of certificates vouches
for that address. It is remembered by content, not by file: as in OpenSSH's known_hosts a place
that is known asks nothing, and as with `direnv allow` a changed one asks again. Lines stand in a
file of the user's settings, one each, or in HOLYMON_TRUST with spaces between (for machines, and
for the processes that holymon starts). No value of it stands for "all": one that was exported once
would be everybody's way in. A file that is to be trusted can't say so itself (the hole of mise's
GHSA-436v-8fw5-4mj8).
"""

import os
import shlex
import stat
import sys
from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager, suppress
from hashlib import sha256
from pathlib import Path
from typing import Final, NamedTuple

from holymon.errors import ConfigError
from holymon.plan.request_fields import variables_in
from holymon.plan.target import Target
from holymon.plan.targets import packaged
from holymon.safety import plain
from holymon.structs import Received
from holymon.transport.prepared_request import place_of

ENV: Final = "HOLYMON_TRUST"
MOST_BYTES: Final = 2**20
"""Of the file of consents, and of one of certificates."""


class Sending(NamedTuple):
    """A key that goes somewhere: the variable's name, the address, and on whose word.

    `ca` is the SHA-256 of the certificates that are trusted there beside the system's, `source`
    the file or the run that says so; both are empty if there is none.
    """

    variable: str
    address: str
    ca: str = ""
    source: str = ""

    @property
    def line(self) -> str:
        """What is remembered of it."""
        return f"{self.variable}={self.address}" + f"#ca={self.ca}" * bool(self.ca)

    @property
    def words(self) -> str:
        """It in a few words."""
        return f"{self.variable} to {plain(self.address)}" + (
            f" (as certified by {self.ca[:12]}...)" if self.ca else ""
        )


def sendings(targets: Iterable[Target]) -> tuple[Sending, ...]:
    """The keys that these targets would send, each once. Raises ConfigError for no address."""
    return tuple(dict.fromkeys(sending for t in targets if t.base_url for sending in _sent_to(t)))


def _sent_to(target: Target) -> Iterator[Sending]:
    """What a target is sent of the environment; and what certificate others chose to show it."""
    address = place_of(target.base_url)[0]
    ca = _fingerprint(target.ca_file) if target.ca_file and (
        target.variables or target.cert_file) else ""  # fmt: skip
    common = (target.base_url, target.ca_file)
    for name in target.variables:
        holders = [text for text in (*target.headers.values(), *target.query.values())
                   if name in variables_in(text)]  # fmt: skip
        key = [target.api_key_env] if name == target.api_key_env else []
        yield Sending(str(name), address, ca, _source(*key, *holders, *common))
    if target.cert_file and (source := _source(target.cert_file, *common)):
        yield Sending("cert_file", address, ca, source)


def _source(*texts: str) -> str:
    """Who chose these texts: the first file or run that one of them came from, or nobody else."""
    others = (text.source for text in texts if text and isinstance(text, Received))
    return next(others, "")


def _fingerprint(ca_file: str) -> str:
    """The SHA-256 of a file of certificates. Raises ConfigError for what can't be one."""
    path, raw = Path(ca_file), b""
    with suppress(OSError):
        if path.is_file():
            with path.open("rb") as file:
                raw = file.read(MOST_BYTES + 1)
    if not 0 < len(raw) <= MOST_BYTES:
        raise ConfigError(
            f"ca_file {plain(ca_file)!r} can't be used: it is no file of at most 1 MB that can be "
            "read."
        )
    return sha256(raw).hexdigest()


def unasked(targets: Iterable[Target]) -> tuple[Sending, ...]:
    """What these targets would send on the word of others, and nobody has agreed to yet."""
    others = [sending for sending in sendings(targets) if sending.source]
    if not others:
        return ()
    known = {*_given(), *remembered()}
    return tuple(s for s in others if s.line not in known and not _is_its_own(s))


def _is_its_own(sending: Sending) -> bool:
    """Whether a packaged variable goes to its own provider, on whatever path there."""
    root = sending.address.split("/", 3)[:3]
    return not sending.ca and any(
        about.get("api_key_env") == sending.variable
        and place_of(about["base_url"])[0].split("/", 3)[:3] == root
        for about in packaged().values()
    )


def require(targets: Iterable[Target]) -> None:
    """Raise ConfigError if a key would go where its owner did not send it, or could be read.

    And for an address that can't be one.
    """
    targets = tuple(targets)
    for sending in unasked(targets):
        source, line = plain(sending.source), shlex.quote(plain(sending.line))
        ways = "in Python with hm.trust(plan)"
        if Path(sending.source).exists():
            command = f"`holymon trust {shlex.quote(source)}`"
            ways = f"with {command}, in Python with hm.trust({source!r})"
        raise ConfigError(
            f"{source} would send the key in {sending.words}, and nobody has agreed to that: if "
            f"it is right, say so once {ways}, or for a machine with {ENV}={line}."
        )
    for target in targets:
        address, local = place_of(target.base_url) if target.base_url else ("", True)
        exposed = address.startswith("http:") and not local and not target.insecure_http
        if target.variables and exposed:
            raise ConfigError(
                f"{target.variables[0]} would go to {plain(address)} over plain http, where "
                "whoever is on the way can read it: use https, or accept that with "
                "--insecure-http (insecure_http = true in targets.toml, insecure_http=True in "
                "Python)."
            )


def remember(agreed: Iterable[Sending]) -> None:
    """Keep what was agreed to, for this process and its children, and in the user's settings.

    Raises ConfigError if it can't be kept there.
    """
    lines = [sending.line for sending in agreed]
    os.environ[ENV] = " ".join(dict.fromkeys([*_given(), *lines]))
    try:
        _append(lines)
    except (OSError, RuntimeError) as error:
        why = error.strerror if isinstance(error, OSError) and error.strerror else str(error)
        raise ConfigError(
            f"what was agreed to can't be kept in {place() or 'your settings'}: {why}. Set "
            f"{ENV}={shlex.quote(' '.join(lines))} where it is to hold."
        ) from None


def inherited(targets: Iterable[Target]) -> dict[str, str] | None:
    """The environment of a process that is to call these targets on this one's word; None: as here.

    What their owner sent somewhere is remembered, too: its run can be measured again.
    """
    sent = sendings(targets)
    if not sent:
        return None
    with suppress(OSError, RuntimeError):  # it was never asked for
        _append([sending.line for sending in sent if not sending.source])
    lines = dict.fromkeys([*_given(), *(sending.line for sending in sent)])
    return {**os.environ, ENV: " ".join(lines)}


def _given() -> list[str]:
    return os.environ.get(ENV, "").split()


def place() -> Path | None:
    """The file of what was agreed to; None where there is no home. A relative one is no home."""
    named = os.environ.get("APPDATA" if os.name == "nt" else "XDG_CONFIG_HOME", "")
    with suppress(RuntimeError):
        home = Path(named) if Path(named).is_absolute() else Path.home() / ".config"
        return home / "holymon" / "trusted" if home.is_absolute() else None
    return None


def remembered() -> tuple[str, ...]:
    """The lines in the user's settings; none from a file that others could have written."""
    kept = place()
    if kept is None:
        return ()
    with suppress(OSError, RuntimeError), _opened(kept, os.O_RDONLY) as fd:
        return tuple(os.read(fd, 2 * MOST_BYTES).decode("utf-8", "replace").splitlines())
    return ()


def _append(lines: list[str]) -> None:
    """Add what is not there yet, in one write, so that two processes don't lose each other's."""
    kept = place()
    if kept is None:
        raise RuntimeError("there is no home folder")
    known = remembered()
    new = [line for line in lines if line not in known]
    if not new:
        return
    kept.parent.mkdir(parents=True, exist_ok=True, mode=0o700)
    with _opened(kept, os.O_WRONLY | os.O_APPEND | os.O_CREAT) as fd:
        if os.fstat(fd).st_size > MOST_BYTES:
            raise RuntimeError("it is full")
        os.write(fd, "\n".join(["", *new, ""]).encode())


@contextmanager
def _opened(place: Path, flags: int) -> Iterator[int]:
    """A file of the user's own, that nobody else can write. Raises OSError, RuntimeError.

    As OpenSSH reads its own files (StrictModes); no link is followed, and nothing is waited for.
    """
    extra = sum(getattr(os, name, 0) for name in ("O_NOFOLLOW", "O_NONBLOCK", "O_BINARY"))
    _require_own(place.parent.lstat(), stat.S_ISDIR)
    fd = os.open(place, flags | extra, 0o600)
    try:
        _require_own(os.fstat(fd), stat.S_ISREG)
        yield fd
    finally:
        os.close(fd)


def _require_own(about: os.stat_result, is_kind: Callable[[int], bool]) -> None:
    """Raise RuntimeError for what is not of that kind, this user's, and nobody else's to write."""
    if sys.platform == "win32":
        return
    others = about.st_uid != os.geteuid() or about.st_mode & 0o022
    if others or not is_kind(about.st_mode):
        raise RuntimeError("others own it or could write it")
