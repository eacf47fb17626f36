"""One monitored call: sends a prepared request, stamps what arrives, names what went wrong.

    Caller.send(number, target, due) -> Marks      never raises for what a server or network does
    Caller.ask(marks, body)                        the same with a body of one's own

Every received piece is stamped before it is parsed. Limits of a call: connect, first byte, token
stall (comments keep a socket alive, not a stream), total. The key is added when a request is
sent; it is in no request, client, marks or message.
"""

import asyncio
import contextlib
import os
from collections.abc import Callable
from math import inf, isnan
from time import perf_counter
from typing import Final

import httpx

from holymon.errors import ConfigError, HolymonError
from holymon.load.timeouts import Limits
from holymon.plan.plan import Plan, Target
from holymon.protocols import chat, error_body
from holymon.protocols.retry_after import retry_after
from holymon.protocols.sse import EventTooLarge
from holymon.records.attempt import Flag, Marks
from holymon.safety import MASK, Secret, redact, short
from holymon.transport.exceptions import classify, words
from holymon.transport.pool import Transport
from holymon.transport.prepared_request import Prepared, post
from holymon.transport.response import Answer, Into, Progress

Clock = Callable[[], float]
Taker = Callable[[bytes], None]

LINGER_S: Final = 0.025
"""How long a finished stream waits for the end of its body, so that its connection can stay."""


def key_of(target: Target) -> Secret | None:
    """The key of a target from its environment variable. Raises ConfigError, without the value."""
    if not target.api_key_env:
        return None
    if target.api_key_env not in os.environ:
        raise ConfigError(
            f"{target.name} needs a key: set the environment variable {target.api_key_env}."
        )
    # Never in a variable here: tracebacks may show local variables.
    return Secret(os.environ[target.api_key_env], target.api_key_env)


class Caller:
    """Calls the targets of a plan; one for each worker.

    With `keep`, the content of an answer's first choice is kept in `kept` by the number of the
    call (for tests and for applications, never for a load).
    """

    def __init__(
        self,
        plan: Plan,
        *,
        clock: Clock = perf_counter,
        transport: Transport | None = None,
        keep: bool = False,
    ) -> None:
        """Read the keys and prepare the requests. Raises ConfigError."""
        self.plan = plan
        self.kept: dict[int, str] = {}
        self._clock = clock
        self._keep = keep
        self._keys = [key_of(target) for target in plan.targets]
        self._secrets = tuple(key for key in self._keys if key is not None)
        self._transport = transport or Transport(connect_s=plan.connect_s)
        self._requests = [_requests(plan, target) for target in plan.targets]

    async def aclose(self) -> None:
        """Close all connections."""
        await self._transport.aclose()

    async def send(self, number: int, target: int, due: float) -> Marks:
        """Make call `number` to the `target`-th target; what happened is in the marks.

        A task that is cancelled meanwhile gets its marks all the same, as `cancelled`.
        """
        marks = Marks(number, target, due)
        prepared = self._requests[target]
        await self._attempt(marks, prepared[(number // len(self.plan.targets)) % len(prepared)])
        return marks

    async def ask(
        self, marks: Marks, body: bytes, *, into: Taker | None = None, until: float = inf
    ) -> None:
        """Make one attempt with a body of its own; it is to be over at `until`, at the latest.

        The body of a good answer is handed to `into`, piece by piece as it comes. Never raises for
        what a server or network does.
        """
        request = self._requests[marks.target][0]
        assert isinstance(request, Prepared)
        await self._attempt(marks, request._replace(content=body), into, until)

    async def _attempt(
        self,
        marks: Marks,
        request: Prepared | Exception,
        into: Taker | None = None,
        until: float = inf,
    ) -> None:
        marks.start = self._clock()
        limits = Limits(self.plan, marks, Progress(self._clock), until)
        try:
            await self._exchange(marks, limits, request, into)
        except asyncio.CancelledError:
            exceeded = limits.settle()
            if isnan(marks.end):  # else only the end of the body was still waited for
                marks.error = marks.error or exceeded or "cancelled"
        except EventTooLarge:
            marks.error = "event_too_large"
        except Exception as error:  # noqa: BLE001 - whatever happens to a call is a record
            if not marks.error:
                marks.error, marks.message = classify(error), words(error)
        finally:
            limits.disarm()
        if isnan(marks.end):
            marks.end = self._clock()
        self._complete(marks, limits.progress)

    def _complete(self, marks: Marks, progress: Progress) -> None:
        marks.connect_start, marks.connect_end = progress.connect_start, progress.connect_end
        if not isnan(marks.connect_end):
            marks.flags |= Flag.NEW_CONNECTION
        if self.plan.prompts.stream:
            marks.flags |= Flag.STREAM
        if marks.error and marks.events:
            marks.flags |= Flag.AFTER_FIRST_TOKEN
        if marks.output_tokens < 0 and marks.events:
            marks.output_tokens = marks.events
        if marks.message:
            marks.message = _masked(short(marks.message), self._secrets)
        if marks.code and redact(marks.code, self._secrets) != marks.code:
            marks.code = "other"

    async def _exchange(
        self, marks: Marks, limits: Limits, request: Prepared | Exception, into: Taker | None
    ) -> None:
        if isinstance(request, Exception):
            raise request
        key = self._keys[marks.target]
        answer = await self._transport.send(request, limits.progress, key)
        try:
            await answer.begin()
            marks.headers, marks.status = answer.at, answer.status
            if answer.header("x-holymon-sim"):
                marks.flags |= Flag.SIMULATED
            await self._read(answer, marks, limits, into)
        finally:
            answer.close()

    async def _read(self, answer: Answer, marks: Marks, limits: Limits, into: Taker | None) -> None:
        if marks.status != 200:
            await self._read_error(answer, marks)
        elif not self.plan.prompts.stream:
            await self._read_body(answer, marks, into)
        elif not answer.header("content-type").lower().startswith("text/event-stream"):
            await self._read_no_stream(answer, marks)
        else:
            limits.streaming()
            await self._read_stream(answer, marks, limits, into)

    async def _read_stream(
        self, answer: Answer, marks: Marks, limits: Limits, into: Taker | None
    ) -> None:
        reader = chat.StreamReader(marks, keep=self._keep)
        try:
            await answer.pour(reader.feed if into is None else _both(reader, into))
            marks.error = reader.close(answer.at)
        except (httpx.TransportError, httpx.DecodingError) as error:
            marks.error = reader.close(self._clock())
            # What had come before the connection broke may still be a whole answer.
            if marks.error in {"stream_truncated", "empty_response"}:
                cut = classify(error)
                if cut != "server_disconnected" or not marks.events:
                    marks.error, marks.message = cut, words(error)
        finally:
            marks.message = reader.message or marks.message
            if self._keep:
                self.kept[marks.request] = reader.text
        if reader.done:
            marks.end = answer.at
            if not answer.ended:
                limits.disarm()
                await _linger(answer, reader)

    async def _read_body(self, answer: Answer, marks: Marks, into: Taker | None) -> None:
        kind = answer.header("content-type").lower()
        body = await _all(answer, marks, chat.MAX_BODY)
        if body is None:
            marks.error = "response_too_large"
        elif "html" in kind or (kind.startswith("text/") and "json" not in kind):
            marks.error, marks.message = "unexpected_content_type", kind
        else:
            marks.error, marks.message, text = chat.read_answer(body, marks)
            if not (marks.error or answer.whole):
                marks.error = "decoding_error"
            marks.end = answer.at
            if self._keep:
                self.kept[marks.request] = text
            if into is not None and not marks.error:
                into(body)

    async def _read_no_stream(self, answer: Answer, marks: Marks) -> None:
        """A stream was asked for and something else came: an error in JSON, or no answer at all."""
        body = await _all(answer, marks, chat.MAX_ERROR_BODY, cut=True) or b""
        if not body.strip():
            marks.error = "empty_response"
        elif error_body.is_error(body):
            _, marks.message = error_body.read_error(200, body, marks)
            marks.error = "stream_error_event"
        else:
            marks.error = "unexpected_content_type"
            marks.message = answer.header("content-type")

    async def _read_error(self, answer: Answer, marks: Marks) -> None:
        header = answer.header
        asked = header("retry-after"), header("date"), header("retry-after-ms")
        marks.retry_after = retry_after(*asked)
        marks.told = header("x-should-retry")
        # The status counts even if the body never ends.
        marks.error, _ = error_body.read_error(marks.status, b"", marks)
        body = await _all(answer, marks, chat.MAX_ERROR_BODY, cut=True) or b""
        marks.error, marks.message = error_body.read_error(marks.status, body, marks)


def _both(reader: chat.StreamReader, into: Taker) -> Into:
    """Reads a piece, and hands it on if it is good."""

    def feed(now: float, piece: bytes) -> bool:
        enough = reader.feed(now, piece)
        if not reader.error:
            into(piece)
        return enough

    return feed


async def _all(answer: Answer, marks: Marks, limit: int, *, cut: bool = False) -> bytes | None:
    """The whole body; over the limit None, or with `cut` what fits."""
    parts: list[bytes] = []
    while piece := await answer.read():
        marks.bytes += len(piece)
        parts.append(piece)
        if marks.bytes > limit:
            return b"".join(parts)[:limit] if cut else None
    return b"".join(parts)


async def _linger(answer: Answer, reader: chat.StreamReader) -> None:
    """Wait for the end of the body, which most servers send right behind `[DONE]`."""

    def feed(now: float, piece: bytes) -> bool:
        reader.feed(now, piece)
        return False

    with contextlib.suppress(TimeoutError, httpx.TransportError, httpx.DecodingError, HolymonError):
        async with asyncio.timeout(LINGER_S):
            await answer.pour(feed)


def _requests(plan: Plan, target: Target) -> list[Prepared | Exception]:
    """One prepared request for each prompt; what can't be written as JSON fails when called."""
    headers = {
        "accept": "text/event-stream" if plan.prompts.stream else "application/json",
        "accept-encoding": "gzip, deflate",
        "content-type": "application/json",
        "user-agent": "holymon",
    }
    url = target.base_url.rstrip("/") + "/chat/completions"
    common = post(url, headers)
    made: list[Prepared | Exception] = []
    for text in plan.prompts.texts:
        try:
            body = chat.request_body(
                target.model, text, max_tokens=plan.prompts.max_tokens, stream=plan.prompts.stream
            )
            made.append(common._replace(content=body))
        except (ValueError, TypeError, UnicodeError) as error:
            made.append(error)
    return made


def _masked(text: str, secrets: tuple[Secret, ...]) -> str:
    """`text` without the secrets, not even the beginning of one where the text was cut off."""
    text = redact(text, secrets)
    if text.endswith("…"):
        for form in (form for secret in secrets for form in secret.forms()):
            cut = max((n for n in range(4, len(form)) if text.endswith(form[:n] + "…")), default=0)
            text = text[: -cut - 1] + MASK + "…" if cut else text
    return text
