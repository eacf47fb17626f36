"""Whatever form a refusal has, its type, code and words are found, and nothing can stall that."""

import json
from math import isnan
from time import process_time

import msgspec
import pytest

from holymon.errors import ERRORS
from holymon.protocols.error_body import (
    first_of,
    in_band,
    is_good,
    is_job,
    message_of,
    of_page,
    page_text,
    parsed,
    read_body,
    read_error,
    redirection,
    refused,
)
from holymon.records.attempt import Flag, Marks


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
        (503, b"<script>if (a < b) x()</script> <p>Down <b>now</b>", ("unavailable", "Down now", "")),
        (500, b"<SCRIPT>never closed", ("server_error", "", "")),
        (500, b"plain words", ("server_error", "plain words", "")),
        (500, b"\xff\xfe", ("server_error", "\ufffd\ufffd", "")),
        (400, b'[{"error":{"code":400,"message":"m","status":"INVALID"}}]', ("bad_request", "m", "400")),
        (429, b'{"error":{"code":429,"type":"insufficient_quota","message":"m"}}',
         ("quota_exhausted", "m", "insufficient_quota")),
        (429, b'{"error":{"code":"insufficient_quota","type":"tokens"}}',
         ("quota_exhausted", "{'code': 'insufficient_quota', 'type': 'tokens'}",
          "insufficient_quota")),
        (422, b'{"detail":[{"loc":5,"msg":["x"]},"y",null]}', ("unprocessable", ": ['x']; y;", "")),
        (500, b'{"error":null}', ("server_error", "{'error': None}", "")),
        (500, b"null", ("server_error", "null", "")),
        (500, b"5", ("server_error", "5", "")),
        (500, b'{"error":{"code":true,"message":"m"}}', ("server_error", "m", "other")),
        (500, b'{"error":{"code":{"a":1},"message":"m"}}', ("server_error", "m", "other")),
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


def test_an_object_that_tells_how_its_job_went_is_an_answer():
    """platform.openai.com, the file, batch and fine-tuning objects; replicate.com/docs, predictions."""
    bodies = {
        b'{"id":"file-1","object":"file","status":"failed","status_details":"no JSONL"}': True,
        b'{"id":"batch_1","object":"batch","status":"failed","errors":{"data":[{"code":"x"}]}}': True,
        b'{"id":"p1","status":"failed","error":"out of memory"}': True,
        b'{"id":"1","object":"error","status":"failed","message":"x"}': False,
        b'{"status":"failed","message":"x"}': False, b'{"id":"1","error":"x"}': False,
        b"[]": False, b"x": False, b"": False, b"[" * 100_000: False,
    }  # fmt: skip
    assert {body: is_job(body) for body in bodies} == bodies


@pytest.mark.parametrize(
    ("error", "code", "expected"),
    [
        ({"code": 429}, "", "rate_limited"),
        ({"code": "503"}, "", "unavailable"),
        ({"code": 200}, "", "server_error"),
        ({"code": "²"}, "", "server_error"),
        ({"code": "4290"}, "", "server_error"),
        ({"code": 10**4000}, "", "server_error"),
        ("text", "insufficient_quota", "quota_exhausted"),
        ("text", "overloaded_error", "overloaded"),
        ("text", "401", "authentication"),
        (None, "", "server_error"),
    ],
)
def test_an_error_inside_a_200_is_named_by_its_code(error, code, expected):
    marks = Marks(0, 0, 0.0)
    marks.code = code
    assert in_band(error, marks) == expected
    assert expected in ERRORS


def test_half_a_surrogate_pair_is_replaced_and_a_backslash_before_it_is_not_fooled():
    assert parsed(b'"a\\ud800b"') == "a\ufffdb"
    assert parsed(b'"\\ud83d\\ude00"') == "\U0001f600"
    assert parsed(b'"\\\\ud800"') == "\\ud800"
    assert parsed(b'"\\ud83d\\ud83d\\ude00\\ude00"') == "\ufffd\U0001f600\ufffd"
    assert parsed(b'"\\ud800') is None


def test_an_error_nested_to_the_limit_has_a_bounded_message():
    nested: object = "x"
    for _ in range(3000):
        nested = [nested]
    for error in (nested, {"message": nested}, {"code": nested}, [nested], {"detail": nested}):
        assert len(message_of({"error": error}, Marks(0, 0, 0.0))) <= 512


@pytest.mark.parametrize(
    "body",
    [b"<" * 65536, b"<script>" * 8192, b"<a" * 32768, b"<style><script>" * 4096,
     b"sk-" * 21845, b"bearer " * 9000, b"eyJ" * 21845,
     json.dumps({"error": {"message": "<script" * 9000}}).encode()],
    ids=range(8),
)  # fmt: skip
def test_no_page_takes_long_to_read(body):
    begun = process_time()
    read_error(500, body, Marks(0, 0, 0.0))
    assert process_time() - begun < 2.0, "milliseconds; seconds if a pattern looks back"


def error(**about):
    return {"error": {"message": "m", **about}}


# An error, its words, its code; None: that of before stays.
FORMS = [
    (error(code="c", type="t"), "m", "c"), (error(code=429, type="t"), "m", "t"),
    (error(code=429, type=400), "m", "429"), ({**error(), "code": "outer"}, "m", "outer"),
    ({**error(code=5), "code": "outer"}, "m", "outer"), ({**error(type="t"), "code": "outer"}, "m", "t"),
    ({**error(), "type": "outer"}, "m", ""), (error(status="INVALID"), "m", "INVALID"),
    ({**error(), "status": "outer"}, "m", "outer"), ({**error(error_code="in"), "status": "o"}, "m", "in"),
    (error(), "m", ""), (error(code={"a": 1}), "m", "other"), (error(code="a b"), "m", "other"),
    (error(code="x" * 64), "m", "x" * 64), (error(code="x" * 65), "m", "other"),
    (error(code=True), "m", "other"), (error(code=0), "m", "0"), (error(code="0", type=""), "m", "0"),
    ({"error": "x"}, "x", ""), ({"error": "x", "message": "y"}, "x: y", ""),
    ({"error": "x", "message": "x"}, "x", ""), ({"error": "x", "message": {"a": 1}}, "x", ""),
    ({"error": "x", "title": "y", "code": 7}, "x: y", "7"), ({"error": True, "message": "y"}, "y", ""),
    ({"error": ["a", "b"]}, "a; b", None), ({"error": [{"message": "m", "code": "c"}]}, "m", "c"),
    ({"detail": [{"loc": ["body", 0, "x"], "msg": "bad"}, {"loc": "y", "msg": "w"}, {"a": 1}, "s", None, "6"]},
     "body.0.x: bad; : w; {'a': 1}; s;", None),
    ({"detail": [{"loc": ["b"], "msg": "only"}]}, "b: only", None), ({"detail": [{"msg": "only"}]}, "only", ""),
    ({"detail": "x"}, "x", ""), ({"message": "m", "code": "c"}, "m", "c"), ({"title": "m", "status": 500}, "m", "500"),
    ({"error": {"description": "d"}}, "d", ""), ({"error": {"message": "", "reason": "r"}}, "r", ""),
    ({"error": {"code": "c"}}, "{'code': 'c'}", "c"), ({"error": {"message": {"message": "deep"}}}, "deep", ""),
    ({"error": {"message": {"a": 1}}}, "{'a': 1}", ""), ({"error": {"message": ["a", "b"]}}, "['a', 'b']", ""),
    ({"error": {"message": '{"error":{"message":"inner","code":"i"}}', "code": "c"}}, "inner", "c"),
    ({"error": {"message": ' {"x": 1}'}}, "{'x': 1}", ""), ({"error": {"message": ' {"a'}}, '{"a', ""),
    ({"error": {"message": "[1]"}}, "[1]", ""), (error(metadata={"raw": "own words"}), "m: own words", ""),
    (error(metadata={"raw": ""}), "m", ""), (error(metadata="x"), "m", ""),
    ({"error": {"metadata": {"raw": "own"}}}, "{'metadata': {'raw': 'own'}}: own", ""),
    ([error()], "m", ""), (["a", "b"], "['a', 'b']", None), ("text", "text", None), (5, "5", None),
    (None, "", None), ({}, "", ""), ({"a": 1}, "{'a': 1}", ""),
    ({"base_resp": {"status_code": 1004, "status_msg": "s"}}, "s", "1004"),
]  # fmt: skip


@pytest.mark.parametrize(("value", "words", "code"), FORMS)
def test_each_form_of_an_error_has_its_words_and_its_code(value, words, code):
    marks = Marks(0, 0, 0.0)
    marks.code = "before"
    assert (message_of(value, marks), marks.code) == (words, "before" if code is None else code)


@pytest.mark.parametrize(("status", "message", "expected"), [
    (429, "we are overloaded", "overloaded"), (500, "at capacity", "overloaded"),
    (503, "we are overloaded", "unavailable"), (400, "Invalid API key", "authentication"),
    (500, "Invalid API key", "authentication"), (429, "Invalid API key", "rate_limited"),
    (429, "no credits left", "quota_exhausted"), (418, "insufficient balance", "quota_exhausted"),
    (429, "x", "rate_limited"), (504, "x", "gateway_timeout"),
])  # fmt: skip
def test_words_may_say_more_than_a_status(status, message, expected):
    marks = Marks(0, 0, 0.0)
    assert read_error(status, json.dumps(error(message=message)).encode(), marks) == (
        expected,
        message,
    )
    assert isnan(marks.retry_after)


@pytest.mark.parametrize("place", [
    {"error": {"code": "overloaded_error"}}, {"error": {"status": "overloaded_error"}},
])  # fmt: skip
def test_a_code_says_it_where_the_words_do_not(place):
    assert read_error(500, json.dumps(place).encode(), Marks(0, 0, 0.0))[0] == "overloaded"


@pytest.mark.parametrize("about", [
    error(code=429, type="insufficient_quota"), {**error(), "code": "insufficient_quota"},
    error(status="insufficient_quota"), [error(errno="insufficient_quota")],
    {"error": [{"type": "x", "code": "insufficient_quota"}]},
])  # fmt: skip
def test_that_no_credit_is_left_is_found_wherever_it_stands(about):
    assert read_error(429, json.dumps(about).encode(), Marks(0, 0, 0.0))[0] == "quota_exhausted"


def test_a_wait_in_an_error_counts_where_no_header_told_one():
    body = b'{"error": {"details": [{"retryDelay": "3s"}]}}'
    marks, told = Marks(0, 0, 0.0), Marks(0, 0, 0.0)
    told.retry_after = 5.0
    read_error(429, body, marks)
    read_error(429, body, told)
    assert (marks.retry_after, told.retry_after) == (3.0, 5.0)


@pytest.mark.parametrize(("about", "code", "expected"), [
    ({"message": "insufficient balance"}, "", "quota_exhausted"), ({"type": "x", "status": "503"}, "", "unavailable"),
    ({"code": "399"}, "", "server_error"), ({"code": "600"}, "", "server_error"), ({"code": "499"}, "", "http_4xx"),
    ({"message": "we are overloaded"}, "", "overloaded"), ({"type": "overloaded_error"}, "", "overloaded"),
    ({"message": "a rate limit"}, "", "rate_limited"), ({"type": "rate_limit"}, "", "rate_limited"),
    ({"message": "Unexpected Endpoint"}, "", "not_found"), ({}, "model_not_found", "not_found"),
    ({}, "invalid_api_key", "authentication"), ("Unexpected endpoint", "", "not_found"),
    ("text", "rate_limit_exceeded", "rate_limited"), ([], "server_overloaded", "overloaded"),
])  # fmt: skip
def test_an_error_inside_a_200_is_named_by_all_that_it_says(about, code, expected):
    marks = Marks(0, 0, 0.0)
    marks.code = code
    assert (in_band(about, marks), marks.code) == (expected, code)


def test_a_page_says_that_it_is_one_and_no_key_stands_in_an_address():
    assert (
        of_page(b"<html>x", "w")
        == of_page(b" \n<!-- a --> <!DOCTYPE html>", "w")
        == "a page of HTML: w"
    )
    assert of_page(b"<html>", "") == "a page of HTML"
    assert of_page(b"<b>", "w") == of_page(b"w", "w") == "w"
    assert page_text(b"<p>a</p><!-- x -->b<style>s</style>c\xff") == "a b c\ufffd"
    assert first_of(b"a\nb  c") == "a b c"
    assert (len(first_of(b"x" * 121)), len(first_of("é".encode() * 500))) == (120, 120)
    assert [s for s in range(100, 600) if is_good(s)] == [*range(200, 204), *range(206, 300)]
    places = {
        "http://u:p@h/x?q=1#f": "http://h/x", "//u:p@q@h/x": "//h/x", "/x#f": "/x", "/a@b": "/a@b",
        "http://h/x?a=//b@c": "http://h/x",
    }  # fmt: skip
    assert [redirection(300, at) for at in places] == [
        f"redirected to {to}" for to in places.values()
    ]
    assert redirection(399, "/x") == "redirected to /x"
    assert (redirection(299, "/x"), redirection(400, "/x"), redirection(301, "?x")) == ("", "", "")
    assert len(redirection(302, "/" + "x" * 400)) == 314


class Number(msgspec.Struct):
    a: int = 0


NUMBER = msgspec.json.Decoder(Number)
ONE = Number(1)


@pytest.mark.parametrize(("body", "expected", "odd"), [
    (b'{"a": 1}', (ONE, "", ""), False), (b'\xef\xbb\xbf{"a": 1}', (ONE, "", ""), False),
    (b'{"a": 1, "b": "\xc3\xa9"}', (ONE, "", ""), False), (b'{"a": 1, "b": NaN}', (ONE, "", ""), True),
    (b'[{"a": 1}]', (ONE, "", ""), True), (b'{"a": 1}\n\ndata: [DONE]\n\n', (ONE, "", ""), True),
    (b"", (None, "empty_response", ""), False), (b"\xef\xbb\xbf \n", (None, "empty_response", ""), False),
    (b"\xff", (None, "invalid_utf8", "\ufffd"), False), (b"{ \n", (None, "invalid_json", "{"), False),
    (b'{"a": 1} data: x', (None, "invalid_json", '{"a": 1} data: x'), False),
    (b"{\n\ndata: [DONE]", (None, "invalid_json", "{"), True),
    (b'{"a": "x"}', (None, "invalid_schema", 'no answer of this API: {"a": "x"}'), False),
    (b'{"a": "x", "error": "boom"}', (None, "server_error", "boom"), False),
])  # fmt: skip
def test_a_body_is_an_answer_or_what_came_instead(body, expected, odd):
    marks = Marks(0, 0, 0.0)
    marks.flags = int(Flag.RETRIED)
    assert read_body(body, NUMBER, marks) == expected
    assert marks.flags == Flag.RETRIED | (Flag.LENIENT if odd else 0)


def test_what_is_refused_is_said_with_its_beginning():
    marks = Marks(0, 0, 0.0)
    assert refused(b"x" * 300, marks) == ("invalid_schema", f"no answer of this API: {'x' * 119}…")
    assert refused(b'{"error": {"message": "m", "code": 429}}', marks) == ("rate_limited", "m")
    assert marks.code == "429"
