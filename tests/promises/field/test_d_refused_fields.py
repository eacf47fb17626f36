"""D. Requests that an API takes otherwise: a refusal of a field, in any words, is heard at once.

Each is played by a server that refuses a field for as long as it is sent, in the words of the
report, and answers without it. What is no refusal of a field changes nothing.
"""

import asyncio
import json
from dataclasses import dataclass, field
from typing import Any

import pytest

from holymon.load.first_call import FirstCalls
from holymon.plan.plan import Closed, Plan, Prompts, Target
from holymon.plan.quirks import Quirks

from .picky import Picky, error

INSTEAD = "Unsupported parameter: 'max_tokens' is not supported with this model. Use 'max_completion_tokens' instead."
VERIFY = ("Your organization must be verified to stream this model. Please go to: "
          "https://platform.openai.com/settings/organization/general and click on Verify Organization.")  # fmt: skip
OPTIONS = {"include_usage": True}
COMPLETION, UNLIMITED = Quirks(max_tokens="max_completion_tokens"), Quirks(max_tokens="")
UNCOUNTED, WHOLE, STREAMED = Quirks(stream_options=False), Quirks(stream=False), Quirks(stream=True)


@dataclass(frozen=True)
class Refused:
    """Which field is refused how, and how the load is to be sent then."""

    source: str
    fields: str
    status: int
    value: Any
    quirks: Quirks
    endpoint: str = "chat"
    streamed: bool = True
    more: dict[str, Any] = field(default_factory=dict)


def extra(name: str, kind: str = "extra_forbidden", words: str = "Extra inputs are not permitted"):
    return {"type": kind, "loc": ["body", name], "msg": words, "input": OPTIONS}


def embedded(value: Any) -> str:
    """JSON in the words of another error, as gateways hand it on."""
    return json.dumps(value, indent=1)


CASES = {
    "max_tokens": [
        Refused("griptape-ai/ComfyUI-Griptape#312, gpt-5", "max_tokens", 400,
                error(INSTEAD, "max_tokens", "unsupported_parameter"), COMPLETION),
        Refused("ericc-ch/copilot-api#222, no param", "max_tokens", 400,
                {"error": {"message": INSTEAD, "code": "invalid_request_body"}}, COMPLETION),
        Refused("RooCodeInc/Roo-Code#274, litellm's words around it", "max_tokens", 400,
                error(f"litellm.BadRequestError: OpenAIException - {embedded(error(INSTEAD))}"), COMPLETION),
        Refused("variant of RooCodeInc/Roo-Code#274, a 500", "max_tokens", 500, error(f"upstream: {INSTEAD}"), COMPLETION),
        Refused("variant of griptape-ai/ComfyUI-Griptape#312, inside a stream", "max_tokens", 200,
                b"data: " + json.dumps(error(INSTEAD)).encode() + b"\n\n", COMPLETION),
        Refused("variant of griptape-ai/ComfyUI-Griptape#312, a property", "max_tokens", 400,
                error("property 'max_tokens' is unsupported, did you mean 'max_completion_tokens'?"), COMPLETION),
        Refused("variant of vercel/ai#3309 (Azure, o1), MaxTokens", "max_tokens", 400,
                error("this model is not supported MaxTokens or MaxCompletionTokens", code="BadRequest"), UNLIMITED),
        Refused("variant of gpustack/gpustack#429, pydantic 1", "max_tokens", 422,
                {"detail": [extra("max_tokens", "value_error.extra", "extra fields not permitted")]}, UNLIMITED),
        Refused("variant of griptape-ai/ComfyUI-Griptape#312, neither name is taken", "max_tokens max_completion_tokens", 400,
                error("Unknown parameter: the limit. Use 'max_completion_tokens' instead of max_tokens; "
                      "max_completion_tokens is not supported"), UNLIMITED),
        Refused("RayBytes/ChatMock#103, Responses of Codex", "max_output_tokens", 400,
                {"detail": "Unsupported parameter: max_output_tokens"}, UNLIMITED, endpoint="responses"),
    ],
    "stream_options": [
        Refused("gpustack/gpustack#429, FastAPI", "stream_options", 422, {"detail": [extra("stream_options")]}, UNCOUNTED),
        Refused("variant of gpustack/gpustack#429, vLLM's own form", "stream_options", 400,
                {"object": "error", "message": str([extra("stream_options")]), "type": "BadRequestError",
                 "param": None, "code": 400}, UNCOUNTED),
        Refused("nomtek/mistralai_client_dart#44, Mistral", "stream_options", 422,
                {"object": "error", "message": {"detail": [extra("stream_options")]}, "code": None}, UNCOUNTED),
        Refused("FlowiseAI/Flowise#2866, Fireworks", "stream_options", 400,
                error(f"Extra inputs are not permitted, field: 'stream_options', value: {OPTIONS}"), UNCOUNTED),
        Refused("BerriAI/litellm#9916, by what is in them alone", "stream_options", 500, error(
            "litellm.APIConnectionError: BedrockException - extraneous key [include_usage] is not permitted"), UNCOUNTED),
        Refused("songquanpeng/one-api#1423, Azure", "stream_options", 400,
                error("Unrecognized request argument supplied: stream_options"), UNCOUNTED),
        Refused("feiskyer/chatgpt-copilot#173", "stream_options", 400,
                error("Unknown parameter: 'stream_options'. (request id: 2024)", "stream_options", "unknown_parameter"),
                UNCOUNTED),
        Refused("variant of gpustack/gpustack#429, its part", "stream_options", 422,
                {"detail": [{**extra("x"), "loc": ["body", "stream_options", "include_usage"]}]}, UNCOUNTED),
        Refused("variant of Portkey-AI/gateway#848, Databricks", "stream_options", 400,
                {"error_code": "BAD_REQUEST", "message": embedded({"message": "stream_options: Extra inputs are not permitted"})},
                UNCOUNTED),
        Refused("variant of feiskyer/chatgpt-copilot#173, Go's encoding/json", "stream_options", 400, b'json: unknown field "stream_options"', UNCOUNTED),
        Refused("variant of huggingface/text-generation-inference#3155, Rust's serde", "stream_options", 422,
                error("stream_options: unknown field `stream_options`, expected one of `model`, `max_tokens`, `stream`"),
                UNCOUNTED),
        Refused("variant of feiskyer/chatgpt-copilot#173, JSON Schema", "stream_options", 400,
                {"errors": [{"message": "oneOf at '/' not met: additional property 'stream_options' not allowed"}]}, UNCOUNTED),
    ],
    "stream": [
        Refused("BeehiveInnovations/pal-mcp-server#134, o3", "stream", 400, error(VERIFY, "stream", "unsupported_value"), WHOLE),
        Refused("variant of BeehiveInnovations/pal-mcp-server#134, OpenRouter", "stream", 400,
                {"error": {"message": "Provider returned error", "code": 400, "metadata": {"raw": embedded(error(VERIFY, "stream"))}}},
                WHOLE),
        Refused("simonw on github/gh-models#31, o1", "stream", 400,
                error("Unsupported value: 'stream' does not support true with this model. Supported values are: false.",
                      "stream", "unsupported_value"), WHOLE),
        Refused("huggingface/chat-ui#296", "stream", 400,
                {"error": ["Error in `stream`: `stream` is not supported for this model"]}, WHOLE),
        Refused("stulzq/azure-openai-proxy#63", "stream", 400,
                {"message": "Streaming completion is not support yet, please remove 'stream' key value in the request payload."},
                WHOLE),
        Refused("danny-avila/LibreChat#8877, Bedrock", "stream", 400, {"message": "The model is unsupported for streaming."}, WHOLE),
        Refused("Portkey-AI/gateway#848, Bedrock", "stream", 400,
                error("bedrock error: Malformed input request: #: extraneous key [stream] is not permitted, please reformat"), WHOLE),
        Refused("variant of huggingface/chat-ui#296, a 501", "stream", 501, {"error": "streaming is not implemented"}, WHOLE),
        Refused("variant of Portkey-AI/gateway#848, Anthropic's dialect", "stream", 400,
                {"type": "error", "error": {"type": "invalid_request_error", "message": "stream: Extra inputs are not permitted"}},
                WHOLE, endpoint="messages"),
        Refused("infiniflow/ragflow#5912, streams only", "!stream", 400,
                error("This model only support stream mode, please enable the stream parameter to access the model. "),
                STREAMED, streamed=False),
        Refused("editor-code-assistant/eca-emacs#183", "!stream", 400, {"detail": "Stream must be set to true"}, STREAMED,
                streamed=False),
    ],
}  # fmt: skip
NOTHING = [
    Refused("the model is unknown", "*", 404, error("The model `m` does not exist", None, "model_not_found"), Quirks()),
    Refused("another field", "*", 400,
            error("Unsupported value: 'temperature' does not support 0.2 with this model.", "temperature", "unsupported_value"), Quirks()),
    Refused("a field that is missing; the whole request is repeated", "*", 422,
            {"detail": [{"type": "missing", "loc": ["body", "prompt"], "msg": "Field required",
                         "input": {"max_tokens": 16, "stream": True, "stream_options": OPTIONS}}]}, Quirks()),
    Refused("we0-dev/we0#56, a value", "*", 400, error("Invalid max_tokens value, the valid range of max_tokens is [1, 8]"), Quirks()),
    Refused("earendil-works/pi#6265, a value", "*", 400,
            error("Invalid 'max_tokens': integer below minimum value. Expected a value >= 16, but got 1 instead.",
                  "max_tokens", "integer_below_min_value"), Quirks()),
    Refused("the prompt is too long", "*", 400,
            error("This model's maximum context length is 4097 tokens, you requested 5000 (4000 in max_tokens)."), Quirks()),
    Refused("OpenRouter, too little credit", "*", 402,
            error("This request requires more credits, or fewer max_tokens. max_tokens: 64 is not allowed"), Quirks()),
    Refused("a limit of tokens in a minute", "*", 429, error("max_tokens is not supported at this rate: stream is not available"), Quirks()),
    Refused("a gateway's stream that broke", "*", 502, error("Unexpected end of stream, could not read the stream"), Quirks()),
]  # fmt: skip


def rule(case: Refused):
    """A server that refuses what a case tells, and counts how often."""
    names, (first, *_) = case.fields.split(), case.fields

    def refuse(body: dict[str, Any], _number: int):
        if first == "!":
            refused = not body.get("stream")
        else:
            refused = first == "*" or any(body.get(name) for name in names)
        return (case.status, case.value) if refused else None

    return refuse


def first_call(case: Refused, **limits: Any):
    with Picky(rule(case)) as server:
        target = Target(provider="url", model="m", base_url=server.url, endpoint=case.endpoint)
        plan = Plan(targets=(target,), load=Closed(users=1), requests=1, timeout_s=10,
                    prompts=Prompts(stream=case.streamed), **limits)  # fmt: skip
        (call,) = asyncio.run(FirstCalls(plan).run())
    return call, server


ALL = [case for kind in CASES.values() for case in kind]


@pytest.mark.parametrize("case", ALL, ids=lambda case: case.source.replace(" ", "-"))
def test_what_an_api_refuses_is_left_out_or_sent_as_it_asks(case):
    call, _ = first_call(case)
    assert (call.quirks, call.ended) == (case.quirks, False)
    if case.endpoint != "chat":  # the answer is of another dialect then: it is not what counts here
        return
    assert (call.error_type, len(call.refused)) == ("", len(case.fields.split()))
    assert all(call.refused), "the API's own words are kept"


@pytest.mark.parametrize("case", NOTHING, ids=lambda case: case.source.replace(" ", "-"))
def test_what_is_no_refusal_of_a_field_changes_nothing(case):
    call, server = first_call(case)
    assert (call.quirks, call.refused) == (Quirks(), ())
    assert call.ended == (case.status in {400, 402, 404, 422})
    bodies = {json.dumps({**body, "max_tokens": 0}) for body in server.firsts}
    assert len(bodies) == 1, "but for a longer answer, the same was asked"
