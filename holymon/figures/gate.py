"""Whether a candidate may have more of the traffic, or none: sequential tests valid at any time.

    sums of a block of calls, both sides --> scores --> bet --> fails | passes

What is compared are blocks of some seconds, not calls: neighbouring calls are alike, and a burst
would count as often as it hits. The score of a block is how much worse the candidate was than it
may be. A gambler bets on it: who plays a fair game, or a worse, ever has 1 / alpha times what he
began with by a chance of alpha at most (Ville 1939), however often one looks. So a capital of
1 / alpha on "worse" shows it, and one on "not worse" shows that. The bets are those of
Waudby-Smith and Ramdas, "Estimating means of bounded random variables by betting" (JRSS B 86, 2024,
section 4), a mixture of shares of the capital as in Robbins (1970) and in the mixture SPRT of
Johari, Koomen, Pekelis and Walsh (Operations Research 70, 2022); for the family see Howard, Ramdas,
McAuliffe and Sekhon (Annals of Statistics 49, 2021). All of it works on arrays of moves at once.
"""

import math
from dataclasses import dataclass
from typing import Final

import numpy as np
import numpy.typing as npt

from holymon.errors import PlanError

Floats = npt.NDArray[np.float64]
Bools = npt.NDArray[np.bool_]

FIELDS: Final = ("calls", "failed", "slow", "priced", "cost", "sized", "long", "odd")
"""What is summed up of the calls of one side in a block; behind it, for each objective, how many
calls it was asked of and how many missed it. `slow` successes took longer than a limit
(`slow_limit`), `long` ones have more tokens than a limit, `odd` ones did not end by themselves."""

FIGURES: Final = ("errors", "latency", "cost", "longer", "shorter", "ends")
"""What is compared; behind it the objectives."""

SCALES: Final = 0.15, 0.25
"""For bets on "worse" and on "well": a block counts no further against a bet than this, so that
none ruins a bettor; what is worse by more than a quarter of its calls is the burst's to see."""

SHARES: Final[Floats] = np.array([0.05, 0.1, 0.2, 0.35, 0.6, 0.95])
"""The shares of a capital that are bet on each block, in equal parts of it."""

FEWEST: Final = 5
"""Calls of each side that a block has at least."""

TAIL: Final = 0.1
"""Of the baseline's successes so many are slow: its p90 is the limit, which follows it."""

BURST: Final = 8
"""So many more failures than successes, counted from when there were as many, are a burst.

This is Page's CUSUM (1954) of a share of 75 % against 25 %: with each call's odds of 3, it comes by
chance once in 3**8 = 6,561 calls at most while at most a quarter of them fail (Lorden 1971)."""

INFLOW: Final = 16
"""After so many blocks who bets on "worse" gets more of his money, the k-th time 1 / ((k + 1)(k +
2)) of it: a fault after a long calm, in which he lost, is noticed nearly as soon as one at once."""


@dataclass(frozen=True, slots=True)
class Margins:
    """What a candidate may be worse by: `errors` and `drift` as shares of calls (0 to 1).

    `slower` and `dearer` are factors less 1: its p90 may be `1 + slower` times the baseline's. Of
    all moves of a candidate that is worse at most `alpha` go on, and of one that is not at most
    `alpha` go back. Raise PlanError if a number is out of range.
    """

    errors: float = 0.02
    slower: float = 0.2
    dearer: float = 0.1
    drift: float = 0.25
    alpha: float = 0.05

    def __post_init__(self) -> None:
        """Raise PlanError if a number is out of range."""
        for name, value, most in (
            ("more_errors", self.errors, 1), ("slower", self.slower, 100),
            ("dearer", self.dearer, 100), ("drift", self.drift, 1),
        ):  # fmt: skip
            if not 0 <= value <= most:
                raise PlanError(f"{name} must lie between 0 and {most}, not {value}.")
        if not 0 < self.alpha <= 0.5:
            raise PlanError(f"alpha must be over 0 and at most 0.5, not {self.alpha}.")


@dataclass(frozen=True, slots=True)
class Capital:
    """What bettors have: logarithms, shape (..., figures, shares), of figures (..., figures).

    `worse` bet that the candidate is worse than it may be, `well` that it is not; `best` is the
    most that the latter ever had, `blocks` how many blocks had the figure.
    """

    worse: Floats
    well: Floats
    best: Floats
    blocks: Floats

    @classmethod
    def new(cls, figures: int, moves: tuple[int, ...] = ()) -> "Capital":
        """Capital at the beginning of a step."""
        of_each, of_bets = (*moves, figures), (*moves, figures, len(SHARES))
        half = np.full(of_bets, -math.log(2))
        return cls(half, np.zeros(of_bets), np.zeros(of_each), np.zeros(of_each))


def scores(
    candidate: Floats, baseline: Floats, margins: Margins, budgets: tuple[float, ...] = ()
) -> Floats:
    """How much worse than it may be the candidate was in a block, shape (..., figures).

    From sums of each side, shape (..., fields); NaN for what is not known. Shares of calls are
    compared as differences, costs as a difference over their sum, objectives with their budgets.
    """
    c, b = (dict(zip(FIELDS, np.moveaxis(side, -1, 0), strict=False)) for side in
            (candidate, baseline))  # fmt: skip
    with np.errstate(divide="ignore", invalid="ignore"):
        dear = c["cost"] / c["priced"]
        allowed = (1 + margins.dearer) * b["cost"] / b["priced"]
        longer = c["long"] / c["sized"] - b["long"] / b["sized"]
        ends = c["odd"] / c["sized"] - b["odd"] / b["sized"]
        parts = [
            c["failed"] / c["calls"] - b["failed"] / b["calls"] - margins.errors,
            c["slow"] / (c["calls"] - c["failed"]) - b["slow"] / (b["calls"] - b["failed"]),
            (dear - allowed) / (dear + allowed),
            longer - margins.drift,
            -longer - margins.drift,
            ends - margins.drift,
        ]
        at = len(FIELDS)
        for budget in budgets:
            parts.append(candidate[..., at + 1] / candidate[..., at] - budget)
            at += 2
    return np.stack(parts, axis=-1)


def bet(capital: Capital, score: Floats) -> Capital:
    """Capital after a block; a score of NaN changes nothing."""
    known = ~np.isnan(score)
    score = np.where(known, score, 0.0)
    times = capital.blocks / INFLOW
    comes = known & (capital.blocks > 0) & (times % 1 == 0)
    fresh = np.where(comes, -np.log((times + 1) * (times + 2)), -np.inf)
    worse = np.logaddexp(capital.worse, fresh[..., None]) + _gain(score / SCALES[0])
    well = capital.well + _gain(-score / SCALES[1])
    best = np.maximum(capital.best, np.where(known, evidence(well), 0.0))
    return Capital(worse, well, best, capital.blocks + known)


def _gain(score: Floats) -> Floats:
    gain: Floats = np.log1p(SHARES * np.maximum(score, -1.0)[..., None])
    return gain


def evidence(logs: Floats) -> Floats:
    """The logarithm of a whole capital of equal parts, shape without the last axis."""
    top = logs.max(axis=-1, keepdims=True)
    whole: Floats = top[..., 0] + np.log(np.exp(logs - top).mean(axis=-1))
    return whole


def fails(capital: Capital, margins: Margins, steps: int) -> Bools:
    """By which figures the candidate is shown to be worse than it may be, shape (..., figures).

    Over all figures and `steps` of a move that is false with a chance of `alpha` at most.
    """
    figures = capital.best.shape[-1]
    failing: Bools = evidence(capital.worse) >= math.log(figures * steps / margins.alpha)
    return failing


def passes(capital: Capital, margins: Margins) -> Bools:
    """By which figures it is shown to be no worse than it may be; those unknown don't count.

    A candidate that is worse by one figure passes them all with a chance of `alpha` at most: it
    would have to pass that one.
    """
    shown: Bools = (capital.best >= -math.log(margins.alpha)) | (capital.blocks == 0)
    return shown


def slow_limit(limit: Floats | float, baseline: Floats) -> Floats:
    """The limit (s) over which a tenth of the baseline's successes are, after a block of its sums.

    Stochastic approximation (Robbins and Monro 1951): only blocks before it set a block's limit,
    so the bets on it are fair.
    """
    well, slow = baseline[..., 0] - baseline[..., 1], baseline[..., 2]
    share = np.where(well > 0, slow / np.maximum(well, 1), TAIL)
    moved: Floats = np.asarray(limit * np.exp(0.5 * (share - TAIL)))
    return moved


def long_limit(limit: Floats | float, baseline: Floats) -> Floats:
    """The number of tokens that half of the baseline's answers are over, likewise."""
    sized, long = baseline[..., 5], baseline[..., 6]
    share = np.where(sized > 0, long / np.maximum(sized, 1), 0.5)
    moved: Floats = np.asarray(limit * np.exp(0.3 * (share - 0.5)))
    return moved


def walk(lead: int, failed: bool) -> int:
    """By how many failures lead over successes, after one call more; never under 0."""
    return max(0, lead + 1 if failed else lead - 1)
