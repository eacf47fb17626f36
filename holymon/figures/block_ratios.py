"""A percentile of B over that of A, in one run, with an interval from its blocks of time.

The percentiles are those of the whole run, as a summary has them: of blocks of 30 calls the p95 is
nearly the largest, and the median of such was 996 ms where 5 % of all calls took over 1,353.

Which single call has a rank is chance, so the ratio is the mean (of the logs) of those of the ranks
around it, p40 to p60 or p93 to p97: an L-estimator (as Harrell and Davis 1982), whose error is a
quarter smaller where A and B are asked the same.

The interval is that of a block bootstrap (Efron 1979; blocks of time as Carlstein 1986): whole
blocks are drawn again, A's and B's together, so that calls within one may be as alike as they like,
and what both met (a slow network, hard prompts) cancels out. It gives the standard error of the log
of the ratio; Student's t widens it for so few blocks, and what blocks have in common with the ones
before makes them count as fewer, as in `quantiles.mean_interval`.
"""

import math
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Final

import numpy as np

from holymon.figures.quantiles import (
    Floats,
    fewer_alike,
    point,
    student,
)
from holymon.structs import Interval

DRAWS: Final = 200
SEED: Final = 0
"""The same runs make the same interval."""

MOST_EDGES: Final = 256
"""Values at which each block is counted: between them its calls count as evenly spread."""

AROUND: Final = 0.4
MOST_AROUND: Final = 0.1
RANKS: Final = 9
"""As many ranks, up to so large a part of the way to the nearer end (0 or 1), but not further."""

Blocks = Sequence[Floats]


@dataclass(frozen=True, slots=True)
class BlockRatio:
    """Percentiles of A and B in seconds, and the log of their ratio with its interval.

    inf where a failed call has the rank. `series`, shape (m,), is the log of each block by itself,
    which shows slow wandering best; 0 where it has none.
    """

    a: float
    b: float
    log: float
    interval: Interval
    series: Floats


def block_ratio(a: Blocks, b: Blocks, q: float, level: float) -> BlockRatio | None:
    """The ratio of the percentiles of blocks, each of seconds, without NaN; inf: it failed.

    None where it is no number: both are inf.
    """
    every = np.sort(np.concatenate(a)), np.sort(np.concatenate(b))
    first, second = (point(values, q) for values in every)
    if math.isinf(first) and math.isinf(second):
        return None
    ranks = _ranks(q)
    whole = [np.log([[point(values, rank) for rank in ranks]]) for values in every]
    many = len(a)
    drawn = draws_of(many)
    logs = [
        _percentiles(blocks, values, drawn, ranks)
        for blocks, values in zip((a, b), every, strict=True)
    ]
    log, series = float(_ratios(*whole)[0]), _of_blocks(a, b, q)
    ends = drawn_interval(_ratios(logs[0], logs[1]), log, many, fewer_alike(series), level)
    return BlockRatio(first, second, log, ends, series)


def draws_of(many: int) -> Floats:
    """How often each of so many blocks is drawn again, draw by draw, shape (DRAWS, many)."""
    draws = np.random.default_rng(SEED).multinomial(many, np.full(many, 1 / many), size=DRAWS)
    return draws.astype(np.float64)


def _ranks(q: float) -> Floats:
    """The ranks around q, shape (RANKS,), q itself in the middle."""
    reach = min(AROUND * min(q, 1 - q), MOST_AROUND)
    ranks: Floats = np.linspace(q - reach, q + reach, RANKS)
    return ranks


def _ratios(a: Floats, b: Floats) -> Floats:
    """The mean of the logs of ratios over the ranks that both have, shape (n, RANKS) to (n,).

    inf where the middle one is, NaN where it is of both.
    """
    with np.errstate(invalid="ignore"):
        logs = b - a
    middle = logs[:, RANKS // 2]
    known = np.isfinite(logs)
    means = np.where(known, logs, 0.0).sum(axis=1) / np.maximum(known.sum(axis=1), 1)
    ratios: Floats = np.where(np.isfinite(middle), means, middle)
    return ratios


def _of_blocks(a: Blocks, b: Blocks, q: float) -> Floats:
    with np.errstate(invalid="ignore"):
        logs = [
            np.log(point(np.sort(y), q)) - np.log(point(np.sort(x), q))
            for x, y in zip(a, b, strict=True)
        ]
    series: Floats = np.nan_to_num(np.array(logs), posinf=0.0, neginf=0.0)
    return series


def drawn_interval(
    ratios: Floats, log: float, many: int, fewer: float, level: float
) -> Interval:  # fmt: skip
    """Student's interval around `log` by the spread of what was drawn, each side by its own.

    It was drawn from so `many` blocks, which count as `fewer`. Where the value is no finite number,
    as many draws are left out at each end as `level` leaves.
    """
    ratios = ratios[~np.isnan(ratios)]
    if math.isinf(log):
        low, high = np.quantile(ratios, [(1 - level) / 2, (1 + level) / 2], method="nearest")
        return float(low), float(high)
    wider = student(max(round(fewer) - 1, 1), level) * math.sqrt(many / fewer)
    wider *= math.sqrt(many / max(many - 1, 1))
    apart = ratios - log
    below, above = (
        math.sqrt(2 * float((np.maximum(side, 0) ** 2).mean())) for side in (-apart, apart)
    )
    return log - wider * below, log + wider * above


def _percentiles(blocks: Blocks, every: Floats, drawn: Floats, ranks: Floats) -> Floats:
    """The logs of the percentiles of each of n draws of blocks, shape (n, RANKS)."""
    edges = np.unique(every[np.linspace(0, len(every) - 1, MOST_EDGES).astype(np.int64)])
    upto = [np.searchsorted(np.sort(values), edges, side="right") for values in blocks]
    # Not by `@`: on small tables the threads of its library cost ten times what they compute.
    counts = np.einsum("nm,mk->nk", drawn, np.array(upto, np.float64))
    shares = counts / (drawn * [len(values) for values in blocks]).sum(axis=1)[:, None]
    at = np.array([np.searchsorted(row, ranks) for row in shares]).clip(max=len(edges) - 1)
    before = np.maximum(at - 1, 0)
    low, high = (np.take_along_axis(shares, where, axis=1) for where in (before, at))
    part = np.divide(ranks - low, high - low, out=np.ones_like(low), where=high > low).clip(0, 1)
    first, second = np.log(edges[before]), np.log(edges[at])
    with np.errstate(invalid="ignore"):
        logs: Floats = np.where(np.isinf(second), second, first + part * (second - first))
    return logs
