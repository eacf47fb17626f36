"""Questions with a known answer, and words to choose from: what two roads to a model are asked.

    checks(300, seed) --> 240 choices of a word at random, 60 questions that have one right answer
    dataset_of_checks(...)  the same as requests

All are made up from a seed, so that no gateway can have learnt them, and short, so that they cost
little.
"""

import json
from collections.abc import Callable, Sequence
from typing import Any, Final, NamedTuple

import numpy as np

from holymon.plan.dataset import Dataset, dataset_of
from holymon.plan.requests import Request
from holymon.structs import check_range

CHECKS: Final = 300
"""So many calls of each target, unless others are wanted: see `figures.fingerprint` for why."""

FEWEST, MOST = 50, 2000
OF_WORDS: Final = 0.8
"""The share of them that choose a word: these have answers of one token, and need many repeats."""

CHOICES: Final = (
    "heads, tails",
    "red, green, blue, yellow",
    "1, 2, 3, 4, 5, 6, 7, 8, 9",
    "Monday, Tuesday, Wednesday, Thursday, Friday, Saturday, Sunday",
)
WORD: Final = "word"
KINDS: Final = ("arithmetic", "copying", "ordering", "JSON")
LONGEST_ANSWER: Final = 256
_SMALLEST: Final = {"responses": 16}
"""Tokens of the shortest answer that an endpoint takes, where that is not one."""

_NAMES: Final = (
    "kite river lamp stone maple cloud copper violin harbour pepper window falcon".split()
)


class Check(NamedTuple):
    """A question of a kind; `answer` is the right one, JSON's as JSON, empty for a choice."""

    kind: str
    text: str
    answer: str = ""


def checks_in(number: int) -> int:
    """So many, or 0 for none. Raises PlanError for a number that says too little, or costs much."""
    if number:
        check_range("checks", number, FEWEST, MOST)
    return number


def checks(number: int, seed: int = 0) -> tuple[Check, ...]:
    """So many questions, the kinds mixed. Raises PlanError for a number that is too small."""
    check_range("checks", number, FEWEST, MOST)
    of_words = int(number * OF_WORDS) // len(CHOICES) * len(CHOICES)
    draw = np.random.default_rng((seed, 4))
    made = [_CHOICE[k % len(CHOICES)] for k in range(of_words)]
    made += [_QUESTIONS[k % len(KINDS)](draw) for k in range(number - of_words)]
    return tuple(made[k] for k in draw.permutation(number))


def dataset_of_checks(battery: Sequence[Check], endpoint: str) -> Dataset:
    """Requests that ask them: words at temperature 1, all else at 0."""
    word = _SMALLEST.get(endpoint, 1)
    return dataset_of(
        Request(
            check.text, body={"temperature": 1 if check.kind == WORD else 0},
            max_tokens=word if check.kind == WORD else LONGEST_ANSWER,
        )
        for check in battery
    )  # fmt: skip


_CHOICE: Final = tuple(
    Check(WORD, f"Choose one of these at random, and answer with it alone: {words}")
    for words in CHOICES
)


def _arithmetic(draw: np.random.Generator) -> Check:
    sign = "+-*"[draw.integers(3)]
    high = 100 if sign == "*" else 10_000
    a, b = (int(n) for n in draw.integers(high // 10, high, 2))
    result = {"+": a + b, "-": a - b, "*": a * b}[sign]
    return Check(KINDS[0], f"What is {a} {sign} {b}? Answer with the number alone.", str(result))


def _copying(draw: np.random.Generator) -> Check:
    """Of very different lengths: what two tokenizers make of them shows whether they are one."""
    words = draw.choice(_NAMES, int(draw.integers(3, 40)))
    text = " ".join(f"{word}-{draw.integers(10, 1000)}" for word in words)
    return Check(KINDS[1], f"Repeat this exactly, and nothing else: {text}", text)


def _ordering(draw: np.random.Generator) -> Check:
    numbers = draw.choice(np.arange(10, 1000), 9, replace=False).tolist()
    text, answer = (", ".join(map(str, some)) for some in (numbers, sorted(numbers)))
    order = "Sort these numbers from small to large, with commas between, and say nothing else: "
    return Check(KINDS[2], order + text, answer)


def _of_json(draw: np.random.Generator) -> Check:
    """Checked against a schema, and for what it is to hold."""
    name, first, second = (str(word) for word in draw.choice(_NAMES, 3, replace=False))
    age = int(draw.integers(18, 99))
    order = (
        'Write this as a JSON object with the keys "name" (string), "age" (integer) and "tags" '
        "(list of strings), and nothing else: "
    )
    held = {"name": name, "age": age, "tags": [first, second]}
    facts = f"{name} is {age} years old; tags {first} and {second}."
    return Check(KINDS[3], order + facts, json.dumps(held))


_QUESTIONS: Final[tuple[Callable[[Any], Check], ...]] = (
    _arithmetic, _copying, _ordering, _of_json,
)  # fmt: skip
