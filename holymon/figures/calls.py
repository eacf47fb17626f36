"""The calls to ask about: the slowest of those that succeeded, and of those that failed a part."""

from collections.abc import Iterable
from math import isfinite
from typing import Any, Final

import numpy as np
import numpy.typing as npt

from holymon.errors import NAMES
from holymon.figures.call_types import STAGES, Call, Calls
from holymon.records.attempt import FINISH
from holymon.records.client_health import fell_in
from holymon.records.records import Recorded, Records, records_of
from holymon.structs import require

Positions = npt.NDArray[np.intp]
MOST: Final = 1000


def slowest(of: Records | Recorded, n: int = 10) -> Calls:
    """The `n` slowest calls that succeeded, and up to `n` that failed, each with all of its phases.

    Of several targets each has its share of the slowest, and each error type its share of the
    failed, where those come first of which a server's words or id are known. Calls of the warm-up,
    and what we stopped or never sent, are left out. Raises PlanError for an `n` that can't be.
    """
    require(0 < n <= MOST, "n", f"is {n}", f"give a number from 1 to {MOST}")
    records = records_of(of)
    counts = records.mask() & records.judged
    good, bad = (np.flatnonzero(counts & where) for where in (records.ok, ~records.ok))
    took = (records["end_s"] - records["start_s"])[good]
    slow = good[shared(records["target"][good], -took, n)]
    known = np.isin(records["request"][bad], [note["request"] for note in records.asides()])
    kinds = records["target"][bad].astype(np.int64) << 8 | records["error"][bad]
    late = np.nan_to_num(records["start_s"][bad], nan=np.inf)
    failed = bad[shared(kinds, np.where(known, late, late + 1e9), n)]
    slow = slow[np.argsort(-(records["end_s"] - records["start_s"])[slow], kind="stable")]
    failed = failed[np.argsort(records["due_s"][failed], kind="stable")]
    return Calls(
        tuple(calls_at(records, slow)), tuple(calls_at(records, failed)),
        len(good), len(bad), len(records.targets) > 1, records.simulated,
    )  # fmt: skip


def shared(
    groups: npt.NDArray[Any], order: npt.NDArray[Any], n: int
) -> Positions:  # fmt: skip
    """Positions of up to `n` members of groups, shapes (k,): the first by `order`, in turns."""
    first = np.flatnonzero(_among(groups, order, n))  # of a million only these are ordered
    groups, order = groups[first], order[first]
    by = np.lexsort((order, groups))
    begins = np.flatnonzero(np.diff(groups[by], prepend=-1))
    rank = np.arange(len(by)) - np.repeat(begins, np.diff(begins, append=len(by)))
    return first[by[np.lexsort((order[by], rank))[:n]]]


def _among(groups: npt.NDArray[Any], order: npt.NDArray[Any], n: int) -> npt.NDArray[np.bool_]:
    """Which members are among the first `n` of their group, or as good as the last of these."""
    kept = np.ones(len(groups), bool)
    for group in np.unique(groups).tolist():
        mine = groups == group
        if mine.sum() > n:
            kept[mine] = ~(order[mine] > np.partition(order[mine], n - 1)[n - 1])
    return kept


def calls_at(records: Records, positions: Iterable[int]) -> list[Call]:
    """The calls at these positions of records, with all that is known of each."""
    at = np.fromiter(positions, np.intp)
    rows = records.at(at)
    asides = {note["request"]: note for note in records.asides()} if len(at) else {}
    unfit = fell_in(records.unfit(), rows) if len(at) else ()
    return [
        _call(records, row, asides.get(int(row["request"]), {}), bad)
        for row, bad in zip(rows, unfit, strict=True)
    ]


def _call(records: Records, row: Any, aside: dict[str, Any], unfit: Any) -> Call:
    sent = _known(row["start_s"])
    moment = float(row["due_s"]) if sent is None else sent
    # Attempts of one request share its number: only the words of such an end are this one's.
    mine = aside if aside.get("error_type") == NAMES[row["error"]] else {}
    return Call(
        request=int(row["request"]), attempt=int(row["attempt"]),
        target=records.targets[row["target"]].name,
        at=None if records.began is None else records.began + moment, since_s=moment,
        stages=_stages(row),
        latency_s=_known(row["end_s"] - row["start_s"]),
        ttft_s=_known(row["first_s"] - row["start_s"]),
        gap_s=_known(row["gap_max_s"]), gap_at_s=mine.get("gap_at_s"),
        prompt_tokens=_count(row["prompt_tokens"]), output_tokens=_count(row["output_tokens"]),
        cached_tokens=_count(row["cached_tokens"]), bytes=int(row["bytes"]),
        status=int(row["status"]), error_type=NAMES[row["error"]], finish=FINISH[row["finish"]],
        code=row["code"].decode("ascii", "replace"), request_id=mine.get("request_id", ""),
        message=mine.get("message", ""), unfit=bool(unfit),
    )  # fmt: skip


def _stages(row: Any) -> tuple[float | None, ...]:
    """How long each stage took; None where it was not measured, and the next one holds it then."""
    connected = float(row["start_s"]) + float(row["connect_s"])
    moments = (
        row["start_s"], connected, row["headers_s"], row["first_s"], row["last_s"], row["end_s"],
    )  # fmt: skip
    before, stages = float(row["due_s"]), []
    for moment in map(float, moments):
        stages.append(moment - before if isfinite(moment) else None)
        before = moment if isfinite(moment) else before
    assert len(stages) == len(STAGES)
    return tuple(stages)


def _known(seconds: Any) -> float | None:
    return float(seconds) if isfinite(seconds) else None


def _count(number: Any) -> int | None:
    return int(number) if number >= 0 else None
