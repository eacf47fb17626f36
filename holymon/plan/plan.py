"""What is to be measured: frozen, validated, JSON both ways, and without any secret.

    Plan = targets x prompts x load (Open or Closed) x limits

A plan is the one thing passed to a worker, to a notebook's parameters or to a cluster. A target
names the environment variable of its key; the key itself is read where it is sent.
"""

import math
from typing import Final

import msgspec
import numpy as np
import numpy.typing as npt

from holymon.errors import PlanError
from holymon.formatting import Table, file_name, number_of
from holymon.language.said import say
from holymon.plan import arrivals, shapes
from holymon.plan.given_file import decoded
from holymon.plan.prompts import Prompts
from holymon.plan.slo import parse
from holymon.plan.target import Target
from holymon.safety import plain
from holymon.structs import Struct, check_range, mark_received, plain_text, replace, require

MAX_SECONDS: Final = shapes.MAX_SECONDS
MAX_CALLS: Final = 100_000_000
MOST_NUMBERS: Final = 2**32
"""Of calls, as a row keeps them: a conversation has as many as the longest one has turns."""

MAX_TARGETS: Final = 255
TIMEOUT_S: Final = 120.0


class Open(Struct, frozen=True, kw_only=False, tag="open"):
    """Open loop: calls are due by a schedule, whatever is unanswered up to a limit per target."""

    shape: shapes.Shape | shapes.Replay
    max_in_flight: int = 2000

    def __post_init__(self) -> None:
        """Raise PlanError if `max_in_flight` is out of range."""
        super().__post_init__()
        check_range("max_in_flight", self.max_in_flight, 1, 100_000)

    @property
    def words(self) -> str:
        """How calls arrive, in a few words."""
        return say("open loop, {words}", words=self.shape.words)


class Closed(Struct, frozen=True, tag="closed"):
    """Closed loop: so many users, each of whom calls again when the last answer has come."""

    users: int

    def __post_init__(self) -> None:
        """Raise PlanError if the number of users is out of range."""
        super().__post_init__()
        check_range("concurrency", self.users, 1, 10_000, "users")

    @property
    def words(self) -> str:
        """How many call, in a few words."""
        return say("closed loop, {users}", users=number_of(self.users, "user"))


class Plan(Struct, frozen=True):
    """A load on some targets, seeded, bounded in time and number.

    Each target gets the whole load: rate, users and requests are per target. Several targets are
    called in the same time, with the same prompts in the same order, so that the hour of day can't
    pass for a difference between them; each by arrivals of its own, as if it were alone.

    `duration_s` and `requests` count what is measured: the warm-up comes before. At least one of
    them is given; the load ends at whichever comes first. `timeout_s` is the total limit of one
    call, `first_byte_s` (None: the same) of the wait for its headers, `stall_s` or else the
    target's own of the wait for each token of a stream. Without them the first token may take as
    long as the call, and each further one 30 s, or as long if another `timeout_s` was asked for.
    Where the prompts are conversations it is these that arrive, are held by users, and are counted
    by `requests`; `duration_s` ends those under way. They are known by the numbers of their calls:
    of K targets and at most T turns, turn t of the c-th conversation of the j-th is
    (c T + t) K + j.
    `first_call` has each target called once before, outside of all figures: what every call would
    be refused for ends the run, or is asked as the API wants it.
    """

    targets: tuple[Target, ...]
    load: Open | Closed
    prompts: Prompts = Prompts()
    duration_s: float | None = None
    requests: int | None = None
    warmup_s: float = 0.0
    max_errors: int | None = None
    max_cost: float | None = None
    timeout_s: float = TIMEOUT_S
    connect_s: float = 10.0
    first_byte_s: float | None = None
    stall_s: float | None = None
    workers: int = 1
    seed: int = 0
    name: str = ""
    slo: tuple[str, ...] = ()
    first_call: bool = True

    def __post_init__(self) -> None:
        """Raise PlanError, naming the field and the mend."""
        super().__post_init__()
        require(bool(self.targets), "targets", "are missing", "name one, such as sim/fast")
        few = len(self.targets) <= MAX_TARGETS
        require(few, "targets", "are too many", f"at most {MAX_TARGETS}")
        names = [t.name for t in self.targets]
        twice = next((n for n in names if names.count(n) > 1), "")
        require(not twice, "targets", f"hold {plain(twice)!r} twice", "name each target once")
        for text in self.slo:
            parse(text)
        endless = isinstance(self.load, Closed) or self.load.shape.ends is None
        if self.duration_s is None and self.requests is None and endless:
            raise PlanError("duration and requests are both missing: say when the load is to end.")
        check_range("duration", self.duration_s, 0.01, MAX_SECONDS, "seconds")
        check_range("requests", self.requests, 1, MAX_CALLS)
        check_range("warmup", self.warmup_s, 0, MAX_SECONDS, "seconds")
        for name in ("timeout_s", "connect_s", "first_byte_s", "stall_s"):
            check_range(name.removesuffix("_s"), getattr(self, name), 0.01, MAX_SECONDS, "seconds")
        check_range("max_errors", self.max_errors, 1, MAX_CALLS)
        check_range("max_cost", self.max_cost, 0, 1e9)
        check_range("workers", self.workers, 1, 64)
        check_range("seed", self.seed, 0, 2**63 - 1)
        self._check_together()

    def _check_together(self) -> None:
        unpriced = [t.name for t in self.targets if not t.billed.known]
        if self.max_cost is not None and unpriced:
            raise PlanError(
                f"max_cost can't be kept for {plain(', '.join(unpriced))}, whose price is not "
                "known in USD: put input and output prices into targets.toml."
            )
        if isinstance(self.load, Open):
            check_range("requests / rate", self.seconds, 0, 2 * MAX_SECONDS, "seconds")
            if isinstance(self.load.shape, shapes.Replay):
                check_range("warmup of a replay", self.warmup_s, 0, 0, "seconds")
            else:
                n, end = len(self.targets), self.seconds
                line = shapes.polyline(self.load.shape, end=end, warm_up=self.warmup_s, times=n)
                calls = shapes.cumulative(line)[1][-1]
                less = f"is over {MAX_CALLS} calls"
                numbers = calls * self.prompts.turns
                fits = bool(calls <= MAX_CALLS and numbers < MOST_NUMBERS)
                require(fits, "rate x duration", less, "lower one")

    @property
    def run_name(self) -> str:
        """The name of its run: its own, or one made from the models."""
        return self.name or "-".join(file_name(t.model, 30) for t in self.targets[:3])

    @property
    def table(self) -> Table:
        """Its name, and what differs from the defaults."""
        return Table(("plan", self.name or "without a name"), self.facts, "l")

    def _repr_html_(self) -> str:
        return self.table.html()

    @property
    def seconds(self) -> float:
        """How long the load lasts at most, warm-up included, without the last answers' tail."""
        shape = self.load.shape if isinstance(self.load, Open) else None
        if self.duration_s is not None:
            whole = self.warmup_s + self.duration_s
            return min(whole, shape.ends or 0.0) if isinstance(shape, shapes.Replay) else whole
        if shape is None:
            return MAX_SECONDS
        if shape.ends is not None or isinstance(shape, shapes.Replay):
            return self.warmup_s + (shape.ends or 0.0)
        calls = float(self.requests or 0)
        if shape.arrivals != "constant":
            # It may need longer for its N-th call than N / rate, but never as long as this.
            calls += 10 * shape.cv * math.sqrt(calls) + 30 * max(1.0, shape.cv**2)
        return self.warmup_s + calls / shape.peak

    @property
    def sending_s(self) -> float:
        """Until when anything is sent, warm-up included; inf where only its number ends a load."""
        return math.inf if self.duration_s is None else self.warmup_s + self.duration_s

    @property
    def simulated(self) -> bool:
        """Whether any target is the built-in simulator."""
        return any(t.simulated for t in self.targets)

    def due(self) -> shapes.Floats:
        """When each call of an open loop is due: the times of its `schedule`, shape (n,)."""
        return self.schedule()[0]

    def schedule(self) -> tuple[shapes.Floats, npt.NDArray[np.int64]]:
        """When the calls of an open loop are due (s from the start, ascending), and their numbers.

        Both of shape (n,), and empty for a closed loop, whose calls are due when the one before
        has ended. Of K targets the k-th call of the j-th has number k K + j, in any loop. Each has
        a stream of arrivals of its own from the plan's seed: one dealt out to K of them would be
        too even for each (every K-th call of a Poisson process: variance / mean is 1 / K).
        """
        if isinstance(self.load, Closed):
            return np.empty(0), np.empty(0, np.int64)
        streams = []
        for j, phase in enumerate(arrivals.phases(len(self.targets), self.seed)):
            times = arrivals.due(
                self.load.shape, end=self.seconds, warm_up=self.warmup_s, seed=self.seed, stream=j,
                phase=phase,
            )  # fmt: skip
            most = self.requests
            first = int(np.searchsorted(times, self.warmup_s))
            streams.append(times if most is None else times[: first + most])
        return arrivals.merged(streams, self.seed)

    def share(self, part: int, parts: int) -> tuple[shapes.Floats, npt.NDArray[np.int64]]:
        """What of the schedule is due from the `part`-th of so many workers, in the same form.

        Each takes every `parts`-th round, a call to each target, so that no target has a worker of
        its own and differs by that.
        """
        due, numbers = self.schedule()
        mine = numbers // len(self.targets) % parts == part
        return due[mine], numbers[mine]

    def sweep(self, *loads: Open | Closed) -> tuple["Plan", ...]:
        """This plan under one load after another: each level is a run with figures of its own."""
        return tuple(replace(self, load=load) for load in loads)

    def to_json(self) -> bytes:
        """The plan as JSON, for a file or another process. Raises PlanError for what is no text."""
        try:
            return msgspec.json.format(msgspec.json.encode(self, enc_hook=plain_text), indent=1)
        except UnicodeEncodeError:
            half = "a prompt or a name holds half a surrogate pair, which is no text: take it out."
            raise PlanError(half) from None

    @classmethod
    def from_json(cls, data: bytes | str, source: str = "a plan in JSON") -> "Plan":
        """The plan that `to_json` wrote, as others' word. Raises PlanError, naming the field."""
        try:
            plan = msgspec.json.decode(data if isinstance(data, str) else decoded(data), type=cls)
        except (msgspec.MsgspecError, UnicodeError, RecursionError) as error:
            if isinstance(error.__cause__, PlanError):
                raise error.__cause__ from None
            raise PlanError(f"not a plan: {plain(str(error))}.") from None
        for target in plan.targets:
            mark_received(target, source)
        return plan
