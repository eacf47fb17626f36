"""What goes out in each dialect, and how an answer is read from its head to its end, without a socket."""

import json
import math

import pytest

from holymon.protocols.bounds import MAX_BODY, MAX_ERROR_BODY
from holymon.protocols.chat import CHAT
from holymon.protocols.dialects import DIALECTS, of_path
from holymon.protocols.messages import MESSAGES
from holymon.protocols.reading import Reading
from holymon.protocols.responses import RESPONSES
from holymon.protocols.usage import read_usage
from holymon.records.attempt import Flag, Marks
from tests.protocols.streams import begun

HI = b'{"choices":[{"message":{"content":"Hi"},"finish_reason":"stop"}]}'
PIECE = b'data: {"choices":[{"delta":{"content":"Hi"}}]}\n\n'
STOP = b'data: {"choices":[{"delta":{},"finish_reason":"stop"}]}\n\n'
DONE = b"data: [DONE]\n\n"


@pytest.mark.parametrize(
    ("dialect", "plain", "limited"),
    [
        (CHAT, {"model": "m", "messages": [{"role": "user", "content": "hi"}]},
         {"max_tokens": 5, "stream": True, "stream_options": {"include_usage": True}}),
        (MESSAGES, {"model": "m", "max_tokens": 4096, "messages": [{"role": "user", "content": "hi"}]},
         {"max_tokens": 5, "stream": True}),
        (RESPONSES, {"model": "m", "input": "hi", "store": False},
         {"max_output_tokens": 5, "stream": True}),
    ],
    ids=["chat", "messages", "responses"],
)  # fmt: skip
def test_what_is_asked_in_each_dialect(dialect, plain, limited):
    hi = [{"role": "user", "content": "hi"}]
    assert dialect.body("m", hi, None, False) == plain
    assert dialect.body("m", hi, 5, True) == plain | limited
    whole = dialect.body("m", hi, 5, False)
    assert whole == plain | {name: value for name, value in limited.items() if "max" in name}


def test_where_each_dialect_is_and_what_it_says_of_itself():
    about = {name: (d.path, dict(d.headers), d.key_header) for name, d in DIALECTS.items()}
    assert about == {
        "chat": ("/chat/completions", {}, b"authorization: Bearer "),
        "messages": ("/messages", {"anthropic-version": "2023-06-01"}, b"x-api-key: "),
        "responses": ("/responses", {}, b"authorization: Bearer "),
        "completions": ("/completions", {}, b"authorization: Bearer "),
        "embeddings": ("/embeddings", {}, b"authorization: Bearer "),
    }
    assert of_path("/v1/chat/completions") is CHAT
    assert of_path("/completions") is of_path("/completion") is DIALECTS["completions"]
    assert of_path("/v1/messages") is MESSAGES
    assert of_path("/responses") is RESPONSES
    assert of_path("/v1/models") is None


def reading_of(status=200, headers=None, **more):
    headers = {"content-type": "application/json"} if headers is None else headers
    reading = Reading(Marks(0, 0, 0.0), CHAT, **more)
    reading.head(0.5, status, lambda name: headers.get(name, ""))
    return reading


def test_a_head_leaves_its_status_its_ids_and_what_it_asks_for():
    headers = {"x-request-id": "req-1", "request-id": "req-2", "retry-after": "7",
               "x-should-retry": "false", "x-holymon-sim": "1"}  # fmt: skip
    marks = reading_of(429, headers).marks
    assert (marks.headers, marks.status, marks.request_id) == (0.5, 429, "req-1")
    assert (marks.retry_after, marks.should_retry) == (7.0, "false")
    assert marks.flags == Flag.SIMULATED
    del headers["x-request-id"], headers["retry-after"]
    assert reading_of(429, headers).marks.request_id == "req-2"
    assert reading_of(429, headers | {"retry-after-ms": "250"}).marks.retry_after == 0.25
    moment = {
        "retry-after": "Mon, 23 Nov 2026 10:00:07 GMT",
        "date": "Mon, 23 Nov 2026 10:00:00 GMT",
    }
    assert reading_of(503, moment).marks.retry_after == 7.0
    fine = reading_of(200, headers | {"retry-after": "7"}).marks
    assert math.isnan(fine.retry_after)
    assert fine.should_retry == ""


@pytest.mark.parametrize(
    ("kind", "stream", "streaming"),
    [
        ("text/event-stream", True, True), ("Text/Event-Stream; charset=utf-8", True, True),
        ("text/event-stream", None, True), ("text/event-stream", False, False),
        ("application/json", True, False), ("application/json", None, False),
    ],
)  # fmt: skip
def test_what_is_read_as_a_stream(kind, stream, streaming):
    reading = reading_of(200, {"content-type": kind}, stream=stream)
    assert reading.streaming is streaming
    assert bool(reading.marks.flags & Flag.STREAM) is (streaming or bool(stream))
    assert not reading_of(500, {"content-type": kind}, stream=None).streaming


def test_a_whole_answer_in_pieces_is_read_and_timed():
    reading = reading_of(stream=False, keep=True)
    assert not reading.piece(1.0, HI[:9])
    assert not reading.piece(2.0, HI[9:])
    assert reading.end(3.0) == ""
    assert (reading.marks.end, reading.marks.bytes, reading.texts) == (3.0, len(HI), {0: "Hi"})
    assert reading.body == HI
    assert reading.end(9.0, "connection_reset") == "", "the first verdict stays"
    assert reading.marks.end == 3.0


def test_an_answer_of_the_largest_size_is_read_and_one_byte_more_is_too_large():
    largest = b" " * MAX_BODY
    reading = reading_of(stream=False)
    assert not reading.piece(1.0, largest)
    assert reading.piece(1.0, b" ")
    assert reading.end(2.0) == "response_too_large"
    reading.piece(3.0, b"more")
    assert len(reading.body) == MAX_BODY
    reading = reading_of(stream=False)
    reading.piece(1.0, largest)
    assert reading.end(2.0) == "empty_response"


def test_of_an_error_only_the_beginning_is_kept():
    reading = reading_of(500)
    assert not reading.piece(1.0, b"x" * MAX_ERROR_BODY)
    assert reading.piece(1.0, b"y")
    assert reading.body == b"x" * MAX_ERROR_BODY
    assert reading.end(2.0) == "server_error"
    assert reading_of(200, stream=True)._most == MAX_ERROR_BODY


@pytest.mark.parametrize(
    ("kind", "stream", "whole", "expected"),
    [
        ("application/json", False, True, ""),
        ("application/json", False, False, "decoding_error"),
        ("text/plain", False, True, ""),  # the body tells
        ("text/json", False, True, ""),
        ("text/HTML; charset=utf-8", False, True, ""),
        ("text/plain", None, True, ""),  # somebody else asked: the answer itself tells
        ("", False, True, ""),
    ],
)
def test_an_answer_is_one_by_its_body_and_half_a_compressed_one_is_none(
    kind, stream, whole, expected
):
    reading = reading_of(200, {"content-type": kind}, stream=stream)
    reading.piece(1.0, HI)
    assert reading.end(2.0, whole=whole) == expected


@pytest.mark.parametrize(
    ("body", "expected", "message"),
    [
        (b"  \n", "empty_response", ""),
        (b'{"error":{"message":"no","code":"c"}}', "stream_error_event", "no"),
        (
            HI,
            "unexpected_content_type",
            "the whole answer came in one piece of JSON, though a stream was asked for: measure it with "
            "--no-stream",
        ),
        (b"upstream timed out", "stream_error_event", "upstream timed out"),
        (
            b'{"error":"Unexpected endpoint or method. (POST /chat/completions)"}',
            "not_found",
            "Unexpected endpoint or method. (POST /chat/completions)",
        ),
    ],
)
def test_what_came_instead_of_a_stream(body, expected, message):
    reading = reading_of(stream=True)
    reading.piece(1.0, body)
    assert (reading.end(2.0), reading.marks.message) == (expected, message)


@pytest.mark.parametrize(
    ("pieces", "broken", "expected"),
    [
        ([PIECE], "connection_reset", "connection_reset"),
        ([PIECE], "server_disconnected", "stream_truncated"),
        ([], "server_disconnected", "server_disconnected"),
        ([PIECE, STOP], "connection_reset", ""),  # all had come before it broke
        ([PIECE, STOP, DONE], "deadline_exceeded", ""),
        ([b"data: {nope}\n\n"], "connection_reset", "invalid_json"),
    ],
)
def test_a_stream_that_breaks_is_judged_by_what_had_come(pieces, broken, expected):
    reading = begun(CHAT)
    for piece in pieces:
        reading.piece(1.0, piece)
    assert reading.end(2.0, broken, "words") == expected
    if expected == broken:
        assert reading.marks.message == "words"


def test_what_breaks_before_there_is_a_status_is_what_broke_it():
    reading = Reading(Marks(0, 0, 0.0), CHAT, stream=True)
    assert reading.end(2.0, "connect_timeout", "no answer") == "connect_timeout"
    assert (reading.marks.message, reading.marks.end) == ("no answer", 2.0)
    whole = reading_of(stream=False)
    whole.piece(1.0, HI[:5])
    assert whole.end(2.0, "connection_reset", "w") == "connection_reset"
    refused = reading_of(401)
    refused.piece(1.0, b'{"error":{"message":"no"}}')
    assert refused.end(2.0, "connection_reset") == "authentication", "the status counts"


def test_an_answer_ends_with_its_last_event_however_long_the_stream_stays_open():
    reading = begun(CHAT)
    assert not reading.piece(1.0, PIECE)
    assert not reading.piece(2.0, STOP)
    assert reading.piece(3.0, DONE)
    reading.end(9.0)
    assert reading.marks.end == 3.0
    lenient = Reading(Marks(0, 0, 0.0), CHAT, lenient=True)
    lenient.head(0.0, 200, lambda _: "text/event-stream")
    assert lenient.piece(1.0, PIECE + STOP + DONE)
    lenient.end(9.0)
    assert lenient.marks.end == 9.0


def test_a_failure_after_the_first_token_is_flagged_and_its_pieces_counted():
    reading = begun(CHAT)
    reading.piece(1.0, PIECE)
    assert reading.end(2.0) == "stream_truncated"
    assert reading.marks.flags & Flag.AFTER_FIRST_TOKEN
    assert reading.marks.output_tokens == 1
    early = begun(CHAT)
    early.piece(1.0, b"event: error\ndata: x\n\n")
    assert early.piece(1.0, PIECE), "nothing more is needed"
    assert early.end(2.0) == "stream_error_event"
    assert not early.marks.flags & Flag.AFTER_FIRST_TOKEN
    assert early.marks.output_tokens == -1


@pytest.mark.parametrize(
    ("status", "body", "expected"),
    [(200, b"anything", ""), (204, b"", ""), (201, b"<p>", ""), (200, b'{"error":{"code":"429"}}', "rate_limited"),
     (400, b"", "bad_request"), (301, b"", "unexpected_status")],
)  # fmt: skip
def test_of_an_unknown_endpoint_only_what_it_reports_itself_is_an_error(status, body, expected):
    reading = reading_of(status, {}, lenient=True)
    reading.piece(1.0, body)
    assert reading.end(2.0) == expected
    strict = reading_of(204, {})
    assert strict.end(2.0) == "unexpected_status"


def test_messages_keep_their_text_and_name_ends_that_are_new():
    texts = [b'{"type":"content_block_delta","delta":{"type":"text_delta","text":"Hel"}}',
             b'{"type":"content_block_delta","delta":{"type":"text_delta","text":"lo"}}',
             b'{"type":"message_delta","delta":{"stop_reason":"pause_turn"},"usage":{"output_tokens":0}}']  # fmt: skip
    reading = begun(MESSAGES, keep=True)
    for k, text in enumerate(texts):
        reading.piece(float(k), b"data: " + text + b"\n\n")
    assert (reading.end(9.0), reading.texts, reading.marks.finish) == ("", {0: "Hello"}, "other")
    assert (reading.marks.content, reading.marks.output_tokens) == (0.0, 2), "no 0 counts two"
    marks = Marks(0, 0, 0.0)
    assert MESSAGES.answer(b'{"content":[],"stop_reason":"pause_turn"}', marks) == ("", "", "")
    assert marks.finish == "other"
    for reason, finish in (("end_turn", "stop"), ("stop_sequence", "stop"), ("max_tokens", "length"),
                           ("tool_use", "tool_calls"), ("refusal", "content_filter")):  # fmt: skip
        body = json.dumps({"content": [], "stop_reason": reason}).encode()
        marks = Marks(0, 0, 0.0)
        MESSAGES.answer(body, marks)
        assert marks.finish == finish


@pytest.mark.parametrize("kind", ["tool_use", "server_tool_use", "redacted_thinking"])
def test_blocks_that_bring_output_at_once(kind):
    reading = begun(MESSAGES)
    reading.piece(
        1.0,
        b'data: {"type":"content_block_start","content_block":{"type":"%s"}}\n\n' % kind.encode(),
    )
    assert reading.marks.events == 1
    reading.piece(2.0, b'data: {"type":"content_block_start","content_block":{"type":"text"}}\n\n')
    assert reading.marks.events == 1


@pytest.mark.parametrize(
    ("number", "prompt"),
    [(0, 0), (2**31 - 1, 2**31 - 1), (2**31, -1), (-1, -1), (3.0, 3), (0.5, -1)],
)
def test_counts_that_a_row_can_hold(number, prompt):
    marks = Marks(0, 0, 0.0)
    read_usage({"prompt_tokens": number, "completion_tokens": number,
                "prompt_tokens_details": {"cached_tokens": number},
                "completion_tokens_details": {"reasoning_tokens": number}}, marks)  # fmt: skip
    assert (marks.prompt_tokens, marks.output_tokens) == (prompt or -1, prompt)
    assert (marks.cached_tokens, marks.reasoning_tokens) == (prompt, prompt)
    assert bool(marks.flags & Flag.SERVER_TOKENS) is (prompt >= 0)


def test_an_error_behind_a_bad_shape_is_named_by_its_code():
    marks = Marks(0, 0, 0.0)
    body = b'{"error":{"code":429,"message":"slow down"},"choices":5}'
    assert CHAT.answer(body, marks)[:2] == ("rate_limited", "slow down")


def test_the_last_event_may_lack_its_empty_line_and_comes_with_the_end():
    reading = begun(CHAT)
    reading.piece(1.0, PIECE + PIECE[:-2])
    assert reading.marks.events == 1
    assert reading.end(2.0) == "stream_truncated"
    assert (reading.marks.events, reading.marks.last) == (2, 2.0)


def test_what_an_ending_lacks_is_noted_beside_what_is_known_already():
    unfinished, undone = begun(CHAT), begun(CHAT)
    unfinished.piece(1.0, PIECE + DONE)
    undone.piece(1.0, PIECE + STOP)
    assert (unfinished.end(2.0), undone.end(2.0)) == ("", "")
    assert unfinished.marks.flags == Flag.STREAM | Flag.NO_FINISH
    assert undone.marks.flags == Flag.STREAM | Flag.NO_DONE


def test_a_bad_shape_is_said_in_words_and_brings_no_token():
    reading = begun(CHAT)
    reading.piece(1.0, b'data: {"choices":[{"delta":5}]}\n\n')
    assert reading.end(2.0) == "invalid_schema"
    assert reading.marks.message == 'no event of this API: {"choices":[{"delta":5}]}'
    assert reading.marks.events == 0
    named = begun(CHAT)
    named.piece(1.0, b"event: error\ndata: x\n\n")
    named.end(2.0)
    assert (named.marks.events, named.marks.message) == (0, "x")


@pytest.mark.parametrize(
    ("dialect", "field"), [(CHAT, "choices"), (MESSAGES, "content"), (RESPONSES, "output")]
)
@pytest.mark.parametrize("value", [None, 5])
def test_a_status_in_an_error_says_more_than_the_word_beside_it(dialect, field, value):
    marks = Marks(0, 0, 0.0)
    body = json.dumps({"error": {"code": 503, "type": "api_error", "message": "x"}, field: value})
    assert dialect.answer(body.encode(), marks)[0] == "unavailable"
    assert marks.code == "api_error"
