"""Answers are whole or they are failures, and every failure has its own name."""

import json
import random

import pytest
from hypothesis import given
from hypothesis import strategies as st

from holymon.chat import StreamReader, read_answer, request_body
from holymon.errorbody import is_error, read_error
from holymon.records import Flag, Marks, measure


def chunk(content=None, finish=None, **delta) -> bytes:
    said = delta if content is None else {"content": content, **delta}
    event = {"id": "1", "object": "chat.completion.chunk",
             "choices": [{"index": 0, "delta": said, "finish_reason": finish}]}  # fmt: skip
    return b"data: " + json.dumps(event, ensure_ascii=False).encode() + b"\n\n"


HEL, LO, STOP, DONE = chunk("Hel"), chunk("lo"), chunk(finish="stop"), b"data: [DONE]\n\n"
PLAIN = HEL + LO + STOP + DONE
USAGE = b'data: {"choices":[],"usage":{"prompt_tokens":3,"completion_tokens":2}}\n\n'
ERROR = b'data: {"error":{"message":"boom","code":"server_error"}}\n\n'


def each_byte(data):
    return [data[i : i + 1] for i in range(len(data))]


# The 34 streams on which clients of this kind were compared; the text, or the failure.
TRUTH = {
    "plain": (PLAIN, "Hello"),
    "one byte chunks": (each_byte(PLAIN), "Hello"),
    "all in one segment": ([PLAIN], "Hello"),
    "crlf": (PLAIN.replace(b"\n", b"\r\n"), "Hello"),
    "bare cr": (PLAIN.replace(b"\n", b"\r"), "Hello"),
    "mixed line ends": (HEL + LO.replace(b"\n", b"\r\n") + STOP + DONE, "Hello"),
    "no space after data": (PLAIN.replace(b"data: ", b"data:"), "Hello"),
    "byte order mark": (b"\xef\xbb\xbf" + PLAIN, "Hello"),
    "comments": (b": wait\n\n" + HEL + b": wait\n\n" + LO + STOP + DONE, "Hello"),
    "data on several lines": (
        b'data: {"choices":[{"index":0,\ndata: "delta":{"content":"Hel"}}]}\n\n' + LO + STOP + DONE,
        "Hello",
    ),
    "utf-8 split": (each_byte(chunk("Hällö €😀") + STOP + DONE), "Hällö €😀"),
    "u2028 and u0085": (chunk("a\u2028b\u0085c") + STOP + DONE, "a\u2028b\u0085c"),
    "usage at the end": (HEL + LO + STOP + USAGE + DONE, "Hello"),
    "usage null, choices null": (
        HEL + b'data: {"id":"1","choices":null,"usage":null}\n\n' + LO + STOP + DONE, "Hello",
    ),
    "id, retry, event fields": (b"id: 1\nretry: 5\nevent: message\n" + PLAIN, "Hello"),
    "retry alone": (b"retry: 3000\n\n" + PLAIN, "Hello"),
    "a huge event": (chunk("x" * 10**6) + STOP + DONE, "x" * 10**6),
    "done without an empty line": (HEL + LO + STOP + b"data: [DONE]", "Hello"),
    "finish without done": (HEL + LO + STOP, "Hello"),
    "cut after content": (HEL + LO, "!stream_truncated"),
    "cut inside json": (HEL + LO[:30], "!stream_truncated"),
    "error in mid-stream": (HEL + ERROR, "!stream_error_event"),
    "error event by name": (HEL + b'event: error\ndata: {"message":"boom"}\n\n',
                            "!stream_error_event"),
    "error, then done": (ERROR + DONE, "!stream_error_event"),
    "bad json": (HEL + b"data: {nope}\n\n" + LO + STOP + DONE, "!invalid_json"),
    "a page of html": (b"<html><body>502</body></html>", "!unexpected_content_type"),
    "nothing": (b"", "!empty_response"),
    "only done": (DONE, "!empty_response"),
    "invalid utf-8": (HEL + LO.replace(b"lo", b"\xff\xfe") + STOP + DONE, "!invalid_utf8"),
    "a json array": (HEL + b"data: [1,2]\n\n" + STOP + DONE, "!invalid_schema"),
    "error as text": (HEL + b'data: {"error":"boom"}\n\n', "!stream_error_event"),
    "error in a choice": (
        HEL + b'data: {"choices":[{"index":0,"delta":{},"finish_reason":"error",'
        b'"error":{"message":"boom"}}]}\n\n' + DONE, "!stream_error_event",
    ),
    "data after done": (PLAIN + chunk("ZZZ"), "Hello"),
    "html in mid-stream": (HEL + LO + b"<html>504 Gateway Time-out</html>\n", "!stream_truncated"),
}  # fmt: skip


def read(pieces) -> tuple[str, str, Marks]:
    marks = Marks(0, 0, 0.0)
    reader = StreamReader(marks, keep=True)
    now = 1.0
    for piece in [pieces] if isinstance(pieces, bytes) else pieces:
        now += 0.01
        reader.feed(now, piece)
        if reader.error:
            break
    return reader.close(now), reader.text, marks


def test_the_table_has_all_34():
    assert len(TRUTH) == 34


@pytest.mark.parametrize("name", TRUTH)
def test_the_truth_table(name):
    pieces, expected = TRUTH[name]
    error, text, _ = read(pieces)
    assert expected == (f"!{error}" if error else text)


@pytest.mark.parametrize("ending", [b"\n", b"\r\n"])
def test_no_cutting_of_a_valid_stream_changes_it(ending):
    draw = random.Random(0)
    data = (chunk("Hä llo ") + chunk("\n wörld\u2028") + STOP + USAGE + DONE).replace(b"\n", ending)
    for _ in range(500):
        edges = sorted(draw.sample(range(1, len(data)), draw.randint(1, 40)))
        pieces = [data[a:b] for a, b in zip([0, *edges], [*edges, len(data)], strict=True)]
        assert read(pieces)[:2] == ("", "Hä llo \n wörld\u2028")


def test_a_role_or_an_empty_delta_is_no_token():
    _, _, marks = read([chunk("", role="assistant"), chunk(""), HEL, LO, STOP, DONE])
    assert (marks.first, marks.last, marks.events) == (1.03, 1.04, 2)


def test_reasoning_is_the_first_token_and_content_the_first_of_content():
    _, text, marks = read([chunk(reasoning_content="hm"), chunk(reasoning="so"), HEL, STOP, DONE])
    assert (round(marks.first, 3), round(marks.content, 3), text) == (1.01, 1.03, "Hel")


def test_a_tool_call_is_an_answer():
    call = chunk(tool_calls=[{"index": 0, "function": {"name": "f", "arguments": "{}"}}])
    error, text, marks = read([call, chunk(finish="tool_calls"), DONE])
    assert (error, text, marks.finish, marks.events) == ("", "", "tool_calls", 1)


def test_tokens_in_one_piece_share_one_time_and_are_flagged():
    _, _, marks = read([HEL + LO, STOP + DONE])
    assert (marks.chunks, marks.events, marks.gaps) == (1, 2, {})
    assert marks.flags & Flag.COALESCED


def test_the_last_usage_counts_and_is_not_summed():
    again = USAGE.replace(b":2}", b":5}")
    _, _, marks = read([HEL, USAGE, LO, again, STOP, DONE])
    assert (marks.prompt_tokens, marks.output_tokens) == (3, 5)
    assert marks.flags & Flag.SERVER_TOKENS


@pytest.mark.parametrize(
    ("pieces", "flag"),
    [([HEL, STOP], Flag.NO_DONE), ([HEL, DONE], Flag.NO_FINISH), ([PLAIN + LO], Flag.AFTER_DONE)],
)
def test_half_an_ending_is_whole_and_flagged(pieces, flag):
    error, _, marks = read(pieces)
    assert error == ""
    assert marks.flags & flag


@pytest.mark.parametrize(
    "usage",
    [
        '{"prompt_tokens":-1}', '{"completion_tokens":99999999999999999999}',
        '{"prompt_tokens":1e400}', '{"prompt_tokens":"3"}', "[]", '{"prompt_tokens":2.5}',
    ],
)  # fmt: skip
def test_a_usage_that_can_not_be_is_refused_and_harms_nobody(usage):
    data = f'data: {{"choices":[],"usage":{usage}}}\n\n'.encode()
    error, _, marks = read([HEL, data, STOP, DONE])
    assert error in {"invalid_schema", "invalid_json"}
    marks.error = error
    assert measure(marks)


HOSTILE = [
    b'{"choices":[{"delta":{"content":5}}]}', b'{"choices":[{"index":"a"}]}', b"null", b"3", b'""',
    b'{"choices":[null]}', b'{"choices":{}}', b'{"a":NaN}', b'{"error":' + b"[" * 5000,
    b"[" * 100_000, b'{"choices":[{"delta":{"content":"\\ud800"}}]}', b'{"error":{"code":"\\ud800"}}',
    b'{"error":{"message":' + b'"x' * 10 + b"}}", b'{"error":{"code":{"a":[1]}}}', b'{"error":[]}',
    b'{"error":"\\u202e\\u0000"}', b'{"choices":[{"delta":null,"finish_reason":null}]}', b"\xff",
    b'{"choices":[{"finish_reason":"' + b"x" * 10_000 + b'"}]}',
]  # fmt: skip


@pytest.mark.parametrize("data", HOSTILE, ids=range(len(HOSTILE)))
def test_no_event_can_harm_the_reader_or_the_row(data):
    error, _, marks = read([HEL, b"data: " + data + b"\n\n", STOP, DONE])
    marks.error = error
    assert measure(marks)


@given(st.recursive(st.none() | st.booleans() | st.integers() | st.floats() | st.text(),
                    lambda inner: st.lists(inner) | st.dictionaries(
                        st.sampled_from(["choices", "delta", "content", "usage", "error", "code",
                                         "message", "finish_reason", "prompt_tokens"]), inner)))  # fmt: skip
def test_any_json_is_read_or_named(value):
    data = json.dumps(value).encode("utf-8", "surrogatepass")
    for marks, result in ((m := Marks(0, 0, 0.0), read_answer(data, m)[0]),):
        marks.error = result
        assert measure(marks)
    error, _, marks = read([b"data: " + data + b"\n\n", DONE])
    marks.error = error
    assert measure(marks)
    marks = Marks(0, 0, 0.0)
    marks.error, _ = read_error(500, data, marks)
    assert measure(marks)


def answer(**more):
    return json.dumps(
        {"choices": [{"message": {"content": "Hi"}, "finish_reason": "stop"}], **more}
    ).encode()


@pytest.mark.parametrize(
    ("body", "expected"),
    [
        (answer(), ""),
        (b"", "empty_response"),
        (b"  \n", "empty_response"),
        (answer()[:-3], "invalid_json"),
        (b'{"choices":[]}', "invalid_schema"),
        (b'{"choices":[{"message":null}]}', "invalid_schema"),
        (b"[]", "invalid_schema"),
        (b"\xff\xfe", "invalid_utf8"),
        (b'{"error":{"message":"x","code":"rate_limit_exceeded"}}', "rate_limited"),
        (b'{"error":{"message":"x","code":503}}', "unavailable"),
        (b'{"error":"x"}', "server_error"),
        (b'{"choices":[{"message":{"content":null},"finish_reason":null}]}', "empty_response"),
    ],
)
def test_a_whole_answer_is_ok_or_named(body, expected):
    assert read_answer(body, Marks(0, 0, 0.0))[0] == expected


def test_a_whole_answer_brings_its_text_and_counts():
    marks = Marks(0, 0, 0.0)
    more = {"prompt_tokens": 7, "completion_tokens": 2,
            "prompt_tokens_details": {"cached_tokens": 4},
            "completion_tokens_details": {"reasoning_tokens": 1}}  # fmt: skip
    assert read_answer(answer(usage=more), marks) == ("", "", "Hi")
    assert (marks.prompt_tokens, marks.output_tokens, marks.cached_tokens,
            marks.reasoning_tokens, marks.finish) == (7, 2, 4, 1, "stop")  # fmt: skip


@pytest.mark.parametrize(
    ("status", "body", "expected"),
    [
        (400, b'{"error":{"message":"bad","code":"x"}}', ("bad_request", "bad", "x")),
        (429, b'{"error":{"code":"insufficient_quota","message":"m"}}',
         ("quota_exhausted", "m", "insufficient_quota")),
        (422, b'{"detail":[{"loc":["body","model"],"msg":"missing"}]}',
         ("unprocessable", "body.model: missing", "")),
        (502, b"<html><style>a{}</style><h1>Bad &amp; sad</h1></html>",
         ("bad_gateway", "Bad &amp; sad", "")),
        (500, b"", ("server_error", "", "")),
        (418, b'{"message":"tea"}', ("http_4xx", "tea", "")),
        (307, b"", ("unexpected_status", "", "")),
        (529, b'{"error":{"type":"overloaded_error","message":"busy"}}',
         ("overloaded", "busy", "overloaded_error")),
        (500, b'{"error":{"code":"not a code!","message":"m"}}', ("server_error", "m", "other")),
    ],
)  # fmt: skip
def test_an_error_answer_gives_type_message_and_code(status, body, expected):
    marks = Marks(0, 0, 0.0)
    error, message = read_error(status, body, marks)
    assert expected == (error, message, marks.code)


def test_a_request_asks_for_usage_only_when_streamed():
    plain = json.loads(request_body("m", "hi", max_tokens=None, stream=False))
    assert plain == {"model": "m", "messages": [{"role": "user", "content": "hi"}]}
    streamed = json.loads(request_body("m", "hi", max_tokens=5, stream=True))
    assert (streamed["max_tokens"], streamed["stream_options"]) == (5, {"include_usage": True})


def test_only_an_object_with_an_error_is_one():
    assert [is_error(b) for b in (b'{"error":"x"}', b'{"error":null}', b"[]", b"x")] == [
        True, False, False, False,
    ]  # fmt: skip
