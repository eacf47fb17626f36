"""The highest rate that meets objectives: which one to try next, and what was found. Pure.

    levels so far --> following(levels, bounds) --> the next Step, or why the search has ended
    double while objectives are met, halve while they are missed, then halve the ratio between

A level counts only if its measurement is valid. One that can't tell met from missed, or whose
times were still rising when it ended, is measured once more, longer. What the client can't send is
no limit of the API: then the answer is a lower bound, and says so.
"""

import math
from collections.abc import Sequence
from dataclasses import asdict, dataclass
from statistics import median
from typing import Any, Final

from holymon.bounds import number
from holymon.errors import PlanError
from holymon.markup import escaped, table
from holymon.quantiles import LEVELS, Z95, fewest_for_interval
from holymon.safety import escape, plain
from holymon.slo import Slo, parse
from holymon.units import number as number_of

LONGER: Final = 3.0
"""A level that could not tell is measured once more, for so many times as long."""

START_S: Final = 2.0
"""What a level takes beside its load, until that is known: to begin, and for the last answers."""

LOWEST: Final = 64.0
"""The search goes no lower than this part of the rate that it began with."""

MOST_FOR_ERRORS: Final = 2000
"""A level has no more calls than that for the sake of a low error rate."""

ENDINGS: Final = {
    "found": "found",
    "all met": "the highest rate allowed still met the objectives",
    "none met": "even the lowest rate tried missed the objectives",
    "client": "above that no measurement was valid: this computer, not the API, may be the limit",
    "budget": "the budget was used up",
    "interrupted": "interrupted",
}


@dataclass(frozen=True, slots=True)
class Step:
    """What to measure next: calls per second, for so many seconds."""

    rate: float
    seconds: float


@dataclass(frozen=True, slots=True)
class Level:
    """One rate as it was measured; `met` is None where the measurement was not valid.

    `sure` says whether a valid measurement and its intervals leave no doubt of it. The load lasted
    `seconds`, all of it `took_s`. Rates and goodput are per second.
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


@dataclass(frozen=True, slots=True)
class Bounds:
    """What a search may do: rates from `start` up to `most`, to a ratio of 1 + `precision`.

    A level lasts `seconds`, and longer where its objectives need more calls. `budget_s` (of the
    clock on the wall), `max_calls` and `max_cost` (USD) limit all levels together.
    """

    objectives: tuple[str, ...]
    start: float = 1.0
    most: float = 1000.0
    seconds: float = 10.0
    precision: float = 0.1
    budget_s: float = 600.0
    max_calls: int | None = None
    max_cost: float | None = None

    def __post_init__(self) -> None:
        """Raise PlanError for a search that can't be."""
        if not self.objectives:
            raise PlanError("capacity needs an objective: give one, such as ttft_p95<1.")
        for text in self.objectives:
            parse(text)
        number("from", self.start, 1e-3, 1e6, "calls per second")
        number("to", self.most, self.start, 1e6, "calls per second")
        number("duration", self.seconds, 0.1, 86400, "seconds")
        number("precision", self.precision, 0.01, 1)
        number("budget", self.budget_s, self.seconds + START_S, 7 * 86400, "seconds")
        number("max_calls", self.max_calls, 1, 1e9)
        number("max_cost", self.max_cost, 0, 1e9)

    @property
    def calls(self) -> int:
        """Calls to want of a level, so that its objectives can be judged however they arrive."""
        need = max(map(_calls_for, map(parse, self.objectives)))
        return need + math.ceil(3 * math.sqrt(need))


@dataclass(frozen=True, slots=True)
class Capacity:
    """What the levels of a search say: the highest rate met, the lowest missed, and why it ended.

    `best` is below `limit`; what lies between is not known. Either is None if there is none.
    """

    target: str
    objectives: tuple[str, ...]
    levels: tuple[Level, ...]
    ended: str
    simulated: bool

    @property
    def limit(self) -> Level | None:
        """The level of the lowest rate that missed an objective."""
        missed = [level for level in latest(self.levels) if level.met is False]
        return missed[0] if missed else None

    @property
    def best(self) -> Level | None:
        """The level of the highest rate below it that met all of them."""
        return _best(latest(self.levels))

    @property
    def surely_met(self) -> Level | None:
        """The highest rate that met them beyond doubt, below all that missed one."""
        known = latest(self.levels)
        sure = [one for one in known if one.met and one.sure and self._below_limit(one)]
        return sure[-1] if sure else None

    @property
    def surely_missed(self) -> Level | None:
        """The lowest rate that missed one of them beyond doubt."""
        return next((one for one in latest(self.levels) if one.met is False and one.sure), None)

    @property
    def met_words(self) -> str:
        """Up to which rate they were met, and what of it is certain."""
        if self.best is None:
            return "met at no rate tried"
        return f"met up to {_rate(self.best)}" + _doubt(self.best, self.surely_met, "up to")

    def _below_limit(self, level: Level) -> bool:
        return self.limit is None or level.rate < self.limit.rate

    @property
    def lines(self) -> tuple[str, ...]:
        """The answer in sentences, and a line for each level."""
        label = " (simulated)" if self.simulated else ""
        best, limit = self.best, self.limit
        said = f"{self.target}{label}, {', '.join(self.objectives)}: "
        said += self.met_words
        said += f"; missed from {_rate(limit)} on" if limit else ""
        said += _doubt(limit, self.surely_missed, "from")
        between = ""
        if best and limit:
            between = " What lies between the two is not known."
        elif best:
            between = " No rate was shown to miss them, so this is a lower bound."
        return (
            said,
            f"the search ended: {ENDINGS[self.ended]}.{between}",
            *(f"{_rate(one):>24}: {_outcome(one)}, {one.calls:,} calls in {one.seconds:.3g} s"
              for one in self.levels),
        )  # fmt: skip

    def to_dict(self) -> dict[str, Any]:
        """The JSON form."""
        best, limit = self.best, self.limit
        return {
            **asdict(self),
            "highest_met_per_s": best.rate if best else None,
            "highest_surely_met_per_s": surely.rate if (surely := self.surely_met) else None,
            "lowest_missed_per_s": limit.rate if limit else None,
            "lowest_surely_missed_per_s": never.rate if (never := self.surely_missed) else None,
        }

    def __str__(self) -> str:
        return "\n".join(map(plain, self.lines))

    __repr__ = __str__

    def _repr_html_(self) -> str:
        said, ended, *_ = self.lines
        rows = [(f"{one.rate:g}", f"{one.calls:,}", f"{one.seconds:.3g}", _outcome(one),
                 number_of(one.answers_per_s), number_of(one.goodput_per_s), one.run_id)
                for one in self.levels]  # fmt: skip
        heads = ("calls/s", "calls", "seconds", "objectives", "answers/s", "goodput/s", "run")
        return f"<p><b>{escape(said)}</b><br>{escape(ended)}</p>" + table(heads, escaped(rows))


def following(levels: Sequence[Level], bounds: Bounds) -> Step | str:
    """The next step of a search, or, a key of `ENDINGS`, why there is none."""
    rate, longer = _next(levels, bounds)
    if isinstance(rate, str):
        return rate
    seconds = max(bounds.seconds, bounds.calls / rate) * (LONGER if longer else 1.0)
    spent = sum(level.took_s for level in levels)
    beside = median([one.took_s - one.seconds for one in levels]) if levels else START_S
    in_time = spent + seconds + beside <= bounds.budget_s
    affordable = in_time and _affordable(levels, rate * seconds, bounds)
    return Step(rate, seconds) if affordable else "budget"


def latest(levels: Sequence[Level]) -> list[Level]:
    """The last level of each rate, in the order of rates."""
    return sorted({level.rate: level for level in levels}.values(), key=_by_rate)


def _next(levels: Sequence[Level], bounds: Bounds) -> tuple[float | str, bool]:
    """The next rate, or why there is none; and whether it is one that could not tell."""
    if not levels:
        return bounds.start, False
    last = levels[-1]
    tried = sum(level.rate == last.rate for level in levels)
    if tried == 1 and (last.met is None or not last.sure):
        return last.rate, last.met is not None
    known = latest(levels)
    best = _best(known)
    above = [level for level in known if best is None or level.rate > best.rate]
    stops = [level for level in above if level.met is not True]
    if best is not None and not stops:
        higher = min(_round(2 * best.rate), bounds.most)
        return (higher if best.rate < bounds.most else "all met"), False
    first = stops[0]
    if best is None:
        lower = _round(first.rate / 2)
        if lower < bounds.start / LOWEST:
            return ("none met" if first.met is False else "client"), False
        return lower, False
    if first.rate <= best.rate * (1 + bounds.precision) * (1 + 1e-9):
        return ("found" if first.met is False else "client"), False
    return _round(math.sqrt(best.rate * first.rate)), False


def _best(known: Sequence[Level]) -> Level | None:
    """The highest rate met below the lowest that was missed."""
    found = None
    for level in known:
        if level.met is False:
            break
        found = level if level.met else found
    return found


def _affordable(levels: Sequence[Level], calls: float, bounds: Bounds) -> bool:
    """Whether so many calls fit into what is left, by what calls have cost so far."""
    made = sum(level.calls for level in levels)
    if bounds.max_calls is not None and made + math.ceil(calls) > bounds.max_calls:
        return False
    if bounds.max_cost is None:
        return True
    costs = [level.cost_usd for level in levels if level.cost_usd is not None]
    each = math.fsum(costs) / made if made else 0.0
    return math.fsum(costs) + each * calls <= bounds.max_cost


def _calls_for(objective: Slo) -> int:
    """So many that a figure well within its limit leaves no doubt."""
    if objective.stat in LEVELS:
        return fewest_for_interval(LEVELS[objective.stat])
    if objective.metric.startswith("error_rate") and objective.limit > 0:
        # Wilson's upper end for no errors at all is z^2 / (n + z^2).
        return min(math.ceil(Z95**2 * (1 / objective.limit - 1)) + 1, MOST_FOR_ERRORS)
    return fewest_for_interval(0.5)


def _round(rate: float) -> float:
    """Three figures: nobody wants to read more."""
    return float(f"{rate:.3g}")


def _rate(level: Level | None) -> str:
    return "–" if level is None else f"{level.rate:g} calls/s"


def _doubt(level: Level | None, sure: Level | None, word: str) -> str:
    """What is certain of a rate that was found, where that is something else."""
    if level is None or level is sure:
        return ""
    return f" (for certain {word} {_rate(sure)})" if sure else " (not for certain)"


def _outcome(level: Level) -> str:
    if level.met is None:
        return "not a valid measurement"
    return ("met" if level.met else "MISSED") + ("" if level.sure else ", but not for certain")


def _by_rate(level: Level) -> float:
    return level.rate
