"""The answers of the simulated models in the form of OpenAI's Responses: pure, as `models`."""

import json
from typing import Any, Final

from holymon.sim.models import Fate

_STATUS: Final = {"stop": "completed", "length": "incomplete"}
_OPENING: Final = 2
"""Events before the first item; each event has its number in the stream."""

_EACH: Final = 6
"""Numbers that a token may take: an item's end and beginning may stand before it."""

_DELTAS: Final = {
    "text": "response.output_text.delta", "think": "response.reasoning_text.delta",
    "call": "response.function_call_arguments.delta",
}  # fmt: skip


def opening_of(fate: Fate) -> bytes:
    """The first events of a stream."""
    begun = _response(fate, "in_progress", [])
    return _event(0, "response.created", response=begun) + _event(
        1, "response.in_progress", response=begun
    )


def piece_of(fate: Fate, k: int) -> bytes:
    """The events that bring the `k`-th token, a new item's beginning before it."""
    kind, text = fate.pieces[k]
    before = fate.pieces[k - 1].kind if k else ""
    number, place = _OPENING + _EACH * k, _index(fate, kind)
    events = b""
    if kind != before:
        if before:
            events += _done(fate, before, number)
        item = _item(fate, kind, "in_progress", empty=True)
        events += _event(number + 3, "response.output_item.added", output_index=place, item=item)
        if kind == "text":
            about = {**_place(fate, kind), "part": _part("")}
            events += _event(number + 4, "response.content_part.added", **about)
    if kind == "call" and not text:
        return events
    return events + _event(number + 5, _DELTAS[kind], **_place(fate, kind), delta=text)


def failure_of(message: str, _: int = 0) -> bytes:
    """The event of an error within a stream."""
    return _event(_OPENING, "error", code="server_error", message=message, param=None)


def ending_of(fate: Fate) -> bytes:
    """The last events of a whole stream."""
    status, number = _STATUS[fate.finish], _OPENING + _EACH * fate.tokens
    whole = _response(fate, status, _output(fate, status))
    last = _event(number + 3, f"response.{status}", response=whole)
    return _done(fate, fate.pieces[-1].kind, number) + last


def plain_of(fate: Fate) -> bytes:
    """The body of an answer that is not streamed."""
    status = _STATUS[fate.finish]
    body = json.dumps(_response(fate, status, _output(fate, status))).encode()
    return body[: len(body) // 2] if fate.fault == "invalid_json" else body


def _output(fate: Fate, status: str) -> list[dict[str, Any]]:
    kinds = dict.fromkeys(piece.kind for piece in fate.pieces)
    return [_item(fate, kind, status, empty=False) for kind in kinds]


def _done(fate: Fate, kind: str, number: int) -> bytes:
    """The end of an item."""
    item, at = _item(fate, kind, "completed", empty=False), _index(fate, kind)
    text = fate.text(kind)
    end = _event(number + 2, "response.output_item.done", output_index=at, item=item)
    if kind == "call":
        done, place = "response.function_call_arguments.done", _place(fate, kind)
        return _event(number, done, **place, arguments=text) + end
    if kind == "think":
        return end
    place = _place(fate, kind)
    return (
        _event(number, "response.output_text.done", **place, text=text)
        + _event(number + 1, "response.content_part.done", **place, part=_part(text))
        + end
    )


def _response(fate: Fate, status: str, output: list[Any]) -> dict[str, Any]:
    over = status != "in_progress"
    return {
        "id": f"sim-{fate.number}", "object": "response", "created_at": 0, "model": fate.served,
        "status": status, "output": output, "error": None, "usage": _usage(fate) if over else None,
        "incomplete_details": {"reason": "max_output_tokens"} if status == "incomplete" else None,
    }  # fmt: skip


def _usage(fate: Fate) -> dict[str, Any]:
    prompt = fate.question.prompt_tokens
    usage: dict[str, Any] = {
        "input_tokens": prompt, "output_tokens": fate.tokens, "total_tokens": prompt + fate.tokens,
    }  # fmt: skip
    if fate.cached is not None:
        usage["input_tokens_details"] = {"cached_tokens": fate.cached}
    if fate.thought is not None:
        usage["output_tokens_details"] = {"reasoning_tokens": fate.thought}
    return usage


def _item(fate: Fate, kind: str, status: str, *, empty: bool) -> dict[str, Any]:
    about = {"id": _id(fate, kind), "status": status}
    text = "" if empty else fate.text(kind)
    if kind == "call":
        return {**about, "type": "function_call", "call_id": f"call_sim_{fate.number}",
                "name": fate.question.tool, "arguments": text}  # fmt: skip
    if kind == "think":
        content = [] if empty else [{"type": "reasoning_text", "text": text}]
        return {**about, "type": "reasoning", "summary": [], "content": content}
    content = [] if empty else [_part(text)]
    return {**about, "type": "message", "role": "assistant", "content": content}


def _part(text: str) -> dict[str, Any]:
    return {"type": "output_text", "text": text, "annotations": []}


def _index(fate: Fate, kind: str) -> int:
    """Which item of the output something is of: reasoning and what follows are one each."""
    return int(bool(fate.thought) and kind != "think")


def _id(fate: Fate, kind: str) -> str:
    return f"sim-{fate.number}-{_index(fate, kind)}"


def _place(fate: Fate, kind: str) -> dict[str, Any]:
    place = {"item_id": _id(fate, kind), "output_index": _index(fate, kind)}
    return place if kind == "call" else {**place, "content_index": 0}


def _event(number: int, kind: str, **more: Any) -> bytes:
    about = {"type": kind, "sequence_number": number, **more}
    return f"event: {kind}\ndata: {json.dumps(about)}\n\n".encode()
