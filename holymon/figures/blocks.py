"""Two targets of one run, cut into blocks of time: what a comparison of them takes for pairs."""

from typing import Final

import numpy as np
import numpy.typing as npt

from holymon.records.records import Records

Mask = npt.NDArray[np.bool_]
Numbers = npt.NDArray[np.intp]

FEWEST_PAIRS: Final = 5
FEWEST_IN_BLOCK: Final = 30
MOST_BLOCKS: Final = 20


def blocks(
    records: Records, a: int, b: int, *, scheduled: bool = False
) -> list[tuple[Records, Records]]:
    """Two targets of one run, cut into blocks of time: a pair for each.

    As many blocks as leave `FEWEST_IN_BLOCK` calls of each target in each, at most `MOST_BLOCKS`,
    from the time in which both were called (in a closed loop one may be done long before).

    Of calls that were `scheduled`, the k-th of A and the k-th of B ask the same, and make a couple.
    Each target has arrivals of its own, so the two are not due at one moment; the couple counts at
    the middle between them, and a block holds couples: A and B with the same prompts, in about the
    same time. By chance streams of n calls drift apart by about the square root of 2 n gaps: there
    are fewer blocks then, so that couples lie closer than half a block. The stream that had more
    calls in that time has some without a counterpart; they go with those of their time, so that
    percentiles are of the same calls as in a summary.
    """
    due = records["due_s"]
    of = [records.mask(i) for i in (a, b)]
    if not all(rows.any() for rows in of):
        return []
    # Earlier versions dealt one schedule out, and numbered calls in the order of their time.
    numbers = records["request"] % len(records.targets)
    if scheduled and bool((numbers == records["target"])[of[0] | of[1]].all()):
        return _coupled(records, *of)
    first, last = max(due[rows].min() for rows in of), min(due[rows].max() for rows in of)
    of = [rows & (due >= first) & (due <= last) for rows in of]
    many = min(MOST_BLOCKS, min(int(rows.sum()) for rows in of) // FEWEST_IN_BLOCK)
    if not many:
        return []
    edges = np.quantile(due[of[0] | of[1]], np.linspace(0, 1, many + 1))
    where = np.clip(np.searchsorted(edges, due, side="right") - 1, 0, many - 1)
    both = [[rows & (where == k) for rows in of] for k in range(many)]
    return [
        (records.select(x), records.select(y)) for x, y in both if x.any() and y.any()
    ]  # fmt: skip


def couples(records: Records, a: Mask, b: Mask) -> tuple[Numbers, Numbers]:
    """The positions of calls of the rows `a` and `b`, each of shape (n,), that ask the same.

    Those of one round, in its order; there is no more than one of each in a round.
    """
    rounds = records["request"] // len(records.targets)
    at = np.flatnonzero(a), np.flatnonzero(b)
    _, *which = np.intersect1d(rounds[a], rounds[b], assume_unique=True, return_indices=True)
    first, second = (rows[chosen] for rows, chosen in zip(at, which, strict=True))
    return first, second


def _coupled(records: Records, a: Mask, b: Mask) -> list[tuple[Records, Records]]:
    """Blocks of couples: calls of the rows `a` and `b`, each of shape (n,), of one round."""
    due = records["due_s"]
    first, second = couples(records, a, b)
    many = min(MOST_BLOCKS, len(first) // FEWEST_IN_BLOCK)
    if not many:
        return []
    middle, apart = (due[first] + due[second]) / 2, float(np.abs(due[first] - due[second]).mean())
    if many > FEWEST_PAIRS and apart > 0:
        many = min(many, max(FEWEST_PAIRS, int(np.ptp(middle) / (2 * apart))))
    where, begins = np.full(len(records), -1), []
    for k, part in enumerate(np.array_split(np.argsort(middle, kind="stable"), many)):
        where[first[part]] = where[second[part]] = k
        begins.append(middle[part[0]])
    last = min(due[rows].max() for rows in (a, b)) + np.ptp(middle) / (2 * many)
    alone = (a | b) & (where < 0) & (due <= last)
    where[alone] = np.searchsorted(begins, due[alone], side="right").clip(min=1) - 1
    both = [[rows & (where == k) for rows in (a, b)] for k in range(many)]
    return [(records.select(x), records.select(y)) for x, y in both]
