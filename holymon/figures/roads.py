"""What one road to a model adds to another: paired differences, streams in one piece, tokens.

    differences   of TTFT and latency, B - A, of calls that asked the same at about the same time
    in one piece  streams whose tokens all came at once: who reads along sees nothing until the end
    tokens        what each counts of the same text: a constant more is a hidden prompt

The median of paired differences has the interval of order statistics, for as many pairs as they are
worth where neighbours are alike (`quantiles`).
"""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, Final

import numpy as np

from holymon.figures.bills import Amount
from holymon.figures.quantiles import Floats, figure, wilson
from holymon.records.attempt import Flag, Rows
from holymon.records.checked import CheckedCall
from holymon.structs import Rate

FEWEST_EVENTS: Final = 4
"""Of fewer pieces of text nobody can say how they came."""

AT_ONCE_S: Final = 2e-4
"""Tokens that follow each other faster, on average, come from a buffer and not from a model."""

SPREAD: Final = 2
"""Two ways to count differ by a constant, but for so many tokens where texts are joined."""


@dataclass(frozen=True, slots=True)
class Road:
    """B's seconds less A's, medians of `pairs`, and the share of streams that came in one piece."""

    pairs: int
    ttft_s: Amount | None
    latency_s: Amount | None
    one_piece: tuple[Rate, Rate]


def road(pairs: Sequence[Any], at: Floats, pieces: tuple[Rate, Rate]) -> Road:
    """Of paired seconds: TTFT and latency of A and B, each of shape (n,); sent `at`, shape (n,)."""
    ttft_a, ttft_b, latency_a, latency_b = (np.asarray(each, float) for each in pairs)
    return Road(
        int(np.isfinite(latency_b - latency_a).sum()), _middle(ttft_b - ttft_a, at),
        _middle(latency_b - latency_a, at), pieces,
    )  # fmt: skip


def _middle(differences: Floats, at: Floats) -> Amount | None:
    of = figure(differences, at)
    ends = of.ci["p50"] or (None, None)
    return None if of.p50 is None else Amount(of.p50, *ends)


def road_of_rows(a: Rows, b: Rows) -> Road:
    """Of the records of A and B that make couples, each of shape (n,)."""
    pairs = [side[name] - side["start_s"] for name in ("first_s", "end_s") for side in (a, b)]
    ok = (a["error"] == 0) & (b["error"] == 0)
    return road(
        [each[ok] for each in pairs], a["start_s"][ok], (_rows_at_once(a), _rows_at_once(b))
    )


def _rows_at_once(rows: Rows) -> Rate:
    streams = (rows["error"] == 0) & ((rows["flags"] & Flag.STREAM) != 0)
    known = rows[streams & (rows["events"] >= FEWEST_EVENTS)]
    gap = (known["last_s"] - known["first_s"]) / (known["events"] - 1.0)
    return wilson(int(((known["chunks"] <= 1) | (gap < AT_ONCE_S)).sum()), len(known))


def road_of_calls(pairs: Sequence[tuple[CheckedCall, CheckedCall]]) -> Road:
    """Of checked answers: those of A and B to the same questions."""
    good = [(a, b) for a, b in pairs if a.ok and b.ok]
    columns = [[_seconds(getattr(both[side], name)) for both in good]
               for name in ("ttft_s", "latency_s") for side in (0, 1)]  # fmt: skip
    pieces = [_calls_at_once([both[side] for both in pairs]) for side in (0, 1)]
    return road(columns, np.array([a.at_s for a, _ in good], float), (pieces[0], pieces[1]))


def _seconds(value: float | None) -> float:
    return np.nan if value is None else value


def _calls_at_once(calls: Sequence[CheckedCall]) -> Rate:
    known = [call for call in calls if call.ok and call.stream and call.events >= FEWEST_EVENTS]
    at_once = [call.pieces <= 1 or (call.span_s or 0.0) / (call.events - 1) < AT_ONCE_S
               for call in known]  # fmt: skip
    return wilson(sum(at_once), len(known))


@dataclass(frozen=True, slots=True)
class TokenCounts:
    """What B counts of the same `texts` as A: the `same`, `more` by a constant, or `times` as many.

    `more` is negative where it counts fewer. `times` has the least and the greatest ratio.
    """

    texts: int
    same: bool = False
    more: int | None = None
    times: tuple[float, float, float] | None = None

    @property
    def otherwise(self) -> bool:
        """Whether the counts are those of another tokenizer, or of another way to count."""
        return self.times is not None


def token_counts(a: Sequence[int], b: Sequence[int]) -> TokenCounts:
    """Compare what both counted of the same texts, in their order; below 1 is not known."""
    counts = np.array([(x, y) for x, y in zip(a, b, strict=True) if x > 0 and y > 0], float)
    if len(counts) < FEWEST_EVENTS:
        return TokenCounts(len(counts))
    more = counts[:, 1] - counts[:, 0]
    if not more.any():
        return TokenCounts(len(counts), same=True)
    # Of texts of one length a constant can't be told from a factor.
    if np.ptp(counts[:, 0]) > SPREAD and np.ptp(more) <= SPREAD:
        return TokenCounts(len(counts), more=round(float(np.median(more))))
    ratios = counts[:, 1] / counts[:, 0]
    whole = float(counts[:, 1].sum() / counts[:, 0].sum())
    return TokenCounts(len(counts), times=(whole, float(ratios.min()), float(ratios.max())))
