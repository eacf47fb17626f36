"""Microseconds per event of the SSE decoder, beside httpx-sse in the same run.

    python -m tests.bench.sse

A stream of chat chunks as servers send them, one event in each received piece and in pieces of
16 kB; each side reads all of it, in turns; the best of 9 counts. The last column adds the reading
of each event as JSON into marks, which is what a call needs.
"""

import json
from collections.abc import Callable, Iterator
from time import perf_counter

import httpx
import httpx_sse

from holymon.protocols.chat import CHAT
from holymon.protocols.reading import Reading
from holymon.protocols.sse import Decoder
from holymon.records.attempt import Marks

EVENTS, ROUNDS = 20_000, 9


def chunk_of(number: int) -> bytes:
    """One chunk as OpenAI's API sends it."""
    delta = {"index": 0, "delta": {"content": f" word{number}"}, "logprobs": None,
             "finish_reason": None}  # fmt: skip
    about = {"id": "chatcmpl-AbCdEf0123456789", "object": "chat.completion.chunk",
             "created": 1_750_000_000, "model": "some-model-2026", "service_tier": "default",
             "system_fingerprint": "fp_0123456789", "choices": [delta]}  # fmt: skip
    return b"data: " + json.dumps(about).encode() + b"\n\n"


def ours(pieces: list[bytes]) -> int:
    decoder, found = Decoder(), 0
    for piece in pieces:
        found += len(decoder.feed(piece))
    return found + len(decoder.close())


def theirs(pieces: list[bytes]) -> int:
    class Stream(httpx.SyncByteStream):
        def __iter__(self) -> Iterator[bytes]:
            return iter(pieces)

    response = httpx.Response(200, headers={"content-type": "text/event-stream"}, stream=Stream())
    return sum(1 for _ in httpx_sse.EventSource(response).iter_sse())


def read(pieces: list[bytes]) -> int:
    reading = Reading(Marks(0, 0, 0.0), CHAT, stream=True)
    reading.head(0.0, 200, lambda name: "text/event-stream" if name == "content-type" else "")
    for piece in pieces:
        reading.piece(perf_counter(), piece)
    return reading.marks.events


def timed(side: Callable[[list[bytes]], int], pieces: list[bytes]) -> float:
    begun = perf_counter()
    found = side(pieces)
    seconds = perf_counter() - begun
    assert found == EVENTS, f"{side.__name__} saw {found} of {EVENTS} events"
    return seconds / EVENTS * 1e6


def main() -> None:
    events = [chunk_of(number) for number in range(EVENTS)]
    whole = b"".join(events)
    cuts = {"one event a piece": events,
            "pieces of 16 kB": [whole[i : i + 16384] for i in range(0, len(whole), 16384)]}  # fmt: skip
    print(f"{EVENTS} events of {len(whole) / EVENTS:.0f} bytes, microseconds per event")
    print("| pieces | holymon | httpx-sse | ratio | holymon with JSON |")
    print("| --- | --- | --- | --- | --- |")
    for name, pieces in cuts.items():
        best = {side: min(times) for side, times in zip(
            (ours, theirs, read),
            zip(*[[timed(side, pieces) for side in (ours, theirs, read)] for _ in range(ROUNDS)],
                strict=True), strict=True)}  # fmt: skip
        ratio = best[theirs] / best[ours]
        print(
            f"| {name} | {best[ours]:.2f} | {best[theirs]:.2f} | {ratio:.1f} | {best[read]:.2f} |"
        )


if __name__ == "__main__":
    main()
