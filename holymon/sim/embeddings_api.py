"""The simulated models' answers as OpenAI's embeddings have them, which are never streamed."""

import json
from typing import Final

from holymon.sim.models import Fate

NUMBERS: Final = 64


def plain_of(fate: Fate) -> bytes:
    """A vector for each text that was sent."""
    prompt = fate.question.prompt_tokens
    data = [
        {"object": "embedding", "index": item, "embedding": _vector(fate.number + item)}
        for item in range(fate.question.items)
    ]
    body = json.dumps(
        {
            "object": "list", "model": fate.served, "data": data,
            "usage": {"prompt_tokens": prompt, "total_tokens": prompt},
        }
    ).encode()  # fmt: skip
    return body[: len(body) // 2] if fate.fault == "invalid_json" else body


def _vector(number: int) -> list[float]:
    return [round((number * 31 + k * 17) % 101 / 101 - 0.5, 6) for k in range(NUMBERS)]
