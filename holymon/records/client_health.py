"""How the client itself was doing while it measured: one line a second, raw samples in it."""

import json
import math
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from typing import Any, Final

import numpy as np
import numpy.typing as npt

MOST: Final = 1e7
"""No number of a second of a worker is larger, its moment included (four months)."""

Floats = npt.NDArray[np.float64]


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
    """

    t_s: Floats
    lag_s: Floats
    cpu: Floats
    waited: Floats
    late_s: Floats
    pause_s: Floats
    in_flight: npt.NDArray[np.int64]
    rss_mb: Floats

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
        }


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
    )


def _parse(text: bytes) -> dict[str, Any] | None:
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
