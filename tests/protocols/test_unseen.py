"""What a change of one sign would break, and no other test would notice."""

import json

import pytest

from holymon.errors import OK
from holymon.protocols.bounds import MOST_IDLE
from holymon.protocols.chat import CHAT
from holymon.protocols.complaint import complaint
from holymon.protocols.embeddings import EMBEDDINGS
from holymon.protocols.gemini import GEMINI
from holymon.protocols.ollama import OLLAMA
from holymon.protocols.refusal import refusal
from holymon.protocols.responses import RESPONSES
from holymon.records.attempt import Flag, Marks
from tests.protocols.streams import read

HELLO = b'data: {"choices": [{"index": 0, "delta": {"content": "hello"}}]}\n\n'
END = b'data: {"choices": [{"index": 0, "delta": {}, "finish_reason": "stop"}]}\n\ndata: [DONE]\n\n'


@pytest.mark.parametrize("event", [
    b"data: {}\n\n", b"data: null\n\n", b": ping\n\n", b"event: ping\ndata: []\n\n", b"what is this\n\n",
])  # fmt: skip
def test_what_brings_no_token_is_none(event):
    error, reading = read(CHAT, event + HELLO + event + END)
    assert (error, reading.marks.events, reading.marks.output_tokens) == (OK, 1, 1)


def test_bytes_that_are_no_text_are_no_token_either():
    error, reading = read(CHAT, HELLO + b'data: {"choices": "\xff"}\n\n' + END)
    assert error == "invalid_utf8"
    assert reading.marks.events == 1


@pytest.mark.parametrize(
    ("idle", "error"), [(MOST_IDLE - 2, OK), (MOST_IDLE + 1, "response_too_large")]
)
def test_events_without_a_token_are_bounded(idle, error):
    ended, reading = read(CHAT, b'data: {"choices": []}\n\n' * idle, HELLO + END)
    assert ended == error
    assert reading.message == ("" if error == OK else "over 32768 events without a token")


@pytest.mark.parametrize(("about", "wrong"), [
    ({"code": 7, "id": "x"}, False), ({"code": 7, "detail": "no"}, True), ({"code": 503}, True),
    ({"code": "1301", "message": "no"}, True), ({"code": "-12", "message": "no"}, True),
    ({"code": "rate_limit_error", "message": "no"}, True), ({"code": "success", "data": 1}, False),
])  # fmt: skip
def test_a_code_alone_is_an_error_only_if_it_is_a_status(about, wrong):
    assert (complaint(about) is not None) == wrong


@pytest.mark.parametrize(("vectors", "good"), [
    ([[0.1]], True), ([[0.1], "AACAPw=="], True), ([], False), ([[0.1], []], False), ([None], False),
])  # fmt: skip
def test_an_answer_of_vectors_holds_one_for_each_text(vectors, good):
    body = json.dumps({"data": [{"embedding": vector} for vector in vectors]}).encode()
    marks = Marks(0, 0, 0.0)
    assert (EMBEDDINGS.answer(body, marks)[0] == OK) == good
    assert not good or marks.events == len(vectors)


def test_an_odd_answer_says_so_beside_what_else_is_known_of_it():
    marks = Marks(0, 0, 0.0)
    marks.flags = int(Flag.RETRIED)
    body = b'[{"choices": [{"message": {"content": "hello"}, "finish_reason": "stop"}]}]'
    assert CHAT.answer(body, marks) == (OK, "", "hello")
    assert marks.flags == Flag.RETRIED | Flag.LENIENT


def test_a_thought_of_gemini_is_the_first_token_and_no_text():
    thought = (
        b'data: {"candidates": [{"content": {"parts": [{"text": "hm", "thought": true}]}}]}\n\n'
    )
    end = b'data: {"candidates": [{"content": {"parts": []}, "finishReason": "STOP"}]}\n\n'
    error, reading = read(GEMINI, thought + end)
    assert (error, reading.marks.events) == (OK, 1)
    assert reading.marks.flags & Flag.THOUGHT


@pytest.mark.parametrize(("body", "error"), [
    (b'{"message": {"content": "hi"}, "done": true}', OK), (b'{"message": {"content": "hi"}}', "invalid_schema"),
    (b'{"message": {"content": "hi"}, "done": true, "error": "no"}', "server_error"),
])  # fmt: skip
def test_an_answer_of_ollama_says_that_it_is_done(body, error):
    assert OLLAMA.answer(body, Marks(0, 0, 0.0))[0] == error


def test_a_response_that_is_spoken_is_not_empty():
    spoken = b'data: {"type": "response.output_audio.delta", "delta": "AAAA"}\n\n'
    end = b'data: {"type": "response.completed", "response": {"status": "completed", "output": []}}\n\n'
    error, reading = read(RESPONSES, spoken + end)
    assert (error, reading.marks.events) == (OK, 1)
    assert not reading.marks.flags & Flag.EMPTY


def test_words_about_nothing_refuse_nothing():
    assert tuple(refusal(b"{}", "no", sent="max_tokens", streamed=True)) == (
        False,
        "",
        False,
        False,
        False,
    )
