"""A local API server with known latency, faults and finite capacity, so that all runs with no key.

It speaks the OpenAI-compatible chat dialect, OpenAI's Responses and older completions, Anthropic's
messages and llama.cpp's `/completion`, plain and streamed, and OpenAI's embeddings. A word is a
token. What it does
to a request is drawn from (seed, model, number of the request), so two servers with one seed do the
same, and it is told in headers (`x-sim-fault`, `x-sim-ttft-ms`) and counted (`GET /_sim/log`), so
that a measurement can be held against the truth; its log also says what was asked.
"""

import asyncio
import hashlib
import json
import time
from collections import Counter
from collections.abc import Awaitable, Callable
from dataclasses import replace
from typing import IO, Final

from aiohttp import web

from holymon.sim.answering import FORMS, plain, reset, stream, until
from holymon.sim.answers import is_choice
from holymon.sim.models import MODELS, STATUS, Fate, at_once, error_body, fate_of
from holymon.sim.odd_forms import refusal_of as refusal_in_a_form
from holymon.sim.question import LIFE_S, PromptCache, Question, question_in, refusal_of
from holymon.sim.rate_limits import Buckets

KEY_HEADERS: Final = ("authorization", "x-api-key", "api-key")
"""Where a key is looked for if nobody said where it has to be."""

FIRST_CALL: Final = "x-holymon-first-call"
"""The header of a call that a load makes before it begins: it is answered at once and well, and
takes no number, so that what is done to the calls behind it stays the same."""

_NATIVE: Final = ("/completion", "/completions")
"""Where llama.cpp's server answers in its own form."""

MOST_BODY: Final = 16 * 2**20
_NO_REQUEST: Final = (
    ValueError, TypeError, AttributeError, KeyError, OverflowError, RecursionError,
)  # fmt: skip


class Simulator:
    """The state of one server: what it has counted, and its slots."""

    def __init__(
        self, seed: int = 0, log: IO[str] | None = None, key_header: str = "",
        cache_life_s: float = LIFE_S,
    ) -> None:  # fmt: skip
        """No request has come yet; with `key_header`, each has to bring a key there."""
        self._seed, self._log, self._key_header = seed, log, key_header.lower()
        self._cache = PromptCache(cache_life_s)
        self._numbers: Counter[str] = Counter()
        self._faults: dict[str, Counter[str]] = {name: Counter() for name in MODELS}
        self._slots = {n: asyncio.Semaphore(m.slots) for n, m in MODELS.items() if m.slots}
        self._waiting: Counter[str] = Counter()
        self._limits = {n: Buckets(*m.per_minute) for n, m in MODELS.items() if m.per_minute}
        self._first_calls = 0
        self._choices: Counter[tuple[str, ...]] = Counter()

    def app(self) -> web.Application:
        """The aiohttp application with all routes of the API."""
        app = web.Application(client_max_size=MOST_BODY, middlewares=[_errors_as_json])
        for name in ("chat/completions", *FORMS):
            app.router.add_post(f"/v1/{name}", self.chat)
        for name in _NATIVE:
            app.router.add_post(name, self.chat)
        app.router.add_get("/v1/models", self.models)
        app.router.add_get("/_sim/log", self.log)
        app.router.add_get("/healthz", self.health)
        return app

    async def health(self, _request: web.Request) -> web.Response:
        """Answer that the simulator is there."""
        return web.json_response({"ok": True})

    async def models(self, request: web.Request) -> web.Response:
        """Answer with the list of simulated models."""
        if (refused := self._refuse_key(request)) is not None:
            return refused
        data = [{"id": n, "object": "model", "owned_by": "holymon", "created": 0} for n in MODELS]
        return web.json_response({"object": "list", "data": data}, headers={"x-holymon-sim": "1"})

    async def log(self, _request: web.Request) -> web.Response:
        """How many requests came, by model and by what was done to them."""
        models = {
            name: {"requests": faults.total(), "faults": dict(faults)}
            for name, faults in self._faults.items()
            if faults
        }
        total = sum(faults.total() for faults in self._faults.values())
        counts = {"requests": total, "first_calls": self._first_calls, "models": models}
        return web.json_response(counts)

    async def chat(self, request: web.Request) -> web.StreamResponse:
        """One answer in any of the dialects."""
        arrived = time.perf_counter()
        if (refused := self._refuse_key(request)) is not None:
            return refused
        try:
            raw = await request.read()
            body, dialect = json.loads(raw), _dialect(request)
            question, first = question_in(body, dialect), FIRST_CALL in request.headers
            if question.model in MODELS and MODELS[question.model].strict:
                refusal = refusal_of(body, dialect)
                if refusal is not None:
                    status, about = refusal
                    return web.json_response(about, status=status, headers={"x-holymon-sim": "1"})
            fate = self._fate(question, arrived, first=first)
        except _NO_REQUEST as error:
            return _error(400, f"the request is not valid: {error}", "invalid_request")
        if fate is None:
            return _error(404, "The model does not exist.", "model_not_found")
        if first:
            return await self._answer(request, fate)
        gone = True
        try:
            answer = await self._serve(request, fate)
        except (ConnectionResetError, asyncio.CancelledError):
            gone = fate.fault != "connection_reset"
            # Nobody is there any more: the server has nothing to report.
            raise asyncio.CancelledError from None
        else:
            gone = False
            return answer
        finally:
            self._write(fate, raw, gone=gone)

    def _fate(self, question: Question, arrived: float, *, first: bool) -> Fate | None:
        name = question.model
        if name not in MODELS:
            return None
        if first:
            self._first_calls += 1
            return at_once(fate_of(self._seed, 0, replace(question, most=1, least=0), 0, arrived))
        number = self._numbers[name]
        self._numbers[name] += 1
        cached = self._cache.take(question, arrived) if MODELS[name].prompt_s else 0
        fate = fate_of(
            self._seed, number, question, cached, arrived, self._repeat(question)
        )  # fmt: skip
        self._faults[name][fate.fault] += 1
        return fate

    def _repeat(self, question: Question) -> int:
        """How often a choice was asked for before, by the same model and in the same words."""
        if not is_choice(question.words):
            return 0
        key = question.model, *question.words
        self._choices[key] += 1
        return self._choices[key] - 1

    async def _serve(self, request: web.Request, fate: Fate) -> web.StreamResponse:
        if (buckets := self._limits.get(fate.name)) is not None:
            tokens = fate.question.prompt_tokens + fate.tokens
            refusal, fate.limits = buckets.take(time.monotonic(), tokens, fate.name)
            if refusal:
                self._refuse(fate, "rate_limited")
                return web.json_response(refusal, status=429, headers=fate.headers)
        slots = self._slots.get(fate.name)
        if slots is None:
            return await self._answer(request, fate)
        if self._waiting[fate.name] >= fate.model.queue:
            self._refuse(fate, "unavailable")
            return _fault_answer(fate)
        self._waiting[fate.name] += 1
        try:
            await slots.acquire()
        finally:
            self._waiting[fate.name] -= 1
        try:
            fate.queued_s = time.perf_counter() - fate.arrived
            return await self._answer(request, fate)
        finally:
            slots.release()

    def _refuse(self, fate: Fate, fault: str) -> None:
        """Count what is done to a request that was to get its answer."""
        self._faults[fate.name][fate.fault] -= 1
        self._faults[fate.name][fault] += 1
        fate.fault = fault

    async def _answer(self, request: web.Request, fate: Fate) -> web.StreamResponse:
        if fate.fault in STATUS:
            return _fault_answer(fate)
        begun = time.perf_counter()
        if fate.stream:
            return await stream(request, fate, begun)
        tokens = 1 if fate.question.dialect == "embeddings" else fate.tokens
        await until(begun + fate.ttft_s + (tokens - 1) * fate.model.itl_s)
        if fate.fault == "connection_reset":
            reset(request)
        return plain(fate)

    def _refuse_key(self, request: web.Request) -> web.Response | None:
        wanted, headers = self._key_header, request.headers
        given = (headers.get(name) for name in ((wanted,) if wanted else KEY_HEADERS))
        key = next((key.removeprefix("Bearer ") for key in given if key), "")
        if wanted and not key:
            words = f"You didn't provide an API key: it is expected in the header {wanted}."
            return _error(401, words, "missing_api_key")
        if not key.startswith("sk-wrong"):
            return None
        # Real providers echo keys like this; a client must not pass it on.
        return _error(401, f"Incorrect API key provided: {key}", "invalid_api_key")

    def _write(self, fate: Fate, raw: bytes, *, gone: bool) -> None:
        if self._log is None:
            return
        question = fate.question
        noted = {
            "n": fate.number, "model": fate.name, "stream": fate.stream, "fault": fate.fault,
            "dialect": question.dialect, "asked": hashlib.sha256(raw).hexdigest()[:16],
            "prompt_tokens": question.prompt_tokens, "cached_tokens": fate.cached,
            "max_tokens": question.most,
            "tokens_sent": fate.sent, "arrived_at": fate.arrived, "queued_s": fate.queued_s,
            "first_token_s": fate.first_token_s, "last_token_s": fate.last_token_s,
            "end_s": time.perf_counter() - fate.arrived, "client_gone": gone,
        }  # fmt: skip
        if fate.token_s:
            noted["token_s"] = [round(at, 6) for at in fate.token_s]
        self._log.write(json.dumps(noted) + "\n")
        self._log.flush()


def _dialect(request: web.Request) -> str:
    if request.path in _NATIVE:
        return "completion"
    name = request.path.removeprefix("/v1/")
    return name if name in FORMS else "chat"


def _fault_answer(fate: Fate) -> web.Response:
    if fate.model.odd and (refusal := refusal_in_a_form(fate.fault, fate.number)):
        status, about = refusal
        return web.json_response(about, status=status, headers=fate.headers)
    more = {"retry-after": "1"} if fate.fault == "rate_limited" else {}
    code = "rate_limit_exceeded" if fate.fault == "rate_limited" else "server_error"
    return _error(STATUS[fate.fault], f"simulated {fate.fault}", code, {**fate.headers, **more})


def _error(
    status: int, message: str, code: str, headers: dict[str, str] | None = None
) -> web.Response:
    sent_headers = headers or {"x-holymon-sim": "1"}
    return web.json_response(error_body(message, code), status=status, headers=sent_headers)


@web.middleware
async def _errors_as_json(
    request: web.Request,
    handler: Callable[[web.Request], Awaitable[web.StreamResponse]],
) -> web.StreamResponse:
    try:
        return await handler(request)
    except web.HTTPException as error:
        return _error(error.status, f"{error.reason}: {request.path}", "invalid_url")
