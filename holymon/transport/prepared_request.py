"""Requests made ready once and sent often: the bytes of the head, and the environment's proxy.

    prepare(httpx.Request) -> Prepared        `_replace(content=...)` makes its like
    post(url, headers) -> Prepared            the same for a POST without a body, and one sentence
    hiding(prepared, {mark: Secret})          the same with secrets where marks stand in its head
    proxy_of(url) -> "host:port"              the proxy in between, without its credentials
    Prepared.bytes_with(key)                  what is sent; no key is ever part of a Prepared

The proxies are asked for here, once for each request, and a netrc never is.
"""

import re
import urllib.request
from base64 import b64decode, b64encode
from collections.abc import Mapping
from contextlib import suppress
from fnmatch import fnmatchcase
from ipaddress import ip_address, ip_network
from typing import Any, Final, NamedTuple
from urllib.parse import unquote

import httpx

from holymon.errors import ConfigError
from holymon.safety import Secret, plain, spellings

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

    cert_file: str = ""
    """A file with the client's own certificate and its private key."""

    cert_password_env: str = ""
    """The environment variable with the password of that key, if it has one."""


class Prepared(NamedTuple):
    """A request as it will be sent, but for the keys."""

    request: httpx.Request
    origin: Origin
    head: bytes
    content: bytes = b""
    proxy_key: Secret | None = None
    key_header: bytes = b"authorization: Bearer "
    parts: tuple[bytes | Secret, ...] = ()
    """The head with the secrets that are in it, if there are any."""

    def bytes_with(self, key: Secret | None) -> bytes:
        """What goes over the wire."""
        content, proxy_key = self.content, self.proxy_key
        proxied = proxy_key is not None and not self.origin.secure
        # The keys are in no variable: tracebacks may show local variables.
        return b"".join(
            (
                self.head if not self.parts else b"".join(map(_sent, self.parts)),
                b"content-length: %d\r\n" % len(content) if content or self._may_have_body else b"",
                field(self.key_header, key),
                field(b"proxy-authorization: Basic ", proxy_key) if proxied else b"",
                b"\r\n",
                content,
            )
        )

    @property
    def _may_have_body(self) -> bool:
        return self.request.method in {"POST", "PUT", "PATCH"}


def _sent(part: bytes | Secret) -> bytes:
    return part if isinstance(part, bytes) else part.reveal().encode("latin-1")


def hiding(prepared: Prepared, secrets: Mapping[str, Secret]) -> Prepared:
    """The request with a secret in each place of its head where its mark stands."""
    if not secrets:
        return prepared
    marks = b"|".join(re.escape(mark.encode("ascii")) for mark in secrets)
    pieces = re.split(b"(%s)" % marks, prepared.head)
    known = {mark.encode("ascii"): secret for mark, secret in secrets.items()}
    return prepared._replace(parts=tuple(known.get(piece, piece) for piece in pieces if piece))


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
    """A POST to be given a body; as `prepared_for`."""
    return prepared_for("POST", url, headers, key_header, ca_file)


def prepared_for(
    method: str, url: str, headers: Mapping[str, str] | None, key_header: bytes, ca_file: str
) -> Prepared:
    """A request to be given its key behind `key_header`; `ca_file` is trusted too.

    Raises ConfigError for an address that no request can be sent to. A proxy of the environment
    counts as part of the way there.
    """
    try:
        request = httpx.Request(method, url, headers=headers)
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


def place_of(url: str) -> tuple[str, bool]:
    """Where requests to an address arrive, spelled in one way, and whether that is this machine.

    The scheme, the host in lower case and ASCII, the port if it is not the usual one, and the
    path: as connections read it, so that nothing can look like another place. Raises ConfigError.
    """
    at = post(url).request.url
    spelled = f"{at.scheme}://{at.netloc.decode('ascii')}{at.raw_path.decode('ascii')}"
    return spelled.rstrip("/").replace("%7Bmodel%7D", "{model}"), _is_local(at.host)


def proxy_of(url: str) -> str:
    """The proxy that calls of an address go through, as `host:port`; `""` if there is none.

    Raises ConfigError as `post` does.
    """
    proxy = post(url).origin.proxy
    if proxy is None:
        return ""
    return f"[{proxy.host}]:{proxy.port}" if ":" in proxy.host else f"{proxy.host}:{proxy.port}"


def _check_host(url: httpx.URL) -> None:
    """Raise UnicodeError for a host that no resolver can be asked for."""
    url.raw_host.decode("ascii").strip("[]").encode("idna")


def _proxy_of(url: httpx.URL) -> tuple[Origin | None, Secret | None]:
    """The proxy that the environment names for an address, and the credentials it wants."""
    proxies = urllib.request.getproxies()
    name = proxies.get(url.scheme) or proxies.get("all")
    port = url.port or _PORTS[url.scheme]
    if not name or _is_local(url.host) or _is_excepted(url.host, port, proxies.get("no", "")):
        return None, None
    if urllib.request.proxy_bypass(f"{url.host}:{port}"):  # the settings of macOS and Windows
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
    return _Credentials(b64encode(both).decode("ascii"), "the proxy's address")


class _Credentials(Secret):
    """A name and a password as a proxy is given them, in base64."""

    __slots__ = ()

    def forms(self) -> tuple[str, ...]:
        """The spellings of both together, and of the password: a proxy may say either."""
        both = b64decode(self.reveal()).decode()
        texts = (self.reveal(), both, both.partition(":")[2])
        return tuple(form for text in texts for form in spellings(text))

    def parts(self) -> tuple[Any, ...]:
        """Those of both together, and of the password."""
        password = b64decode(self.reveal()).decode().partition(":")[2]
        with suppress(ConfigError):  # what no header can carry comes back as a whole at most
            return (*super().parts(), *Secret(password, self.name).parts())
        return super().parts()


def _is_local(host: str) -> bool:
    """Whether a proxy would look for this host on its own machine."""
    try:
        return ip_address(host).is_loopback
    except ValueError:
        return host == "localhost" or host.endswith(".localhost")


_ENTRY: Final = re.compile(
    r"(?:\w+://)?(?:\[(?P<v6>[^]]*)\](?P<bits>/\d+)?|(?P<name>[^:]*|.*:.*:.*?))(?::(?P<port>\d+))?/?"
)
"""A host, an address or a network, perhaps in brackets, perhaps with a port."""


def _is_excepted(host: str, port: int, listed: str) -> bool:
    """Whether NO_PROXY names a host, as any of curl, Go, requests and httpx would read it.

    A name stands for itself and all below it, with or without a dot or `*.` before it. Nothing is
    looked up: a network holds only hosts that are written as addresses.
    """
    host = host.rstrip(".")
    for entry in re.split(r"[,\s]+", listed.lower()):
        match = _ENTRY.fullmatch(entry)
        if not match or match["port"] not in {None, str(port)}:
            continue
        name = match["name"] or f"{match['v6'] or ''}{match['bits'] or ''}"
        if _stands_for(name, host):
            return True
    return False


def _stands_for(name: str, host: str) -> bool:
    """Whether an entry of NO_PROXY, without a port, stands for a host."""
    with suppress(ValueError):
        address = ip_address(host)
        with suppress(ValueError):
            return address in ip_network(name, strict=False)
        return "*" in name and fnmatchcase(host, name)
    name = name.removeprefix("*").strip(".") if name != "*" else name
    return bool(name) and (fnmatchcase(host, name) or fnmatchcase(host, f"*.{name}"))
