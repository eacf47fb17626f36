"""Runs that are missing: how often the runs of a name come, and where one did not."""

from collections.abc import Iterable
from itertools import pairwise
from statistics import median
from typing import Final, NamedTuple

from holymon.formatting import number_of
from holymon.language.said import glued, say
from holymon.load.entry import Entry

LEAST: Final = 6
"""Intervals from which a rhythm is learned."""

REGULAR: Final = 0.75
"""The share of them that a rhythm explains, at least: what is run by hand has none."""

_OFF: Final = 0.1
"""What a run may be early or late, as a share of the interval: an hour of a day's, twice a year."""

_LONG: Final = 1.5
_MOST_SAID: Final = 5


class Gap(NamedTuple):
    """So many runs of a name that did not come, between two that did."""

    name: str
    missing: int
    after: str
    before: str

    def __str__(self) -> str:
        return self.text

    @property
    def text(self) -> str:
        """It in words."""
        return say(
            "{runs} of {name} missing between {after} and {before}", name=self.name,
            runs=number_of(self.missing, "run"), after=self.after, before=self.before,
        )  # fmt: skip


def gaps(runs: Iterable[tuple[str, str, float]]) -> list[Gap]:
    """Where runs are missing, oldest first, of (name, run, when it began in seconds) in any order.

    The rhythm of a name is the median of its intervals, where most of these are about that long or
    a multiple of it. One that is half as long again, or longer, is a gap.
    """
    times_of: dict[str, list[tuple[float, str]]] = {}
    for name, run, began in runs:
        times_of.setdefault(name, []).append((began, run))
    known: list[tuple[float, Gap]] = []
    for name, times in times_of.items():
        times.sort()
        pairs = list(pairwise(times))
        apart = [after[0] - before[0] for before, after in pairs]
        every = median(apart) if len(apart) >= LEAST else 0.0
        if every <= 0 or sum(map(_is_beat, apart, [every] * len(apart))) < REGULAR * len(apart):
            continue
        known += [
            (after[0], Gap(name, round(seconds / every) - 1, before[1], after[1]))
            for seconds, (before, after) in zip(apart, pairs, strict=True)
            if seconds >= _LONG * every
        ]
    return [gap for _, gap in sorted(known)]


def notes(entries: Iterable[Entry]) -> tuple[str, ...]:
    """The last gaps of runs of which it is known when they began, a sentence each.

    Each place has a rhythm of its own: where one is silent, another may go on.
    """
    missing = gaps((f"{e.name} ({e.place})" if e.place else e.name, e.run_id, began)
                   for e in entries if (began := e.began) is not None)  # fmt: skip
    last = [glued(gap.text, ".") for gap in missing[-_MOST_SAID:]]
    more = len(missing) - len(last)
    return (
        *[say("{gaps} in the rhythm of runs.", gaps=number_of(more, "earlier gap"))] * bool(more),
        *last,
    )


def _is_beat(seconds: float, every: float) -> bool:
    beats = seconds / every
    return round(beats) >= 1 and abs(beats - round(beats)) <= _OFF
