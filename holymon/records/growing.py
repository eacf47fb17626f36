"""Arrays that grow at their end, in room of their own."""

from typing import Any

import numpy as np
import numpy.typing as npt


def grown(array: npt.NDArray[Any], used: int, more: npt.NDArray[Any]) -> npt.NDArray[Any]:
    """`array` with `more` after its first `used`, in its own room or in one an eighth larger."""
    need, raw = used + len(more), np.dtype((np.void, array.itemsize))
    if need > len(array):
        # A first piece gets no room to grow: of a run that has ended it is the only one.
        wider = np.zeros(need + used // 8, array.dtype)
        wider.view(raw)[:used] = array.view(raw)[:used]
        array = wider
    # Rows are copied field by field unless they are taken for plain bytes: ten times as long.
    array.view(raw)[used:need] = more.view(raw)
    return array
