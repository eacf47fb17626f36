"""Columns of chosen rows, copied one at a time: rows are wide, and a figure needs two or three."""

from typing import Any

import numpy as np
import numpy.typing as npt


class Chosen:
    """The rows of a structured array where `where` is true, shape (n,); `[name]` is a column."""

    def __init__(self, rows: npt.NDArray[np.void], where: npt.NDArray[np.bool_]) -> None:
        """Choose rows; none is copied."""
        self._rows = rows
        self._at = np.flatnonzero(where)

    def __len__(self) -> int:
        return len(self._at)

    def __getitem__(self, name: str) -> npt.NDArray[Any]:
        """A copy of one column, shape (n,)."""
        column: npt.NDArray[Any] = self._rows[name][self._at]
        return column

    def only(self, where: npt.NDArray[np.bool_]) -> "Chosen":
        """Those of them where `where`, shape (n,), is true."""
        fewer = Chosen(self._rows, where[:0])
        fewer._at = self._at[where]
        return fewer
