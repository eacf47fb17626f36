"""Tokens of successful calls: sums, and the shares of caches and of reasoning."""

import numpy as np

from holymon.figures.quantiles import Floats
from holymon.figures.summary_types import Tokens
from holymon.records.attempt import Flag
from holymon.records.records import Chosen


def token_sums(good: Chosen) -> Tokens:
    """The sums of successful calls."""
    by_server = (good["flags"] & Flag.SERVER_TOKENS) != 0
    output, prompt = good["output_tokens"], good["prompt_tokens"]
    if len(good) == 0 or not (output >= 0).any():
        return Tokens(None, None, None)
    cached, hit = _part(good["cached_tokens"], prompt)
    reasoning, share = _part(good["reasoning_tokens"], np.where(by_server, output, -1))
    return Tokens(
        prompt=int(prompt.sum()) if (prompt >= 0).all() else None,
        output=int(output.sum()) if (output >= 0).all() else None,
        source="server" if by_server.all() else "mixed" if by_server.any() else "chunks",
        cached=cached,
        written=_part(good["written_tokens"], prompt)[0],
        reasoning=reasoning,
        cache_hit_rate=hit,
        reasoning_share=share,
    )


def _part(part: Floats, whole: Floats) -> tuple[int | None, float | None]:
    """The sum of a part, and its share in the whole, of the calls that tell both."""
    known = (part >= 0) & (whole >= 0)
    if not known.any():
        return None, None
    some, all_of_it = int(np.minimum(part, whole)[known].sum()), int(whole[known].sum())
    return some, some / all_of_it if all_of_it else None
