"""Sums of tokens, and who counted them."""

import math
from collections.abc import Iterable
from dataclasses import dataclass

from holymon.formatting import (
    count,
    percent,
)
from holymon.language.said import listed, say


@dataclass(frozen=True, slots=True)
class Tokens:
    """Sums over successful calls, and who counted: `server`, `chunks`, `mixed`, or None.

    `cached` and `written` are parts of the prompts, `reasoning` is one of the outputs: of those
    calls whose server counted them, as are the shares.
    """

    prompt: int | None
    output: int | None
    source: str | None
    cached: int | None = None
    written: int | None = None
    reasoning: int | None = None
    cache_hit_rate: float | None = None
    reasoning_share: float | None = None

    @property
    def words(self) -> str:
        """All of it in a line."""
        counted = {
            "server": say("counted by the server"), "chunks": say("estimated: pieces counted"),
            "mixed": say("partly estimated"),
        }.get(str(self.source), say("not known"))  # fmt: skip
        parts = [
            *([say("{n:,} from a cache ({share} of those in)", n=self.cached,
                   share=percent(self.cache_hit_rate))] if self.cached else ()),
            *([say("{n:,} spent on reasoning ({share} of those out)", n=self.reasoning,
                   share=percent(self.reasoning_share))] if self.reasoning else ()),
        ]  # fmt: skip
        sums = say(
            "tokens {prompt} in, {output} out ({counted})", prompt=count(self.prompt),
            output=count(self.output), counted=counted,
        )  # fmt: skip
        return listed(", ", [sums, *parts])


def pooled_share(parts: Iterable[tuple[float | None, float | None]]) -> float | None:
    """A share of tokens over several sums, from pairs of a share and the sum that it is of.

    None where no pair tells both.
    """
    known = [(share, n) for share, n in parts if share is not None and n is not None and n > 0]
    total = math.fsum(n for _, n in known)
    return math.fsum(share * n for share, n in known) / total if total else None
