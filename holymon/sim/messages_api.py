"""The answers of the simulated models in Anthropic's form: pure, beside those in OpenAI's."""

import json
from typing import Any, Final

from holymon.sim.models import Fate

_STOP: Final = {"stop": "end_turn", "length": "max_tokens"}


def opening_of(fate: Fate) -> bytes:
    """The first events of a stream."""
    message = {**_about(fate), "content": [], "stop_reason": None, "usage": _usage(fate, 1)}
    block = {"type": "text", "text": ""}
    return (
        _event("message_start", message=message)
        + _event("content_block_start", index=0, content_block=block)
        + _event("ping")
    )


def word_of(_fate: Fate, word: str) -> bytes:
    """The event that brings a word."""
    return _event("content_block_delta", index=0, delta={"type": "text_delta", "text": word})


def failure_of(message: str, _: int = 0) -> bytes:
    """The event of an error within a stream."""
    return _event("error", error={"type": "api_error", "message": message})


def ending_of(fate: Fate) -> bytes:
    """The last events of a whole stream."""
    delta = {"stop_reason": _STOP[fate.finish], "stop_sequence": None}
    return (
        _event("content_block_stop", index=0)
        + _event("message_delta", delta=delta, usage={"output_tokens": fate.tokens})
        + _event("message_stop")
    )


def plain_of(fate: Fate) -> bytes:
    """The body of an answer that is not streamed."""
    content = [{"type": "text", "text": "".join(fate.words)}]
    about = {**_about(fate), "content": content, "stop_reason": _STOP[fate.finish]}
    body = json.dumps({**about, "usage": _usage(fate, fate.tokens)}).encode()
    return body[: len(body) // 2] if fate.fault == "invalid_json" else body


def _about(fate: Fate) -> dict[str, Any]:
    return {
        "id": f"sim-{fate.number}", "type": "message", "role": "assistant", "model": fate.name,
        "stop_sequence": None,
    }  # fmt: skip


def _usage(fate: Fate, output: int) -> dict[str, int]:
    return {"input_tokens": fate.usage["prompt_tokens"], "output_tokens": output}


def _event(kind: str, **more: Any) -> bytes:
    return f"event: {kind}\ndata: {json.dumps({'type': kind, **more})}\n\n".encode()
