"""The simulated models' answers as OpenAI's embeddings have them, which are never streamed."""

import json
from typing import Final

from holymon.sim.models import Fate

NUMBERS: Final = 64


def plain_of(fate: Fate) -> bytes:
    """A vector for the text that was sent."""
    vector = [round((fate.number * 31 + k * 17) % 101 / 101 - 0.5, 6) for k in range(NUMBERS)]
    prompt = fate.usage["prompt_tokens"]
    body = json.dumps(
        {
            "object": "list", "model": fate.name,
            "data": [{"object": "embedding", "index": 0, "embedding": vector}],
            "usage": {"prompt_tokens": prompt, "total_tokens": prompt},
        }
    ).encode()  # fmt: skip
    return body[: len(body) // 2] if fate.fault == "invalid_json" else body
