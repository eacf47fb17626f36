"""How often alerts on the error rate open in three days, by how many calls fail and how many come.

    python -m tests.bench.alerts

Before shares had to be over their limit by more than chance, and what fired went on until they
were back at it, 3 calls in ten minutes of which 30 % failed opened 161 slow burns and no fast one,
and 60 of which 20 % failed 610 fast burns.
"""

import numpy as np

from tests.promises.statistics.test_alerts_at_low_traffic import firings, records, times, traffic

NAMES = ("AllCallsFail", "ErrorBudgetFastBurn", "ErrorBudgetSlowBurn", "ErrorBudgetTicket")
SEEDS = range(5)


def main() -> None:
    print(f"| calls in 10 min | fail | {' | '.join(NAMES)} |")
    print("| --- " * (2 + len(NAMES)) + "|")
    for ten_minutes in (3, 11, 60, 600):
        for share in (0.005, 0.01, 0.05, 0.1, 0.2, 0.3, 0.5, 0.9, 1.0):
            of = dict.fromkeys(NAMES, 0)
            for seed in SEEDS:
                rng, at = traffic(seed, ten_minutes)
                made = records(at, rng.random(len(at)) < share)
                counted = times(firings(made, "error_rate<1%"))
                of = {name: n + counted[name] for name, n in of.items()}
            shown = " | ".join(f"{np.divide(n, len(SEEDS)):.1f}" for n in of.values())
            print(f"| {ten_minutes} | {share:.1%} | {shown} |", flush=True)


if __name__ == "__main__":
    main()
