"""Calls as clouds record them to a `Request`: SageMaker's data capture, Bedrock's invocation log.

Sources: docs.aws.amazon.com/sagemaker (Capture data from a real-time endpoint) and
docs.aws.amazon.com/bedrock (Model invocation logging; API reference, Converse).
"""

import base64
import binascii
from collections.abc import Mapping
from typing import Any, Final

from holymon.errors import PlanError
from holymon.plan.dataset_bodies import Entry, of_body
from holymon.plan.entries import Unfit, parsed, whole
from holymon.plan.replay_file import time_of
from holymon.plan.requests import Request

_CONVERSE: Final = {
    "maxTokens": "max_tokens", "temperature": "temperature", "topP": "top_p",
    "stopSequences": "stop",
}  # fmt: skip


def of_capture(entry: Entry) -> Request:
    """A call that SageMaker captured: the body of its request, as JSON or in base64."""
    given = _inner(entry, "captureData", "endpointInput")
    data: Any = given.get("data")
    if given.get("encoding") == "BASE64":
        try:
            data = base64.b64decode(data, validate=True).decode()
        except (binascii.Error, TypeError, ValueError):
            raise PlanError("its data is not in base64") from None
    return of_body(parsed(data)).changed(
        at=time_of(_inner(entry, "eventMetadata").get("inferenceTime"))
    )


def of_invocation(entry: Entry) -> Request:
    """A call that Bedrock logged: its body, or, where that is kept elsewhere, its size."""
    given, at = _inner(entry, "input"), time_of(entry.get("timestamp"))
    body = parsed(given.get("inputBodyJson"))
    if isinstance(body, Mapping):
        return of_body(_as_chat(body)).changed(at=at)
    prompt = whole(given, "inputTokenCount")
    answer = whole(_inner(entry, "output"), "outputTokenCount")
    if not prompt:
        raise Unfit("with neither a text nor a number of tokens")
    return Request(prompt_tokens=prompt, max_tokens=answer or None, output_tokens=answer, at=at)


def _inner(entry: Entry, *names: str) -> Entry:
    """What an entry holds under these names, one inside of the other; empty for none."""
    for name in names:
        value = entry.get(name)
        entry = value if isinstance(value, Mapping) else {}
    return entry


def _as_chat(body: Entry) -> Entry:
    """A body of Converse's with the names of others; any other body as it is."""
    given = body.get("messages")
    turns = [turn for turn in given if isinstance(turn, Mapping)] if isinstance(given, list) else []
    contents = [turn.get("content") for turn in turns]
    if not any(isinstance(parts, list) and _bare(parts[0]) for parts in contents if parts):
        return body
    if body.get("toolConfig"):
        raise Unfit("with tools of Converse")
    config = _inner(body, "inferenceConfig")
    return {
        "messages": [{**turn, "content": _text(turn.get("content"))} for turn in turns],
        "system": _text(body.get("system") or []),
        **{name: config[old] for old, name in _CONVERSE.items() if old in config},
    }


def _bare(part: Any) -> bool:
    """Whether a part of a message is Converse's, which says its kind by the name of its field."""
    return isinstance(part, Mapping) and "type" not in part


def _text(parts: Any) -> str:
    given = parts if isinstance(parts, list) else [parts]
    texts = [part["text"] for part in given if _bare(part) and isinstance(part.get("text"), str)]
    if len(texts) < len(given):
        raise Unfit("with parts that are no text")
    return "\n\n".join(texts)
