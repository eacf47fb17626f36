"""When to wake someone: the alerts as data, all their numbers in one place.

Prometheus evaluates them as rules (`rules`), a notebook on records (`backtest_sources`).
"""

from collections.abc import Iterable
from dataclasses import dataclass, field
from typing import Final, Literal

from holymon.errors import PlanError
from holymon.plan import slo
from holymon.prometheus.conditions import (
    ATTEMPTS,
    BEFORE,
    ERRORS,
    REQUESTS,
    Burn,
    Condition,
    Count,
    Evidence,
    Failing,
    Hanging,
    Seen,
    Share,
    Silent,
    Slower,
)
from holymon.prometheus.metric_names import HISTOGRAM_OF

OBJECTIVES: Final = ("error_rate<1%", "ttft_p95<2s")
"""What is watched if no objective is given."""

Severity = Literal["page", "ticket"]


@dataclass(frozen=True, slots=True)
class Alert:
    """One alert of one target: it fires once its condition has held for `hold_s`."""

    name: str
    severity: Severity
    condition: Condition
    says: str
    hold_s: float = 0.0
    objective: str = ""
    timing: bool = False
    """Whether it speaks of durations, which an unfit client falsifies."""


@dataclass(frozen=True, slots=True)
class Limits:
    """Every number that an alert goes by: shares from 0 to 1, windows and waits in seconds.

    `burns` are (name, severity, times the error budget, long window, short window), as in chapter
    5 of the SRE workbook: 2 % of a month's budget in 1 h, 5 % in 6 h, 10 % in 3 days.
    """

    burns: tuple[tuple[str, Severity, float, float, float], ...] = (
        ("FastBurn", "page", 14.4, 3600.0, 300.0),
        ("SlowBurn", "page", 6.0, 21600.0, 1800.0),
        ("Ticket", "ticket", 1.0, 259200.0, 21600.0),
    )
    failures: float = 3.0  # bad calls that a share must be made of
    sure: float = 3.0  # standard errors that it must be over its limit: 1 in 740 by chance
    in_a_row: float = 5.0  # calls that fail, for all of them to count as failing
    fewest: float = 10.0  # requests whose speed is compared
    truncated: float = 0.001
    rate_limited: float = 0.05
    retries: float = 0.10
    speed: float = 0.5
    usual: float = 10.0  # requests that were to be expected, for their absence to mean anything
    window_s: float = 600.0
    before_s: float = 3600.0
    seen_s: float = 300.0
    silence_s: float = 600.0
    hung_s: float = 300.0
    hold_s: float = 300.0
    down_s: float = 120.0

    def __post_init__(self) -> None:
        """Raise PlanError for numbers that make no sense."""
        shares = {"truncated": self.truncated, "rate_limited": self.rate_limited,
                  "retries": self.retries, "speed": self.speed}  # fmt: skip
        for name, share in shares.items():
            if not 0 <= share < 1:
                raise PlanError(f"{name} {share:g} is no share: it must be at least 0 and under 1.")
        windows = [self.window_s, self.before_s, self.seen_s, self.silence_s, self.hung_s]
        windows += [window for burn in self.burns for window in burn[3:]]
        if any(window < 1 or window % 1 for window in windows):
            raise PlanError("windows of alerts are whole seconds, at least 1.")
        if any(wait < 0 or wait % 1 for wait in (self.hold_s, self.down_s)):
            raise PlanError("hold_s and down_s are whole seconds, 0 for no wait.")
        if not (self.failures > 0 and self.sure >= 0 and self.in_a_row > 0 and self.usual > 0):
            raise PlanError("failures, in_a_row and usual must be over 0, sure at least 0.")


@dataclass(frozen=True, slots=True)
class Watch:
    """The alerts for a set of objectives; `unwatched` are those that no alert can speak for."""

    objectives: tuple[str, ...] = OBJECTIVES
    limits: Limits = field(default_factory=Limits)

    def __post_init__(self) -> None:
        """Raise PlanError for what is no objective."""
        for text in self.objectives:
            slo.parse(text)

    @property
    def parsed(self) -> tuple[slo.Slo, ...]:
        """The objectives that alerts are made of."""
        parsed = map(slo.parse, self.objectives)
        return tuple(objective for objective in parsed if _budget(objective) is not None)

    @property
    def unwatched(self) -> tuple[str, ...]:
        """Objectives that `holymon report --slo` can judge, but no alert watches."""
        return tuple(text for text in self.objectives if _budget(slo.parse(text)) is None)

    @property
    def alerts(self) -> tuple[Alert, ...]:
        """All alerts on these objectives, burn rates first."""
        return tuple(_alerts(self.parsed, self.limits))


def _budget(objective: slo.Slo) -> float | None:
    """The share of requests that may miss an objective; None where it is not one on shares."""
    timed = objective.metric in HISTOGRAM_OF and objective.limit > 0
    return objective.allowed if timed or objective.metric == "error_rate" else None


def burning(factor: float, budget: float) -> float:
    """The share at which a budget burns `factor` times too fast.

    A large budget can't burn 14 times too fast: nine of ten calls, or what is half way to all of
    them if that is more, stands for it then.
    """
    return min(factor * budget, max(MOST_BURNT, (1 + budget) / 2))


MOST_BURNT: Final = 0.9
LONGEST_SILENCE_S: Final = 86400.0
FAILING_S: Final = (300.0, 600.0, 1200.0, 1800.0, 3600.0, 7200.0, 21600.0, 43200.0, 86400.0)
"""Windows that are looked at for the last calls: a ladder, since nobody knows how many come."""

MOSTLY_WELL: Final = 0.25
"""When fewer calls fail than this, those that all failed are over."""


def _burns(objectives: Iterable[slo.Slo], limits: Limits) -> Iterable[Alert]:
    evidence = Evidence(limits.failures, limits.sure)
    for objective in objectives:
        timing = objective.metric != "error_rate"
        title = {"error_rate": "ErrorBudget", "ttft": "TTFT", "latency": "Latency"}[
            objective.metric
        ]
        part = Count("slow", objective=objective) if timing else ERRORS
        successes = timing and objective.of_successes
        whole = Count("timed", objective=objective) if successes else REQUESTS
        budget = _budget(objective) or 0.0
        missed = f"took longer than {objective.limit:g} s" if timing else "failed"
        missed += " or failed" * (timing and not successes)
        for name, severity, factor, long_s, short_s in limits.burns:
            over = burning(factor, budget)
            fold = over / budget if budget else factor
            yield Alert(
                f"{title}{name}", severity,
                Burn(part, whole, over, long_s, short_s, evidence),
                f"over {100 * over:.3g} % of the calls {missed} "
                f"({objective.text} burns {fold:.3g}-fold)",
                objective=objective.text, timing=timing,
            )  # fmt: skip


def _alerts(objectives: Iterable[slo.Slo], limits: Limits) -> Iterable[Alert]:
    yield from _burns(objectives, limits)
    mostly_well = Burn(ERRORS, REQUESTS, MOSTLY_WELL, FAILING_S[4], FAILING_S[0],
                       Evidence(limits.failures, limits.sure))  # fmt: skip
    yield Alert("AllCallsFail", "page", Failing(limits.in_a_row, FAILING_S, mostly_well),
                f"the last {limits.in_a_row:g} calls or more have all failed")  # fmt: skip
    yield Alert("CallsHang", "page", Hanging(limits.hung_s),
                f"several calls hang: none has ended for {limits.hung_s:g} s")  # fmt: skip
    yield from _errors(limits)
    yield Alert("ThroughputDrop", "ticket",
                Slower(Count("tokens"), Count("streaming"), limits.speed, limits.window_s,
                       limits.before_s, limits.fewest),
                "streams bring far fewer tokens per second than before",
                timing=True)  # fmt: skip
    silences = [limits.silence_s * times for times in (1, BEFORE, BEFORE**2)]
    silences = [silence for silence in silences[1:] if silence <= LONGEST_SILENCE_S]
    yield Alert("NoTraffic", "ticket",
                Silent(REQUESTS, (limits.silence_s, *silences), limits.usual),
                "no call has ended", hold_s=limits.hold_s)  # fmt: skip
    yield Alert("MeasurementInvalid", "ticket", Seen(Count("dropped"), limits.seen_s),
                "the client, not the API, is the limit: don't trust the durations")  # fmt: skip


def _errors(limits: Limits) -> Iterable[Alert]:
    """Alerts on failures of one kind."""

    def attempts(*types: str) -> Count:
        return Count("attempts", types)

    window = limits.window_s
    evidence = Evidence(limits.failures, limits.sure)
    yield Alert("StreamTruncated", "ticket",
                Share(attempts("stream_truncated"), ATTEMPTS, limits.truncated, window, evidence),
                "streams end with neither a finish reason nor [DONE]")  # fmt: skip
    yield Alert("TokenStall", "ticket", Seen(attempts("stream_stalled"), window),
                "streams stopped sending tokens", timing=True)  # fmt: skip
    yield Alert("QuotaExhausted", "page", Seen(attempts("quota_exhausted"), limits.seen_s),
                "no credit is left for this key")  # fmt: skip
    yield Alert("AuthenticationFailing", "page",
                Seen(attempts("authentication", "permission"), limits.seen_s),
                "the key is refused")  # fmt: skip
    yield Alert("RateLimited", "ticket",
                Share(attempts("rate_limited"), ATTEMPTS, limits.rate_limited, window, evidence),
                "calls are refused with 429")  # fmt: skip
    yield Alert("RetryRatioHigh", "ticket",
                Share(Count("retries"), REQUESTS, limits.retries, window, evidence),
                "calls need to be made again")  # fmt: skip
