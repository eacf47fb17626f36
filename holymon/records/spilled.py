"""Calls that a monitor spilled to Parquet files, as records again."""

from collections.abc import Callable
from pathlib import Path
from typing import Any, Final

import numpy as np

from holymon.errors import CODES, ConfigError
from holymon.plan.target import Target
from holymon.records import parquet
from holymon.records.attempt import DTYPE, GAP, Flag, blank
from holymon.records.records import Records

_NUMBERS: Final = tuple(name for name in DTYPE.names or () if name.endswith("_tokens"))
_FLAGS: Final = (Flag.WARMUP, Flag.SERVER_TOKENS, Flag.RETRIED, Flag.SIMULATED)


def spilled(folder: Path, target_of: Callable[[str], Target]) -> list[Records]:
    """What each file in a folder holds that a bill may: when calls were sent, tokens, ends.

    `target_of` makes a target of its name. Raises ConfigError if there is none, RunError if one
    can't be read.
    """
    paths = sorted(folder.glob("calls-*.parquet"))
    if not paths:
        raise ConfigError(f"{folder} holds nothing that a monitor spilled: no calls-*.parquet.")
    return [_records(path, target_of) for path in paths]


def _records(path: Path, target_of: Callable[[str], Target]) -> Records:
    there = parquet.columns(path)
    wanted = {
        "start_s": 'epoch_us("at")::DOUBLE / 1e6', "lasted_s": "(end_s - start_s)::DOUBLE",
        "target": "target::VARCHAR", "error": "error_type::VARCHAR", "events": "events::UINTEGER",
        "attempt": "attempt::UTINYINT",
        **{name: f"{name}::INTEGER" for name in _NUMBERS},
        **{flag.name: f"{flag.name}::BOOLEAN" for flag in _FLAGS},
    }  # fmt: skip
    known = {
        name: sql for name, sql in wanted.items()
        if name.lower() in there or name in ("start_s", "lasted_s", "error")
    }  # fmt: skip
    table = parquet.table(path, known)
    rows = blank(len(table["start_s"]))
    names, rows["target"] = _numbered(table.pop("target"))
    types, errors = _numbered(table.pop("error"))
    rows["error"] = np.array([CODES.get(name, CODES["_OTHER"]) for name in types] or [0])[errors]
    lasted = np.ma.filled(table.pop("lasted_s"), np.nan)
    for flag in _FLAGS:
        if flag.name in table:
            rows["flags"] |= np.where(np.ma.filled(table.pop(flag.name), 0), np.uint32(flag), 0)
    for name, column in table.items():
        rows[name] = np.ma.filled(column, np.nan if name == "start_s" else blank(1)[name][0])
    rows["end_s"] = rows["start_s"] + lasted
    records = Records(tuple(map(target_of, names)), 0.0)
    records.extend(rows, np.empty(0, GAP), np.zeros(len(rows), np.int64))
    return records


def _numbered(texts: Any) -> tuple[list[str], Any]:
    """Different texts, and which of them each is, shape (n,)."""
    names, at = np.unique(np.ma.filled(texts, "").astype(str), return_inverse=True)
    return names.tolist()[:255], np.minimum(at, 254)
