"""A part of many requests, drawn evenly at random, so that a file of any size can be asked.

Of lines of JSON, packed by gzip or not, only those that are drawn are kept in memory.
"""

import gzip
import random
import zlib
from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import Final, TypeVar

from holymon.errors import ConfigError

T = TypeVar("T")

MOST_LINE: Final = 64 * 1024 * 1024
MOST_UNPACKED: Final = 2**40
"""Bytes of a file of which a part is drawn: a small one may unpack to any size."""


def drawn(items: Iterable[T], most: int, seed: int = 0) -> tuple[list[T], int]:
    """At most so many items, each as likely as any other, in their order; how many are left out."""
    chance, kept, seen = random.Random(seed), list[tuple[int, T]](), 0
    for seen, item in enumerate(items, 1):
        if len(kept) < most:
            kept.append((seen, item))
        elif (place := int(chance.random() * seen)) < most:
            kept[place] = seen, item
    kept.sort(key=lambda pair: pair[0])
    return [item for _, item in kept], seen - len(kept)


def lines_of(path: Path) -> Iterator[tuple[int, bytes]]:
    """The lines of a file that hold anything, numbered, one at a time. Raises ConfigError."""
    left = MOST_UNPACKED
    try:
        with path.open("rb") as file:
            packed = file.read(2) == b"\x1f\x8b"
            file.seek(0)
            with gzip.open(file) if packed else file as unpacked:
                number = 0
                while line := unpacked.readline(MOST_LINE):
                    left -= len(line)
                    number += 1
                    if left < 0 or len(line) == MOST_LINE:
                        raise ConfigError(f"{path} holds a line, or more of them, past all bounds.")
                    if not line.isspace():
                        yield number, line
    except (OSError, EOFError, zlib.error) as error:
        why = getattr(error, "strerror", None) or error
        raise ConfigError(f"can't read requests from {path}: {why}.") from None
