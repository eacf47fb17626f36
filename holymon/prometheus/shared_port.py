"""One port of all processes of a server, each of which listens there: whoever is asked, answers."""

import errno
import socket
import time
from collections.abc import Callable
from pathlib import Path
from typing import IO, Final, TypeVar

from holymon.records.own_files import lock_file, try_lock

T = TypeVar("T")
GATE_S: Final = 10.0
"""How long to wait for others that listen first; each of them takes a moment."""

ENDING_S: Final = 2.0
"""How long an address may stay taken by a process that has just ended."""


def at_port(path: Path, address: tuple[str, int], listen: Callable[[], T]) -> tuple[T, IO[bytes]]:
    """What `listen()` makes at an address that all processes of a server share, and a lock for it.

    The first of them looks whether it is free: any process of a user may share it, also one of
    another server. Keep the lock for as long as the address. Raises OSError.
    """
    # Who is the first is decided by one at a time: to turn a lock into a shared one lets others in.
    gate = lock_file(place := path / f"holymon-{address[1]}.gate")
    lock = lock_file(path / f"holymon-{address[1]}.port")
    try:
        until = time.monotonic() + GATE_S
        while not try_lock(gate):
            if time.monotonic() > until:
                raise OSError(errno.EBUSY, f"another process holds {place}")
            time.sleep(0.01)
        if try_lock(lock):
            _require_free(address)
        made = listen()
        try_lock(lock, shared=True)
    except BaseException:
        lock.close()
        raise
    finally:
        gate.close()
    return made, lock


def _require_free(address: tuple[str, int]) -> None:
    """Raise OSError if an address stays taken: a process that ends may leave it after its lock."""
    until = time.monotonic() + ENDING_S
    while True:
        try:
            with socket.create_server(address, family=family_of(*address)):
                return
        except OSError as error:
            if error.errno != errno.EADDRINUSE or time.monotonic() > until:
                raise
        time.sleep(0.02)


def family_of(host: str, port: int) -> socket.AddressFamily:
    """Of IPv4 or IPv6, as the host is. Raises OSError."""
    return socket.getaddrinfo(host, port, type=socket.SOCK_STREAM)[0][0]
