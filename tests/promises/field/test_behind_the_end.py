"""An error behind the last event of a stream takes back what was answered, if it comes at once.

Servers send it there when what is to be done after an answer fails (Sunnyender-org/cursor-sdk2api#26
behind message_stop; a proxy's own failure behind `[DONE]`), often with a write of its own.
"""

import asyncio
from time import perf_counter

import pytest

from holymon.errors import NAMES
from holymon.load import caller
from tests.promises.faults.server import HANG, LAST, Server, chunk

from .cases import DONE, END, HEL, LO, STOP, Case, data, load, plan_of, watch
from .test_by_another_hand import ended
from .test_fresh_variants import STARTED, output, text_delta

HEAD = b"HTTP/1.1 200 OK\r\ncontent-type: text/event-stream\r\ntransfer-encoding: chunked\r\n\r\n"
WORDS = "upstream broke"
OF_ANTHROPIC = {"type": "error", "error": {"type": "api_error", "message": WORDS}}
ANSWERS = {
    "chat": (HEL + LO + END, data({"error": {"message": WORDS, "type": "server_error"}})),
    "messages": (STARTED + text_delta("Hel") + text_delta("lo") + ended(output_tokens=2),
                 b"event: ping\ndata: {}\n\nevent: error\n" + data(OF_ANTHROPIC)),
    "responses": (output("Hel") + output("lo") + data({"type": "response.completed", "response": {
        "status": "completed", "usage": {"input_tokens": 3, "output_tokens": 2}}}),
        b": alive\n\n" + data({"type": "error", "code": "server_error", "message": WORDS})),
}  # fmt: skip


def case_of(endpoint, *steps):
    return Case(endpoint, "", [HEAD, chunk(ANSWERS[endpoint][0]), *steps], endpoint=endpoint)


@pytest.mark.parametrize("endpoint", ANSWERS)
@pytest.mark.parametrize("pause", [0.0, 0.005])
def test_an_error_in_a_write_of_its_own_counts(endpoint, pause, monkeypatch):
    monkeypatch.setattr(caller, "LINGER_S", 10.0)  # on a busy machine 5 ms may be many
    case = case_of(endpoint, pause, chunk(ANSWERS[endpoint][1]), LAST)
    marks, _ = asyncio.run(load(case))
    assert (marks.error, marks.message) == ("stream_error_event", WORDS)
    assert marks.output_tokens == 2
    (row,) = asyncio.run(watch(case)).rows
    assert NAMES[row["error"]] == "stream_error_event", "whatever the application has read"


@pytest.mark.parametrize("endpoint", ANSWERS)
def test_what_does_not_come_is_not_waited_for(endpoint):
    """The server would keep the stream open for ever: it waits until the client has gone."""
    marks, text = asyncio.run(load(case_of(endpoint, HANG)))
    assert (marks.error, text) == ("", "Hello")
    assert marks.end <= marks.start + 5


def test_the_call_has_ended_with_its_last_event(monkeypatch):
    monkeypatch.setattr(caller, "LINGER_S", 10.0)
    sent = []

    def steps():
        yield HEAD
        yield chunk(HEL + LO + STOP + DONE)
        yield 0.02
        sent.append(perf_counter())
        yield chunk(ANSWERS["chat"][1])
        yield LAST

    async def called():
        async with Server(steps) as server:
            one = caller.Caller(plan_of(server.url, Case("", "", b"")))
            try:
                return await one.send(0, 0, 0.0)
            finally:
                await one.aclose()

    marks = asyncio.run(called())
    assert marks.error == "stream_error_event"
    assert marks.end <= sent[0]
