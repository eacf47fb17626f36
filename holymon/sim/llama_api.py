"""The simulated models' answers as llama.cpp's own `/completion` has them: pure, as `models`."""

import json
from typing import Any

from holymon.sim.models import Fate


def opening_of(_: Fate) -> bytes:
    """Nothing stands before the first word."""
    return b""


def piece_of(fate: Fate, k: int) -> bytes:
    """The event that brings the `k`-th token, whatever that is of: there is text alone."""
    return _event({"index": 0, "content": fate.pieces[k].text, "tokens": [k], "stop": False})


def failure_of(message: str, _: int = 0) -> bytes:
    """The event of an error within a stream: a field of its own."""
    about = {"message": message, "type": "server_error", "code": 500}
    return f"error: {json.dumps(about)}\n\n".encode()


def ending_of(fate: Fate) -> bytes:
    """The last event of a whole stream, with what was counted; no DONE is behind it."""
    return _event(_about(fate, ""))


def plain_of(fate: Fate) -> bytes:
    """The body of an answer that is not streamed."""
    body = json.dumps(_about(fate, "".join(piece.text for piece in fate.pieces))).encode()
    return body[: len(body) // 2] if fate.fault == "invalid_json" else body


def _about(fate: Fate, text: str) -> dict[str, Any]:
    prompt = fate.question.prompt_tokens
    return {
        "index": 0, "content": text, "model": fate.served, "stop": True,
        "stop_type": "limit" if fate.finish == "length" else "eos", "stopping_word": "",
        "tokens_predicted": fate.tokens, "tokens_evaluated": prompt, "truncated": False,
        "timings": {"prompt_n": prompt, "predicted_n": fate.tokens},
    }  # fmt: skip


def _event(value: dict[str, Any]) -> bytes:
    return b"data: " + json.dumps(value).encode() + b"\n\n"
