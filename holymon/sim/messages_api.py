"""The answers of the simulated models in Anthropic's form: pure, beside those in OpenAI's."""

import json
from typing import Any, Final

from holymon.sim.models import Fate

_STOP: Final = {"stop": "end_turn", "length": "max_tokens"}
_DELTAS: Final = {
    "text": ("text_delta", "text"), "think": ("thinking_delta", "thinking"),
    "call": ("input_json_delta", "partial_json"),
}  # fmt: skip


def opening_of(fate: Fate) -> bytes:
    """The first events of a stream."""
    message = {**_about(fate), "content": [], "stop_reason": None, "usage": _usage(fate, 1)}
    return _event("message_start", message=message) + _event("ping")


def piece_of(fate: Fate, k: int) -> bytes:
    """The events that bring the `k`-th token, a new block's beginning before it."""
    kind, text = fate.pieces[k]
    before, index = fate.pieces[k - 1].kind if k else "", _index(fate, k)
    begin = b""
    if kind != before:
        begin = _event("content_block_stop", index=index - 1) if before else b""
        block = _block(fate, kind, empty=True)
        begin += _event("content_block_start", index=index, content_block=block)
    name, field = _DELTAS[kind]
    return begin + _event("content_block_delta", index=index, delta={"type": name, field: text})


def failure_of(message: str, _: int = 0) -> bytes:
    """The event of an error within a stream."""
    return _event("error", error={"type": "api_error", "message": message})


def ending_of(fate: Fate) -> bytes:
    """The last events of a whole stream."""
    delta = {"stop_reason": _stop(fate), "stop_sequence": None}
    return (
        _event("content_block_stop", index=_index(fate, fate.tokens - 1))
        + _event("message_delta", delta=delta, usage={"output_tokens": fate.tokens})
        + _event("message_stop")
    )


def plain_of(fate: Fate) -> bytes:
    """The body of an answer that is not streamed."""
    kinds = dict.fromkeys(piece.kind for piece in fate.pieces)
    content = [_block(fate, kind, empty=False) for kind in kinds]
    about = {**_about(fate), "content": content, "stop_reason": _stop(fate)}
    body = json.dumps({**about, "usage": _usage(fate, fate.tokens)}).encode()
    return body[: len(body) // 2] if fate.fault == "invalid_json" else body


def _block(fate: Fate, kind: str, *, empty: bool) -> dict[str, Any]:
    text = "" if empty else fate.text(kind)
    if kind == "call":
        return {"type": "tool_use", "id": f"toolu_sim_{fate.number}", "name": fate.question.tool,
                "input": {} if empty else _input(text)}  # fmt: skip
    if kind == "think":
        return {"type": "thinking", "thinking": text, "signature": ""}
    return {"type": "text", "text": text}


def _input(text: str) -> Any:
    """What a tool is handed, as an object; what is none stays a text."""
    try:
        return json.loads(text)
    except ValueError:
        return text


def _index(fate: Fate, k: int) -> int:
    """In which block the `k`-th token is: reasoning and what follows have one each."""
    return int(bool(fate.thought) and fate.pieces[k].kind != "think")


def _stop(fate: Fate) -> str:
    return "tool_use" if fate.calls and fate.finish == "stop" else _STOP[fate.finish]


def _about(fate: Fate) -> dict[str, Any]:
    return {
        "id": f"sim-{fate.number}", "type": "message", "role": "assistant", "model": fate.served,
        "stop_sequence": None,
    }  # fmt: skip


def _usage(fate: Fate, output: int) -> dict[str, int]:
    """The counts: what was read from a cache stands beside the rest."""
    prompt, cached = fate.question.prompt_tokens, fate.cached
    if cached is None:
        return {"input_tokens": prompt, "output_tokens": output}
    return {
        "input_tokens": prompt - cached, "cache_read_input_tokens": cached,
        "cache_creation_input_tokens": 0, "output_tokens": output,
    }  # fmt: skip


def _event(kind: str, **more: Any) -> bytes:
    return f"event: {kind}\ndata: {json.dumps({'type': kind, **more})}\n\n".encode()
