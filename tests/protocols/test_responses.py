"""The Responses dialect becomes the same marks as chat, however it is cut; a failed one has failed."""

import json

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from holymon.protocols.reading import Reading
from holymon.protocols.responses import RESPONSES, read_answer
from holymon.records.attempt import Flag, Marks
from tests.protocols import streams


def event(kind: str, **more) -> bytes:
    return f"event: {kind}\ndata: {json.dumps({'type': kind, **more})}\n\n".encode()


def whole_of(status: str = "completed", **more) -> dict:
    return {"id": "r", "object": "response", "status": status, "error": None, "output": [MESSAGE],
            "usage": USAGE, **more}  # fmt: skip


USAGE = {
    "input_tokens": 10, "input_tokens_details": {"cached_tokens": 3},
    "output_tokens": 9, "output_tokens_details": {"reasoning_tokens": 4},
}  # fmt: skip
MESSAGE = {"type": "message", "content": [{"type": "output_text", "text": "Hello"}]}
CALL = {"type": "function_call", "name": "f", "arguments": "{}"}
CREATED = event("response.created", response=whole_of("in_progress", output=[], usage=None))
ADDED = event("response.output_item.added", item={"type": "message"})
THINKS = event("response.reasoning_summary_text.delta", delta="hm")
HEL, LO = (event("response.output_text.delta", delta=text) for text in ("Hel", "lo"))
SAID = event("response.output_text.done", text="Hello")
END = event("response.completed", response=whole_of())
WHOLE = [CREATED, ADDED, THINKS, HEL, LO, SAID, END]
DONE = b"data: [DONE]\n\n"


def read(*pieces: bytes) -> tuple[str, Marks, Reading]:
    error, reading = streams.read(RESPONSES, *pieces)
    return error, reading.marks, reading


def test_a_whole_stream_is_read():
    error, marks, stream = read(*WHOLE)
    assert (error, stream.done, marks.finish, marks.events) == ("", True, "stop", 3)
    assert (marks.chunk, marks.first, marks.content, marks.last) == (0.0, 2.0, 3.0, 4.0)
    assert (marks.prompt_tokens, marks.cached_tokens) == (10, 3)
    assert (marks.output_tokens, marks.reasoning_tokens) == (9, 4)
    assert marks.flags == Flag.SERVER_TOKENS | Flag.STREAM


@given(st.lists(st.integers(0, len(b"".join(WHOLE)))))
def test_it_may_be_cut_anywhere(places):
    data = b"".join(WHOLE)
    edges = [0, *sorted(places), len(data)]
    error, marks, _ = read(*(data[a:b] for a, b in zip(edges, edges[1:], strict=False)))
    assert (error, marks.events, marks.output_tokens, marks.finish) == ("", 3, 9, "stop")


@given(st.binary(max_size=300))
@example(b"data:[DONE]")
def test_no_bytes_break_it(data):
    assert read(data)[0]
    assert read(CREATED, data)[0]
    assert read_answer(data, Marks(0, 0, 0.0))[0]


FAILED = event("response.failed", response=whole_of("failed", error={"code": "server_error",
                                                                    "message": "no"}))  # fmt: skip


@pytest.mark.parametrize(
    ("pieces", "expected"),
    [
        (WHOLE[:-1], "stream_truncated"),
        ([CREATED, HEL, LO[:-9]], "stream_truncated"),
        ([], "empty_response"),
        ([b"<html>"], "unexpected_content_type"),
        ([CREATED, HEL, FAILED], "stream_error_event"),
        ([CREATED, event("response.failed", response={})], "stream_error_event"),
        ([event("error", code="rate_limit_exceeded", message="busy")], "stream_error_event"),
        ([event("error", error={"code": "x", "message": "busy"})], "stream_error_event"),
        ([CREATED, b"data: {\n\n"], "invalid_json"),
        ([CREATED, b"data: []\n\n"], "stream_truncated"),
        ([CREATED, event("response.completed", response=[])], ""),
        ([CREATED, event("response.completed", response=3)], "invalid_schema"),
        ([CREATED, HEL, DONE], ""),
        ([CREATED, DONE], "empty_response"),
        ([CREATED[:-9], b"<rules>" + CREATED[-9:]], "invalid_json"),
        ([b"\xef\xbb\xbf", b"<html>"], "unexpected_content_type"),
        ([CREATED[:30]], "stream_truncated"),
        ([b'data: {"type": "\xff"}\n\n'], "invalid_utf8"),
        ([DONE], "empty_response"),
        ([CREATED, HEL, END, DONE], ""),
        ([CREATED, event("response.completed")], ""),
    ],
)  # fmt: skip
def test_how_a_stream_can_end(pieces, expected):
    assert read(*pieces)[0] == expected


def test_the_code_of_a_failure_is_kept_whatever_its_form():
    for piece in (FAILED, event("error", code="server_error", message="no")):
        _, marks, stream = read(CREATED, piece)
        assert (marks.code, stream.message) == ("server_error", "no")


def test_a_chat_like_end_is_no_data_behind_the_end():
    _, marks, _ = read(CREATED, HEL, END + DONE)
    assert not marks.flags & Flag.AFTER_DONE
    _, marks, _ = read(CREATED, HEL, END + HEL)
    assert marks.flags & Flag.AFTER_DONE
    assert marks.events == 1


@pytest.mark.parametrize(
    ("answer", "finish"),
    [
        (whole_of(), "stop"),
        (whole_of(output=[MESSAGE, CALL]), "tool_calls"),
        (whole_of("incomplete", incomplete_details={"reason": "max_output_tokens"}), "length"),
        (whole_of("incomplete", incomplete_details={"reason": "content_filter"}), "content_filter"),
        (whole_of("incomplete", incomplete_details={"reason": ["x"]}), "other"),
        (whole_of("incomplete", incomplete_details=None), "other"),
        (whole_of("queued", output=[], usage=None), ""),
    ],
)
def test_why_an_answer_ended(answer, finish):
    marks = Marks(0, 0, 0.0)
    assert read_answer(json.dumps(answer).encode(), marks)[0] == ""
    assert marks.finish == finish
    if finish:
        kind = f"response.{answer['status']}"
        error, marks, stream = read(CREATED, event(kind, response=answer))
        assert (error, marks.finish, marks.output_tokens, stream.done) == ("", finish, 9, True)


@pytest.mark.parametrize(
    ("body", "expected"),
    [
        (b" ", "empty_response"),
        (b"{", "invalid_json"),
        (b'{"status": "\xff"}', "invalid_utf8"),
        (b"[]", "invalid_schema"),
        (b"{}", "invalid_schema"),
        (json.dumps(whole_of("failed", error={"code": "x", "message": "no"})).encode(),
         "server_error"),
        (json.dumps(whole_of("failed", error={"code": "rate_limit_exceeded"})).encode(),
         "rate_limited"),
        (json.dumps(whole_of("failed")).encode(), "server_error"),
        (b'{"error": {"code": 503}}', "unavailable"),
    ],
)  # fmt: skip
def test_a_body_that_is_no_answer(body, expected):
    assert read_answer(body, Marks(0, 0, 0.0))[0] == expected


@pytest.mark.parametrize("count", ["x", -1, 2.5, 1e30, None, True, [9], 2**31])
def test_a_count_that_makes_no_sense_is_unknown(count):
    odd = whole_of(
        usage={"input_tokens": count, "output_tokens": count, "output_tokens_details": 3}
    )
    error, marks, _ = read(CREATED, HEL, event("response.completed", response=odd))
    assert (error, marks.prompt_tokens, marks.output_tokens) == ("", -1, 1)
    assert not marks.flags & Flag.SERVER_TOKENS
