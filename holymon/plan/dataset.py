"""Many requests, from a file that people have or made up: what is asked, in turn.

A dataset is known by the hash of its requests. In a plan there is only that, and how many and how
long they are: the requests themselves, a line of JSON each, lie beside the plan of a run.
"""

import hashlib
from collections.abc import Callable, Iterable, Iterator, Sequence
from typing import Any, Final, NamedTuple

import msgspec
import numpy as np
import numpy.typing as npt

from holymon.errors import ConfigError, PlanError
from holymon.formatting import Table, number_of
from holymon.language.said import Digits, glued, say
from holymon.plan import images
from holymon.plan.requests import MOST_TURNS, Request, about_tokens, most_tokens
from holymon.plan.shapes import MAX_SECONDS, Replay
from holymon.safety import plain, short
from holymon.structs import Struct, check_range, require

MOST_BYTES: Final = 2**29
"""Of all requests of a dataset, as they are kept."""

MOST_REQUESTS: Final = 10_000_000
MOST_CALLS: Final = 100_000_000
_decode: Final = msgspec.json.Decoder(Request).decode
_encode: Final = msgspec.json.Encoder(enc_hook=images.written).encode


class Packed(Sequence[Request]):
    """The requests of a dataset: a line of JSON each, read when it is wanted."""

    def __init__(self, data: bytes) -> None:
        """Find where each line begins and ends."""
        self.data = data
        ends = np.flatnonzero(np.frombuffer(data, np.uint8) == ord("\n"))
        self._ends: list[int] = ends.tolist()

    def __len__(self) -> int:
        return len(self._ends)

    def line(self, number: int) -> bytes:
        """The JSON of a request."""
        return self.data[self._ends[number - 1] + 1 if number else 0 : self._ends[number]]

    def __getitem__(self, number: Any) -> Any:
        """A request by its number from 0. Raises ConfigError if its line is damaged."""
        if isinstance(number, slice):
            return [self[k] for k in range(*number.indices(len(self)))]
        number += len(self) if number < 0 else 0
        if not 0 <= number < len(self):
            raise IndexError(number)
        try:
            return _decode(self.line(number))
        except (msgspec.MsgspecError, RecursionError, UnicodeError) as error:
            raise ConfigError(f"request {number} can't be read: {short(str(error))}.") from None


class Dataset(Struct, frozen=True, dict=True):
    """Many requests: a sequence of them, and, in a plan, what is to be known of them.

    `source` is the file's name, `kind` what it was recognised as, `left_out` what of it was not
    taken, and why. `most_tokens` is how many tokens all prompts can be at most, and `longest` the
    longest; `limits` is the sum of the requests' own `max_tokens`, `longest_limit` the highest, and
    `unlimited` are without any. `own` are texts of somebody's own; `timed` says when each came.

    Of conversations `requests` are how many there are, `turns` the most of one, and `calls` of all
    together; prompts are then those of each turn, with all that was said before. `repeats` is how
    often an answer that has no limit of its own is said again.
    """

    digest: str
    requests: int
    source: str = ""
    kind: str = ""
    left_out: str = ""
    most_tokens: int = 0
    longest: int = 0
    about_tokens: float = 0.0
    limits: int = 0
    longest_limit: int = 0
    unlimited: int = 0
    own: bool = True
    timed: bool = False
    turns: int = 1
    calls: int = 0
    repeats: int = 0

    def __post_init__(self) -> None:
        """Raise PlanError for numbers that no dataset has."""
        super().__post_init__()
        check_range("requests of a dataset", self.requests, 1, MOST_REQUESTS)
        check_range("turns", self.turns, 1, MOST_TURNS)
        msgspec.structs.force_setattr(self, "calls", self.calls or self.requests)
        check_range("calls of a dataset", self.calls, self.requests, MOST_CALLS)
        check_range("requests without max_tokens", self.unlimited, 0, self.calls)
        for name in (
            "most_tokens", "longest", "about_tokens", "limits", "longest_limit", "repeats"
        ):  # fmt: skip
            check_range(name, getattr(self, name), 0, 1e15)
        good = len(self.digest) == 64 and not set(self.digest) - set("0123456789abcdef")
        require(good, "digest", "is no hash", "take the plan that a run wrote")

    def kept_by(self, read: Callable[[], bytes]) -> None:
        """Say from where its requests are to be read when they are wanted."""
        self.__dict__.setdefault("_read", read)

    @property
    def packed(self) -> Packed:
        """Its requests. Raises ConfigError where they are not, or are others."""
        known: Packed | None = self.__dict__.get("_packed")
        if known is None:
            read = self.__dict__.get("_read")
            if read is None:
                raise ConfigError("what was asked is not here, only its plan: name the run.")
            known = self.__dict__["_packed"] = self._checked(read())
        return known

    def _checked(self, data: bytes) -> Packed:
        packed = Packed(data)
        if _digest(data) != self.digest or len(packed) != self.requests:
            raise ConfigError("the requests in the run's folder are not those that were asked.")
        return packed

    def __len__(self) -> int:
        return self.requests

    def __getitem__(self, number: int) -> Request:
        request: Request = self.packed[number]
        return request

    def __iter__(self) -> Iterator[Request]:
        return iter(self.packed)

    def replay(self, *, speed: float = 1.0) -> Replay:
        """The load that sends each request when it came once, `speed` times as fast.

        Raises PlanError if nothing says when that was.
        """
        self._require_times()
        if not 0 < speed < float("inf"):
            raise PlanError(f"speed is {speed:g}: it must be above 0.")
        times = self.times
        shown = np.round((times - times[0]) / speed, 6).tolist()
        check_range(
            "the end of the trace (take a part of it: --trace-window)", shown[-1], 0, MAX_SECONDS,
            "seconds",
        )  # fmt: skip
        return Replay(times=tuple(shown))

    def window(self, begin: float, end: float) -> "Dataset":
        """What came from `begin` to `end`, in seconds from the first. Raises PlanError."""
        self._require_times()
        require(0 <= begin < end, "trace-window", "ends before it begins", "give BEGIN,END")
        since = self.times - self.times[0]
        inside = np.flatnonzero((since >= begin) & (since < end)).tolist()
        require(bool(inside), "trace-window", "holds no request", "take another part")
        outside = f"{self.requests - len(inside):,} outside of the window"
        left = "; ".join(filter(None, (self.left_out, outside)))
        chosen = (self[number] for number in inside)
        return dataset_of(chosen, self.source, self.kind, left, timed=True)

    def _require_times(self) -> None:
        if not self.timed:
            raise PlanError(f"{self.source or 'this dataset'} does not say when its requests came.")

    @property
    def times(self) -> npt.NDArray[np.float64]:
        """When its requests came (s), shape (n,); NaN where that is not known."""
        return np.array([np.nan if r.at is None else r.at for r in self], dtype=np.float64)

    @property
    def words(self) -> str:
        """How many requests of which kind."""
        source = say(" of {source}", source=short(self.source, 60)) if self.source else ""
        kind = glued(" (", short(self.kind, 60), ")") if self.kind else ""
        each = round(self.about_tokens / self.calls)
        many = number_of(self.requests, "request")
        if self.turns > 1:
            many = say(
                "{conversations} of {turns} turns",
                conversations=number_of(self.requests, "conversation"), turns=self._turns,
            )  # fmt: skip
        return say(
            "{many}{source}{kind}, of about {tokens} each", many=many, source=source, kind=kind,
            tokens=number_of(each, "token"),
        )  # fmt: skip

    @property
    def _turns(self) -> str:
        """How many turns its conversations have, in words."""
        mean = self.calls / self.requests
        return (
            Digits(f"{mean:.3g}")
            if mean == self.turns
            else say("{mean:.3g} (at most {turns})", mean=mean, turns=self.turns)
        )

    def mapped(self, change: Callable[[int, Request], Request], *, timed: bool) -> "Dataset":
        """The same requests, each changed by its number and itself."""
        changed = (change(number, request) for number, request in enumerate(self))
        return dataset_of(changed, self.source, self.kind, self.left_out, timed=timed)

    @property
    def table(self) -> Table:
        """How many, how long, and the first one."""
        many = "conversations" if self.turns > 1 else "requests"
        rows = [(many, f"{self.requests:,}"), ("kind", self.kind or "made")]
        if self.turns > 1:
            rows.append(("turns", f"{self._turns}, {self.calls:,} in all"))
        rows.append(("prompts", f"about {self.about_tokens / self.calls:,.0f} tokens each"))
        if self.longest_limit:
            rows.append(("longest answer", f"{self.longest_limit:,} tokens"))
        if self.unlimited < self.calls:
            some = self.calls - self.unlimited
            rows.append(("answers", f"{some:,} with a limit, {self.limits / some:,.0f} on average"))
        if self.left_out:
            rows.append(("left out", self.left_out))
        rows.append(("first", self[0].words))
        return Table(("dataset", short(self.source, 60)), rows, "l")

    def _repr_html_(self) -> str:
        return self.table.html()

    def __repr__(self) -> str:
        return plain(f"<Dataset {self.words}>")


def _digest(data: bytes) -> str:
    return hashlib.blake2b(data, digest_size=32).hexdigest()


def dataset_of(
    requests: Iterable[Request], source: str = "", kind: str = "", left_out: str = "", *,
    timed: bool = False,
) -> Dataset:  # fmt: skip
    """A dataset of these requests. Raises PlanError for none, or for too much."""
    lines, size, sizes = list[bytes](), 0, list[_Size]()
    own = False
    for request in requests:
        try:
            line = _encode(request)
        except (UnicodeEncodeError, TypeError, ValueError, RecursionError) as error:
            reason = short(str(error))
            raise PlanError(f"request {len(lines) + 1} can't be JSON: {reason}.") from None
        size += len(line) + 1
        require(size <= MOST_BYTES, "requests", f"are over {MOST_BYTES} bytes", "take fewer")
        lines.append(line)
        sizes += _sizes_of(request) if request.then else [_size_of(request, len(line))]
        own = own or any(turn.messages for turn in request.conversation)
    require(bool(lines), "a dataset", "holds no request", "give at least one")
    data = b"\n".join([*lines, b""])
    limits = [each.limit for each in sizes]
    made = Dataset(
        digest=_digest(data), requests=len(lines), source=source, kind=kind, left_out=left_out,
        most_tokens=sum(each.most for each in sizes), longest=max(each.most for each in sizes),
        about_tokens=sum(each.about for each in sizes), limits=sum(limits),
        longest_limit=max(limits), unlimited=limits.count(0), own=own, timed=timed,
        turns=max(each.turn for each in sizes), calls=len(sizes),
        repeats=sum(each.repeats for each in sizes),
    )  # fmt: skip
    made.kept_by(lambda: data)
    return made


class _Size(NamedTuple):
    """How long one turn is: its prompt at most and about, its answer; what is said again in it."""

    most: int
    about: float
    limit: int
    turn: int = 1
    repeats: int = 0


def _size_of(request: Request, size: int) -> _Size:
    return _Size(most_tokens(request, size), about_tokens(request), request.max_tokens or 0)


def _sizes_of(request: Request) -> list[_Size]:
    """How long the turns of a conversation are, with all that was said before."""
    sizes, previous = list[_Size](), request
    for number, turn in enumerate(request.conversation, 1):
        alone = turn.changed(then=())
        size = _size_of(alone, len(_encode(alone)))._replace(turn=number)
        if sizes and not turn.whole:
            before, answer = sizes[-1], not turn.has_answer
            expected = previous.output_tokens or previous.max_tokens or 0
            size = size._replace(
                most=before.most + before.limit * answer + size.most,
                about=before.about + expected * answer + size.about,
                repeats=before.repeats + (answer and not before.limit),
            )  # fmt: skip
        sizes.append(size)
        previous = turn
    return sizes
