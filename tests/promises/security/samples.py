"""What is good before fuzzing makes it bad: the files of a run, and answers in every dialect."""

import gzip
import json
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from functools import cache
from pathlib import Path
from typing import Any

import duckdb
import msgspec

from holymon.load.entry import Entry, Known, OfTarget
from holymon.load.run import Run
from holymon.monitor import route as moves
from holymon.monitor.course import MoveSteps, Outcome
from holymon.monitor.route_file import written
from holymon.plan.plan import Open, Plan, Prompts, Target
from holymon.plan.shapes import ramp
from holymon.prometheus.sharing import _packed
from holymon.records import run_folder
from holymon.records.attempt import Flag, Marks, row
from holymon.records.client_health import line
from holymon.records.first_call import FirstCall
from holymon.records.journal import Journal
from holymon.records.own_files import write_aside, write_json
from holymon.structs import to_builtins

PLAN = Plan(
    targets=(
        Target(provider="url", model="m", base_url="http://127.0.0.1:1/v1"),
        Target(provider="h", model="n", base_url="https://h.example/v1", api_key_env="H_KEY"),
    ),
    load=Open(ramp(1, 5, 10)), prompts=Prompts(texts=("one", "two")), requests=12, warmup_s=1.0,
    slo=("ttft_p95<0.5", "error_rate<1%"), name="sent", duration_s=10.0,
)  # fmt: skip
FAILURES = ("", "", "", "rate_limited", "", "stream_truncated", "", "authentication")


def _marks(number: int) -> Marks:
    marks = Marks(number, number % 2, number * 0.4)
    marks.start = marks.due + 0.001
    marks.end, marks.error = marks.start + 0.5 + number / 100, FAILURES[number % len(FAILURES)]
    marks.headers = marks.start + 0.05
    marks.flags, marks.status, marks.finish = int(Flag.STREAM), 200, "stop"
    marks.flags |= Flag.WARMUP if number < 3 else 0
    for k in range(5):
        marks.token(marks.start + 0.1 + k * 0.02, 1)
    marks.content, marks.prompt_tokens, marks.output_tokens = marks.first, 10, 5
    if marks.error:
        marks.message, marks.code, marks.request_id = "slow down", "too_many", f"id-{number}"
    return marks


def _written(out: Path, *, compacted: bool) -> Path:
    folder = run_folder.new_folder(out, "sent")
    write_aside(folder / "plan.json", PLAN.to_json())
    call = FirstCall(target="url/m", error_type="rate_limited", status=429, message="slow down")
    run_folder.write_state(
        folder, state="finished", started_at="2026-01-01T00:00:00+00:00", pid=1, workers=1,
        ended="finished", detail="", trouble="", ended_at="2026-01-01T00:01:00+00:00",
        proxies={"url/m": "127.0.0.1:3128"}, first_calls=to_builtins([call]),
    )  # fmt: skip
    journal = Journal(folder, 0)
    for number in range(24):
        marks = _marks(number)
        journal.begin(number, marks.target, marks.due)
        journal.record(marks)
    for number in (24, 25):
        journal.begin(number, number % 2, number * 0.4)
    for second in range(1, 6):
        journal.vital(line(float(second), [0.001, 0.002], 0.3, 0.0, 1e-5, 0.001, 2, 80.0))
    journal.close()
    if compacted:
        run_folder.compact(folder, run_folder.load(folder))
    run = Run(folder)
    write_json(
        folder / "run.json", {**run.to_dict(), "report": {"status": "ok", "started_at": "2026"}}
    )
    return folder


@cache
def run_files(*, compacted: bool) -> dict[str, bytes]:
    """The files of a run that has ended, by name."""
    with tempfile.TemporaryDirectory() as out:
        folder = _written(Path(out), compacted=compacted)
        return {path.name: path.read_bytes() for path in folder.iterdir() if path.suffix != ".lock"}


@contextmanager
def folder_of_run() -> Iterator[Path]:
    """A folder with the Parquet files of a run, to be changed."""
    with tempfile.TemporaryDirectory() as name:
        for file in ("calls.parquet", "gaps.parquet"):
            (Path(name) / file).write_bytes(run_files(compacted=True)[file])
        yield Path(name)


def rows() -> list[bytes]:
    """The rows of calls as they are in memory."""
    return [b"".join(row(_marks(n)) for n in numbers) for numbers in (range(24), range(9, 1, -1))]


def _sse(*events: Any, names: bool = False) -> bytes:
    lines = []
    for event in events:
        if names and isinstance(event, dict):
            lines.append(f"event: {event['type']}\n".encode())
        text = event if isinstance(event, str) else json.dumps(event)
        lines.append(f"data: {text}\n\n".encode())
    return b"".join(lines)


def _chat(**choice: Any) -> dict[str, Any]:
    return {"id": "c", "object": "chat.completion.chunk", "created": 1, "model": "m",
            "choices": [{"index": 0, "finish_reason": None, **choice}]}  # fmt: skip


USAGE = {"prompt_tokens": 3, "completion_tokens": 2, "prompt_tokens_details": {"cached_tokens": 1},
         "completion_tokens_details": {"reasoning_tokens": 1}}  # fmt: skip
TOOL = {"tool_calls": [{"index": 0, "id": "t", "function": {"name": "f", "arguments": "{}"}}]}
_MESSAGE = {"role": "assistant", "content": "Hello", "reasoning_content": "hm", **TOOL}
STREAMS: dict[str, list[bytes]] = {
    "chat": [
        _sse(_chat(delta={"role": "assistant", "content": ""}), _chat(delta={"reasoning": "hm"}),
             _chat(delta={"content": "Hel"}), _chat(delta={"content": "lo"}), _chat(delta=TOOL),
             _chat(delta={}, finish_reason="stop"), {"choices": [], "usage": USAGE}, "[DONE]"),
        b": alive\n\nretry: 3\nid: 7\n" + _sse(_chat(delta={"content": "a"})) + b'error: {"message": "x"}\n\n',
        _sse({"error": {"message": "no", "type": "server_error", "code": 500}}, "[DONE]"),
        json.dumps({"choices": [{"message": _MESSAGE, "finish_reason": "stop"}], "usage": USAGE}).encode(),
        json.dumps({"error": {"message": "no", "code": "quota", "param": None}}).encode(),
        b"<html><body>just a moment</body></html>",
    ],
    "messages": [
        _sse({"type": "message_start", "message": {"id": "m", "content": [], "usage": {"input_tokens": 3}}},
             {"type": "content_block_start", "index": 0, "content_block": {"type": "text", "text": ""}},
             {"type": "ping"},
             {"type": "content_block_delta", "index": 0, "delta": {"type": "text_delta", "text": "Hel"}},
             {"type": "content_block_delta", "index": 0, "delta": {"type": "thinking_delta", "thinking": "hm"}},
             {"type": "content_block_delta", "index": 0, "delta": {"type": "input_json_delta", "partial_json": "{"}},
             {"type": "content_block_stop", "index": 0},
             {"type": "message_delta", "delta": {"stop_reason": "end_turn"}, "usage": {"output_tokens": 2}},
             {"type": "message_stop"}, names=True),
        _sse({"type": "error", "error": {"type": "overloaded_error", "message": "busy"}}, names=True),
        json.dumps({"type": "message", "content": [{"type": "text", "text": "Hi"}], "stop_reason": "end_turn",
                    "usage": {"input_tokens": 3, "output_tokens": 2}}).encode(),
    ],
    "responses": [
        _sse({"type": "response.created", "response": {"id": "r", "status": "in_progress", "output": []}},
             {"type": "response.output_text.delta", "item_id": "i", "delta": "Hel"},
             {"type": "response.output_text.done", "text": "Hel"},
             {"type": "response.completed", "response": {
                 "status": "completed", "usage": {"input_tokens": 3, "output_tokens": 2},
                 "output": [{"type": "message", "content": [{"type": "output_text", "text": "Hel"}]}]}},
             names=True),
        _sse({"type": "response.failed", "response": {"status": "failed", "error": {"code": "x", "message": "no"}}}),
        json.dumps({"status": "completed", "output": [{"type": "message", "content": [
            {"type": "output_text", "text": "Hi"}]}], "usage": {"input_tokens": 3, "output_tokens": 2}}).encode(),
    ],
    "gemini": [
        _sse({"candidates": [{"content": {"parts": [{"text": "Hel"}, {"text": "hm", "thought": True}]}}],
              "usageMetadata": {"promptTokenCount": 3}},
             {"candidates": [{"content": {"parts": [{"text": "lo"}]}, "finishReason": "STOP"}],
              "usageMetadata": {"promptTokenCount": 3, "candidatesTokenCount": 2}}),
        json.dumps([{"candidates": [{"content": {"parts": [{"text": "a"}]}, "finishReason": "STOP"}]}]).encode(),
        json.dumps({"promptFeedback": {"blockReason": "SAFETY"}}).encode(),
    ],
    "cohere": [
        _sse({"type": "message-start", "delta": {"message": {"role": "assistant"}}},
             {"type": "content-delta", "index": 0, "delta": {"message": {"content": {"text": "Hel"}}}},
             {"type": "message-end", "delta": {"finish_reason": "COMPLETE", "usage": {
                 "tokens": {"input_tokens": 3, "output_tokens": 2}}}}, names=True),
        json.dumps({"message": {"content": [{"type": "text", "text": "Hi"}]}, "finish_reason": "COMPLETE",
                    "usage": {"tokens": {"input_tokens": 3, "output_tokens": 2}}}).encode(),
    ],
    "ollama": [
        b'{"model":"m","message":{"role":"assistant","content":"Hel"},"done":false}\n'
        b'{"model":"m","message":{"content":"lo","thinking":"hm"},"done":false}\n'
        b'{"model":"m","done":true,"done_reason":"stop","prompt_eval_count":3,"eval_count":2}\n',
        b'{"error":"model not found"}\n',
        b'{"response":"Hi","done":true,"done_reason":"stop","eval_count":2}',
    ],
}  # fmt: skip


def _message(payload: bytes, **headers: str) -> bytes:
    """A message of Amazon's event stream, its check sums left out."""
    head = b"".join(
        bytes([len(name) + 1]) + b":" + name.replace("_", "-").encode() + b"\7"
        + len(value).to_bytes(2) + value.encode()
        for name, value in headers.items()
    )  # fmt: skip
    length = 12 + len(head) + len(payload) + 4
    return length.to_bytes(4) + len(head).to_bytes(4) + bytes(4) + head + payload + bytes(4)


STREAMS["converse"] = [
    _message(b'{"role":"assistant"}', event_type="messageStart")
    + _message(b'{"contentBlockIndex":0,"delta":{"text":"Hel"}}', event_type="contentBlockDelta")
    + _message(b'{"stopReason":"end_turn"}', event_type="messageStop")
    + _message(b'{"usage":{"inputTokens":3,"outputTokens":2}}', event_type="metadata"),
    _message(b'{"message":"slow down"}', exception_type="throttlingException"),
    _message(b'{"bytes":"eyJ0eXBlIjoicGluZyJ9"}', event_type="chunk"),
]
_BODY = STREAMS["chat"][0]
_PACKED = gzip.compress(_BODY)
HTTP = [
    b"HTTP/1.1 200 OK\r\ncontent-type: text/event-stream\r\ntransfer-encoding: chunked\r\n\r\n"
    + b"%x\r\n%b\r\n0\r\nx: y\r\n\r\n" % (len(_BODY), _BODY),
    b"HTTP/1.1 100 Continue\r\n\r\nHTTP/1.1 200 OK\r\nContent-Length: %d\r\n\r\n%b" % (len(_BODY), _BODY),
    b"HTTP/1.1 200 OK\r\ncontent-type: text/event-stream\r\ncontent-encoding: gzip\r\n"
    b"content-length: %d\r\n\r\n%b" % (len(_PACKED), _PACKED),
    b"HTTP/1.0 429 Too Many\r\nretry-after: 1\r\ndate: Thu, 01 Jan 2026 00:00:00 GMT\r\n\r\n"
    b'{"error": {"message": "slow down"}}',
    b"HTTP/1.1 302 Found\r\nlocation: https://elsewhere.example/login\r\ncontent-length: 0\r\n\r\n",
]  # fmt: skip

TARGETS = b"""# mine
[h]
base_url = "https://h.example/v1"
api_key_env = "H_KEY"
endpoint = "messages"
stall_s = 60
insecure_http = false

[h.models."qwen3-32b"]
input = 0.20
output = 0.60
currency = "USD"

[openai]
base_url = 'https://api.openai.com/v1'

[other]
base_url = "http://127.0.0.1:8000/v1"
models = { "a b" = { input = 1 } }
"""
NOTEBOOK = json.dumps({
    "cells": [
        {"cell_type": "code", "source": "run = ''\nn = 1", "metadata": {"tags": ["parameters"]},
         "outputs": [], "execution_count": None},
        {"cell_type": "markdown", "source": ["# a", "b"], "metadata": {}, "attachments": {}},
    ],
    "metadata": {"kernelspec": {"name": "python3", "display_name": "P", "language": "python"}},
    "nbformat": 4, "nbformat_minor": 5,
}).encode()  # fmt: skip
TIMES = {
    "json": [b'{"timestamp": 1.5}\n2.5\n{"t": 3}\n', b'{"time": "2026-01-31T08:00:00Z"}\n'],
    "csv": [
        b'id,timestamp,x\n1,1.5,"a\nb"\n2,2.5,\n\n3,4,z\n',
        b"2026-01-31T08:00:00Z\n2026-01-31\n",
    ],
    "slashes": [
        b'"TimeGenerated [UTC]",x\n"2/25/2025, 9:19:25.391 AM",1\n"2/25/2025, 9:20:25 PM",2\n',
        b"t\n25/12/2025 09:19:25,391 +07:00\n26/12/2025 10:00:00 Z\n",
        "time;n\n2025/2/25 上午 9:19:25;1\n2025. 2. 25. 오후 9:20;2\n31.12.2025 23:59:59.123456789;3\n".encode(),
        "sep=;\nthời;t\n1;9:19 SA, 25/2/2025\n2;9:20:00 CH 26/2/25\n".encode(),
        "t\n2/3/25, 9:19\u202fAM GMT\n2/4/25, 9:19\u202fp.m. -0530\n9999/12/31 23:00 UTC\n".encode(),
        b'sep=,\nt,n\n"1,5",2\n"2,25",3\n',
        b"t\n9999/12/31 23:00 -05:00\n9999/12/31 23:00 UTC\n",
    ],
}
TRACES = [
    b'{"timestamp": 0, "input_length": 30, "output_length": 4, "hash_ids": [1, 2]}\n'
    b'{"timestamp": 500, "input_length": 40, "output_length": 5, "hash_ids": [1, 3]}\n',
    b'{"session_id": "a", "delay": 5, "input_length": 3, "output_length": 4}\n' * 2,
    b'{"turns": [{"role": "system", "text": "s"}, {"text": "a", "delay": 3, "max_tokens": 4}, "b"]}\n',
    b'{"payloads": [{"messages": [{"role": "user", "content": "a"}], "max_tokens": 3}]}\n',
]
LINES = [
    b'data: {"a":\ndata: [1,\ndata: 2]}\n\ndata: [DONE]\n\n',
    b'{\n  "error": {\n    "message": "a \\"}\\" [", "code": 1\n  }\n}\n',
    b'data: {"a": 1}\ndata: {"b": [\ndata: ]}\n[\n{"c": "\\\\"}\n, {"d": 2}\n]\n',
    b'\xef\xbb\xbfevent: x\r\ndata: {\r\ndata: "a": 1}\r\rerror: {"m": "x"}\nDATA : {}\n bare\n',
]
HEADROOM = [b'{"t": 1.5, "limits": {"0": {"tokens_day": [100, 50.5, 3, null, 2]}}}\n' * 2]
LIMITS = [
    b"x-ratelimit-remaining-tokens: 29876\nx-ratelimit-reset-tokens: 6m0s\nretry-after: 1m30s\n"
    b"x-ratelimit-limit-requests-day: 5\nx-ratelimit-reset-requests: 1.5ms",
    b"anthropic-ratelimit-input-tokens-reset: 2026-01-02T03:04:05.6+07:00\n"
    b"date: Fri, 02 Jan 2026 03:04:00 GMT\nx-ratelimit-reset: 1767322800000",
    b'RateLimit: "default";r=50;t=30, limit=100, remaining=50\nx-tokenlimit-limit: 100, 100;w=60\n'
    b"x-ai-ratelimit-remaining-name: 5\nretry-after: Fri Jan  2 03:04:05 2026",
    b'{"details": [{"retryDelay": "37.5s"}]}\nx-rate-limit-reset-tokens: -1',
]
_ASKED = [{"role": "system", "content": "be brief"}, {"role": "user", "content": [
    {"type": "text", "text": "hi"}, {"type": "image_url", "image_url": {"url": "https://h/i.png"}}]}]  # fmt: skip
_LOGGED = {"startTime": "2026-01-31T08:00:00Z", "prompt_tokens": 30, "completion_tokens": 4}
REQUESTS = [
    b'"one"\n{"prompt": "two", "id": 1}\n\n{"text": "three"}\n',
    b"plain text\nof two lines\n",
    json.dumps({"custom_id": "a", "method": "POST", "url": "/v1/chat/completions",
                "body": {"model": "m", "messages": _ASKED, "max_tokens": 5, "tools": []}}).encode(),
    json.dumps({"custom_id": "a", "params": {"system": "s", "messages": _ASKED}}).encode(),
    json.dumps([{"id": "x", "conversations": [{"from": "human", "value": "hi"},
                                              {"from": "gpt", "value": "ho"}]}]).encode(),
    json.dumps({"call_type": "acompletion", "messages": _ASKED, **_LOGGED}).encode(),
    json.dumps([{"type": "GENERATION", "traceId": "t", "input": {"messages": _ASKED},
                 "usageDetails": {"input": 3, "output": 4}, "startTime": 1.5}]).encode(),
    gzip.compress(b'"one"\n'),
]  # fmt: skip


def parquets() -> list[bytes]:
    """Files of Parquet with texts, messages and sizes."""
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "r.parquet"
        made = []
        for sql in ("SELECT 'a' || i AS prompt, i FROM range(9) t(i)",
                    "SELECT [{'role': 'user', 'content': 'hi'}] AS messages",
                    "SELECT i AS timestamp, i AS input_length, i + 1 AS output_length, "
                    "[i] AS hash_ids FROM range(1, 9) t(i)"):  # fmt: skip
            duckdb.execute(f"COPY ({sql}) TO '{path}' (FORMAT parquet)")
            made.append(path.read_bytes())
    return made


TABLES = [b'prompt,user\n"one\ntwo",a\nthree,b\n', b"id;text\n1;a\n",
          b'id,input,traceId,type\n1,"[{""role"": ""user"", ""content"": ""a""}]",t,GENERATION\n']  # fmt: skip
BILLS = [
    b"date,model,prompt_tokens,completion_tokens,cost,currency\n2026-11-01,m,10,2,0.1,USD\n",
    'Day;Model;Input;Output;Amount\n2026/11/01;m;1.234;12;"1.234,50 €"\n'.encode("utf-16"),
    json.dumps({"has_more": False, "data": [{"start_time": 1730419200, "results": [
        {"input_tokens": 9, "output_tokens": 5, "input_cached_tokens": 8, "num_model_requests": 5,
         "model": "m"}]}]}).encode(),
    b'{"startTime": "2026-11-01T08:00:00.1Z", "spend": 0.01, "model": "m", "prompt_tokens": 3, '
    b'"completion_tokens": 4, "metadata": "{\\"usage_object\\": {\\"a\\": 1}}"}\n' * 2,
    json.dumps({"data": {"items": [{"created_at": 1793520000, "type": 2, "model_name": "m",
        "quota": 9, "prompt_tokens": 1, "other": '{"cache_tokens": 1}'}]}}).encode(),
    b"Date,Slug,Usage,Requests,Prompt Tokens,Completion Tokens\n11/14/2026,a/m,0.5,2,3,4\n",
]  # fmt: skip
_BEGUN = moves.new("a/x", "b/y", MoveSteps(), 0.0, "me")
_PAIR = [Outcome(side, False, 0.1 + at / 100, 0.05, 1.0, at) for at in range(30) for side in (0, 1)]
MOVE = written(moves.observe(moves.observe(_BEGUN, _PAIR, MoveSteps(), 9.0, "me"), _PAIR[:4],
                             MoveSteps(), 12.0, "me"))  # fmt: skip
TRUST = b"H_KEY=https://h.example/v1\n\nO=https://api.openai.com/v1#ca=" + b"0" * 64 + b"\n"
BASELINE = json.dumps({"run_id": "sent/20260101T000000Z", "set_at": "2026"}).encode()
WORDS = [
    b"ttft_p95<0.5", b"error_rate <= 1%", b"latency_p99<2 s", b"output_tokens_per_s>1e3", b"90s",
    b"1m30s", b"2 min", b"500ms", b"1e3", b"ramp:1,5", b"steps:1,2,3", b"spike:1,9", b"gamma:0.5",
    b"sine:5,2,1m", b"poisson", b"constant", b"closed", b"replay:x,2",
]  # fmt: skip
REFUSALS = [
    b'{"error": {"message": "Unsupported parameter: \'max_tokens\' is not supported with this model. '
    b'Use \'max_completion_tokens\' instead.", "param": "max_tokens"}}',
    b'{"detail": [{"loc": ["body", "stream_options"], "msg": "extra fields not permitted"}]}',
    b"stream is not supported: try --no-stream, the model `m` does not exist or is deprecated",
    b"<html>Attention required! access to this page has been denied</html>",
]


def _sum(name: str, value: float, **labels: str) -> dict[str, float]:
    return {json.dumps(["calls", name, labels, "Calls."]): value}


SUMS = [
    _packed(_sum("calls_total", 3, model="m") | _sum("calls_total", 1e9, model="ü", code="429"))
]


def _catalogue() -> bytes:
    known = Entry("a/b", 1, "finished", 3, "2026-01-01T00:00:00+00:00", None, "", ("m",), of_targets=(
        OfTarget("m", 3, 3, {"latency_p50": Known(0.1, 0.05, 0.2)}),
    ))  # fmt: skip
    return msgspec.json.encode({"format": 1, "entries": [known]})


CATALOGUE = [_catalogue()]
