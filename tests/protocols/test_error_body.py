"""Whatever form a refusal has, its type, code and words are found, and nothing can stall that."""

import json
from time import process_time

import pytest

from holymon.errors import ERRORS
from holymon.protocols.error_body import in_band, is_job, message_of, parsed, read_error
from holymon.records.attempt import Marks


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
