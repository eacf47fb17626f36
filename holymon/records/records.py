"""Records in memory: rows, the gaps beside them, and the targets that they are of."""

import math
from collections.abc import Callable, Iterable, Sequence
from functools import partial
from typing import TYPE_CHECKING, Any, Protocol

import numpy as np
import numpy.typing as npt

from holymon.errors import NAMES, PlanError
from holymon.formatting import number_of
from holymon.plan.plan import Plan
from holymon.plan.target import Target
from holymon.records.attempt import DTYPE, FINISH, GAP, JUDGED, Flag, Marks, Rows, gaps, row
from holymon.records.chosen import Chosen, Columns
from holymon.records.client_health import fell_in
from holymon.records.gaps import Pieces, bins_of, counts_of, packed, sums
from holymon.records.growing import grown

if TYPE_CHECKING:
    import pandas as pd


class Records:
    """Rows of attempts in memory: append-only columns, the gaps beside them, and the targets.

    `rows` is a structured array of `DTYPE`, shape (n,), whose `target` is a position in `targets`.
    `gap_pairs` is an array of `GAP`, shape (g,), of which the first `gap_counts[0]` belong to
    row 0, and so on. `began` is the moment at which their clock was zero, in seconds since 1970,
    or None where it is not known. `request_ids` gives the servers' own ids by the number of the
    call, as far as they are known, and `messages` the first words of each error type by the
    position of the target, and `asides` all that is known beside the rows (see `notes.lines`);
    `unfit` from when to when the client was not fit to measure, shape
    (k, 2), in seconds. `turns` is the most turns of a conversation, 1 where none were held.

    Those of a run's files have each column on its own, which is read in a tenth of the time, until
    `rows` are asked for or added.
    """

    def __init__(
        self, targets: tuple[Target, ...], began: float | None = None, turns: int = 1
    ) -> None:
        """Hold no rows yet."""
        self.targets, self.began, self.turns = targets, began, turns
        self.request_ids: Callable[[], dict[int, str]] = dict
        self.messages: Callable[[], dict[int, dict[str, str]]] = dict
        self.asides: Callable[[], list[dict[str, Any]]] = list
        self.unfit: Callable[[], npt.NDArray[np.float64]] = partial(np.empty, (0, 2))
        self._n = self._g = 0
        self._rows = np.zeros(0, DTYPE)
        self._columns: Columns | None = None
        self._counts = np.zeros(0, np.uint32)
        self._gaps = np.zeros(0, np.uint16)

    def add(self, attempts: Iterable[tuple[bytes, bytes]]) -> None:
        """Add attempts, each as `attempt.row` and `attempt.gaps` give it."""
        rows, pairs = [], []
        for row_bytes, pair_bytes in attempts:
            rows.append(row_bytes)
            pairs.append(pair_bytes)
        counts = [len(pair_bytes) // GAP.itemsize for pair_bytes in pairs]
        self.append(b"".join(rows), b"".join(pairs), counts)

    def append(self, rows: bytes, gaps: bytes, counts: Sequence[int]) -> None:
        """Add rows and gaps as `Frames.feed` gives them."""
        self.extend(
            np.frombuffer(rows, DTYPE), np.frombuffer(gaps, GAP), np.asarray(counts, np.int64)
        )

    def extend(self, rows: Rows, gaps: Rows, counts: npt.NDArray[Any]) -> None:
        """Add rows, shape (n,), their gaps, and the number of gap pairs of each row, shape (n,)."""
        pieces, each = packed(gaps)
        self._extend(rows, pieces, counts if each is None else sums(each, counts))

    def _extend(self, rows: Rows, pieces: Pieces, counts: npt.NDArray[Any]) -> None:
        n, g = self._n + len(rows), self._g + len(pieces)
        self._side_by_side()
        self._rows = grown(self._rows, self._n, rows)
        self._counts = grown(self._counts, self._n, counts.astype(np.uint32))
        self._gaps = grown(self._gaps, self._g, pieces)
        self._n, self._g = n, g

    def hold(self, columns: Columns, gaps: Columns, counts: npt.NDArray[Any]) -> None:
        """Have these rows for the first: all columns of `DTYPE`, the columns of their gap pairs.

        The arrays are kept, not copied; `counts` as for `extend`.
        """
        pieces, each = packed(gaps)
        self._hold(columns, pieces, counts if each is None else sums(each, counts))

    def _hold(self, columns: Columns, pieces: Pieces, counts: npt.NDArray[Any]) -> None:
        self._columns, self._n, self._g = columns, len(counts), len(pieces)
        self._counts, self._gaps = counts.astype(np.uint32), pieces

    def _side_by_side(self) -> None:
        """Put columns that are each on its own together as rows."""
        if (columns := self._columns) is not None:
            self._rows = _together(columns, slice(None), self._n)
            self._columns = None

    def __len__(self) -> int:
        return self._n

    def __repr__(self) -> str:
        names = ", ".join(target.name for target in self.targets)
        return f"<Records: {number_of(len(self), 'attempt')} of {names}>"

    @property
    def rows(self) -> Rows:
        """A view of all rows, shape (n,)."""
        self._side_by_side()
        return self._rows[: self._n]

    def at(self, positions: npt.NDArray[np.intp]) -> Rows:
        """A copy of the rows at these positions, shape (k,)."""
        if (columns := self._columns) is None:
            return self._rows[: self._n].take(positions)  # by index: field by field
        return _together(columns, positions, len(positions))

    def __getitem__(self, field: str) -> npt.NDArray[Any]:
        """A view of one column, shape (n,)."""
        columns = self._columns
        column: npt.NDArray[Any] = self.rows[field] if columns is None else columns[field]
        return column

    def chosen(self, where: npt.NDArray[np.bool_]) -> Chosen:
        """The columns of the rows where `where` is true."""
        columns = self._columns
        return Chosen(self.rows if columns is None else columns, where)

    @property
    def gap_counts(self) -> npt.NDArray[np.uint32]:
        """Number of gap pairs of each row, shape (n,)."""
        return self._counts[: self._n]

    @property
    def gap_pairs(self) -> Rows:
        """All gap pairs, shape (g,), at most 16 gaps in each."""
        pieces = self._gaps[: self._g]
        pairs = np.empty(len(pieces), GAP)
        pairs["bin"], pairs["n"] = bins_of(pieces), counts_of(pieces)
        return pairs

    def gaps(self, where: npt.NDArray[np.bool_]) -> Pieces:
        """The gaps of the rows where `where` is true, shape (p,), for `gaps.bins_of` and so on."""
        pieces = self._gaps[: self._g]
        return pieces if where.all() else pieces[np.repeat(where, self.gap_counts)]

    def mask(self, target: int | None = None, *, warmup: bool = False) -> npt.NDArray[np.bool_]:
        """Rows of one target (or all), without the warm-up unless asked; shape (n,)."""
        keep = np.ones(len(self), bool) if target is None else self["target"] == target
        if not warmup:
            keep &= (self["flags"] & Flag.WARMUP) == 0
        return keep

    @property
    def ok(self) -> npt.NDArray[np.bool_]:
        """Which attempts succeeded; shape (n,)."""
        good: npt.NDArray[np.bool_] = self["error"] == 0
        return good

    @property
    def sent(self) -> npt.NDArray[np.bool_]:
        """Which attempts were sent at all; shape (n,)."""
        sent: npt.NDArray[np.bool_] = ~np.isnan(self["start_s"])
        return sent

    @property
    def final(self) -> npt.NDArray[np.bool_]:
        """Which attempts were the last of a caller's request, which a copy is not; shape (n,)."""
        other = Flag.RETRIED | Flag.UNDECIDED | Flag.SHADOW
        last: npt.NDArray[np.bool_] = (self["flags"] & other) == 0
        return last

    @property
    def judged(self) -> npt.NDArray[np.bool_]:
        """Which attempts say something of the API: sent, and not stopped by us; shape (n,)."""
        judged: npt.NDArray[np.bool_] = JUDGED[self["error"]]
        return judged

    @property
    def simulated(self) -> bool:
        """Whether any of them came from the simulator."""
        flagged = (self["flags"] & Flag.SIMULATED) != 0
        return any(target.simulated for target in self.targets) or bool(flagged.any())

    def conversations(
        self, numbers: npt.NDArray[np.uint32]
    ) -> tuple[npt.NDArray[np.int64], npt.NDArray[np.int64]]:
        """Of which conversation, and which turn, such calls are, from 0; shapes (n,)."""
        conversation, turn = np.divmod(numbers.astype(np.int64) // len(self.targets), self.turns)
        return conversation, turn

    def errors(self, where: npt.NDArray[np.bool_] | npt.NDArray[np.intp]) -> dict[str, int]:
        """How many of the rows `where` (or at such positions) ended in each type, most first."""
        counted = np.bincount(self["error"][where], minlength=len(NAMES))
        by_type = [(NAMES[i], int(counted[i])) for i in np.argsort(-counted, kind="stable")]
        return {name: n for name, n in by_type if n and name}

    def select(self, where: npt.NDArray[np.bool_]) -> "Records":
        """A copy that holds only the rows where `where` is true."""
        chosen = Records(self.targets, self.began, self.turns)
        chosen.request_ids, chosen.messages = self.request_ids, self.messages
        chosen.unfit, chosen.asides = self.unfit, self.asides
        gaps, counts = self.gaps(where), self.gap_counts[where]
        if (columns := self._columns) is None:
            chosen._extend(self.rows.compress(where), gaps, counts)
        else:
            kept = {name: column[where] for name, column in columns.items()}
            chosen._hold(kept, gaps if gaps.base is None else gaps.copy(), counts)
        return chosen

    def to_frame(self) -> "pd.DataFrame":
        """A DataFrame: one row per attempt, in order of due time, codes spelled out.

        `at` is the moment in UTC at which it was sent; NaT where it was not, or `began` is not
        known. `request_id` is the server's own id, where it is known: of failures and of the
        slowest calls of a run. `client_unfit` marks those of which a moment fell in a second in
        which the client was not fit. Where conversations were held, `conversation` and `turn` are
        counted from 0 and from 1. What was not measured is NaN or NA, never -1 or 0.
        """
        import pandas as pd

        rows = self.at(np.argsort(self["due_s"], kind="stable"))
        columns: dict[str, Any] = {name: rows[name] for name in DTYPE.names or ()}
        for name in (name for name in columns if name.endswith("_tokens")):
            columns[name] = pd.array(rows[name], dtype="Int32")
            columns[name][rows[name] < 0] = pd.NA
        frame = pd.DataFrame(columns)
        names = np.array([target.name for target in self.targets], dtype=object)
        frame["target"] = names[rows["target"]]
        frame["error"] = np.array(NAMES, dtype=object)[rows["error"]]
        frame["finish"] = np.array(FINISH, dtype=object)[rows["finish"]]
        has_code, codes = rows["code"] != b"", np.full(len(rows), "", dtype=object)
        some = rows["code"][has_code].tolist()
        codes[has_code] = [code.decode("ascii", "replace") for code in some]
        frame["code"] = codes
        flags = rows["flags"].copy()
        for flag in Flag:
            frame[(flag.name or "").lower()] = (flags & flag) != 0
        micros = ((math.nan if self.began is None else self.began) + rows["start_s"]) * 1e6
        at = pd.to_datetime(np.round(micros), unit="us", utc=True).astype("datetime64[ns, UTC]")
        frame.insert(0, "at", at)
        if self.turns > 1:
            frame["conversation"], turn = self.conversations(rows["request"])
            frame["turn"] = turn + 1
        frame["client_unfit"] = fell_in(self.unfit(), rows)
        frame["latency_s"] = frame["end_s"] - frame["start_s"]
        frame["ttft_s"] = frame["first_s"] - frame["start_s"]
        ids = self.request_ids()
        texts = [ids.get(number, pd.NA) for number in rows["request"].tolist()] if ids else pd.NA
        frame["request_id"] = pd.Series(texts, frame.index, dtype="string")
        return frame.drop(columns=["flags"]).rename(columns={"error": "error_type"})


def _together(columns: Columns, which: Any, n: int) -> Rows:
    """Columns as rows of `DTYPE`, shape (n,): those at `which` positions."""
    rows = np.empty(n, DTYPE)
    for name, column in columns.items():
        rows[name] = column[which]
    return rows


def from_marks(targets: tuple[Target, ...], marks: Iterable[Marks]) -> Records:
    """Records of attempts whose clock was zero at the start, for callers without a journal."""
    records = Records(targets)
    records.add((row(attempt), gaps(attempt)) for attempt in marks)
    return records


class Recorded(Protocol):
    """What has records, and the plan that they were made by: a run."""

    @property
    def plan(self) -> Plan:
        """What was to be measured."""

    @property
    def records(self) -> Records:
        """The records up to now."""


def plan_of(given: Records | Recorded) -> Plan | None:
    """The plan of the run given; None for records, which belong to targets alone."""
    plan = getattr(given, "plan", None)
    return plan if isinstance(plan, Plan) else None


def records_of(given: Records | Recorded) -> Records:
    """The records given, or those of the run given. Raises PlanError for anything else."""
    records = given if isinstance(given, Records) else getattr(given, "records", None)
    if not isinstance(records, Records):
        raise PlanError(f"this takes a run or its records, not {type(given).__name__}.")
    return records
