"""How many tokens a server says it counted, wherever it says so, as a row can hold them.

    OpenAI, vLLM, ...   usage.prompt_tokens, .prompt_tokens_details.cached_tokens
    Anthropic, Bedrock  usage.input_tokens beside cache_read_..., inputTokens beside cacheRead...
    DeepSeek            usage.prompt_cache_hit_tokens       Moonshot   choices[0].usage
    Groq                x_groq.usage                        llama.cpp  timings.prompt_n, .cache_n
    Gemini              usageMetadata.promptTokenCount      Ollama     prompt_eval_count

In marks the prompt holds what was read from a cache, and the output what was spent on reasoning.
What a call was charged stands in usage.cost (OpenRouter, Perplexity), in USD.
"""

import math
from typing import Any, Final, TypeVar

from holymon.records.attempt import Flag, Marks

MAX_COUNT: Final = 2**31 - 1
_SERVER_TOKENS: Final = int(Flag.SERVER_TOKENS)
_T = TypeVar("_T")

_NAMES: Final = {
    "prompt": "prompt_tokens promptTokens promptTokenCount prompt_token_count prompt_eval_count "
              "inputTokenCount input_tokens inputTokens prompt_n",
    "output": "completion_tokens completionTokens candidatesTokenCount completion_token_count "
              "eval_count outputTokenCount output_tokens outputTokens generated_tokens predicted_n",
    "cached": "cached_tokens prompt_cache_hit_tokens cache_read_input_tokens cacheReadInputTokens "
              "cache_n cachedContentTokenCount num_cached_tokens cached_input_tokens "
              "cacheReadInputTokenCount cached_read_tokens cacheReadTokens",
    "written": "cache_creation_input_tokens cacheWriteInputTokens cache_write_tokens "
               "cache_creation_tokens cached_creation_tokens cacheWriteInputTokenCount "
               "cached_write_tokens cacheWriteTokens",
    "thought": "reasoning_tokens thoughtsTokenCount thinking_tokens",
    "total": "total_tokens totalTokenCount totalTokens",
}  # fmt: skip
"""The names of each count, the one that counts if there are several first."""

_RANKS: Final = {
    name: (kind, rank)
    for kind, names in _NAMES.items() for rank, name in enumerate(names.split())
}  # fmt: skip
_PARTS: Final = frozenset(
    {"prompt_tokens_details", "input_tokens_details", "completion_tokens_details",
     "output_tokens_details", "tokens"}
)  # fmt: skip
_DEEPER: Final = 100

_BARE: Final = frozenset({"input_tokens", "inputTokens", "prompt_n"})
"""Counts of prompts that may leave out what was read from or written to a cache."""

_BESIDE: Final = frozenset({"", "cache_read_input_tokens", "cacheReadInputTokens", "cache_n"})
"""Counts of cached tokens that stand beside a bare prompt, and are no part of it."""

_NONE: Final = (0, "", None)
_AMOUNTS: Final = (int, float)
_MOST_CHARGED: Final = 1e6


def read_usage(usage: Any, marks: Marks) -> bool:
    """Note the counts that make sense, and tell whether there were any.

    A wrong one is unknown, and no reason to fail a call. The last one seen counts: some servers
    repeat a running total in every chunk.
    """
    if not isinstance(usage, dict):
        return False
    if len(usage) == 3 and _read_plain(usage, marks):
        return True
    if "cost" in usage:
        marks.cost = _charged(usage)
    counts = _counts(usage, {}, 0)
    _, name, prompt = counts.get("prompt", _NONE)
    _, beside, cached = counts.get("cached", _NONE)
    output = counts.get("output", _NONE)[2]
    written, thought = counts.get("written", _NONE)[2], counts.get("thought", _NONE)[2]
    if prompt is not None:
        if name in _BARE and beside in _BESIDE:
            prompt += (cached or 0) + (written or 0)
            if cached is None and written is None and marks.cached_tokens > 0:
                prompt = max(prompt, marks.prompt_tokens)  # it is told again without its cache
        if prompt:  # no request is made of nothing: a 0 stands for what was not counted
            marks.prompt_tokens = prompt
    if cached is not None and (cached or prompt or marks.cached_tokens < 0):
        marks.cached_tokens = cached
    if written is not None:
        marks.written_tokens = written
    if thought is not None:
        marks.reasoning_tokens = thought
    if output is not None:
        total = counts.get("total", _NONE)[2] or 0
        rest = total - (prompt or 0) - output
        # xAI, Gemini: not in the output, of which it can't be a part where it is more than that.
        if thought and (rest == thought or 0 < output < thought):
            output += thought
        elif prompt and output and rest > 0 and thought is cached is written is None:
            output += rest  # Gemini for chat: what was thought is in the total alone
        if output or marks.output_tokens <= 0:  # nor does a 0 take back what was counted
            marks.output_tokens = output
        marks.flags |= _SERVER_TOKENS
    return prompt is not None or output is not None


def _read_plain(usage: dict[str, Any], marks: Marks) -> bool:
    """Note the counts of what most servers send and nothing else; whether it was that."""
    prompt, output = usage.get("prompt_tokens"), usage.get("completion_tokens")
    if type(prompt) is not int or type(output) is not int:
        return False
    if usage.get("total_tokens") != prompt + output:
        return False
    if not 0 < prompt <= MAX_COUNT or not 0 < output <= MAX_COUNT:
        return False
    marks.prompt_tokens, marks.output_tokens = prompt, output
    marks.flags |= _SERVER_TOKENS
    return True


def _charged(usage: dict[str, Any]) -> float:
    """What a gateway charged for a call (USD); with a key of one's own also what its provider did.

    OpenRouter's `cost`, "the total amount charged to your account", and, where `is_byok`, its
    `cost_details.upstream_inference_cost`; Perplexity's `cost.total_cost`. NaN if it is no amount.
    """
    cost, details = usage["cost"], usage.get("cost_details")
    parts: list[Any] = [cost.get("total_cost") if isinstance(cost, dict) else cost]
    if usage.get("is_byok") is True and isinstance(details, dict):
        parts.append(details.get("upstream_inference_cost") or 0)
    good = all(type(part) in _AMOUNTS and 0 <= part < _MOST_CHARGED for part in parts)
    return float(sum(parts)) if good else math.nan


_Counts = dict[str, tuple[int, str, int]]


def _counts(usage: dict[str, Any], counts: _Counts, deeper: int) -> _Counts:
    """The count of each kind, with its rank and name; those in parts of the usage come last."""
    for name, value in usage.items():
        if (place := _RANKS.get(name)) is not None:
            kind, rank = place
            if (known := counts.get(kind)) is None or rank + deeper < known[0]:
                plain = type(value) is int and 0 <= value <= MAX_COUNT
                number = value if plain else count(usage, name, None)
                if number is not None:
                    counts[kind] = rank + deeper, name, number
        elif name in _PARTS and isinstance(value, dict):
            _counts(value, counts, _DEEPER)
    return counts


def count(usage: Any, name: str, otherwise: _T) -> int | _T:
    """A count by its name that a row can hold, else `otherwise`; `usage` is any JSON."""
    number = usage.get(name) if isinstance(usage, dict) else None
    if isinstance(number, str) and number.isascii() and number.isdecimal() and len(number) < 11:
        number = int(number)
    if not isinstance(number, int | float) or isinstance(number, bool):
        return otherwise
    return int(number) if 0 <= number <= MAX_COUNT and number % 1 == 0 else otherwise
