"""What is known of two roads to a model: the verdict, what it rests on, and how that is shown."""

from collections import Counter
from dataclasses import asdict, dataclass, field
from typing import Any, Final, Literal

from holymon.figures.bills import Amount
from holymon.figures.checked_answers import RightAnswers
from holymon.figures.fingerprint import Fingerprints
from holymon.figures.roads import Road, TokenCounts
from holymon.formatting import (
    DASH,
    FIGURES,
    Cell,
    Headline,
    Table,
    Tables,
    count,
    hundredths,
    ms,
    per_cent,
    percent,
    rate_cell,
    rounded,
)
from holymon.language.said import Digits, glued, heads, listed, say, vocabulary
from holymon.structs import shows_table

Sameness = Literal["equal", "different", "not shown"]
SAMENESS: Final = vocabulary("equal", "different", "not shown")
STATES: Final = {"equal": "healthy", "different": "worse", "not shown": "not judged"}
KIND_NAMES: Final = vocabulary("arithmetic", "copying", "ordering", "JSON")
MOST_NAMES: Final = 3
NEVER: Final = Fingerprints((0, 0), 0)


@dataclass(frozen=True, slots=True)
class SelfReport:
    """What a side said of itself in `of` answers: how often each; refused ones, and `errors`."""

    of: int
    errors: dict[str, int]
    refused: int
    served: dict[str, int]
    fingerprints: dict[str, int]
    finish: dict[str, int]

    @property
    def failed(self) -> int:
        """How many calls gave no answer."""
        return sum(self.errors.values())


@shows_table
@dataclass(frozen=True, slots=True)
class SameModel:
    """The verdict on one candidate; `cost_usd` is what was paid for it, of both sides.

    `correct` are the shares of calls within the limits times those of right answers, of both sides,
    and `correct_per_s` such answers per second; None where the load or the answers lack.
    """

    baseline: str
    candidate: str
    result: Sameness
    reasons: tuple[str, ...]
    reports: tuple[SelfReport, SelfReport]
    road: Road
    prompts: TokenCounts
    words: Fingerprints = NEVER
    right: RightAnswers | None = None
    correct: tuple[Amount | None, Amount | None] = (None, None)
    correct_per_s: tuple[Amount | None, Amount | None] = (None, None)
    cost_usd: float | None = None
    simulated: bool = False
    notes: tuple[str, ...] = field(default=())

    @property
    def exit_code(self) -> int:
        """0 equal, 1 different, 3 not shown."""
        return {"equal": 0, "different": 1, "not shown": 3}[self.result]

    @property
    def verdict(self) -> Headline:
        """The verdict in a line."""
        words = {"a": self.baseline, "b": self.candidate,
                 "label": say(" (simulated)") * self.simulated}  # fmt: skip
        line = {
            "equal": say("{b} serves the model of {a}, as far as can be seen{label}", **words),
            "different": say("{b} does not serve the model of {a}{label}", **words),
            "not shown": say("Whether {b} serves the model of {a} is not shown{label}", **words),
        }[self.result]
        return Headline(line, STATES[self.result])

    @property
    def sentences(self) -> tuple[str, ...]:
        """The verdict and its reasons, where anything was asked."""
        battery = any(report.of for report in self.reports)
        return (self.verdict.sentence, *self.reasons) if battery else ()

    @property
    def table(self) -> Table:
        """The verdict, its reasons, and what both sides say and do, side by side."""
        return Table(
            heads("", "A", "B", "B against A"), [*self._answers, *self._manners, *self._road],
            "lrrl", lead=(self.verdict.sentence, *self.reasons),
            notes=(say("A is {a}, B is {b}", a=self.baseline, b=self.candidate), *self.notes),
        )  # fmt: skip

    @property
    def _answers(self) -> list[tuple[Cell, ...]]:
        rows: list[tuple[Cell, ...]] = []
        words, right = self.words, self.right
        if words.p is not None:
            apart = say("about {moved} differ, p = {p}", moved=percent(words.moved),
                        p=rounded(words.p, 2))  # fmt: skip
            rows.append((say("words chosen at random"), *map(count, words.n), apart))
        if right is not None and right.a.of:
            p = say("p = {p}", p=rounded(right.p, 2))
            rows.append((say("right answers"), rate_cell(right.a), rate_cell(right.b), p))
            for kind, (a, b, of) in right.by_kind.items():
                pair = (say("{n} of {of}", n=count(n), of=count(of)) for n in (a, b))
                rows.append((glued("– ", KIND_NAMES[kind]), *pair, ""))
        if any(self.correct):
            shares = [_in_percent(each) for each in self.correct]
            rows.append((say("right and within limits"), *shares, say("of all calls")))
        if any(self.correct_per_s):
            rates = [each.cells(FIGURES) if each else DASH for each in self.correct_per_s]
            rows.append((say("right and within limits, /s"), *rates, ""))
        return rows

    @property
    def _manners(self) -> list[tuple[Cell, ...]]:
        a, b = self.reports
        if not a.of + b.of:
            return []
        rows: list[tuple[Cell, ...]] = [
            (say("model, as it is named"), *(_names(side.served) for side in (a, b)),
             "" if a.served.keys() == b.served.keys() else say("different")),
            (say("system_fingerprint"), *(_names(side.fingerprints) for side in (a, b)), ""),
            (say("ended by"), *(_tally(side.finish) for side in (a, b)), ""),
            (say("refused"), count(a.refused), count(b.refused), ""),
            (say("checked calls that failed"), count(a.failed), count(b.failed), ""),
        ]  # fmt: skip
        return [row for row in rows if {row[1], row[2]} not in ({DASH}, {"0"})]

    @property
    def _road(self) -> list[tuple[Cell, ...]]:
        rows: list[tuple[Cell, ...]] = []
        if self.prompts.texts:
            what = say("prompt tokens of the same texts")
            rows.append((what, "", "", in_tokens(self.prompts)))
        for name, added in ((say("TTFT"), self.road.ttft_s), (say("latency"), self.road.latency_s)):
            if added is not None:
                rows.append((glued(name, say(", median of pairs")), "", "", in_ms(added)))
        if any(rate.of for rate in self.road.one_piece):
            rates = map(rate_cell, self.road.one_piece)
            rows.append((say("streams in one piece"), *rates, ""))
        return rows

    def to_dict(self) -> dict[str, Any]:
        """As JSON: null for what is not known."""
        words, right = asdict(self.words), self.right
        sides = ("baseline", "candidate")
        return {
            "result": self.result, "reasons": [*self.reasons],
            "baseline": self.baseline, "candidate": self.candidate,
            "words": {**words, "n": dict(zip(sides, self.words.n, strict=True))},
            "right": None if right is None else {
                "baseline": asdict(right.a), "candidate": asdict(right.b), "p": right.p,
                "by_kind": {kind: {"baseline": a, "candidate": b, "of": of}
                            for kind, (a, b, of) in right.by_kind.items()},
            },
            "correct_within_limits": dict(zip(sides, map(_json, self.correct), strict=True)),
            "correct_within_limits_per_s":
                dict(zip(sides, map(_json, self.correct_per_s), strict=True)),
            "reports": dict(zip(sides, map(asdict, self.reports), strict=True)),
            "prompt_tokens": asdict(self.prompts),
            "overhead": {"pairs": self.road.pairs, "ttft_s": _json(self.road.ttft_s),
                         "latency_s": _json(self.road.latency_s)},
            "one_piece": dict(zip(sides, map(asdict, self.road.one_piece), strict=True)),
            "cost_usd": self.cost_usd, "simulated": self.simulated,
        }  # fmt: skip


@shows_table
class SameModels(tuple[SameModel, ...]):
    """The verdicts on all candidates, in one result."""

    __slots__ = ()

    @property
    def table(self) -> Tables:
        """A table for each, one below the other."""
        return Tables(each.table for each in self)

    def to_dict(self) -> dict[str, Any]:
        """As JSON: each as a dict."""
        return {"candidates": [each.to_dict() for each in self]}


def in_tokens(counts: TokenCounts) -> str:
    """How B counts, in a few words."""
    if counts.same:
        return say("the same")
    if counts.more is not None:
        return say("{more:+,} in each", more=counts.more)
    if counts.times is None:
        return DASH
    times, low, high = (Digits(f"{each:.3g}") for each in counts.times)
    return say("× {times} ({low} to {high})", times=times, low=low, high=high)


def in_ms(added: Amount) -> str:
    """Seconds that are added or saved, in milliseconds with their sign."""
    value, *ends = (
        Digits("+" * (each > 0) + ms(each))
        for each in (added.value, added.low, added.high)
        if each is not None
    )
    if len(ends) < 2:
        return say("{value} ms", value=value)
    return say("{value} ms ({low} to {high})", value=value, low=ends[0], high=ends[1])


def _json(amount: Amount | None) -> dict[str, float | None] | None:
    return None if amount is None else amount.to_dict()


def _in_percent(share: Amount | None) -> Cell:
    if share is None:
        return DASH
    if share.low is None or share.high is None:
        return percent(share.value)
    ends = glued(hundredths(share.low), DASH, hundredths(share.high))
    return percent(share.value), per_cent(ends)


def _names(named: dict[str, int]) -> str:
    """The names that were given most often."""
    most = Counter(named).most_common(MOST_NAMES)
    more = len(named) - len(most)
    texts = listed(", ", (name for name, _ in most))
    return (glued(texts, say(" and {n} more", n=count(more))) if more else texts) or DASH


def _tally(counts: dict[str, int]) -> str:
    return listed(", ", (f"{name} {n}" for name, n in Counter(counts).most_common())) or DASH
