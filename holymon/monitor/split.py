"""Which calls are the candidate's: by a hash of their key, or each in its turn; never by chance."""

import itertools
from hashlib import blake2b
from typing import Final

_GOLDEN: Final = 0.6180339887498949
_WHOLE: Final = 2.0**64


def of_key(key: str) -> float:
    """A number from 0 to 1 that is always the same for a key, evenly spread over keys."""
    digest = blake2b(key.encode("utf-8", "surrogatepass"), digest_size=8).digest()
    return int.from_bytes(digest, "big") / _WHOLE


class EvenTurns:
    """Numbers from 0 to 1 that are evenly spread, however few: multiples of the golden ratio.

    Of any n in a row, n * share lie under a share, give or take a few (Weyl's equidistribution).
    """

    __slots__ = ("_numbers",)

    def __init__(self, start: int = 0) -> None:
        """Begin at a number of one's own."""
        self._numbers = itertools.count(start)

    def next(self) -> float:
        """The next one."""
        return (next(self._numbers) * _GOLDEN) % 1.0
