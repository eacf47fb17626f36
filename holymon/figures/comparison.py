"""A against B from interleaved pairs: ratios of percentiles with intervals, and what they show.

Latencies that follow one another are alike, and the hour of day moves them all: tests that take
single calls for independent then see differences between a service and itself (13.8 % of the time
at an autocorrelation of 0.3, 32 % at 0.6, where 5 % was promised). So the unit here is the pair: A
and B measured alternately (A B A B ...), or both called in the same time in one run that is cut
into blocks. What they say of a ratio (`ratios`) holds whatever happens inside of them. What
goes on for longer than a block (a slow minute of one of the two) makes blocks of one run alike, and
the interval wider; what lasts as long as the whole run can't be told from a difference, which is
said with each that is shown. All ratios of a comparison share the 5 % (Bonferroni).

Percentiles are of all calls: one that failed took for ever (`all_calls`), else whoever cuts off
what is slow would be the quicker one.
"""

import math
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass
from typing import Any, Final

import numpy as np

from holymon.errors import PlanError
from holymon.figures.blocks import FEWEST_PAIRS
from holymon.figures.comparison_notes import not_claimed, of_client, of_one_run, too_few
from holymon.figures.cost import cost_of
from holymon.figures.durations import durations
from holymon.figures.pair_tests import ErrorDifference, Ratio, Side, error_difference, words
from holymon.figures.quantiles import Floats, wilson
from holymon.figures.ratios import HeldAgainst, as_json, ratio_of_blocks, ratio_of_runs
from holymon.figures.reasons import Reason
from holymon.formatting import Headline, Table, number_of, per_cent
from holymon.language.said import Digits, heads, listed, say
from holymon.records.attempt import JUDGED
from holymon.records.records import Records
from holymon.structs import shows_table

EFFECT: Final = 0.05
ALPHA: Final = 0.05
RATIOS: Final = (("latency_s", "p50"), ("latency_s", "p95"), ("ttft_s", "p50"), ("ttft_s", "p95"))


@shows_table
@dataclass(frozen=True, slots=True)
class Comparison:
    """What pairs of measurements say of B against A.

    `notes` are why nothing can be claimed, `cautions` what to keep in mind with what is.
    """

    a: str
    b: str
    pairs: int
    effect: float
    ratios: tuple[Ratio, ...]
    errors: ErrorDifference
    cost_ratio: float | None
    simulated: bool
    notes: tuple[str, ...]
    cautions: tuple[str, ...] = ()
    suspect: bool = False
    """Whether the client makes any of the measurements suspect; `cautions` say why."""

    @property
    def findings(self) -> "tuple[Ratio | ErrorDifference, ...]":
        """The ratios, and the difference of the error rates after them."""
        return (*self.ratios, self.errors)

    @property
    def _against(self) -> "list[tuple[Ratio | ErrorDifference, float]]":
        """The findings, each with the relative effect that it was held against."""
        return [*((ratio, self.effect) for ratio in self.ratios), (self.errors, 0.0)]

    @property
    def shown(self) -> bool:
        """Whether any difference is shown."""
        return any(finding.result in {"higher", "lower"} for finding in self.findings)

    @property
    def headline(self) -> str:
        """The conclusion in a sentence."""
        if self.notes:
            conclusion = say("not comparable")
        elif self.shown:
            conclusion = say("a difference is shown")
        else:
            conclusion = say("no difference shown")
        label = say(" (simulated)") if self.simulated else ""
        pairs = number_of(self.pairs, "pair")
        return say(
            "B = {b} against A = {a}{label}, {pairs}: {conclusion}", b=self.b, a=self.a,
            label=label, pairs=pairs, conclusion=conclusion,
        )  # fmt: skip

    @property
    def verdict(self) -> Headline:
        """What is shown of B against A, with its sizes, in a line."""
        label = say(" (simulated)") * self.simulated
        if self.notes:
            return Headline(
                say(
                "{b} and {a}{label} are not compared: {why}",
                b=self.b,
                a=self.a,
                label=label,
                why=self.notes[0],
                ), "not judged",
            )  # fmt: skip
        known = [finding for finding in self.findings if finding.result in {"higher", "lower"}]
        if not known:
            same = all(ratio.result == "same" for ratio in self.ratios)
            least = say(
                "{effect} or more between {b} and {a}{label}",
                effect=per_cent(Digits(f"{self.effect * 100:g}")),
                b=self.b, a=self.a, label=label,
            )  # fmt: skip
            none = say("No difference of {least}", least=least)
            unseen = say("No difference shown of {least}", least=least)
            return Headline((none if same else unseen) + self._doubt, "healthy")
        state = "worse" if any(each.result == "higher" for each in known) else "healthy"
        parts = listed(", ", (finding.brief for finding in known))
        line = say("{b} against {a}{label}: {parts}", b=self.b, a=self.a, label=label, parts=parts)
        return Headline(line + self._doubt, state)

    @property
    def _doubt(self) -> str:
        return say(" (the measurement is suspect)") * self.suspect

    @property
    def table(self) -> Table:
        """The conclusion, a row for each figure and each error type, and what to keep in mind."""
        names = heads("", "A", "B", "B / A, or B - A", "95 % interval", "result")
        # Where nothing can be claimed, that is said once, with the reason.
        rows = [
            (*finding.cells[:-1], "" if self.notes else words(finding.result, effect))
            for finding, effect in self._against
        ]
        cost: tuple[str, ...] = ()
        if self.cost_ratio is not None:
            times = f"{self.cost_ratio:.3g}"
            cost = (
                say("a good answer of B costs as much as one of A") if times == "1" else
                say("a good answer of B costs {times} times as much as one of A",
                    times=Digits(times)),
            )  # fmt: skip
        return Table(
            names, [*rows, *self.errors.rows], "lrrrrl", lead=(self.headline, *self.notes),
            notes=(*self.cautions, *cost),
        )  # fmt: skip

    def to_dict(self) -> dict[str, Any]:
        """All fields as dicts and lists, and whether a difference is `shown`."""
        ratios = [as_json(ratio) for ratio in map(asdict, self.ratios)]
        return {**asdict(self), "ratios": ratios, "shown": self.shown}


def compare_pairs(
    pairs: Sequence[tuple[Records, Records]], *, names: tuple[str, str] | None = None,
    effect: float = EFFECT, interleaved: bool = True, one_run: bool = False,
    doubts: Mapping[str, Sequence[Reason]] = {}, beside: int = 0,
) -> Comparison:  # fmt: skip
    """Compare B with A from pairs of records, each of one target, in the order of their time.

    `effect` is the smallest relative difference worth a word. With fewer than `FEWEST_PAIRS`
    pairs, or pairs that were not measured alternately, nothing is claimed. `one_run` says that
    they are blocks of one run, which follow one another: as far as they are alike, they count as
    fewer. `doubts` are what speaks against each run, by its id: nothing is claimed where the
    client made it invalid; what an API did (no call succeeded) is what is compared. With so many
    comparisons `beside` it, it shares the 5 % with their ratios. Raises PlanError for records of
    several targets.
    """
    if not 0 <= effect < 1:
        raise PlanError(f"effect is {effect:g}: it must lie between 0 and 1, such as 0.05.")
    measured = [(_side(a), _side(b)) for a, b in pairs]
    seconds = [(_seconds(a), _seconds(b)) for a, b in pairs]
    used = [
        (metric, stat) for metric, stat in RATIOS
        if any(np.isfinite(side[metric]).any() for sides in seconds for side in sides)
    ]  # fmt: skip
    tests = (len(used) + 1) * (1 + beside)
    level = 1 - ALPHA / tests
    invalid, suspect = of_client(doubts, "invalid"), of_client(doubts, "suspect")
    claims = interleaved and len(measured) >= FEWEST_PAIRS and not invalid
    of_pairs = ratio_of_blocks if one_run else ratio_of_runs
    ratios = tuple(
        of_pairs([(a[metric], b[metric]) for a, b in seconds], metric, stat,
                 HeldAgainst(effect, level, claims=claims))
        for metric, stat in used
    )  # fmt: skip
    simulated = any(records.simulated for pair in pairs for records in pair)
    return Comparison(
        a=names[0] if names else measured[0][0].target if measured else "A",
        b=names[1] if names else measured[0][1].target if measured else "B",
        pairs=len(measured), effect=effect, ratios=ratios,
        errors=error_difference(measured, level, claims=claims, neighbours=one_run),
        cost_ratio=_cost(measured), simulated=simulated,
        notes=(*invalid, *not_claimed(len(measured), interleaved=interleaved, one_run=one_run)),
        cautions=(*suspect, *(of_one_run(ratios) if one_run else ()), *too_few(ratios)),
        suspect=bool(suspect),
    )  # fmt: skip


def _side(records: Records) -> Side:
    present = np.unique(records["target"])
    if len(present) != 1:
        raise PlanError(
            f"a comparison is of one target with another, and there are {len(present)} here: "
            "name the two of them."
        )
    target, mask = records.targets[int(present[0])], records.mask()
    rows = records.chosen(mask)
    judged = rows["error"][JUDGED[rows["error"]]]
    return Side(
        target.name, int((rows["error"] == 0).sum()), records.errors(mask),
        wilson(int((judged != 0).sum()), len(judged)), cost_of(rows, target)[0].usd,
    )  # fmt: skip


def _seconds(records: Records) -> dict[str, Floats]:
    """How long its calls took, inf for those that failed, without those that have no such time."""
    mask = records.mask()
    rows = records.chosen(mask)
    of = durations(rows)
    return {f"{name}_s": values[~np.isnan(values)] for name, values in of.items()}


def _cost(pairs: list[tuple[Side, Side]]) -> float | None:
    """Cost of a successful call of B over that of A."""
    sums = []
    for i in (0, 1):
        money = [pair[i].cost_usd for pair in pairs]
        good = sum(pair[i].ok for pair in pairs)
        if None in money or not good:
            return None
        sums.append(math.fsum(cost for cost in money if cost is not None) / good)
    return sums[1] / sums[0] if sums and sums[0] else None
