"""A against B from interleaved pairs: ratios of percentiles with intervals, and what they show.

Latencies that follow one another are alike, and the hour of day moves them all: tests that take
single calls for independent then see differences between a service and itself (13.8 % of the time
at an autocorrelation of 0.3, 32 % at 0.6, where 5 % was promised). So the unit here is the pair: A
and B measured alternately (A B A B ...), or both called in the same time in one run that is cut
into blocks. Each pair gives one log ratio of each percentile; Student's interval over the
pairs holds whatever happens inside of them. What goes on for longer than a block (a slow minute
of one of the two) makes blocks of one run alike, and the interval wider; what lasts as long as
the whole run can't be told from a difference. All ratios of a comparison share the 5 %
(Bonferroni).
"""

import math
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass
from typing import Any, Final

import numpy as np

from holymon.errors import PlanError
from holymon.figures.blocks import FEWEST_IN_BLOCK, FEWEST_PAIRS
from holymon.figures.effective import autocorrelation
from holymon.figures.pair_tests import ErrorDifference, Ratio, Result, error_difference, words
from holymon.figures.quantiles import Figure, mean_interval
from holymon.figures.reasons import Reason
from holymon.figures.summary import summarize_target
from holymon.figures.summary_types import TargetSummary
from holymon.formatting import Table, number_of, rounded
from holymon.records.records import Records
from holymon.safety import plain
from holymon.structs import Interval

EFFECT: Final = 0.05
ALPHA: Final = 0.05
ALIKE: Final = 0.3
"""From this autocorrelation of blocks on it is said: 0.3 halves their number."""
WIDEST: Final = 10.0
"""An interval whose ends are further apart than this factor, with 1 between them, says nothing."""
RATIOS: Final = (("latency_s", "p50"), ("latency_s", "p95"), ("ttft_s", "p50"), ("ttft_s", "p95"))


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

    @property
    def findings(self) -> "tuple[Ratio | ErrorDifference, ...]":
        """The ratios, and the difference of the error rates after them."""
        return (*self.ratios, self.errors)

    @property
    def shown(self) -> bool:
        """Whether any difference is shown."""
        return any(finding.result in {"higher", "lower"} for finding in self.findings)

    @property
    def headline(self) -> str:
        """The conclusion in a sentence."""
        if self.notes:
            conclusion = "not comparable"
        elif self.shown:
            conclusion = "a difference is shown"
        else:
            conclusion = "no difference shown"
        label = " (simulated)" if self.simulated else ""
        pairs = number_of(self.pairs, "pair")
        return f"B = {self.b} against A = {self.a}{label}, {pairs}: {conclusion}"

    @property
    def table(self) -> Table:
        """The conclusion, a row for each figure and each error type, and what to keep in mind."""
        heads = ("", "A", "B", "B / A, or B - A", "95 % interval", "result")
        # Where nothing can be claimed, that is said once, with the reason.
        rows = [
            (*finding.cells[:-1], "" if self.notes else words(finding.result, self.effect))
            for finding in self.findings
        ]
        cost: tuple[str, ...] = ()
        if self.cost_ratio is not None:
            cost = (f"a good answer of B costs {self.cost_ratio:.3g} times as much as one of A",)
        return Table(
            heads, [*rows, *self.errors.rows], "lrrrrl", lead=(self.headline, *self.notes),
            notes=(*self.cautions, *cost),
        )  # fmt: skip

    def to_dict(self) -> dict[str, Any]:
        """All fields as dicts and lists, and whether a difference is `shown`."""
        return {**asdict(self), "shown": self.shown}

    def __repr__(self) -> str:
        return self.table.text()

    def _repr_html_(self) -> str:
        return self.table.html()


def compare_pairs(
    pairs: Sequence[tuple[Records, Records]], *, names: tuple[str, str] | None = None,
    effect: float = EFFECT, interleaved: bool = True, one_run: bool = False,
    doubts: Mapping[str, Sequence[Reason]] = {},
) -> Comparison:  # fmt: skip
    """Compare B with A from pairs of records, each of one target, in the order of their time.

    `effect` is the smallest relative difference worth a word. With fewer than `FEWEST_PAIRS`
    pairs, or pairs that were not measured alternately, nothing is claimed. `one_run` says that
    they are blocks of one run, which follow one another: as far as they are alike, they count as
    fewer. `doubts` are what speaks against each run, by its id: nothing is claimed where the
    client made it invalid; what an API did (no call succeeded) is what is compared. Raises
    PlanError for records of several targets.
    """
    if not 0 <= effect < 1:
        raise PlanError(f"effect is {effect:g}: it must lie between 0 and 1, such as 0.05.")
    measured = [(_only_target(a), _only_target(b)) for a, b in pairs]
    used = [ratio for ratio in RATIOS if any(_figure(a, ratio[0]).n for a, _ in measured)]
    tests = len(used) + 1
    level = 1 - ALPHA / tests
    invalid, suspect = (
        [f"{plain(run)} is {level}: {plain(reason.text)}" for run, reasons in doubts.items()
         for reason in reasons if reason.level == level and not reason.of_api]
        for level in ("invalid", "suspect")
    )  # fmt: skip
    claims = interleaved and len(measured) >= FEWEST_PAIRS and not invalid
    ratios = tuple(
        _ratio(measured, *ratio, effect=effect, level=level, claims=claims, one_run=one_run)
        for ratio in used
    )
    simulated = any(records.simulated for pair in pairs for records in pair)
    notes = [*invalid]
    if len(measured) < FEWEST_PAIRS and one_run:
        notes.append(
            f"the run is too short to compare its targets: it takes {FEWEST_PAIRS} blocks of time "
            f"with {FEWEST_IN_BLOCK} calls of each, so at least {FEWEST_PAIRS * FEWEST_IN_BLOCK} "
            "calls of each target."
        )
    elif len(measured) < FEWEST_PAIRS:
        notes.append(
            f"{number_of(len(measured), 'pair')} of measurements can't tell a difference from the "
            f"hour of day: measure at least {FEWEST_PAIRS} alternately, or both targets in one run."
        )
    elif not interleaved:
        notes.append(
            "A and B were not measured alternately, so what the hour of day did can't be told "
            "from what they did: measure A B A B, or both targets in one run."
        )
    return Comparison(
        a=names[0] if names else measured[0][0].target if measured else "A",
        b=names[1] if names else measured[0][1].target if measured else "B",
        pairs=len(measured), effect=effect, ratios=ratios,
        errors=error_difference(measured, level, claims=claims, neighbours=one_run),
        cost_ratio=_cost(measured), simulated=simulated, notes=tuple(notes),
        cautions=(*suspect, *_alike(ratios, one_run=one_run), *_too_few(ratios)),
    )  # fmt: skip


def _only_target(records: Records) -> TargetSummary:
    present = np.unique(records["target"])
    if len(present) != 1:
        raise PlanError(
            f"a comparison is of one target with another, and there are {len(present)} here: "
            "name the two of them."
        )
    return summarize_target(records, int(present[0]))


def _figure(target: TargetSummary, metric: str) -> Figure:
    figure: Figure = getattr(target, metric)
    return figure


def _ratio(
    pairs: list[tuple[TargetSummary, TargetSummary]], metric: str, stat: str, *, effect: float,
    level: float, claims: bool, one_run: bool,
) -> Ratio:  # fmt: skip
    values = [(getattr(_figure(a, metric), stat), getattr(_figure(b, metric), stat))
              for a, b in pairs]  # fmt: skip
    known = np.array([(a, b) for a, b in values if a and b], dtype=np.float64).reshape(-1, 2)
    what = f"{metric.removesuffix('_s').replace('ttft', 'TTFT')} {stat}"
    if not len(known):
        return Ratio(metric, stat, None, None, None, None, 0, None, "not comparable",
                     f"{what}: no pair has this figure")  # fmt: skip
    logs = np.log(known[:, 1] / known[:, 0])
    middle = np.median(known, axis=0)
    mean, n = float(logs.mean()), len(logs)
    ratio, interval = math.exp(mean), None
    result: Result = "not comparable"
    if n >= FEWEST_PAIRS:
        low, high = mean_interval(logs, level, neighbours=one_run)
        interval = (math.exp(low), math.exp(high))
        result = _result(ratio, interval, effect) if claims else result
        if one_run and low <= 0 <= high and high - low > math.log(WIDEST):
            interval, result = None, "too few blocks"
    times = f"{rounded(middle[0] * 1e3)} ms and {rounded(middle[1] * 1e3)} ms, ratio {ratio:.3g}"
    bounds = f" ({interval[0]:.3g} to {interval[1]:.3g})" if interval else ""
    text = f"{what}: {times}{bounds}, {words(result, effect)}"
    a, b = map(float, middle)
    return Ratio(metric, stat, a, b, ratio, interval, n, autocorrelation(logs), result, text)


def _alike(ratios: Sequence[Ratio], *, one_run: bool) -> tuple[str, ...]:
    most = max((ratio.autocorrelation or 0.0 for ratio in ratios), default=0.0)
    if not one_run or most < ALIKE:
        return ()
    return (
        f"blocks of time are like the ones before (autocorrelation {most:.2g}), so they count as "
        "fewer and the intervals are wider: a longer run tells more",
    )


def _too_few(ratios: Sequence[Ratio]) -> tuple[str, ...]:
    """Why some of the ratios of one run have no interval."""
    bare = [ratio for ratio in ratios if ratio.result == "too few blocks"]
    if not bare:
        return ()
    return (
        f"too few blocks of time ({bare[0].pairs}) for an interval of some ratios: it would reach "
        f"over a factor of {WIDEST:g}; a longer run tells more",
    )


def _result(ratio: float, interval: Interval, effect: float) -> Result:
    large = max(ratio, 1 / ratio) >= 1 + effect
    if large and interval[0] > 1:
        return "higher"
    if large and interval[1] < 1:
        return "lower"
    inside = interval[0] >= 1 / (1 + effect) and interval[1] <= 1 + effect
    return "same" if inside else "no difference shown"


def _cost(pairs: list[tuple[TargetSummary, TargetSummary]]) -> float | None:
    """Cost of a successful call of B over that of A."""
    sums = []
    for i in (0, 1):
        money = [pair[i].cost_usd for pair in pairs]
        good = sum(pair[i].ok for pair in pairs)
        if None in money or not good:
            return None
        sums.append(math.fsum(cost for cost in money if cost is not None) / good)
    return sums[1] / sums[0] if sums and sums[0] else None
