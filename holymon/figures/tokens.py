"""Tokens of successful calls: sums, the shares of caches and of reasoning, and those streamed.

Many servers count reasoning as output and send none of it, or a summary. What was not streamed
took no time between the first token and the last: 1,000 hidden tokens before 100 visible ones
make 20.2 ms a token look like 1.8. OpenAI's guide to reasoning models and Anthropic's to extended
thinking (`redacted_thinking`, `display: omitted`) say what is billed and not sent.
"""

import numpy as np
import numpy.typing as npt

from holymon.figures.quantiles import Counts, Floats
from holymon.figures.token_sums import Tokens
from holymon.language.said import say
from holymon.records.attempt import Flag
from holymon.records.chosen import Chosen

Bools = npt.NDArray[np.bool_]


def token_sums(good: Chosen) -> Tokens:
    """The sums of successful calls."""
    by_server = (good["flags"] & Flag.SERVER_TOKENS) != 0
    output, prompt = good["output_tokens"], good["prompt_tokens"]
    cached, hit = _part(good["cached_tokens"], prompt)
    if len(good) == 0 or not (output >= 0).any():
        counted = len(good) > 0 and bool((prompt >= 0).all())
        if not counted:
            return Tokens(None, None, None)
        return Tokens(int(prompt.sum()), None, "server", cached=cached, cache_hit_rate=hit)
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


def veiled(good: Chosen) -> Bools:
    """Which answers were streamed without their reasoning, or a part of it; shape (n,).

    Rows of earlier versions have no flag for it: content that came first had no reasoning before.
    """
    early = (good["reasoning_tokens"] > 0) & (good["content_s"] <= good["first_s"])
    early &= good["chunks"] > 1  # what came all at once may hold it
    veil: Bools = ((good["flags"] & Flag.VEILED) != 0) | early
    return veil


def streamed(good: Chosen) -> Counts:
    """Output tokens without reasoning that was not streamed; -1 where not known, shape (n,)."""
    output, reasoning = good["output_tokens"], good["reasoning_tokens"]
    if not _any_reasons(good):
        return output
    hidden = veiled(good)
    known = (output >= 0) & (~hidden | (reasoning >= 0))
    rest = np.maximum(output - np.where(hidden, reasoning, 0), 0)
    return np.where(known, rest, -1).astype(np.int64)


def time_per_token(good: Chosen) -> Floats:
    """Seconds for each output token after the first, NaN where that can't be told; shape (n,).

    Where a server counts reasoning, the time and the tokens are those of the content: reasoning
    may have come whole, as a summary or not at all, and only the content's count is sure.
    """
    begin, tokens = good["first_s"], streamed(good)
    if _any_reasons(good):
        alone = (good["reasoning_tokens"] > 0) & ~np.isnan(good["content_s"])
        begin = np.where(alone, good["content_s"], begin)
        tokens = np.where(alone, good["output_tokens"] - good["reasoning_tokens"], tokens)
        tokens[alone & (good["last_s"] <= begin)] = 0
    # All tokens in one received piece: there was nothing between them to time.
    timed = (tokens > 1) & (good["chunks"] > 1)
    return np.where(timed, (good["last_s"] - begin) / np.maximum(tokens - 1, 1), np.nan)


def _any_reasons(good: Chosen) -> bool:
    """Whether any did: where none does, as often, a summary takes a tenth less."""
    return bool((good["reasoning_tokens"] > 0).any() or (good["flags"] & Flag.VEILED).any())


def about_veiled(good: Chosen) -> tuple[str, ...]:
    """A sentence on what TPOT and tokens/s leave out, if there is anything."""
    if not _any_reasons(good):
        return ()
    hidden = veiled(good)
    n, unknown = int(hidden.sum()), int((hidden & (good["reasoning_tokens"] < 0)).sum())
    if not n:
        return ()
    lacking = say(
        " and are not given for the {unknown:,} whose server did not count it", unknown=unknown
    )
    return (
        say(
            "{n:,} of {good:,} answers kept reasoning to themselves: TPOT and tokens/s leave it "
            "out{lacking}; cost and the sum of tokens hold it.",
            n=n,
            good=len(good),
            lacking=lacking * (unknown > 0),
        ),
    )


def _part(part: Floats, whole: Floats) -> tuple[int | None, float | None]:
    """The sum of a part, and its share in the whole, of the calls that tell both."""
    known = (part >= 0) & (whole >= 0)
    if not known.any():
        return None, None
    some, all_of_it = int(np.minimum(part, whole)[known].sum()), int(whole[known].sum())
    return some, some / all_of_it if all_of_it else None
