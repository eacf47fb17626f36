"""Where an API departs from its dialect: what of a request it takes otherwise, or not at all."""

import re
from typing import Any, Final

from holymon.language.said import listed, say
from holymon.structs import Struct, require

LIMIT: Final = re.compile(r"(?i)\bmax[a-z_]{0,40}tokens?\b")
"""The names under which APIs take the longest answer: max_tokens, max_completion_tokens, ..."""


class Quirks(Struct, frozen=True):
    """How a target is asked where that is not as its dialect and the plan say.

    `max_tokens` is the name under which its API takes the longest answer (None: the dialect's own;
    empty: it takes none), `stream_options` whether it takes those, `stream` whether its answers are
    streamed (None: as the plan asks).
    """

    max_tokens: str | None = None
    stream_options: bool = True
    stream: bool | None = None

    def __post_init__(self) -> None:
        """Raise PlanError if `max_tokens` can't be the name of such a field."""
        super().__post_init__()
        good = not self.max_tokens or LIMIT.fullmatch(self.max_tokens) is not None
        require(good, "quirks", "name no limit of tokens", "write one such as max_output_tokens")

    @property
    def changes(self) -> list[str]:
        """What is asked otherwise, in words."""
        words: list[str] = []
        if self.max_tokens is not None:
            words.append(
                say("the longest answer is asked for as {field}", field=self.max_tokens)
                if self.max_tokens
                else say("no max_tokens is sent: answers may be of any length")
            )
        if not self.stream_options:
            words.append(say("no stream_options are sent: the server may count no tokens"))
        if self.stream is not None:
            words.append(
                say("answers are streamed") if self.stream else say("answers are not streamed")
            )
        return words

    @property
    def words(self) -> str:
        """All of it in a line."""
        return listed("; ", self.changes) or "none"

    def streams(self, wanted: bool) -> bool:
        """Whether answers are streamed where the plan asks for that, or does not."""
        return wanted if self.stream is None else self.stream

    def applied(self, body: dict[str, Any]) -> dict[str, Any]:
        """The body of a request, asked as its API takes it."""
        if self.max_tokens is None and self.stream_options:
            return body
        taken: dict[str, Any] = {}
        for name, value in body.items():
            if LIMIT.fullmatch(name) and self.max_tokens is not None:
                taken |= {self.max_tokens: value} if self.max_tokens else {}
            elif name != "stream_options" or self.stream_options:
                taken[name] = value
        return taken
