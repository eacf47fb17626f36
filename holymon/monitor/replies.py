"""What a Monitor's call sends, and what it hands back: the provider's answer, or its events.

body_of(target, messages, stream, options) -> bytes
events_of(task, following) -> the provider's events, as their pieces come
"""

import json
from collections.abc import AsyncIterator, Callable, Coroutine, Iterator
from concurrent.futures import Future
from typing import Any, TypeVar

from holymon.errors import PlanError
from holymon.plan.plan import Target
from holymon.protocols.lenient import parsed
from holymon.protocols.sse import Decoder

T = TypeVar("T")
Messages = str | list[dict[str, Any]]
Event = dict[str, Any]


class Reply(dict[str, Any]):
    """The provider's answer, a dict as it was sent; `text` is its content."""

    @property
    def text(self) -> str:
        """The content of the first choice; `""` if it has none, as with tool calls."""
        try:
            return str(self["choices"][0]["message"]["content"] or "")
        except (KeyError, IndexError, TypeError):
            return ""


def body_of(called: Target, messages: Messages, stream: bool, options: dict[str, Any]) -> bytes:
    """What is sent. Raises PlanError for what can't be written as JSON."""
    conversation = (
        [{"role": "user", "content": messages}] if isinstance(messages, str) else messages
    )
    body = {"model": called.model, "messages": conversation, **options}
    if stream:
        body = {"stream_options": {"include_usage": True}, **body, "stream": True}
    try:
        return json.dumps(body, ensure_ascii=False, allow_nan=False).encode()
    except (ValueError, TypeError) as error:
        why = "a number or half a character" if isinstance(error, ValueError) else "a value"
        raise PlanError(f"the messages or options hold {why} that JSON can't carry.") from None


def wait(future: "Future[T]") -> T:
    """The result of a future; whoever is interrupted meanwhile calls it off."""
    try:
        return future.result()
    except BaseException:
        future.cancel()
        raise


def _parsed(decoder: Decoder, piece: bytes) -> list[Event]:
    values = [parsed(event.data) for event in decoder.feed(piece)]
    return [event for event in values if isinstance(event, dict)]


def events_of(task: "Future[None]", following: Callable[[], bytes | None]) -> Iterator[Event]:
    """Events as they come; first an empty one, when there is something.

    Only what has begun ends when it is dropped.
    """
    decoder = Decoder()
    try:
        piece = following()
        if piece is None:
            task.result()
        yield {}
        while piece is not None:
            yield from _parsed(decoder, piece)
            piece = following()
        task.result()
    finally:
        task.cancel()


async def aevents_of(
    task: "Future[None]", following: Callable[[], Coroutine[Any, Any, bytes | None]]
) -> AsyncIterator[Event]:
    """`events_of` for asyncio."""
    decoder = Decoder()
    try:
        piece = await following()
        if piece is None:
            task.result()
        yield {}
        while piece is not None:
            for event in _parsed(decoder, piece):
                yield event
            piece = await following()
        task.result()
    finally:
        task.cancel()
