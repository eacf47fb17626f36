"""What the simulated models do to a request, and their answers in OpenAI's form: pure, seeded."""

import json
import math
import random
from dataclasses import dataclass, field
from typing import Any, Final

MOST_TOKENS: Final = 10_000
SHORT: Final = 16
WORDS: Final = (
    "the river runs past an old mill where people meet to talk and trade small things while "
    "light moves over the water and birds call from the reeds until the day is done"
).split()


@dataclass(frozen=True, slots=True)
class Model:
    """The truth of one model: times in seconds, rates as shares of all requests.

    TTFT is lognormal around `ttft_s` with `sigma`; tokens follow every `itl_s`. With `slots`, so
    many requests are served at a time, up to `queue` wait, and the next is refused (503). With
    `tokens`, every answer has exactly so many (if it may), and the log tells the time of each.
    """

    ttft_s: float
    sigma: float
    itl_s: float
    faults: dict[str, float] = field(default_factory=dict)
    slots: int | None = None
    queue: int = 0
    tokens: int | None = None


FAULTS: Final = {
    "rate_limited": 0.05,
    "server_error": 0.04,
    "stream_truncated": 0.03,
    "stream_error_event": 0.03,
    "connection_reset": 0.03,
    "stream_stalled": 0.02,
}
"""What `flaky` does to a fifth of its requests, by holymon's error types."""
# A plain answer can't be cut like a stream: what is drawn instead.
PLAIN_FAULTS: Final = {
    "stream_truncated": "invalid_json",
    "stream_error_event": "unavailable",
    "stream_stalled": "server_error",
}
STATUS: Final = {"rate_limited": 429, "server_error": 500, "unavailable": 503}
MODELS: Final = {
    "fast": Model(ttft_s=0.020, sigma=0.15, itl_s=0.005),
    "slow": Model(ttft_s=0.400, sigma=0.40, itl_s=0.025),
    "flaky": Model(ttft_s=0.020, sigma=0.15, itl_s=0.005, faults=FAULTS),
    "busy": Model(ttft_s=0.100, sigma=0.10, itl_s=0.002, slots=8, queue=200),
    "pinned": Model(ttft_s=0.100, sigma=0.0, itl_s=0.010, tokens=64),
}


@dataclass(slots=True)
class Fate:
    """What is to happen to one request, and what then happened (seconds from its arrival)."""

    number: int
    name: str
    model: Model
    stream: bool
    fault: str
    ttft_s: float
    tokens: int
    finish: str
    words: list[str]
    usage: dict[str, int]
    want_usage: bool
    arrived: float
    sent: int = 0
    queued_s: float | None = None
    first_token_s: float | None = None
    last_token_s: float | None = None
    token_s: list[float] = field(default_factory=list)

    @property
    def headers(self) -> dict[str, str]:
        """What every answer tells of itself."""
        return {
            "x-holymon-sim": "1",
            "x-sim-request": str(self.number),
            "x-sim-fault": self.fault,
            "x-sim-ttft-ms": f"{self.ttft_s * 1e3:.3f}",
            "x-request-id": f"sim-{self.name}-{self.number}",
        }


def opening_of(fate: Fate) -> bytes:
    """The first event of a stream."""
    return chunk_of(fate, {"role": "assistant", "content": ""})


def word_of(fate: Fate, word: str) -> bytes:
    """The event that brings a word."""
    return chunk_of(fate, {"content": word})


def failure_of(message: str, number: int = 0) -> bytes:
    """The event of an error within a stream, in one of the forms that servers have for it."""
    flat = {"message": message, "type": "server_error", "code": 500}
    forms = (
        f"data: {json.dumps(error_body(message, 'server_error'))}\n\n",  # OpenAI
        f"data: {json.dumps({'object': 'error', **flat})}\n\ndata: [DONE]\n\n",  # vLLM
        f"error: {json.dumps(flat)}\n\n",  # llama.cpp
        f"event: error\ndata: {json.dumps(flat)}\n\n",
    )
    return forms[number % len(forms)].encode()


def ending_of(fate: Fate) -> bytes:
    """The last events of a whole stream."""
    end = chunk_of(fate, {}, fate.finish)
    if fate.want_usage:
        last = {"id": f"sim-{fate.number}", "object": "chat.completion.chunk", "created": 0,
                "model": fate.name, "choices": [], "usage": fate.usage}  # fmt: skip
        end += b"data: " + json.dumps(last).encode() + b"\n\n"
    return end + b"data: [DONE]\n\n"


def chunk_of(fate: Fate, delta: dict[str, str], finish: str | None = None) -> bytes:
    """One event of a stream."""
    # All the words and names are plain ASCII of our own, so no encoder is needed.
    inner = ",".join(f'"{name}":"{value}"' for name, value in delta.items())
    finish_json = "null" if finish is None else f'"{finish}"'
    return (
        f'data: {{"id":"sim-{fate.number}","object":"chat.completion.chunk","created":0,'
        f'"model":"{fate.name}","choices":[{{"index":0,"delta":{{{inner}}},'
        f'"finish_reason":{finish_json}}}]}}\n\n'
    ).encode()


def fault_of(model: Model, drawn: float, stream: bool) -> str:
    """What is done to a request for which `drawn` (0 to 1) was drawn."""
    for name, share in model.faults.items():
        if drawn < share:
            return name if stream else PLAIN_FAULTS.get(name, name)
        drawn -= share
    return "ok"


def error_body(message: str, code: str) -> dict[str, Any]:
    """The JSON of an error, as OpenAI writes it."""
    return {"error": {"message": message, "type": "simulated", "param": None, "code": code}}


def plain_of(fate: Fate) -> bytes:
    """The body of an answer that is not streamed."""
    body = json.dumps(
        {
            "id": f"sim-{fate.number}", "object": "chat.completion", "created": 0,
            "model": fate.name, "usage": fate.usage,
            "choices": [{"index": 0, "finish_reason": fate.finish,
                         "message": {"role": "assistant", "content": "".join(fate.words)}}],
        }
    ).encode()  # fmt: skip
    return body[: len(body) // 2] if fate.fault == "invalid_json" else body


def check(body: dict[str, Any]) -> int | None:
    """The limit of tokens that a request asks for. Raises ValueError for one that can't be."""
    messages = messages_of(body)
    if not isinstance(messages, list) or not messages:
        raise ValueError("messages must be a list that is not empty")
    names = ("max_tokens", "max_completion_tokens", "max_output_tokens")
    most = next((body[name] for name in names if name in body), None)
    if most is not None and not 1 <= int(most) <= MOST_TOKENS:
        raise ValueError(f"max_tokens must lie between 1 and {MOST_TOKENS}")
    return None if most is None else int(most)


def messages_of(body: dict[str, Any]) -> Any:
    """What is asked, in the form of messages: a response may be asked for by a text alone."""
    given = next((body[name] for name in ("input", "prompt") if name in body), None)
    given = body["messages"] if given is None else given
    return [{"role": "user", "content": given}] if isinstance(given, str) and given else given


def fate_of(seed: int, number: int, body: dict[str, Any], most: int | None, arrived: float) -> Fate:
    """What is to happen to request `number` of a model: the same for the same seed."""
    name, stream = body["model"], bool(body.get("stream"))
    model = MODELS[name]
    draw = random.Random(f"{seed} {name} {number}")
    fault = fault_of(model, draw.random(), stream)
    ttft = model.ttft_s * math.exp(model.sigma * draw.gauss())
    wanted = max(1, round(draw.gauss(32, 8)))
    # A short limit is always reached, so that tests know the number of tokens.
    tokens = wanted if most is None else most if most <= SHORT else min(wanted, most)
    if model.tokens is not None:
        tokens = min(model.tokens, most or model.tokens)
    prompt = max(1, sum(len(str(m.get("content", "")).split()) for m in messages_of(body)))
    return Fate(
        number=number, name=name, model=model, stream=stream, fault=fault, ttft_s=ttft,
        tokens=tokens, finish="length" if tokens == most else "stop",
        words=[f"{draw.choice(WORDS)} " for _ in range(tokens)],
        usage={"prompt_tokens": prompt, "completion_tokens": tokens,
               "total_tokens": prompt + tokens},
        want_usage=bool((body.get("stream_options") or {}).get("include_usage")),
        arrived=arrived,
    )  # fmt: skip


def at_once(fate: Fate) -> Fate:
    """The fate of a call that is none of a load: no wait, and no fault."""
    fate.fault, fate.ttft_s = "ok", 0.0
    return fate
