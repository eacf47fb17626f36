"""A hostile answer costs a call its limit, never more: of time, of the event loop and of memory."""

import asyncio
import gzip
import json
import time
from itertools import pairwise

import httpx
import pytest

import holymon as hm
from holymon.cli.doctor import examine
from holymon.errors import OK, CallError
from holymon.figures.hints import hint
from holymon.load.caller import Caller
from holymon.monitor import replies
from holymon.monitor.endpoints import _in_path as in_path
from holymon.plan.plan import Closed, Plan, Prompts, Target
from holymon.plan.slo import parse
from holymon.protocols import reading
from holymon.protocols.chat import CHAT
from holymon.protocols.complaint import complaint
from holymon.protocols.error_body import in_band, page_text, read_body
from holymon.protocols.framing import events_of
from holymon.protocols.quota import no_credit
from holymon.protocols.refusal import refusal
from holymon.protocols.sse import MAX_EVENT, Decoder
from holymon.protocols.stray import keeps_alive, of_name, of_text
from holymon.records.attempt import Marks
from holymon.transport.inflater import inflater

from .bombs import AMAZON, BOMBS, STREAM, Bomb, endless, question, serving

LIMIT_S = 0.2
"""What a call may take."""

PATIENT_S = 60
"""What it may take where the answer is read to its end."""

HARMLESS = {"numbers of 400 digits"}
STREAMS = {name for name, bomb in BOMBS.items() if bomb.head.startswith((STREAM, AMAZON))}


def target(url):
    return Target(provider="url", model="m", base_url=url)


@pytest.mark.parametrize("name", BOMBS)
def test_a_call_ends_within_its_limit_and_in_little_memory(name, bounded):
    async def go(url):
        limit_s = PATIENT_S if name in HARMLESS else LIMIT_S
        plan = Plan(targets=(target(url),), load=Closed(users=1), requests=1, timeout_s=limit_s,
                    prompts=Prompts(stream=name in STREAMS))  # fmt: skip
        caller = Caller(plan)
        marks = await caller.send(0, 0, 0.0)
        await caller.aclose()
        return marks

    with serving(BOMBS[name]) as url:
        marks = asyncio.run(go(url))
    assert (marks.error == OK) == (name in HARMLESS)


@pytest.mark.parametrize("name", ["packed newlines", "packed lines that are no field", "newlines"])
def test_the_loop_turns_while_a_bomb_is_read(name):
    turns = []

    async def turn():
        while True:
            turns.append(time.thread_time())  # of its own: other programs may want the core, too
            await asyncio.sleep(0.01)

    async def go(url):
        plan = Plan(targets=(target(url),), load=Closed(users=1), requests=1, timeout_s=LIMIT_S)
        caller, turning = Caller(plan), asyncio.create_task(turn())
        await caller.send(0, 0, 0.0)
        turns.append(time.thread_time())
        turning.cancel()
        await caller.aclose()

    with serving(BOMBS[name]) as url:
        asyncio.run(go(url))
    gaps = [after - before for before, after in pairwise(turns)]
    assert max(gaps) < 1.0, "it was 14 s"


@pytest.mark.parametrize("unit", [b"\n", b"x\n", b":\n", b"data:\n\n"])
def test_a_watched_client_is_not_held(unit, quick):
    """Whatever the client reads, what is read of it here costs little."""
    packed = gzip.compress(unit * (10_000_000 // len(unit)))
    head = {"content-type": "text/event-stream", "content-encoding": "gzip"}
    pieces = (packed[at : at + 65536] for at in range(0, len(packed), 65536))
    way = httpx.MockTransport(lambda _: httpx.Response(200, headers=head, content=pieces))
    monitor = hm.Monitor()
    with (
        hm.monitored(httpx.Client(transport=way), monitor) as client,
        client.stream("POST", "http://any/v1/chat/completions", content=question()) as answer,
    ):
        assert b"".join(answer.iter_raw()) == packed
    (error,) = monitor.records.to_frame()["error_type"]
    assert error == "response_too_large"


@pytest.fixture
def room(monkeypatch):
    """An eighth of what else may wait for a reader: as much less is to be read."""
    monkeypatch.setattr(replies, "ROOM", replies.ROOM // 8)
    return replies.ROOM


def test_an_idle_reader_holds_the_answer_back(room, bounded):
    token = b'data: {"choices":[{"delta":{"content":"a"}}]}\n\n' * 1000
    with serving(Bomb(STREAM + b"\r\n", endless(token))) as url:
        monitor = hm.Monitor(target(url), policy=hm.Policy(deadline_s=LIMIT_S, attempts=1))
        events = monitor.chat("?", stream=True)
        while not len(monitor.records):
            time.sleep(0.02)  # nothing reads, until the call is over
        with pytest.raises(CallError) as ended:
            read = 0
            for _ in events:
                read += 1
        monitor.close()
    assert ended.value.error_type == "deadline_exceeded", "no stall: the server was held back"
    assert read * len(token) / 1000 < 2 * room


def test_a_slow_reader_gets_all_of_a_long_answer(room):
    token = b'data: {"choices":[{"delta":{"content":"a"}}]}\n\n' * 1000
    whole = 3 * room // len(token)
    end = b'data: {"choices":[{"delta":{},"finish_reason":"stop"}]}\n\ndata: [DONE]\n\n'
    with serving(Bomb(STREAM + b"\r\n", lambda: iter([token] * whole + [end]))) as url:
        monitor = hm.Monitor(target(url))
        read = sum(1 for _ in monitor.chat("?", stream=True))
        monitor.close()
    assert read == whole * 1000 + 1


@pytest.mark.parametrize("name", ["packed spaces for JSON", "a body of choices", "newlines",
                                  "deep JSON", "interim responses"])  # fmt: skip
def test_the_doctor_survives(name, bounded):
    with serving(BOMBS[name]) as url:
        results = [finding.result for finding in examine(base_url=url)]
    assert any(r.startswith(("not reachable: ", "answers; 0 models")) for r in results)


def test_the_doctor_waits_for_no_drip(monkeypatch, bounded):
    monkeypatch.setattr("holymon.cli.doctor.PATIENCE_S", LIMIT_S)
    with serving(BOMBS["a byte now and then"]) as url:
        assert "no whole answer to GET /models within 0.2 s" in examine(base_url=url)[-1].result


def test_members_of_gzip_may_be_cut_anywhere():
    packed = gzip.compress(b"one ") + gzip.compress(b"two")
    for at in range(1, len(packed)):
        unpack, out = inflater("gzip"), b""
        for piece in (packed[:at], packed[at:]):
            out += unpack.step(piece)
            while unpack.more:
                out += unpack.step()
        assert out == b"one two", at
        assert unpack.whole


def test_events_without_a_token_are_borne_for_long_and_end_no_answer_that_was_whole(monkeypatch):
    assert reading.MOST_IDLE > 30_000, "and a sixteenth of it is counted in the same way"
    most = reading.MOST_IDLE // 16
    monkeypatch.setattr(reading, "MOST_IDLE", most)
    delta = b'data: {"choices":[{"delta":{"content":"a"},"finish_reason":"stop"}]}\n\n'
    for first, error in ((b"", "response_too_large"), (delta, OK)):
        one = reading.Reading(Marks(0, 0, 0.0), CHAT, stream=True)
        one.head(0.0, 200, {"content-type": "text/event-stream"}.get)
        one.piece(0.0, first + b'data: {"type":"ping"}\n\n' * (most - 50))
        assert not one.error
        assert one.piece(0.0, b'data: {"type":"ping"}\n\n' * 100)
        assert one.end(1.0) == error


@pytest.mark.parametrize("read", [
    of_text, in_path, lambda text: hint("bad_request", text[:50_000] + text[-4:], target("http://a/v1")),
    lambda text: of_name(text.encode()), lambda text: keeps_alive(text.encode()),
    lambda text: page_text(text.encode()),
    lambda text: read_body(text.encode(), None, Marks(0, 0, 0.0)) if not text.strip() else None,
], ids=["text", "path", "hint", "name", "alive", "page", "body"])  # fmt: skip
@pytest.mark.parametrize(
    "unit",
    [
        "_",
        " ",
        "a_",
        "a ",
        "<",
        "<!--",
        "<style ",
        "data: x",
        "{",
        "e",
        "/model/",
        "model ",
        "model!",
        "/invoke",
        "/ai/run/",
        "/models/:a",
    ],
)
def test_no_pattern_looks_at_a_long_text_again_and_again(read, unit, quick):
    read(unit * (1_000_000 // len(unit)) + "\0!x")


@pytest.mark.parametrize("unit", [rb"\"", b'"', b'["', b'{"a":"', b"\\"])
def test_strings_that_do_not_end_are_looked_at_once(unit, quick):
    """200 kB of the first kind would have held a worker's loop for minutes."""
    Decoder(MAX_EVENT).feed(b'{"' + unit * (200_000 // len(unit)) + b"\n")


def test_an_objective_is_no_puzzle(bounded):
    with pytest.raises(hm.PlanError, match="is not an objective"):
        parse("_" * 100_000)


def test_frames_are_read_without_a_copy_of_all_before(bounded):
    read = events_of("application/vnd.amazon.eventstream")
    read((16_000_000).to_bytes(4) + bytes(8))
    for _ in range(15_000):
        assert read(bytes(1000)) == b""


def answered(text):
    """All that is read of the words of an error and of what is no answer, as long as they may be."""
    sent = Target(provider="url", model="m", base_url="http://a/v1")
    words, code = text * (512 // len(text)), text * (5_000_000 // len(text))
    texts = [{"msg": text * (4000 // len(text))}] * 16
    for streamed in (True, False):
        refusal(json.dumps(texts).encode(), words, sent="max_tokens", streamed=streamed)
    for error in ("bad_request", "not_found", "tls_error", "http_4xx"):
        hint(error, words, sent)
    no_credit((), words)
    in_band({"code": code, "message": words}, Marks(0, 0, 0.0))
    for short in (text * (199 // len(text)) + "!", text * (2000 // len(text))):
        for _ in range(60):  # in one piece, which is read without a turn of the loop
            of_text(short), keeps_alive(short.encode())


@pytest.mark.parametrize("text", [
    "_", "__ ", "a.", "nonstream", "unsupporta", "max_tokens ", "stream not ", "spending limit a ",
    "insufficient.quota.",
])  # fmt: skip
def test_no_words_of_an_answer_hold_the_loop(text):
    """Each of sixty names of underscores held it for 8 ms, a code for 2 s, and words of streams."""
    before = time.process_time()
    answered(text)
    assert time.process_time() - before < 1


def test_words_of_a_server_are_not_looked_at_again_and_again():
    """40 kB of such a message held a worker's loop for 12 s."""
    word = "ok" * 20_000 + "!"
    before = time.process_time()
    for about in (
        {"message": word},
        {"message": "a", "status": word},
        {"message": "a", word: word},
    ):
        assert complaint(about) is about
    assert complaint({f"k{k}": k for k in range(100_000)}) is None
    assert time.process_time() - before < 1
