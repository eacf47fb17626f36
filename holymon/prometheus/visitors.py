"""Who may read what is exposed, and how often: judged by its headers, before anything is counted.

A page of another site can have a browser ask a server on its own machine, under a name of that
site which it has pointed there meanwhile (DNS rebinding; as in Vite's GHSA-vg6x-rcgg-rjx6 and
Jupyter's `allow_remote_access`). An address in numbers can't be pointed elsewhere.
"""

import re
import socket
import threading
import time
from collections import Counter
from collections.abc import Collection, Mapping
from ipaddress import ip_address
from typing import Any, Final
from urllib.parse import urlsplit

from holymon.safety import short

MOST_PER_S: Final = 50
"""Answers a second to one visitor: whoever answers takes time from the process that is watched."""

Refusal = tuple[str, str]
"""Status line, and a sentence."""


class Visitors:
    """Whom a server answers, which is known as `names` beside its addresses."""

    def __init__(self, names: Collection[str]) -> None:
        """Count nobody yet."""
        self._names = {"localhost", _bare(socket.gethostname()), *map(_bare, names)}
        self._lock = threading.Lock()
        self._second = 0
        self._asked: Counter[tuple[str, str]] = Counter()

    def refusal(self, environ: Mapping[str, Any]) -> Refusal | None:
        """Why a request is not answered; None if it is, and then it is counted."""
        host = str(environ.get("HTTP_HOST", ""))
        if host and not self._known(host):
            return "421 Misdirected Request", (
                f"{short(host, 100)} is not a name of this server: use its address, or name it "
                "with --allow-host, in Python expose(..., names=[...])"
            )
        origin = environ.get("HTTP_ORIGIN")
        if origin is not None and _netloc(origin) != host.lower():
            return "403 Forbidden", "pages of other sites can't read this"
        if not (_is_own_site(environ) or _is_followed(environ)):
            return "403 Forbidden", "pages of other sites can't read this"
        if self._often(environ.get("REMOTE_ADDR", ""), environ.get("HTTP_USER_AGENT", "")):
            return "429 Too Many Requests", f"one visitor gets {MOST_PER_S} answers a second"
        return None

    def _known(self, host: str) -> bool:
        match = _HOST.fullmatch(host)
        name = "" if match is None else _bare(match["name"] or match["address"])
        return name in self._names or name.endswith(".localhost") or _is_address(name)

    def _often(self, address: str, agent: str) -> bool:
        """Whether it has asked too often in this second; one that is greedy silences no other."""
        now = int(time.monotonic())
        with self._lock:
            if now != self._second:
                self._second, self._asked = now, Counter()
            visitor = address, agent[:100]
            self._asked[visitor] += 1
            return self._asked[visitor] > MOST_PER_S


_HOST: Final = re.compile(r"(?:(?P<name>[\w.-]+)|\[(?P<address>[^\]]+)\])(?::\d+)?", re.ASCII)


def _is_own_site(environ: Mapping[str, Any]) -> bool:
    """Whether a browser says that no other site asked; a scraper says nothing of sites."""
    return environ.get("HTTP_SEC_FETCH_SITE", "none") in {"none", "same-origin"}


def _is_followed(environ: Mapping[str, Any]) -> bool:
    """Whether a browser says that a person followed a link, and no page shows this inside of it.

    As in the resource isolation policy of web.dev/articles/fetch-metadata.
    """
    mode, into = (environ.get(f"HTTP_SEC_FETCH_{name}") for name in ("MODE", "DEST"))
    return mode == "navigate" and into in {None, "document"}


def _netloc(url: str) -> str:
    try:
        return urlsplit(url).netloc.lower()
    except ValueError:
        return ""


def _bare(name: str) -> str:
    return name.lower().removesuffix(".")


def _is_address(name: str) -> bool:
    try:
        ip_address(name)
    except ValueError:
        return False
    return True
