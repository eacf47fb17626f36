"""One attempt, one record: the row's layout, what an attempt leaves behind, and how it is packed.

    bytes on the wire --> Marks (points in time, counts) --> row() and gaps() --> Records
    frame = length | row (fixed size, `DTYPE`) | gaps (pairs of `GAP`)
    journal file = header line, frame, frame, ...   --> Frames.feed --> Records

The same dtype is the schema everywhere: in the worker, in the journal, in the kernel's memory,
as columns of a DataFrame and of a Parquet file. Times are seconds from the start of the run on a
monotonic clock; NaN, -1 and 0 codes stand for "not measured", which is never a zero.
"""

import math
import struct
from collections.abc import Iterable
from enum import IntEnum
from typing import Any, Final

import numpy as np
import numpy.typing as npt

from holymon.errors import CODES, NOT_THE_SERVER

FORMAT: Final = 3

FIELDS: Final[tuple[tuple[str, str, str], ...]] = (
    ("due_s", "f8", "when the schedule wanted it"),
    ("start_s", "f8", "when it was sent"),
    ("headers_s", "f8", "when the answer's headers came"),
    ("chunk_s", "f8", "first event with choices, whether or not it brought a token"),
    ("first_s", "f8", "first token: content, reasoning or tool call"),
    ("content_s", "f8", "first token of content"),
    ("last_s", "f8", "last token"),
    ("end_s", "f8", "when it was over"),
    ("gap_max_s", "f4", "longest gap between chunks with tokens"),
    ("connect_s", "f4", "time spent opening a connection; NaN on a reused one"),
    ("retry_after_s", "f4", "what Retry-After asked for"),
    ("tool_call_s", "f4", "from when it was sent to the first token of a call of a tool"),
    ("request", "u4", "number of the call in the plan"),
    ("prompt_tokens", "i4", "as the server counted; -1 unknown"),
    ("output_tokens", "i4", "as `flags` says: server's count or counted chunks; -1 unknown"),
    ("cached_tokens", "i4", "part of prompt_tokens read from a cache; -1 unknown"),
    ("reasoning_tokens", "i4", "part of output_tokens; -1 unknown"),
    ("written_tokens", "i4", "part of prompt_tokens written to a cache; -1 unknown"),
    ("chunks", "u4", "received pieces that carried tokens"),
    ("events", "u4", "deltas that carried tokens; of embeddings the vectors"),
    ("bytes", "u4", "body bytes received"),
    ("flags", "u4", "bits of Flag"),
    ("status", "u2", "HTTP status; 0 none"),
    ("target", "u1", "position in the plan's targets"),
    ("attempt", "u1", "0 for the first"),
    ("error", "u1", "position in errors.NAMES; 0 no error"),
    ("finish", "u1", "position in FINISH"),
    ("code", "S34", "the provider's own error code"),
)
DTYPE: Final = np.dtype([(name, kind) for name, kind, _ in FIELDS])
GAP: Final = np.dtype([("bin", "u2"), ("n", "u2")])

Rows = Any
"""A structured array, shape (n,), of `DTYPE` or, for pairs, of `GAP`.

Its columns have a type each, of which an NDArray knows nothing: what is worked out from them gets
its type where it is handed on.
"""


def kinds(names: Iterable[str]) -> npt.NDArray[np.bool_]:
    """Which codes are those of `names`: `kinds(names)[errors]` takes a third of `isin`'s time."""
    table = np.zeros(256, bool)
    table[[CODES[name] for name in names]] = True
    return table


JUDGED: Final = ~kinds(NOT_THE_SERVER)
"""Of each error code, whether such a call says something of the API."""


def blank(n: int) -> Rows:
    """Rows of which nothing is known, shape (n,)."""
    rows = np.zeros(n, DTYPE)
    for name, kind, _ in FIELDS:
        rows[name] = math.nan if kind[0] == "f" else -1 if name.endswith("_tokens") else rows[name]
    return rows


def begun_there(rows: Any) -> npt.NDArray[np.bool_]:
    """Of rows or Records, which attempts were the first at their target; shape (n,)."""
    first: npt.NDArray[np.bool_] = (rows["attempt"] == 0) | (rows["flags"] & Flag.CAME_OVER != 0)
    return first


def ended_there(rows: Any) -> npt.NDArray[np.bool_]:
    """Of rows or Records, which attempts were the last at their target; shape (n,)."""
    after = rows["flags"] & (Flag.RETRIED | Flag.UNDECIDED | Flag.WENT_ON)
    last: npt.NDArray[np.bool_] = (after == 0) | (after == Flag.RETRIED | Flag.WENT_ON)
    return last


FINISH: Final = ("", "stop", "length", "tool_calls", "content_filter", "error", "other")


class Flag(IntEnum):
    """What else is to be known of an attempt: bits; `|` of an IntFlag takes a microsecond."""

    WARMUP = 1  # before the measured window: recorded, left out of figures
    STREAM = 2
    NEW_CONNECTION = 4
    SERVER_TOKENS = 8  # output_tokens is the server's count; else chunks were counted
    NO_DONE = 16  # finish reason, but no [DONE]
    NO_FINISH = 32  # [DONE], but no finish reason
    AFTER_DONE = 64  # data after [DONE], ignored
    AFTER_FIRST_TOKEN = 128  # failed when tokens had already come
    COALESCED = 256  # several tokens shared one received piece, and so one time
    SIMULATED = 512  # the answer says that it comes from the simulator
    RETRIED = 1024  # another attempt of the same request followed
    UNDECIDED = 2048  # failed, and whoever made the call may still ask again
    KEEP_ALIVE = 4096  # held events without a name that only kept the connection open
    SKIPPED = 8192  # held an event that means nothing in its dialect, and was skipped
    LENIENT = 16384  # of odd types, content type or status, and read all the same
    EMPTY = 32768  # succeeded, and holds neither content nor a tool call
    THOUGHT = 65536  # EMPTY, but reasoning came
    VEILED = 131072  # streamed, but for its reasoning or a part of that
    TOOLS = 262144  # called a tool
    BAD_ARGUMENTS = 524288  # TOOLS, and what it handed to one is no JSON object
    JSON_ASKED = 1048576  # an answer in JSON was asked for, and something was answered
    NOT_JSON = 2097152  # JSON_ASKED, but the answer is none
    TURN_FOLLOWS = 4194304  # its conversation had a further turn, whether or not that was sent
    NO_TEXT_TO_FOLLOW = 8388608  # TURN_FOLLOWS, but no text that it could be said after
    WENT_ON = 16777216  # RETRIED, and what followed was asked of another target
    CAME_OVER = 33554432  # the first at its target, of a request that failed at another one
    SHADOW = 67108864  # a copy of a call, for a router's candidate: no caller waited for it


# Gaps are counted in bins whose edges grow by 1 %, so a value read back is off by 0.5 % at most.
_GAP_BASE: Final = 1e-6
_GAP_LOG: Final = math.log(1.01)
GAP_BINS: Final = 2800
"""Bins from 1 microsecond to more than a week."""


def gap_bin(seconds: float) -> int:
    """The bin of a gap."""
    if seconds <= _GAP_BASE:
        return 0
    return min(int(math.log(seconds / _GAP_BASE) / _GAP_LOG) + 1, GAP_BINS - 1)


def gap_value(bins: npt.ArrayLike) -> npt.NDArray[np.float64]:
    """The middle of gap bins in seconds, shape as given."""
    middle: npt.NDArray[np.float64] = _GAP_BASE * np.exp(
        (np.asarray(bins, dtype=np.float64) - 0.5) * _GAP_LOG
    )
    return middle


def gap_edges(number: int) -> tuple[float, float]:
    """Where a gap bin begins and ends, in seconds; the first one begins at 0."""
    low, high = (_GAP_BASE * math.exp(k * _GAP_LOG) for k in (number - 1, number))
    return low if number else 0.0, high


_NAN: Final = math.nan
_COALESCED: Final = int(Flag.COALESCED)


class Marks:
    """What one attempt leaves behind: points in time on one monotonic clock (s), and counts."""

    __slots__ = (
        "__weakref__", "attempt", "bytes", "cached_tokens", "chunk", "chunks", "code",
        "connect_end", "connect_start", "content", "cost", "due", "end", "error", "events",
        "finish", "first", "flags", "gap_at", "gap_max", "gaps", "headers", "last", "message",
        "output_tokens", "prompt_tokens", "reasoning_tokens", "request", "request_id",
        "retry_after", "should_retry", "side", "start", "status", "target", "tool",
        "written_tokens",
    )  # fmt: skip

    def __init__(self, request: int, target: int, due: float, attempt: int = 0) -> None:
        """An attempt of which nothing is known yet but that it is due."""
        self.request, self.target, self.attempt, self.due = request, target, attempt, due
        self.start = self.headers = self.chunk = self.first = self.content = self.last = _NAN
        self.end = self.tool = self.connect_start = self.connect_end = self.retry_after = _NAN
        self.gap_max = _NAN
        self.cost = _NAN  # what the server says it charged (USD): for a router's gate
        self.gap_at = _NAN  # when the longest gap began: for the side file
        self.prompt_tokens = self.output_tokens = -1
        self.cached_tokens = self.reasoning_tokens = self.written_tokens = -1
        self.chunks = self.events = self.bytes = self.status = self.flags = 0
        self.error = self.finish = self.code = ""
        self.message = ""  # a server's or a library's words: for the side file, never for a row
        self.request_id = ""  # the server's own: for the side file, too
        self.should_retry = ""  # the server's x-should-retry: for whoever may ask again
        self.side = ""  # of a router that the attempt was made at, if any
        self.gaps: dict[int, int] = {}

    def token(self, now: float, tokens: int) -> None:
        """`tokens` deltas came in one received piece at `now`."""
        if self.chunks:
            gap = now - self.last
            if not gap <= self.gap_max:
                self.gap_max, self.gap_at = gap, self.last
            number = gap_bin(gap)
            self.gaps[number] = self.gaps.get(number, 0) + 1
        else:
            self.first = now
        self.last = now
        self.chunks += 1
        self.events += tokens
        if tokens > 1:
            self.flags |= _COALESCED

    def distrust_zero(self, counted: int) -> None:
        """Whoever counts no token of what has come does not count."""
        if self.output_tokens <= 0:
            self.output_tokens = counted
            self.flags &= ~Flag.SERVER_TOKENS


_ROW: Final = struct.Struct("=8d4fI5i4IH4B34s")
_LENGTH: Final = struct.Struct("<H")
assert _ROW.size == DTYPE.itemsize, "the struct format and FIELDS must describe the same row"

_MAX_GAPS: Final = 4000
_FINISH_CODE: Final = {name: i for i, name in enumerate(FINISH)}
_OTHER: Final = CODES["_OTHER"]
_U4: Final = 2**32 - 1
_I4: Final = 2**31 - 1
_MOST: Final = (_U4, *[_I4] * 5, *[_U4] * 4, 2**16 - 1, 255, 255)
"""The largest counts that a row has room for, in its order."""
_LONGEST: Final = 1e9


def row(marks: Marks, zero: float = 0.0) -> bytes:
    """One attempt as a row of `DTYPE`; `zero` is the start of the run on the clock of the marks.

    Never raises: counts that a row has no room for stay at its largest, whatever a server sent.
    """
    m = marks
    times = (
        m.due - zero, m.start - zero, m.headers - zero, m.chunk - zero, m.first - zero,
        m.content - zero, m.last - zero, m.end - zero, m.gap_max,
        m.connect_end - m.connect_start, min(m.retry_after, _LONGEST), m.tool - m.start,
    )  # fmt: skip
    counts = (
        m.request & _U4, m.prompt_tokens, m.output_tokens, m.cached_tokens, m.reasoning_tokens,
        m.written_tokens, m.chunks, m.events, m.bytes, m.flags, m.status, m.target, m.attempt,
    )  # fmt: skip
    kinds = (
        CODES.get(m.error, _OTHER), _FINISH_CODE.get(m.finish, len(FINISH) - 1),
        m.code.encode("ascii", "replace")[:34] if m.code else b"",
    )  # fmt: skip
    try:
        return _ROW.pack(*times, *counts, *kinds)
    # To look at each count first takes as long as all the rest.
    except (struct.error, OverflowError):
        return _ROW.pack(*times, *map(min, counts, _MOST), *kinds)


def gaps(marks: Marks) -> bytes:
    """The gaps of one attempt as pairs of `GAP`."""
    if not marks.gaps:
        return b""
    pairs: list[int] = []
    for number, count in marks.gaps.items():
        for rest in range(count, 0, -65535):
            pairs += (number, min(rest, 65535))
    return struct.pack(f"<{min(len(pairs), 2 * _MAX_GAPS)}H", *pairs[: 2 * _MAX_GAPS])


def frame(marks: Marks, zero: float = 0.0) -> bytes:
    """One attempt as it stands in a journal, with its length before it."""
    pairs = gaps(marks)
    return _LENGTH.pack(_ROW.size + len(pairs)) + row(marks, zero) + pairs
