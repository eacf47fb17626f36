"""Percentiles of all calls, of which one that failed is one that took for ever (rank +infinity).

Percentiles of successful calls reward failing: whoever refuses what would be slow looks quick. So
what is judged (objectives, capacity, goodput) has each call in its place. Where a share f failed,
the p-th percentile of all is that of the successful ones at p / (1 - f), and inf from 1 - f on: the
inverse of the cumulative incidence of success, with failures as a competing risk (Kalbfleisch and
Prentice 1980, chapter 8; Gray 1988). Kaplan and Meier's curve (1958) is for calls whose end was not
seen for a reason that has nothing to do with their length; but a deadline cuts off the slowest, and
a server sheds load when it is busiest: that curve would take those for calls like the others.

A call cut off by one of our limits was watched for so long: its duration is over that, and a
percentile that lies among such calls is over theirs. Above a deadline no duration is known.
Which calls count, and as what, stands in `durations`.

Peers (read 2026-11): vLLM bench, GuideLLM and AIPerf give percentiles of successes; hey takes fast
refusals with a status in and leaves timeouts out, wrk2 counts them beside; k6's notes on 0.31 warn
that failed requests may be quicker than others and so meet a threshold wrongly.
"""

import math
from collections.abc import Mapping
from dataclasses import asdict, dataclass, field
from typing import Any, Final

import numpy as np

from holymon.figures.quantiles import PERCENTILES, Figure, Floats, of_ordered, point
from holymon.formatting import DASH, Cell, ms, rounded
from holymon.language.said import glued, listed, say, say_n

MANY: Final = 0.02
"""From more than this share of failed calls on, percentiles are shown of all calls, too."""

OF_SUCCESSES: Final = say("of the calls that succeeded")
NEVER: Final = say("never")
"""What stands where so many calls failed that nothing bounds a percentile."""


@dataclass(frozen=True, slots=True)
class OfAll:
    """One duration of all calls, in seconds; inf where a failed one has the rank.

    `over` has those of its statistics that are inf: what they are more than, as far as calls were
    cut off by our own limits, and None where nothing is known.
    """

    figure: Figure
    over: dict[str, float | None] = field(default_factory=dict)

    def cell(self, stat: str) -> Cell:
        """One of them in milliseconds, with its interval, for a table."""
        value, ends = getattr(self.figure, stat), self.figure.ci.get(stat)
        if value is None or math.isinf(value) or ends is None:
            return self.words(stat), ""
        return self.words(stat), glued(ms(ends[0]), DASH, duration(ends[1], None))

    def words(self, stat: str, unit: str = "") -> str:
        """One of them in milliseconds: a number, `> 3,000`, or `never`."""
        return duration(getattr(self.figure, stat), self.over.get(stat), unit)

    def to_dict(self) -> dict[str, Any]:
        """As JSON has it: what is inf is null there, and stands in `over`."""
        flat = asdict(self.figure)
        flat.pop("counts_as")
        return {**flat, "over": self.over}


def live_cell(figure: Figure, every: OfAll, stat: str, *, many: bool) -> Cell:
    """For a place that must not grow: one of successes and, below, its interval or that of all."""
    if not many:
        return figure.cell(stat)
    value = getattr(figure, stat)
    if value is None:
        return every.words(stat)
    return ms(value), say("of all: {duration}", duration=every.words(stat))


def duration(seconds: float | None, over: float | None, unit: str = "") -> str:
    """A duration in milliseconds; where it is inf, what it is `over` in seconds, or `never`."""
    if seconds is None or math.isfinite(seconds):
        return glued(ms(seconds), unit * (seconds is not None))
    return NEVER if over is None else glued("> ", ms(over), unit)


def of_all(ordered: Floats, cut: Floats, sizes: Mapping[str, int] | None = None) -> OfAll:
    """A duration of all calls in their order, without NaN, inf for those that failed.

    Of those that a limit cut off, `cut` says how long they were watched, shape (cut,). `sizes` is
    what they are worth for each percentile, where that is less than their number.
    """
    figure = of_ordered(ordered, sizes or {})
    stats = [stat for stat in ("mean", *PERCENTILES, "max") if _is_inf(getattr(figure, stat))]
    if not stats:
        return OfAll(figure)
    if not len(cut):
        return OfAll(figure, dict.fromkeys(stats))
    cut = np.sort(cut)
    least = np.insert(ordered[: len(ordered) - len(cut)], np.searchsorted(ordered, cut), cut)
    bounds = {stat: _bound(least, stat) for stat in stats}
    return OfAll(figure, {stat: None if _is_inf(low) else low for stat, low in bounds.items()})


def with_failures(of_good: Figure, ordered: Floats, failed: int, cut: Floats, part: float) -> OfAll:
    """The duration of all calls from that of the successful ones, and these in their order.

    Judging by their failures, calls are worth a `part` of their number for percentiles; by
    durations it may be less, and the least of both holds for all.
    """
    if not failed:
        return OfAll(of_good)
    n = len(ordered) + failed
    parts = {name: size / of_good.n for name, size in of_good.counts_as.items()}
    sizes = {name: int(n * min(part, parts.get(name, 1.0))) for name in PERCENTILES}
    return of_all(np.concatenate([ordered, np.full(failed, np.inf)]), cut, sizes)


def _bound(least: Floats, stat: str) -> float:
    if stat in PERCENTILES:
        return point(least, PERCENTILES[stat])
    return float(least.mean() if stat == "mean" else least[-1])


def _is_inf(value: float | None) -> bool:
    return value is not None and math.isinf(value)


@dataclass(frozen=True, slots=True)
class AllCalls:
    """Durations of all calls of one target that say something of the API: `failed` of `calls` did.

    `cut` of these were cut off by limits of ours, the first after `cut_after_s`.
    """

    calls: int
    failed: int
    cut: int
    cut_after_s: float | None
    latency_s: OfAll
    response_s: OfAll
    ttft_s: OfAll
    ttfo_s: OfAll
    itl_s: OfAll
    tpot_s: OfAll

    @property
    def many(self) -> bool:
        """Whether so many failed that percentiles of the others alone would mislead."""
        return self.failed > MANY * self.calls

    @property
    def share(self) -> str:
        """How many failed, in words."""
        return say("{failed:,} of {calls:,} calls failed", failed=self.failed, calls=self.calls)

    @property
    def notes(self) -> tuple[str, ...]:
        """What to keep in mind with percentiles: that many failed, and that some were cut off."""
        notes = []
        if self.many:
            named = ((say("latency"), self.latency_s), ("TTFT", self.ttft_s))
            known = ((name, of.words("p95", " ms")) for name, of in named
                     if of.figure.p95 is not None)  # fmt: skip
            p95 = [
                say("p95 of {name} is never reached", name=name) if p95 == NEVER
                else say("p95 of {name} is {p95}", name=name, p95=p95)
                for name, p95 in known
            ]  # fmt: skip
            notes.append(
                say(
                    "{share}, so percentiles are {of_successes}; with those that failed as ones "
                    "that took for ever, {p95}.", share=self.share, of_successes=OF_SUCCESSES,
                    p95=listed(", ", p95) or say("p95 is not known"),
                )
            )  # fmt: skip
        if self.cut and self.cut_after_s is not None:
            notes.append(
                say_n(
                    self.cut,
                    "{n:,} call was cut off by a limit (after {after} s): how long it would have "
                    "taken, and so any time above that, is not known.",
                    "{n:,} calls were cut off by a limit (the first after {after} s): how long "
                    "they would have taken, and so any time above that, is not known.",
                    after=rounded(self.cut_after_s),
                )
            )  # fmt: skip
        return tuple(notes)

    def to_dict(self) -> dict[str, Any]:
        """The JSON form."""
        named = {name: getattr(self, name) for name in self.__slots__}
        return {
            name: value.to_dict() if isinstance(value, OfAll) else value
            for name, value in named.items()
        }
