"""A change of a figure from run to run, in a sentence for whoever reads no tables."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any, Final, NamedTuple

from holymon.formatting import ms, per_cent, percent, rounded
from holymon.language.said import Digits, glued, say
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
        return self.short + {ms: ", ms", _usd: say(", USD per 1,000")}.get(self.shown, "")


def _usd(cost: float) -> str:
    return rounded(cost * 1000)


SHARE: Final = "error_rate"
_TIMES: Final = (say("{by} longer"), say("{by} shorter"))
_BEGINS: Final = (say("{by} later"), say("{by} sooner"))
_MORE: Final = (say("{by} more"), say("{by} fewer"))
KINDS: Final[Mapping[str, Kind]] = {
    "latency_p50": Kind(
        say("latency p50"), say("half of all answers take up to {now} ms instead of {before} ms"),
        *_TIMES, ms),
    "latency_p95": Kind(
        say("latency p95"), say("95 % of all answers take up to {now} ms instead of {before} ms"),
        *_TIMES, ms),
    "latency_p99": Kind(
        say("latency p99"), say("99 % of all answers take up to {now} ms instead of {before} ms"),
        *_TIMES, ms),
    "ttft_p50": Kind(
        "TTFT p50", say("half of all answers begin within {now} ms instead of {before} ms"),
        *_BEGINS, ms),
    "ttft_p95": Kind(
        "TTFT p95", say("95 % of all answers begin within {now} ms instead of {before} ms"),
        *_BEGINS, ms),
    "ttft_p99": Kind(
        "TTFT p99", say("99 % of all answers begin within {now} ms instead of {before} ms"),
        *_BEGINS, ms),
    SHARE: Kind(say("failed calls"), say("{now} of calls fail instead of {before}"),
                *_MORE, percent),
    "requests_per_s": Kind(
        say("throughput"), say("{now} calls a second are answered instead of {before}"),
        *_MORE, rounded, worse_up=False),
    "cost_per_call": Kind(
        say("cost per call"), say("1,000 calls cost {now} USD instead of {before} USD"),
        say("{by} more"), say("{by} less"), _usd),
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
            return glued(kind.short, " ", kind.shown(self.before), " → ", kind.shown(self.after))
        if self.ratio > 1:
            return say("{figure} {by} higher", figure=kind.short, by=_by(self.ratio))
        return say("{figure} {by} lower", figure=kind.short, by=_by(self.ratio))

    @property
    def text(self) -> str:
        """It as a sentence for whoever reads no tables."""
        kind, up = KINDS[self.figure], self.after > self.before
        words = say(kind.text, now=kind.shown(self.after), before=kind.shown(self.before))
        if self.figure == SHARE or self.ratio is None:
            return say("{target}: {words}, since run {run}.", target=self.target, words=words,
                       run=self.since_run)  # fmt: skip
        low, high = (_signed((end - 1) * 100) for end in self.interval)
        return say(
            "{target}: {words}, {by} ({figure}; 95 % interval {low} to {high}), since run {run}.",
            target=self.target, words=words, figure=kind.short, low=low,
            high=per_cent(high), run=self.since_run,
            by=say(kind.more if up else kind.less, by=_by(self.ratio)),
        )  # fmt: skip

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
            return say("{size} points in failed calls", size=rounded(self.size * 100, 2))
        size = per_cent(rounded(self.size * 100, 2))
        return say("{size} in {figure}", size=size, figure=KINDS[self.figure].short)


def _by(ratio: float) -> str:
    return per_cent(rounded(abs(ratio - 1) * 100, 2))


def _signed(hundredths: float) -> str:
    return Digits(f"{hundredths:+{',.0f' if abs(hundredths) >= 99.5 else '.2g'}}")
