"""Whether times were still rising when a load ended: then a queue grew, its end was not seen."""

from typing import Final

import numpy as np
import numpy.typing as npt

FEWEST: Final = 10
RISE: Final = 0.1
Z: Final = 2.33


def rising(times: npt.NDArray[np.float64]) -> bool:
    """Whether the second half of `times`, in the order of their starts, tends to be longer.

    The median must be a tenth longer and the rank test (Mann and Whitney's) must show it at 1 %.
    Calls that follow one another are alike, so it sees a rise too often rather than too rarely.
    """
    n = len(times) // 2
    if n < FEWEST:
        return False
    early, late = np.sort(times[:n]), times[-n:]
    if np.median(late) <= (1 + RISE) * np.median(early):
        return False
    below, upto = (np.searchsorted(early, late, side=side) for side in ("left", "right"))
    greater = float((below + upto).sum()) / 2
    return bool(greater - n * n / 2 > Z * np.sqrt(n * n * (2 * n + 1) / 12))
