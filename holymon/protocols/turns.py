"""Messages in OpenAI's form of chat, said as other dialects want them.

    texts(messages)       all that is said, as one text        completions, embeddings
    input_items(messages) items of `input`                     responses
    claude(messages)      the system's words, and the rest     messages

What a dialect knows no other form of goes as it is: an API says itself what it refuses.
Sources: https://platform.openai.com/docs/api-reference/chat/create, .../responses/create and
https://docs.anthropic.com/en/api/messages.
"""

import re
from collections.abc import Iterator, Mapping, Sequence
from typing import Any, Final

import msgspec

from holymon.plan.requests import Message, text_of
from holymon.protocols.lenient import type_of

_DATA_URL: Final = re.compile(r"data:([\w.+-]+/[\w.+-]+);base64,(.*)", re.DOTALL)
_SYSTEM: Final = frozenset({"system", "developer"})


def texts(messages: Sequence[Message]) -> str:
    """All texts, with an empty line between two messages."""
    return "\n\n".join(filter(None, (text_of(message.get("content")) for message in messages)))


def _parts(content: Any) -> list[Any]:
    return list(content) if isinstance(content, list | tuple) else []


def _image(part: Any) -> str:
    """The address of a part that is a picture; nothing of others."""
    image = part.get("image_url") if isinstance(part, Mapping) else None
    url = image.get("url") if isinstance(image, Mapping) else image
    return url if isinstance(url, str) else ""


def input_items(messages: Sequence[Message]) -> list[dict[str, Any]]:
    """The items of a response's `input`."""
    return [item for message in messages for item in _items(message)]


def _items(message: Message) -> Iterator[dict[str, Any]]:
    role, content = message.get("role", "user"), message.get("content")
    if role == "tool":
        call = message.get("tool_call_id", "")
        yield {"type": "function_call_output", "call_id": call, "output": text_of(content)}
        return
    if isinstance(content, str):
        yield {"role": role, "content": content}
    elif content:
        yield {"role": role, "content": [_item_part(role, part) for part in _parts(content)]}
    for call in _parts(message.get("tool_calls")):
        identity, name, arguments = _function(call)
        yield {
            "type": "function_call", "call_id": identity, "name": name, "arguments": arguments,
        }  # fmt: skip


def _item_part(role: Any, part: Any) -> Any:
    if isinstance(part, Mapping) and part.get("type") == "text":
        kind = "output_text" if role == "assistant" else "input_text"
        return {"type": kind, "text": part.get("text", "")}
    if url := _image(part):
        image = part["image_url"]
        detail = image.get("detail") if isinstance(image, Mapping) else None
        return {"type": "input_image", "image_url": url, **({"detail": detail} if detail else {})}
    return part


def _function(call: Any) -> tuple[Any, str, str]:
    """The id of a call of a tool, its name and its arguments."""
    about = call if isinstance(call, Mapping) else {}
    inner = about.get("function")
    function = inner if isinstance(inner, Mapping) else {}
    given = function.get("arguments", "{}")
    text = given if isinstance(given, str) else msgspec.json.encode(given).decode()
    return about.get("id", ""), str(function.get("name", "")), text


def claude(messages: Sequence[Message]) -> tuple[str, list[dict[str, Any]]]:
    """What the system says, and the messages of the user and of the assistant."""
    system = texts([message for message in messages if message.get("role") in _SYSTEM])
    turns: list[dict[str, Any]] = []
    for message in messages:
        if message.get("role") in _SYSTEM:
            continue
        turn = _turn(message)
        if message.get("role") == "tool" and turns and _holds_results(turns[-1]):
            turns[-1]["content"] += turn["content"]  # all results of a turn are one message
        else:
            turns.append(turn)
    return system, turns


def _holds_results(turn: Message) -> bool:
    content = _parts(turn.get("content"))
    return bool(content) and all(type_of(part) == "tool_result" for part in content)


def _turn(message: Message) -> dict[str, Any]:
    role, content = message.get("role", "user"), message.get("content")
    if role == "tool":
        result = {"type": "tool_result", "tool_use_id": message.get("tool_call_id", "")}
        return {"role": "user", "content": [{**result, "content": text_of(content)}]}
    blocks = [_block(part) for part in _parts(content)]
    calls = [_use(call) for call in _parts(message.get("tool_calls"))]
    if calls and isinstance(content, str) and content:
        blocks = [{"type": "text", "text": content}]
    if isinstance(content, str) and not calls:
        return {"role": role, "content": content}
    return {"role": role, "content": blocks + calls}


def _block(part: Any) -> Any:
    url = _image(part)
    if not url:
        return part
    if match := _DATA_URL.fullmatch(url):
        source = {"type": "base64", "media_type": match[1], "data": match[2]}
    else:
        source = {"type": "url", "url": url}
    return {"type": "image", "source": source}


def _use(call: Any) -> dict[str, Any]:
    identity, name, arguments = _function(call)
    try:
        given = msgspec.json.decode(arguments)
    except (msgspec.DecodeError, RecursionError):
        given = {}
    return {"type": "tool_use", "id": identity, "name": name, "input": given}
