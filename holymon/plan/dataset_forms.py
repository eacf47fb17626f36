"""Requests in the forms in which they lie around: one entry of a file to a `Request`.

Of an object with `prompt`, `text` or `messages`, of OpenAI's, Anthropic's and Gemini's batches, of
ShareGPT's conversations, of Alpaca's instructions, and of what LiteLLM, Langfuse and others keep of
calls. Sources:
https://platform.openai.com/docs/guides/batch, .../guides/supervised-fine-tuning (a last message of
the assistant is the answer that is wanted), https://docs.anthropic.com/en/api/creating-message-batches,
https://github.com/lm-sys/FastChat (ShareGPT's form), https://github.com/tatsu-lab/stanford_alpaca,
docs.nvidia.com/aiperf (Custom Dataset Guide, Inputs JSON Replay, for sessions),
https://docs.helicone.ai (exports hold both bodies), https://huggingface.co/docs/text-generation-inference,
https://docs.litellm.ai/docs/proxy/logging_spec
and https://langfuse.com/docs/api-and-data-platform/features/blob-storage-export-fields.
"""

from collections.abc import Callable, Mapping, Sequence
from functools import partial
from typing import Any, Final, NamedTuple

from holymon.errors import PlanError
from holymon.plan.conversations import about_answer
from holymon.plan.dataset_bodies import (
    FIELDS,
    LIMITS,
    Entry,
    fields_of,
    limit_of,
    of_body,
    request_of,
)  # fmt: skip
from holymon.plan.entries import Unfit, parsed, whole
from holymon.plan.recorded_calls import of_capture, of_invocation
from holymon.plan.replay_file import time_of
from holymon.plan.requests import Request, text_of
from holymon.plan.traces import delay_of, of_trace, trace_of
from holymon.safety import plain, short

_ROLES: Final = {
    "human": "user", "user": "user", "gpt": "assistant", "chatgpt": "assistant",
    "assistant": "assistant", "model": "assistant", "bing": "assistant", "bard": "assistant",
    "system": "system",
}  # fmt: skip


class How(NamedTuple):
    """What is told of a file: the column or field of its prompts, the unit of its times.

    Whether what it holds are to be `conversations`, and with the `recorded` answers; `sample`: so
    many entries are drawn of it (0: all are taken).
    """

    column: str = ""
    unit: str = ""
    conversations: bool = False
    recorded: bool = False
    sample: int = 0


AS_IT_IS: Final = How()


def of_prompt(entry: Entry, column: str) -> Request:
    """An object with `prompt`, `text` or `messages`, or with a `column` that holds it."""
    names = (column,) if column else _PROMPTS
    value = next((entry[name] for name in names if entry.get(name)), None)
    if not isinstance(value, str | list):
        wanted = f"a field {column!r}" if column else "a field 'prompt', 'text' or 'messages'"
        there = plain(", ".join(short(name, 40) for name in list(entry)[:12]))
        other = f", or name one of its own with --column ({there})" * bool(there and not column)
        raise PlanError(f"it holds no prompt: a string, or {wanted}{other}")
    messages = parsed(value) if column == "messages" or value == entry.get("messages") else value
    body = {name: entry[name] for name in FIELDS & entry.keys() if entry[name] is not None}
    sizes = whole(entry, "prompt_tokens"), whole(entry, "output_tokens")
    # vLLM's custom dataset asks for answers of just so many.
    limit = limit_of(entry) or sizes[1] or None
    return request_of(messages, body=body, max_tokens=limit, tokens=sizes)


_PROMPTS: Final = ("messages", "prompt", "text", "question", "query")


def of_batch(entry: Entry) -> Request:
    """A line of a batch: its body, whatever its model and its address."""
    names = ("body", "params", "request_body", "request")
    body = next((parsed(entry[name]) for name in names if entry.get(name)), None)
    inner = parsed(body.get("body")) if isinstance(body, Mapping) else None
    moments = (entry.get(name) for name in ("request_created_at", "createdAt", "created_at"))
    date = next((moment for moment in moments if isinstance(moment, str)), None)
    return of_body(inner if isinstance(inner, Mapping) else body).changed(at=time_of(date))


def of_instruction(entry: Entry) -> Request:
    """An instruction with what it is about, as Alpaca has them; its output is only as long."""
    given = [entry[name] for name in ("instruction", "input") if entry.get(name)]
    if not all(isinstance(text, str) for text in given):
        raise PlanError("its instruction is no text")
    output = entry.get("output")
    expected = about_answer(output) if isinstance(output, str) and output else None
    return request_of("\n\n".join(given), tokens=(None, expected))


def of_inputs(entry: Entry) -> Request:
    """A request to Text Generation Inference's own API."""
    parameters = entry.get("parameters")
    known: Entry = parameters if isinstance(parameters, Mapping) else {}
    return request_of(entry.get("inputs"), max_tokens=whole(known, "max_new_tokens") or None)


def of_payloads(entry: Entry) -> Request:
    """A session of whole bodies, each with all that was said before."""
    payloads = entry.get("payloads")
    if not isinstance(payloads, list) or not payloads:
        raise PlanError("its payloads are no list")
    first, *then = (of_body(payload) for payload in payloads)
    return first.changed(then=tuple(turn.changed(whole=True) for turn in then))


_CONVERSATIONS: Final = ("conversations", "conversation", "items")


def of_conversation(entry: Entry) -> Request:
    """A recorded conversation: all of it up to the last word of a person that got an answer."""
    turns = next((entry[name] for name in _CONVERSATIONS if entry.get(name)), None)
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
    system = entry.get("system")
    ahead = [{"role": "system", "content": system}] if system and isinstance(system, str) else []
    return request_of([*ahead, *messages[begin : last + 1]], tokens=(None, expected))


def _turn(turn: Any) -> dict[str, Any]:
    if not isinstance(turn, Mapping):
        raise PlanError("a turn of its conversation is no object")
    role = turn.get("from", turn.get("role"))
    content = turn.get("value", turn.get("content"))
    if role not in _ROLES or not isinstance(content, str):
        raise Unfit("with turns of tools, or without text")
    return {"role": _ROLES[role], "content": content}


def of_litellm(entry: Entry) -> Request:
    """A call that LiteLLM logged: its messages, or, where it kept none, their size."""
    given: Any = parsed(entry.get("messages"))
    sent = parsed(entry.get("proxy_server_request"))
    if not isinstance(given, list | str) and isinstance(sent, Mapping):
        given = parsed(sent.get("messages", sent.get("input")))
    fields = {**_object(sent), **_object(parsed(entry.get("model_parameters")))}
    sizes = whole(entry, "prompt_tokens"), whole(entry, "completion_tokens")
    return _of_log(given, fields, sizes, entry.get("startTime"))


def of_langfuse(entry: Entry) -> Request:
    """A generation that Langfuse observed: its input, or, where it kept none, its size."""
    if str(entry.get("type", "GENERATION")).upper() != "GENERATION":
        raise Unfit("no generations")
    given: Any = parsed(entry.get("input"))
    beside = _object(given)
    if isinstance(given, Mapping):
        given = given.get("messages", given.get("prompt"))
    usage = _first_object(entry, "usageDetails", "usage_details", "usage")
    sizes = (
        whole({**usage, **entry}, "promptTokens", "inputUsage", "input", "input_tokens"),
        whole({**usage, **entry}, "completionTokens", "outputUsage", "output", "output_tokens"),
    )
    if sizes[0] is None:
        sizes = whole(usage, "input"), whole(usage, "output")
    fields = {**beside, **_first_object(entry, "modelParameters", "model_parameters")}
    return _of_log(given, fields, sizes, entry.get("startTime", entry.get("start_time")))


def _first_object(entry: Entry, *names: str) -> Entry:
    values = (_object(parsed(entry.get(name))) for name in names)
    return next(filter(None, values), {})


def _object(value: Any) -> Entry:
    return value if isinstance(value, Mapping) else {}


def _of_log(given: Any, known: Entry, sizes: tuple[int | None, int | None], moment: Any) -> Request:
    at = time_of(moment)
    if given and isinstance(given, list | str):
        body = {name: known[name] for name in FIELDS & known.keys() if known[name] is not None}
        return request_of(given, body=body, max_tokens=limit_of(known), tokens=sizes, at=at)
    if not sizes[0]:
        raise Unfit("with neither a text nor a number of tokens")
    return Request(
        prompt_tokens=sizes[0], max_tokens=sizes[1] or None, output_tokens=sizes[1], at=at
    )


def of_turns(entry: Entry) -> Request:
    """A session with a list of turns, as AIPerf has them: each is what the user says next."""
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
    return Request(
        text, fields_of(turn.get("extra")),
        whole(turn, *LIMITS, "output_length") or None, think_s=delay_of(turn),
    )  # fmt: skip


Form = Callable[[Entry], Request]
_FORMS: Final[tuple[tuple[str, Form, Sequence[set[str]]], ...]] = (
    ("a batch of OpenAI's", of_batch, ({"custom_id", "body"}, {"url", "body"})),
    ("a batch of Anthropic's", of_batch, ({"custom_id", "params"},)),
    ("requests with their answers", of_batch, ({"request_body"}, {"request", "response"})),
    ("what SageMaker captured", of_capture, ({"captureData"},)),
    ("a log of Bedrock's", of_invocation, ({"schemaType", "modelId", "input"},)),
    ("a batch of Gemini's", of_batch, ({"key", "request"}, {"request"})),
    ("sessions of turns", of_turns, ({"turns"},)),
    ("sessions of requests", of_payloads, ({"payloads"},)),
    ("ShareGPT", of_conversation, ({"conversations"}, {"conversation"}, {"id", "items"})),
    ("Alpaca", of_instruction, ({"instruction", "output"}, {"instruction", "input"})),
    ("requests of TGI's", of_inputs, ({"inputs", "parameters"},)),
    ("a log of LiteLLM's", of_litellm, ({"call_type"}, {"request_id", "startTime"})),
    ("an export of Langfuse's", of_langfuse,
     ({"input", "traceId"}, {"input", "trace_id"}, {"input", "modelParameters"},
      {"input", "model_parameters"}, {"input", "usageDetails"}, {"input", "usage_details"},
      {"traceId", "usageDetails"}, {"trace_id", "usage_details"})),
)  # fmt: skip


def form_of(entry: Entry, how: How = AS_IT_IS) -> tuple[str, Form]:
    """What an entry is of, by its fields, and what makes a request of it."""
    if not how.column:
        for name, form, marks in _FORMS:
            if any(mark <= entry.keys() for mark in marks):
                return name, form
        if (kind := trace_of(entry)) is not None:
            return f"a trace of {kind.name}", partial(of_trace, unit=how.unit)
    return "", partial(of_prompt, column=how.column)
