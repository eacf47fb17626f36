"""The longest answer under the name that an API asks for: OpenAI's newer models refuse max_tokens.

Names().learned(model, body, words) -> the body under the other name, which is kept
Names().applied(model, body) -> the same for the calls after it
"""

from typing import Final

import msgspec

from holymon.plan.quirks import LIMIT
from holymon.protocols.refusal import refusal

_body: Final = msgspec.json.Decoder(dict[str, msgspec.Raw]).decode


class Names:
    """By model, what a limit of tokens is called there instead."""

    def __init__(self) -> None:
        """Know none yet."""
        self._known: dict[str, tuple[str, str]] = {}

    def applied(self, model: str, body: bytes) -> bytes:
        """A body as its API is known to take it."""
        known = self._known.get(model)
        return body if known is None else _renamed(_body(body), *known)

    def learned(self, model: str, body: bytes, words: str) -> bytes | None:
        """A body that was refused with these words, as they ask for it; None if they don't."""
        fields = _body(body)
        for sent in filter(LIMIT.fullmatch, fields):
            other = refusal(b"", words, sent=sent, streamed="stream" in fields).instead
            if other and other not in fields:
                self._known[model] = sent, other
                return _renamed(fields, sent, other)
        return None


def _renamed(fields: dict[str, msgspec.Raw], sent: str, other: str) -> bytes:
    if sent not in fields or other in fields:
        return msgspec.json.encode(fields)
    return msgspec.json.encode({other if name == sent else name: value
                                for name, value in fields.items()})  # fmt: skip
