"""What is asked, in turn: a text, several, or a dataset; and what is common to all of it."""

from collections.abc import Sequence
from typing import Any, Final, NamedTuple

import numpy as np

from holymon.language.said import say
from holymon.plan.conversations import turned, turns_of
from holymon.plan.dataset import Dataset, dataset_of
from holymon.plan.lengths import Lengths
from holymon.plan.made_text import WORD_BYTES, text_of_tokens
from holymon.plan.requests import BYTES_OF_TOKEN, MOST_TOKENS, Message, Request
from holymon.safety import short
from holymon.structs import Struct, check_range, replace, require

VARIETY: Final = 1000
"""So many different requests are made up and asked in turn: enough to miss most prompt caches."""

DEFAULT: Final = "Say hello in one short sentence."
MARK_BYTES: Final = 24
"""Of what a unique prompt begins with."""


class Sizes(NamedTuple):
    """How long the prompts and answers are that are asked in turn, in tokens.

    `most` is what all prompts can be at most and `longest` the longest of them, `about` a guess of
    all; `answers` is the sum of the longest answers, `longest_answer` the longest: None without a
    limit.
    """

    number: int
    most: int
    longest: int
    about: float
    answers: int | None
    longest_answer: int | None


class Prompts(Struct, frozen=True):
    """What is asked: one text, several in turn, or the requests of a `dataset`.

    `tokens` says of texts that were made up about how long each is. `max_tokens` is the longest
    answer of requests without one of their own. `system` is what the system says, in place of what
    a request has; `prefix_tokens` of words that are the same for all stand before each prompt; a
    `unique` one begins as no other does, in no run, so that no prompt cache can help. With
    `exact_tokens` a server is asked for answers of just that length (`ignore_eos`, `min_tokens`).
    """

    texts: tuple[str, ...] = (DEFAULT,)
    tokens: int | None = None
    max_tokens: int | None = 64
    stream: bool = True
    dataset: Dataset | None = None
    system: str = ""
    prefix_tokens: int = 0
    unique: bool = False
    exact_tokens: bool = False

    def __post_init__(self) -> None:
        """Raise PlanError if there is no text, or a number of tokens is out of range."""
        super().__post_init__()
        require(bool(self.texts), "prompts", "are empty", "give at least one text")
        if self.tokens is not None:
            check_range("prompt_tokens", self.tokens, 1, 1_000_000)
        if self.max_tokens is not None:
            check_range("max_tokens", self.max_tokens, 1, MOST_TOKENS)
        check_range("prefix_tokens", self.prefix_tokens, 0, MOST_TOKENS)
        both = self.unique and self.prefix_tokens
        require(not both, "unique", "does not go with prefix_tokens", "leave one of them out")

    @property
    def words(self) -> str:
        """How many there are, and how the first one begins."""
        if self.dataset is not None:
            return self.dataset.words
        if self.tokens:
            return say("synthetic ones of about {tokens} tokens", tokens=self.tokens)
        return f"{len(self.texts)}, such as {short(self.texts[0], 60)!r}"

    @property
    def common(self) -> list[str]:
        """What holds for all of them, in words; without any of somebody's own."""
        words = {
            say("the same system prompt"): bool(self.system),
            say(
                "a common beginning of {prefix_tokens} tokens", prefix_tokens=self.prefix_tokens
            ): self.prefix_tokens,
            say("each beginning as no other"): self.unique,
            say("answers of just the longest length asked for"): self.exact_tokens,
        }
        return [word for word, holds in words.items() if holds]

    @property
    def number(self) -> int:
        """How many different requests there are, or conversations."""
        return self.dataset.requests if self.dataset is not None else len(self.texts)

    @property
    def turns(self) -> int:
        """The most turns that a conversation has; 1 where none are held."""
        return self.dataset.turns if self.dataset is not None else 1

    @property
    def private(self) -> bool:
        """Whether there is anything in them that is somebody's own."""
        own = self.tokens is None and self.texts != (DEFAULT,)
        return (own if self.dataset is None else self.dataset.own) or bool(self.system)

    def request(self, turn: int) -> Request:
        """What is asked in a turn, counted from 0. Raises ConfigError if it can't be read."""
        number = turn % self.number
        return self.dataset[number] if self.dataset is not None else Request(self.texts[number])

    def text(self, turn: int) -> str:
        """What is said in a turn of somebody's own words, as one text."""
        texts = (part.text for part in self.request(turn).conversation)
        return "\n\n".join([self.system, *texts]).strip()

    def limit(self, request: Request) -> int | None:
        """The longest answer to a request."""
        return self.max_tokens if request.max_tokens is None else request.max_tokens

    def messages(
        self, request: Request, number: int, seed: int = 0, mark: str = "", turn: int = 0
    ) -> Sequence[Message]:
        """What is said in a request, with what is common to all; `mark` begins what is unique.

        Words that are made up are those of the request's number, of its turn, and of a seed.
        """
        messages = request.turns(words_of(seed, number, turn))
        if self.system:
            rest = [message for message in messages if message.get("role") != "system"]
            messages = [{"role": "system", "content": self.system}, *rest]
        begin = mark if self.unique else ""
        if self.prefix_tokens:
            begin = text_of_tokens(self.prefix_tokens, (seed << 32) + (1 << 31)) + " "
        return _beginning(messages, begin) if begin else messages

    def first(self, max_tokens: int | None) -> "Prompts":
        """The first of them alone, with another longest answer."""
        if self.dataset is None:
            return replace(self, texts=self.texts[:1], max_tokens=max_tokens)
        alone = self.dataset[0].changed(max_tokens=None, then=())
        return replace(self, dataset=dataset_of([alone]), max_tokens=max_tokens)

    @property
    def sizes(self) -> Sizes:
        """How long they are."""
        n = self.number if self.dataset is None else self.dataset.calls
        ahead = len(self.system.encode("utf-8", "replace"))
        more = ahead + self.prefix_tokens * WORD_BYTES + MARK_BYTES * self.unique
        guess = ahead / BYTES_OF_TOKEN + self.prefix_tokens + 10 * self.unique
        if self.dataset is not None:
            known = self.dataset
            own, longest, lacking = known.limits, known.longest_limit, known.unlimited
            answers = None if lacking and self.max_tokens is None else (
                own + lacking * (self.max_tokens or 0)
            )  # fmt: skip
            limit = (self.max_tokens or 0) if lacking else 0
            again = known.repeats * limit
            return Sizes(
                n, known.most_tokens + n * more + again,
                known.longest + more + (known.turns - 1) * limit * bool(again),
                known.about_tokens + n * guess + again * (not known.own), answers,
                None if answers is None else max(longest, limit),
            )  # fmt: skip
        sizes = [len(text.encode("utf-8", "replace")) + more for text in self.texts]
        about = n * self.tokens if self.tokens else (sum(sizes) - n * more) / BYTES_OF_TOKEN
        answers = None if self.max_tokens is None else n * self.max_tokens
        return Sizes(n, sum(sizes), max(sizes), about + n * guess, answers, self.max_tokens)


def _beginning(messages: Sequence[Message], begin: str) -> list[Message]:
    """Messages of which the first begins otherwise."""
    first, *rest = messages
    content: Any = first.get("content")
    if isinstance(content, list | tuple):
        content = [{"type": "text", "text": begin}, *content]
    else:
        content = begin + (content or "")
    return [{**first, "content": content}, *rest]


def words_of(seed: int, number: int, turn: int = 0) -> int:
    """The number of the words that are made up for a turn of a request."""
    return (seed << 32) + (turn << 24) + number


def made(
    prompts: Lengths, answers: Lengths | None = None, *, turns: Lengths | None = None,
    seed: int = 0, number: int = VARIETY,
) -> Dataset:  # fmt: skip
    """Requests that are made up: prompts and answers of such lengths, drawn by a seed.

    With `turns` they are conversations of so many; each turn is a prompt of such a length.
    """
    each = np.ones(number, int) if turns is None else turns_of(turns, number, seed)
    total = int(each.sum())
    sizes = prompts.drawn(total, seed).tolist()
    limits = [None] * total if answers is None else answers.drawn(total, seed, 1).tolist()
    parts = [Request(prompt_tokens=n, max_tokens=m) for n, m in zip(sizes, limits, strict=True)]
    ends = np.cumsum(each).tolist()
    held = (parts[a:b] for a, b in zip([0, *ends], ends, strict=False))
    requests = (first.changed(then=tuple(then)) if then else first for first, *then in held)
    kind = f"made up, prompts of {prompts.words}"
    return dataset_of(requests, kind=kind)


def limited(dataset: Dataset, answers: Lengths | None, seed: int = 0) -> Dataset:
    """The same requests with longest answers of such lengths, or the plan's, not their own."""
    limits = None if answers is None else iter(answers.drawn(dataset.calls, seed, 1).tolist())

    def turn_of(turn: Request) -> Request:
        return turn.changed(max_tokens=None if limits is None else next(limits))

    return dataset.mapped(lambda _, request: turned(request, turn_of), timed=dataset.timed)
