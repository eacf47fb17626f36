"""Requests made ready once and sent often: as aiohttp wants them, with the environment's proxy.

    prepare(httpx.Request) -> Prepared        `_replace(content=...)` makes its like
    Masked(text)                              a header's value that no repr shows

The proxies are asked for here, once for each request, and a netrc never is: aiohttp's own
`trust_env` asks for both at every call, each time in a thread, and adds credentials.
"""

import urllib.request
from base64 import b64encode
from ipaddress import ip_address
from typing import Final, NamedTuple

import httpx
from multidict import CIMultiDict
from yarl import URL

from holymon.errors import ConfigError
from holymon.safety import MASK

_NOT_OURS: Final = ("host", "content-length", "transfer-encoding")  # aiohttp writes these


class Masked(str):
    """Text that is sent as it is and shows as `***` in the repr of a dict, frame or exception."""

    __slots__ = ()

    def __repr__(self) -> str:
        return MASK


class Prepared(NamedTuple):
    """A request as it will be sent, but for the key."""

    request: httpx.Request
    url: URL
    headers: CIMultiDict[str]
    content: bytes = b""
    proxy: URL | None = None
    proxy_headers: dict[str, str] | None = None


def prepare(request: httpx.Request) -> Prepared:
    """Translate a request that has been read. Raises ConfigError for a proxy of another kind."""
    url = URL(str(request.url), encoded=True)
    headers = CIMultiDict(request.headers.multi_items())
    for name in _NOT_OURS:
        headers.popall(name, None)
    proxy, credentials = _proxy_of(url)
    through = {"proxy-authorization": credentials} if credentials else {}
    if url.scheme == "http":
        headers.update(through)
        through = {}
    return Prepared(request, url, headers, request.content, proxy, dict(through) or None)


def _proxy_of(url: URL) -> tuple[URL | None, Masked | None]:
    """The proxy that the environment names for an address, and the credentials it wants."""
    found = urllib.request.getproxies()
    name = found.get(url.scheme) or found.get("all")
    if not name or _is_local(url.host or ""):
        return None, None
    if urllib.request.proxy_bypass(f"{url.host}:{url.port}"):
        return None, None
    proxy = URL(name if "://" in name else f"http://{name}")
    if proxy.scheme not in {"http", "https"}:
        raise ConfigError(
            f"the environment asks for a {proxy.scheme} proxy, and only http proxies are known: "
            f"set NO_PROXY={url.host}, or another HTTP_PROXY and HTTPS_PROXY."
        )
    if proxy.user is None:
        return proxy, None
    pair = b64encode(f"{proxy.user}:{proxy.password or ''}".encode()).decode()
    return proxy.with_user(None), Masked(f"Basic {pair}")


def _is_local(host: str) -> bool:
    """Whether a proxy would look for this host on its own machine."""
    try:
        return ip_address(host).is_loopback
    except ValueError:
        return host == "localhost" or host.endswith(".localhost")
