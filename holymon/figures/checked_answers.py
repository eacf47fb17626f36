"""Which answers to questions with one right answer are right, and whether B's are as often as A's.

Judged is what is said, not how: quotes, a full stop, a fence of Markdown and separators within a
number are no mistakes. The same questions were asked of both, so what counts are those that one
answered rightly and the other did not: by chance either is as likely (McNemar 1947, in its exact
form: the binomial law of one half).
"""

import json
import math
import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Final

from holymon.figures.quantiles import wilson
from holymon.plan.checks import KINDS, WORD, Check
from holymon.records.checked import CheckedCall
from holymon.structs import Rate

_AROUND: Final = " \t\r\n\"'`*."
_FENCE: Final = re.compile(r"```\w*(.*)```", re.DOTALL)
_SEPARATORS: Final = re.compile(r"(?<=\d)[,_ \u00a0\u202f](?=\d{3}\b)")
_TYPES: Final = {"name": str, "age": int, "tags": list}
"""The schema that answers in JSON are asked for."""

ARITHMETIC, COPYING, ORDERING, IN_JSON = KINDS
Calls = Mapping[int, CheckedCall]
"""Answers by the number of their question."""


def is_right(check: Check, text: str) -> bool:
    """Whether a text is the answer to a question."""
    if check.kind == IN_JSON:
        return bool(parses(text) == json.loads(check.answer))
    text = text.strip(_AROUND)
    if check.kind == ARITHMETIC:
        return _SEPARATORS.sub("", text).replace("\u2212", "-") == check.answer
    if check.kind == ORDERING:
        return re.split(r"[,\s]+", text) == check.answer.split(", ")
    return " ".join(text.split()) == check.answer


def parses(text: str) -> dict[str, Any] | None:
    """The object that an answer in JSON holds; None unless it parses and is of the schema."""
    fenced = _FENCE.fullmatch(text.strip())
    try:
        held = json.loads(fenced[1] if fenced else text)
    except (ValueError, RecursionError):
        return None
    if not isinstance(held, dict) or held.keys() != _TYPES.keys():
        return None
    typed = all(type(held[name]) is kind for name, kind in _TYPES.items())
    return held if typed and all(isinstance(tag, str) for tag in held["tags"]) else None


@dataclass(frozen=True, slots=True)
class RightAnswers:
    """How often A and B are right of the questions that both answered; `p` of their difference.

    `by_kind` has how many each got right of how many, by the kind of question.
    """

    a: Rate
    b: Rate
    p: float | None
    by_kind: dict[str, tuple[int, int, int]]


def right_answers(battery: Sequence[Check], a: Calls, b: Calls) -> RightAnswers:
    """Judge the answers of both sides."""
    known = [n for n in sorted(a.keys() & b.keys())
             if battery[n].kind != WORD and a[n].ok and b[n].ok]  # fmt: skip
    right = {n: (is_right(battery[n], a[n].text), is_right(battery[n], b[n].text)) for n in known}
    by_kind = {
        kind: (sum(right[n][0] for n in of), sum(right[n][1] for n in of), len(of))
        for kind in KINDS if (of := [n for n in known if battery[n].kind == kind])
    }  # fmt: skip
    only_a = sum(x and not y for x, y in right.values())
    only_b = sum(y and not x for x, y in right.values())
    rates = [wilson(sum(both[side] for both in right.values()), len(known)) for side in (0, 1)]
    p = _two_sided(only_a, only_b) if known else None
    return RightAnswers(rates[0], rates[1], p, by_kind)


def _two_sided(a: int, b: int) -> float:
    """The chance that one half's law is as far from its middle as `a` of a + b, or further."""
    n, least = a + b, min(a, b)
    tail: float = sum(math.comb(n, k) for k in range(least + 1)) / 2**n
    return min(1.0, 2 * tail)
