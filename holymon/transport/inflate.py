"""Unpacks gzip and deflate in steps of bounded size: no I/O, and no bomb goes off at once."""

import zlib
from typing import Final

STEP: Final = 2**16
"""Bytes unpacked at once, at most."""

_ANY_HEADER: Final = zlib.MAX_WBITS | 32
_GZIP: Final = b"\x1f\x8b"


def inflater(packing: str) -> "Inflater | None":
    """What unpacks a body of that content-encoding; None for one that needs or knows nothing."""
    packing = packing.strip().lower()
    known = packing in {"gzip", "x-gzip", "deflate"}
    return Inflater(headless=packing == "deflate") if known else None


class Inflater:
    """The state of one body; `more` says that a further step needs no further bytes.

    With `headless`, deflate may lack the header that it should have: some servers forget it.
    """

    __slots__ = ("_headless", "_left", "_unpack", "more")

    def __init__(self, *, headless: bool = False) -> None:
        """Expect the beginning of a body."""
        self._unpack = zlib.decompressobj(_ANY_HEADER)
        self._headless = headless
        self._left = b""
        self.more = False

    @property
    def whole(self) -> bool:
        """Whether the end of what was packed has been seen."""
        return self._unpack.eof

    def step(self, packed: bytes = b"") -> bytes:
        """What `packed` and the rest of before hold, at most `STEP` bytes. Raises zlib.error."""
        packed = self._left + packed
        if self._unpack.eof:
            if not packed.startswith(_GZIP):  # padding, not another member
                self._left, self.more = b"", False
                return b""
            self._unpack = zlib.decompressobj(_ANY_HEADER)
        piece = self._decompress(packed)
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
