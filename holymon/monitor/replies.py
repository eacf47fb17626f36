"""What a Monitor's call sends, and what it hands back: the provider's answer, or its events.

body_of(target, messages, stream, options) -> bytes     in the dialect of the target
embedding_of(target, texts, options) -> bytes
events_of(task, following, pipe) -> the provider's events, as their pieces come
"""

import asyncio
import json
from collections.abc import AsyncIterator, Callable, Coroutine, Iterator
from concurrent.futures import Future
from contextlib import suppress
from typing import Any, Final, TypeVar

from holymon.errors import PlanError
from holymon.plan.request_fields import overlaid
from holymon.plan.target import Target
from holymon.protocols.dialects import DIALECTS
from holymon.protocols.lenient import parsed
from holymon.protocols.messages import MAX_TOKENS
from holymon.protocols.sse import Decoder
from holymon.records.attempt import Marks

T = TypeVar("T")
Messages = str | list[dict[str, Any]]
Event = dict[str, Any]

ROOM: Final = 2**22
"""Bytes of an answer that wait for their reader, at most; then nothing more is read of it."""


class Reply(dict[str, Any]):
    """The provider's answer, a dict as it was sent; `text` is its content.

    That of the first choice; `""` if it has none, as with tool calls.
    """

    text: str = ""


def reply_of(called: Target, parts: list[bytes]) -> Reply:
    """An answer that came whole, in parts."""
    body = b"".join(parts)
    reply = Reply(parsed(body))
    reply.text = DIALECTS[called.endpoint].answer(body, Marks(0, 0, 0.0))[2]
    return reply


def body_of(called: Target, messages: Messages, stream: bool, options: dict[str, Any]) -> bytes:
    """What is sent. Raises PlanError for what can't be asked, or written as JSON."""
    if called.endpoint == "embeddings":
        raise PlanError(f"{called.name} speaks embeddings: ask it with embed().")
    body = {**_question(called, messages), **options}
    if stream and called.endpoint in {"chat", "completions"}:
        body = {"stream_options": {"include_usage": True}, **body}
    return _written(called, body | {"stream": True} if stream else body)


def embedding_of(called: Target, texts: str | list[str], options: dict[str, Any]) -> bytes:
    """What is sent for vectors. Raises PlanError."""
    if called.endpoint != "embeddings":
        raise PlanError(f"{called.name} speaks {called.endpoint}: only embeddings has vectors.")
    return _written(called, {"model": called.model, "input": texts, **options})


def _question(called: Target, messages: Messages) -> dict[str, Any]:
    """The model and what it is asked, in the dialect of the target."""
    plain, model = isinstance(messages, str), {"model": called.model}
    if called.endpoint == "completions":
        if not plain:
            raise PlanError(f"{called.name} speaks completions: ask it with one text.")
        return {**model, "prompt": messages}
    if called.endpoint == "responses":  # what is stored there is kept for a month
        return {**model, "input": messages, "store": False}
    if isinstance(messages, str):
        messages = [{"role": "user", "content": messages}]
    if called.endpoint == "messages":
        orders = [message["content"] for message in messages if message.get("role") == "system"]
        turns = [message for message in messages if message.get("role") != "system"]
        system = {"system": orders[0] if len(orders) == 1 else "\n\n".join(map(str, orders))}
        return {**model, "max_tokens": MAX_TOKENS, **(system if orders else {}), "messages": turns}
    return {**model, "messages": messages}


def _written(called: Target, body: dict[str, Any]) -> bytes:
    body = overlaid(body, called.body)
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


class Pipe:
    """Pieces on their way from the loop of the calls to who reads them, and how many are on it."""

    def __init__(self, put: Callable[[bytes | None], None]) -> None:
        """Hand pieces to `put`, and None at the end."""
        self.put = put
        self._sent = self._read = 0  # each is changed by one side only
        self._room: asyncio.Future[None] | None = None

    def send(self, piece: bytes) -> "asyncio.Future[None] | None":
        """Take in a piece; if it is full, what is done when there is room. For the loop."""
        self._sent += len(piece)
        self.put(piece)
        if self._sent - self._read <= ROOM:
            return None
        self._room = asyncio.get_running_loop().create_future()
        self._make_room()  # the reader may have read all before it could know of this
        return self._room

    def read(self, piece: bytes) -> bytes:
        """The same piece, which is not on its way any more. For the reader, in any thread."""
        self._read += len(piece)
        self._make_room()
        return piece

    def _make_room(self) -> None:
        room = self._room
        if room is not None and self._sent - self._read <= ROOM // 2:
            with suppress(RuntimeError):  # the loop is closed
                room.get_loop().call_soon_threadsafe(_settle, room)


def _settle(room: "asyncio.Future[None]") -> None:
    if not room.done():
        room.set_result(None)


def _parsed(decoder: Decoder, piece: bytes) -> list[Event]:
    values = [parsed(event.data) for event in decoder.feed(piece)]
    return [event for event in values if isinstance(event, dict)]


def events_of(
    task: "Future[None]", following: Callable[[], bytes | None], pipe: Pipe
) -> Iterator[Event]:
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
            yield from _parsed(decoder, pipe.read(piece))
            piece = following()
        task.result()
    finally:
        task.cancel()


async def aevents_of(
    task: "Future[None]", following: Callable[[], Coroutine[Any, Any, bytes | None]], pipe: Pipe
) -> AsyncIterator[Event]:
    """`events_of` for asyncio."""
    decoder = Decoder()
    try:
        piece = await following()
        if piece is None:
            task.result()
        yield {}
        while piece is not None:
            for event in _parsed(decoder, pipe.read(piece)):
                yield event
            piece = await following()
        task.result()
    finally:
        task.cancel()
