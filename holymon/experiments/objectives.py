"""What a level says of one objective: met or missed, how sure that is, what would make it so. Pure.

A percentile is within its limit where the share of values over that is small enough, and for a
share blocks of time say as how many independent calls these calls count (`figures.steady`). It is
sure where so few over the limit (or so many) would be rarer than `error` if the true share were
just the one allowed; and of what flatters a server that began with an empty queue, only where the
level lasted for `LOOKS` memories of it. A queue that grew to its end missed for certain.
"""

import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from typing import Final, NamedTuple

import numpy as np
import numpy.typing as npt

from holymon.errors import CODES
from holymon.figures.durations import durations
from holymon.figures.quantiles import PERCENTILES, Floats, student
from holymon.figures.steady import Stretch, effective, smaller, tail
from holymon.formatting import number_of, percent, rounded
from holymon.language.said import glued, say
from holymon.plan.slo import Slo
from holymon.records.attempt import Flag, gap_value
from holymon.records.gaps import bins_of, counts_of, histogram, sums
from holymon.records.records import Records

LOOKS: Final = 20.0
"""So many independent looks at its queue a level must be: found by simulation (tests/bench)."""

CLOSE: Final = 30.0
"""What would take so many times the calls of a clear case is too close to call."""

Blocks = npt.NDArray[np.int64]


@dataclass(frozen=True, slots=True)
class Held:
    """What a level says of an objective; `need_s` seconds would make it sure (None: none would).

    `share` is that of values over its limit, and the one allowed, where there are such.
    """

    met: bool
    sure: bool
    need_s: float | None
    text: str
    share: tuple[float, float] | None = None


class Errors(NamedTuple):
    """How likely it may be that something is for certain met, or missed, and is not."""

    met: float
    missed: float


def hold(
    objective: Slo, records: Records, stretch: Stretch, errors: Errors, *, late_s: float = 0.0
) -> Held | None:
    """One objective held against the calls of a level; None if it is not on single calls.

    A miss is only sure if it is one from the start on, when queues were shorter than later.
    Durations may be too long by `late_s`, which their limit then is, too.
    """
    if late_s and objective.op[0] == "<" and objective.stat:
        objective = replace(objective, limit=objective.limit + late_s)
    held = _hold(objective, records, stretch, errors)
    if held is None or held.met or stretch.since_s == 0:
        return held
    whole = _hold(objective, records, replace(stretch, since_s=0.0), errors)
    return held if whole is None else replace(held, sure=not whole.met and whole.sure)


def _hold(objective: Slo, records: Records, stretch: Stretch, errors: Errors) -> Held | None:
    chosen = records.mask() & (records.ok if objective.of_successes else records.judged)
    counted = records.select(chosen & (records["due_s"] >= stretch.since_s))
    if not len(counted):
        return None
    at = (counted["due_s"] - stretch.since_s) / stretch.seconds * stretch.many
    block = np.clip(at.astype(np.int64), 0, stretch.many - 1)
    if objective.metric.startswith("error_rate"):
        return _failures(objective, counted, block, stretch, errors)
    if objective.stat in PERCENTILES:
        return _percentile(objective, counted, block, stretch, errors)
    return _mean(objective, counted, block, stretch, errors) if objective.stat == "mean" else None


def _percentile(
    objective: Slo, records: Records, block: Blocks, stretch: Stretch, errors: Errors
) -> Held | None:
    q = PERCENTILES[objective.stat]
    over, sizes = _counter(objective.metric, records)
    total = float(sizes.sum())
    if not total:
        return None
    marks = over(objective.limit, objective.op in {"<", ">="})
    share = float(marks.sum()) / total
    few, error = _side(share, 1 - q, errors)
    several = [over(limit, True) for limit in _limits(objective.metric, records, q) if few]
    fewer = _effective([marks, *several], sizes, block, stretch, error)
    of = (
        number_of(int(total), "gap") if objective.metric == "itl" else number_of(int(total), "call")
    )
    what = say("{share} of {of} took longer", share=percent(share), of=of)
    return _judged(objective, share, 1 - q, fewer, what, stretch, error)


def _failures(
    objective: Slo, records: Records, block: Blocks, stretch: Stretch, errors: Errors
) -> Held | None:
    sizes = np.ones(len(records))
    if objective.metric.endswith("without_429"):
        sizes = (records["error"] != CODES["rate_limited"]).astype(float)
    marks = (records["error"] != 0) * sizes
    total = float(sizes.sum())
    if not total:
        return None
    share = float(marks.sum()) / total
    few, error = _side(share, objective.limit, errors)
    # Failures that nobody saw yet would come as slow calls do: together.
    over, _ = _counter("latency", records)
    several = [over(limit, True) * sizes for limit in _limits("latency", records, 0.95) if few]
    fewer = _effective([marks, *several], sizes, block, stretch, error)
    what = say(
        "{share} of {calls} failed", share=percent(share), calls=number_of(int(total), "call")
    )
    return _judged(objective, share, objective.limit, fewer, what, stretch, error)


def _side(share: float, allowed: float, errors: Errors) -> tuple[bool, float]:
    """Whether a share is no more than the one allowed, and how likely that may be by chance."""
    few = share <= allowed
    return few, errors.met if few else errors.missed


def _judged(
    objective: Slo, share: float, allowed: float, fewer: float, what: str, stretch: Stretch,
    error: float,
) -> Held:  # fmt: skip
    """What a share says that may be (or, where a figure is to be high, must be over) `allowed`."""
    few = share <= allowed
    met = few == (objective.op[0] == "<")
    if few:
        sure = stretch.looks >= LOOKS and not stretch.grows
        sure &= _chance(share, allowed, fewer) <= error
    else:
        sure = stretch.grows or _chance(share, allowed, fewer) <= error
    needed = _calls_needed(share, allowed, fewer, error)
    more = max(needed / max(fewer, 1.0), LOOKS / stretch.looks)
    need = more * stretch.seconds + stretch.since_s if math.isfinite(more) else None
    bound = say("more than {share} may", share=percent(allowed))
    if objective.op[0] == "<":
        bound = say("at most {share} may", share=percent(allowed))
    outcome = say("met") if met else say("MISSED")
    text = glued(objective.text, ": ", outcome, ", ", what, " (", bound, ")")
    return Held(met, sure, need, text, (share, allowed) if objective.op[0] == "<" else None)


def _calls_needed(share: float, allowed: float, fewer: float, error: float) -> float:
    """How many independent calls would be sure of a share, inf if it is too close to call.

    Reckoned with half a call more on the wrong side than `fewer` calls show (Jeffreys' prior).
    """
    gap = allowed - share
    likely = share + math.copysign(min(0.5 / (fewer + 1), abs(gap) / 4), gap)
    clear = math.log(error) / math.log1p(-allowed) if 0 < allowed < 1 else 1.0
    for n in np.geomspace(1.0, CLOSE * clear, 100).tolist():
        if _chance(likely, allowed, n) <= error:
            return float(n)
    return math.inf


def _chance(share: float, allowed: float, fewer: float) -> float:
    """How likely so far a share on its side is where the true one is just `allowed`."""
    n = int(fewer)
    if share <= allowed:
        return tail(math.ceil(share * n - 1e-9), n, allowed)
    return tail(n - math.floor(share * n + 1e-9), n, 1 - allowed)


def _effective(
    several: Sequence[Floats], sizes: Floats, block: Blocks, stretch: Stretch, error: float
) -> float:
    """As how many calls count, by that of several marks that come in the thickest clusters.

    Each look at the queue is one call at least.
    """
    alike = [effective(m, sizes, block, stretch.many, beside=stretch.beside) for m in several]
    return max(min(alike) * smaller(stretch.freedom, error), min(stretch.looks, float(sizes.sum())))


def _mean(
    objective: Slo, records: Records, block: Blocks, stretch: Stretch, errors: Errors
) -> Held | None:
    """By Student's interval of blocks."""
    values = _durations(objective.metric, records)
    values, block = values[known := ~np.isnan(values)], block[known]
    if not len(values) or not math.isfinite(mean := float(values.mean())):
        return None
    off = np.bincount(block, values - mean, stretch.many)
    spread = float(off @ off) * stretch.many / (stretch.many - 1) / len(values) ** 2
    spread /= 1 - min(stretch.beside, 1.0) / 2
    met, away = objective.holds(mean), abs(mean - objective.limit)
    error = errors.met if met else errors.missed
    half = student(stretch.freedom, 1 - 2 * error) * math.sqrt(spread)
    more = (half / away) ** 2 if away else math.inf
    steady = stretch.looks >= LOOKS and not stretch.grows
    sure = steady and more <= 1 if met else stretch.grows or more <= 1
    need = max(more, 1.0, LOOKS / stretch.looks) * stretch.seconds + stretch.since_s
    outcome = say("met") if met else say("MISSED")
    text = glued(objective.text, ": ", outcome, ", ", say("it was {mean} s", mean=rounded(mean)))
    return Held(met, sure, need if more <= CLOSE else None, text)


def _counter(metric: str, records: Records) -> tuple[Callable[[float, bool], Floats], Floats]:
    """How many values of each call are over a limit (or at it), and how many it has; shape (n,)."""
    if metric == "itl":
        pieces, lengths = records.gaps(records.mask()), records.gap_counts
        counts, values = counts_of(pieces).astype(np.int64), gap_value(bins_of(pieces))
        of_each = sums(counts, lengths)
        # A failed call has as many gaps as an answer on average, all for ever.
        each = max(1, round(float(of_each[records.ok].mean()))) if records.ok.any() else 1
        lost = ~records.ok & ((records["flags"] & Flag.STREAM) != 0)

        def gaps_over(limit: float, at: bool) -> Floats:
            over = values >= limit if at else values > limit
            return np.where(lost, each, sums(counts * over, lengths)).astype(np.float64)

        return gaps_over, np.where(lost, each, of_each).astype(np.float64)
    seconds = _durations(metric, records)
    known = ~np.isnan(seconds)

    def over(limit: float, at: bool) -> Floats:
        beyond = seconds >= limit if at else seconds > limit
        return (beyond & known).astype(np.float64)

    return over, known.astype(np.float64)


def _limits(metric: str, records: Records, q: float) -> list[float]:
    """Values that the share 1 - q, a quarter and a half are at or over."""
    levels = np.array([0.5, 0.75, q])
    if metric == "itl":
        upto = np.cumsum(histogram(records.gaps(records.mask())))
        return [float(gap_value(k)) for k in np.searchsorted(upto, levels * upto[-1])]
    values = _durations(metric, records)
    values = values[~np.isnan(values)]
    if not len(values):
        return []
    return [float(value) for value in np.quantile(values, levels, method="higher")]


def _durations(metric: str, records: Records) -> Floats:
    """Seconds of each call, shape (n,): for ever for one that failed, NaN where not measured.

    Whole microseconds: how a clock is rounded is alike for a while, and means nothing.
    """
    rows = records.chosen(records.mask(warmup=True))
    delays = metric == "schedule_delay"
    seconds = rows["start_s"] - rows["due_s"] if delays else durations(rows)[metric]
    rounded_off: Floats = np.round(seconds, 6)
    return rounded_off
