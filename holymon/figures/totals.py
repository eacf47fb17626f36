"""Sums that only grow: records in, counts and histograms out that can be added to each other.

    totals(records, edges) -> Totals        totals(a) + totals(b) == totals(a and b)

What is added up is decided by each row alone, never by its neighbours, so a monitor can fold rows
that leave its memory into totals, and the whole stays one computation. An attempt after which
another one came bears `Flag.RETRIED`; every other attempt is the last of its request, but for
those that are still `Flag.UNDECIDED`. A request that went on at another target after it failed at
the first one (`Flag.WENT_ON`, `Flag.CAME_OVER`) counts at both. Warm-up calls are in no sum.
"""

from collections.abc import Mapping
from dataclasses import dataclass, fields
from typing import Any, Final, TypeVar

import numpy as np
import numpy.typing as npt

from holymon.errors import CODES, NAMES, PlanError
from holymon.figures.cost import costs
from holymon.plan.target import Target
from holymon.records.attempt import Flag, Rows, begun_there, ended_there, gap_value
from holymon.records.records import Records

Mask = npt.NDArray[np.bool_]
K = TypeVar("K")

SECONDS: Final = (0.1, 0.25, 0.5, 1.0, 2.5, 5.0, 10.0, 30.0, 60.0, 120.0, 300.0)
DOUBLING: Final = tuple(0.01 * 2**k for k in range(17))
"""OpenTelemetry's boundaries of GenAI durations, three longer: answers may take ten minutes."""

DENSE: Final = tuple(0.001 * 2 ** (k / 4) for k in range(78))
"""Four edges for each doubling from 1 ms to 10 min: a quantile is off by 19 % at most.

Between SECONDS alone, answers of 20 ms had a p95 of 95 ms: all lay in the bucket up to 0.1 s.
"""

HALVES: Final = tuple(0.01 * 2 ** (k / 2) for k in range(33))
"""Two edges for each doubling, 41 % wide: of durations there is a histogram for each error type."""


@dataclass(frozen=True, slots=True)
class Edges:
    """Upper bucket edges of each histogram, ascending, in seconds or tokens."""

    latency: tuple[float, ...] = tuple(sorted({*DENSE, *SECONDS}))
    duration: tuple[float, ...] = tuple(sorted({*HALVES, *DOUBLING}))
    ttft: tuple[float, ...] = tuple(sorted({*DENSE, *DOUBLING}))
    chunk: tuple[float, ...] = tuple(sorted({*DENSE, *DOUBLING}))
    tokens: tuple[float, ...] = tuple(4.0**k for k in range(14))

    def __post_init__(self) -> None:
        """Raise PlanError for edges that don't ascend."""
        for kind in fields(self):
            edges = getattr(self, kind.name)
            if not edges or list(edges) != sorted({*edges}):
                raise PlanError(f"the edges of {kind.name} must ascend: {edges}.")


@dataclass(frozen=True, slots=True)
class Histogram:
    """How many values lay in each bucket, and their sum.

    `counts[i]` values were at most `edges[i]` and over the edge before; the last of `counts`, one
    more than there are edges, is of what was over all of them.
    """

    edges: tuple[float, ...]
    counts: tuple[int, ...]
    sum: float

    @property
    def count(self) -> int:
        """How many values there were."""
        return sum(self.counts)

    def __add__(self, other: "Histogram") -> "Histogram":
        _same(self.edges, other.edges)
        counts = tuple(a + b for a, b in zip(self.counts, other.counts, strict=True))
        return Histogram(self.edges, counts, self.sum + other.sum)


@dataclass(frozen=True, slots=True)
class TargetTotals:
    """The sums of one target.

    `attempts` and `requests` are counted by (HTTP status, error type), `0` and `""` for none;
    `requests` by the outcome of their last attempt there. `retries` are attempts there after the
    first, `dropped` were due and never sent. `latency` is of successful attempts (s, from their own
    start), `duration` of requests as their caller felt them, with all attempts and waits, by
    error type; `ttft` and `chunk` (gaps between chunks, to half a percent) of successful streams.
    Tokens are the server's counts, of all attempts that came with one. `cost` is of all attempts
    whose cost is known, in `currency`, `cost_of_failures` the part spent on failed ones,
    `unpriced` the number of the others.
    """

    provider: str
    model: str
    currency: str
    attempts: dict[tuple[int, str], int]
    requests: dict[tuple[int, str], int]
    retries: int
    dropped: int
    latency: Histogram
    duration: dict[str, Histogram]
    ttft: Histogram
    chunk: Histogram
    prompt_tokens: Histogram
    output_tokens: Histogram
    cost: float
    cost_of_failures: float
    unpriced: int

    def __add__(self, other: "TargetTotals") -> "TargetTotals":
        _same((self.provider, self.model), (other.provider, other.model))
        names = [summed.name for summed in fields(self)][3:]
        added = {name: _added(getattr(self, name), getattr(other, name)) for name in names}
        return TargetTotals(self.provider, self.model, self.currency, **added)


@dataclass(frozen=True, slots=True)
class Totals:
    """The sums of all targets, by name (`provider/model`)."""

    edges: Edges
    targets: dict[str, TargetTotals]

    def __add__(self, other: "Totals") -> "Totals":
        """Both together. Raises PlanError if their edges differ."""
        _same(self.edges, other.edges)
        return Totals(self.edges, _merged(self.targets, other.targets))


def totals(records: Records, edges: Edges | None = None) -> Totals:
    """The sums of `records`, target by target; `edges` are those of their histograms."""
    wanted = Edges() if edges is None else edges
    mask = records.mask()
    by_name = {
        target.name: _target(records, mask & (records["target"] == index), target, wanted)
        for index, target in enumerate(records.targets)
    }
    return Totals(wanted, by_name)


def _target(records: Records, where: Mask, target: Target, edges: Edges) -> TargetTotals:
    rows = records.rows[where]
    dropped = rows["error"] == CODES["client_dropped"]
    sent = rows[~np.isnan(rows["start_s"]) & ~dropped]
    final = rows[ended_there(rows) & ~dropped]
    good = sent[sent["error"] == 0]
    money = costs(sent, target.billed)
    by_server = (sent["flags"] & Flag.SERVER_TOKENS) != 0
    return TargetTotals(
        provider=target.provider,
        model=target.model,
        currency=target.price.currency,
        attempts=_outcomes(sent),
        requests=_outcomes(final),
        retries=int((~begun_there(sent)).sum()),
        dropped=int(dropped.sum()),
        latency=histogram(good["end_s"] - good["start_s"], edges.latency),
        duration={
            NAMES[code]: histogram((final["end_s"] - final["due_s"])[final["error"] == code],
                                   edges.duration)
            for code in np.unique(final["error"])
        },
        ttft=histogram(good["first_s"] - good["start_s"], edges.ttft),
        chunk=_gaps(records, where & records.ok, good, edges.chunk),
        prompt_tokens=_tokens(sent["prompt_tokens"], edges),
        output_tokens=_tokens(np.where(by_server, sent["output_tokens"], -1), edges),
        cost=float(np.nansum(money)),
        cost_of_failures=float(np.nansum(money[sent["error"] != 0])),
        unpriced=int(np.isnan(money).sum()),
    )  # fmt: skip


def histogram(
    values: npt.NDArray[np.float64],
    edges: tuple[float, ...],
    times: npt.NDArray[np.int64] | None = None,
) -> Histogram:
    """The histogram of values, shape (n,), each counted once or `times`; NaN are left out."""
    times = np.ones(len(values), np.int64) if times is None else times
    known = ~np.isnan(values)
    where = np.searchsorted(edges, values[known], side="left")
    counts = np.bincount(where, times[known], len(edges) + 1).astype(np.int64)
    return Histogram(edges, tuple(counts.tolist()), float((values * times)[known].sum()))


def _outcomes(rows: Rows) -> dict[tuple[int, str], int]:
    both = rows["status"].astype(np.int64) << 8 | rows["error"]
    outcomes, counts = np.unique(both, return_counts=True)
    return {
        (int(outcome >> 8), NAMES[outcome & 255]): int(n)
        for outcome, n in zip(outcomes, counts, strict=True)
    }


def _gaps(records: Records, where: Mask, good: Rows, edges: tuple[float, ...]) -> Histogram:
    """Gaps between chunks of successful streams; their sum is exact."""
    pairs = records.gap_pairs[np.repeat(where, records.gap_counts)]
    counted = histogram(gap_value(pairs["bin"]), edges, pairs["n"].astype(np.int64))
    return Histogram(edges, counted.counts, float(np.nansum(good["last_s"] - good["first_s"])))


def _tokens(counts: npt.NDArray[np.int32], edges: Edges) -> Histogram:
    return histogram(counts[counts >= 0].astype(np.float64), edges.tokens)


def _added(a: Any, b: Any) -> Any:
    return _merged(a, b) if isinstance(a, dict) else a + b


def _merged(a: Mapping[K, Any], b: Mapping[K, Any]) -> dict[K, Any]:
    both = {key: a[key] + b[key] if key in b else a[key] for key in a}
    return both | {key: b[key] for key in b if key not in a}


def _same(a: object, b: object) -> None:
    if a != b:
        raise PlanError(f"only sums of one kind can be added, not {a} and {b}.")
