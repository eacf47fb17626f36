"""A change of a figure from run to run, in a sentence for whoever reads no tables."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any, Final, NamedTuple

from holymon.formatting import ms, percent, rounded
from holymon.structs import Interval


class Kind(NamedTuple):
    """How a change of a figure is put into words, and which way is worse."""

    short: str
    text: str
    more: str
    less: str
    shown: Callable[[float], str]
    worse_up: bool = True

    @property
    def title(self) -> str:
        """Its name with its unit, for a table."""
        return self.short + {ms: ", ms", _usd: ", USD per 1,000"}.get(self.shown, "")


def _usd(cost: float) -> str:
    return rounded(cost * 1000, 3)


_TAKE: Final = " of all answers take up to {} ms instead of {} ms"
_BEGIN: Final = " of all answers begin within {} ms instead of {} ms"
SHARE: Final = "error_rate"
KINDS: Final[Mapping[str, Kind]] = {
    "latency_p50": Kind("latency p50", f"half{_TAKE}", "longer", "shorter", ms),
    "latency_p95": Kind("latency p95", f"95 %{_TAKE}", "longer", "shorter", ms),
    "latency_p99": Kind("latency p99", f"99 %{_TAKE}", "longer", "shorter", ms),
    "ttft_p50": Kind("TTFT p50", f"half{_BEGIN}", "later", "sooner", ms),
    "ttft_p95": Kind("TTFT p95", f"95 %{_BEGIN}", "later", "sooner", ms),
    "ttft_p99": Kind("TTFT p99", f"99 %{_BEGIN}", "later", "sooner", ms),
    SHARE: Kind("failed calls", "{} of calls fail instead of {}", "more", "fewer", percent),
    "requests_per_s": Kind("throughput", "{} calls a second are answered instead of {}",
                           "more", "fewer", rounded, worse_up=False),
    "cost_per_call": Kind("cost per call", "1,000 calls cost {} USD instead of {} USD",
                          "more", "less", _usd),
}  # fmt: skip
"""The figures that are followed, by their names in the catalogue."""


@dataclass(frozen=True, slots=True)
class Change:
    """A figure that is different since a run. `ratio` is after / before, None where that was 0.

    `interval` is the 95 % interval of the ratio, or of the difference for a share of calls.
    """

    figure: str
    target: str
    before: float
    after: float
    ratio: float | None
    interval: Interval
    since_run: str

    @property
    def worse(self) -> bool:
        """Whether it is a regression: slower, dearer, more failures, less throughput."""
        return (self.after > self.before) is KINDS[self.figure].worse_up

    @property
    def brief(self) -> str:
        """It in a few words, without target and run."""
        kind = KINDS[self.figure]
        if self.figure == SHARE or self.ratio is None:
            return f"{kind.short} {kind.shown(self.before)} → {kind.shown(self.after)}"
        return f"{kind.short} {_by(self.ratio)} {'higher' if self.ratio > 1 else 'lower'}"

    @property
    def text(self) -> str:
        """It as a sentence for whoever reads no tables."""
        kind, up = KINDS[self.figure], self.after > self.before
        words = kind.text.format(kind.shown(self.after), kind.shown(self.before))
        if self.figure == SHARE or self.ratio is None:
            return f"{self.target}: {words}, since run {self.since_run}."
        low, high = (f"{(end - 1) * 100:+.2g}" for end in self.interval)
        by = f"{_by(self.ratio)} {kind.more if up else kind.less}"
        about = f"({kind.short}; 95 % interval {low} to {high} %)"
        return f"{self.target}: {words}, {by} {about}, since run {self.since_run}."

    def to_dict(self) -> dict[str, Any]:
        """The change as JSON has it."""
        return {
            "figure": self.figure, "target": self.target, "before": self.before,
            "after": self.after, "ratio": self.ratio, "interval": list(self.interval),
            "since_run": self.since_run, "worse": self.worse, "text": self.text,
        }  # fmt: skip


class Least(NamedTuple):
    """The least worsening of a figure that would have been found, four times out of five.

    As a ratio, or for the share of failed calls as a difference.
    """

    figure: str
    target: str
    size: float

    @property
    def brief(self) -> str:
        """It in words."""
        if self.figure == SHARE:
            return f"{self.size * 100:.2g} points in failed calls"
        return f"{self.size * 100:.2g} % in {KINDS[self.figure].short}"


def _by(ratio: float) -> str:
    return f"{rounded(abs(ratio - 1) * 100, 2)} %"
