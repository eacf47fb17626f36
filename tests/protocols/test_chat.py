"""Answers are whole or they are failures, and every failure has its own name."""

import json
import random

import pytest
from hypothesis import given
from hypothesis import strategies as st

from holymon.errors import ERRORS
from holymon.protocols.chat import CHAT, read_answer, request_body
from holymon.protocols.error_body import read_error
from holymon.records.attempt import Flag, Marks, frame
from tests.protocols.streams import begun


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
    reading = begun(CHAT, keep=True)
    now = 1.0
    for piece in [pieces] if isinstance(pieces, bytes) else pieces:
        now += 0.01
        reading.piece(now, piece)
        if reading.error:
            break
    return reading.end(now), reading.texts.get(0, ""), reading.marks


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
        '{"completion_tokens":-1}', '{"completion_tokens":99999999999999999999}', "7",
        '{"completion_tokens":"x"}', "[]", '{"completion_tokens":2.5}', '{"completion_tokens":true}',
        '{"completion_tokens":null,"completion_tokens_details":[]}', '{"completion_tokens":2147483648}',
    ],
)  # fmt: skip
def test_a_count_that_can_not_be_is_unknown_and_no_failure(usage):
    data = f'data: {{"choices":[],"usage":{usage}}}\n\n'.encode()
    error, text, marks = read([HEL, LO, data, STOP, DONE])
    assert (error, text, marks.prompt_tokens) == ("", "Hello", -1)
    assert (marks.output_tokens, marks.flags & Flag.SERVER_TOKENS) == (2, 0)  # as counted here
    assert not marks.flags & Flag.SERVER_TOKENS
    assert frame(marks)


def test_the_largest_count_and_a_whole_float_are_counts():
    usage = b'{"prompt_tokens":12.0,"completion_tokens":2147483647}'
    _, _, marks = read([HEL, b'data: {"choices":[],"usage":' + usage + b"}\n\n", STOP, DONE])
    assert (marks.prompt_tokens, marks.output_tokens) == (12, 2**31 - 1)


@pytest.mark.parametrize("number", [b"1e400", b"NaN", b"-Infinity", b"Infinity"])
def test_a_number_that_strict_json_does_not_hold_is_no_count_and_no_failure(number):
    data = b'data: {"choices":[],"usage":{"completion_tokens":%s}}\n\n' % number
    error, text, marks = read([HEL, LO, data, STOP, DONE])
    assert (error, text, marks.output_tokens) == ("", "Hello", 2)
    assert marks.flags & Flag.LENIENT


def test_the_later_of_two_equal_names_counts():
    twice = b'data: {"choices":[],"usage":{"completion_tokens":1,"completion_tokens":2}}\n\n'
    assert read([HEL, twice, STOP, DONE])[2].output_tokens == 2


@pytest.mark.parametrize("before", [b"", b"\n", b"\xef\xbb\xbf", b" \r\n\t"])
@pytest.mark.parametrize("cut", [each_byte, lambda data: [data]])
def test_a_page_is_a_page_however_it_begins_and_is_cut(before, cut):
    pieces = cut(before + b"<html><body>502</body></html>")
    assert read(pieces)[0] == "unexpected_content_type"


@pytest.mark.parametrize(
    ("pieces", "expected"),
    [
        ([], "empty_response"),
        ([b": keep-alive\n\n" * 3], "empty_response"),
        ([b"retry: 3\n\n"], "empty_response"),
        ([chunk("", role="assistant")], "stream_truncated"),
        ([HEL[:20]], "stream_truncated"),
        ([HEL[:-2]], "stream_truncated"),
        ([USAGE], "stream_truncated"),
        ([chunk("", role="assistant"), DONE], "empty_response"),
        ([chunk("", finish="stop"), DONE], ""),
        ([chunk("Hel", finish="null"), LO], "stream_truncated"),
        ([b"event: ping\ndata: {}\n\n", PLAIN], ""),
        ([b"data: {}\n\n", PLAIN], ""),
        ([b'data: {"x":1}\n\n', HEL, DONE], "invalid_schema"),
        ([b'data: {"x":1}\n\n', STOP, DONE], "invalid_schema"),
        ([b'data: {"x":1}\n\n', PLAIN], ""),
        ([b'data: {"object":"x"}\n\n', PLAIN], ""),
        ([b'data: {"error":null,"id":"1"}\n\n', PLAIN], ""),
        ([b'data: {"error":{},"choices":[]}\n\n', PLAIN], ""),
        ([b"event: error\ndata: no JSON\n\n", PLAIN], "stream_error_event"),
        ([b'data: {"choices":[{"delta":5}],"error":"x"}\n\n'], "stream_error_event"),
        ([b'data: [{"error":{"message":"x"}}]\n\n'], "stream_error_event"),
        ([b"data: [DONE] \n\n"], "empty_response"),
    ],
)
def test_every_way_to_end_has_its_name(pieces, expected):
    assert read(pieces)[0] == expected


def test_a_whole_answer_may_spell_its_reason_in_camel_case_as_a_piece_may():
    body = b'{"choices": [{"message": {"content": "Hi"}, "finishReason": "MAX_TOKENS"}]}'
    marks = Marks(0, 0, 0.0)
    assert read_answer(body, marks) == ("", "", "Hi")
    assert marks.finish == "length"


@pytest.mark.parametrize("reason", ["stop", "length", "tool_calls", "content_filter"])
def test_a_finish_reason_of_the_list_is_kept_and_another_is_other(reason):
    assert read([HEL, chunk(finish=reason), DONE])[2].finish == reason
    assert read([HEL, chunk(finish=reason + "!"), DONE])[2].finish == "other"


def test_choices_do_not_mix():
    event = b'data: {"choices":[{"index":%d,"delta":{"content":"%s"}}]}\n\n'
    reading = begun(CHAT, keep=True)
    for index, text in ((0, b"a"), (1, b"x"), (0, b"b"), (1, b"y")):
        reading.piece(1.0, event % (index, text))
    assert reading.texts == {0: "ab", 1: "xy"}


def test_nothing_is_kept_unless_it_is_asked_for():
    reading = begun(CHAT)
    reading.piece(1.0, PLAIN)
    assert (reading.end(1.0), reading.texts) == ("", None)


@pytest.mark.parametrize("half", ["\\ud83d", "\\ude00", "\\ude00\\ud83d"])
def test_half_a_surrogate_pair_is_a_token_like_any_other(half):
    data = f'{{"choices":[{{"delta":{{"content":"a{half}b\\\\ud83d"}},"finish_reason":"stop"}}]}}'
    error, text, marks = read([f"data: {data}\n\n".encode(), DONE])
    assert (error, text.strip("\ufffd"), marks.events) == (
        "", "a" + "\ufffd" * (len(half) // 6) + "b\\ud83d", 1,
    )  # fmt: skip


def test_a_message_says_what_the_server_said_in_one_line_without_keys():
    bad = b'data: {"error":{"message":"no\\n key sk-abcdef0123456789","code":"c"}}\n\n'
    reading = begun(CHAT)
    reading.piece(1.0, bad)
    assert (reading.end(1.0), reading.marks.message, reading.marks.code) == (
        "stream_error_event", "no key ***", "c",
    )  # fmt: skip


HOSTILE = [
    b'{"choices":[{"delta":{"content":5}}]}', b'{"choices":[{"index":"a"}]}', b"null", b"3", b'""',
    b'{"choices":[null]}', b'{"choices":{}}', b'{"a":NaN}', b'{"error":' + b"[" * 5000,
    b"[" * 100_000, b"{" * 100_000, b'{"a":' * 5000, b'{"choices":[{"delta":{"tool_calls":' + b"[" * 5000,
    b'{"error":{"message":' + b"[" * 800 + b"]" * 800 + b"}}", b'{"error":{"code":"\xc2\xb2"}}',
    b'{"error":{"code":1e10,"message":{"a":9}}}', b'{"detail":[{"loc":5,"msg":7}],"error":1}',
    b'{"error":[{"loc":null,"msg":null}]}', b'{"error":' + b"9" * 4000 + b"}", b'{"error":true}',
    b'{"choices":[{"index":1e5,"delta":{"content":[1]}}]}', b'{"choices":[{"index":[],"text":"x"}]}',
    b'{"choices":[{"delta":{"content":"\\ud800"}}]}', b'{"error":{"code":"\\ud800"}}',
    b'{"error":{"message":' + b'"x' * 10 + b"}}", b'{"error":{"code":{"a":[1]}}}', b'{"error":[]}',
    b'{"error":"\\u202e\\u0000"}', b'{"choices":[{"delta":null,"finish_reason":null}]}', b"\xff",
    b'{"choices":[{"finish_reason":"' + b"x" * 10_000 + b'"}]}',
]  # fmt: skip


@pytest.mark.parametrize("data", HOSTILE, ids=range(len(HOSTILE)))
def test_no_event_can_harm_the_reader_or_the_row(data):
    error, _, marks = read([HEL, b"data: " + data + b"\n\n", STOP, DONE])
    marks.error = error
    assert frame(marks)


WORDS = st.sampled_from(
    ["choices", "index", "delta", "message", "content", "text", "reasoning", "tool_calls", "usage",
     "error", "code", "type", "detail", "loc", "msg", "finish_reason", "prompt_tokens",
     "completion_tokens", "prompt_tokens_details", "cached_tokens", "object"]
)  # fmt: skip
JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text() | WORDS,
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(WORDS, inner, max_size=6),
)


@given(JSON, st.sampled_from([200, 400, 429, 500]))
def test_any_json_is_read_or_named(value, status):
    data = json.dumps(value).encode()
    marks = Marks(0, 0, 0.0)
    marks.error = read_answer(data, marks)[0]
    assert frame(marks)
    error, _, marks = read([b"data: " + data + b"\n\n", DONE])
    marks.error = error
    assert frame(marks)
    marks = Marks(0, 0, 0.0)
    marks.error, message = read_error(status, data, marks)
    assert frame(marks)
    assert len(message) <= 512


@given(st.lists(st.binary(max_size=50), max_size=10))
def test_any_bytes_are_read_or_named(pieces):
    error, _, marks = read(pieces)
    marks.error = error
    assert frame(marks)
    assert error in ERRORS


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
        (b'{"error":{"code":"429"},"choices":5}', "rate_limited"),
        (b'{"error":{"code":429.0}}', "server_error"),
        (b'{"error":{"code":"model_not_found"}}', "not_found"),
        (b'{"error":"","choices":[{"text":"x"}]}', ""),
        (b'\xef\xbb\xbf{"choices":[{"text":"x"}]}', ""),
        (b'{"choices":[{"message":{"content":null,"tool_calls":[{}]}}]}', ""),
        (b'{"choices":[{"message":{},"finish_reason":"error"}]}', "server_error"),
        (b"[" * 100_000, "invalid_schema"),
        (b'{"usage":' + b"[" * 100_000, "invalid_json"),
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


@pytest.mark.parametrize("usage", [None, [], 5, {"completion_tokens": -3}, {"prompt_tokens": "x"}])
def test_a_whole_answer_with_a_usage_that_can_not_be_is_an_answer(usage):
    marks = Marks(0, 0, 0.0)
    assert read_answer(answer(usage=usage), marks) == ("", "", "Hi")
    assert (marks.output_tokens, marks.prompt_tokens) == (-1, -1)


def test_a_request_asks_for_usage_only_when_streamed():
    hi = [{"role": "user", "content": "hi"}]
    plain = request_body("m", hi, max_tokens=None, stream=False)
    assert plain == {"model": "m", "messages": [{"role": "user", "content": "hi"}]}
    streamed = request_body("m", hi, max_tokens=5, stream=True)
    assert (streamed["max_tokens"], streamed["stream_options"]) == (5, {"include_usage": True})
