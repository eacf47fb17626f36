"""G. Watched clients: whatever a client calls is on record as what it is, or is refused aloud."""

import asyncio
import base64
import json
import struct
import zlib

import httpx
import pytest

from holymon.errors import NAMES, PlanError
from holymon.monitor.clients import monitored
from holymon.records.attempt import Flag
from tests.promises.faults.server import LAST, Server, chunk, event

from .cases import WHOLE, body, whole

VERTEX = "/v1/projects/p/locations/global/publishers/anthropic/models/claude-sonnet-4@20250514"
GEMINI = "/v1beta/models/gemini-2.5-flash"
BEDROCK = "/model/anthropic.claude-3-5-sonnet-20241022-v2:0"
CLAUDE = {"anthropic_version": "vertex-2023-10-16", "max_tokens": 9, "messages": []}
AMAZON = "application/vnd.amazon.eventstream"
NDJSON = "application/x-ndjson"
SSE = "text/event-stream"
MESSAGE = {
    "id": "m", "type": "message", "role": "assistant", "content": [{"type": "text", "text": "Hello"}],
    "stop_reason": "end_turn", "usage": {"input_tokens": 3, "output_tokens": 2},
}  # fmt: skip
MESSAGES = [
    {
        "type": "message_start",
        "message": {**MESSAGE, "content": [], "usage": {"input_tokens": 3, "output_tokens": 1}},
    },
    {"type": "content_block_start", "index": 0, "content_block": {"type": "text", "text": ""}},
    {"type": "content_block_delta", "index": 0, "delta": {"type": "text_delta", "text": "Hel"}},
    {"type": "content_block_delta", "index": 0, "delta": {"type": "text_delta", "text": "lo"}},
    {"type": "content_block_stop", "index": 0},
    {"type": "message_delta", "delta": {"stop_reason": "end_turn"}, "usage": {"output_tokens": 2}},
    {"type": "message_stop", "amazon-bedrock-invocationMetrics": {"inputTokenCount": 3}},
]


def named(events):
    return b"".join(b"event: " + e["type"].encode() + b"\n" + event(e) for e in events)


def message(payload, **headers):
    """A message of Amazon's event stream, with its check sums."""
    head = b"".join(
        bytes([len(name)])
        + name.encode()
        + b"\x07"
        + struct.pack(">H", len(value))
        + value.encode()
        for name, value in headers.items()
    )
    prelude = struct.pack(">II", 16 + len(head) + len(payload), len(head))
    whole = prelude + struct.pack(">I", zlib.crc32(prelude)) + head + payload
    return whole + struct.pack(">I", zlib.crc32(whole))


def packed(value):
    inner = base64.b64encode(json.dumps(value).encode()).decode()
    return message(json.dumps({"bytes": inner, "p": "abc"}).encode(),
                   **{":event-type": "chunk", ":content-type": "application/json", ":message-type": "event"})  # fmt: skip


def thrown(name, words):
    return message(json.dumps({"message": words}).encode(),
                   **{":exception-type": name, ":content-type": "application/json", ":message-type": "exception"})  # fmt: skip


def conversed(kind, **value):
    """An event of Bedrock's Converse: JSON as it is, named in the headers."""
    return message(json.dumps(value).encode(),
                   **{":event-type": kind, ":content-type": "application/json", ":message-type": "event"})  # fmt: skip


def part(text=None, reason=None, **more):
    content = (
        {"role": "model"} if text is None else {"role": "model", "parts": [{"text": text, **more}]}
    )
    candidate = {"content": content, "index": 0} | ({"finishReason": reason} if reason else {})
    usage = {"promptTokenCount": 3, "candidatesTokenCount": 2, "totalTokenCount": 5}
    return {"candidates": [candidate], "usageMetadata": usage, "modelVersion": "gemini-2.5-flash"}


def line(**fields):
    return (
        json.dumps({"model": "gemma3", "created_at": "2025-10-26T17:21:21Z", **fields}).encode()
        + b"\n"
    )


DONE_LINE = line(message={"role": "assistant", "content": ""}, done=True, done_reason="stop",
                 prompt_eval_count=3, eval_count=2)  # fmt: skip
LINES = line(message={"role": "assistant", "content": "Hel"}, done=False) + line(
    message={"role": "assistant", "content": "lo"}, done=False)  # fmt: skip
COMMAND = {"model": "command-a-03-2025", "messages": [], "stream": True}
COUNTED = {
    "billed_units": {"input_tokens": 1, "output_tokens": 2},
    "tokens": {"input_tokens": 3, "output_tokens": 2},
}


def ended(reason, **more):
    return {"type": "message-end", "delta": {"finish_reason": reason, "usage": COUNTED, **more}}


COHERE = [
    {"id": "a8fc", "type": "message-start", "delta": {"message": {
        "role": "assistant", "content": [], "tool_plan": "", "tool_calls": [], "citations": []}}},
    {"type": "content-start", "index": 0, "delta": {"message": {"content": {"type": "text", "text": ""}}}},
    {"type": "content-delta", "index": 0, "delta": {"message": {"content": {"text": "Hel"}}}},
    {"type": "content-delta", "index": 0, "delta": {"message": {"content": {"text": "lo"}}}},
    {"type": "content-end", "index": 0}, ended("COMPLETE"),
]  # fmt: skip
METADATA = {
    "usage": {"inputTokens": 3, "outputTokens": 2, "totalTokens": 5},
    "metrics": {"latencyMs": 9},
}
CONVERSED = [
    conversed("messageStart", role="assistant"),
    conversed("contentBlockDelta", contentBlockIndex=0, delta={"text": "Hel"}),
    conversed("contentBlockDelta", contentBlockIndex=0, delta={"text": "lo"}),
    conversed("contentBlockStop", contentBlockIndex=0), conversed("messageStop", stopReason="end_turn"),
    conversed("metadata", **METADATA),
]  # fmt: skip
RESPONSE = {
    "id": "r",
    "status": "completed",
    "output": [],
    "usage": {"input_tokens": 3, "output_tokens": 2},
}
OK, TWO, NONE = "", (3, 2), (-1, -1)

# what is asked: path, JSON or parts of a form; what comes: content type, bytes;
# what must be on record: model, error, (prompt, output) tokens, whether a first token was timed
CASES = {
    "anthropic on Vertex, streamed (comet-ml/opik#1856; anthropic-sdk-python, lib/vertex/_client.py)":
        (f"{VERTEX}:streamRawPredict", CLAUDE, SSE, named(MESSAGES),
         "claude-sonnet-4@20250514", OK, TWO, True),
    "anthropic on Vertex, in one piece":
        (f"{VERTEX}:rawPredict", CLAUDE, "application/json", body(MESSAGE),
         "claude-sonnet-4@20250514", OK, TWO, False),
    "an error in a stream of Vertex":
        (f"{VERTEX}:streamRawPredict", CLAUDE, SSE,
         named(MESSAGES[:3]) + b'event: error\ndata: {"type":"error","error":{"type":"overloaded_error","message":"Overloaded"}}\n\n',
         "claude-sonnet-4@20250514", "stream_error_event", (3, 1), True),
    "mistral on Vertex (docs.cloud.google.com: Mistral AI models)":
        ("/v1/projects/p/locations/eu/publishers/mistralai/models/mistral-small-2503:rawPredict", {"messages": []},
         "application/json", body(whole()), "mistral-small-2503", OK, TWO, False),
    "google-genai, streamed (google-genai, models.py: alt=sse)":
        (f"{GEMINI}:streamGenerateContent?alt=sse", {"contents": []}, SSE,
         event(part("Hel")) + event(part("lo")) + event(part(reason="STOP")),
         "gemini-2.5-flash", OK, TWO, True),
    "the reason in an event without parts (agentjido/req_llm#638)":
        (f"{GEMINI}:streamGenerateContent?alt=sse", {"contents": []}, SSE,
         event(part("Hello")) + event({"candidates": [{"finishReason": "STOP"}], "usageMetadata": {"promptTokenCount": 3, "candidatesTokenCount": 2}}),
         "gemini-2.5-flash", OK, TWO, True),
    "503 within a stream of Gemini (diegosouzapw/OmniRoute#4177)":
        (f"{GEMINI}:streamGenerateContent?alt=sse", {"contents": []}, SSE,
         event(part("Hel")) + event({"error": {"code": 503, "message": "high demand", "status": "UNAVAILABLE"}}),
         "gemini-2.5-flash", "stream_error_event", TWO, True),
    "Gemini cut off without a reason (SamSaffron/term-llm#954)":
        (f"{GEMINI}:streamGenerateContent?alt=sse", {"contents": []}, SSE, event(part("Hel")),
         "gemini-2.5-flash", "stream_truncated", TWO, True),
    "Gemini without alt=sse is an array (ankit373/hydra#855)":
        (f"{GEMINI}:streamGenerateContent", {"contents": []}, "application/json",
         body([part("Hel"), part("lo", "STOP")]), "gemini-2.5-flash", OK, TWO, False),
    "Gemini in one piece":
        (f"{GEMINI}:generateContent", {"contents": []}, "application/json", body(part("Hello", "STOP")),
         "gemini-2.5-flash", OK, TWO, False),
    "a prompt that Gemini blocks (ankit373/hydra#855)":
        (f"{GEMINI}:generateContent", {"contents": []}, "application/json",
         body({"promptFeedback": {"blockReason": "SAFETY"}, "usageMetadata": {"promptTokenCount": 3}}),
         "gemini-2.5-flash", OK, (3, -1), False),
    "Gemini's embeddings":
        ("/v1beta/models/gemini-embedding-001:batchEmbedContents", {"requests": []}, "application/json",
         body({"embeddings": [{"values": [0.1, 0.2]}]}), "gemini-embedding-001", OK, NONE, False),
    "anthropic on Bedrock, streamed (anthropic-sdk-python, lib/bedrock/_stream_decoder.py)":
        (f"{BEDROCK}/invoke-with-response-stream", {**CLAUDE, "anthropic_version": "bedrock-2023-05-31"}, AMAZON,
         b"".join(map(packed, MESSAGES)), "anthropic.claude-3-5-sonnet-20241022-v2:0", OK, TWO, True),
    "throttled within a stream of Bedrock (docs.aws.amazon.com: ResponseStream)":
        (f"{BEDROCK}/invoke-with-response-stream", {**CLAUDE, "anthropic_version": "bedrock-2023-05-31"}, AMAZON,
         b"".join(map(packed, MESSAGES[:4])) + thrown("throttlingException", "Too many tokens"),
         "anthropic.claude-3-5-sonnet-20241022-v2:0", "stream_error_event", (3, 2), True),
    "an inference profile on Bedrock, in one piece":
        ("/model/arn%3Aaws%3Abedrock%3Aus-east-1%3A1%3Aapplication-inference-profile%2Fabc/invoke",
         {**CLAUDE, "anthropic_version": "bedrock-2023-05-31"}, "application/json", body(MESSAGE),
         "arn:aws:bedrock:us-east-1:1:application-inference-profile/abc", OK, TWO, False),
    "bytes that are no event stream":
        (f"{BEDROCK}/invoke-with-response-stream", CLAUDE, AMAZON, b"<html>a wall </html>" * 3,
         "anthropic.claude-3-5-sonnet-20241022-v2:0", "decoding_error", NONE, False),
    "Bedrock's compatible endpoint (docs.aws.amazon.com: inference-chat-completions)":
        ("/openai/v1/chat/completions", {"model": "openai.gpt-oss-20b-1:0"}, "application/json", body(whole()),
         "openai.gpt-oss-20b-1:0", OK, TWO, False),
    "a deployment of Azure, named in the path only":
        ("/openai/deployments/my-gpt/chat/completions?api-version=2024-10-21", {"messages": []}, "application/json",
         body(whole()), "my-gpt", OK, TWO, False),
    # What was to come of the next four was written down before they were tried.
    "responses of a deployment of Azure (BerriAI/litellm#40408)":
        ("/openai/deployments/my-gpt/responses?api-version=2025-04-01-preview", {"input": "x", "stream": True}, SSE,
         named([{"type": "response.created", "response": {**RESPONSE, "status": "in_progress", "usage": None}},
                {"type": "response.output_text.delta", "delta": "Hello"},
                {"type": "response.completed", "response": RESPONSE}]), "my-gpt", OK, TWO, True),
    "Bedrock's Converse, streamed (Arize-ai/openinference#2029)":
        ("/model/amazon.nova-lite-v1:0/converse-stream", {"messages": []}, AMAZON, b"".join(CONVERSED),
         "amazon.nova-lite-v1:0", OK, TWO, True),
    "Bedrock's Converse throttled (open-telemetry/opentelemetry-python-contrib#3210)":
        ("/model/amazon.nova-lite-v1:0/converse-stream", {"messages": []}, AMAZON,
         b"".join(CONVERSED[:3]) + thrown("throttlingException", "Too many tokens"),
         "amazon.nova-lite-v1:0", "stream_error_event", (-1, 2), True),
    "Bedrock's Converse in one piece":
        ("/model/amazon.nova-lite-v1:0/converse", {"messages": []}, "application/json",
         body({"output": {"message": {"role": "assistant", "content": [{"text": "Hello"}]}}, "stopReason": "end_turn", **METADATA}),
         "amazon.nova-lite-v1:0", OK, TWO, False),
    "ollama's chat (0xPlaygrounds/rig#825)":
        ("/api/chat", {"model": "gemma3"}, NDJSON, LINES + DONE_LINE, "gemma3", OK, TWO, True),
    "ollama's generate":
        ("/api/generate", {"model": "gemma3"}, NDJSON,
         line(response="Hel", done=False) + line(response="lo", done=False)
         + line(response="", done=True, done_reason="stop", prompt_eval_count=3, eval_count=2),
         "gemma3", OK, TWO, True),
    "an error in a stream of ollama (ollama's docs/api/errors.mdx)":
        ("/api/chat", {"model": "gemma3"}, NDJSON,
         LINES + b'{"error":"an error was encountered while running the model"}\n',
         "gemma3", "stream_error_event", (-1, 2), True),
    "an error as ollama's first line":
        ("/api/chat", {"model": "gemma3"}, NDJSON, b'{"error":"model runner has unexpectedly stopped"}',
         "gemma3", "stream_error_event", NONE, False),
    "ollama cut off":
        ("/api/chat", {"model": "gemma3"}, NDJSON, LINES, "gemma3", "stream_truncated", (-1, 2), True),
    "ollama in one piece":
        ("/api/chat", {"model": "gemma3", "stream": False}, "application/json",
         line(message={"role": "assistant", "content": "Hello"}, done=True, done_reason="stop", prompt_eval_count=3, eval_count=2),
         "gemma3", OK, TWO, False),
    "cohere, streamed (docs.cohere.com/reference/chat-stream)":
        ("/v2/chat", COMMAND, SSE, named(COHERE), "command-a-03-2025", OK, TWO, True),
    "a tool that cohere calls (docs.cohere.com/v2/docs/streaming)":
        ("/v2/chat", COMMAND, SSE, named([
            COHERE[0], {"type": "tool-plan-delta", "delta": {"message": {"tool_plan": "I will"}}},
            {"type": "tool-call-start", "index": 0, "delta": {"message": {"tool_calls": {
                "id": "f_1", "type": "function", "function": {"name": "f", "arguments": ""}}}}},
            {"type": "tool-call-delta", "index": 0, "delta": {"message": {"tool_calls": {
                "function": {"arguments": "{}"}}}}},
            {"type": "tool-call-end", "index": 0}, ended("TOOL_CALL")]),
         "command-a-03-2025", OK, TWO, True),
    "cohere fails in the midst (tryAGI/Cohere#178: an error in message-end)":
        ("/v2/chat", COMMAND, SSE, named([*COHERE[:4], ended("ERROR", error="internal error")]),
         "command-a-03-2025", "stream_error_event", TWO, True),
    "cohere cut off": ("/v2/chat", COMMAND, SSE, named(COHERE[:4]), "command-a-03-2025", "stream_truncated", (-1, 2), True),
    "cohere in one piece":
        ("/v2/chat", COMMAND, "application/json",
         body({"id": "c", "finish_reason": "COMPLETE", "usage": COUNTED, "message": {
             "role": "assistant", "content": [{"type": "text", "text": "Hello"}]}}),
         "command-a-03-2025", OK, TWO, False),
    "lines of JSON at an address that nobody knows":
        ("/v1/agents/run", {"model": "m"}, NDJSON, b'{"step":1}\n{"step":2}\n', "m", OK, NONE, False),
    "an error in lines at an address that nobody knows":
        ("/v1/agents/run", {"model": "m"}, NDJSON, b'{"step":1}\n{"error":{"message":"out of memory"}}\n',
         "m", "stream_error_event", NONE, False),
    "speech (platform.openai.com/docs/api-reference/audio)":
        ("/v1/audio/speech", {"model": "tts-1", "input": "x"}, "audio/mpeg", b'{"\xff\xf3\x00error"' * 500,
         "tts-1", OK, NONE, False),
    "a transcription, whose model is in a form":
        ("/v1/audio/transcriptions", {"model": (None, "whisper-1"), "file": ("a.wav", b"RIFF")}, "application/json",
         body({"text": "hello"}), "whisper-1", OK, NONE, False),
    "an image": ("/v1/images/generations", {"model": "dall-e-3"}, "application/json",
                 body({"created": 1, "data": [{"url": "https://x"}]}), "dall-e-3", OK, NONE, False),
    "embeddings": ("/v1/embeddings", {"model": "text-embedding-3-small"}, "application/json",
                   body({"object": "list", "data": [{"embedding": [0.1], "index": 0}], "model": "m"}),
                   "text-embedding-3-small", OK, NONE, False),
    "a moderation": ("/v1/moderations", {"input": "x"}, "application/json",
                     body({"id": "m", "model": "omni", "results": [{"flagged": False}]}), "moderations", OK, NONE, False),
    "a file": ("/v1/files", {"purpose": (None, "batch"), "file": ("a.jsonl", b"{}")}, "application/json",
               body({"id": "file-1", "object": "file", "status": "uploaded", "status_details": None}), "files", OK, NONE, False),
    "a batch that is cancelled": ("/v1/batches/batch_9x8/cancel", {}, "application/json",
                                  body({"id": "batch_9x8", "errors": None, "status": "cancelling"}), "batches", OK, NONE, False),
    "a file that could not be taken (platform.openai.com, the file object)":
        ("/v1/files", {"purpose": (None, "batch"), "file": ("a.jsonl", b"{}")}, "application/json",
         body({"id": "file-1", "object": "file", "status": "failed", "status_details": "no JSONL"}), "files", OK, NONE, False),
    "a batch that failed (platform.openai.com, the batch object)":
        ("/v1/batches", {}, "application/json",
         body({"id": "batch_1", "object": "batch", "status": "failed", "errors": {"object": "list", "data": [
             {"code": "invalid_json_line", "message": "line 1"}]}}), "batches", OK, NONE, False),
    "a prediction that failed (replicate.com/docs, predictions)":
        ("/v1/predictions", {"version": "x"}, "application/json",
         body({"id": "p1", "status": "failed", "error": "CUDA out of memory"}), "predictions", OK, NONE, False),
    "what may be a key is no name": ("/bot12345:AAHkey/sendMessage", {}, "application/json", b'{"ok":true}',
                                     "unknown", OK, NONE, False),
    "a model that is no text": ("/v1/score", {"model": {"a": 1}}, "application/json", b"{}", "score", OK, NONE, False),
}  # fmt: skip


async def call(path, ask, kind, raw, status="200 OK"):
    head = f"HTTP/1.1 {status}\r\ncontent-type: {kind}\r\ntransfer-encoding: chunked\r\n\r\n"
    cut = max(1, len(raw) // 3)
    steps = [head.encode(), *(chunk(raw[at : at + cut]) for at in range(0, len(raw), cut)), LAST]
    form = any(isinstance(value, tuple) for value in ask.values())
    async with Server(steps) as server, monitored(httpx.AsyncClient()) as client:
        url = server.url.removesuffix("/v1") + path
        async with client.stream(
            "POST", url, **({"files": ask} if form else {"json": ask})
        ) as found:
            assert b"".join([piece async for piece in found.aiter_raw()]) == raw
        return client.monitor.records


@pytest.mark.parametrize("case", CASES)
def test_every_endpoint_of_a_watched_client_is_on_record_as_what_it_is(case):
    path, ask, kind, raw, model, error, tokens, timed = CASES[case]
    records = asyncio.run(call(path, ask, kind, raw))
    (row,), (target,) = records.rows, records.targets
    assert (target.model, NAMES[row["error"]], row["status"]) == (model, error, 200)
    assert (row["prompt_tokens"], row["output_tokens"]) == tokens
    assert (row["first_s"] == row["first_s"]) == timed
    assert row["bytes"] == len(raw) or error == "decoding_error"  # where reading ended
    assert row["start_s"] <= row["headers_s"] <= row["end_s"]
    assert not row["flags"] & (Flag.SKIPPED | Flag.LENIENT | Flag.KEEP_ALIVE)


@pytest.mark.parametrize("behind", [b"", bytes(2_000), b"bye " * 500])
def test_what_stands_behind_the_end_of_an_event_stream_is_no_part_of_it(behind):
    path = "/model/amazon.nova-lite-v1:0/converse-stream"
    raw = b"".join(CONVERSED) + behind
    (row,) = asyncio.run(call(path, {"messages": []}, AMAZON, raw)).rows
    assert (NAMES[row["error"]], row["output_tokens"]) == (OK, 2)


def test_a_packed_event_that_is_no_base_64_is_one_that_can_not_be_read():
    raw = message('{"bytes": "\u00fc"}'.encode(), **{":event-type": "chunk"})
    path = f"{BEDROCK}/invoke-with-response-stream"
    (row,) = asyncio.run(call(path, CLAUDE, AMAZON, raw)).rows
    assert NAMES[row["error"]] == "stream_truncated"


@pytest.mark.parametrize("case", CASES)
def test_a_refusal_is_one_whatever_was_asked(case):
    path, ask, *_, model, _, _, _ = CASES[case]
    refusal = body({"error": {"message": "slow down", "status": "RESOURCE_EXHAUSTED"}})
    records = asyncio.run(call(path, ask, "application/json", refusal, "429 Too Many Requests"))
    assert NAMES[records.rows["error"][0]] == "rate_limited"
    assert records.targets[0].model == model


@pytest.mark.asyncio
async def test_the_real_sdk_on_vertex_is_on_record():
    """Field G: it was silent, for the model stands in the path."""
    import anthropic

    head = f"HTTP/1.1 200 OK\r\ncontent-type: {SSE}\r\ntransfer-encoding: chunked\r\n\r\n".encode()
    async with Server(
        [head, *map(chunk, [named(MESSAGES[:3]), named(MESSAGES[3:])]), LAST]
    ) as server:
        sdk = anthropic.AsyncAnthropicVertex(
            region="global", project_id="p", access_token="stub", base_url=server.url, max_retries=0
        )
        async with monitored(sdk) as client:
            asked = [{"role": "user", "content": "hi"}]
            async with client.messages.stream(
                model="claude-x", max_tokens=9, messages=asked
            ) as answer:
                assert await answer.get_final_text() == "Hello"
        (row,), (target,) = client.monitor.records.rows, client.monitor.records.targets
    assert (target.model, NAMES[row["error"]], row["output_tokens"]) == ("claude-x", "", 2)
    assert row["start_s"] < row["first_s"] <= row["end_s"]


@pytest.mark.asyncio
async def test_copies_of_a_watched_sdk_and_raw_responses_are_on_record():
    """pydantic/logfire#62, braintrustdata/braintrust-sdk-python#36: both went past the wrapper."""
    import openai

    head = f"HTTP/1.1 200 OK\r\ncontent-type: {SSE}\r\ntransfer-encoding: chunked\r\n\r\n".encode()
    async with Server([head, chunk(WHOLE), LAST]) as server:
        sdk = openai.AsyncOpenAI(api_key="stub", base_url=server.url, max_retries=0)
        async with monitored(sdk) as client:
            for asker in (client.with_options(timeout=5), client.copy()):
                raw = await asker.chat.completions.with_raw_response.create(
                    model="m", messages=[{"role": "user", "content": "hi"}], stream=True
                )
                assert [event.id async for event in raw.parse()]
        rows = client.monitor.records.rows
    assert [(NAMES[row["error"]], row["output_tokens"]) for row in rows] == [("", 2), ("", 2)]


@pytest.mark.parametrize(
    "client", [object(), "https://api.openai.com", print, type("Genai", (), {"_client": None})()]
)
def test_a_client_that_cannot_be_watched_is_refused_with_the_way_out(client):
    with pytest.raises(PlanError, match=r"can't be watched.*hand it hm\.monitored\(httpx\.Client"):
        monitored(client)
