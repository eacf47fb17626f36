"""The bodies of requests to any API, as files hold them, to a `Request`.

Of OpenAI's chat, responses and completions, Anthropic's messages, and Gemini's generateContent
(https://ai.google.dev/gemini-api/docs/batch-api).
"""

from collections.abc import Mapping
from typing import Any, Final

from holymon.errors import PlanError
from holymon.plan.conversations import about_answer
from holymon.plan.entries import Unfit, whole
from holymon.plan.requests import Request, text_of
from holymon.safety import looks_secret, short

Entry = Mapping[str, Any]

LIMITS: Final = ("max_completion_tokens", "max_tokens", "max_output_tokens")
_NOT_FIELDS: Final = frozenset(
    {
        "model",
        "messages",
        "input",
        "prompt",
        "system",
        "instructions",
        "stream",
        "stream_options",
        "anthropic_version",
        *LIMITS,
    }
)
FIELDS: Final = frozenset(
    "temperature top_p top_k min_p n stop seed tools tool_choice parallel_tool_calls functions "
    "function_call response_format logit_bias logprobs top_logprobs presence_penalty "
    "frequency_penalty repetition_penalty reasoning_effort reasoning thinking verbosity "
    "service_tier prompt_cache_key prompt_cache_retention prompt_cache_isolation_key "
    "cache_prompt cache_salt".split()
)
"""What belongs into the body of a request, where other things may stand beside it.

The last ones decide what a prompt cache does: OpenAI's (guides/prompt-caching), Fireworks'
(guides/prompt-caching), llama.cpp's and vLLM's (server docs). A `user` may be anybody's name in a
file, so it is sent only from a batch, which holds bodies as they were meant.
"""


def limit_of(entry: Entry) -> int | None:
    """The longest answer that an entry asks for."""
    return whole(entry, *LIMITS) or None


def request_of(
    messages: Any, *, body: Entry | None = None, max_tokens: int | None = None,
    tokens: tuple[int | None, int | None] = (None, None), at: float | None = None,
) -> Request:  # fmt: skip
    """A request of a text or of messages; the answer behind them is only as long as expected."""
    given, answer = messages, tokens[1]
    if isinstance(given, list | tuple):
        given = tuple(given)
        if not all(isinstance(message, dict) for message in given):
            raise PlanError("messages must be objects with a role and a content")
        if given and given[-1].get("role") == "assistant":
            if answer is None:
                answer = about_answer(text_of(given[-1].get("content")))
            given = given[:-1]
    if not isinstance(given, str | tuple) or not given:
        raise PlanError("it holds no prompt: write a text, or messages with roles")
    return Request(given, dict(body or {}), max_tokens, tokens[0], answer, at=at)


def of_body(body: Any) -> Request:
    """The body of a request to any of OpenAI's or Anthropic's endpoints."""
    if not isinstance(body, Mapping):
        raise PlanError("its body is no object")
    if "contents" in body:
        return _of_gemini(body)
    given = next((body[name] for name in ("messages", "input", "prompt") if body.get(name)), None)
    if isinstance(given, list) and all(isinstance(item, str) for item in given):
        given = "\n\n".join(given)
    if isinstance(given, list):
        given = [_message_of(item) for item in given]
    if (system := body.get("system") or body.get("instructions")) and given:
        turns = given if isinstance(given, list) else [{"role": "user", "content": given}]
        given = [{"role": "system", "content": system}, *turns]
    return request_of(given, body=fields_of(body), max_tokens=limit_of(body))


def fields_of(body: Any) -> dict[str, Any]:
    """What else a body asks for. Raises PlanError for a key in it."""
    given: Entry = body if isinstance(body, Mapping) else {}
    fields = {name: value for name, value in given.items() if name not in _NOT_FIELDS}
    for name, value in fields.items():
        if isinstance(value, str) and looks_secret(name, value):
            raise PlanError(f"its body holds a key in {short(name, 40)!r}: take it out")
    return fields


def _of_gemini(body: Entry) -> Request:
    """The texts of a request to Gemini, and how long its answer may be."""
    system = body.get("systemInstruction", body.get("system_instruction"))
    contents = body["contents"] if isinstance(body["contents"], list) else [body["contents"]]
    turns = [*([{**system, "role": "system"}] if isinstance(system, Mapping) else []), *contents]
    messages = list[dict[str, Any]]()
    for turn in turns:
        parts = turn.get("parts") if isinstance(turn, Mapping) else None
        parts = [parts] if isinstance(parts, Mapping) else parts or ()
        texts = [part["text"] for part in parts if isinstance(part, Mapping) and "text" in part]
        if len(texts) < max(len(parts), 1) or not all(isinstance(text, str) for text in texts):
            raise Unfit("with parts that are no text")
        role = {"model": "assistant"}.get(turn.get("role"), turn.get("role") or "user")
        messages.append({"role": role, "content": "\n\n".join(texts)})
    config = body.get("generationConfig", body.get("generation_config"))
    config = config if isinstance(config, Mapping) else {}
    most = whole(config, "maxOutputTokens", "max_output_tokens") or None
    fields = {
        name: config[name] for name in ("temperature", "seed") if config.get(name) is not None
    }
    return request_of(messages, body=fields, max_tokens=most)


def _message_of(item: Any) -> Any:
    """An item of the input of a response, as a message."""
    if not isinstance(item, dict) or not isinstance(item.get("content"), list):
        return item
    parts = [
        {"type": "text", "text": part.get("text", "")}
        if isinstance(part, dict) and part.get("type") in ("input_text", "output_text")
        else {"type": "image_url", "image_url": {"url": part.get("image_url")}}
        if isinstance(part, dict) and part.get("type") == "input_image"
        else part
        for part in item["content"]
    ]
    return {"role": item.get("role"), "content": parts}
