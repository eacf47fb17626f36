"""Packed bodies, unpacked in steps of bounded size; what grows as only a bomb does is refused.

Of the same kind, elsewhere: urllib3's CVE-2025-66471 (a chunk is unpacked at once) and
CVE-2025-66418 (chains of encodings without end; here one is all there is).
"""

import zlib
from typing import Final

from holymon.transport.exceptions import TooLarge

STEP: Final = 2**14
"""Bytes unpacked at once, at most."""

FREE: Final = 2**22
"""Bytes that any packed body may hold, however well it was packed."""

MOST_RATIO: Final = 100
"""Bytes that one packed byte stands for on average, at most, beyond these: text comes to 5 or 20,
deflate's own limit is 1032 (zlib's technical notes), and only bombs are near it."""

_ANY_HEADER: Final = zlib.MAX_WBITS | 32
_GZIP: Final = b"\x1f\x8b"


class Inflater:
    """Unpacks one body in steps of bounded size: no bomb goes off at once.

    `more` says that a further step needs no further bytes. With `headless`, deflate may lack the
    header that it should have: some servers forget it.
    """

    __slots__ = ("_headless", "_left", "_packed", "_unpack", "_unpacked", "more")

    def __init__(self, *, headless: bool = False) -> None:
        """Expect the beginning of a body."""
        self._unpack = zlib.decompressobj(_ANY_HEADER)
        self._headless = headless
        self._left = b""
        self._packed = self._unpacked = 0
        self.more = False

    @property
    def whole(self) -> bool:
        """Whether the end of what was packed has been seen."""
        return self._unpack.eof

    @property
    def left(self) -> int:
        """Bytes that came and are not unpacked yet."""
        return len(self._left)

    def step(self, packed: bytes = b"") -> bytes:
        """What `packed` and the rest of before hold, at most `STEP` bytes.

        Raises zlib.error, TooLarge for what grows as only a bomb does.
        """
        self._packed += len(packed)
        packed = self._left + packed
        if self._unpack.eof:
            if not (packed and _GZIP.startswith(packed[:2])):  # padding, not another member
                self._left, self.more = b"", False
                return b""
            self._unpack = zlib.decompressobj(_ANY_HEADER)
        piece = self._decompress(packed)
        self._unpacked += len(piece)
        if self._unpacked > FREE and self._unpacked > MOST_RATIO * self._packed:
            raise TooLarge(f"the packed body grows to more than {MOST_RATIO} times its size")
        self._left = self._unpack.unconsumed_tail or self._unpack.unused_data
        self.more = bool(self._left) or len(piece) == STEP
        return piece

    def _decompress(self, packed: bytes) -> bytes:
        try:
            piece = self._unpack.decompress(packed, STEP)
        except zlib.error:
            if not self._headless:
                raise
            self._unpack = zlib.decompressobj(-zlib.MAX_WBITS)
            piece = self._unpack.decompress(packed, STEP)
        self._headless = False
        return piece


def inflater(packing: str) -> Inflater | None:
    """What unpacks a body of that content-encoding; None for one that needs or knows nothing."""
    packing = packing.strip().lower()
    known = packing in {"gzip", "x-gzip", "deflate"}
    return Inflater(headless=packing == "deflate") if known else None
