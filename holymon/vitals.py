"""How the client itself was doing while it measured: one line a second, raw samples in it."""

import json
from collections.abc import Iterable
from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt


@dataclass(frozen=True, slots=True)
class Vitals:
    """What the workers noted of themselves.

    `lag_s`: how late the event loop woke from short sleeps, every sample, shape (n,).
    `cpu`: the busiest worker thread's share of one core in each second, shape (m,).
    `pause_s`: the longest stop for garbage collection in each second, shape (m,).
    `in_flight`, `rss_mb`: at the end of each second, shape (m,); `t_s`: that moment.
    """

    t_s: npt.NDArray[np.float64]
    lag_s: npt.NDArray[np.float64]
    cpu: npt.NDArray[np.float64]
    pause_s: npt.NDArray[np.float64]
    in_flight: npt.NDArray[np.int64]
    rss_mb: npt.NDArray[np.float64]

    def lag(self, q: float) -> float | None:
        """A percentile of the loop's lag in seconds; None if it was never sampled."""
        if len(self.lag_s) == 0:
            return None
        return float(np.quantile(self.lag_s, q, method="median_unbiased"))

    def to_dict(self) -> dict[str, Any]:
        """The figures that a report shows of the client."""
        some = len(self.cpu) > 0
        return {
            "loop_lag_p99_s": self.lag(0.99),
            "loop_lag_max_s": float(self.lag_s.max()) if len(self.lag_s) else None,
            "cpu_mean": float(self.cpu.mean()) if some else None,
            "cpu_max": float(self.cpu.max()) if some else None,
            "gc_pause_max_s": float(self.pause_s.max()) if some else None,
            "rss_max_mb": float(self.rss_mb.max()) if some else None,
        }


def line(
    t: float, lags: list[float], cpu: float, pause: float, in_flight: int, rss_mb: float
) -> bytes:
    """One second of a worker's life as a JSON line."""
    noted = {
        "t": round(t, 3), "lags": [round(lag, 6) for lag in lags], "cpu": round(cpu, 4),
        "pause": round(pause, 6), "in_flight": in_flight, "rss_mb": round(rss_mb, 1),
    }  # fmt: skip
    return json.dumps(noted).encode() + b"\n"


def read(lines: Iterable[bytes]) -> Vitals:
    """Vitals from the lines of all workers; a torn or foreign line is passed over."""
    noted = [one for one in map(_parse, lines) if one is not None]

    def column(name: str, kind: type) -> npt.NDArray[Any]:
        return np.array([one[name] for one in noted], dtype=kind)

    return Vitals(
        t_s=column("t", float),
        lag_s=np.array([lag for one in noted for lag in one["lags"]], dtype=float),
        cpu=column("cpu", float),
        pause_s=column("pause", float),
        in_flight=column("in_flight", int),
        rss_mb=column("rss_mb", float),
    )


def _parse(text: bytes) -> dict[str, Any] | None:
    try:
        found = json.loads(text)
    except ValueError:
        return None
    keys = {"t", "lags", "cpu", "pause", "in_flight", "rss_mb"}
    return found if isinstance(found, dict) and keys <= found.keys() else None
