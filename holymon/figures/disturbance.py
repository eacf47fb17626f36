"""Seconds in which the client was not fit to measure, and the calls that fell in them.

What a bad second does to figures depends on how many calls it touched, so shares are judged, not
maxima: an hour has thousands of seconds, and in nearly every hour one of them is bad. A call is
touched if it was sent, gave its first token or ended in such a second: these moments make its
figures, and may have been noted late. Percentiles are shown with and without the calls touched.
"""

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Final

import numpy as np

from holymon.figures.quantiles import figure
from holymon.formatting import ms, number_of
from holymon.language.said import glued, listed, say, say_n
from holymon.records.chosen import Chosen
from holymon.records.client_health import Bools, ClientHealth, Floats, fell_in
from holymon.records.records import Records

WORDS: Final = {
    "busy": say("was short of CPU"), "starved": say("waited for its core"),
    "paused": say("stopped for garbage collection"), "stood": say("stood still"),
}  # fmt: skip
LEVELS: Final = ("p50", "p95", "p99")


@dataclass(frozen=True, slots=True)
class Shift:
    """A percentile of a target's durations (s), with all calls and without those touched."""

    target: str
    metric: str
    stat: str
    value: float
    without: float


@dataclass(frozen=True, slots=True)
class Disturbance:
    """How many seconds and calls were touched, by what, and what that did to figures.

    `kinds` gives the seconds of each kind, `share` the part of the calls that each kind touched,
    or of the seconds, if that is more: of an answer of a minute, what came in between counts too.
    """

    seconds: int
    of_seconds: int
    calls: int
    of_calls: int
    kinds: dict[str, int]
    share: dict[str, float]
    shifts: tuple[Shift, ...] = ()

    @property
    def largest(self) -> Shift | None:
        """The percentile that the calls touched moved most."""
        return max(self.shifts, key=lambda shift: abs(np.log(shift.without / shift.value)),
                   default=None)  # fmt: skip

    @property
    def text(self) -> str:
        """All of it in a sentence."""
        return say(
            "in {seconds:,} of {of_seconds:,} s the client {what}; {calls}{without}.",
            seconds=self.seconds, of_seconds=self.of_seconds,
            what=listed(say(" or "), (WORDS[kind] for kind in self.kinds)),
            calls=say("{calls:,} of {of} fell in that time", calls=self.calls,
                      of=number_of(self.of_calls, "call")),
            without=self._without,
        )  # fmt: skip

    @property
    def _without(self) -> str:
        shift = self.largest
        if shift is None:
            return ""
        name = {"latency_s": say("latency"), "ttft_s": "TTFT"}[shift.metric]
        of = glued(shift.target, ": ") * (len({each.target for each in self.shifts}) > 1)
        if f"{ms(shift.without)}" == f"{ms(shift.value)}":
            return say_n(self.calls, ", and no percentile differs without it",
                         ", and no percentile differs without them")  # fmt: skip
        return say_n(
            self.calls, "; {of}{name} {stat} without it {without} ms instead of {value}",
            "; {of}{name} {stat} without them {without} ms instead of {value}", of=of, name=name,
            stat=shift.stat, without=ms(shift.without), value=ms(shift.value),
        )  # fmt: skip


def disturbance(vitals: ClientHealth, records: Records | None = None) -> Disturbance | None:
    """What the seconds in which the client was not fit did to a run; None if there were none."""
    bad = {kind: seconds for kind, seconds in vitals.seconds.items() if seconds.any()}
    if not bad:
        return None
    rows = None if records is None else records.chosen(records.mask() & records.sent)
    shares = {kind: float(seconds.mean()) for kind, seconds in bad.items()}
    for kind in bad if rows else ():
        shares[kind] = max(shares[kind], float(fell_in(vitals.spans([kind]), rows).mean()))
    every = np.zeros(0, bool) if rows is None else fell_in(vitals.spans(bad), rows)
    shifted = _shifts(records, rows, every) if records and rows and every.any() else ()
    return Disturbance(
        seconds=_either(vitals, bad),
        of_seconds=_covered(vitals.noted) or max(map(len, bad.values())),
        calls=int(every.sum()),
        of_calls=len(every),
        kinds={kind: _either(vitals, {kind: seconds}) for kind, seconds in bad.items()},
        share=shares,
        shifts=tuple(shifted),
    )


def _either(vitals: ClientHealth, bad: dict[str, Bools]) -> int:
    return _covered(vitals.spans(bad)) or max(int(b.sum()) for b in bad.values())


def _covered(spans: Floats) -> int:
    """Seconds in any of these spans: those of several workers once, one that lasted long whole."""
    if not len(spans):
        return 0
    starts, ends = spans[np.argsort(spans[:, 0])].T
    ends = np.maximum.accumulate(ends)
    new = ends - np.maximum(starts, np.append(0.0, ends[:-1]))
    return max(1, round(float(new.clip(0).sum())))


def _shifts(records: Records, rows: Chosen, touched: Bools) -> Iterator[Shift]:
    good = rows["error"] == 0
    for index, target in enumerate(records.targets):
        here = good & (rows["target"] == index)
        for metric, end in (("latency_s", "end_s"), ("ttft_s", "first_s")):
            took = rows[end] - rows["start_s"]
            both = figure(took[here]), figure(took[here & ~touched])
            for stat in LEVELS:
                value, without = (getattr(figured, stat) for figured in both)
                if value and without:
                    yield Shift(target.name, metric, stat, value, without)
