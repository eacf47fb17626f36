"""What calls cost, by the server's token counts and the target's prices."""

import numpy as np
import numpy.typing as npt

from holymon.plan.price import PER, Price
from holymon.records.attempt import Flag, Rows
from holymon.records.records import Chosen


def costs(rows: Rows | Chosen, price: Price) -> npt.NDArray[np.float64]:
    """What each row cost, in the price's currency, shape (n,); NaN where it is not known.

    Prompt tokens that were read from a cache, or written to one, cost their own prices if there
    are any. Reasoning tokens are part of the output tokens and are not counted twice. A row without
    any tokens (it failed) costs nothing.
    """
    if price.input is None or price.output is None:
        return np.full(len(rows), np.nan)
    prompt = rows["prompt_tokens"].astype(np.float64)
    output = rows["output_tokens"].astype(np.float64)
    cached = np.clip(rows["cached_tokens"], 0, prompt)  # a server may claim more than there were
    written = np.clip(rows["written_tokens"], 0, prompt - cached)
    cheaper = price.input if price.cached_input is None else price.cached_input
    dearer = price.input if price.cache_write is None else price.cache_write
    money = (prompt - cached - written) * price.input + output * price.output
    money += cached * cheaper + written * dearer
    counted = (rows["flags"] & Flag.SERVER_TOKENS) != 0
    free = (rows["error"] != 0) & (rows["events"] == 0) & ~counted
    known = counted & (prompt >= 0) & (output >= 0)
    result: npt.NDArray[np.float64] = np.where(known, money / PER, np.where(free, 0.0, np.nan))
    return result
