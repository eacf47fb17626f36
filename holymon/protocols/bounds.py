"""How much of an answer is read, at most, whatever a server sends: in bytes, events and values."""

from typing import Final

MAX_BODY: Final = 64 * 1024 * 1024
MAX_ERROR_BODY: Final = 64 * 1024

MOST_IDLE: Final = 2**15
"""Events of a stream that bring no token: with a keep-alive a second it may take nine hours."""

MOST_CHOICES: Final = 1024
"""Answers that are read of those asked for at once; OpenAI gives 128 at most."""

LONG: Final = 2**20
"""Bytes of JSON that can't hold too many values."""

LOOSE: Final = 2**23
"""Bytes that are read although they are no strict JSON: that takes five times as long."""

_MOST_VALUES: Final = 2**22


def is_vast(data: bytes) -> bool:
    """Whether JSON holds so many values that only to read it would take hundreds of MB.

    An object or a list takes 60 bytes and more however empty it is, other values half of that.
    """
    if len(data) <= LONG:
        return False
    parts = data.count(b"[") + data.count(b"{")
    return parts > LONG or data.count(b",") > _MOST_VALUES
