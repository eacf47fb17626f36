"""What is asked: prompts read from a JSONL file, or synthetic ones of about a given length."""

import json
import random
from pathlib import Path
from typing import Any, Final

from holymon.errors import ConfigError, PlanError
from holymon.plan.given_file import decoded, raw

VARIETY: Final = 64
"""So many different synthetic prompts are asked in turn: enough to miss most prompt caches."""

# Frequent short words: most tokenizers need just one token for each, with its space.
_WORDS: Final = (
    "the of and to in is you that it he was for on are as with his they at be this have from or "
    "one had by word but not what all were we when your can said there use an each which she do "
    "how their if will up other about out many then them these so some her would make like him "
    "into time has look two more write go see number no way could people my than first water been "
    "call who oil its now find long down day did get come made may part"
).split()


def from_file(path: Path) -> tuple[str, ...]:
    """The prompts of a JSONL file: each line a string, or an object with `prompt` or `text`.

    Raises ConfigError if it can't be read, PlanError naming the line that is no prompt.
    """
    try:
        lines = decoded(raw(path)).split("\n")
    except (OSError, UnicodeDecodeError) as error:
        raise ConfigError(f"can't read prompts from {path}: {error}.") from None
    prompts = tuple(_prompt(path, n, line) for n, line in enumerate(lines, 1) if line.strip())
    if not prompts:
        raise PlanError(f"{path} holds no prompt: write one JSON string or object a line.")
    return prompts


def _prompt(path: Path, number: int, line: str) -> str:
    try:
        entry: Any = json.loads(line)
    except (ValueError, RecursionError):
        raise PlanError(f"{path}, line {number} is not JSON: write a string in quotes.") from None
    text = entry.get("prompt", entry.get("text")) if isinstance(entry, dict) else entry
    if not isinstance(text, str) or not text:
        raise PlanError(f"{path}, line {number} holds no prompt: a string, or a field 'prompt'.")
    return text


def synthetic(tokens: int, *, seed: int = 0) -> tuple[str, ...]:
    """Different prompts of about `tokens` tokens each, by counting common words; seeded.

    The server's own count is what reports show.
    """
    if not 1 <= tokens <= 1_000_000:
        raise PlanError(f"prompt_tokens is {tokens}: it must lie between 1 and 1000000.")
    draw = random.Random(seed)
    return tuple(" ".join(draw.choices(_WORDS, k=tokens)) for _ in range(VARIETY))
