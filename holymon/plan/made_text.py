"""Texts of about so many tokens: frequent short words, of which nearly each is a token.

    text_of_tokens(500, 3)    500 words, which begin as those of no other number do
    text_of_blocks(...)       words of blocks that several texts begin with

A text is cut out of a long one, since to draw its words would take as long as to send it.
"""

from collections.abc import Sequence
from functools import cache
from typing import Final

import numpy as np

_LENGTH: Final = 1 << 16
_OWN: Final = 8
"""Words at the beginning that tell a text from every other: 100 ** 8 of them."""

# Most tokenizers need just one token for each, with its space.
_WORDS: Final = (
    "the of and to in is you that it he was for on are as with his they at be this have from or "
    "one had by word but not what all were we when your can said there use an each which she do "
    "how their if will up other about out many then them these so some her would make like him "
    "into time has look two more write go see number no way could people my than first water been "
    "call who oil its now find long down day did get come made may part"
).split()

WORD_BYTES: Final = max(map(len, _WORDS)) + 1


@cache
def _long_text() -> tuple[str, list[int]]:
    """Many words in random order, and where each of them begins."""
    order = np.random.default_rng(0).integers(0, len(_WORDS), _LENGTH).tolist()
    words = [f"{_WORDS[k]} " for k in order]
    starts = np.concatenate([[0], np.cumsum([len(word) for word in words])]).tolist()
    return "".join(words), starts


def _mixed(number: int) -> int:
    """A number of 64 bits that depends on all bits of another (the end of splitmix64)."""
    mask = (1 << 64) - 1
    z = (number + 0x9E3779B97F4A7C15) & mask
    z = ((z ^ (z >> 30)) * 0xBF58476D1CE4E5B9) & mask
    z = ((z ^ (z >> 27)) * 0x94D049BB133111EB) & mask
    return z ^ (z >> 31)


def text_of_tokens(tokens: int, number: int) -> str:
    """So many words; of texts with other numbers not even the first eight are the same."""
    key = _mixed(number)
    own, rest = list[str](), key
    for _ in range(min(tokens, _OWN)):
        rest, k = divmod(rest, len(_WORDS))
        own.append(_WORDS[k])
    text, starts = _long_text()
    pieces, left, at = [" ".join(own)], tokens - len(own), key % _LENGTH
    while left > 0:
        some = min(left, _LENGTH - at)
        pieces.append(text[starts[at] : starts[at + some] - 1])
        left, at = left - some, 0
    return " ".join(pieces)


def text_of_blocks(tokens: int, blocks: Sequence[int], size: int, number: int) -> str:
    """So many words, which are those of shared blocks of `size` first, then of this number."""
    pieces, left = list[str](), tokens
    for shared in blocks:
        if left <= 0:
            break
        # Apart from the texts of requests, whose numbers may be the same.
        pieces.append(text_of_tokens(min(size, left), ~shared))
        left -= size
    if left > 0:
        pieces.append(text_of_tokens(left, number))
    return " ".join(pieces)
