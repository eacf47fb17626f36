"""Several targets of one run, each compared with the first: all their comparisons in one result."""

from dataclasses import replace
from typing import Any, Final

from holymon.figures.comparison import Comparison
from holymon.formatting import Headline, Tables
from holymon.language.said import glued, listed, say, without_stop
from holymon.structs import shows_table

MOST_SAID: Final = 3


@shows_table
class Comparisons(tuple[Comparison, ...]):
    """Comparisons of other targets with the same A. All of their ratios share the 5 %."""

    __slots__ = ()

    @property
    def notes(self) -> tuple[str, ...]:
        """Why nothing can be claimed of some of them, each reason once."""
        return tuple(dict.fromkeys(note for each in self for note in each.notes))

    @property
    def shown(self) -> bool:
        """Whether any difference is shown."""
        return any(each.shown for each in self)

    @property
    def verdict(self) -> Headline:
        """Those of all in a line, first of those that differ for the worse."""
        if len(self) == 1:
            return self[0].verdict
        more = say("; and {n} more", n=len(self) - MOST_SAID) * (len(self) > MOST_SAID)
        if len({each.notes[:1] for each in self}) == 1 and self.notes:
            names = listed(", ", (each.b for each in self[:MOST_SAID]))
            return replace(self[0], b=glued(names, more)).verdict
        order = ("worse", "healthy", "not judged")
        first = sorted(self, key=lambda each: (order.index(each.verdict.state), not each.shown))
        line = listed("; ", (without_stop(each.verdict.sentence) for each in first[:MOST_SAID]))
        return Headline(glued(line, more), first[0].verdict.state)

    @property
    def table(self) -> Tables:
        """A table for each, one below the other; what is said of all of them is with the last."""
        last = [note for each in self[-1:] for note in each.cautions]
        common = [note for note in last if all(note in each.cautions for each in self)]
        briefer = [
            replace(each, cautions=tuple(note for note in each.cautions if note not in common))
            for each in self[:-1]
        ]
        return Tables(each.table for each in (*briefer, *self[-1:]))

    def to_dict(self) -> dict[str, Any]:
        """As JSON: each as a dict, and whether a difference is `shown`."""
        return {"comparisons": [each.to_dict() for each in self], "shown": self.shown}
