"""What a change of one sign would break, and no other test would notice."""

import json

import pytest

from holymon.errors import OK
from holymon.protocols.bounds import MOST_IDLE
from holymon.protocols.chat import CHAT
from holymon.protocols.complaint import complaint
from holymon.protocols.completions import COMPLETIONS
from holymon.protocols.converse import CONVERSE
from holymon.protocols.embeddings import EMBEDDINGS
from holymon.protocols.gemini import GEMINI
from holymon.protocols.ollama import OLLAMA
from holymon.protocols.refusal import refusal
from holymon.protocols.responses import RESPONSES
from holymon.protocols.sniff import Body, kind_of
from holymon.records.attempt import Flag, Marks
from tests.protocols.streams import begun, read

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
    ended, reading = read(CHAT, b"data: {}\n\n" * idle, HELLO + END)
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


@pytest.mark.parametrize("field", ["reasoning", "reasoning_content", "thinking"])
def test_each_name_of_reasoning_is_a_first_token(field):
    thought = json.dumps({"choices": [{"delta": {field: "hm"}}]}).encode()
    _, reading = read(CHAT, b"data: " + thought + b"\n\n", HELLO, END)
    assert (reading.marks.first, reading.marks.content) == (0.0, 1.0)


def test_reasoning_that_comes_in_details_alone_is_one_too():
    details = [{"type": "reasoning.text", "text": "hm", "index": 0}]
    thought = json.dumps({"choices": [{"delta": {"reasoning_details": details}}]}).encode()
    _, reading = read(CHAT, b"data: " + thought + b"\n\n", HELLO, END)
    assert (reading.marks.first, reading.marks.content) == (0.0, 1.0)


def test_a_choice_without_an_index_is_the_first():
    bare = b'data: {"choices": [{"delta": {"content": "well, "}}]}\n\n'
    reading = begun(CHAT, keep=True)
    for piece in (bare, HELLO, END):
        reading.piece(0.0, piece)
    assert reading.texts == {0: "well, hello"}


@pytest.mark.parametrize("code", ["-12", "1301", "rate_limit_error", "failed"])
def test_words_of_the_weaker_kind_are_an_error_beside_a_code_in_text(code):
    assert complaint({"code": code, "description": "try later"}) is not None
    assert complaint({"code": "success", "description": "try later"}) is None


@pytest.mark.parametrize("limit", [None, 5])
def test_a_completion_is_asked_for_with_its_limit_if_there_is_one(limit):
    body = COMPLETIONS.body("m", [{"role": "user", "content": "hello"}], limit, stream=False)
    assert body == {"model": "m", "prompt": "hello"} | ({"max_tokens": 5} if limit else {})


def test_an_answer_of_converse_that_only_thought_says_so():
    thought = {"reasoningContent": {"reasoningText": {"text": "hm"}}}
    marks = Marks(0, 0, 0.0)
    body = {"output": {"message": {"content": [thought]}}, "stopReason": "max_tokens", "usage": {}}
    assert CONVERSE.answer(json.dumps(body).encode(), marks) == (OK, "", "")
    assert marks.flags & Flag.EMPTY
    assert marks.flags & Flag.THOUGHT


def test_white_space_before_a_body_says_nothing_of_it():
    assert kind_of(b" \n" * 500 + b'{"a": 1}', declared=False) == Body.JSON
    assert kind_of(b" " * 500, declared=False) == Body.UNKNOWN


def test_a_tool_of_the_responses_api_is_handed_json_in_its_own_place():
    def event(**more):
        return b"data: " + json.dumps(more).encode() + b"\n\n"

    def delta(place, text):
        kind = "response.function_call_arguments.delta"
        return event(type=kind, output_index=place, delta=text)

    end = event(type="response.completed", response={"status": "completed"})
    pieces = [delta(0, '{"a": '), delta(1, '{"b": '), delta(0, "1}"), delta(1, "2}")]
    _, reading = read(RESPONSES, *pieces, end)
    assert reading.marks.flags & (Flag.TOOLS | Flag.BAD_ARGUMENTS) == Flag.TOOLS
    _, reading = read(RESPONSES, pieces[0], end)
    assert reading.marks.flags & Flag.BAD_ARGUMENTS


def test_what_llama_cpp_completes_in_its_own_form_is_read():
    def piece(content, **more):
        return json.dumps({"content": content, "stop": False, **more}).encode()

    end = {"stop": True, "stop_type": "limit", "tokens_evaluated": 3, "tokens_predicted": 2}
    stream = [piece("Hel"), piece("lo"), piece("", **end)]
    error, reading = read(COMPLETIONS, *(b"data: " + event + b"\n\n" for event in stream))
    marks = reading.marks
    assert (error, marks.chunk, marks.first, marks.content, marks.events) == (OK, 0.0, 0.0, 0.0, 2)
    assert (marks.finish, marks.prompt_tokens, marks.output_tokens) == ("length", 3, 2)
    assert marks.flags == Flag.STREAM | Flag.SERVER_TOKENS
    for text, flag in (("Hello", 0), ("", Flag.EMPTY)):
        marks = Marks(0, 0, 0.0)
        assert COMPLETIONS.answer(piece(text, **end | {"stop_type": "eos"}), marks) == (
            OK,
            "",
            text,
        )
        assert (marks.finish, marks.flags) == ("stop", Flag.SERVER_TOKENS | flag)


def test_a_completion_that_is_streamed_asks_for_its_counts():
    body = COMPLETIONS.body("m", [{"role": "user", "content": "hello"}], 5, stream=True)
    assert body == {"model": "m", "prompt": "hello", "max_tokens": 5, "stream": True,
                    "stream_options": {"include_usage": True}}  # fmt: skip


@pytest.mark.parametrize("field", ["audio", "images", "refusal"])
def test_what_is_neither_text_nor_a_call_is_output_too(field):
    about = {"choices": [{"delta": {field: "x"}, "message": {field: "x"}, "finish_reason": "stop"}]}
    error, reading = read(CHAT, b"data: " + json.dumps(about).encode() + b"\n\ndata: [DONE]\n\n")
    assert (error, reading.marks.events, reading.marks.flags) == (OK, 1, Flag.STREAM)
    marks = Marks(0, 0, 0.0)
    assert CHAT.answer(json.dumps(about).encode(), marks) == (OK, "", "")
    assert marks.flags == 0
