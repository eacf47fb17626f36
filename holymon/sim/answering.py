"""The simulated models' answers on their way: streams with their times, faults and broken ends."""

import asyncio
import socket
import struct
import time
from types import ModuleType
from typing import Final

from aiohttp import web

from holymon.sim import (
    chat_api,
    completions_api,
    embeddings_api,
    llama_api,
    messages_api,
    responses_api,
)  # fmt: skip
from holymon.sim.models import Fate

FORMS: Final[dict[str, ModuleType]] = {
    "chat": chat_api, "messages": messages_api, "responses": responses_api,
    "completions": completions_api, "embeddings": embeddings_api, "completion": llama_api,
}  # fmt: skip
"""The forms of answers by the last part of their path, where chat's says more."""

STALL_S: Final = 3600.0
"""How long a stalled stream is silent, unless its client leaves: longer than any client waits, or
whichever of the two looks first would decide whether it stalled or was cut off."""


async def stream(request: web.Request, fate: Fate, begun: float) -> web.StreamResponse:
    """A stream: token k is due at begun + ttft + k * itl, so delays of writes do not add up."""
    answer = web.StreamResponse(headers={
        **fate.headers, "content-type": "text/event-stream; charset=utf-8",
        "cache-control": "no-cache",
    })  # fmt: skip
    await answer.prepare(request)
    say = FORMS[fate.question.dialect]
    await answer.write(say.opening_of(fate))
    cut = None if fate.fault == "ok" else max(1, fate.tokens // 2)
    if fate.model.buffers:
        return await _in_one_piece(answer, fate, begun)
    for k in range(fate.tokens if cut is None else min(cut, fate.tokens)):
        await until(begun + fate.ttft_s + k * fate.model.itl_s)
        fate.last_token_s = time.perf_counter() - fate.arrived
        await answer.write(say.piece_of(fate, k))
        if k == 0:
            fate.first_token_s = fate.last_token_s
        if fate.model.tokens:
            fate.token_s.append(fate.last_token_s)
        fate.sent += 1
    if fate.fault == "connection_reset":
        reset(request)
    elif fate.fault == "stream_stalled":
        await asyncio.sleep(STALL_S)
    elif fate.fault == "stream_error_event":
        await answer.write(say.failure_of("the model failed", fate.number))
    elif fate.fault == "ok":
        await answer.write(say.ending_of(fate))
    await answer.write_eof()
    return answer


async def _in_one_piece(answer: web.StreamResponse, fate: Fate, begun: float) -> web.StreamResponse:
    """All tokens at once, when the last one is there."""
    say = FORMS[fate.question.dialect]
    await until(begun + fate.ttft_s + (fate.tokens - 1) * fate.model.itl_s)
    fate.first_token_s = fate.last_token_s = time.perf_counter() - fate.arrived
    pieces = [say.piece_of(fate, k) for k in range(fate.tokens)]
    await answer.write(b"".join([*pieces, say.ending_of(fate)]))
    fate.sent = fate.tokens
    await answer.write_eof()
    return answer


def plain(fate: Fate) -> web.Response:
    """An answer in one piece."""
    fate.sent = 0 if fate.question.dialect == "embeddings" else fate.tokens
    body = FORMS[fate.question.dialect].plain_of(fate)
    return web.Response(body=body, content_type="application/json", headers=fate.headers)


def reset(request: web.Request) -> None:
    """Break the connection off, as a machine that fails does."""
    transport = request.transport
    if transport is None:
        return
    raw = transport.get_extra_info("socket")
    raw.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
    transport.abort()
    raise ConnectionResetError


async def until(moment: float) -> None:
    """Wait for a moment of the clock `perf_counter`."""
    wait = moment - time.perf_counter()
    if wait > 0:
        await asyncio.sleep(wait)
