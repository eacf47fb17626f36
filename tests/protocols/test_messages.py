"""Anthropic's event format becomes the same marks as OpenAI's, however it is cut."""

import json

import pytest
from hypothesis import given
from hypothesis import strategies as st

from holymon.protocols.messages import MESSAGES, read_answer
from holymon.protocols.reading import Reading
from holymon.records.attempt import Flag, Marks
from tests.protocols import streams


def event(kind: str, **more) -> bytes:
    return f"event: {kind}\ndata: {json.dumps({'type': kind, **more})}\n\n".encode()


def delta(kind: str, **more) -> bytes:
    return event("content_block_delta", index=0, delta={"type": kind, **more})


USAGE = {"input_tokens": 5, "cache_read_input_tokens": 3, "cache_creation_input_tokens": 2,
         "output_tokens": 1}  # fmt: skip
START = event("message_start", message={"id": "m", "role": "assistant", "usage": USAGE})
BLOCK = event("content_block_start", index=0, content_block={"type": "text", "text": ""})
PING = event("ping")
HEL, LO = delta("text_delta", text="Hel"), delta("text_delta", text="lo")
END = event("message_delta", delta={"stop_reason": "end_turn"}, usage={"output_tokens": 9})
STOP = event("message_stop")
WHOLE = [START, BLOCK, PING, HEL, LO, END, STOP]


def read(*pieces: bytes) -> tuple[str, Marks, Reading]:
    error, reading = streams.read(MESSAGES, *pieces)
    return error, reading.marks, reading


def test_a_whole_stream_is_read():
    error, marks, stream = read(*WHOLE)
    assert (error, stream.done, marks.finish) == ("", True, "stop")
    assert (marks.chunk, marks.first, marks.content, marks.last) == (0.0, 3.0, 3.0, 4.0)
    assert (marks.prompt_tokens, marks.cached_tokens, marks.output_tokens) == (10, 3, 9)
    assert marks.events == 2
    assert marks.flags & Flag.SERVER_TOKENS


@given(st.lists(st.integers(0, len(b"".join(WHOLE)))))
def test_it_may_be_cut_anywhere(places):
    data = b"".join(WHOLE)
    edges = [0, *sorted(places), len(data)]
    error, marks, _ = read(*(data[a:b] for a, b in zip(edges, edges[1:], strict=False)))
    assert (error, marks.events, marks.output_tokens, marks.finish) == ("", 2, 9, "stop")


@pytest.mark.parametrize(
    ("kinds", "events"),
    [
        ([delta("thinking_delta", thinking="hm"), HEL], 2),
        ([event("content_block_start", content_block={"type": "tool_use"}),
          delta("input_json_delta", partial_json="{}")], 2),
        ([delta("signature_delta", signature="x"), delta("text_delta", text="")], 0),
        ([event("something_new", delta={"text": "x"})], 0),
    ],
)  # fmt: skip
def test_what_is_a_token(kinds, events):
    error, marks, _ = read(START, *kinds, END, STOP)
    assert (error, marks.events) == ("", events)


@pytest.mark.parametrize(
    ("pieces", "expected"),
    [
        ([START, HEL], "stream_truncated"),
        ([START, HEL, LO[:-9]], "stream_truncated"),
        ([], "empty_response"),
        ([b"<html>"], "unexpected_content_type"),
        ([START, event("error", error={"type": "overloaded_error", "message": "busy"})],
         "stream_error_event"),
        ([START, b"data: {\n\n"], "invalid_json"),
        ([START, b"data: []\n\n"], "stream_truncated"),
        ([START, HEL, END], ""),
        ([START, HEL, STOP], ""),
    ],
)  # fmt: skip
def test_how_a_stream_can_end(pieces, expected):
    assert read(*pieces)[0] == expected


def test_the_code_of_an_error_is_kept():
    _, marks, reader = read(START, event("error", error={"type": "overloaded_error",
                                                         "message": "busy"}))  # fmt: skip
    assert (marks.code, reader.message) == ("overloaded_error", "busy")


def test_a_message_in_one_piece_is_read():
    body = {"content": [{"type": "thinking", "thinking": "hm"}, {"type": "text", "text": "Hi"}],
            "stop_reason": "max_tokens", "usage": USAGE}  # fmt: skip
    marks = Marks(0, 0, 0.0)
    assert read_answer(json.dumps(body).encode(), marks) == ("", "", "Hi")
    assert (marks.prompt_tokens, marks.output_tokens, marks.finish) == (10, 1, "length")


@pytest.mark.parametrize(
    ("body", "expected"),
    [
        (b"", "empty_response"), (b"{", "invalid_json"), (b"[]", "invalid_schema"),
        (b"{}", "invalid_schema"), (b'{"content": 3}', "invalid_schema"),
        (b'{"type": "error", "error": {"type": "overloaded_error", "message": "x"}}', "overloaded"),
    ],
)  # fmt: skip
def test_how_a_message_can_be_wrong(body, expected):
    marks = Marks(0, 0, 0.0)
    error, _, _ = read_answer(body, marks)
    assert error == expected


@pytest.mark.parametrize("count", [-1, 2**40, "x", None, True, 1.5])
def test_a_count_that_makes_no_sense_is_unknown(count):
    _, marks, _ = read(START, HEL, event("message_delta", usage={"output_tokens": count}), STOP)
    assert (marks.output_tokens, marks.flags & Flag.SERVER_TOKENS) == (1, 0)
