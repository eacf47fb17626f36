"""The answers of the simulated models in the form of OpenAI's Responses: pure, as `models`."""

import json
from typing import Any, Final

from holymon.sim.models import Fate

_STATUS: Final = {"stop": "completed", "length": "incomplete"}
_OPENING: Final = 4
"""Events before the first word; each event has its number in the stream."""


def opening_of(fate: Fate) -> bytes:
    """The first events of a stream."""
    begun = _response(fate, "in_progress", [])
    return (
        _event(0, "response.created", response=begun)
        + _event(1, "response.in_progress", response=begun)
        + _event(2, "response.output_item.added", output_index=0, item=_item(fate, "in_progress"))
        + _event(3, "response.content_part.added", **_place(fate), part=_part(""))
    )


def word_of(fate: Fate, word: str) -> bytes:
    """The event that brings a word."""
    return _event(_OPENING + fate.sent, "response.output_text.delta", **_place(fate), delta=word)


def failure_of(message: str, _: int = 0) -> bytes:
    """The event of an error within a stream."""
    return _event(_OPENING, "error", code="server_error", message=message, param=None)


def ending_of(fate: Fate) -> bytes:
    """The last events of a whole stream."""
    n, text, status = _OPENING + fate.sent, "".join(fate.words), _STATUS[fate.finish]
    item = _item(fate, status, text)
    return (
        _event(n, "response.output_text.done", **_place(fate), text=text)
        + _event(n + 1, "response.content_part.done", **_place(fate), part=_part(text))
        + _event(n + 2, "response.output_item.done", output_index=0, item=item)
        + _event(n + 3, f"response.{status}", response=_response(fate, status, [item]))
    )


def plain_of(fate: Fate) -> bytes:
    """The body of an answer that is not streamed."""
    status = _STATUS[fate.finish]
    item = _item(fate, status, "".join(fate.words))
    body = json.dumps(_response(fate, status, [item])).encode()
    return body[: len(body) // 2] if fate.fault == "invalid_json" else body


def _response(fate: Fate, status: str, output: list[Any]) -> dict[str, Any]:
    over = status != "in_progress"
    usage = {
        "input_tokens": fate.usage["prompt_tokens"], "output_tokens": fate.tokens,
        "total_tokens": fate.usage["total_tokens"],
    }  # fmt: skip
    return {
        "id": f"sim-{fate.number}", "object": "response", "created_at": 0, "model": fate.name,
        "status": status, "output": output, "error": None, "usage": usage if over else None,
        "incomplete_details": {"reason": "max_output_tokens"} if status == "incomplete" else None,
    }  # fmt: skip


def _item(fate: Fate, status: str, text: str | None = None) -> dict[str, Any]:
    content = [] if text is None else [_part(text)]
    return {
        "id": f"sim-{fate.number}-0", "type": "message", "role": "assistant", "status": status,
        "content": content,
    }  # fmt: skip


def _part(text: str) -> dict[str, Any]:
    return {"type": "output_text", "text": text, "annotations": []}


def _place(fate: Fate) -> dict[str, Any]:
    return {"item_id": f"sim-{fate.number}-0", "output_index": 0, "content_index": 0}


def _event(number: int, kind: str, **more: Any) -> bytes:
    about = {"type": kind, "sequence_number": number, **more}
    return f"event: {kind}\ndata: {json.dumps(about)}\n\n".encode()
