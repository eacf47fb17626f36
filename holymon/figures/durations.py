"""How long each call took, with its failures, for percentiles of `all_calls`.

A failed call took for ever (inf), and where there is nothing to tell it is NaN. The rules:

    which calls     those of the error rate: sent, and not stopped by us. What our own client
                    dropped says nothing of the API (and makes the run invalid)
    failed          whatever the error, and whenever it came: of an answer that broke off after its
                    first token nobody has any use, so its TTFT is inf, too
    TTFT, TTFO, TPOT, ITL  of calls that asked for a stream. Successful calls without such a time
                    (TPOT of a single token, TTFO of a call of a tool) have no rank; failed ones
                    have, if any successful one has
    ITL             a failed call has as many gaps as an answer has on average, all of them inf
    retried calls   each attempt counts here, as in the error rate (a load makes one for each call);
                    `request_stats` counts requests, by their last attempt
    schedule delay  is the client's own and known of failed calls too, so it is as it is
"""

from collections.abc import Callable
from typing import Final

import numpy as np
import numpy.typing as npt

from holymon.figures.all_calls import MANY, OfAll, of_all
from holymon.figures.quantiles import Floats
from holymon.figures.tokens import time_per_token
from holymon.records.attempt import JUDGED, Flag, kinds
from holymon.records.chosen import Chosen
from holymon.records.records import Records

Bools = npt.NDArray[np.bool_]

CUT: Final = ("connect_timeout", "first_byte_timeout", "deadline_exceeded", "stream_stalled")
"""Calls that one of our limits cut off."""

_IS_CUT: Final = kinds(CUT)
_SECONDS: Final[dict[str, Callable[[Chosen], Floats]]] = {
    "latency": lambda rows: rows["end_s"] - rows["start_s"],
    "response": lambda rows: rows["end_s"] - rows["due_s"],
    "ttft": lambda rows: rows["first_s"] - rows["start_s"],
    "ttfo": lambda rows: rows["content_s"] - rows["start_s"],
    "tpot": time_per_token,
}
_OF_STREAMS: Final = frozenset({"ttft", "ttfo", "tpot"})


def durations(rows: Chosen) -> dict[str, Floats]:
    """Seconds of each of the rows, shape (n,), by the name of the duration."""
    return _with_failures(rows, {name: seconds(rows) for name, seconds in _SECONDS.items()})


def _with_failures(rows: Chosen, seconds: dict[str, Floats]) -> dict[str, Floats]:
    """The same arrays, in which failed calls took for ever, or have no rank."""
    failed = rows["error"] != 0
    if failed.any():
        judged = JUDGED[rows["error"][failed]]
        streams = judged & asked_to_stream(rows, rows.only(failed))
        answered = ~failed
        for name, values in seconds.items():
            has_rank = streams if name in _OF_STREAMS else judged
            if answered.any() and np.isnan(values[answered]).all():
                has_rank = np.zeros_like(judged)  # nothing of it can be told of anyone
            values[failed] = np.where(has_rank, np.inf, np.nan)
    return seconds


def asked_to_stream(rows: Chosen, failed: Chosen) -> Bools:
    """Which `failed` calls asked for a stream, shape (f,); if not known, as those that came."""
    streams: Bools = (failed["flags"] & Flag.STREAM) != 0
    if streams.all():
        return streams
    first = rows["first_s"][rows["error"] == 0]
    return streams | bool(len(first) and not np.isnan(first).any())


def watched(rows: Chosen) -> dict[str, Floats]:
    """For how long calls were watched that a limit cut off, in seconds, shape (cut,) each."""
    every = rows.only(_IS_CUT[rows["error"]])
    streams = every.only(asked_to_stream(rows, every))
    shown = np.fmin(streams["first_s"], streams["end_s"])
    content = np.fmin(streams["content_s"], streams["end_s"])
    return {
        "latency": every["end_s"] - every["start_s"],
        "response": every["end_s"] - every["due_s"],
        "ttft": shown - streams["start_s"],
        "ttfo": content - streams["start_s"],
        "tpot": np.empty(0),
    }


def if_many_failed(records: Records, index: int, metric: str) -> OfAll | None:
    """One duration of all calls of the `index`-th target, if many of them failed."""
    rows = records.chosen(records.mask(index))
    judged = rows["error"][JUDGED[rows["error"]]]
    if not int((judged != 0).sum()) > MANY * len(judged):
        return None
    values = _with_failures(rows, {metric: _SECONDS[metric](rows)})[metric]
    return of_all(np.sort(values[~np.isnan(values)]), watched(rows)[metric])
