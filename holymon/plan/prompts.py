"""What is asked, in turn: a text, several, or a dataset; and what is common to all of it."""

from collections.abc import Sequence
from typing import Any, Final, NamedTuple

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
            return f"synthetic ones of about {self.tokens} tokens"
        return f"{len(self.texts)}, such as {short(self.texts[0], 60)!r}"

    @property
    def common(self) -> list[str]:
        """What holds for all of them, in words; without any of somebody's own."""
        words = {
            "the same system prompt": bool(self.system),
            f"a common beginning of {self.prefix_tokens} tokens": self.prefix_tokens,
            "each beginning as no other": self.unique,
            "answers of just the longest length asked for": self.exact_tokens,
        }
        return [word for word, holds in words.items() if holds]

    @property
    def number(self) -> int:
        """How many different requests there are."""
        return self.dataset.requests if self.dataset is not None else len(self.texts)

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
        return f"{self.system}\n\n{self.request(turn).text}".strip()

    def limit(self, request: Request) -> int | None:
        """The longest answer to a request."""
        return self.max_tokens if request.max_tokens is None else request.max_tokens

    def messages(
        self, request: Request, number: int, seed: int = 0, mark: str = ""
    ) -> Sequence[Message]:
        """What is said in a request, with what is common to all; `mark` begins what is unique.

        Words that are made up are those of the request's number, and of a seed.
        """
        messages = request.turns((seed << 32) + number)
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
        alone = self.dataset[0].limited(None)
        return replace(self, dataset=dataset_of([alone]), max_tokens=max_tokens)

    @property
    def sizes(self) -> Sizes:
        """How long they are."""
        n, ahead = self.number, len(self.system.encode("utf-8", "replace"))
        more = ahead + self.prefix_tokens * WORD_BYTES + MARK_BYTES * self.unique
        guess = ahead / BYTES_OF_TOKEN + self.prefix_tokens + 10 * self.unique
        if self.dataset is not None:
            known = self.dataset
            own, longest, lacking = known.limits, known.longest_limit, known.unlimited
            answers = None if lacking and self.max_tokens is None else (
                own + lacking * (self.max_tokens or 0)
            )  # fmt: skip
            most_answer = max(longest, (self.max_tokens or 0) if lacking else 0)
            return Sizes(
                n, known.most_tokens + n * more, known.longest + more,
                known.about_tokens + n * guess, answers, None if answers is None else most_answer,
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


def made(
    prompts: Lengths, answers: Lengths | None = None, *, seed: int = 0, number: int = VARIETY
) -> Dataset:
    """Requests that are made up: prompts and answers of such lengths, drawn by a seed."""
    sizes = prompts.drawn(number, seed).tolist()
    limits = [None] * number if answers is None else answers.drawn(number, seed, 1).tolist()
    requests = [Request(prompt_tokens=n, max_tokens=m) for n, m in zip(sizes, limits, strict=True)]
    kind = f"made up, prompts of {prompts.words}"
    return dataset_of(requests, kind=kind)


def limited(dataset: Dataset, answers: Lengths | None, seed: int = 0) -> Dataset:
    """The same requests with longest answers of such lengths, or the plan's, not their own."""
    n = len(dataset)
    limits = [None] * n if answers is None else answers.drawn(n, seed, 1).tolist()
    changed = (request.limited(limit) for request, limit in zip(dataset, limits, strict=True))
    about = (dataset.source, dataset.kind, dataset.left_out)
    return dataset_of(changed, *about, timed=dataset.timed)
