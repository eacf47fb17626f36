"""The simulated models' answers in the form of OpenAI's chat completions: pure, as `models`."""

import json
from typing import Any

from holymon.sim.models import Fate, error_body
from holymon.sim.odd_forms import ending_of as odd_ending_of


def opening_of(fate: Fate) -> bytes:
    """The first event of a stream."""
    return _chunk(fate, '"role":"assistant","content":""')


def piece_of(fate: Fate, k: int) -> bytes:
    """The event that brings the `k`-th token."""
    kind, text = fate.pieces[k]
    if kind == "call":
        return _chunk(fate, f'"tool_calls":[{json.dumps(_call(fate, k))}]')
    name = "content" if kind == "text" else "reasoning_content"
    return _chunk(fate, f'"{name}":{json.dumps(text)}')


def failure_of(message: str, number: int = 0) -> bytes:
    """The event of an error within a stream, in one of the forms that servers have for it."""
    flat = {"message": message, "type": "server_error", "code": 500}
    forms = (
        f"data: {json.dumps(error_body(message, 'server_error'))}\n\n",  # OpenAI
        f"data: {json.dumps({'object': 'error', **flat})}\n\ndata: [DONE]\n\n",  # vLLM
        f"error: {json.dumps(flat)}\n\n",  # llama.cpp
        f"event: error\ndata: {json.dumps(flat)}\n\n",
        f"data: {json.dumps({'choices': [], 'x_groq': {'error': message}})}\n\n",  # Groq
        f"data: {json.dumps([{'error': flat}])}\n\n",  # Gemini
    )
    return forms[number % len(forms)].encode()


def ending_of(fate: Fate) -> bytes:
    """The last events of a whole stream."""
    if fate.model.odd:
        return odd_ending_of(fate, finish_of(fate), usage_of(fate))
    end = _chunk(fate, "", finish_of(fate))
    if fate.question.want_usage:
        last = {"id": f"sim-{fate.number}", "object": "chat.completion.chunk", "created": 0,
                "model": fate.served, "choices": [], "usage": usage_of(fate)}  # fmt: skip
        end += b"data: " + json.dumps(last).encode() + b"\n\n"
    return end + b"data: [DONE]\n\n"


def plain_of(fate: Fate) -> bytes:
    """The body of an answer that is not streamed."""
    message: dict[str, Any] = {"role": "assistant", "content": fate.text() or None}
    if thought := fate.text("think"):
        message["reasoning_content"] = thought
    if fate.calls:
        function = {"name": fate.question.tool, "arguments": fate.text("call")}
        message["tool_calls"] = [{"id": _id(fate), "type": "function", "function": function}]
    choice = {"index": 0, "finish_reason": finish_of(fate), "message": message}
    body = json.dumps(
        {
            "id": f"sim-{fate.number}", "object": "chat.completion", "created": 0,
            "model": fate.served, "usage": usage_of(fate), "choices": [choice],
        }
    ).encode()  # fmt: skip
    return body[: len(body) // 2] if fate.fault == "invalid_json" else body


def usage_of(fate: Fate) -> dict[str, Any]:
    """What was counted, as OpenAI tells it."""
    prompt = fate.question.prompt_tokens
    usage: dict[str, Any] = {
        "prompt_tokens": prompt, "completion_tokens": fate.tokens,
        "total_tokens": prompt + fate.tokens,
    }  # fmt: skip
    if fate.cached is not None:
        usage["prompt_tokens_details"] = {"cached_tokens": fate.cached}
    if fate.thought is not None:
        usage["completion_tokens_details"] = {"reasoning_tokens": fate.thought}
    return usage


def finish_of(fate: Fate) -> str:
    """Why an answer ended."""
    return "tool_calls" if fate.calls and fate.finish == "stop" else fate.finish


def _call(fate: Fate, k: int) -> dict[str, Any]:
    """A piece of a call of a tool: the first one has its name."""
    text = fate.pieces[k].text
    if k and fate.pieces[k - 1].kind == "call":
        return {"index": 0, "function": {"arguments": text}}
    function = {"name": fate.question.tool, "arguments": text}
    return {"index": 0, "id": _id(fate), "type": "function", "function": function}


def _id(fate: Fate) -> str:
    return f"call_sim_{fate.number}"


def _mark(fate: Fate) -> str:
    """A system_fingerprint, where a gateway names its models."""
    return f'"system_fingerprint":"fp_{fate.name}",' if fate.model.serves else ""


def _chunk(fate: Fate, inner: str, finish: str | None = None) -> bytes:
    """One event of a stream, with what is `inner` of its delta."""
    # All names are plain ASCII of our own, so no encoder is needed.
    finish_json = "null" if finish is None else f'"{finish}"'
    return (
        f'data: {{"id":"sim-{fate.number}","object":"chat.completion.chunk","created":0,'
        f'"model":"{fate.served}",{_mark(fate)}"choices":[{{"index":0,"delta":{{{inner}}},'
        f'"finish_reason":{finish_json}}}]}}\n\n'
    ).encode()
