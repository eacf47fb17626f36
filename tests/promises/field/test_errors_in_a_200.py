"""A. Errors inside a 200 are failures, with the server's words."""

import asyncio

import pytest

from holymon.sim.chat_api import failure_of

from .cases import (
    DONE,
    END,
    HEL,
    LO,
    WHOLE,
    Case,
    body,
    check,
    data,
    event,
    load,
    pair,
    said,
    whole,
)

CUDA = {"object": "error", "message": "CUDA error", "type": "InternalServerError", "code": 500}
CONTEXT = (b'error: {"code":400,"message":"the request exceeds the context size",'
           b'"type":"exceed_context_size_error"}\n\n')  # fmt: skip
RATE = {"choices": None, "base_resp": {"status_code": 1002, "status_msg": "rate limit"}}
BARE = body({"error": {"code": 400, "message": "too long", "type": "exceed_context_size_error"}})
ROUTER = {
    "id": "gen-1", "object": "chat.completion.chunk", "provider": "x",
    "error": {"code": 502, "message": "Provider returned error", "metadata": {"raw": "no GPU"}},
    "choices": [{"index": 0, "delta": {"content": ""}, "finish_reason": "error"}],
}  # fmt: skip
IN_STREAM = "stream_error_event"


def failed(
    name: str, source: str, bytes_: bytes, words: str, error: str = IN_STREAM, **more
) -> Case:
    return Case(name, source, bytes_, error, words, **more)


def in_body(name: str, source: str, value, words: str, error: str, **more) -> Case:
    more = {"streamed": False, "kind": "application/json", **more}
    return Case(
        name, source, value if isinstance(value, bytes) else body(value), error, words, **more
    )


LISTED = [
    failed("an object error after tokens", "variant of vllm-project/vllm#12886",
           HEL + data(CUDA) + DONE, "CUDA error", wanted={"code": "InternalServerError", "events": 1}),
    failed("a field of SSE first", "ggml-org/llama.cpp#16104", CONTEXT,
           "the request exceeds the context size", wanted={"code": "exceed_context_size_error"}),
    failed("a field of SSE after tokens", "ggml-org/llama.cpp#16104", HEL + LO + CONTEXT,
           "the request exceeds the context size"),
    failed("a field of SSE and DONE", "ggml-org/llama.cpp#16109", HEL + CONTEXT + DONE,
           "the request exceeds the context size"),
    failed("base_resp after tokens", "infiniflow/ragflow#17292; platform.minimax.io, error codes",
           HEL + data(RATE) + DONE, "rate limit", wanted={"code": "1002"}),
    in_body("base_resp as a body", "infiniflow/ragflow#17292; platform.minimax.io, error codes", RATE, "rate limit",
            "rate_limited"),
    failed("bare JSON under event-stream", "lemonade-sdk/lemonade#2826", BARE, "too long",
           "bad_request"),
    in_body("an object error as a body", "vllm-project/vllm#12886", CUDA, "CUDA error",
            "server_error"),
    in_body("an object error where a stream was asked for", "variant of vllm-project/vllm#12886", CUDA,
            "CUDA error", "stream_error_event", streamed=True),
    in_body("an unknown path of LM Studio", "lmstudio-ai/lmstudio-bug-tracker#618",
            {"error": "Unexpected endpoint or method. (POST /chat/completions)"},
            "Unexpected endpoint or method. (POST /chat/completions)", "not_found", streamed=True),
]  # fmt: skip

OTHERS = [
    failed("an error object, then DONE", "vllm-project/guidellm#743",
           data({"error": {"message": "TimeoutError", "type": "GatewayTimeout", "code": 504}}) + DONE,
           "TimeoutError", wanted={"code": "GatewayTimeout"}),
    failed("an error that is a word", "fox1245/NeoGraph#124", data({"error": "STREAM_EXPLODED"}) + DONE,
           "STREAM_EXPLODED"),
    failed("bare JSON between events", "googleapis/js-genai#1973",
           HEL + BARE + b"\n", "too long"),
    failed("bare JSON on several lines", "lemonade-sdk/lemonade#2826",
           b'{\n "error": {\n  "message": "too long"\n }\n}', "too long"),
    failed("bare text as data", "lucasjinreal/Crane#121", HEL + data(b"error: engine stopped"),
           "error: engine stopped"),
    failed("an exception as data", "stacklok/codegate#149",
           data(b"'async for' requires an object with __aiter__ method, exception") + DONE,
           "'async for' requires"),
    failed("text outside of events", "tetsuo-ai/agenc-core#2492",
           HEL + b"upstream error\n\n", "upstream error"),
    failed("the whole body is text", "vllm-project/aibrix#1449",
           b"upstream connect error or disconnect/reset before headers", "upstream connect error",
           kind="text/plain"),
    failed("an event by another name", "docs.aws.amazon.com, Bedrock runtime exceptions",
           HEL + b'event: internalServerException\ndata: {"message":"try again"}\n\n', "try again"),
    failed("an event named exception", "variant of Bedrock runtime exceptions",
           HEL + b"event: exception\ndata: out of memory\n\n", "out of memory"),
    failed("a bare event of errors", "replicate.com/docs, streaming",
           HEL + b'event: error\ndata: {"detail":"prediction failed"}\n\n', "prediction failed"),
    failed("an error event without data", "WHATWG event streams", HEL + b"event: error\n\n", ""),
    failed("code and message alone", "help.aliyun.com, DashScope error events",
           b'id:1\nevent:error\n:HTTP_STATUS/400\ndata:{"code":"InvalidParameter","message":"bad input"}\n\n',
           "bad input", wanted={"code": "InvalidParameter"}),
    failed("a number and a message", "labring/FastGPT#1092 (Xunfei Spark)",
           HEL + data({"code": 10013, "message": "input is not allowed", "sid": "cht1"}),
           "input is not allowed", wanted={"code": "10013"}),
    failed("error_code and error_msg", "cloud.baidu.com, ERNIE error codes",
           data({"error_code": 336003, "error_msg": "the max input characters is 100", "id": "as-1"}),
           "the max input characters", wanted={"code": "336003"}),
    failed("success false", "JoviDeCroock/drydock#303; developers.cloudflare.com, API responses",
           data({"success": False, "errors": [{"code": 3040, "message": "Capacity temporarily exceeded"}],
                 "result": None}), "Capacity temporarily exceeded", wanted={"code": "3040"}),
    failed("a detail", "fastapi.tiangolo.com, HTTPException", HEL + data({"detail": "Model is gone"}),
           "Model is gone"),
    failed("a type that ends with error", "docs.anthropic.com, errors",
           HEL + data({"type": "overloaded_error", "message": "Overloaded"}), "Overloaded"),
    failed("generation failed", "huggingface/text-generation-inference#2668",
           HEL + data({"error": "Request failed during generation", "error_type": "generation"}),
           "Request failed during generation"),
    failed("an error beside choices", "openrouter.ai/docs, errors and debugging", HEL + data(ROUTER) + DONE,
           "Provider returned error: no GPU", wanted={"code": "502"}),
    failed("a finish reason that is an error", "MacPaw/OpenAI#312",
           HEL + event(said(finish="error")) + DONE, "error", wanted={"finish": "error"}),
    failed("an abort with its words", "sgl-project/sglang#2956, FINISH_ABORT",
           HEL + event(said(finish={"type": "abort", "message": "KV cache is full", "status_code": 503})),
           "KV cache is full", wanted={"finish": "error"}),
    failed("no resource to go on", "api-docs.deepseek.com, chat completion: finish_reason",
           HEL + event(said(finish="insufficient_system_resource")) + DONE, "insufficient_system_resource"),
    failed("an error in a choice", "genkit-ai/genkit#6259",
           HEL + data({"choices": [{"index": 0, "delta": {}, "error": {"message": "upstream lost"}}]}),
           "upstream lost"),
    failed("a cut error", "variant of zai-org/GLM-5#66",
           HEL + b'data: {"error":{"message":"the prompt is\n\n', "the prompt is"),
    failed("AWS's type", "docs.aws.amazon.com, common errors",
           data({"__type": "ThrottlingException", "message": "Too many requests"}), "Too many requests",
           wanted={"code": "ThrottlingException"}),
    failed("a problem document", "RFC 9457",
           data({"type": "about:blank", "title": "Service Unavailable", "status": 503}),
           "Service Unavailable"),
    in_body("code and msg", "variant of labring/FastGPT#1092",
            {"code": 500, "msg": "404 NOT_FOUND", "success": False}, "404 NOT_FOUND", "server_error"),
    in_body("a body of FastAPI", "fastapi.tiangolo.com", {"detail": "Not Found"}, "Not Found",
            "server_error"),
    in_body("Google's list", "ai.google.dev, error responses",
            [{"error": {"code": 429, "message": "quota", "status": "RESOURCE_EXHAUSTED"}}], "quota",
            "rate_limited"),
    in_body("a 202 with an error", "variant of an object error as a body", {"error": {"message": "later", "code": 503}}, "later",
            "unavailable", status="202 Accepted"),
    failed("an Anthropic error", "farzaa/clicky#132",
           b'event: error\ndata: {"type":"error","error":{"type":"overloaded_error","message":"Overloaded"}}\n\n',
           "Overloaded", endpoint="messages", wanted={"code": "overloaded_error"}),
    failed("an error of OpenAI's kind in messages", "8monkey-ai/hebo-platform#471",
           data({"object": "error", "message": "NOT_FOUND", "code": 404}), "NOT_FOUND", endpoint="messages"),
    failed("a top-level error of responses", "openai/openai-python#2487",
           data({"type": "error", "code": "server_error", "message": "Something went wrong", "param": None}),
           "Something went wrong", endpoint="responses", wanted={"code": "server_error"}),
    failed("a failed response", "platform.openai.com, response.failed",
           b"event: response.failed\n" + data({"type": "response.failed", "response": {
               "status": "failed", "error": {"code": "server_error", "message": "no luck"}}}),
           "no luck", endpoint="responses", wanted={"code": "server_error"}),
    failed("a gateway's words in responses", "ogx-ai/ogx#5224",
           data({"code": 429, "message": "slow down"}), "slow down", endpoint="responses"),
]  # fmt: skip

NEVER_OK = [
    Case("DONE after what can't be read", "developers.cloudflare.com, Workers AI: its own stream", data({"response": "Hel", "p": "ab"}) + DONE,
         "invalid_schema", '{"response":"Hel","p":"ab"}'),
    Case("tokens, what can't be read and DONE", "variant of the one before it", HEL + data({"chioces": [{"delta": {}}]}) + DONE,
         "invalid_schema", '{"chioces":[{"delta":{}}]}'),
    Case("tokens of another API", "huggingface/text-generation-inference, /generate_stream",
         data({"token": {"text": "Hel"}}) + data({"token": {"text": "lo"}, "generated_text": "Hello"}) + DONE,
         "invalid_schema", '"token"'),
    Case("a body of another API", "developers.cloudflare.com, Workers AI",
         body({"result": {"response": "Hello"}, "success": True, "errors": []}), "invalid_schema",
         '{"result": {"response": "Hello"}', streamed=False, kind="application/json"),
    Case("a list between tokens", "variant of a body of another API", HEL + data([1, 2]) + END, "invalid_schema", "[1,2]"),
    Case("a key in what can't be read", "variant of DONE after what can't be read", data({"x": "sk-aB3dE5fG7hJ9kL1mN3pQ5r"}) + DONE,
         "invalid_schema", '{"x":"***"}'),
]  # fmt: skip


test_a_load_says_what_the_server_said, test_a_watched_client_says_it_too = pair(
    [*LISTED, *OTHERS, *NEVER_OK]
)


GOOD_WITH_ODD_WORDS = [
    Case("a code of 0 and a message", "variant of labring/FastGPT#1092 (Xunfei Spark)",
         data({"code": 0, "message": "Success", "sid": "x", "choices": [{"index": 0, "delta": {"content": "Hel"}}]})
         + LO + END),
    Case("a base_resp of 0", "platform.minimax.io, chat completion",
         HEL + data({"choices": [{"index": 0, "delta": {"content": "lo"}}], "base_resp": {"status_code": 0, "status_msg": ""}})
         + END),
    Case("an empty error", "ollama/ollama#13371", HEL + data({"error": None, "choices": []}) + LO + END, flags=8192),
    Case("errors that are none", "developers.cloudflare.com, API responses",
         body(whole(success=True, errors=[], error=None)), streamed=False, kind="application/json"),
    Case("status and words of what goes on", "variant of a code of 0 and a message",
         data({"status": "queued", "message": "position 3", "id": "q"}) + WHOLE, flags=4096),
]  # fmt: skip


test_what_only_looks_like_an_error_is_none, test_nor_is_it_to_a_watched_client = pair(
    GOOD_WITH_ODD_WORDS
)


@pytest.mark.parametrize("number", range(4))
def test_the_simulator_fails_in_the_forms_of_the_field(number):
    case = Case("sim", "holymon/sim", HEL + failure_of("the model failed", number), IN_STREAM,
                "the model failed", wanted={"code": "server_error"})  # fmt: skip
    check(case, *asyncio.run(load(case)))
