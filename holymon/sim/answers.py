"""What simulated models know: answers to short questions, right as often as is said, and choices.

    answer_to(text, knows, moved, drawn)  -> the answer; None where that is no such question

Whether a question is answered rightly depends on its words alone, so the truth of a test is known:
`is_known`. Of words to choose from the first in an order of their own comes half the time, the
next half of the rest, and so on; a share `moved` of all choices goes from the first to the second.
"""

import json
import re
import zlib
from collections.abc import Callable
from typing import Final

_CHOICE: Final = re.compile(r"Choose one of these at random, and answer with it alone: (.+)")
_INT: Final = r"(\d{1,99})"
_SUM: Final = re.compile(rf"What is {_INT} ([-+*]) {_INT}\? Answer with the number alone\.")
_COPY: Final = re.compile(r"Repeat this exactly, and nothing else: (.+)")
_ORDER: Final = re.compile(rf"Sort these numbers from small to large, .+: ({_INT}(?:, {_INT})*)")
_FACTS: Final = re.compile(
    rf"as a JSON object .+: (\w+) is {_INT} years old; tags (\w+) and (\w+)\."
)
_WHOLE: Final = 2**32


_OPENINGS: Final = frozenset({"What", "Repeat", "Sort", "Write", "Choose"})
MOST_WORDS: Final = 100


def is_short(words: list[str]) -> bool:
    """Whether words may be such a question: all others cost no time."""
    return bool(words) and words[0] in _OPENINGS and len(words) <= MOST_WORDS


def is_choice(words: list[str]) -> bool:
    """Whether words ask for one of several."""
    return is_short(words) and words[0] == "Choose"


def is_known(text: str, knows: float) -> bool:
    """Whether a model that knows such a share of all answers knows this one."""
    return _number(text) < knows * _WHOLE


def answer_to(text: str, knows: float, moved: float, drawn: float) -> str | None:
    """The answer to a question, with `drawn` from 0 to 1 for what is left to chance."""
    if choice := _CHOICE.search(text):
        return _chosen(choice[1].split(", "), moved, drawn)
    for pattern, answer in _ANSWERS:
        if match := pattern.search(text):
            right = answer(match)
            return right if is_known(text, knows) else _wrong(right)
    return None


def share_of_words(words: list[str], moved: float) -> dict[str, float]:
    """How often each of the words is chosen: shares that add up to 1."""
    order = sorted(words, key=lambda word: _number(" ".join((*words, word))))
    shares = [0.5 ** (k + 1) for k in range(len(order))]
    shares[-1] *= 2
    shares[0] -= moved
    shares[1] += moved
    return dict(zip(order, shares, strict=True))


def _chosen(words: list[str], moved: float, drawn: float) -> str:
    if len(words) < 2:
        return words[0]
    for word, share in share_of_words(words, moved).items():
        if drawn < share:
            return word
        drawn -= share
    return word


def _number(text: str) -> int:
    return zlib.crc32(text.encode())


def _wrong(right: str) -> str:
    """An answer that looks like the right one: its last figure or letter is another."""
    return right[:-1] + ("1" if right[-1] != "1" else "2")


def _calculated(match: re.Match[str]) -> str:
    a, b = int(match[1]), int(match[3])
    return str({"+": a + b, "-": a - b, "*": a * b}[match[2]])


def _sorted(match: re.Match[str]) -> str:
    return ", ".join(map(str, sorted(int(n) for n in match[1].split(","))))


def _facts(match: re.Match[str]) -> str:
    name, age, *tags = match.groups()
    return json.dumps({"name": name, "age": int(age), "tags": tags})


_ANSWERS: Final[tuple[tuple[re.Pattern[str], Callable[[re.Match[str]], str]], ...]] = (
    (_SUM, _calculated), (_COPY, lambda match: match[1]), (_ORDER, _sorted), (_FACTS, _facts),
)  # fmt: skip
