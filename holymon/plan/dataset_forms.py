"""Requests in the forms in which they lie around: one entry of a file to a `Request`.

Of an object with `prompt`, `text` or `messages`, of OpenAI's and Anthropic's batches, of ShareGPT's
conversations, and of what LiteLLM and Langfuse keep of calls. Sources:
https://platform.openai.com/docs/guides/batch, .../guides/supervised-fine-tuning (a last message of
the assistant is the answer that is wanted), https://docs.anthropic.com/en/api/creating-message-batches,
https://github.com/lm-sys/FastChat (ShareGPT's form), docs.nvidia.com/aiperf (Custom Dataset Guide,
for sessions of turns), https://docs.litellm.ai/docs/proxy/logging_spec
and https://langfuse.com/docs/api-and-data-platform/features/blob-storage-export-fields.
"""

from collections.abc import Callable, Mapping, Sequence
from typing import Any, Final, NamedTuple

from holymon.errors import PlanError
from holymon.plan.conversations import about_answer
from holymon.plan.entries import Unfit, parsed, whole
from holymon.plan.replay_file import time_of
from holymon.plan.requests import Request, text_of
from holymon.plan.traces import delay_of, of_trace, trace_of
from holymon.safety import looks_secret, short

Entry = Mapping[str, Any]

LIMITS: Final = ("max_completion_tokens", "max_tokens", "max_output_tokens")
_NOT_FIELDS: Final = frozenset(
    {"model", "messages", "input", "prompt", "system", "stream", "stream_options", *LIMITS}
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

_ROLES: Final = {
    "human": "user", "user": "user", "gpt": "assistant", "chatgpt": "assistant",
    "assistant": "assistant", "model": "assistant", "bing": "assistant", "bard": "assistant",
    "system": "system",
}  # fmt: skip


class How(NamedTuple):
    """What is told of a file: the column or field of its prompts, the unit of its times.

    Whether what it holds are to be `conversations`, and with the `recorded` answers.
    """

    column: str = ""
    unit: str = ""
    conversations: bool = False
    recorded: bool = False


AS_IT_IS: Final = How()


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


def of_prompt(entry: Entry, how: How = AS_IT_IS) -> Request:
    """An object with `prompt`, `text` or `messages`, or with a `column` that holds it."""
    column = how.column
    names = (column,) if column else ("messages", "prompt", "text")
    value = next((entry[name] for name in names if entry.get(name)), None)
    if not isinstance(value, str | list):
        wanted = f"a field {column!r}" if column else "a field 'prompt', 'text' or 'messages'"
        raise PlanError(f"it holds no prompt: a string, or {wanted}")
    messages = parsed(value) if column == "messages" or value == entry.get("messages") else value
    body = {name: entry[name] for name in FIELDS & entry.keys() if entry[name] is not None}
    sizes = whole(entry, "prompt_tokens"), whole(entry, "output_tokens")
    return request_of(messages, body=body, max_tokens=limit_of(entry), tokens=sizes)


def of_body(body: Any) -> Request:
    """The body of a request to any of OpenAI's or Anthropic's endpoints."""
    if not isinstance(body, Mapping):
        raise PlanError("its body is no object")
    given = next((body[name] for name in ("messages", "input", "prompt") if body.get(name)), None)
    if isinstance(given, list) and all(isinstance(item, str) for item in given):
        given = "\n\n".join(given)
    if isinstance(given, list):
        given = [_message_of(item) for item in given]
    if (system := body.get("system")) and isinstance(given, list):
        given = [{"role": "system", "content": system}, *given]
    fields = {name: value for name, value in body.items() if name not in _NOT_FIELDS}
    for name, value in fields.items():
        if isinstance(value, str) and looks_secret(name, value):
            raise PlanError(f"its body holds a key in {short(name, 40)!r}: take it out")
    return request_of(given, body=fields, max_tokens=limit_of(body))


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


def of_batch(entry: Entry, how: How = AS_IT_IS) -> Request:
    """A line of a batch: its body, whatever its model and its address."""
    del how
    return of_body(entry.get("body", entry.get("params")))


def of_conversation(entry: Entry, how: How = AS_IT_IS) -> Request:
    """A recorded conversation: all of it up to the last word of a person that got an answer."""
    del how
    turns = entry.get("conversations", entry.get("conversation"))
    if not isinstance(turns, list):
        raise PlanError("its conversations are no list")
    messages = [_turn(turn) for turn in turns]
    roles = [message["role"] for message in messages]
    if "user" not in roles:
        raise Unfit("without a word of a person")
    last = len(roles) - 1 - roles[::-1].index("user")
    begin = next(k for k, role in enumerate(roles) if role != "assistant")
    answers = [text_of(message["content"]) for message in messages[last + 1 :]]
    expected = about_answer(answers[0]) if answers else None
    return request_of(messages[begin : last + 1], tokens=(None, expected))


def _turn(turn: Any) -> dict[str, Any]:
    if not isinstance(turn, Mapping):
        raise PlanError("a turn of its conversation is no object")
    role = turn.get("from", turn.get("role"))
    content = turn.get("value", turn.get("content"))
    if role not in _ROLES or not isinstance(content, str):
        raise Unfit("with turns of tools, or without text")
    return {"role": _ROLES[role], "content": content}


def of_litellm(entry: Entry, how: How = AS_IT_IS) -> Request:
    """A call that LiteLLM logged: its messages, or, where it kept none, their size."""
    del how
    given: Any = parsed(entry.get("messages"))
    sent = parsed(entry.get("proxy_server_request"))
    if not isinstance(given, list | str) and isinstance(sent, Mapping):
        given = parsed(sent.get("messages", sent.get("input")))
    fields = parsed(entry.get("model_parameters"))
    sizes = whole(entry, "prompt_tokens"), whole(entry, "completion_tokens")
    return _of_log(given, fields, sizes, entry.get("startTime"))


def of_langfuse(entry: Entry, how: How = AS_IT_IS) -> Request:
    """A generation that Langfuse observed: its input, or, where it kept none, its size."""
    del how
    if str(entry.get("type", "GENERATION")).upper() != "GENERATION":
        raise Unfit("no generations")
    given: Any = parsed(entry.get("input"))
    if isinstance(given, Mapping):
        given = given.get("messages", given.get("prompt"))
    usage = _first_object(entry, "usageDetails", "usage_details", "usage")
    sizes = (
        whole({**usage, **entry}, "promptTokens", "inputUsage", "input", "input_tokens"),
        whole({**usage, **entry}, "completionTokens", "outputUsage", "output", "output_tokens"),
    )
    if sizes[0] is None:
        sizes = whole(usage, "input"), whole(usage, "output")
    fields = _first_object(entry, "modelParameters", "model_parameters")
    return _of_log(given, fields, sizes, entry.get("startTime", entry.get("start_time")))


def _first_object(entry: Entry, *names: str) -> Entry:
    values = (parsed(entry.get(name)) for name in names)
    return next((value for value in values if isinstance(value, Mapping) and value), {})


def _of_log(given: Any, fields: Any, sizes: tuple[int | None, int | None], moment: Any) -> Request:
    at = time_of(moment)
    known: Entry = fields if isinstance(fields, Mapping) else {}
    if given and isinstance(given, list | str):
        body = {name: known[name] for name in FIELDS & known.keys() if known[name] is not None}
        return request_of(given, body=body, max_tokens=limit_of(known), tokens=sizes, at=at)
    if not sizes[0]:
        raise Unfit("with neither a text nor a number of tokens")
    return Request(
        prompt_tokens=sizes[0], max_tokens=sizes[1] or None, output_tokens=sizes[1], at=at
    )


def of_turns(entry: Entry, how: How = AS_IT_IS) -> Request:
    """A session with a list of turns, as AIPerf has them: each is what the user says next."""
    del how
    given = entry.get("turns")
    if not isinstance(given, list) or not given:
        raise PlanError("its turns are no list")
    turns = [{"text": turn} if isinstance(turn, str) else turn for turn in given]
    if not all(isinstance(turn, Mapping) for turn in turns):
        raise PlanError("a turn of it is no object")
    ahead = [{"role": "system", "content": turns[0].get("text")}] if (
        turns[0].get("role") == "system" and len(turns) > 1
    ) else []  # fmt: skip
    requests = [_of_turn(turn) for turn in turns[len(ahead) :]]
    if ahead:
        requests[0] = requests[0].changed(messages=[*ahead, *requests[0].turns()])
    return requests[0].changed(then=tuple(requests[1:]))


def _of_turn(turn: Entry) -> Request:
    text = turn.get("text", turn.get("content", turn.get("texts")))
    if isinstance(text, list) and all(isinstance(part, str) for part in text):
        text = "\n\n".join(text)
    if not isinstance(text, str) or not text:
        raise PlanError("a turn of it holds no text: write it in a field 'text'")
    if any(turn.get(name) for name in ("image", "images", "audio", "audios", "video", "videos")):
        raise Unfit("with pictures or sounds in turns")
    extra = turn.get("extra")
    return Request(
        text, dict(extra) if isinstance(extra, Mapping) else {}, limit_of_turn(turn),
        think_s=delay_of(turn),
    )  # fmt: skip


def limit_of_turn(turn: Entry) -> int | None:
    """The longest answer that a turn asks for."""
    return whole(turn, *LIMITS, "output_length") or None


def of_sizes(entry: Entry, how: How = AS_IT_IS) -> Request:
    """A line of a trace: its sizes, and when it came."""
    return of_trace(entry, how.unit)


Form = Callable[[Entry, How], Request]
_FORMS: Final[tuple[tuple[str, Form, Sequence[set[str]]], ...]] = (
    ("a batch of OpenAI's", of_batch, ({"custom_id", "body"}, {"url", "body"})),
    ("a batch of Anthropic's", of_batch, ({"custom_id", "params"},)),
    ("sessions of turns", of_turns, ({"turns"},)),
    ("ShareGPT", of_conversation, ({"conversations"}, {"conversation"})),
    ("a log of LiteLLM's", of_litellm, ({"call_type"},)),
    ("an export of Langfuse's", of_langfuse,
     ({"input", "traceId"}, {"input", "trace_id"}, {"input", "modelParameters"},
      {"input", "model_parameters"})),
)  # fmt: skip


def form_of(entry: Entry, column: str = "") -> tuple[str, Form]:
    """What an entry is of, by its fields, and what makes a request of it."""
    if not column:
        for name, form, marks in _FORMS:
            if any(mark <= entry.keys() for mark in marks):
                return name, form
        if (kind := trace_of(entry)) is not None:
            return f"a trace of {kind.name}", of_sizes
    return "", of_prompt
