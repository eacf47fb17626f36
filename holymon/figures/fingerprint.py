"""Whether two roads lead to one model, by the words that each chooses: a two-sample test.

    choices of A and of B, by prompt --> how far their distributions are apart --> p, and what
                                                                                   would be noticed

Asked to choose a word at random, a model has a distribution over words that is its own: another
model has another one, and so has a quantized, fine-tuned or otherwise prompted one. That two
samples of answers are of one distribution is what "Model Equality Testing" tests (Gao, Liang and
Guestrin, ICLR 2025, arXiv:2410.20247): the maximum mean discrepancy of the samples against those
of random exchanges of answers between the two (Gretton et al., JMLR 13, 2012). Here answers are of
one token, as cheap as can be, which are alike or not (their Hamming kernel at length one), so the
squared discrepancy is the sum of (p - q)**2 over words. Exchanges are within a prompt only. That
answers of one token tell models apart, best for prompts at which several words are about as likely,
was shown by Chauvin et al. ("Token-Efficient Change Detection in LLM APIs", arXiv:2602.11083; with
log-probabilities, which few APIs give, "Log Probability Tracking of LLM APIs", arXiv:2512.03816).

The test is exact: a model is told from itself with a chance of its level at most, for any number of
calls. That no difference was shown says something only together with what would have been noticed:
`noticed` is the least share of choices of each prompt, moved from its most frequent words to the
others, that the test finds in 95 of 100 trials.
"""

from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Final

import numpy as np
import numpy.typing as npt

Floats = npt.NDArray[np.float64]
Counts = npt.NDArray[np.int64]
Choices = tuple[Sequence[str], Sequence[str]]
"""The words that A and B chose for one prompt."""

EXCHANGES: Final = 4000
TRIALS: Final = 400
POWER: Final = 0.95
SHARES: Final = (0.05, 0.1, 0.15, 0.2, 0.25, 0.3, 0.35, 0.4, 0.5, 0.6, 0.7, 0.8, 0.9, 1.0)
"""What is tried of changes."""

SEED: Final = 20247
FEWEST: Final = 10
"""Choices of each side that a prompt has to have to count."""


@dataclass(frozen=True, slots=True)
class Fingerprints:
    """What the choices of two sides say of each other; `n` of each in all, over `prompts` prompts.

    `p` is the chance of a discrepancy as large between a model and itself. `moved` is about the
    share of choices that differ (total variation, less what chance alone would show), `noticed`
    the least such share that would have been noticed, None for none.
    """

    n: tuple[int, int]
    prompts: int
    p: float | None = None
    moved: float | None = None
    noticed: float | None = None


def fingerprints(choices: Sequence[Choices], level: float) -> Fingerprints:
    """Compare the words that two sides chose, by prompt, at such a level of false alarms.

    Prompts with fewer than FEWEST choices of a side are left out.
    """
    known = [both for both in choices if min(map(len, both)) >= FEWEST]
    n = sum(len(a) for a, _ in known), sum(len(b) for _, b in known)
    if not known:
        return Fingerprints(n, 0)
    draw = np.random.default_rng(SEED)
    tables = [_counts(*both) for both in known]
    exchanged = [draw.multivariate_hypergeometric(table.sum(0), table[0].sum(), EXCHANGES)
                 for table in tables]  # fmt: skip
    by_chance = [(some, table.sum(0) - some) for some, table in zip(exchanged, tables, strict=True)]
    seen = float(sum(_discrepancy(table[0], table[1]) for table in tables))
    null: Floats = np.sum([_discrepancy(*both) for both in by_chance], axis=0)
    # What rounds otherwise is no larger.
    p = (1 + int((null >= seen - 1e-12).sum())) / (1 + EXCHANGES)
    moved = float(np.mean([_variation(table[0], table[1]) for table in tables]))
    moved -= float(np.mean([_variation(*both).mean() for both in by_chance]))
    critical = float(np.quantile(null, 1 - level, method="higher"))
    return Fingerprints(n, len(known), p, max(0.0, moved), _noticed(tables, critical))


def _counts(a: Sequence[str], b: Sequence[str]) -> Counts:
    """How often each word was chosen, shape (2, words + 1); the last one by nobody."""
    words = sorted({*a, *b})
    return np.array([[*(count[word] for word in words), 0] for count in map(Counter, (a, b))])


def _shares(counts: npt.NDArray[np.int64]) -> Floats:
    shares: Floats = counts / counts.sum(-1, keepdims=True)
    return shares


def _discrepancy(a: Counts, b: Counts) -> Floats:
    """The squared discrepancy of counts, shape (..., words), times what its spread goes down by."""
    n, m = a.sum(-1), b.sum(-1)
    apart: Floats = ((_shares(a) - _shares(b)) ** 2).sum(-1) * (n * m / (n + m))
    return apart


def _variation(a: Counts, b: Counts) -> Floats:
    """The total variation of counts, shape (..., words)."""
    half: Floats = np.abs(_shares(a) - _shares(b)).sum(-1) / 2
    return half


def _noticed(tables: Sequence[Counts], critical: float) -> float | None:
    """The least of SHARES that would be noticed."""
    draw = np.random.default_rng(SEED + 1)
    for share in SHARES:
        trials = np.zeros(TRIALS)
        for table in tables:
            usual = _shares(table.sum(0))
            a = draw.multinomial(table[0].sum(), usual, TRIALS)
            b = draw.multinomial(table[1].sum(), _moved(usual, share), TRIALS)
            trials += _discrepancy(a, b)
        if (trials > critical).mean() >= POWER:
            return share
    return None


def _moved(usual: Floats, share: float) -> Floats:
    """Shares of which so much went from the most frequent words to the others, as these have it.

    The last word, which nobody chose, gets it where there is no other.
    """
    order = np.argsort(-usual)
    taken: Floats = np.zeros_like(usual)
    taken[order] = np.diff(np.minimum(np.cumsum(usual[order]), share), prepend=0.0)
    rest = np.where(taken > 0, 0.0, usual)
    if not rest.sum():
        rest[-1] = 1.0
    moved: Floats = np.maximum(usual - taken + taken.sum() * rest / rest.sum(), 0.0)
    moved /= moved.sum()
    return moved
