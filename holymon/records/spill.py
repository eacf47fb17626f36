"""Records as Parquet files that any tool reads: one file for each batch, names spelled out."""

import contextlib
import os
from datetime import UTC, datetime
from pathlib import Path

from holymon.errors import RunError
from holymon.records.records import Records
from holymon.safety import short


def spill(records: Records, folder: Path, zero: float) -> Path:
    """Write one file `calls-<UTC>-<process>-<n>.parquet` of all attempts; returns its path.

    Columns as in `Records.to_frame`, and `at`, when each was due in UTC; `zero` is the start of
    the records' clock in seconds since 1970. Raises RunError if it can't be written.
    """
    import duckdb
    import pandas as pd

    frame = records.to_frame()
    frame.insert(0, "at", pd.to_datetime(zero + frame["due_s"], unit="s"))
    stamp = datetime.now(UTC).strftime("%Y%m%dT%H%M%S.%fZ")
    path = folder / f"calls-{stamp}-{os.getpid()}-{len(records)}.parquet"
    aside = folder / f".{path.name}"
    try:
        folder.mkdir(parents=True, exist_ok=True)
        with duckdb.connect() as connection:
            connection.register("frame", frame)
            to = str(aside).replace("'", "''")
            connection.execute(f"COPY frame TO '{to}' (FORMAT parquet, COMPRESSION zstd)")
        aside.replace(path)
    except (OSError, duckdb.Error) as error:
        with contextlib.suppress(OSError):
            aside.unlink(missing_ok=True)
        raise RunError(f"calls can't be written to {folder}: {short(str(error))}") from None
    return path
