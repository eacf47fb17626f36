"""What a step of a move measured of each side, and what a move saved: pure arithmetic on sums.

The sums of a side are those of parts of time, in their order. The bill without the move is what
the baseline's calls cost on average, times the calls that the candidate took over; those differ
from one another, too, so its interval is that of a prediction (Hahn and Meeker, Statistical
Intervals, 1991, section 4.7).
"""

import math
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Annotated, Any, Final

import numpy as np

from holymon.figures.bills import Amount
from holymon.figures.log_counts import design_effect, figure_of
from holymon.figures.quantiles import PERCENTILES, Z95, Figure, student, wilson
from holymon.structs import Allowed, Rate, SparseStruct

FEWEST: Final = 20
"""So many calls of a side tell what a call costs, at least."""

FEWEST_PARTS: Final = 8
"""So many parts of time tell how much more than by chance their costs differ."""


_Number = Annotated[int, Allowed(ge=0, le=10**12)]
_Durations = Annotated[str, Allowed(pattern=r"^(\d{1,3}:\d{1,12}( \d{1,3}:\d{1,12})*)?$")]
"""What sums may be in a file, so that what is reckoned with them is finite."""


class SideSums(SparseStruct, frozen=True):
    """The calls of one side in a span: those that failed, and what they cost in USD.

    `priced` are those whose cost is known, `squares` is the sum of its squares. Durations of
    successes are counted as by `figures.log_counts`; `slo` has for each objective of how many calls
    it was asked, and how many missed it.
    """

    calls: _Number = 0
    failed: _Number = 0
    priced: _Number = 0
    cost: Annotated[float, Allowed(ge=-1e12, le=1e12)] = 0.0
    squares: Annotated[float, Allowed(ge=0, le=1e24)] = 0.0
    latency: _Durations = ""
    ttft: _Durations = ""
    slo: dict[str, tuple[_Number, _Number]] = {}  # noqa: RUF012 - copied for each instance

    @property
    def fits(self) -> bool:
        """Whether no more of its calls failed, say, than there are."""
        parts = self.failed <= self.calls >= self.priced
        return parts and self.calls > 0 and all(lost <= of for of, lost in self.slo.values())


@dataclass(frozen=True, slots=True)
class CallCost:
    """What a call costs on average in USD, of so many; `error` is the mean's, `spread` a call's.

    What is not known of a call, such as of most that failed, counts as nothing: so who fails is
    cheap by calls made, and is not by those that succeeded.
    """

    mean: float
    error: float
    spread: float
    calls: int

    @property
    def amount(self) -> Amount:
        """The mean and its 95 % interval."""
        half = student(max(self.calls - 1, 1)) * self.error
        return Amount(self.mean, max(0.0, self.mean - half), self.mean + half)


@dataclass(frozen=True, slots=True)
class SideFigures:
    """The figures of one side in a step; `per_call` is what one that succeeded costs.

    It is None where too few costs are known.
    """

    calls: int
    failed: Rate
    latency: Figure
    ttft: Figure
    priced: int
    cost: float | None
    per_call: CallCost | None
    slo: dict[str, Rate]

    def to_dict(self) -> dict[str, Any]:
        """As JSON has it: durations in seconds, costs in USD."""
        each = self.per_call
        return {
            "calls": self.calls, "failed": round((self.failed.value or 0) * self.calls),
            "error_rate": of_rate(self.failed), "latency_s": _times(self.latency),
            "ttft_s": _times(self.ttft), "priced": self.priced, "cost_usd": self.cost,
            "cost_per_success_usd": each.amount.to_dict() if each else None,
        }  # fmt: skip


def of_rate(rate: Rate) -> dict[str, float | None]:
    """A share as JSON has it."""
    return {"value": rate.value, "low": rate.low, "high": rate.high}


def _times(figure: Figure) -> dict[str, Any]:
    named = {name: getattr(figure, name) for name in PERCENTILES}
    return {"n": figure.n, **named, "ci": {name: figure.ci.get(name) for name in PERCENTILES}}


def side_figures(parts: Sequence[SideSums]) -> SideFigures:
    """The figures of one side, from its sums part by part."""
    priced, texts = sum(part.priced for part in parts), {t for part in parts for t in part.slo}
    return SideFigures(
        sum(part.calls for part in parts), _share([(part.failed, part.calls) for part in parts]),
        figure_of([part.latency for part in parts]), figure_of([part.ttft for part in parts]),
        priced, sum(part.cost for part in parts) if priced else None,
        call_cost(parts, of_successes=True),
        {text: _share([part.slo.get(text, (0, 0))[::-1] for part in parts])
         for text in sorted(texts)},
    )  # fmt: skip


def _share(parts: Sequence[tuple[int, int]]) -> Rate:
    """A share of calls from hits and calls part by part, with an interval for bursts of hits."""
    hits, sizes = (np.array(column, float) for column in zip(*parts, strict=True)) if parts else (
        np.zeros(0), np.zeros(0))  # fmt: skip
    n, many = float(sizes.sum()), float(hits.sum())
    effect = design_effect(hits, sizes) if many > 1 else 1.0
    rate = wilson(many / effect, n / effect)
    return Rate(rate.value, rate.low, rate.high, int(n))


def call_cost(
    parts: Sequence[SideSums], *, of_successes: bool = False
) -> CallCost | None:  # fmt: skip
    """What a call costs on average, or one `of_successes`; None of fewer than `FEWEST` of them."""
    n = np.array([part.calls - part.failed * of_successes for part in parts], float)
    if min(sum(part.priced for part in parts), n.sum()) < FEWEST:
        return None
    costs, squares = (
        np.array([getattr(part, name) for part in parts], float) for name in ("cost", "squares")
    )
    calls = float(n.sum())
    mean = float(costs.sum()) / calls
    spread = math.sqrt(max(float(squares.sum()) / calls - mean**2, 0.0))
    error = spread / math.sqrt(calls)
    k = int((n > 0).sum())
    if k >= FEWEST_PARTS:  # the error of a ratio of totals over parts, where that is larger
        off = float(((costs - mean * n) ** 2).sum())
        error = max(error, math.sqrt(off * k / (k - 1)) / calls)
    return CallCost(mean, error, spread, round(calls))


@dataclass(frozen=True, slots=True)
class MoveBill:
    """What all calls of a move cost by side in USD, and what they would have cost at the baseline.

    `saved` is the latter less the former, which includes copies and what was asked twice.
    """

    paid: dict[str, float]
    without: Amount
    saved: Amount

    def to_dict(self) -> dict[str, Any]:
        """As JSON has it."""
        return {"paid_usd": self.paid, "without_move_usd": self.without.to_dict(),
                "saved_usd": self.saved.to_dict()}  # fmt: skip


def bill(paid: dict[str, float], moved: Sequence[tuple[int, CallCost]]) -> MoveBill:
    """The bill of a move: what was paid by side, and calls moved with what each would have cost.

    Calls whose cost is known from the same calls of the baseline share its error.
    """
    by_source: dict[CallCost, int] = {}
    for calls, each in moved:
        by_source[each] = by_source.get(each, 0) + calls
    others = sum(calls * each.mean for each, calls in by_source.items())
    error = math.sqrt(sum(
        (calls * each.error) ** 2 + calls * each.spread**2 for each, calls in by_source.items()
    ))  # fmt: skip
    ours, all_paid = paid.get("baseline", 0.0), sum(paid.values())
    half = Z95 * error
    saved = ours + others - all_paid
    return MoveBill(
        paid, Amount(ours + others, ours + max(0.0, others - half), ours + others + half),
        Amount(saved, saved - half, saved + half),
    )  # fmt: skip


def saved_per_call(baseline: CallCost, candidate: CallCost) -> Amount:
    """What a call that succeeds costs less at the candidate, in USD, with a 95 % interval."""
    value = baseline.mean - candidate.mean
    half = Z95 * math.hypot(baseline.error, candidate.error)
    return Amount(value, value - half, value + half)
