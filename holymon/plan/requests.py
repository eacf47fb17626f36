"""One request: what is said in it, what else stands in its body, and how long it is to be.

    Request("Say hello.")                                     one message of the user
    Request([{"role": "system", ...}, {"role": "user", ...}]) messages in OpenAI's form of chat
    Request(prompt_tokens=500, max_tokens=100)                of that size, its words made up
    Request("Say hello.", then=["And in French?"])            a conversation of two turns

What is made up is the same for a seed.
"""

from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any, Final

import msgspec

from holymon.formatting import Table, number_of
from holymon.plan.made_text import WORD_BYTES, text_of_blocks
from holymon.safety import plain, short
from holymon.structs import check_range, require

Message = Mapping[str, Any]
"""One message: `role`, `content` (a text, or a list of parts), and what else its role has."""

MOST_TOKENS: Final = 10_000_000
MOST_BLOCKS: Final = 100_000
MOST_TURNS: Final = 1000
MOST_THINKING: Final = 86_400.0
BYTES_OF_TOKEN: Final = 4
"""About so many bytes of text are a token."""

BLOCK_TOKENS: Final = 512
"""Of a block in Mooncake's traces."""

IMAGE_TOKENS: Final = 50_000
"""At most so many tokens are a picture: 2,833 and 5,667 for each of 8 tiles (gpt-4o-mini, in
https://platform.openai.com/docs/guides/images-vision)."""

ABOUT_IMAGE: Final = 1000
SHOWN: Final = 10
"""Messages of a request that is shown."""


class Request(msgspec.Struct, frozen=True, omit_defaults=True, forbid_unknown_fields=True):
    """What is asked in one call.

    `messages` is a text of the user, or messages in OpenAI's form of chat, which other dialects are
    told in theirs; a path in a list of parts is a picture. `body` holds more fields of the body,
    `max_tokens` the longest answer where it is not the plan's. `prompt_tokens` and `output_tokens`
    are how many are expected; without any message a prompt of about so many tokens is made; it
    begins with the blocks of `block_tokens` that have the numbers in `blocks`, as all do that name
    those. `at` is when it came once (s).

    In `then` are the further turns of a conversation: requests of what is said next, or texts of
    the user. Each is sent when the one before is answered and `think_s` seconds have passed, or,
    without these, when it came once; with all that was said before it, and the text of the answer,
    unless its own messages begin with one (of the assistant). What is `whole` is sent alone.
    """

    messages: str | Sequence[dict[str, Any]] = ""
    body: dict[str, Any] = {}
    max_tokens: int | None = None
    prompt_tokens: int | None = None
    output_tokens: int | None = None
    blocks: tuple[int, ...] = ()
    block_tokens: int = BLOCK_TOKENS
    at: float | None = None
    then: tuple["Request", ...] = ()
    think_s: float | None = None
    whole: bool = False

    def __post_init__(self) -> None:
        """Raise PlanError if it says nothing, or a number is out of range."""
        if not (self.messages or self.prompt_tokens):
            require(False, "a request", "says nothing", "give it messages, or prompt_tokens")
        # Read once for each call of a load: nothing more is done than has to be.
        if self.max_tokens is not None:
            check_range("max_tokens", self.max_tokens, 1, MOST_TOKENS)
        if self.prompt_tokens is not None:
            check_range("prompt_tokens", self.prompt_tokens, 0, MOST_TOKENS)
        if self.output_tokens is not None:
            check_range("output_tokens", self.output_tokens, 0, MOST_TOKENS)
        if self.blocks:
            check_range("block_tokens", self.block_tokens, 1, MOST_TOKENS)
            check_range("blocks of a prompt", len(self.blocks), 0, MOST_BLOCKS)
        if not isinstance(self.messages, str):
            _check(self.messages)
        if self.think_s is not None:
            check_range("think_s", self.think_s, 0, MOST_THINKING, "seconds")
        if self.then:
            _follow(self)

    @property
    def conversation(self) -> Iterator["Request"]:
        """Its turns, in their order: itself, and those that are said then."""
        yield self
        yield from self.then

    def changed(self, **fields: Any) -> "Request":
        """The same but for some fields."""
        return msgspec.structs.replace(self, **fields)

    def limited(self, max_tokens: int | None) -> "Request":
        """The same with another longest answer, in each turn."""
        then = tuple(turn.limited(max_tokens) for turn in self.then)
        return self.changed(max_tokens=max_tokens, then=then)

    @property
    def has_answer(self) -> bool:
        """Whether it begins with an answer to the turn before, or is sent without what was said."""
        known = self.messages
        given = not isinstance(known, str) and bool(known) and known[0].get("role") == "assistant"
        return self.whole or given

    def turns(self, seed: int = 0) -> Sequence[Message]:
        """Its messages; words that are made up are those of a seed."""
        if not isinstance(self.messages, str):
            return self.messages
        return ({"role": "user", "content": self.messages or self._made(seed)},)

    def _made(self, seed: int) -> str:
        return text_of_blocks(self.prompt_tokens or 1, self.blocks, self.block_tokens, seed)

    @property
    def text(self) -> str:
        """All that is said in it, as one text; of what is made up, nothing."""
        if isinstance(self.messages, str):
            return self.messages
        return "\n\n".join(text_of(message.get("content")) for message in self.messages)

    @property
    def images(self) -> int:
        """How many pictures come along."""
        if isinstance(self.messages, str):
            return 0
        return sum(map(is_image, (p for m in self.messages for p in _parts(m.get("content")))))

    def _repr_html_(self) -> str:
        return Table(("request", ""), self._facts(), "l").html()

    def _facts(self) -> list[tuple[str, str]]:
        names = ("body", "max_tokens", "prompt_tokens", "output_tokens", "at")
        given = ((name, getattr(self, name)) for name in names)
        known = [(name, short(str(value), 200)) for name, value in given if value not in (None, {})]
        if isinstance(self.messages, str) or not self.messages:
            return [("says", self.words), *known]
        turns = [(m["role"], short(text_of(m.get("content")), 200)) for m in self.messages[:SHOWN]]
        more = len(self.messages) - SHOWN
        return [*turns, *[("and", f"{number_of(more, 'more message')}")] * (more > 0), *known]

    @property
    def words(self) -> str:
        """How it begins, or how long it is."""
        more = f", and {number_of(len(self.then), 'turn')} more" * bool(self.then)
        return self._first_words + more

    @property
    def _first_words(self) -> str:
        if not self.messages:
            return f"made up, of about {number_of(self.prompt_tokens or 0, 'token')}"
        if isinstance(self.messages, str):
            return repr(short(self.messages, 60))
        pictures = f", {number_of(self.images, 'picture')}" * bool(self.images)
        number = number_of(len(self.messages), "message")
        return f"{number}{pictures}, such as {short(self.text, 60)!r}"

    def __repr__(self) -> str:
        return plain(f"<Request {self.words}>")


def text_of(content: Any) -> str:
    """The text in the content of a message; nothing of its pictures."""
    if isinstance(content, str):
        return content
    texts = (part.get("text") if isinstance(part, Mapping) else part for part in _parts(content))
    return "\n".join(text for text in texts if isinstance(text, str))


def _parts(content: Any) -> Sequence[Any]:
    return content if isinstance(content, list | tuple) else ()


def is_image(part: Any) -> bool:
    """Whether a part of a message is a picture."""
    kind = part.get("type") if isinstance(part, Mapping) else None
    return isinstance(part, Path) or kind in ("image_url", "image", "input_image")


def _check(messages: Sequence[Any]) -> None:
    for message in messages:
        known: Message = message if isinstance(message, dict) else {}
        good = isinstance(known.get("role"), str) and known.keys() & {"content", "tool_calls"}
        mend = "write it as {'role': 'user', 'content': '...'}"
        require(bool(good), "a message", "has no role or no content", mend)


def _follow(request: Request) -> None:
    """Make requests of the texts that are said then. Raise PlanError for what can't follow."""
    given = [Request(turn) if isinstance(turn, str) else turn for turn in request.then]
    good = all(isinstance(turn, Request) and not turn.then for turn in given)
    require(good, "then", "holds what is no single turn", "list texts and requests there")
    check_range("turns of a conversation", len(given) + 1, 1, MOST_TURNS)
    msgspec.structs.force_setattr(request, "then", tuple(given))


def most_tokens(request: Request, size: int) -> int:
    """How many tokens the prompt of a request of `size` bytes of JSON can be: a token is a byte."""
    made = 0 if request.messages else (request.prompt_tokens or 0) * WORD_BYTES
    return size + made + IMAGE_TOKENS * request.images


def about_tokens(request: Request) -> float:
    """About how many tokens its prompt is: as it says itself, else by its text."""
    if request.prompt_tokens is not None:
        return request.prompt_tokens
    text = len(request.text.encode("utf-8", "replace"))
    return text / BYTES_OF_TOKEN + ABOUT_IMAGE * request.images
