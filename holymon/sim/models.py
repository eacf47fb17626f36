"""What the simulated models do to a request: pure, seeded. Their answers are the `..._api`s'."""

import json
import math
import random
import re
from dataclasses import dataclass, field, replace
from typing import Any, Final, Literal, NamedTuple

from holymon.sim.answers import answer_to, is_short
from holymon.sim.question import Question

SHORT: Final = 16
WORDS: Final = (
    "the river runs past an old mill where people meet to talk and trade small things while "
    "light moves over the water and birds call from the reeds until the day is done"
).split()
_PARTS: Final = re.compile(r"\S+\s*")
ARGUMENTS: Final = 4
"""Characters of JSON in a token."""


@dataclass(frozen=True, slots=True)
class Model:
    """The truth of one model: times in seconds, rates as shares of all requests.

    TTFT is lognormal around `ttft_s` with `sigma`; tokens follow every `itl_s`. With `slots`, so
    many requests are served at a time, up to `queue` wait, and the next is refused (503). With
    `tokens`, every answer has exactly so many (if it may), and the log tells the time of each.
    With `prompt_s` it takes so much longer for each token of the prompt that is in no cache: one
    keeps the beginnings of all prompts. A share `thinks` of an answer's tokens is reasoning. What
    `calls` does so where it is given tools, and answers in JSON where asked, of which a share
    `garbled` lacks its end. A `strict` one takes requests as OpenAI's GPT-5 does.
    `per_minute` are limits of requests and of tokens: what is over them is refused (429).

    Of short questions (`answers`) it `knows` such a share; where it chooses a word, a share `moved`
    of its choices is not that of the others. It may stand behind a gateway: with a `hidden` prompt
    of so many tokens, that `buffers` streams until they are whole, or that `serves` it under
    another name. With `letters`, another tokenizer makes tokens of at most so many. What an `odd`
    one answers is in forms that real servers have for it (`odd_forms`).
    """

    ttft_s: float
    sigma: float
    itl_s: float
    faults: dict[str, float] = field(default_factory=dict)
    slots: int | None = None
    queue: int = 0
    tokens: int | None = None
    prompt_s: float = 0.0
    thinks: float = 0.0
    calls: bool = False
    garbled: float = 0.0
    strict: bool = False
    per_minute: tuple[int, int] | None = None
    knows: float = 1.0
    moved: float = 0.0
    hidden: int = 0
    buffers: bool = False
    serves: str = ""
    letters: int = 0
    odd: bool = False


FAULTS: Final = {
    "rate_limited": 0.05,
    "server_error": 0.04,
    "stream_truncated": 0.03,
    "stream_error_event": 0.03,
    "connection_reset": 0.03,
    "stream_stalled": 0.02,
}
"""What `flaky` does to a fifth of its requests, by holymon's error types."""
ODD_FAULTS: Final = {"rate_limited": 0.1, "quota_exhausted": 0.05, "stream_error_event": 0.05}
# A plain answer can't be cut like a stream: what is drawn instead.
PLAIN_FAULTS: Final = {
    "stream_truncated": "invalid_json",
    "stream_error_event": "unavailable",
    "stream_stalled": "server_error",
}
STATUS: Final = {
    "rate_limited": 429, "quota_exhausted": 402, "server_error": 500, "unavailable": 503,
}  # fmt: skip
MODELS: Final = {
    "fast": Model(ttft_s=0.020, sigma=0.15, itl_s=0.005),
    "slow": Model(ttft_s=0.400, sigma=0.40, itl_s=0.025),
    "flaky": Model(ttft_s=0.020, sigma=0.15, itl_s=0.005, faults=FAULTS),
    "busy": Model(ttft_s=0.100, sigma=0.10, itl_s=0.002, slots=8, queue=200),
    "pinned": Model(ttft_s=0.100, sigma=0.0, itl_s=0.010, tokens=64),
    "cached": Model(ttft_s=0.020, sigma=0.02, itl_s=0.002, prompt_s=0.0002),
    "reasoning": Model(ttft_s=0.020, sigma=0.15, itl_s=0.005, thinks=0.5),
    "tools": Model(ttft_s=0.020, sigma=0.15, itl_s=0.005, calls=True, garbled=0.05),
    "strict": Model(ttft_s=0.020, sigma=0.15, itl_s=0.005, strict=True),
    "limited": Model(ttft_s=0.020, sigma=0.15, itl_s=0.001, per_minute=(60, 3000)),
    "gateway": Model(
        ttft_s=0.060, sigma=0.15, itl_s=0.005, hidden=37, buffers=True, serves="acme/fast-latest"
    ),
    "quantized": Model(ttft_s=0.015, sigma=0.15, itl_s=0.003, moved=0.3, knows=0.9),
    "other": Model(ttft_s=0.020, sigma=0.15, itl_s=0.005, moved=0.2, knows=0.5, letters=3),
    "odd": Model(ttft_s=0.020, sigma=0.15, itl_s=0.005, faults=ODD_FAULTS, odd=True),
}


class Piece(NamedTuple):
    """A token of an answer, and what it is of."""

    kind: Literal["text", "think", "call"]
    text: str


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
    pieces: list[Piece]
    question: Question
    cached: int | None
    arrived: float
    sent: int = 0
    queued_s: float | None = None
    first_token_s: float | None = None
    last_token_s: float | None = None
    token_s: list[float] = field(default_factory=list)
    limits: dict[str, str] = field(default_factory=dict)

    @property
    def headers(self) -> dict[str, str]:
        """What every answer tells of itself."""
        return {
            "x-holymon-sim": "1",
            "x-sim-request": str(self.number),
            "x-sim-fault": self.fault,
            "x-sim-ttft-ms": f"{self.ttft_s * 1e3:.3f}",
            "x-request-id": f"sim-{self.name}-{self.number}",
            **self.limits,
        }

    @property
    def served(self) -> str:
        """What the answer calls its model."""
        return self.model.serves or self.name

    @property
    def calls(self) -> bool:
        """Whether the answer is a call of a tool."""
        return self.pieces[-1].kind == "call"

    @property
    def thought(self) -> int | None:
        """Tokens of reasoning; None for a model that tells of none."""
        thinks = self.model.thinks > 0
        return sum(piece.kind == "think" for piece in self.pieces) if thinks else None

    def text(self, kind: str = "text") -> str:
        """All that an answer holds of a kind."""
        return "".join(piece.text for piece in self.pieces if piece.kind == kind)


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


def fate_of(
    seed: int, number: int, question: Question, cached: int, arrived: float, repeat: int = 0
) -> Fate:
    """What is to happen to request `number` of a model: the same for the same seed.

    Of its prompt `cached` tokens are in the cache. What is chosen for a prompt that is asked the
    `repeat`-th time does not depend on the other requests.
    """
    model = MODELS[question.model]
    draw = random.Random(f"{seed} {question.model} {number}")
    fault = fault_of(model, draw.random(), question.stream)
    ttft = model.ttft_s * math.exp(model.sigma * draw.gauss())
    pieces = _answered(seed, model, question, repeat) or _pieces(model, question, draw)
    question = _counted(model, question)
    if model.prompt_s:
        ttft += model.prompt_s * (question.prompt_tokens - cached)
    tokens = len(pieces)
    return Fate(
        number=number, name=question.model, model=model, stream=question.stream, fault=fault,
        ttft_s=ttft, tokens=tokens, finish="length" if tokens == question.most else "stop",
        pieces=pieces, question=question, arrived=arrived,
        cached=cached if model.prompt_s else None,
    )  # fmt: skip


def _answered(seed: int, model: Model, question: Question, repeat: int) -> list[Piece]:
    """The answer to a short question; empty for any other."""
    if not is_short(question.words) or question.tool:
        return []
    text = " ".join(question.words)
    drawn = random.Random(f"{seed} {question.model} {text} {repeat}").random()
    answer = answer_to(text, model.knows, model.moved, drawn) or ""
    return [Piece("text", part) for part in _PARTS.findall(answer)][: question.most]


def _counted(model: Model, question: Question) -> Question:
    """The question as its model counts it: with what a gateway puts before it, in its tokens."""
    if not (model.hidden or model.letters):
        return question
    words, most = question.words, model.letters
    if most:
        words = [word[k : k + most] for word in words for k in range(0, len(word), most)]
    return replace(question, words=["."] * model.hidden + words)


def _pieces(model: Model, question: Question, draw: random.Random) -> list[Piece]:
    """The tokens of an answer."""
    most, wanted = question.most, max(1, round(draw.gauss(32, 8)))
    # A short limit is always reached, so that tests know the number of tokens.
    tokens = wanted if most is None else most if most <= SHORT else min(wanted, most)
    if model.tokens is not None:
        tokens = min(model.tokens, most or model.tokens)
    tokens = max(tokens, question.least)
    text = [Piece("text", f"{draw.choice(WORDS)} ") for _ in range(tokens)]
    if model.calls and (question.tool or question.wants_json):
        return _json_of(model, question, draw)[:most]
    thinks = round(tokens * model.thinks)
    return [Piece("think", piece.text) for piece in text[:thinks]] + text[thinks:]


def _json_of(model: Model, question: Question, draw: random.Random) -> list[Piece]:
    """What a tool is handed, which begins with its name, or an answer in JSON."""
    written = json.dumps({"place": draw.choice(WORDS), "days": draw.randrange(1, 9)})
    if draw.random() < model.garbled:
        written = written[:-1]
    cuts = range(0, len(written), ARGUMENTS)
    kind: Literal["text", "call"] = "call" if question.tool else "text"
    parts = [Piece(kind, written[at : at + ARGUMENTS]) for at in cuts]
    return [Piece("call", ""), *parts] if question.tool else parts


def at_once(fate: Fate) -> Fate:
    """The fate of a call that is none of a load: no wait, and no fault."""
    fate.fault, fate.ttft_s = "ok", 0.0
    return fate
