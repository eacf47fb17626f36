"""One answer from its head to its end: when it settles and ends, its verdict and its flags."""

import pytest

from holymon.protocols.chat import CHAT
from holymon.protocols.reading import Reading
from holymon.records.attempt import Flag, Marks

HI = b'data: {"choices": [{"index": 0, "delta": {"content": "hi"}}]}\n\n'
HM = b'data: {"choices": [{"index": 0, "delta": {"reasoning": "hm"}}]}\n\n'
STOP = b'data: {"choices": [{"index": 0, "delta": {}, "finish_reason": "stop"}]}\n\n'
COUNTS = (b'data: {"choices": [], "usage": {"prompt_tokens": 3, "completion_tokens": 2, '
          b'"reasoning_tokens": 1}}\n\n')  # fmt: skip
ZERO = COUNTS.replace(b'_tokens": 2', b'_tokens": 0')
DONE, PING, PAGE = b"data: [DONE]\n\n", b": ping\n\n", b"<html>x"
WHOLE = b'{"choices":[{"message":{"content":"hi"},"finish_reason":"stop"}]}'
WRONG = b'{"error":{"message":"no"}}'
NOT_COUNTED = WHOLE[:-1] + b',"usage":{"prompt_tokens":3,"completion_tokens":0}}'
SSE, JSON = "text/event-stream", "application/json"
STREAM, LENIENT, SERVER, VEILED, EMPTY = (
    Flag.STREAM, Flag.LENIENT, Flag.SERVER_TOKENS, Flag.VEILED, Flag.EMPTY,
)  # fmt: skip
JUDGED, LATE = Flag.JSON_ASKED | Flag.NOT_JSON, Flag.AFTER_FIRST_TOKEN


def answer(pieces, *, status=200, kind=SSE, stream=True, broken="", whole=True, **more):
    """The reading of an answer of which a piece came every second, and when it had settled."""
    reading = Reading(Marks(0, 0, 0.0), CHAT, stream=stream, **more)
    settled: list[float] = []
    reading.settles = settled.append
    reading.head(0.5, status, lambda name: kind if name == "content-type" else "")
    for at, piece in enumerate(pieces, 1):
        if reading.piece(float(at), piece):
            break
    assert reading.end(99.0, broken, "broke", whole=whole) == reading.marks.error
    return reading, settled


# Pieces; when it had settled, when it ended, its tokens, its flags.
STREAMS = [
    ([HI, STOP, COUNTS, PING, DONE], {}, [2.0, 3.0], 5.0, 2, SERVER | VEILED),
    ([HI, STOP, COUNTS, PING], {"broken": "connection_reset"}, [2.0, 3.0], 3.0, 2, SERVER | VEILED | Flag.NO_DONE),
    ([HI, STOP], {"broken": "connection_reset"}, [2.0], 2.0, 1, Flag.NO_DONE),
    ([HI, STOP], {}, [2.0], 99.0, 1, Flag.NO_DONE), ([HI, STOP, HI, DONE], {}, [2.0, 3.0], 4.0, 2, 0),
    ([HI + STOP + COUNTS + DONE], {}, [], 1.0, 2, SERVER | VEILED), ([HI, COUNTS, STOP, DONE], {}, [3.0], 4.0, 2, SERVER | VEILED),
    ([HM, HI, COUNTS, STOP, DONE], {}, [4.0], 5.0, 2, SERVER), ([HI, ZERO, STOP, DONE], {}, [3.0], 4.0, 1, VEILED),
    ([HM, STOP, DONE], {}, [2.0], 3.0, 1, EMPTY | Flag.THOUGHT), ([STOP, DONE], {}, [1.0], 2.0, -1, EMPTY),
    ([STOP, DONE], {"lenient": True, "stream": None}, [1.0], 99.0, -1, 0),
    ([HI, STOP, DONE], {"lenient": True, "stream": None}, [2.0], 99.0, 1, 0),
    ([HI, STOP, DONE], {"stream": None}, [2.0], 3.0, 1, 0),
    *(([HI, STOP, DONE], {"kind": kind, "stream": stream}, [2.0], 3.0, 1, LENIENT)
      for kind in (JSON, "", "text/plain") for stream in (True, None, False)),
    ([b"da", b"ta: ", HI[6:], STOP, DONE], {"kind": ""}, [4.0], 5.0, 1, LENIENT),
    ([b"\xef\xbb", b"\xbf" + HI, STOP + DONE], {}, [], 3.0, 1, 0),
    ([HI, STOP, DONE], {"status": 201}, [2.0], 3.0, 1, LENIENT),
    ([HI[:-1] + STOP + DONE], {}, [], 1.0, 1, LENIENT),
    ([HI, STOP, DONE], {"wants_json": True}, [2.0], 3.0, 1, JUDGED),
]  # fmt: skip


@pytest.mark.parametrize(("pieces", "how", "settled", "end", "tokens", "flags"), STREAMS)
def test_a_good_stream_settles_and_ends_and_says_what_was_odd(
    pieces, how, settled, end, tokens, flags
):
    reading, moments = answer(pieces, **how)
    marks = reading.marks
    assert (marks.error, marks.message, reading.streaming) == ("", "", True)
    assert (moments, marks.end, marks.output_tokens) == (settled, end, tokens)
    assert marks.flags == STREAM | flags
    assert (marks.headers, marks.bytes) == (0.5, sum(map(len, pieces)))


PIECES = {"kind": JSON, "stream": False}
WHOLES = [  # pieces, flags, tokens
    ([WHOLE], PIECES, 0, -1), ([WHOLE], {"kind": SSE, "stream": None}, STREAM | LENIENT, -1),
    ([WHOLE], {"kind": SSE, "stream": False}, LENIENT, -1), ([b" ", b"{", WHOLE[1:]], {"kind": "", "stream": False}, 0, -1),
    ([b" ", WHOLE], {"kind": "text/plain", "stream": None}, LENIENT, -1), ([WHOLE], PIECES | {"status": 201}, LENIENT, -1),
    ([WHOLE], {"kind": "text/plain", "stream": False}, LENIENT, -1), ([WHOLE], PIECES | {"wants_json": True}, JUDGED, -1),
    ([NOT_COUNTED], PIECES, 0, -1), ([WHOLE], {"lenient": True, "stream": None, "kind": JSON}, 0, -1),
    ([NOT_COUNTED.replace(b'"hi"', b'""')], PIECES, SERVER | EMPTY, 0),
]  # fmt: skip


@pytest.mark.parametrize(("pieces", "how", "flags", "tokens"), WHOLES)
def test_a_good_answer_in_one_piece_is_read_whatever_it_is_called(pieces, how, flags, tokens):
    reading, settled = answer(pieces, keep=True, **how)
    marks = reading.marks
    assert (marks.error, marks.message, reading.streaming, settled) == ("", "", False, [])
    assert (marks.flags, marks.output_tokens, marks.end, marks.finish) == (
        flags,
        tokens,
        99.0,
        "stop",
    )
    assert reading.body == b"".join(pieces)
    assert reading.text == ("" if flags & EMPTY else "hi")


IN_ONE = "the whole answer came in one piece of JSON, though a stream was asked for: measure it with --no-stream"
WATCHED = {"lenient": True, "stream": None}
BAD = [  # pieces, error, words, flags
    ([HI], {"broken": "connection_reset"}, "connection_reset", "broke", STREAM | LATE),
    ([HI], {"broken": "server_disconnected"}, "stream_truncated", "", STREAM | LATE),
    ([PING], {"broken": "server_disconnected"}, "server_disconnected", "broke", STREAM),
    ([DONE], {}, "empty_response", "", STREAM), ([], {}, "empty_response", "", STREAM),
    ([PING], {}, "empty_response", "", STREAM), ([PAGE], {}, "unexpected_content_type", "a page of HTML instead of events", STREAM | LENIENT),
    ([PAGE], {"kind": "text/html"}, "unexpected_content_type", "x", STREAM),
    ([b"  ", PAGE], {"kind": "text/html", "stream": False}, "unexpected_content_type", "x", 0),
    ([PAGE], {"kind": "text/html", "stream": None}, "unexpected_content_type", "x", 0),
    ([b"x", WHOLE], {"kind": "text/plain", "stream": False}, "unexpected_content_type", "x" + WHOLE.decode(), 0),
    ([b"well"], {"kind": "text/plain", "stream": None}, "invalid_json", "well", 0), ([b"well"], PIECES, "invalid_json", "well", 0),
    ([b" "], {"kind": "text/plain", "stream": False}, "empty_response", "", 0),
    ([], {"status": 204}, "unexpected_status", "", STREAM), ([WRONG], {"status": 500}, "server_error", "no", STREAM),
    ([b"data: " + WRONG + b"\n\n"], {"status": 500}, "server_error", "no", STREAM),
    ([b"<html>no"], {"status": 502}, "bad_gateway", "a page of HTML: no", STREAM),
    ([WRONG], WATCHED | {"status": 500}, "server_error", "no", 0), ([WRONG], WATCHED | {"kind": JSON}, "server_error", "no", 0),
    ([WHOLE], PIECES | {"whole": False}, "decoding_error", "", 0), ([b"{"], PIECES | {"whole": False}, "invalid_json", "{", 0),
    ([], {"status": 0, "broken": "connect_timeout"}, "connect_timeout", "broke", STREAM),
    ([WHOLE], {"kind": JSON}, "unexpected_content_type", IN_ONE, STREAM),
    ([WHOLE], {"kind": SSE}, "unexpected_content_type", IN_ONE, STREAM | LENIENT),
    ([b" " * 65536, WHOLE], {"kind": JSON}, "empty_response", "", STREAM),
    ([b'{"a":"' + b"x" * 65536], {"kind": JSON}, "unexpected_content_type", IN_ONE, STREAM),
    ([b'{"a":"' + b"x" * 65530], {"kind": JSON}, "invalid_json", '{"a":"' + "x" * 113 + "…", STREAM),
    ([b"all is well"], {"kind": "text/plain"}, "unexpected_content_type", "all is well", STREAM),
    ([b"an error"], {"kind": "text/plain"}, "stream_error_event", "an error", STREAM),
    ([b"<p>an error"], {"kind": "text/plain"}, "unexpected_content_type", "an error", STREAM),
    ([b'{"error":{"message":"no","code":429}}'], {"kind": JSON}, "rate_limited", "no", STREAM),
    ([WRONG], {"kind": JSON}, "stream_error_event", "no", STREAM), ([b'{"a'], {"kind": JSON}, "invalid_json", '{"a', STREAM),
    ([b"[1"], {"kind": JSON}, "invalid_schema", "no answer of this API: [1", STREAM),
    ([b'{"a":1}'], {"kind": JSON}, "invalid_schema", 'no answer of this API: {"a":1}', STREAM),
    ([b"x"], WATCHED | {"broken": "connection_reset"}, "connection_reset", "broke", STREAM),
    ([HI], WATCHED | {"broken": "connection_reset"}, "connection_reset", "broke", STREAM | LATE),
    ([HI, b"data: " + WRONG + b"\n\n"], WATCHED, "stream_error_event", "no", STREAM | LATE),
    ([b"data: " + WRONG + b"\n\n", HI], {}, "stream_error_event", "no", STREAM),
]  # fmt: skip


@pytest.mark.parametrize(("pieces", "how", "error", "words", "flags"), BAD)
def test_what_is_no_answer_has_its_name_and_its_words(pieces, how, error, words, flags):
    reading, settled = answer(pieces, **how)
    marks = reading.marks
    assert (marks.error, marks.message, settled) == (error, words, [])
    assert marks.flags == flags
    assert len(reading.body) <= 65536
    assert marks.end == (1.0 if pieces in ([DONE], [b"data: " + WRONG + b"\n\n", HI]) else 99.0)


@pytest.mark.parametrize(("pieces", "how"), [
    ([PAGE], {"kind": "text/html"}), ([], {"status": 204}), ([HI], {}), ([b"x"], {}), ([b"{"], {"kind": JSON}),
    ([b'{"id":"1","object":"batch","status":"failed","error":"x"}'], {"kind": JSON}),
])  # fmt: skip
def test_of_what_nobody_knows_how_it_should_look_nothing_is_wrong(pieces, how):
    reading, _ = answer(pieces, **WATCHED, **how)
    assert (reading.marks.error, reading.marks.message, reading.marks.end) == ("", "broke", 99.0)


def test_no_more_is_needed_when_it_is_over_or_too_long():
    reading, _ = answer([HI])
    assert [reading.piece(9.0, DONE), reading.piece(9.0, b"")] == [True, True]
    reading = Reading(Marks(0, 0, 0.0), CHAT, stream=True)
    reading.head(0.5, 500, lambda _: "")
    assert [
        reading.piece(1.0, b"x" * 65536),
        reading.piece(1.0, b"x"),
        reading.piece(1.0, b"x"),
    ] == [False, True, True]
    assert (len(reading.body), reading.marks.bytes) == (65536, 65538)
