"""Records as Parquet files that any tool reads: one file for each batch, names spelled out."""

import contextlib
import os
from datetime import UTC, datetime
from pathlib import Path

from holymon.errors import RunError
from holymon.records.records import Records
from holymon.safety import short


def spill(records: Records, folder: Path) -> Path:
    """Write one file `calls-<UTC>-<process>-<n>.parquet` of all attempts; returns its path.

    Columns as in `Records.to_frame`, `at` in UTC without saying so, as it was from the beginning:
    files of all versions can be read together. Raises RunError if it can't be written.
    """
    import duckdb

    frame = records.to_frame().drop(columns="request_id")  # no file beside it has any
    frame["at"] = frame["at"].dt.tz_localize(None)
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
