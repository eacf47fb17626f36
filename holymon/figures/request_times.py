"""When requests were asked for, what they waited between attempts, and which went elsewhere."""

import numpy as np
import numpy.typing as npt

from holymon.formatting import number_of
from holymon.records.attempt import Flag
from holymon.records.records import Records


def dues_of(records: Records) -> npt.NDArray[np.float64]:
    """When the request of each attempt was asked for, as far as its attempts are here; shape (n,).

    One that went on at another target was asked for when the first one was.
    """
    due: npt.NDArray[np.float64] = records["due_s"]
    if not (records["flags"] & Flag.CAME_OVER).any():
        return due
    numbers, which = np.unique(records["request"], return_inverse=True)
    first = np.full(len(numbers), np.inf)
    np.minimum.at(first, which, due)
    return first[which]


def moves(records: Records) -> tuple[str, ...]:
    """Why the requests of targets are more than those of all, if they are."""
    went, copied = (
        int((records["flags"] & flag != 0).sum()) for flag in (Flag.WENT_ON, Flag.SHADOW)
    )
    each = "it counts" if went == 1 else "each counts"
    return (
        *[f"{number_of(went, 'request')} failed at one target and went on at another: {each} at "
          "both, and once in all"] * bool(went),
        *[f"copies of calls for a router's candidate: {copied:,}, requests of that target and of "
          "no caller"] * bool(copied),
    )  # fmt: skip


def waited(records: Records) -> float:
    """Seconds between the attempts of requests, summed."""
    rows = records.rows[np.lexsort((records["attempt"], records["request"]))]
    same = (rows["request"][1:] == rows["request"][:-1]) & (rows["attempt"][1:] > 0)
    began = np.where(np.isnan(rows["start_s"]), rows["end_s"], rows["start_s"])
    return float((began[1:] - rows["end_s"][:-1])[same].clip(0).sum())
