"""The capacity of a target: what the levels of a search say, and what of it is certain. Pure.

A level counts only if its measurement is valid. What the client can't send is no limit of the API:
then the answer is a lower bound, and says so.
"""

import math
from collections.abc import Iterator, Sequence
from dataclasses import asdict, dataclass, field
from operator import attrgetter
from typing import Any, Final

from holymon.experiments.crossing import Level, Shares, crossing
from holymon.formatting import (
    DASH,
    Cell,
    Headline,
    Table,
    count,
    failed_of,
    number_of,
    rate_cell,
    rounded,
)
from holymon.structs import Rate

ENDINGS: Final = {
    "found": "found",
    "all met": "the highest rate allowed still met the objectives",
    "none met": "even the lowest rate tried missed the objectives",
    "client": "above that no measurement was valid: this computer, not the API, may be the limit",
    "budget": "the budget was used up",
    "interrupted": "interrupted",
}
HEADS: Final = ("calls/s", "calls", "took, s", "failed", "objectives", "answers/s", "goodput/s",
                "USD", "run")  # fmt: skip


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
            return "not a valid measurement"
        return ("met" if self.met else "MISSED") + ("" if self.sure else ", but not for certain")

    @property
    def line(self) -> str:
        """The level in a line, for who waits for the next."""
        calls = number_of(self.calls, "call")
        failed = f", {failed_of(self.failed)}" if self.failed else ""
        return f"{_rate(self)}: {self.outcome}, {calls} in {self.seconds:.3g} s{failed}"

    @property
    def cells(self) -> tuple[Cell, ...]:
        """Its row in the table of a search."""
        failed = rate_cell(self.failed) if self.failed else DASH
        return (f"{self.rate:g}", count(self.calls), f"{self.took_s:.3g}", failed, self.outcome,
                rounded(self.answers_per_s), rounded(self.goodput_per_s), rounded(self.cost_usd),
                self.run_id)  # fmt: skip


@dataclass(frozen=True, slots=True)
class Capacity:
    """What the levels of a search say: the highest rate met, the lowest missed, and why it ended.

    `best` is below `limit`; what lies between is not known. Either is None if there is none.
    `needs` says in sentences what more it would take to know it, or to be certain.
    """

    target: str
    objectives: tuple[str, ...]
    levels: tuple[LoadLevel, ...]
    ended: str
    simulated: bool
    budget_s: float | None = None
    needs: tuple[str, ...] = ()
    added: tuple[str, ...] = ()
    """Those of `objectives` that nobody gave: such a search holds failures against a rate, too."""

    @property
    def limit(self) -> LoadLevel | None:
        """The level of the lowest rate that missed an objective."""
        missed = [level for level in latest(self.levels) if level.met is False]
        return missed[0] if missed else None

    @property
    def best(self) -> LoadLevel | None:
        """The level of the highest rate below it that met all of them."""
        return best_of(latest(self.levels))

    @property
    def surely_met(self) -> LoadLevel | None:
        """The highest rate that met them beyond doubt, below all that missed one."""
        known = latest(self.levels)
        sure = [level for level in known if level.met and level.sure and self._below_limit(level)]
        return sure[-1] if sure else None

    @property
    def surely_missed(self) -> LoadLevel | None:
        """The lowest rate that missed one of them beyond doubt."""
        return next(
            (level for level in latest(self.levels) if level.met is False and level.sure), None
        )

    @property
    def about(self) -> float | None:
        """The limit itself, in calls/s, estimated from all levels near it, within what is certain.

        None where no rate met the objectives, none missed them, or too few were near.
        """
        best, limit = self.best, self.limit
        if best is None or limit is None:
            return None
        known = [Level(level.rate, level.seconds, level.shares) for level in self.levels
                 if level.met is not None]  # fmt: skip
        rate = crossing(known, math.sqrt(best.rate * limit.rate))
        if rate is None:
            return None
        met, missed = self.surely_met, self.surely_missed
        return min(max(rate, met.rate if met else 0.0), missed.rate if missed else math.inf)

    @property
    def met_words(self) -> str:
        """Up to which rate they were met, and what of it is certain."""
        if self.best is None:
            return "met at no rate tried"
        return f"met up to {_rate(self.best)}" + _doubt(self.best, self.surely_met, "up to")

    @property
    def verdict(self) -> Headline:
        """The answer in a line."""
        label = " (simulated)" * self.simulated
        limit = f"; missed from {_rate(self.limit)} on" if self.limit else ""
        limit += _doubt(self.limit, self.surely_missed, "from")
        about = f"; the limit is at about {self.about:.3g} calls/s" if self.about else ""
        state = "healthy" if self.best else "unhealthy" if self.limit else "not judged"
        answer = f"The objectives of {self.target}{label} are {self.met_words}{limit}{about}"
        return Headline(answer, state)

    def _below_limit(self, level: LoadLevel) -> bool:
        return self.limit is None or level.rate < self.limit.rate

    @property
    def table(self) -> Table:
        """The answer, why the search ended, and a row for each level."""
        label = " (simulated)" if self.simulated else ""
        best, limit = self.best, self.limit
        answer = f"{self.target}{label}, {', '.join(self.objectives)}: {self.met_words}"
        answer += f"; missed from {_rate(limit)} on" if limit else ""
        answer += _doubt(limit, self.surely_missed, "from")
        between = ""
        if best and limit:
            about = f"By all levels near it, the limit is at about {self.about or 0:.3g} calls/s."
            between = f" {about if self.about else 'What lies between the two is not known.'}"
        elif best:
            between = " No rate was shown to miss them, so this is a lower bound."
        return Table(
            HEADS,
            [level.cells for level in self.levels],
            "rrrrlrrrl",
            lead=(
                answer,
                f"the search ended: {ENDINGS[self.ended]}.{between}",
                self.spent,
                *self._evidence(),
                *self.needs,
                *self._about_added,
            ),
            notes=tuple(self._doubts()),
        )

    @property
    def spent(self) -> str:
        """What the search spent: time, and where, calls and money."""
        took = sum(level.took_s for level in self.levels)
        loads = sum(level.seconds for level in self.levels)
        again = len(self.levels) - len(latest(self.levels))
        parts = [f"{took:.3g} s{_of(self.budget_s)}: {number_of(len(self.levels), 'level')} of "
                 f"{loads:.3g} s of load, the rest to begin and to end them"]  # fmt: skip
        if again:
            parts.append(f"{number_of(again, 'level')} measured again")
        parts.append(number_of(sum(level.calls for level in self.levels), "call"))
        if known := [level.cost_usd for level in self.levels if level.cost_usd is not None]:
            parts.append(f"{rounded(sum(known))} USD")
        return f"spent: {', '.join(parts)}."

    def _evidence(self) -> Iterator[str]:
        """What the two levels showed that the answer is made of."""
        for level in filter(None, (self.best, self.limit)):
            if words := level.words[: len(self.objectives)]:
                yield f"at {_rate(level)}: {'; '.join(words)}."

    @property
    def _about_added(self) -> tuple[str, ...]:
        if not self.added:
            return ()
        return (
            f"{', '.join(self.added)} was added, since no objective was on failures: give one "
            "of your own in its place. Whether it is met is judged by its value, not for certain.",
        )

    def _doubts(self) -> Iterator[str]:
        """Why levels were not valid measurements."""
        for level in self.levels:
            if level.met is None and level.words:
                yield f"{_rate(level)}: {level.words[-1]}"

    def to_dict(self) -> dict[str, Any]:
        """The levels as dicts, with the rates that bound the capacity."""
        best, limit = self.best, self.limit
        return {
            **asdict(self),
            "highest_met_per_s": best.rate if best else None,
            "limit_about_per_s": self.about,
            "highest_surely_met_per_s": surely.rate if (surely := self.surely_met) else None,
            "lowest_missed_per_s": limit.rate if limit else None,
            "lowest_surely_missed_per_s": never.rate if (never := self.surely_missed) else None,
        }

    def __repr__(self) -> str:
        return self.table.text()

    def _repr_html_(self) -> str:
        return self.table.html()


def _of(budget_s: float | None) -> str:
    return "" if budget_s is None else f" of {budget_s:.4g} s"


def latest(levels: Sequence[LoadLevel]) -> list[LoadLevel]:
    """The last level of each rate, in the order of rates."""
    return sorted({level.rate: level for level in levels}.values(), key=attrgetter("rate"))


def best_of(known: Sequence[LoadLevel]) -> LoadLevel | None:
    """The highest rate met below the lowest that was missed."""
    best = None
    for level in known:
        if level.met is False:
            break
        best = level if level.met else best
    return best


def _rate(level: LoadLevel | None) -> str:
    return "–" if level is None else f"{level.rate:g} calls/s"


def _doubt(level: LoadLevel | None, sure: LoadLevel | None, word: str) -> str:
    """What is certain of a rate that was found, where that is something else."""
    if level is None or level is sure:
        return ""
    return f" (for certain {word} {_rate(sure)})" if sure else " (not for certain)"
