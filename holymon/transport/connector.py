"""Opens connections: names to addresses, TCP by happy eyeballs, a proxy's tunnel, TLS.

Connector.open(origin, connection)    it is connected; raises OSError, ssl.SSLError,
httpx.ProxyError
"""

import asyncio
import contextlib
import os
import socket
import ssl
import sys
from pathlib import Path
from time import monotonic
from typing import Any, Final

import aiohappyeyeballs
import httpx

from holymon.errors import ConfigError
from holymon.safety import Secret, plain
from holymon.transport.connection import Connection
from holymon.transport.prepared_request import Origin, field

NAMES_KEPT_S: Final = 60.0
SECOND_TRY_S: Final = 0.25
"""When the first of several addresses has not answered by then, the next one is tried too
(RFC 8305, section 5)."""

_ANSWER_MAX, _LINE = 2**16, 2**11
Addresses = list[tuple[Any, ...]]


class Connector:
    """Opens connections; remembers the addresses of names, and the TLS settings."""

    def __init__(self, verify: ssl.SSLContext | bool = True) -> None:
        """Trust what `verify` says, by default the system's certificates."""
        self._verify = verify
        self._contexts: dict[tuple[str, ...], ssl.SSLContext] = {}
        self._names: dict[tuple[str, int], tuple[float, asyncio.Future[Addresses]]] = {}

    async def open(
        self, origin: Origin, protocol: Connection, proxy_key: Secret | None = None
    ) -> None:
        """Connect `protocol` to the origin, through its proxy if it has one."""
        loop = asyncio.get_running_loop()
        sock = await self._connect(origin.proxy or origin)
        try:
            sock.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
            if not origin.secure:
                await loop.create_connection(lambda: protocol, sock=sock)
                return
            if origin.proxy is not None:
                await _tunnel(sock, origin, proxy_key)
            protocol.greeting = True
            await loop.create_connection(
                lambda: protocol,
                sock=sock,
                ssl=self._tls(origin),
                server_hostname=origin.host,
            )
        except BaseException:
            with contextlib.suppress(OSError):  # the loop may have taken it, and closed it
                sock.close()
            raise

    async def _connect(self, server: Origin) -> socket.socket:
        addresses = await self._look_up(server.host, server.port)
        return await aiohappyeyeballs.start_connection(addresses, happy_eyeballs_delay=SECOND_TRY_S)

    async def _look_up(self, host: str, port: int) -> Addresses:
        """The addresses of a name: many calls at once ask for them once."""
        since, task = self._names.get((host, port), (0.0, None))
        failed = task is not None and task.done() and (task.cancelled() or task.exception())
        if task is None or failed or monotonic() - since > NAMES_KEPT_S:
            loop = asyncio.get_running_loop()
            looking = loop.getaddrinfo(host, port, type=socket.SOCK_STREAM)
            task = asyncio.ensure_future(looking)
            # Whoever asked may have given up meanwhile: then nobody is to hear of a failure.
            task.add_done_callback(lambda done: done.cancelled() or done.exception())
            self._names[host, port] = (monotonic(), task)
        return await asyncio.shield(task)

    def _tls(self, origin: Origin) -> ssl.SSLContext:
        if isinstance(self._verify, ssl.SSLContext):
            return self._verify
        files = (origin.ca_file, origin.cert_file, origin.cert_password_env)
        if files not in self._contexts:  # reading the system's certificates takes a while
            context = trusting(*files)
            context.set_alpn_protocols(["http/1.1"])
            if not self._verify:
                context.check_hostname = False
                context.verify_mode = ssl.CERT_NONE
            self._contexts[files] = context
        return self._contexts[files]


def trusting(ca_file: str = "", cert_file: str = "", cert_password_env: str = "") -> ssl.SSLContext:
    """TLS settings that trust what the system does, and the certificates in `ca_file`.

    Where the system names nobody, what httpx trusts. A server that asks who is calling is shown the
    certificate in `cert_file`. Raises ConfigError for a file that can't be read as certificates.
    """
    paths = ssl.get_default_verify_paths()
    there = paths.cafile or (paths.capath and any(Path(paths.capath).iterdir()))
    if there or sys.platform == "win32":
        context = ssl.create_default_context()
    else:
        # Python from python.org on a Mac, and small containers, have no certificates of their own.
        context = httpx.create_ssl_context(trust_env=False)
    if ca_file:
        try:
            context.load_verify_locations(ca_file)
        except OSError as error:
            why = error.strerror if not isinstance(error, ssl.SSLError) else "no certificates in it"
            raise ConfigError(f"ca_file {plain(ca_file)!r} can't be used: {why}.") from None
    if cert_file:
        _show(context, cert_file, cert_password_env)
    return context


def _show(context: ssl.SSLContext, cert_file: str, password_env: str) -> None:
    """Have a client's certificate shown. Raises ConfigError for what can't be used."""
    if password_env and password_env not in os.environ:
        raise ConfigError(
            f"cert_file needs a password: set the environment variable {password_env}."
        )
    try:
        # Without a password OpenSSL would ask for one in the terminal.
        context.load_cert_chain(cert_file, password=lambda: os.environ.get(password_env, ""))
    except (OSError, ValueError) as error:
        why = (
            f"it holds no certificate with its key, or {password_env or 'cert_password_env'} no "
            "password that opens that"
        )
        if isinstance(error, OSError) and not isinstance(error, ssl.SSLError):
            why = str(error.strerror)
        raise ConfigError(f"cert_file {plain(cert_file)!r} can't be used: {why}.") from None


async def _tunnel(sock: socket.socket, origin: Origin, key: Secret | None) -> None:
    """Ask the proxy for a way to the origin. Raises httpx.ProxyError."""
    loop = asyncio.get_running_loop()
    host = f"[{origin.host}]" if ":" in origin.host else origin.host
    to = f"{host}:{origin.port}".encode("ascii")
    ask = b"CONNECT %s HTTP/1.1\r\nhost: %s\r\n" % (to, to)
    await loop.sock_sendall(sock, ask + field(b"proxy-authorization: Basic ", key) + b"\r\n")
    reply = b""
    # Nothing but the proxy speaks before our first word, so nothing of the origin can be read here.
    while b"\r\n\r\n" not in reply and len(reply) < _ANSWER_MAX:
        piece = await loop.sock_recv(sock, 4096)
        if not piece:
            break
        reply += piece
    words = reply.split(b"\r\n", 1)[0].split(b" ")
    if len(words) < 2 or not words[0].startswith(b"HTTP/") or not words[1].startswith(b"2"):
        # Cut only where keys are masked: a part of one would not be known for it.
        raise httpx.ProxyError(f"the proxy said {b' '.join(words)[:_LINE].decode('latin-1')!r}")
    if b"\r\n\r\n" not in reply:
        raise httpx.ProxyError(f"the proxy's answer has no end within {len(reply)} bytes")
