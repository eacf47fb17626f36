"""Columns of chosen rows: of wide rows none is copied but those asked for, and once each."""

from typing import Any

import numpy as np
import numpy.typing as npt


class Chosen:
    """The rows of a structured array where `where` is true, shape (n,); `[name]` is a column."""

    def __init__(self, rows: "npt.NDArray[np.void] | Chosen", where: npt.NDArray[np.bool_]) -> None:
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

    def only(self, where: npt.NDArray[np.bool_]) -> "Chosen":
        """Those of them where `where`, shape (n,), is true."""
        return Chosen(self, where)
