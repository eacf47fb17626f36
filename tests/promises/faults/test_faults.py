"""Each way a call can go wrong, over real sockets: one exact error type, in finite time.

README.md beside this file lists all cases; the last test here holds it to that.
"""

import asyncio
import gzip
import itertools
import json
import re
import resource
import socket
import sys
import zlib
from dataclasses import dataclass, field
from math import isnan, nan
from pathlib import Path
from typing import Any

import httpx
import pytest

from holymon.errors import ERRORS, NAMES, CallError, ConfigError
from holymon.load.caller import Caller
from holymon.monitor.monitor import Monitor
from holymon.monitor.retry import Policy
from holymon.plan.plan import Closed, Plan, Prompts, Target
from holymon.protocols.reading import MAX_ERROR_BODY
from holymon.records.attempt import Flag, frame
from holymon.safety import spellings
from holymon.transport.exceptions import classify
from holymon.transport.pool import Transport

from .conftest import KEY
from .server import (
    CHUNKED,
    DONE,
    FIN,
    HANG,
    HELLO,
    LAST,
    RST,
    Server,
    answer,
    chunk,
    completion,
    event,
    said,
    stream,
    usage,
)

README = Path(__file__).parent / "README.md"


def plan_for(url: str, *, texts=("Say hello.",), streamed=True, stall_s=3.0, **limits) -> Plan:
    target = Target(
        provider="url",
        model="m",
        base_url=url,
        api_key_env="FAULTS_KEY",
        stall_s=stall_s,
        insecure_http=True,
    )
    limits = {"timeout_s": 10, "first_byte_s": 5, "connect_s": 5, **limits}
    prompts = Prompts(texts=texts, stream=streamed)
    return Plan(targets=(target,), prompts=prompts, load=Closed(users=1), requests=1, **limits)


@pytest.fixture(autouse=True)
def _key(monkeypatch):
    monkeypatch.setenv("FAULTS_KEY", KEY)


async def call(url: str, *, transport=None, calls=1, **options):
    """The marks of one call (or of several, one after the other), and what was kept."""
    caller = Caller(plan_for(url, **options), transport=transport, keep=True)
    try:
        all_marks = [await caller.send(number, 0, 0.0) for number in range(calls)]
    finally:
        await caller.aclose()
    for marks in all_marks:
        look_over(marks)
    return all_marks if calls > 1 else all_marks[0], caller.kept


def look_over(marks) -> None:
    """What holds for every call: a row, times in order, no secret."""
    assert frame(marks)
    assert marks.error == "" or marks.error in ERRORS
    assert marks.error != "_OTHER"
    seen = [marks.start, marks.headers, marks.first, marks.last, marks.end]
    assert not isnan(marks.start)
    assert not isnan(marks.end)
    assert [t for t in seen if not isnan(t)] == sorted(t for t in seen if not isnan(t))
    assert isnan(marks.headers) == (marks.status == 0)
    assert isnan(marks.first) == (marks.events == 0)
    assert not marks.content < marks.first
    assert not marks.connect_start < marks.start
    assert not marks.connect_end < marks.connect_start
    assert bool(marks.flags & Flag.AFTER_FIRST_TOKEN) == bool(marks.error and marks.events)
    for form in spellings(KEY):
        assert form not in marks.message
        assert form not in marks.code


# Cases in which a server plays a script to one call.


@dataclass(frozen=True)
class Case:
    """One script and what must come of it."""

    number: str
    what: str
    script: Any
    error: str = ""
    text: str | None = None
    wanted: dict[str, Any] = field(default_factory=dict)
    flags: int = 0
    message: str = ""
    options: dict[str, Any] = field(default_factory=dict)

    @property
    def id(self) -> str:
        return f"{self.number}-{self.what.replace(' ', '-')}"


BODY = {"streamed": False}
FLAGS = Flag.NO_DONE | Flag.NO_FINISH | Flag.AFTER_DONE


def status(number: str, line: str, error: str, body: Any = None, *headers: str, **more) -> Case:
    body = {"error": {"message": "no", "type": "t", "code": "c_1"}} if body is None else body
    kind = "text/html" if isinstance(body, bytes) else "application/json"
    wanted = {"status": int(line.split()[0]), **more.pop("wanted", {})}
    script = [answer(body, line, kind, *headers)]
    return Case(number, more.pop("what", line), script, error, wanted=wanted, **more)


def body(number: str, what: str, data: Any, error: str = "", text=None, **more) -> Case:
    script = data if isinstance(data, list) else [answer(data, "200 OK", *more.pop("headers", ()))]
    return Case(number, what, script, error, text, options=BODY, **more)


def good(number: str, what: str, pieces: Any, text: str = "Hello", **more) -> Case:
    script = stream(*pieces) if isinstance(pieces, tuple) else pieces
    return Case(number, what, script, "", text, **more)


def bad(number: str, what: str, pieces: Any, error: str, **more) -> Case:
    script = stream(*pieces) if isinstance(pieces, tuple) else pieces
    return Case(number, what, script, error, **more)


def packed(data: bytes, *, to: int | None = None, encoding: str = "gzip") -> bytes:
    zipped = gzip.compress(data) if encoding == "gzip" else data
    return answer(zipped[:to], "200 OK", "application/json", f"content-encoding: {encoding}")


def zipped_events(*pieces: bytes) -> list[Any]:
    squeeze = zlib.compressobj(wbits=31)
    zipped = [squeeze.compress(p) + squeeze.flush(zlib.Z_SYNC_FLUSH) for p in pieces]
    head = CHUNKED.replace(b"\r\n\r\n", b"\r\ncontent-encoding: gzip\r\n\r\n")
    return [head, *map(chunk, [*zipped, squeeze.flush()]), LAST]


def raw(*pieces: bytes) -> bytes:
    return b"".join(pieces)


def error_of(message: str, code: str | None = "boom") -> dict[str, Any]:
    return {"error": {"message": message, "code": code, "type": "server_error"}}


EVIL = "é€😀 ﬀ"
LINES = "a\u2028b\u2029c\u0085d\x0be\x0cf"
HTML = b"<html><head><title>Oops</title></head><body><h1>Gateway</h1></body></html>"
WHOLE = json.dumps(completion()).encode()
TOOL = {"tool_calls": [{"index": 0, "function": {"name": "f", "arguments": "{}"}}]}
SPLIT = [bytes([b]) for b in raw(*HELLO)]
TWICE = (
    event(said("Hel")), event(said("ZZ", index=1)), event(said("lo")), event(said("Z", index=1)),
    event(said(finish="stop")), event(said(finish="stop", index=1)), DONE,
)  # fmt: skip
COUNTED = [event({**said(t), "usage": usage(3, n)}) for n, t in enumerate(("Hel", "lo"), 1)]
MULTILINE = raw(*(line for line in HELLO)).replace(b'"choices"', b'\ndata: "choices"')
NO_END = {"retry_after": nan}

CASES = [
    Case("F07", "reset before the headers", [RST], "connection_reset"),
    Case("F08", "closed before the headers", [FIN], "server_disconnected"),
    Case("F10", "no headers", [HANG], "first_byte_timeout", options={"first_byte_s": 0.2}),
    Case("F10", "half a header", [b"HTTP/1.1 200 OK\r\ncont", HANG], "first_byte_timeout",
         options={"first_byte_s": 0.2}),
    Case("F12", "another protocol", [b"SSH-2.0-OpenSSH_9.2p1\r\n", HANG], "protocol_error"),
    Case("F12", "garbage and closed", [b"\x00\x01\x02\r\n\r\n", FIN], "protocol_error"),
    Case("F12", "half a header and closed", [b"HTTP/1.1 200 OK\r\ncont", FIN],
         "server_disconnected"),
    Case("F12", "a chunk size that is none", [CHUNKED, b"xyz\r\nabc\r\n", HANG], "protocol_error"),
    Case("F13", "a header of 200 kB",
         [b"HTTP/1.1 200 OK\r\nx: " + b"y" * 200_000 + b"\r\n\r\n", HANG], "protocol_error"),
    Case("F13", "interim answers for ever",
         lambda: itertools.repeat(b"HTTP/1.1 103 Early\r\nlink: </x>\r\n\r\n"), "protocol_error"),
    bad("F13", "trailers for ever",
        lambda: itertools.chain([CHUNKED, chunk(HELLO[0]), b"0\r\n"],
                                itertools.repeat(b"x: " + b"y" * 999 + b"\r\n")),
        "protocol_error", wanted={"events": 1}),
    good("F13", "a header of 20 kB", [b"HTTP/1.1 200 OK\r\nx: " + b"y" * 20_000 + b"\r\n",
         CHUNKED.split(b"\r\n", 1)[1], chunk(raw(*HELLO)), LAST]),
    good("F14", "100 and 103 before the answer",
         [b"HTTP/1.1 100 Continue\r\n\r\n", b"HTTP/1.1 103 Early Hints\r\nlink: </x>\r\n\r\n",
          *stream(*HELLO)]),
    Case("F14", "101 is no answer",
         [b"HTTP/1.1 101 Switching Protocols\r\nupgrade: x\r\nconnection: upgrade\r\n\r\n", HANG],
         "unexpected_status", wanted={"status": 101}),
    status("F15", "400 Bad Request", "bad_request", message="max_tokens is too large",
           body=error_of("max_tokens is too large"), wanted={"code": "boom"}),
    status("F17", "403 Forbidden", "permission"),
    status("F18", "404 Not Found", "not_found", {"detail": "Not Found"}, message="Not Found"),
    status("F19", "408 Request Timeout", "request_timeout"),
    status("F20", "409 Conflict", "conflict"),
    status("F21", "413 Too Large", "request_too_large", b"<html><h1>413 Too Large</h1></html>",
           message="413 Too Large"),
    status("F22", "422 Unprocessable", "unprocessable",
           {"detail": [{"loc": ["body", "max_tokens"], "msg": "must be positive"}]},
           message="body.max_tokens: must be positive"),
    status("F23", "429 with retry-after-ms", "rate_limited", None, "retry-after-ms: 250",
           what="retry-after-ms is kept", wanted={"retry_after": 0.25}),
    status("F25", "429 with Retry-After", "rate_limited", None, "retry-after: 3600",
           what="Retry-After is kept", wanted={"retry_after": 3600.0}),
    *(status("F26", "429 x", "rate_limited", None, f"retry-after: {junk}",
             what=f"Retry-After {junk}", wanted=NO_END)
      for junk in ("NaN", "-1", "abc", "1e999", "", "1_0x")),
    status("F27", "429 Too Many", "quota_exhausted", error_of("no credit", "insufficient_quota"),
           wanted={"code": "insufficient_quota"}),
    status("F28", "500 Oops", "server_error"),
    status("F28", "502 Bad Gateway", "bad_gateway", HTML, message="Oops Gateway"),
    status("F28", "503 Unavailable", "unavailable"),
    status("F28", "504 Timeout", "gateway_timeout"),
    status("F28", "529 Overloaded", "overloaded"),
    status("F28", "418 Teapot", "http_4xx"),
    status("F28", "599 Odd", "http_5xx"),
    status("F28", "204 No Content", "unexpected_status", b""),
    Case("F28", "503 whose body is cut",
         [b"HTTP/1.1 503 x\r\ncontent-length: 99\r\n\r\nsorr", FIN], "unavailable"),
    Case("F28", "503 whose body never ends",
         [b"HTTP/1.1 503 x\r\ncontent-length: 99\r\n\r\nsorr", HANG], "unavailable",
         options={"timeout_s": 0.3}),
    body("F33", "an empty 200", b"", "empty_response"),
    body("F34", "a page with 200", HTML, "unexpected_content_type", headers=["text/html"]),
    body("F34", "text with 200", b"hello", "unexpected_content_type", headers=["text/plain"]),
    body("F35", "JSON that is cut", WHOLE[:-9], "invalid_json"),
    body("F35", "not UTF-8", b'{"choices": "\xff"}', "invalid_utf8"),
    body("F35", "a body that is cut", [answer(WHOLE)[:-9], FIN], "server_disconnected"),
    body("F35", "a reset in the body", [answer(WHOLE)[:-9], 0.05, RST], "connection_reset"),
    body("F35", "a reset in a body without length",
         [b"HTTP/1.1 200 OK\r\n\r\n" + WHOLE[:-9], 0.05, RST], "connection_reset"),
    body("F35", "a body that lasts until the close",
         [b"HTTP/1.1 200 OK\r\n\r\n" + WHOLE, FIN], "", "Hello"),
    body("F36", "no choices", {"choices": []}, "invalid_schema"),
    body("F36", "a null message", {"choices": [{"index": 0, "message": None}]}, "invalid_schema"),
    body("F36", "no usage", completion(usage=None), "", "Hello", wanted={"output_tokens": -1}),
    body("F36", "a good answer", completion(), "", "Hello",
         wanted={"output_tokens": 2, "prompt_tokens": 3, "finish": "stop"}),
    body("F37", "an error with 200", error_of("slow down", "rate_limit_exceeded"), "rate_limited",
         message="slow down"),
    body("F37", "a status as code", error_of("gone", "503"), "unavailable"),
    body("F38", "corrupt gzip", [packed(b"\x1f\x8b\x08" + b"\x55" * 200, encoding="gzip, ").replace(
         b"gzip, ", b"gzip")], "decoding_error"),
    body("F38", "no gzip at all", [packed(WHOLE, encoding="x").replace(b": x", b": gzip")],
         "decoding_error"),
    *(body("F38", f"a packing nobody asked for, {how}", [packed(WHOLE, encoding=how)],
           "decoding_error", message="not asked for") for how in ("br", "zstd", "gzip, br")),
    body("F39", "no packing, and said", [
        packed(WHOLE, encoding="br").replace(b"encoding: br", b"encoding: Identity")], "", "Hello"),
    body("F39", "gzip that is cut", [packed(WHOLE * 40, to=150)], "invalid_json"),
    body("F39", "gzip without its end", [packed(WHOLE, to=-4)], "decoding_error"),
    body("F39", "whole gzip", [packed(WHOLE)], "", "Hello"),
    body("F39", "deflate without a header",
         [packed(zlib.compress(WHOLE, wbits=-15), encoding="deflate")], "", "Hello"),
    good("F41", "chunks of one byte", tuple(SPLIT), wanted={"events": 2}),
    good("F42", "all in one segment", [CHUNKED + chunk(raw(*HELLO)) + LAST], flags=Flag.COALESCED),
    good("F43", "CRLF", [*stream(raw(*HELLO).replace(b"\n", b"\r\n"))]),
    good("F44", "bare CR", [*stream(raw(*HELLO).replace(b"\n", b"\r"))]),
    good("F45", "mixed ends of line",
         (HELLO[0].replace(b"\n", b"\r\n"), HELLO[1].replace(b"\n", b"\r"), *HELLO[2:])),
    good("F46", "a byte order mark", (b"\xef\xbb\xbf" + HELLO[0], *HELLO[1:])),
    good("F47", "data without a space", [*stream(raw(*HELLO).replace(b"data: ", b"data:"))]),
    good("F48", "data of several lines", [*stream(MULTILINE)]),
    good("F49", "comments", (b": hi\n\n", HELLO[0], b":\n\n: keep-alive\n", *HELLO[1:])),
    good("F50", "id, retry and event fields",
         (b"id: 1\nretry: 9\nevent: message\n" + HELLO[0], b"retry: 1000\n\n", *HELLO[1:])),
    good("F51", "UTF-8 split everywhere",
         (*(bytes([b]) for b in b"data: " + json.dumps(said(EVIL), ensure_ascii=False).encode()),
          b"\n\n", *HELLO[2:]), EVIL),
    good("F52", "odd ends of line in JSON",
         (b"data: " + json.dumps(said(LINES), ensure_ascii=False).encode() + b"\n\n", *HELLO[2:]),
         LINES),
    good("F53", "gzip", zipped_events(*HELLO)),
    bad("F53", "gzip that is cut", zipped_events(*HELLO[:2])[:-2] + [LAST], "stream_truncated"),
    bad("F53", "gzip that is corrupt", [*zipped_events(*HELLO)[:3], chunk(b"\x55" * 99), LAST],
        "decoding_error", message="decompressing"),
    bad("F53", "a stream packed as nobody asked for", [
        zipped_events(*HELLO)[0].replace(b"gzip", b"br"), chunk(b"\x8b\x02\x80Hello\x03"), LAST],
        "decoding_error", message="'br', which was not asked for"),
    good("F54", "an event of 1 MB", (event(said("x" * 2**20)), *HELLO[2:]), "x" * 2**20),
    good("F55", "usage alone at the end",
         (*HELLO[:3], event({"choices": [], "usage": usage(7, 9)}), DONE),
         wanted={"prompt_tokens": 7, "output_tokens": 9}),
    good("F58", "tool calls only",
         (event(said(**TOOL)), event(said(finish="tool_calls")), DONE), "",
         wanted={"finish": "tool_calls", "events": 1, "content": nan}),
    good("F59", "DONE without an empty line", (*HELLO[:3], b"data: [DONE]")),
    good("F59", "DONE and closed, no chunks",
         [b"HTTP/1.1 200 OK\r\ncontent-type: text/event-stream\r\n\r\n", raw(*HELLO)[:-2], FIN]),
    good("F60", "no DONE", HELLO[:3], flags=Flag.NO_DONE),
    good("F60", "no finish reason", (*HELLO[:2], DONE), flags=Flag.NO_FINISH),
    good("F60", "no DONE and a cut", [CHUNKED, *map(chunk, HELLO[:3]), FIN], flags=Flag.NO_DONE),
    bad("F61", "the end after content", HELLO[:2], "stream_truncated",
        wanted={"events": 2, "output_tokens": 2}),
    bad("F61", "the end after content, no chunks",
        [b"HTTP/1.1 200 OK\r\ncontent-type: text/event-stream\r\n\r\n", HELLO[0], FIN],
        "stream_truncated"),
    bad("F61", "cut after content", [CHUNKED, chunk(HELLO[0]), FIN], "stream_truncated"),
    bad("F62", "cut within JSON", (HELLO[0], HELLO[1][:30]), "stream_truncated"),
    bad("F63", "a reset", [CHUNKED, chunk(HELLO[0]), 0.05, RST], "connection_reset",
        wanted={"events": 1}),
    bad("F63", "a reset, no chunks",
        [b"HTTP/1.1 200 OK\r\ncontent-type: text/event-stream\r\n\r\n", HELLO[0], 0.05, RST],
        "connection_reset", wanted={"events": 1}),
    bad("F63", "cut before anything", [CHUNKED, 0.05, FIN], "server_disconnected"),
    bad("F64", "an error within", (HELLO[0], event(error_of("overheated"))), "stream_error_event",
        message="overheated", wanted={"code": "boom", "events": 1}),
    bad("F65", "an error first", (event(error_of("overheated")),), "stream_error_event",
        message="overheated"),
    bad("F66", "an error that is a string", (HELLO[0], event({"error": "overheated"})),
        "stream_error_event", message="overheated"),
    bad("F67", "an event named error", (HELLO[0], b'event: error\ndata: {"message":"hot"}\n\n'),
        "stream_error_event", message="hot"),
    bad("F67", "JSON instead of a stream", [answer(error_of("hot"))], "stream_error_event",
        message="hot"),
    bad("F68", "finish reason error", (HELLO[0], event(said(finish="error"))),
        "stream_error_event", wanted={"finish": "error"}),
    bad("F69", "an error, then DONE", (event(error_of("hot")), DONE), "stream_error_event"),
    bad("F70", "an event that is not JSON", (HELLO[0], b"data: {nope}\n\n"), "invalid_json"),
    *(bad("F71", f"an event that is {word}", (HELLO[0], b"data: %s\n\n" % word.encode()),
          "invalid_schema") for word in ("[1]", "3", '"x"', '{"x":1}')),
    *(bad("F71", f"nothing but {word}", (HELLO[0], b"data: %s\n\n" % word.encode()),
          "stream_truncated") for word in ("[]", "null", "{}")),
    bad("F72", "not UTF-8", (HELLO[0], HELLO[1].replace(b"lo", b"l\xff")), "invalid_utf8"),
    bad("F73", "a page as a stream", (HTML,), "unexpected_content_type"),
    good("F73", "a type in capitals",
         [CHUNKED.replace(b"text/event-stream", b"Text/Event-Stream"), *stream(*HELLO)[1:]]),
    body("F73", "a page in capitals", [answer(HTML, "200 OK", "Text/HTML")],
         "unexpected_content_type"),
    bad("F73", "a page", [answer(HTML, "200 OK", "text/html")], "unexpected_content_type"),
    bad("F73", "an answer that is no stream", [answer(completion())], "unexpected_content_type"),
    bad("F74", "an empty stream", (), "empty_response"),
    bad("F74", "an empty body", [answer(b"")], "empty_response"),
    bad("F74", "only DONE", (DONE,), "empty_response"),
    bad("F75", "a line without end",
        lambda: itertools.chain([CHUNKED], itertools.repeat(chunk(b"x" * 2**18))),
        "event_too_large"),
    bad("F76", "comments for ever",
        lambda: itertools.chain([CHUNKED, chunk(HELLO[0])],
                                itertools.cycle([chunk(b":\n\n"), 0.03])),
        "stream_stalled", options={"stall_s": 0.3}, wanted={"events": 1}),
    bad("F76", "nothing after the headers", [CHUNKED, HANG], "stream_stalled",
        options={"stall_s": 0.2}),
    bad("F77", "one token at a time for ever",
        lambda: itertools.chain([CHUNKED], itertools.cycle([chunk(HELLO[0]), 0.05])),
        "deadline_exceeded", options={"timeout_s": 0.5, "stall_s": 0.4}),
    Case("F77", "a body that trickles for ever",
         lambda: itertools.chain([answer(b" " * 9999)[:-9999]], itertools.cycle([b" ", 0.05])),
         "deadline_exceeded", options={"timeout_s": 0.4, **BODY}),
    good("F78", "data after DONE", (*HELLO, event(said("ZZZ"))), flags=Flag.AFTER_DONE),
    good("F78", "data after DONE in one segment",
         [CHUNKED + chunk(raw(*HELLO, event(said("ZZZ")))) + LAST],
         flags=Flag.AFTER_DONE | Flag.COALESCED),
    good("F78", "comments after DONE", (*HELLO, b": bye\n\n")),
    *(good("F80", f"finish reason {why}", (*HELLO[:2], event(said(finish=why)), DONE),
           wanted={"finish": why}) for why in ("length", "content_filter")),
    good("F80", "a finish reason of its own", (*HELLO[:2], event(said(finish="moon")), DONE),
         wanted={"finish": "other"}),
    good("F81", "two choices", TWICE, wanted={"events": 4}),
    good("F82", "usage in every chunk", (*COUNTED, *HELLO[2:]),
         wanted={"prompt_tokens": 3, "output_tokens": 2}, flags=Flag.SERVER_TOKENS),
]  # fmt: skip


@pytest.mark.parametrize("case", CASES, ids=lambda case: case.id)
def test_a_script(run, case):
    async def go():
        script = case.script
        async with Server(script) as server:
            return await call(server.url, **case.options)

    marks, kept = run(go())
    assert case.error == marks.error, marks.message
    if case.text is not None:
        assert case.text == kept[0]
    for name, value in case.wanted.items():
        assert (
            getattr(marks, name) == pytest.approx(value, nan_ok=True)
            if isinstance(value, float)
            else getattr(marks, name) == value
        ), (name, getattr(marks, name))
    assert case.message in marks.message
    assert (marks.flags & FLAGS) == (case.flags & FLAGS)
    assert marks.flags & case.flags == case.flags


# Cases that take more than one script.


def test_F01_a_name_without_address(run):
    marks, _ = run(call("http://nowhere.invalid/v1", connect_s=10))
    assert marks.error == "dns_failure"
    assert isnan(marks.connect_end)
    assert ERRORS[marks.error].blame == "network"


def test_F02_a_closed_port(run):
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        marks, _ = run(call(f"http://127.0.0.1:{free.getsockname()[1]}/v1"))
    assert marks.error == "connection_refused"


@pytest.mark.skipif(sys.platform != "linux", reason="a full backlog is silent on Linux only")
def test_F03_a_full_backlog(run):
    with socket.socket() as listener:
        listener.bind(("127.0.0.1", 0))
        listener.listen(0)
        waiting = [socket.socket() for _ in range(4)]
        for one in waiting:
            one.setblocking(False)
            one.connect_ex(listener.getsockname())
        port = listener.getsockname()[1]
        marks, _ = run(call(f"http://127.0.0.1:{port}/v1", connect_s=0.3, first_byte_s=0.1))
        for one in waiting:
            one.close()
    assert marks.error == "connect_timeout"
    assert "no connection in time" in marks.message
    assert marks.end - marks.start >= 0.29


def test_F04_a_certificate_nobody_signed(run, tls):
    async def go():
        async with Server(stream(*HELLO), tls=tls) as server:
            return await call(server.url)

    marks, _ = run(go())
    assert marks.error == "tls_error"
    assert "certificate" in marks.message.lower()
    assert ERRORS[marks.error].retryable == "no"


def test_F04_a_certificate_that_is_trusted(run, tls, certificate):
    import ssl

    async def go():
        transport = Transport(verify=ssl.create_default_context(cafile=certificate[0]))
        async with Server(stream(*HELLO), tls=tls) as server:
            return await call(server.url, transport=transport, calls=2)

    (first, second), kept = run(go())
    assert [first.error, second.error] == ["", ""]
    assert kept == {0: "Hello", 1: "Hello"}
    assert first.flags & Flag.NEW_CONNECTION
    assert not second.flags & Flag.NEW_CONNECTION


def test_F05_tls_to_a_plain_port(run):
    async def go():
        async with Server([HANG], hello=[b"HTTP/1.1 400 Bad Request\r\n\r\n"]) as server:
            return await call(server.url.replace("http:", "https:"))

    marks, _ = run(go())
    assert marks.error == "tls_error"


def test_F06_no_free_connection(run):
    """Ours has no limit of its own; an application's client may have."""

    async def go():
        limits, wait = httpx.Limits(max_connections=1), httpx.Timeout(5, pool=0.2)
        async with Server([HANG]) as server, httpx.AsyncClient(limits=limits, timeout=wait) as app:
            holder = asyncio.ensure_future(app.post(server.url))
            while not server.connections:  # noqa: ASYNC110 - the server tells nobody
                await asyncio.sleep(0.01)
            with pytest.raises(httpx.PoolTimeout) as caught:
                await app.post(server.url)
            holder.cancel()
            await asyncio.gather(holder, return_exceptions=True)
            return caught.value

    error = classify(run(go()))
    assert error == "pool_timeout"
    assert ERRORS[error].blame == "client"
    assert ERRORS[error].retryable == "no"


def test_F11_a_request_that_nobody_reads(run):
    async def go():
        async with Server(deaf=True) as server:
            return await call(server.url, texts=("x" * 5_000_000,), first_byte_s=0.4)

    marks, _ = run(go())
    assert marks.error == "write_error"
    assert not isnan(marks.connect_end)


def test_F11_a_reset_while_the_request_is_written(run):
    async def go():
        async with Server([HANG], hello=[0.2, RST]) as server:
            return await call(server.url, texts=("x" * 40_000_000,))

    marks, _ = run(go())
    assert marks.error == "write_error"


ECHOED = {
    "plain": KEY,
    "as JSON": json.dumps(KEY)[1:-1],
    **{f"spelling {n}": form for n, form in enumerate(spellings(KEY))},
    "cut off": "x" * 490 + " " + KEY,
    "cut off sooner": "x" * 505 + " " + KEY,
}


@pytest.mark.parametrize("form", ECHOED.values(), ids=ECHOED.keys())
@pytest.mark.parametrize("where", ["json", "text", "code", "header"])
def test_F16_a_key_that_is_echoed(run, where, form):
    bodies = {
        "json": error_of(f"Incorrect API key provided: {form}."),
        "text": f"Incorrect API key provided: {form}.".encode(),
        "code": error_of("no", form),
        "header": error_of("no"),
    }
    header = f"x-key: {form}" if where == "header" else "x: y"

    async def go():
        script = [answer(bodies[where], "401 Unauthorized", "application/json", header)]
        async with Server(script) as server:
            return await call(server.url), server.seen[0]

    (marks, _), seen = run(go())
    assert (
        f"Authorization: Bearer {KEY}".lower().encode()
        in seen.replace(KEY.encode(), KEY.lower().encode()).lower()
    )
    assert marks.error == "authentication"
    # No piece of it either, where a long text was cut.
    assert KEY[:12] not in marks.message
    assert KEY[:12].encode() not in frame(marks)


def test_F30_a_redirect_to_another_host(run):
    async def go():
        async with Server(stream(*HELLO)) as other:
            move = answer(b"", "307 Temporary", "text/plain", f"location: {other.url}/x")
            async with Server([move]) as server:
                return await call(server.url), other.connections

    (marks, _), connections = run(go())
    assert marks.error == "unexpected_status"
    assert marks.status == 307
    assert connections == 0


def test_F32_a_long_page_with_a_503_is_not_read_to_its_end(run):
    async def go():
        page = answer(HTML + b"x" * 10_000_000, "503 Unavailable", "text/html")
        async with Server([page]) as server:
            return await call(server.url)

    marks, _ = run(go())
    assert marks.error == "unavailable"
    assert MAX_ERROR_BODY <= marks.bytes < 2_000_000


@pytest.mark.skipif(sys.platform == "win32", reason="needs getrusage")
def test_F40_a_gzip_bomb(run):
    squeeze = zlib.compressobj(9, wbits=31)
    head = squeeze.compress(b'{"choices": "') + squeeze.flush(zlib.Z_FULL_FLUSH)
    block = squeeze.compress(b" " * 2**24) + squeeze.flush(zlib.Z_FULL_FLUSH)
    bomb = head + block * 64
    assert len(bomb) < 2**21

    async def go():
        script = [answer(bomb, "200 OK", "application/json", "content-encoding: gzip")]
        async with Server(script) as server:
            before = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
            marks, _ = await call(server.url, streamed=False)
            return marks, resource.getrusage(resource.RUSAGE_SELF).ru_maxrss - before

    marks, grown = run(go())
    assert marks.error == "response_too_large"
    assert grown * (1 if sys.platform == "linux" else 1 / 1024) < 64 * 1024


def test_F40_a_bomb_in_a_stream(run):
    squeeze = zlib.compressobj(1, wbits=31)
    bomb = squeeze.compress(b"data: " + b" " * 2**26) + squeeze.flush()
    head = CHUNKED.replace(b"\r\n\r\n", b"\r\ncontent-encoding: gzip\r\n\r\n")

    async def go():
        async with Server([head, chunk(bomb), LAST]) as server:
            return await call(server.url)

    marks, _ = run(go())
    assert marks.error == "response_too_large"


def test_F56_a_role_is_no_token(run):
    async def go():
        role, empty = event(said("", role="assistant")), event(said(""))
        async with Server(stream(role, empty, pause=0.1)[:-1] + stream(*HELLO)[1:]) as server:
            return await call(server.url)

    marks, kept = run(go())
    assert kept[0] == "Hello"
    assert marks.first - marks.headers >= 0.18
    assert marks.events == 2


def test_F57_reasoning_comes_before_content(run):
    async def go():
        thought = event(said(reasoning_content="hm"))
        async with Server([CHUNKED, chunk(thought), 0.1, *stream(*HELLO)[1:]]) as server:
            return await call(server.url)

    marks, kept = run(go())
    assert kept[0] == "Hello"
    assert marks.content - marks.first >= 0.08
    assert marks.events == 3


def test_F79_a_socket_left_open_after_DONE(run):
    async def go():
        async with Server([CHUNKED, chunk(raw(*HELLO)), HANG], stream(*HELLO)) as server:
            begun = asyncio.get_running_loop().time()
            marks, kept = await call(server.url, calls=2, timeout_s=60, stall_s=60)
            return marks, kept, asyncio.get_running_loop().time() - begun, server.connections

    (first, second), kept, took, connections = run(go())
    assert [first.error, second.error] == ["", ""]
    assert kept == {0: "Hello", 1: "Hello"}
    assert first.end == first.last
    assert took < 30, "its patience is more"
    assert connections == 2


def test_F83_a_prompt_that_is_no_text(run):
    async def go():
        async with Server(stream(*HELLO)) as server:
            marks, kept = await call(server.url, calls=2, texts=("a\ud800b", "good"))
            return marks, kept, server.seen

    (wrong, right), kept, seen = run(go())
    assert wrong.error == "request_invalid"
    assert wrong.status == 0
    assert right.error == ""
    assert kept == {1: "Hello"}
    assert len(seen) == 1


@pytest.mark.parametrize("junk", ["\n", " ", "\r\nx: y", "\t", "…", "é", "\0", "\x7f"])
def test_F84_a_key_that_no_header_can_carry(monkeypatch, junk):
    if junk != "\0":
        monkeypatch.setenv("FAULTS_KEY", KEY + junk)
    else:
        monkeypatch.setattr("os.environ", {"FAULTS_KEY": KEY + junk})
    with pytest.raises(ConfigError) as caught:
        Caller(plan_for("http://127.0.0.1:1/v1"))
    for form in spellings(KEY):
        assert form not in repr(caught.value)
    assert "FAULTS_KEY" in str(caught.value)
    assert caught.value.__cause__ is None
    assert caught.value.__context__ is None


# Calls of an application, which are repeated.


def monitor_of(server, **policy) -> Monitor:
    target = Target(provider="url", model="m", base_url=server.url, api_key_env="FAULTS_KEY")
    return Monitor(target, policy=Policy(**policy))


def attempts_of(monitor):
    """The error types of all attempts, in order; what each run left is looked over."""
    records = monitor.records
    assert KEY[:12] not in f"{monitor!r} {monitor.stats()} {records.to_frame().to_csv()}"
    finals = records["request"][records.final]
    assert sorted(finals) == sorted(set(records["request"]))
    return [NAMES[code] for code in records["error"]]


GOOD = [answer(completion())]
BUSY = {"error": {"message": f"no, {KEY}"}}


def refused(line="503 Unavailable", *headers):
    return [answer(BUSY, line, "application/json", *headers)]


def test_F09_a_reused_connection_that_was_just_closed(run):
    async def go():
        async with Server(GOOD, [FIN], GOOD, [FIN]) as server:
            with monitor_of(server) as monitor:
                for _ in range(2):
                    assert (await monitor.achat("hi")).text == "Hello"
                assert attempts_of(monitor) == ["", "server_disconnected", ""]
                with pytest.raises(CallError) as caught:  # on a new connection it stays in doubt
                    await monitor.achat("hi")
                return monitor.stats(), caught.value, server.connections, len(server.seen)

    stats, error, connections, seen = run(go())
    assert (stats.requests, stats.ok, stats.attempts) == (3, 2, seen)
    assert error.error_type == "server_disconnected"
    assert connections >= 2


def test_F24_a_date_counts_by_the_clock_of_the_server(run):
    dates = ("date: Mon, 01 Jan 2001 00:00:00 GMT", "retry-after: Mon, 01 Jan 2001 00:00:01 GMT")

    async def go():
        async with Server(refused("429 Too Many", *dates), GOOD) as server:
            with monitor_of(server) as monitor:
                await monitor.achat("hi")
                return monitor

    monitor = run(go())
    assert attempts_of(monitor) == ["rate_limited", ""]
    assert monitor.records["retry_after_s"][0] == 1.0
    assert monitor.stats().backoff_s >= 1.0
    assert monitor.stats().latency_s.max >= 1.0
    assert monitor.stats().attempt_s.max < 1.0


@pytest.mark.parametrize(
    ("line", "told", "expected"),
    [
        ("503 Unavailable", "false", ["unavailable"]),
        ("401 Unauthorized", "true", ["authentication"]),
        ("429 Too Many", "true", ["rate_limited", ""]),
        ("500 Error", "true", ["server_error", ""]),
        ("500 Error", "perhaps", ["server_error"]),
    ],
)
def test_F29_x_should_retry(run, line, told, expected):
    async def go():
        async with Server(refused(line, f"x-should-retry: {told}"), GOOD) as server:
            with monitor_of(server, wait_s=0.01) as monitor:
                (said,) = await asyncio.gather(monitor.achat("hi"), return_exceptions=True)
                return said, attempts_of(monitor), len(server.seen)

    said, found, seen = run(go())
    assert KEY[:12] not in f"{said!r} {said}"
    assert isinstance(said, CallError) == bool(expected[-1])
    assert (found, seen) == (expected, len(expected))


def test_F31_nothing_but_503(run):
    async def go():
        async with Server(refused()) as server:
            with monitor_of(server, wait_s=0.01) as monitor:
                for _ in range(8):
                    calls = (monitor.achat("hi") for _ in range(50))
                    found = await asyncio.gather(*calls, return_exceptions=True)
                    assert {one.error_type for one in found} == {"unavailable"}
                return monitor, len(server.seen)

    monitor, seen = run(go())
    stats, sums = monitor.stats(), monitor.tally().targets["url/m"]
    assert (stats.requests, stats.ok, stats.attempts) == (400, 0, seen)
    assert 16 <= stats.retries <= 40
    assert stats.amplification <= 1.1
    assert sums.attempts == {(503, "unavailable"): seen}
    assert sums.requests == {(503, "unavailable"): 400}


# The table in README.md, written by `python -m tests.promises.faults.table`.

LATER = {
    **dict.fromkeys(("F92", "F97", "F98"), "exporter"),
}
"""Cases of parts that are not there yet."""

RUNS = {
    "F85": "test_run.py::test_a_signal_to_the_worker_stops_it_in_order",
    "F86": "test_killed.py::test_of_50_runs_killed_at_random_points_no_call_is_lost",
    "F87": "test_killed.py::"
    "test_when_the_disk_stays_full_the_rest_is_saved_elsewhere_and_can_be_put_back",
    "F88": "test_journal.py::test_a_torn_last_record_costs_only_itself",
    "F89": "test_clocks.py::test_a_wall_clock_that_steps_by_an_hour_changes_no_duration_and_it_is_told",
    "F90": "test_clocks.py::test_a_client_that_stood_still_for_half_a_second_is_suspect",
    "F91": "test_clocks.py::test_what_a_client_can_not_send_is_counted_and_makes_it_invalid",
    "F93": "test_hostile.py::test_a_hostile_server_is_inert_in_every_view",
    "F94": "test_hostile.py::test_csv_is_read_back_and_runs_nothing",
    "F95": "test_hostile.py::test_no_name_leaves_its_folder",
    "F96": "test_run_folder.py::test_runs_that_start_in_the_same_second_do_not_meet",
    "F99": "test_run.py::test_a_killed_owner_ends_its_run_unless_it_was_detached",
    "F100": "test_run.py::test_a_running_event_loop_is_no_obstacle",
}
"""Cases that concern runs and what shows them, tested in files of these names."""


def home(file: str) -> Path:
    """The one test file of that name."""
    (path,) = README.parents[2].rglob(file)
    return path


def where_tested() -> dict[str, str]:
    """For each case the test of it, or the part of holymon that it waits for."""
    found = {number: f"later: {part}" for number, part in LATER.items()}
    found |= {case.number: "`test_a_script`" for case in CASES}
    for name in globals():
        if match := re.match(r"test_(F\d\d)_", name):
            found.setdefault(match[1], f"`{name}`")
    return {**found, **{number: f"`{test}`" for number, test in RUNS.items()}}


def test_the_readme_lists_every_case_its_test_and_that_it_passes():
    rows = re.findall(r"^\| (F\d+) \| .+ \| (.+?) \| (.+?) \|$", README.read_text(), re.MULTILINE)
    assert [number for number, _, _ in rows] == [f"F{n:02}" for n in range(1, 101)]
    assert {number: where for number, where, _ in rows} == where_tested()
    for _, where, result in rows:
        assert re.fullmatch(r"-" if where.startswith("later") else r"\d+ passed", result)
    for test in RUNS.values():
        file, _, name = test.partition("::")
        assert f"def {name}(" in home(file).read_text()
