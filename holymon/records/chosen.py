"""Some of many rows, of which only the columns asked for are copied."""

from collections.abc import Mapping
from typing import Any

import numpy as np
import numpy.typing as npt

from holymon.records.attempt import Rows

Columns = Mapping[str, npt.NDArray[Any]]
"""Columns of shape (n,) by their names, each on its own."""


class Chosen:
    """The rows where `where` is true, shape (n,); `[name]` is a column.

    Of wide rows none is copied but the columns asked for, and once each.
    """

    def __init__(
        self, rows: "Rows | Columns | Chosen", where: npt.NDArray[np.bool_]
    ) -> None:  # fmt: skip
        """Choose rows; nothing is copied yet."""
        self._rows = rows
        self._at = np.flatnonzero(where)
        self._columns: dict[str, npt.NDArray[Any]] = {}

    def __len__(self) -> int:
        return len(self._at)

    def __getitem__(self, name: str) -> npt.NDArray[Any]:
        """One column, shape (n,)."""
        if isinstance(self._rows, Chosen):  # quick to copy again
            return self._rows[name][self._at]
        if name not in self._columns:
            self._columns[name] = self._rows[name][self._at]
        return self._columns[name]

    @property
    def positions(self) -> npt.NDArray[np.intp]:
        """Where they stand among all rows, shape (n,)."""
        at = self._at
        return self._rows.positions[at] if isinstance(self._rows, Chosen) else at

    def in_order_of(self, name: str) -> "Chosen":
        """The same rows in the order of one column; NaN come last."""
        times = self[name]
        if (times[1:] >= times[:-1]).all():
            return self
        order = np.argsort(times)
        ordered = Chosen(self._rows, np.zeros(0, bool))
        ordered._at, ordered._columns[name] = self._at[order], times[order]
        return ordered

    def only(self, where: npt.NDArray[np.bool_]) -> "Chosen":
        """Those of them where `where`, shape (n,), is true."""
        return Chosen(self, where)
