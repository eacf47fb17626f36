"""Variants from public reports whose outcome was written down before they were tried.

None of them is among the streams that the readers were made with. The report is the bytes' source;
where it tells them in words, the form is the usual one of that server.
"""

from typing import Any

import pytest

from holymon.plan.quirks import Quirks
from holymon.records.attempt import Flag

from .cases import (
    DONE,
    END,
    HEL,
    LO,
    STOP,
    USAGE,
    Case,
    body,
    data,
    event,
    pair,
    said,
)
from .test_d_refused_fields import Refused, first_call
from .test_e_reasons import answer, asked, error

IN_STREAM = "stream_error_event"
CREATED = b"event: response.created\n" + data(
    {"type": "response.created", "response": {"status": "in_progress"}}
)
STARTED = b"event: message_start\n" + data({"type": "message_start", "message": {
    "role": "assistant", "content": [], "usage": {"input_tokens": 3, "output_tokens": 1}}})  # fmt: skip
SAFE = {"hate": {"filtered": False, "severity": "safe"}}


def text_delta(text: str) -> bytes:
    delta = {
        "type": "content_block_delta",
        "index": 0,
        "delta": {"type": "text_delta", "text": text},
    }
    return b"event: content_block_delta\n" + data(delta)


def output(text: str) -> bytes:
    return data({"type": "response.output_text.delta", "delta": text, "item_id": "msg_1"})


def ended(reason: str) -> bytes:
    return HEL + LO + event(said(finish=reason)) + USAGE + DONE


FAILED = [
    Case("an engine that died", "vllm-project/vllm#42363", HEL + data({"error": {
        "message": "EngineCore encountered an issue. See stack trace (above) for the root cause.",
        "type": "InternalServerError", "param": None, "code": 500}}) + DONE, IN_STREAM,
        "EngineCore encountered an issue", wanted={"code": "InternalServerError"}),
    Case("servers that are overloaded, as an event of responses", "openai/codex#43337",
         CREATED + b"event: error\n" + data({"type": "error", "error": {
             "type": "service_unavailable_error", "code": "server_is_overloaded",
             "message": "Our servers are currently overloaded. Please try again later.", "param": None},
             "sequence_number": 2}) + b"event: response.failed\n" + data({"type": "response.failed"}),
         IN_STREAM, "Our servers are currently overloaded", endpoint="responses",
         wanted={"code": "server_is_overloaded"}),
    Case("a failed response without its number", "earendil-works/pi#1458",
         CREATED + data({"type": "response.failed", "response": {"status": "failed", "error": {
             "code": "rate_limit_exceeded", "message": "Requests to the Operation have exceeded token rate limit"}}}),
         IN_STREAM, "have exceeded token rate limit", endpoint="responses", wanted={"code": "rate_limit_exceeded"}),
    Case("an error with spaces before its last brace", "brainlid/langchain#193",
         STARTED + text_delta("Hel") + b'event: error\ndata: {"type":"error","error":{"details":null,'
         b'"type":"overloaded_error","message":"Overloaded"}        }\n\n', IN_STREAM, "Overloaded",
         endpoint="messages", wanted={"code": "overloaded_error"}),
    Case("an overload translated for chat", "envoyproxy/ai-gateway#2698",
         HEL + data({"error": {"type": "overloaded_error", "message": "Overloaded"}}), IN_STREAM, "Overloaded"),
    Case("a queue that is full, in words", "anomalyco/opencode#40254",
         data(b"Streaming response failed: [503] The request queue is full."), IN_STREAM,
         "The request queue is full"),
    Case("a chunk cut by the next one", "zai-org/GLM-5#66",
         HEL + b'data: {"id":"1","created":1777552855,"object":"chat.cdata: {"id":"1","object":'
         b'"chat.completion.chunk","choices":[{"index":0,"delta":{"content":"11"}}]}\n\n' + END, "invalid_json",
         '{"id":"1","created":1777552855,"object":"chat.cdata:'),
    Case("an inference that was interrupted", "BerriAI/litellm#24373",
         HEL + event(said(finish="network_error")) + DONE, IN_STREAM, "network_error", wanted={"finish": "error"}),
    Case("responses that end in the midst of reasoning", "ollama/ollama#17118",
         CREATED + data({"type": "response.reasoning_summary_text.delta", "delta": "hm"}), "stream_truncated",
         endpoint="responses", wanted={"events": 1}),
    Case("a limit told by the first event", "leookun/devin-2api#3",
         data({"error": {"message": "Rate limit exceeded", "type": "rate_limit_error", "code": "429"}}) + DONE,
         IN_STREAM, "Rate limit exceeded"),
]  # fmt: skip

GOOD = [
    Case("an end for a sensitive word", "langgenius/dify#7559", ended("sensitive"), wanted={"finish": "content_filter"}),
    Case("an end for a full window", "mozilla-ai/any-llm#1204", ended("model_context_window_exceeded"),
         wanted={"finish": "length"}),
    Case("thinking alone, and no token counted", "mistralai/client-python#628",
         event(said(reasoning_content="hm")) + event(said(reasoning_content="so")) + STOP
         + data({"choices": [], "usage": {"prompt_tokens": 9, "completion_tokens": 0}}) + DONE, text="",
         flags=int(Flag.EMPTY), wanted={"output_tokens": 2, "prompt_tokens": 9}),
    Case("nothing, and nothing counted", "ollama/ollama#13371", body({
        "id": "chatcmpl-832", "object": "chat.completion", "choices": [{"index": 0, "message": {
            "role": "assistant", "content": None, "refusal": None}, "finish_reason": "stop", "logprobs": None}],
        "usage": {"prompt_tokens": 0, "completion_tokens": 0, "total_tokens": 0}, "error": None}), text="",
        streamed=False, kind="application/json", flags=int(Flag.EMPTY), wanted={"prompt_tokens": -1}),
    Case("an annotation without a delta", "langchain-ai/langchain#18977", HEL + LO + STOP + data({
        "id": "", "object": "", "created": 0, "model": "", "choices": [{"finish_reason": None, "index": 0,
            "content_filter_results": SAFE, "content_filter_offsets": {"check_offset": 4522}}]}) + DONE),
    Case("an annotation between tokens, with raw results", "microsoft/autogen#6465", HEL + data({
        "id": "", "object": "", "model": "", "choices": [{"index": 0, "finish_reason": None,
            "content_filter_results": SAFE, "content_filter_raw": []}], "usage": None}) + LO + END),
    Case("an annotation of the prompt first", "microsoft/semantic-kernel#3650", data({
        "id": "", "choices": [], "created": 0, "model": "", "object": "", "system_fingerprint": None,
        "prompt_filter_results": [{"prompt_index": 0, "content_filter_results": SAFE}]}) + HEL + LO + END),
    Case("a call without an index that ends with stop", "open-webui/computer#224", data({"choices": [{
        "index": 0, "delta": {"tool_calls": [{"id": "f1", "type": "function", "function": {
            "name": "get_weather", "arguments": "{}"}}]}}]}) + data({"choices": [{"index": 0, "delta": {
                "extra_content": {"google": {"thought_signature": "Ej"}}}, "finish_reason": "stop"}]}) + DONE, text=""),
    Case("an end in camel case alone", "jakobdylanc/llmcord#84",
         HEL + data({"choices": [{"index": 0, "delta": {"content": "lo"}, "finish_reason": None,
                                  "finishReason": "stop"}]}) + DONE, wanted={"finish": "stop"}),
    Case("no DONE", "ikawrakow/ik_llama.cpp#467", HEL + LO + STOP, flags=int(Flag.NO_DONE)),
    Case("an annotation and no DONE", "ollama/ollama#12420",
         HEL + LO + data({"choices": [], "object": "chat.completion.chunk"}) + STOP + USAGE, flags=int(Flag.NO_DONE)),
    Case("responses that end with DONE too", "variant of ollama/ollama#14600", CREATED + output("Hel") + output("lo")
         + data({"type": "response.completed", "response": {"status": "completed", "output": []}}) + DONE,
         endpoint="responses"),
    Case("an empty block before a call that ends a turn", "BerriAI/litellm#34692", STARTED
         + data({"type": "content_block_start", "index": 0, "content_block": {"type": "text", "text": ""}})
         + data({"type": "content_block_stop", "index": 0})
         + data({"type": "content_block_start", "index": 1, "content_block": {
             "type": "tool_use", "id": "8a", "name": "Write", "input": {}}})
         + data({"type": "content_block_delta", "index": 1, "delta": {
             "type": "input_json_delta", "partial_json": "{}"}})
         + data({"type": "message_delta", "delta": {"stop_reason": "end_turn"}}) + data({"type": "message_stop"}),
         text="", endpoint="messages", wanted={"finish": "stop"}),
    Case("a last delta without its sequence", "vllm-project/vllm#55324", STARTED + text_delta("Hel") + text_delta("lo")
         + data({"type": "message_delta", "delta": {"stop_reason": "end_turn"}, "usage": {"output_tokens": 2}})
         + data({"type": "message_stop"}), endpoint="messages", wanted={"output_tokens": 2}),
]  # fmt: skip
ALIVE = int(Flag.KEEP_ALIVE)
ZERO = {"prompt_tokens": 0, "completion_tokens": 0, "total_tokens": 0}
NESTED = {"id": "gen_1", "object": "chat.completion.chunk", "error": {
    "code": "error", "message": "Stream error occurred", "name": "AI_TypeValidationError",
    "cause": {"name": "ZodError", "message": "[ ... ]"}, "value": {
        "error_type": "validation_error", "error_message": '{"error":{"message":"too long"}}'}}}  # fmt: skip
LATER = [
    Case("a gateway's own parser failed", "vercel/ai#18303", event(said(role="assistant")) + data(NESTED), IN_STREAM,
         "Stream error occurred"),
    Case("an engine that aborts, then DONE", "vllm-project/vllm#57082", HEL + event(said(finish="abort")) + DONE,
         IN_STREAM, "abort", wanted={"finish": "error"}),
    Case("a line of text behind reasoning", "tetsuo-ai/agenc-core#2492",
         event(said(reasoning_content="hm")) + b"upstream error: read ECONNRESET\n", IN_STREAM, "ECONNRESET"),
    Case("a call that could not be formed", "agentjido/req_llm#935",
         HEL + event(said(finish="MALFORMED_FUNCTION_CALL")) + DONE, IN_STREAM, "MALFORMED_FUNCTION_CALL"),
    Case("a comment inside of data", "mnfst/llm-gateway#2053", b"data: : OPENROUTER PROCESSING\n\n" + HEL + LO + END,
         flags=ALIVE),
    Case("an empty usage", "zed-industries/zed#42893", data({**said("Hel"), "usage": {}}) + LO + END),
    Case("reasoning under both names", "waybarrios/vllm-mlx#310",
         event(said(reasoning="hm", reasoning_content="hm")) + HEL + LO + END, wanted={"events": 3}),
    Case("a keep-alive that is a chunk", "CJackHwang/ds2api#430",
         HEL + data({"id": "1", "object": "chat.completion.chunk", "choices": []}) + LO + END),
    Case("comments between events with ids", "theopenco/llmgateway#2334",
         b"id: 1\n" + HEL + b": ping\n\n" + b"id: 2\n" + LO + END),
    Case("a date under the name of a ping", "lanqian528/chat2api#25",
         b"event: ping\ndata: 2024-04-27 01:35:43.686476\n\n" + HEL + LO + END),
    Case("a retry alone", "openai/openai-python#3833", b"retry: 1000\n\n" + HEL + LO + END),
    Case("nothing in a stream, and nothing counted", "mudler/LocalAI#1609", data({**said(""), "usage": ZERO})
         + data({**said("", finish="stop"), "usage": ZERO}) + DONE, text="", flags=int(Flag.EMPTY),
         wanted={"prompt_tokens": -1}),
]  # fmt: skip

KEY, MODEL = "check the key in PATH", "check the model's name, 'm'"
PAGE_520 = ('<!DOCTYPE html>\n<!--[if lt IE 7]> <html class="no-js ie6 oldie" lang="en-US"> <![endif]-->\n'
            '<!--[if gt IE 8]><!--> <html class="no-js" lang="en-US"> <!--<![endif]-->\n<head>\n\n'
            '<title>api.openai.com | 520: Web server is returning an unknown error</title>\n</head><body></body>')  # fmt: skip
GOOGLE = ('{\n  "error": {\n    "code": 400,\n    "message": "API key not valid. Please pass a valid API key.",\n'
          '    "status": "INVALID_ARGUMENT"\n  }\n}\n')  # fmt: skip
REFUSED: list[tuple[str, str, Any, str, str, str]] = [
    ("continuedev/continue#10748", "400 Bad Request", {"error": {"message": GOOGLE, "code": 400, "status": "Bad Request"}},
     "authentication", "API key not valid", KEY),
    ("openai/codex#1352", "400 Bad Request", {"code": "Client specified an invalid argument",
     "error": "Incorrect API key provided: na***ys. You can obtain an API key from https://console.x.ai."},
     "authentication", "Incorrect API key provided", KEY),
    ("ConardLi/easy-dataset#9", "400 Bad Request", error("Model Not Exist", "invalid_request_error", "invalid_request_error"),
     "bad_request", "Model Not Exist", MODEL),
    ("MoonshotAI/kimi-cli#2209", "429 Too Many Requests",
     error("The engine is currently overloaded, please try again later", "engine_overloaded_error"),
     "overloaded", "The engine is currently overloaded", ""),
    ("continuedev/continue#6185, BerriAI/litellm#25078", "429 Too Many Requests",
     {"object": "error", "message": "Service tier capacity exceeded for this model.", "type": "invalid_request_error",
      "param": None, "code": None}, "overloaded", "Service tier capacity exceeded", ""),
    ("raycast/extensions#31107", "429 Too Many Requests",
     {"object": "error", "message": "Rate limit exceeded", "type": "rate_limited", "param": None, "code": "1300",
      "raw_status_code": 429}, "rate_limited", "Rate limit exceeded", "the API takes no more calls now"),
    ("anthropics/claude-code#8132", "500 Internal Server Error",
     {"type": "error", "error": {"type": "api_error", "message": "Overloaded"}, "request_id": None},
     "overloaded", "Overloaded", ""),
    ("nminaya/grammar-nazi-bot#957", "429 Too Many Requests",
     {"message": "Requests per minute limit exceeded - too many requests sent.", "type": "too_many_requests_error",
      "param": "quota", "code": "request_quota_exceeded"}, "rate_limited", "Requests per minute limit exceeded",
     "the API takes no more calls now"),
    ("MoonshotAI/Kimi-K2#5", "403 Forbidden",
     error("Your account xx is not active, organization xx exceeded current quota, please check your plan and billing "
           "details", "exceeded_current_quota_error"), "quota_exhausted", "Your account xx is not active",
     "no credit is left for the key in PATH"),
    ("crmne/ruby_llm#606", "520 Unknown", PAGE_520, "http_5xx",
     "a page of HTML: api.openai.com | 520: Web server is returning an unknown error", ""),
    ("lucagrippa/obsidian-ai-tagger#34", "400 Bad Request",
     error("Failed to call a function. Please adjust your prompt. See 'failed_generation' for more details.",
           "invalid_request_error", "tool_use_failed", failed_generation=""), "bad_request", "Failed to call a function", ""),
    ("continuedev/continue#9939", "404 Not Found", {"error": {"message": GOOGLE.replace(
        "API key not valid. Please pass a valid API key.", "models/gemini-pro is not found for API version v1beta, or "
        "is not supported for generateContent. Call ListModels to see the list of available models"), "code": 404}},
     "not_found", "models/gemini-pro is not found", MODEL),
    ("Mirrowel/LLM-API-Key-Proxy#18", "404 Not Found",
     [{"error": {"code": 404, "message": "Requested entity was not found.", "status": "NOT_FOUND", "errors": [
         {"message": "Requested entity was not found.", "domain": "global", "reason": "notFound"}]}}],
     "not_found", "Requested entity was not found.", "check the model's name and the base_url"),
    ("stanford-crfm/helm#3327", "400 Bad Request",
     error("The response was filtered due to the prompt triggering Azure OpenAI's content management policy.", None,
           "content_filter", param="prompt", status=400), "bad_request", "The response was filtered", ""),
]  # fmt: skip

NO_THINKING = "parameter.enable_thinking must be set to false for non-streaming calls"
FIELDS = [
    Refused("infiniflow/ragflow#8972, DashScope", "!stream", 400,
            {"error": {"code": "invalid_parameter_error", "param": None, "message": NO_THINKING,
                       "type": "invalid_request_error"}, "id": "chatcmpl-f5", "request_id": "f5"},
            Quirks(stream=True), streamed=False),
    Refused("langchain4j/langchain4j#3974, DashScope's own", "!stream", 400,
            {"statusCode": 400, "message": NO_THINKING, "code": "InvalidParameter", "isJson": True},
            Quirks(stream=True), streamed=False),
    Refused("musistudio/claude-code-router#948, ModelScope", "!stream", 400,
            error("Error from provider(modelscope,m: 400): " + '{"error":{"code":"invalid_parameter_error","message":'
                  '"enable thinking can not be support when `stream=False`."}}', "api_error", "provider_response_error"),
            Quirks(stream=True), streamed=False),
]  # fmt: skip


test_an_answer_is_what_was_foretold, test_and_so_it_is_to_a_watched_client = pair(
    [*FAILED, *GOOD, *LATER]
)


@pytest.mark.parametrize(
    ("source", "status", "value", "kind", "words", "mend"), REFUSED, ids=lambda v: str(v)[:32]
)
def test_a_refusal_is_what_was_foretold(source, status, value, kind, words, mend):
    page = isinstance(value, str)
    found = asked(
        answer(status, value, "text/html" if page else "application/json"), api_key_env="PATH"
    )
    assert found[0] == kind
    assert words in found[1]
    assert "{" not in found[1], "the words, not the JSON around them"
    assert found[2].startswith(mend)
    assert mend or not found[2]


@pytest.mark.parametrize("case", FIELDS, ids=lambda case: case.source)
def test_what_an_api_refuses_is_asked_as_foretold(case):
    call, _ = first_call(case)
    assert (call.quirks, call.ended, call.error_type) == (case.quirks, False, "")
