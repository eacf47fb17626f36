"""How often a search for a capacity is wrong where it is certain, over queues with known truth.

    python -m tests.bench.capacity [SEARCHES [none]]     (40 of each row; searches without a budget)

The search and the judgement of each level are the product's, the servers are simulated without a
clock. A statement is "met for certain up to" or "missed for certain from"; it is wrong if the rate
is on the other side of the true capacity (Erlang's C, or 400,000 calls a rate). Found is what the
search says that the limit is about; beside it stands the middle between the highest rate met and
the lowest missed.
"""

import sys
from time import process_time

import numpy as np

from tests.queues import QUEUES, searched

SECONDS = (10, 30, 60)
SEARCHES = 40
LEVELS = 60
"""A budget has room for so many of the shortest levels, and is ten minutes at least."""

HEADS = ("server", "level, s", "certain and wrong", "found / true", "middle / true", "certainly met / true",
         "certainly missed / true", "spent, s")  # fmt: skip


def row(queue, seconds, searches, *, budget=True):
    """A line of the table, and how many statements were wrong, of how many."""
    true = queue.capacity()
    most = max(600.0, LEVELS * seconds) if budget else None
    found = [searched(queue, seconds, k, most) for k in range(searches)]
    best = [(each.about or each.best.rate) / true for each in found if each.best]
    middles = [middle(each) / true for each in found if each.best]
    met, missed = (
        [getattr(each, name).rate / true for each in found if getattr(each, name)]
        for name in ("surely_met", "surely_missed")
    )
    wrong, of = sum(r > 1 for r in met) + sum(r < 1 for r in missed), len(met) + len(missed)
    spent = np.median([sum(level.took_s for level in each.levels) for each in found])
    cells = (queue.name, seconds, f"{wrong} of {of}", ends(best), ends(middles), ends(met),
             ends(missed), f"{spent:.0f}")  # fmt: skip
    return cells, wrong, of, best


def middle(found):
    """The middle between the highest rate met and the lowest missed."""
    return float(np.sqrt(found.best.rate * (found.limit or found.best).rate))


def ends(values):
    """Their median between their 5th and 95th percentile."""
    if not values:
        return "-"
    low, middle, high = np.quantile(values, [0.05, 0.5, 0.95])
    return f"{middle:.2f} ({low:.2f} to {high:.2f})"


def main():
    """Print the table, row by row."""
    searches = int(sys.argv[1]) if len(sys.argv) > 1 else SEARCHES
    print("| " + " | ".join(HEADS) + " |\n" + "| --- " * len(HEADS) + "|")
    begun, wrong, of, every = process_time(), 0, 0, []
    for queue in QUEUES:
        for seconds in SECONDS:
            cells, w, n, best = row(queue, seconds, searches, budget="none" not in sys.argv)
            wrong, of, every = wrong + w, of + n, every + best
            print("| " + " | ".join(map(str, cells)) + " |", flush=True)
    print(f"\n{wrong} of {of} certain statements wrong ({wrong / of:.1%}); found / true "
          f"{ends(every)}; {process_time() - begun:.0f} s of CPU")  # fmt: skip
    return 0


if __name__ == "__main__":
    sys.exit(main())
