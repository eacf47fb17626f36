"""One rate of a search as it was measured, and how it is shown. Pure."""

from dataclasses import dataclass, field
from typing import Final

from holymon.experiments.crossing import Shares
from holymon.formatting import DASH, Cell, count, failed_of, number_of, rate_cell, rounded
from holymon.language.said import Digits, glued, heads, say
from holymon.structs import Rate

HEADS: Final = heads("calls/s", "calls", "took, s", "failed", "objectives", "answers/s",
                     "goodput/s", "USD", "run")  # fmt: skip


@dataclass(frozen=True, slots=True)
class LoadLevel:
    """One rate as it was measured; `met` is None where the measurement was not valid.

    `sure` says whether that leaves no doubt (what a slow client met is met). The load lasted
    `seconds`, all of it `took_s`. Rates and goodput are per second. The first `skipped_s` are
    discarded, the queue remembers `memory_s`, and `need_s` would be long enough to be sure (None
    where it is, or where no length would be). `shares` has, by objective, the share of values over
    its limit and the one allowed.
    """

    rate: float
    seconds: float
    took_s: float
    calls: int
    met: bool | None
    sure: bool
    answers_per_s: float | None
    goodput_per_s: float | None
    cost_usd: float | None
    words: tuple[str, ...]
    run_id: str
    skipped_s: float = 0.0
    memory_s: float | None = None
    need_s: float | None = None
    failed: Rate | None = None
    shares: Shares = field(default_factory=dict)

    @property
    def outcome(self) -> str:
        """What became of the objectives at this rate, in words."""
        if self.met is None:
            return say("not a valid measurement")
        return (say("met") if self.met else say("MISSED")) + (
            "" if self.sure else say(", but not for certain"))  # fmt: skip

    @property
    def line(self) -> str:
        """The level in a line, for who waits for the next."""
        calls = number_of(self.calls, "call")
        failed = glued(", ", failed_of(self.failed)) if self.failed else ""
        return say(
            "{rate}: {outcome}, {calls} in {seconds:.3g} s{failed}", rate=rate_words(self),
            outcome=self.outcome, calls=calls, seconds=self.seconds, failed=failed,
        )  # fmt: skip

    @property
    def cells(self) -> tuple[Cell, ...]:
        """Its row in the table of a search."""
        failed = rate_cell(self.failed) if self.failed else DASH
        return (Digits(f"{self.rate:g}"), count(self.calls), Digits(f"{self.took_s:.3g}"), failed,
                self.outcome,
                rounded(self.answers_per_s), rounded(self.goodput_per_s), rounded(self.cost_usd),
                self.run_id)  # fmt: skip


def rate_words(level: LoadLevel | None) -> str:
    """Its rate in words; a dash where there is none."""
    return "–" if level is None else say("{rate:g} calls/s", rate=level.rate)
