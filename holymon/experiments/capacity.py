"""The capacity of a target: what the levels of a search say, and what of it is certain. Pure.

A level counts only if its measurement is valid. What the client can't send is no limit of the API:
then the answer is a lower bound, and says so.
"""

import math
from collections.abc import Iterator, Sequence
from dataclasses import asdict, dataclass
from operator import attrgetter
from typing import Any, Final

from holymon.experiments.crossing import Level, crossing
from holymon.experiments.load_level import HEADS, LoadLevel, rate_words
from holymon.formatting import Headline, Table, number_of, rounded
from holymon.language.said import glued, listed, say
from holymon.structs import shows_table

ENDINGS: Final = {
    "found": say("found"),
    "all met": say("the highest rate allowed still met the objectives"),
    "none met": say("even the lowest rate tried missed the objectives"),
    "client": say(
        "above that no measurement was valid: this computer, not the API, may be the limit"
    ),
    "budget": say("the budget was used up"),
    "interrupted": say("interrupted"),
}


@shows_table
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
            return say("met at no rate tried")
        return say("met up to {best}", best=rate_words(self.best)) + _doubt_up_to(
            self.best, self.surely_met
        )

    @property
    def verdict(self) -> Headline:
        """The answer in a line."""
        label = say(" (simulated)") * self.simulated
        limit = say("; missed from {limit} on", limit=rate_words(self.limit)) if self.limit else ""
        limit += _doubt_from(self.limit, self.surely_missed)
        about = (
            say("; the limit is at about {about:.3g} calls/s", about=self.about)
            if self.about
            else ""
        )
        state = "healthy" if self.best else "unhealthy" if self.limit else "not judged"
        answer = say(
            "The objectives of {target}{label} are {met_words}{limit}{about}", target=self.target,
            label=label, met_words=self.met_words, limit=limit, about=about,
        )  # fmt: skip
        return Headline(answer, state)

    @property
    def so_far(self) -> str:
        """Its last level in a line, and what is known after it, for who waits for the end."""
        best, limit = self.best, self.limit
        where = ""
        if best and limit:
            where = say("the limit is between {best} and {limit}", best=rate_words(best),
                        limit=rate_words(limit))  # fmt: skip
        elif best or limit:
            where = (
                say("the limit is above {best}", best=rate_words(best))
                if best
                else say("the limit is below {limit}", limit=rate_words(limit))
            )
        took = say("{took:.0f} s so far", took=sum(level.took_s for level in self.levels))
        return listed("; ", [self.levels[-1].line, *([where] if where else []), took])

    def _below_limit(self, level: LoadLevel) -> bool:
        return self.limit is None or level.rate < self.limit.rate

    @property
    def table(self) -> Table:
        """The answer, why the search ended, and a row for each level."""
        label = say(" (simulated)") if self.simulated else ""
        best, limit = self.best, self.limit
        answer = glued(self.target, label, ", ", ", ".join(self.objectives), ": ", self.met_words)
        answer += say("; missed from {limit} on", limit=rate_words(limit)) if limit else ""
        answer += _doubt_from(limit, self.surely_missed)
        between = ""
        if best and limit:
            about = say("By all levels near it, the limit is at about {about:.3g} calls/s.",
                        about=self.about or 0)  # fmt: skip
            unknown = say("What lies between the two is not known.")
            between = glued(" ", about if self.about else unknown)
        elif best:
            between = say(" No rate was shown to miss them, so this is a lower bound.")
        return Table(
            HEADS,
            [level.cells for level in self.levels],
            "rrrrlrrrr",  # numbers, and the run's id, are not broken
            lead=(
                answer,
                say("the search ended: {why}.{between}", why=ENDINGS[self.ended], between=between),
                self.spent,
                *self._evidence(),
                *self.needs,
                *self._about_certainty,
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
        parts: list[str] = [
            say(
                "{took:.3g} s{budget}: {levels} of {loads:.3g} s of load, the rest to begin "
                "and to end them", took=took, budget=_of(self.budget_s),
                levels=number_of(len(self.levels), "level"), loads=loads,
            )
        ]  # fmt: skip
        if again:
            parts.append(say("{levels} measured again", levels=number_of(again, "level")))
        parts.append(number_of(sum(level.calls for level in self.levels), "call"))
        if known := [level.cost_usd for level in self.levels if level.cost_usd is not None]:
            parts.append(glued(rounded(sum(known)), " USD"))
        return say("spent: {parts}.", parts=listed(", ", parts))

    def _evidence(self) -> Iterator[str]:
        """What the two levels showed that the answer is made of."""
        for level in filter(None, (self.best, self.limit)):
            if words := level.words[: len(self.objectives)]:
                yield say(
                    "at {level}: {words}.", level=rate_words(level), words=listed("; ", words)
                )

    @property
    def _about_certainty(self) -> tuple[str, ...]:
        """Of which time it is: a level can't know how slow its server is in another hour."""
        if not (self.surely_met or self.surely_missed):
            return ()
        took = sum(level.took_s for level in self.levels)
        return (
            say(
                "what is certain is so of the server as it was in these {took:.3g} s: one that is "
                "slower at other times has a lower limit then.",
                took=took,
            ),
        )

    @property
    def _about_added(self) -> tuple[str, ...]:
        if not self.added:
            return ()
        return (
            say(
                "{added} was added, since no objective was on failures: give one of your own "
                "in its place. Whether it is met is judged by its value, not for certain.",
                added=", ".join(self.added),
            ),
        )

    def _doubts(self) -> Iterator[str]:
        """Why levels were not valid measurements."""
        for level in self.levels:
            if level.met is None and level.words:
                yield glued(rate_words(level), ": ", level.words[-1])

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


def _of(budget_s: float | None) -> str:
    return "" if budget_s is None else say(" of {budget:.4g} s", budget=budget_s)


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


def _doubt_up_to(level: LoadLevel | None, sure: LoadLevel | None) -> str:
    """What is certain of the highest rate that met them, where that is something else."""
    if level is None or level is sure:
        return ""
    known = say(" (for certain up to {rate})", rate=rate_words(sure))
    return known if sure else say(" (not for certain)")


def _doubt_from(level: LoadLevel | None, sure: LoadLevel | None) -> str:
    """What is certain of the lowest rate that missed them, where that is something else."""
    if level is None or level is sure:
        return ""
    known = say(" (for certain from {rate})", rate=rate_words(sure))
    return known if sure else say(" (not for certain)")
