"""What the client measured held against what the server knows: pure arithmetic on both.

The simulator's model `pinned` answers with a first token after 100 ms and one every 10 ms, and logs
when it really wrote each of them. What a client reports beyond that is its own error, and that of
the loopback between them. The simulator runs on the same machine: its own lateness is in its log,
and so in no error.
"""

from collections.abc import Iterable, Mapping
from dataclasses import asdict, dataclass
from operator import attrgetter
from typing import Any, Final

import numpy as np

from holymon.figures.quantiles import Floats
from holymon.figures.summary_types import Summary
from holymon.figures.verdict import Verdict
from holymon.formatting import DASH, Table, Tables, count, rounded
from holymon.records.attempt import gap_value
from holymon.records.records import Records
from holymon.structs import shows_table

QUANTILES: Final = {"p50": 0.5, "p99": 0.99}
METRICS: Final = ("ttft_s", "latency_s", "itl_s")


@dataclass(frozen=True, slots=True)
class MeasuredRate:
    """One rate: reported minus true percentiles in seconds (None where calls are too few)."""

    rate: float
    calls: int
    errors: dict[str, dict[str, float | None]]
    schedule_delay_p99_s: float | None
    sent_per_s: float | None
    measurement: str
    reasons: tuple[str, ...]


@shows_table
@dataclass(frozen=True, slots=True)
class Calibration:
    """How far off the client is on this machine, and up to which rate it can be trusted."""

    accuracy: tuple[MeasuredRate, ...]
    rates: tuple[MeasuredRate, ...]

    @property
    def highest_valid_rate(self) -> float | None:
        """The highest rate tried whose verdict was `valid`, with all lower ones; None if none."""
        good = None
        for level in sorted(self.rates, key=attrgetter("rate")):
            if level.measurement != "valid":
                break
            good = level.rate
        return good

    @property
    def table(self) -> Tables:
        """How far off each percentile is, and which rates were valid."""
        heads = [f"{name} {q}" for name in ("TTFT", "latency", "gaps") for q in QUANTILES]
        off = [
            (f"{level.rate:g}", count(level.calls),
             *(_ms(level.errors[metric][q]) for metric in METRICS for q in QUANTILES),
             _ms(level.schedule_delay_p99_s), level.measurement)
            for level in self.accuracy
        ]  # fmt: skip
        tried = [
            (f"{level.rate:g}", _ms(level.schedule_delay_p99_s), level.measurement)
            for level in self.rates
        ]
        reasons = [
            f"{level.rate:g} calls/s: {why}" for level in self.rates for why in level.reasons
        ]
        best = self.highest_valid_rate
        beside = "with one worker and the simulator beside it"
        answer = "no rate was valid" if best is None else f"valid to {best:g} calls/s {beside}"
        return Tables([
            Table(("calls/s", "calls", *heads, "delay p99", "verdict"), off, "r" * 9 + "l",
                  lead=("reported minus true, in ms, against the built-in simulator on this "
                        "machine:",)),
            Table(("calls/s of 4 tokens", "delay p99, ms", "verdict"), tried, "rrl",
                  notes=(*reasons, answer)),
        ])  # fmt: skip

    def to_dict(self) -> dict[str, Any]:
        """All rates as dicts, with the highest valid one."""
        return {**asdict(self), "highest_valid_rate": self.highest_valid_rate}


def level_of(
    rate: float, records: Records, summary: Summary, judged: Verdict,
    truth: Iterable[Mapping[str, Any]],
) -> MeasuredRate:  # fmt: skip
    """One rate of a calibration, from a run on `pinned` and the log of its simulator."""
    (target,) = summary.targets
    return MeasuredRate(
        rate=rate, calls=target.requests, errors=errors_of(records, truth),
        schedule_delay_p99_s=target.schedule_delay_s.p99, sent_per_s=target.sent_per_s,
        measurement=judged.measurement,
        reasons=tuple(reason.text for reason in judged.reasons),
    )  # fmt: skip


def errors_of(
    records: Records, truth: Iterable[Mapping[str, Any]]
) -> dict[str, dict[str, float | None]]:
    """Reported minus true percentiles of TTFT, latency and gaps, in seconds.

    `truth` are the lines of the simulator's log: times in seconds since a request arrived. The
    first requests that arrived are the warm-up, here as there.
    """
    warm = int(records.mask(warmup=True).sum() - records.mask().sum())
    real = [
        entry for entry in truth
        if entry.get("fault") == "ok" and entry.get("token_s") and entry["n"] >= warm
    ]  # fmt: skip
    good = records.rows[records.ok & records.mask()]
    pairs = records.select(records.ok & records.mask()).gap_pairs
    reported = {
        "ttft_s": good["first_s"] - good["start_s"],
        "latency_s": good["end_s"] - good["start_s"],
        "itl_s": np.repeat(gap_value(pairs["bin"]), pairs["n"]),
    }
    actual = {
        "ttft_s": np.array([entry["token_s"][0] for entry in real]),
        "latency_s": np.array([entry["token_s"][-1] for entry in real]),
        "itl_s": np.concatenate([np.diff(entry["token_s"]) for entry in real] or [np.empty(0)]),
    }
    return {
        metric: {name: _off(reported[metric], actual[metric], q) for name, q in QUANTILES.items()}
        for metric in METRICS
    }


def _off(reported: Floats, actual: Floats, q: float) -> float | None:
    if min(len(reported), len(actual)) < 1 / (1 - q):
        return None
    reported_s, actual_s = (np.quantile(x, q, method="median_unbiased") for x in (reported, actual))
    return float(reported_s - actual_s)


def _ms(seconds: float | None) -> str:
    """Milliseconds to a hundredth, or with three figures: no stall is known better."""
    if seconds is None:
        return DASH
    return rounded(seconds * 1e3) if abs(seconds) >= 0.01 else f"{seconds * 1e3:.2f}"
