"""How the client itself was doing while it measured: one line a second, raw samples in it."""

import json
import math
from collections.abc import Callable, Iterable
from dataclasses import dataclass, field
from typing import Any, Final

import numpy as np
import numpy.typing as npt

MOST: Final = 1e7
"""No number of a second of a worker is larger, its moment included (four months)."""

MOST_SECONDS: Final = 2**20
"""Of one worker (twelve days)."""

_LONGEST_LINE: Final = 2**16
BUSY: Final = 0.90
"""A client that uses more of a core than this may be the limit itself."""
WAITED: Final = 0.25
WOKE_LATE_S: Final = 0.001
"""Others had its core for so much of the time it wanted to run, and it cost so much each time."""
PAUSED_S: Final = 0.010
STOOD_S: Final = 0.25
SAMPLED_S: Final = 0.05
"""The loop's lag is sampled again after so long."""

Floats = npt.NDArray[np.float64]
Bools = npt.NDArray[np.bool_]


@dataclass(frozen=True, slots=True)
class ClientHealth:
    """What the workers noted of themselves.

    `lag_s`: how late the event loop woke from short sleeps, every sample, shape (n,).
    `cpu`: the busiest worker thread's share of one core in each second, shape (m,).
    `waited`: the share of the time it wanted to run in which another process had its core,
    shape (m,), NaN where the system does not tell; `late_s`: how long it waited for its core each
    time it woke, on average over each second, shape (m,), NaN where nobody noted it.
    `pause_s`: the longest stop for garbage collection in each second, shape (m,).
    `in_flight`, `rss_mb`: at the end of each second, shape (m,); `t_s`: that moment.
    `lag_max_s`: the largest lag in each second, shape (m,).
    """

    t_s: Floats
    lag_s: Floats
    cpu: Floats
    waited: Floats
    late_s: Floats
    pause_s: Floats
    in_flight: npt.NDArray[np.int64]
    rss_mb: Floats
    lag_max_s: Floats = field(default_factory=lambda: np.empty(0))

    @classmethod
    def of_loop(cls, lags: Iterable[float]) -> "ClientHealth":
        """Those of a client of which only its loop's lag was sampled (s)."""
        none = np.empty(0)
        return cls(
            none, np.array([*lags], float), none, none, none, none, np.empty(0, np.int64), none
        )

    def lag(self, q: float) -> float | None:
        """A percentile of the loop's lag in seconds; None if it was never sampled."""
        if len(self.lag_s) == 0:
            return None
        return float(np.quantile(self.lag_s, q, method="median_unbiased"))

    @property
    def seconds(self) -> dict[str, Bools]:
        """Which seconds the client was not fit in, by what it lacked, each of shape (m,).

        `busy`: more of a core than it should use; `starved`: others had its core; `paused`:
        stopped for garbage collection; `stood`: its loop did not turn for a quarter of a second.
        """
        return {
            "busy": self.cpu > BUSY,
            "starved": (self.waited > WAITED) & (self.late_s > WOKE_LATE_S),
            "paused": self.pause_s > PAUSED_S,
            "stood": self.lag_max_s > STOOD_S,
        }

    @property
    def stood(self) -> float:
        """The share of the time in which its loop did not turn for a quarter of a second."""
        whole = self.lag_s.sum() + SAMPLED_S * len(self.lag_s)
        return float(self.lag_s[self.lag_s > STOOD_S].sum() / whole) if whole > 0 else 0.0

    def spans(self, kinds: Iterable[str]) -> Floats:
        """From when to when the client was not fit in any of these ways, shape (k, 2), in s.

        Each is a second that a worker noted, from the end of its last: longer if it stood still.
        """
        seconds = self.seconds
        bad = np.zeros(len(self.t_s), bool)
        for kind in kinds:
            if len(seconds[kind]) == len(bad):
                bad |= seconds[kind]
        return self.noted[bad]

    @property
    def noted(self) -> Floats:
        """From when to when each second lasted that a worker noted, shape (m, 2), in s."""
        before = np.append(0.0, self.t_s[:-1])
        begins = np.where(before < self.t_s, before, np.maximum(self.t_s - 1, 0))
        return np.stack([begins, self.t_s], axis=1)

    @property
    def unfit(self) -> Floats:
        """From when to when the client was not fit in any way, shape (k, 2), in s."""
        return self.spans(self.seconds)

    @property
    def flight(self) -> tuple[Floats, Floats]:
        """Calls in flight over all workers: seconds and how many in each, both of shape (k,)."""
        second = np.round(self.t_s).astype(np.int64)
        if not len(second):
            return np.empty(0), np.empty(0)
        summed = np.bincount(second, weights=self.in_flight).astype(np.float64)
        there = np.unique(second)
        return there.astype(np.float64), summed[there]

    def to_dict(self) -> dict[str, Any]:
        """The figures that a report shows of the client; None for what was not noted."""
        return {
            "loop_lag_p99_s": self.lag(0.99),
            "loop_lag_max_s": _known(np.fmax.reduce, self.lag_s),
            "cpu_mean": _known(np.mean, self.cpu),
            "cpu_max": _known(np.fmax.reduce, self.cpu),
            "waited_max": _known(np.fmax.reduce, self.waited),
            "woke_late_max_s": _known(np.fmax.reduce, self.late_s),
            "gc_pause_max_s": _known(np.fmax.reduce, self.pause_s),
            "rss_max_mb": _known(np.fmax.reduce, self.rss_mb),
            "seconds": len(self.t_s) or None,
            **{
                f"{kind}_seconds": int(bad.sum()) if len(bad) else None
                for kind, bad in self.seconds.items()
            },
        }


def fell_in(spans: Floats, rows: Any) -> Bools:
    """Which calls were sent, gave their first token or ended in any of `spans`; shape (n,).

    `rows` gives columns of n rows by their names. What fell in one of `spans`, shape (k, 2), may
    have been noted late.
    """
    starts, ends = spans[np.argsort(spans[:, 0])].T
    ends = np.maximum.accumulate(ends)
    hit = np.zeros(len(rows["start_s"]), bool)
    for name in ("start_s", "first_s", "end_s") if len(starts) else ():
        at = np.searchsorted(starts, rows[name], side="right") - 1
        hit |= (at >= 0) & (rows[name] <= ends[at])
    return hit


def _known(of: Callable[[Floats], Any], values: Floats) -> float | None:
    value = float(of(values)) if len(values) else math.nan
    return value if math.isfinite(value) else None


def line(
    t: float, lags: list[float], cpu: float, waited: float, late: float, pause: float,
    in_flight: int, rss_mb: float,
) -> bytes:  # fmt: skip
    """One second of a worker's life as a JSON line."""
    noted = {
        "t": round(t, 3), "lags": [round(lag, 6) for lag in lags], "cpu": round(cpu, 4),
        "waited": None if math.isnan(waited) else round(waited, 4),
        "late": None if math.isnan(late) else round(late, 7),
        "pause": round(pause, 6), "in_flight": in_flight,
        "rss_mb": None if math.isnan(rss_mb) else round(rss_mb, 1),
    }  # fmt: skip
    return json.dumps(noted).encode() + b"\n"


def read(lines: Iterable[bytes]) -> ClientHealth:
    """Client health from the lines of all workers; a torn or foreign line is passed over."""
    seconds = [second for second in map(_parse, lines) if second is not None]

    def column(name: str, kind: type) -> npt.NDArray[Any]:
        return np.array([second[name] for second in seconds], dtype=kind)

    return ClientHealth(
        t_s=column("t", float),
        lag_s=np.array([lag for second in seconds for lag in second["lags"]], dtype=float),
        cpu=column("cpu", float),
        waited=column("waited", float),
        late_s=np.array([second.get("late") for second in seconds], dtype=float),
        pause_s=column("pause", float),
        in_flight=column("in_flight", int),
        rss_mb=column("rss_mb", float),
        lag_max_s=np.array([max(second["lags"], default=0.0) for second in seconds], dtype=float),
    )


def _parse(text: bytes) -> dict[str, Any] | None:
    if len(text) > _LONGEST_LINE:
        return None
    try:
        second = json.loads(text)
        numbers = [second[name] for name in ("t", "cpu", "pause", "in_flight")]
        unknown = (second["rss_mb"], second["waited"], second.get("late"))
        numbers += [0.0 if number is None else number for number in unknown]
        numbers += second["lags"]
    except (ValueError, TypeError, KeyError, RecursionError):
        return None
    numeric = all(isinstance(number, int | float) for number in numbers)
    good = numeric and 0 <= second["t"] <= MOST and all(abs(number) <= MOST for number in numbers)
    return second if good else None
