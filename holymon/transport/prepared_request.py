"""Requests made ready once and sent often: the bytes of the head, and the environment's proxy.

    prepare(httpx.Request) -> Prepared        `_replace(content=...)` makes its like
    post(url, headers) -> Prepared            the same for a POST without a body, and one sentence
    Prepared.bytes_with(key)                  what is sent; no key is ever part of a Prepared

The proxies are asked for here, once for each request, and a netrc never is.
"""

import urllib.request
from base64 import b64encode
from collections.abc import Mapping
from ipaddress import ip_address
from typing import Final, NamedTuple
from urllib.parse import unquote

import httpx

from holymon.errors import ConfigError
from holymon.safety import Secret, plain

_OURS: Final = (b"connection", b"content-length", b"transfer-encoding")
_PORTS: Final = {"http": 80, "https": 443}


class Origin(NamedTuple):
    """Where connections lead: a server, perhaps through a proxy."""

    secure: bool
    host: str
    port: int
    proxy: "Origin | None" = None
    ca_file: str = ""
    """A file with certificates to trust beside the system's."""


class Prepared(NamedTuple):
    """A request as it will be sent, but for the keys."""

    request: httpx.Request
    origin: Origin
    head: bytes
    content: bytes = b""
    proxy_key: Secret | None = None
    key_header: bytes = b"authorization: Bearer "

    def bytes_with(self, key: Secret | None) -> bytes:
        """What goes over the wire."""
        proxy_key = None if self.origin.secure else self.proxy_key
        length = b"content-length: %d\r\n" % len(self.content) if self._has_body else b""
        # The keys are in no variable: tracebacks may show local variables.
        return b"".join(
            (
                self.head,
                length,
                field(self.key_header, key),
                field(b"proxy-authorization: Basic ", proxy_key),
                b"\r\n",
                self.content,
            )
        )

    @property
    def _has_body(self) -> bool:
        return bool(self.content) or self.request.method in {"POST", "PUT", "PATCH"}


def field(name: bytes, key: Secret | None) -> bytes:
    """A header with a key in it; nothing without a key."""
    return b"" if key is None else name + key.reveal().encode("latin-1") + b"\r\n"


def prepare(request: httpx.Request) -> Prepared:
    """Translate a request that has been read.

    Raises ConfigError for a proxy of another kind, httpx.UnsupportedProtocol for another scheme,
    httpx.LocalProtocolError for a header that is none.
    """
    url = request.url
    if url.scheme not in _PORTS or not url.host:
        raise httpx.UnsupportedProtocol(f"not an address: {url.scheme}://", request=request)
    proxy, key = _proxy_of(url)
    secure = url.scheme == "https"
    host = url.raw_host.decode("ascii").strip("[]")
    origin = Origin(secure, host, url.port or _PORTS[url.scheme], proxy)
    through = b"%s://%s" % (url.raw_scheme, url.netloc) if proxy and not secure else b""
    lines = [b"%s %s%s HTTP/1.1" % (request.method.encode("ascii"), through, url.raw_path)]
    for name, value in request.headers.raw:
        if name.lower() not in _OURS:
            lines.append(name + b": " + value)
    if any(char in line for line in lines for char in b"\r\n\0"):
        raise httpx.LocalProtocolError("a header with a line break in it", request=request)
    return Prepared(request, origin, b"\r\n".join(lines) + b"\r\n", request.content, key)


def post(
    url: str, headers: Mapping[str, str] | None = None, key_header: bytes = b"", ca_file: str = ""
) -> Prepared:
    """A POST to be given a body, and its key behind `key_header`; `ca_file` is trusted too.

    Raises ConfigError for an address that no request can be sent to. A proxy of the environment
    counts as part of the way there.
    """
    try:
        request = httpx.Request("POST", url, headers=headers)
        _check_host(request.url)
    except (httpx.InvalidURL, UnicodeError):
        raise ConfigError(
            f"the host in {plain(url)!r} can't be a name in the net: look for a typing error in it."
        ) from None
    prepared = prepare(request)
    return prepared._replace(
        origin=prepared.origin._replace(ca_file=ca_file),
        key_header=key_header or prepared.key_header,
    )


def _check_host(url: httpx.URL) -> None:
    """Raise UnicodeError for a host that no resolver can be asked for."""
    url.raw_host.decode("ascii").strip("[]").encode("idna")


def _proxy_of(url: httpx.URL) -> tuple[Origin | None, Secret | None]:
    """The proxy that the environment names for an address, and the credentials it wants."""
    proxies = urllib.request.getproxies()
    name = proxies.get(url.scheme) or proxies.get("all")
    if not name or _is_local(url.host):
        return None, None
    if urllib.request.proxy_bypass(f"{url.host}:{url.port or _PORTS[url.scheme]}"):
        return None, None
    proxy = _proxy_address(url.scheme, name if "://" in name else f"http://{name}")
    if proxy.scheme != "http":
        raise ConfigError(
            f"the environment asks for a {proxy.scheme} proxy, and only http proxies are known: "
            f"set NO_PROXY={url.host}, or another HTTP_PROXY and HTTPS_PROXY."
        )
    through = Origin(secure=False, host=proxy.host, port=proxy.port or 80)
    return through, _credentials(proxy.userinfo)


def _proxy_address(scheme: str, name: str) -> httpx.URL:
    try:
        url = httpx.URL(name)
        _check_host(url)
        good = bool(url.host) and "%" not in url.host and 0 < (url.port or 80) < 2**16
    except (httpx.InvalidURL, UnicodeError):
        good = False
    if not good:  # what it is instead may hold a password
        raise ConfigError(
            f"the environment's proxy for {scheme} is no address: write {scheme.upper()}_PROXY "
            "like http://127.0.0.1:3128, or take it out."
        )
    return url


def _credentials(pair: bytes) -> Secret | None:
    if not pair:
        return None
    name, _, password = pair.decode("ascii").partition(":")
    both = f"{unquote(name)}:{unquote(password)}".encode()
    return Secret(b64encode(both).decode("ascii"), "the proxy's address")


def _is_local(host: str) -> bool:
    """Whether a proxy would look for this host on its own machine."""
    try:
        return ip_address(host).is_loopback
    except ValueError:
        return host == "localhost" or host.endswith(".localhost")
