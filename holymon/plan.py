"""What is to be measured: frozen, validated, JSON both ways, and without any secret.

    Plan = targets x prompts x load (Open or Closed) x limits

A plan is the one thing passed to a worker, to a notebook's parameters or to a cluster. A target
names the environment variable of its key; the key itself is read where it is sent.
"""

import re
from typing import Any, Final
from urllib.parse import parse_qsl, urlsplit

import msgspec
import numpy as np
import numpy.typing as npt

from holymon import shapes
from holymon.errors import PlanError
from holymon.safety import looks_secret, plain
from holymon.slo import parse

MAX_SECONDS: Final = 7 * 24 * 3600.0
MAX_CALLS: Final = 100_000_000
_ENV_NAME: Final = re.compile(r"[A-Za-z_][A-Za-z0-9_]*")


def _require(good: bool, field: str, what: str, mend: str) -> None:
    if not good:
        raise PlanError(f"{field} {what}: {mend}.")


def _check_number(field: str, value: float, low: float, high: float, unit: str = "") -> None:
    # Written so that NaN fails it too.
    if not low <= value <= high:
        said = f"{value:g}" + (f" {unit}" if unit else "")
        raise PlanError(f"{field} is {said}: it must lie between {low:g} and {high:g}.")


def _check_url(url: str) -> None:
    try:
        parts = urlsplit(url)
        port_ok = parts.port is None or 0 < parts.port < 65536
    except ValueError:
        port_ok, parts = False, urlsplit("")
    if parts.username or parts.password:
        raise PlanError("base_url holds a user name or password: take it out, use api_key_env.")
    if any(looks_secret(k, v) for k, v in parse_qsl(parts.query)):
        raise PlanError("base_url holds a key in its query: take it out and use api_key_env.")
    if parts.scheme not in {"http", "https"} or not parts.hostname or not port_ok:
        raise PlanError(
            f"base_url {plain(url)!r} is not an address: write it like http://127.0.0.1:8000/v1."
        )
    if parts.path.rstrip("/").endswith("/chat/completions"):
        raise PlanError("base_url ends in /chat/completions: leave that off, it is added.")


class _Struct(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    pass


class Price(_Struct, frozen=True):
    """What a model costs, in `currency` per million tokens; None is "not known", never free."""

    input: float | None = None
    output: float | None = None
    cached_input: float | None = None
    currency: str = "USD"
    source: str = ""
    date: str = ""


class Target(_Struct, frozen=True):
    """One thing that can be called. Written `provider/model`."""

    provider: str
    model: str
    base_url: str = ""
    api_key_env: str = ""
    price: Price = Price()
    stall_s: float = 30.0

    def __post_init__(self) -> None:
        """Raise PlanError for what can't be called."""
        _require(bool(self.model.strip()), "model", "is empty", "name a model")
        _require(bool(self.provider.strip()), "provider", "is empty", "name a provider")
        _check_number("stall_s", self.stall_s, 0.01, MAX_SECONDS)
        if self.api_key_env and not _ENV_NAME.fullmatch(self.api_key_env):
            raise PlanError(
                "api_key_env must be the name of an environment variable (letters, digits, _), "
                "not a key: put the key into a variable and give the variable's name."
            )
        if self.base_url:
            _check_url(self.base_url)

    @property
    def name(self) -> str:
        """`provider/model`."""
        return f"{self.provider}/{self.model}"

    @property
    def simulated(self) -> bool:
        """Whether this is the built-in simulator."""
        return self.provider == "sim"


class Prompts(_Struct, frozen=True):
    """What is asked: one text, several in turn, or synthetic ones of about `tokens` tokens."""

    texts: tuple[str, ...] = ("Say hello in one short sentence.",)
    tokens: int | None = None
    max_tokens: int | None = 64
    stream: bool = True

    def __post_init__(self) -> None:
        """Raise PlanError for what can't be asked."""
        _require(bool(self.texts), "prompts", "are empty", "give at least one text")
        if self.tokens is not None:
            _check_number("prompt_tokens", self.tokens, 1, 1_000_000)
        if self.max_tokens is not None:
            _check_number("max_tokens", self.max_tokens, 1, 10_000_000)


class Open(_Struct, frozen=True, tag="open"):
    """Open loop: calls are due by a schedule, however slow the answers are."""

    rate: float
    arrivals: shapes.Arrivals = "constant"
    max_in_flight: int = 2000

    def __post_init__(self) -> None:
        """Raise PlanError for a schedule that can't be."""
        _check_number("rate", self.rate, 1e-4, 1e6, "calls per second")
        _check_number("max_in_flight", self.max_in_flight, 1, 100_000)


class Closed(_Struct, frozen=True, tag="closed"):
    """Closed loop: so many users, each of whom calls again when the last answer has come."""

    users: int

    def __post_init__(self) -> None:
        """Raise PlanError for a number of users that can't be."""
        _check_number("concurrency", self.users, 1, 10_000, "users")


class Plan(_Struct, frozen=True):
    """A load on some targets, seeded, bounded in time and number.

    Each target gets the whole load: rate, users and requests are per target, and the calls of
    several targets are interleaved one by one, in random order and with the same prompts, so
    that the hour of day can't pass for a difference between them.

    `duration_s` and `requests` count what is measured: the warm-up comes before. At least one of
    them is given; the load ends at whichever comes first. `timeout_s` is the total limit of one
    call, its other limits are `connect_s`, `first_byte_s` and the target's `stall_s`.
    """

    targets: tuple[Target, ...]
    load: Open | Closed
    prompts: Prompts = Prompts()
    duration_s: float | None = None
    requests: int | None = None
    warmup_s: float = 0.0
    max_errors: int | None = None
    max_cost: float | None = None
    timeout_s: float = 120.0
    connect_s: float = 10.0
    first_byte_s: float = 60.0
    workers: int = 1
    seed: int = 0
    name: str = ""
    slo: tuple[str, ...] = ()

    def __post_init__(self) -> None:
        """Raise PlanError, naming the field and the mend."""
        _require(bool(self.targets), "targets", "are missing", "name one, such as sim/fast")
        names = [t.name for t in self.targets]
        twice = next((n for n in names if names.count(n) > 1), "")
        _require(not twice, "targets", f"hold {twice!r} twice", "name each target once")
        for text in self.slo:
            parse(text)
        if self.duration_s is None and self.requests is None:
            raise PlanError("duration and requests are both missing: say when the load is to end.")
        if self.duration_s is not None:
            _check_number("duration", self.duration_s, 0.01, MAX_SECONDS, "seconds")
        if self.requests is not None:
            _check_number("requests", self.requests, 1, MAX_CALLS)
        _check_number("warmup", self.warmup_s, 0, MAX_SECONDS, "seconds")
        _check_number("timeout", self.timeout_s, 0.01, MAX_SECONDS, "seconds")
        _check_number("connect_s", self.connect_s, 0.01, MAX_SECONDS, "seconds")
        _check_number("first_byte_s", self.first_byte_s, 0.01, MAX_SECONDS, "seconds")
        _check_number("workers", self.workers, 1, 64)
        if self.max_errors is not None:
            _check_number("max_errors", self.max_errors, 1, MAX_CALLS)
        if self.max_cost is not None:
            _check_number("max_cost", self.max_cost, 0, 1e9)
            unpriced = [t.name for t in self.targets if t.price.output is None]
            if unpriced:
                raise PlanError(
                    f"max_cost can't be kept for {', '.join(unpriced)}, whose price is not known: "
                    "put input and output prices into targets.toml."
                )
        if isinstance(self.load, Open) and self.load.rate * self.seconds > MAX_CALLS:
            raise PlanError(f"rate x duration is over {MAX_CALLS} calls: lower one of them.")

    @property
    def seconds(self) -> float:
        """How long the load lasts at most, warm-up included, without the last answers' tail."""
        if self.duration_s is not None:
            return self.warmup_s + self.duration_s
        if isinstance(self.load, Closed):
            return MAX_SECONDS
        # A Poisson process may need longer for its N-th call than N / rate.
        spare = 1.0 if self.load.arrivals == "constant" else 1.5
        return self.warmup_s + ((self.requests or 0) * spare + 20 * (spare - 1)) / self.load.rate

    @property
    def simulated(self) -> bool:
        """Whether any target is the built-in simulator."""
        return any(t.simulated for t in self.targets)

    def due(self) -> shapes.Floats:
        """When each call of an open loop is due, in seconds from the start; shape (n,).

        Empty for a closed loop, whose calls are due when the one before has ended.
        """
        if isinstance(self.load, Closed):
            return np.empty(0)
        rate = self.load.rate * len(self.targets)
        times = shapes.due([(0.0, rate), (self.seconds, rate)], self.load.arrivals, seed=self.seed)
        if self.requests is None:
            return times
        warm = int((times < self.warmup_s).sum())
        return times[: warm + self.requests * len(self.targets)]

    def order(self, n: int) -> npt.NDArray[np.int64]:
        """The target of each of the first `n` calls, as positions in `targets`; shape (n,).

        Every block of as many calls as there are targets holds each of them once.
        """
        k = len(self.targets)
        blocks = np.tile(np.arange(k), (-(-n // k), 1))
        return np.random.default_rng(self.seed).permuted(blocks, axis=1).ravel()[:n]

    def to_json(self) -> bytes:
        """The plan as JSON, for a file or another process."""
        return msgspec.json.format(msgspec.json.encode(self), indent=1)

    @classmethod
    def from_json(cls, data: bytes | str) -> "Plan":
        """The plan that `to_json` wrote. Raises PlanError, naming the field."""
        try:
            return msgspec.json.decode(data, type=cls)
        except msgspec.MsgspecError as error:
            raise PlanError(f"not a plan: {plain(str(error))}.") from None


def to_builtins(value: Any) -> Any:
    """A plan or a part of it as dicts, lists and scalars, ready for JSON."""
    return msgspec.to_builtins(value)


def from_builtins(value: Any, kind: type[msgspec.Struct], where: str) -> Any:
    """A part of a plan from dicts and lists; PlanError names `where` and the field."""
    try:
        return msgspec.convert(value, type=kind)
    except msgspec.ValidationError as error:
        raise PlanError(f"{where}: {plain(str(error))}.") from None
