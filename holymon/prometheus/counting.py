"""What the alerts count, over any window of records."""

from collections.abc import Sequence

import numpy as np
import numpy.typing as npt

from holymon.errors import CODES
from holymon.prometheus.conditions import Count
from holymon.records.attempt import Flag, begun_there, ended_there
from holymon.records.records import Records

Floats = npt.NDArray[np.float64]
Bools = npt.NDArray[np.bool_]


class Counted:
    """Running totals of one target, made when they are first asked for."""

    def __init__(
        self, target: str, parts: Sequence[Records], in_flight: Sequence[float] = ()
    ) -> None:
        """Those of `parts`, and calls that began at the moments `in_flight` and have not ended."""
        self._target, self._parts, self._in_flight = target, parts, in_flight
        self._made: dict[Count, tuple[Floats, Floats]] = {}

    def between(self, count: Count, start: Floats, end: Floats) -> Floats:
        """How much was counted after `start` and up to `end`, shape of both."""
        if count not in self._made:
            self._made[count] = self._make(count)
        moments, totals = self._made[count]
        upto, before = (np.searchsorted(moments, at, side="right") for at in (end, start))
        counted: Floats = totals[upto] - totals[before]
        return counted

    def _make(self, count: Count) -> tuple[Floats, Floats]:
        pieces = []
        for records in self._parts:
            names = [target.name for target in records.targets]
            if self._target in names:
                where = records.mask(names.index(self._target))
                weights = np.where(where, _weights(records, count), 0.0)
                begun = count.kind == "begun"
                pieces.append((_starts(records) if begun else times(records), weights))
        if count.kind == "begun":
            pieces.append((np.array(self._in_flight, float), np.ones(len(self._in_flight))))
        moments = np.concatenate([moments for moments, _ in pieces])
        order = np.argsort(moments, kind="stable")
        weights = np.concatenate([weights for _, weights in pieces])[order]
        return moments[order], np.concatenate([[0.0], np.cumsum(weights)])


def times(records: Records) -> Floats:
    """When each row was known: at its end, since 1970 if that is known; shape (n,)."""
    ends = records["end_s"]
    moments: Floats = (records.began or 0.0) + np.where(np.isnan(ends), records["due_s"], ends)
    return moments


def _starts(records: Records) -> Floats:
    """When each row was sent, as `_times`; shape (n,)."""
    starts: Floats = (records.began or 0.0) + np.nan_to_num(records["start_s"], nan=np.inf)
    return starts


def _weights(records: Records, count: Count) -> Floats:
    """What each row adds to a count; shape (n,)."""
    rows, error = records.rows, records["error"]
    sent = records.sent & (error != CODES["client_dropped"])
    ended = ended_there(records) & records.judged
    failed = ended & (error != 0)
    match count.kind:
        case "requests":
            counted = ended
        case "errors":
            counted = failed
        case "attempts":
            codes = [CODES[name] for name in count.types]
            counted = sent & np.isin(error, codes) if codes else sent
        case "retries":
            counted = sent & ~begun_there(rows)
        case "dropped":
            counted = error == CODES["client_dropped"]
        case "timed":
            counted = ~np.isnan(_durations(records, count))
        case "slow":
            assert count.objective, "only an objective has a limit to be slow by"
            slow = _durations(records, count) > count.objective.limit
            counted = slow | _missed(count, failed)
        case "ok":
            counted = records.ok
        case "begun":
            counted = sent
        case "tokens":
            by_server = (rows["flags"] & Flag.SERVER_TOKENS) != 0
            return np.where(sent & by_server, np.maximum(rows["output_tokens"], 0), 0.0)
        case "streaming":
            return np.where(records.ok, np.nan_to_num(rows["last_s"] - rows["first_s"]), 0.0)
    return counted.astype(np.float64)


def _durations(records: Records, count: Count) -> Floats:
    assert count.objective, "only an objective says which duration"
    end = records["first_s" if count.objective.metric == "ttft" else "end_s"]
    return np.where(records.ok, end - records["start_s"], np.nan)


def _missed(count: Count, failed: Bools) -> Bools:
    """Which failed calls count against an objective on a duration; shape of `failed`."""
    of_successes = count.objective is not None and count.objective.of_successes
    return np.zeros_like(failed) if of_successes else failed
