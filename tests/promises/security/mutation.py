"""Good samples made bad in one place or a few: what finds more than bytes that are bad throughout.

    mutated(rng, sample, others) -> bytes

Bits are flipped and stretches cut, doubled or taken from elsewhere; JSON has a value retyped, lost,
renamed, moved or wrapped; numbers become huge, texts are encoded otherwise. The same seed makes the
same bytes.
"""

import copy
import json
import re
from collections.abc import Callable, Sequence
from random import Random
from typing import Any

ODD: tuple[Any, ...] = (
    None, True, False, 0, -1, 1, 255, 256, 2**31, 2**32, 2**63, 2**64, -(2**63) - 1, 10**400, 1e308,
    -1e308, 5e-324, 0.1, -0.0, float("inf"), float("-inf"), float("nan"), "", "a", "\0", "\ud800",
    "\u202e", "\x1b[31m", "9" * 400, "1e999", "x" * 5000, "null", "NaN", "ä", [], {}, [[]],
    {"a": {}}, [None], [1], {"": None}, "2026-13-45", "-1", " ",
)  # fmt: skip
TOKENS: tuple[bytes, ...] = (
    b"\0", b"\n", b"\r", b"\r\n", b"\n\n", b"\xff", b"\xef\xbb\xbf", b"\xe2\x80\xa8", b"[", b"]",
    b"{", b"}", b'"', b",", b":", b"\\", b"'", b"1e999", b"-", b"9" * 400, b"null", b"NaN", b"data:",
    b"event:", b"id:", b"[" * 3000, b'{"a":' * 3000, b"\x00" * 64, b"\xff" * 64, b"%00", b"..", b"/",
    b"#", b";", b"=", b"data: [DONE]\n\n", b"error: x\n", b"\xed\xa0\x80", b" " * 1000,
)  # fmt: skip
NUMBERS: tuple[bytes, ...] = (
    b"0", b"-1", b"1e999", b"-1e999", b"1e308", b"255", b"256", b"65536", b"4294967296", b"NaN",
    b"18446744073709551616", b"9" * 400, b"0.0000001", b"1.5", b"2147483648", b"00", b"0x10", b"1_0",
)  # fmt: skip
_NUMBER = re.compile(rb"\d+(?:\.\d+)?")
_ENCODINGS = ("utf-8-sig", "utf-16", "utf-16-le", "utf-32", "latin-1", "cp1252", "utf-7")


def mutated(rng: Random, sample: bytes, others: Sequence[bytes]) -> bytes:
    """A sample, changed in one to four ways."""
    for _ in range(rng.choice((1, 1, 1, 2, 4))):
        change: Callable[[Random, bytes, Sequence[bytes]], bytes] = rng.choice(_WAYS)
        sample = change(rng, sample, others)
    return sample


def _json(rng: Random, sample: bytes, _: Sequence[bytes]) -> bytes:
    """The whole as JSON, or one line of it, or what stands behind `data:`."""
    lines = sample.split(b"\n")
    at = rng.randrange(len(lines))
    head, body = re.match(rb"(?s)([a-z]*: ?)?(.*)", lines[at]).groups()  # type: ignore[union-attr]
    for start, text, end in (
        (b"", sample, b""),
        (b"\n".join([*lines[:at], head or b""]), body, b"\n".join([b"", *lines[at + 1 :]])),
    ):
        try:
            return start + _dumped(rng, changed(rng, json.loads(text))) + end
        except (ValueError, RecursionError):
            continue
    return _number(rng, sample, ())


def _dumped(rng: Random, value: Any) -> bytes:
    text = json.dumps(value, ensure_ascii=rng.random() < 0.8)
    return text.encode("utf-8", "surrogatepass")


def changed(rng: Random, value: Any) -> Any:
    """A value of JSON with one place in it changed."""
    value = copy.deepcopy(value)
    holder: Any = [value]
    key: Any = 0
    while isinstance(holder[key], dict | list) and holder[key] and rng.random() < 0.85:
        holder = holder[key]
        key = rng.choice([*holder] if isinstance(holder, dict) else [*range(len(holder))])
    root = holder is not value and holder == [value] and key == 0
    way = rng.randrange(8)
    old = holder[key]
    if way <= 3:
        holder[key] = rng.choice(ODD)
    elif way == 4:
        holder[key] = [old] * rng.choice((0, 2, 1000))
    elif way == 5:
        for _ in range(rng.choice((1, 2, 2000))):
            holder[key] = rng.choice(({"a": holder[key]}, [holder[key]]))
    elif way == 6 and isinstance(holder, dict):
        del holder[key]
        if rng.random() < 0.5:
            holder[rng.choice((str(key).upper(), f"{key}s", "", "type", "\0"))] = old
    else:
        holder[key] = str(old) if rng.random() < 0.5 else {"value": old}
    return holder[0] if root else value


def _number(rng: Random, sample: bytes, _: Sequence[bytes]) -> bytes:
    places = list(_NUMBER.finditer(sample))
    if not places:
        return _insert(rng, sample, ())
    place = rng.choice(places)
    return sample[: place.start()] + rng.choice(NUMBERS) + sample[place.end() :]


def _flip(rng: Random, sample: bytes, _: Sequence[bytes]) -> bytes:
    raw = bytearray(sample)
    for _n in range(rng.choice((1, 1, 2, 8))):
        if raw:
            raw[rng.randrange(len(raw))] ^= 1 << rng.randrange(8)
    return bytes(raw)


def _write_over(rng: Random, sample: bytes, _: Sequence[bytes]) -> bytes:
    raw = bytearray(sample)
    size = rng.choice((1, 2, 4, 8))
    if len(raw) > size:
        at = rng.randrange(len(raw) - size)
        raw[at : at + size] = rng.choice((b"\xff" * size, b"\0" * size, rng.randbytes(size)))
    return bytes(raw)


def _cut(rng: Random, sample: bytes, _: Sequence[bytes]) -> bytes:
    a, b = sorted((rng.randrange(len(sample) + 1), rng.randrange(len(sample) + 1)))
    return rng.choice((sample[:a], sample[b:], sample[:a] + sample[b:]))


def _double(rng: Random, sample: bytes, _: Sequence[bytes]) -> bytes:
    a = rng.randrange(len(sample) + 1)
    b = min(len(sample), a + rng.choice((1, 8, 64, 1000)))
    return sample[:b] + sample[a:b] * rng.choice((1, 2, 50)) + sample[b:]


def _insert(rng: Random, sample: bytes, _: Sequence[bytes]) -> bytes:
    at = rng.randrange(len(sample) + 1)
    return sample[:at] + rng.choice(TOKENS) + sample[at:]


def _splice(rng: Random, sample: bytes, others: Sequence[bytes]) -> bytes:
    other = rng.choice([*others, sample])
    a, b = rng.randrange(len(sample) + 1), rng.randrange(len(other) + 1)
    return sample[:a] + other[b:]


def _lines(rng: Random, sample: bytes, _: Sequence[bytes]) -> bytes:
    lines = sample.split(b"\n")
    rng.choice((rng.shuffle, list.reverse))(lines)
    return rng.choice((b"\n", b"\r\n", b"\r", b"")).join(lines)


def _encode(rng: Random, sample: bytes, _: Sequence[bytes]) -> bytes:
    text = sample.decode("utf-8", "replace")
    return text.encode(rng.choice(_ENCODINGS), "replace")


_WAYS = (_json,) * 6 + (_number,) * 3 + (_flip,) * 3 + (
    _write_over, _cut, _double, _insert, _insert, _splice, _lines, _encode,
)  # fmt: skip
