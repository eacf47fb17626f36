"""At which rate a share of calls passes what is allowed, by all levels of a search near it. Pure.

The highest rate met and the lowest missed are two levels, each as lucky as it was, and those around
them know something, too. The log odds of calls over a limit are taken for a straight line in the
log of the rate, as of a dose and its effect (minimum logit chi-squared; Berkson 1944). His weights
are those of calls that know nothing of each other. In a queue they are the more alike the busier it
is, so a level that is missed by far says less than that: here least squares have their roots. It is
less than half as far off as the middle between the two (tests/bench).
"""

import math
from collections.abc import Mapping, Sequence
from typing import Final, NamedTuple

import numpy as np

Shares = Mapping[str, tuple[float, float]]
"""By objective: the share of values over its limit, and the one allowed."""

NEAR: Final = 1.6
"""Rates farther from the middle than by this factor are not on one line with those near it."""

FEWEST: Final = 3
FURTHEST: Final = 1.35
LEAST: Final = 1 / 25
MOST: Final = 0.9
"""Shares under so small a part of what is allowed, or over `MOST`, are taken for that."""


class Level(NamedTuple):
    """What a level of so many calls/s, for so many seconds, says of the objectives."""

    rate: float
    seconds: float
    shares: Shares


def crossing(levels: Sequence[Level], middle: float) -> float | None:
    """From about which rate on an objective is missed, in calls/s; None where levels make no line.

    `middle` is about where it is, by the highest rate met and the lowest missed.
    """
    near = [level for level in levels if 1 / NEAR < level.rate / middle < NEAR]
    names = {name for level in near for name in level.shares}
    logs = [_crossing([level for level in near if name in level.shares], name) for name in names]
    known = [log for log in logs if log is not None]
    if not known:
        return None
    return min(max(math.exp(min(known)), middle / FURTHEST), middle * FURTHEST)


def _crossing(levels: Sequence[Level], name: str) -> float | None:
    """The log of the rate where the line has the share allowed; None if it is none that rises."""
    allowed = levels[0].shares[name][1]
    if len({level.rate for level in levels}) < FEWEST or not 0 < allowed < MOST:
        return None
    x = np.log([level.rate for level in levels])
    over = np.array([level.shares[name][0] for level in levels]).clip(LEAST * allowed, MOST)
    known = np.sqrt(np.maximum(over * (1 - over), 0.2 * allowed))
    weights = known * [level.seconds for level in levels]
    y = np.log(over / (1 - over)) - math.log(allowed / (1 - allowed))
    x_mean, y_mean = np.average(x, weights=weights), np.average(y, weights=weights)
    rises = float(weights @ ((x - x_mean) * (y - y_mean))) / float(weights @ (x - x_mean) ** 2)
    return float(x_mean - y_mean / rises) if rises > 1 else None
