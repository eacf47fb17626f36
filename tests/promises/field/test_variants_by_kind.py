"""Answers of providers, gateways and servers whose outcome was written down before they were tried.

Kinds that were wrong are here, and one of each kind that was right and that nothing else plays.
"""

import asyncio
import gzip
from dataclasses import replace
from typing import Any

import pytest

from holymon.protocols.dialects import DIALECTS, of_path
from holymon.records.attempt import Flag

from .cases import DONE, END, HEL, LO, STOP, Case, body, event, pair, watch, whole
from .test_e_reasons import answer, asked, error

IN_STREAM = "stream_error_event"


def data(value: Any) -> bytes:
    """An event with JSON in it."""
    return event(value)


def choice(delta: Any = None, reason: Any = None, **more: Any) -> bytes:
    return data({"choices": [{"index": 0, "delta": delta or {}, "finish_reason": reason}], **more})


def named(name: str, **more: Any) -> bytes:
    return b"event: " + name.encode() + b"\n" + data({"type": name, **more})


STARTED = named("message_start", message={"role": "assistant", "content": [], "usage": {
    "input_tokens": 0, "output_tokens": 0}})  # fmt: skip
HELLO = named("content_block_delta", index=0, delta={"type": "text_delta", "text": "Hello"})
STOPPED = named("message_stop")
REPEATED = data({"choices": [{"finish_reason": "stop", "index": 0, "message": {
    "content": "Hello", "role": "assistant", "name": "MM"}}], "object": "chat.completion",
    "usage": {"total_tokens": 12, "prompt_tokens": 10, "completion_tokens": 2},
    "base_resp": {"status_code": 0, "status_msg": 'Invalid parameters detected, json: unknown field "top_k"'}})  # fmt: skip

FAILED = [
    Case("a reason beside the choices", "groq/groq-python, XGroq.error",
         HEL + choice(x_groq={"id": "req_1", "error": "over capacity, please try again"}) + DONE, IN_STREAM,
         "over capacity"),
    Case("a list with one error in it", "n4ze3m/page-assist#406", HEL + data([{"error": {
        "code": 503, "message": "The model is overloaded.", "status": "UNAVAILABLE"}}]), IN_STREAM,
         "The model is overloaded"),
    Case("the native error of DashScope", "help.aliyun.com, Model Studio; QwenLM/qwen-code#3145",
         b'id:1\nevent:error\n:HTTP_STATUS/400\ndata:{"code":"DataInspectionFailed","message":"Output data may '
         b'contain inappropriate content.","request_id":"r1"}\n\n', IN_STREAM, "inappropriate content",
         wanted={"code": "DataInspectionFailed"}),
    Case("a proxy's words within a stream", "envoyproxy/envoy, upstream connect error",
         HEL + b"upstream connect error or disconnect/reset before headers. reset reason: connection termination",
         IN_STREAM, "reset reason: connection termination"),
    Case("an end by insufficient resources", "api-docs.deepseek.com, create-chat-completion",
         HEL + choice(reason="insufficient_system_resource") + DONE, IN_STREAM, "insufficient_system_resource"),
    Case("another endpoint's events", "a gateway that answers chat as messages",
         STARTED + HELLO + named("message_delta", delta={"stop_reason": "end_turn"}) + STOPPED, "stream_truncated",
         "it answers as /messages does"),
    Case("a limit of calls in a 200", "binary-husky/gpt_academic#1824",
         body({"error_code": 18, "error_msg": "Open api qps request limit reached"}), "rate_limited",
         "qps request limit reached", kind="application/json", watched=False),
    Case("a limit of calls, as Cloudflare lists it", "variant of cloudflare/ai#657, there with 429",
         body({"result": None, "success": False, "messages": [], "errors": [
             {"code": 3021, "message": "rate limiting: inference request per min rate reached"}]}), "rate_limited",
         "inference request per min", kind="application/json", watched=False),
    Case("no credit in a 200", "variant of docs.laozhang.ai, log-query; one-api says 401 or 403",
         body({"success": False, "message": "该令牌额度已用尽"}), "quota_exhausted", "该令牌额度已用尽",
         kind="application/json", watched=False),
    Case("a list on several lines behind tokens", "continuedev/continue#8967; RooCodeInc/Roo-Code#4976",
         HEL + b'[{\n  "error": {\n    "code": 429,\n    "message": "Resource {exhausted.",\n    "status": '
         b'"RESOURCE_EXHAUSTED"\n  }\n}\n]\n', IN_STREAM, "Resource {exhausted."),
    Case("a list on several lines, then DONE", "variant of continuedev/continue#8967",
         HEL + b'[{\n "error": {\n  "message": "exhausted"\n }\n},\n' + DONE, IN_STREAM, "exhausted"),
    Case("a refusal as the first event of a 200", "openclaw/clawrouter#101", named("error", error={
        "message": "invalid request", "type": "invalid_request_error", "code": 400}), IN_STREAM, "invalid request"),
    Case("a keep-alive in the midst of an event", "james-6-23/codex2api#696; open-software-network/os-clovy#659",
         HEL + LO.replace(b'"delta"', b'"de: keep-alive\n\nlta"') + END, "invalid_json", '"de: keep-alive'),
    Case("a response that began, then DONE", "looplj/axonhub#2192", named("response.created", response={}) + DONE,
         "empty_response", endpoint="responses"),
    Case("a response that was cancelled, without a word", "developers.openai.com, background mode", named(
        "response.output_text.delta", delta="Hel") + named("response.cancelled", response={"status": "cancelled"}),
         IN_STREAM, "the response was cancelled", endpoint="responses"),
]  # fmt: skip

TOLD = {"status": "completed", "usage": {"input_tokens": 3, "output_tokens": 2}, "output": [
    {"type": "message", "content": [{"type": "output_text", "text": "Hello"}]}]}  # fmt: skip

GOOD = [
    Case("responses whose text is told when it is over", "Sophomoresty/gemini-web2api#57",
         named("response.created", response={}) + named("response.output_text.done", text="Hello")
         + named("response.completed", response=TOLD), endpoint="responses", wanted={"events": 1, "output_tokens": 2}),
    Case("responses whose text is in the last event alone", "variant of Sophomoresty/gemini-web2api#57",
         named("response.created", response={}) + named("response.completed", response=TOLD), endpoint="responses",
         wanted={"events": 1, "output_tokens": 2}),
    Case("a response that is complete, and says that it is not", "Arthur-Ficial/apfel#412", named(
        "response.output_text.delta", delta="Hello") + named("response.completed", response={
            **TOLD, "status": "incomplete", "incomplete_details": {"reason": "max_output_tokens"}}),
         endpoint="responses", wanted={"finish": "length", "output_tokens": 2}),
    Case("a keep-alive in the form of a delta", "CherryHQ/cherry-studio#20026", named("response.output_text.delta",
         delta="", item_id="SSE-Keep-Alive") + named("response.output_text.delta", delta="Hello")
         + named("response.completed", response=TOLD), endpoint="responses", wanted={"events": 1}),
    Case("a message that ends without its usage", "earendil-works/pi#6567 (MiniMax)", STARTED.replace(
        b'"input_tokens":0', b'"input_tokens":10') + HELLO + named("message_delta", delta={"stop_reason": "end_turn"})
         + STOPPED, endpoint="messages", wanted={"prompt_tokens": 10}),
    Case("vectors in a bare list", "ggml-org/llama.cpp, tools/server/README: /embeddings without /v1",
         body([{"index": n, "embedding": [[0.1, 0.2]]} for n in (0, 1)]), endpoint="embeddings", text="",
         streamed=False, kind="application/json", wanted={"events": 2}, watched=False),
    Case("a charset for a packing", "encode/httpx#195; yhirose/cpp-httplib#2518", HEL + LO + END,
         head="content-encoding: UTF-8\r\n"),
    Case("a last message that repeats it all", "lobehub/lobehub#4054; MiniMax-AI/MiniMax-M2.5#2",
         HEL + LO + REPEATED, flags=int(Flag.NO_DONE), wanted={"prompt_tokens": 10, "output_tokens": 2}),
    Case("each piece a message", "variant of lobehub/lobehub#4054", data({"choices": [
        {"index": 0, "message": {"content": "Hel"}}]}) + data({"choices": [{"index": 0, "message": {"content": "lo"},
                                                                            "finish_reason": "stop"}]}) + DONE),
    Case("what llama.cpp completes in its own form", "ggml-org/llama.cpp, tools/server/README",
         data({"index": 0, "content": "Hello", "tokens": [1], "stop": False, "id_slot": 0})
         + data({"index": 0, "content": "", "stop": True, "stop_type": "limit", "tokens_predicted": 2,
                 "tokens_evaluated": 5, "timings": {"prompt_n": 5, "predicted_n": 2}}), endpoint="completions",
         wanted={"prompt_tokens": 5, "output_tokens": 2, "finish": "length"}),
    Case("the same in one piece", "ggml-org/llama.cpp, tools/server/README", body(
        {"index": 0, "content": "Hello", "stop": True, "stop_type": "eos", "tokens_predicted": 2,
         "tokens_evaluated": 5}), endpoint="completions", streamed=False, kind="application/json",
         wanted={"prompt_tokens": 5, "output_tokens": 2, "finish": "stop"}, watched=False),
    Case("an end for a picture", "HKUDS/Vibe-Trading#308", HEL + LO + choice(reason="IMAGE_PROHIBITED_CONTENT") + DONE,
         wanted={"finish": "content_filter"}),
    Case("all of it counted behind the end", "diegosouzapw/OmniRoute#9750", HEL + LO + STOP + data({
        "choices": [{"index": 0, "delta": {}}], "usage": {"completion_tokens": 8, "prompt_tokens": 287,
        "total_tokens": 295, "prompt_tokens_details": {"cached_tokens": 256}}}) + DONE,
         wanted={"prompt_tokens": 287, "output_tokens": 8, "cached_tokens": 256}),
    Case("a prompt that is counted last", "getpaseo/paseo#4295", STARTED + named("ping") + HELLO
         + named("message_delta", delta={"stop_reason": "end_turn"}, usage={"input_tokens": 50, "output_tokens": 9})
         + STOPPED, endpoint="messages", wanted={"prompt_tokens": 50, "output_tokens": 9}),
    Case("lines that end in CR alone", "withastro/flue#215", (HEL + LO + END).replace(b"\n", b"\r"),
         wanted={"prompt_tokens": 3, "output_tokens": 2}),
    Case("a stream that was packed", "nginx, gzip_types text/event-stream", gzip.compress(HEL + LO + END),
         head="content-encoding: gzip\r\n", wanted={"output_tokens": 2}),
    Case("blank lines until the answer", "deepseek-ai/DeepSeek-R1#91", b"\n\n   \n\n" + body(whole()),
         streamed=False, kind="application/json", wanted={"output_tokens": 2}),
    Case("thoughts and text in one list", "agentjido/req_llm#742; symfony/ai#2422", choice({"content": [
        {"type": "thinking", "thinking": [{"type": "text", "text": "Okay"}]}, {"type": "text", "text": "Hel"}]})
        + LO + END, wanted={"events": 2}),
]  # fmt: skip

test_an_answer_is_what_it_says, test_to_a_watched_client_too = pair([*FAILED, *GOOD])

RETRY = {"@type": "type.googleapis.com/google.rpc.RetryInfo", "retryDelay": "27.5s"}
QUOTA = {"@type": "type.googleapis.com/google.rpc.QuotaFailure", "violations": [{
    "quotaId": "GenerateRequestsPerMinutePerProjectPerModel-FreeTier", "quotaValue": "10"}]}  # fmt: skip
REFUSED: list[tuple[str, str, Any, str, str]] = [
    ("learn.microsoft.com, Azure OpenAI quota", "429 Too Many Requests", error(
        "Requests to the ChatCompletions_Create Operation under Azure OpenAI API version 2024-10-21 have exceeded "
        "token rate limit of your current OpenAI S0 pricing tier. Please retry after 26 seconds. Please go here: "
        "https://aka.ms/oai/quotaincrease if you would like to further increase the default rate limit.", None, "429"),
     "rate_limited", "have exceeded token rate limit"),
    ("OpenCode2API#5", "401 Unauthorized", {"type": "error", "error": {
        "type": "CreditsError", "message": "Insufficient balance. Manage your billing here: https://x"}},
     "quota_exhausted", "Insufficient balance"),
    ("continue#11823; CowAgent#2910", "429 Too Many Requests", error("余额不足或无可用资源包,请充值。", None, "1113"),
     "quota_exhausted", "余额不足"),
    ("MiniMax-AI/MiniMax-M2#62", "500 Internal Server Error", {"type": "error", "error": {
        "type": "api_error", "message": "insufficient balance (1008)"}}, "quota_exhausted", "insufficient balance"),
    ("FoundationAgents/OpenManus#438", "403 Forbidden", {"code": 30011, "data": None, "message":
     "The selected model requires paid balance. Your paid balance is insufficient. Please top up and try again."},
     "quota_exhausted", "paid balance is insufficient"),
    ("huggingface_hub#2514", "422 Unprocessable Entity", {"error_type": "validation", "error":
     "Input validation error: `inputs` tokens + `max_new_tokens` must be <= 4096. Given: 17 and 4091"},
     "unprocessable", "must be <= 4096"),
]  # fmt: skip


@pytest.mark.parametrize(("source", "status", "value", "kind", "words"), REFUSED)
def test_a_refusal_is_what_it_says(source, status, value, kind, words):
    found = asked(answer(status, value, "application/json"), api_key_env="PATH")
    assert (found[0], words in found[1]) == (kind, True)


def test_the_wait_that_an_error_of_google_asks_for_is_noted():
    """ai.google.dev, rate limits; google.aip.dev/193: no header says it."""
    words = "You exceeded your current quota, please check your plan and billing details. Quota exceeded for metric"
    refused = Case("", "", body([{"error": {"code": 429, "message": words, "status": "RESOURCE_EXHAUSTED",
                                            "details": [QUOTA, RETRY]}}]), status="429 Too Many Requests",
                   kind="application/json")  # fmt: skip
    (row,) = asyncio.run(watch(refused)).rows
    assert row["retry_after_s"] == 27.5
    (row,) = asyncio.run(
        watch(replace(refused, body=body(error(f"{words} x.\nPlease retry in 38.5s."))))
    ).rows
    assert row["retry_after_s"] == 38.5, (
        "anomalyco/opencode#49039: nor do all say it in the details"
    )


def test_a_watched_client_of_llama_cpp_is_understood_at_its_own_path():
    assert of_path("/completion") is of_path("/v1/completions") is DIALECTS["completions"]
    assert of_path("/v1/chat/completions") is DIALECTS["chat"]
