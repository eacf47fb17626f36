"""The simulated models' answers as OpenAI's older completions have them: pure, as `models`."""

import json
from typing import Any

from holymon.sim import chat_api
from holymon.sim.models import Fate


def opening_of(_: Fate) -> bytes:
    """Nothing stands before the first word."""
    return b""


def piece_of(fate: Fate, k: int) -> bytes:
    """The event that brings the `k`-th token, whatever that is of: there is text alone."""
    return _event(fate, [_choice(fate.pieces[k].text, None)])


def failure_of(message: str, number: int = 0) -> bytes:
    """The event of an error within a stream."""
    return chat_api.failure_of(message, number)


def ending_of(fate: Fate) -> bytes:
    """The last events of a whole stream."""
    end = _event(fate, [_choice("", fate.finish)])
    usage = _event(fate, [], usage=chat_api.usage_of(fate)) if fate.question.want_usage else b""
    return end + usage + b"data: [DONE]\n\n"


def plain_of(fate: Fate) -> bytes:
    """The body of an answer that is not streamed."""
    choices = [_choice("".join(piece.text for piece in fate.pieces), fate.finish)]
    body = json.dumps(_completion(fate, choices, usage=chat_api.usage_of(fate))).encode()
    return body[: len(body) // 2] if fate.fault == "invalid_json" else body


def _completion(fate: Fate, choices: list[Any], **more: Any) -> dict[str, Any]:
    return {
        "id": f"sim-{fate.number}", "object": "text_completion", "created": 0, "model": fate.served,
        "choices": choices, **more,
    }  # fmt: skip


def _choice(text: str, finish: str | None) -> dict[str, Any]:
    return {"index": 0, "text": text, "logprobs": None, "finish_reason": finish}


def _event(fate: Fate, choices: list[Any], **more: Any) -> bytes:
    return b"data: " + json.dumps(_completion(fate, choices, **more)).encode() + b"\n\n"
