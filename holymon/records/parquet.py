"""Records as Parquet: `calls.parquet`, a column a field, with `gaps.parquet`; and what spills."""

import contextlib
import glob
import os
from collections.abc import Iterator
from datetime import UTC, datetime
from functools import cache
from pathlib import Path
from typing import Any, Final

import numpy as np
import numpy.typing as npt

from holymon.errors import ConfigError, RunError
from holymon.plan.given_file import MOST_BYTES
from holymon.records.appender import reading, unreadable
from holymon.records.attempt import DTYPE, FIELDS, GAP, GAP_BINS, blank
from holymon.records.frames import implausible
from holymon.records.own_files import opened, room
from holymon.records.records import Records
from holymon.safety import short

_TICKS: Final = 2.0**24
"""Times are kept in ticks of 60 ns: exact as floats, and 30 ns off at most."""
# Version 2 brings the encodings that suit floats and row numbers; a dictionary as large as the
# bins of gaps leaves row numbers out of it.
_PARQUET: Final = f"COMPRESSION zstd, PARQUET_VERSION v2, DICTIONARY_SIZE_LIMIT {GAP_BINS}"
# Of so few rows all columns stay in the processor's cache.
_ROWS: Final = 8192

NO_TEXT: Final = (RuntimeError, UnicodeDecodeError)
"""What DuckDB raises for values and for names of columns that are no UTF-8."""

_SQL: Final = {
    "f8": "DOUBLE", "f4": "FLOAT", "u4": "UINTEGER", "i4": "INTEGER", "u2": "USMALLINT",
    "u1": "UTINYINT",
}  # fmt: skip
KINDS: Final = {name: _SQL.get(kind, "VARCHAR") for name, kind, _ in FIELDS}
"""The columns of calls.parquet and their types."""

_CALLS: Final = {
    name: f"{name}::{KINDS[name]}" if kind in _SQL else f"left({name}::VARCHAR, {kind[1:]})"
    for name, kind, _ in FIELDS
}
"""Each column of calls.parquet as it is read: of its type, or the file is none of ours."""

_GAPS: Final = {"row": '"row"::UINTEGER', "bin": "bin::USMALLINT", "n": "n::USMALLINT"}

MOST_MB: Final = 512
"""In DuckDB's memory, while requests are read: rows by the thousand may hold the same megabyte,
which is one in the file, and all of a result is made before the first of it is asked for."""

FREE: Final = 2**26
MOST_RATIO: Final = 200
"""Bytes in memory for a byte of a file, at most, beyond the free ones; runs come to 20."""


def write(folder: Path, records: Records) -> None:
    """Write both files, the gaps first: where calls.parquet is, all is. Raises OSError."""
    import duckdb

    gaps = records.gap_pairs
    pairs = {
        "row": np.repeat(np.arange(len(records), dtype=np.uint32), records.gap_counts),
        "bin": np.ascontiguousarray(gaps["bin"]),
        "n": np.ascontiguousarray(gaps["n"]),
    }
    try:
        with _connection() as connection, room(folder) as inner:
            for name, table in (("gaps", pairs), ("calls", _columns(records))):
                made = inner / f"{name}.parquet"
                connection.register("cols", table)
                connection.execute(
                    f"COPY (SELECT * FROM cols) TO '{_quoted(made)}' (FORMAT parquet, {_PARQUET})"
                )
                made.replace(folder / made.name)
    except duckdb.Error as error:
        raise OSError(str(error)) from None


def _columns(records: Records) -> dict[str, npt.NDArray[Any]]:
    """Each column on its own, its times rounded; so are then those of `records`.

    The low bits of a clock's readings are noise, and noise can't be compressed. Figures before and
    after are the same, since both are of the rounded times.
    """
    columns = {name: np.empty(len(records), DTYPE[name]) for name in DTYPE.names or ()}
    for at in range(0, len(records), _ROWS):
        rows = records.rows[at : at + _ROWS]
        for name, column in columns.items():
            if DTYPE[name].kind == "f":
                rows[name] = np.round(rows[name] * _TICKS) / _TICKS
            column[at : at + _ROWS] = rows[name]
    columns["code"] = _texts(columns["code"])
    return columns


def _texts(raw: npt.NDArray[np.bytes_]) -> npt.NDArray[np.object_]:
    """Codes as text, shape (n,): nearly all are empty, and others the same few."""
    texts = np.full(len(raw), "", object)
    there = raw != b""
    codes, where = np.unique(raw[there], return_inverse=True)
    texts[there] = codes.astype(str).astype(object)[where]
    return texts


def read(folder: Path, records: Records) -> None:
    """Add all rows of a run's files to `records`. Raises RunError if they can't be read."""
    calls = _those_of(folder / "calls.parquet", _CALLS, "request")
    gaps = _those_of(folder / "gaps.parquet", _GAPS, *_GAPS)
    n = len(calls["request"])
    try:
        fields = {name: _field(name, calls.pop(name, None), n) for name in DTYPE.names or ()}
    except UnicodeEncodeError:
        raise unreadable(folder / "calls.parquet", "it has codes that are not ASCII") from None
    if wrong := implausible(fields, len(records.targets)):
        raise unreadable(folder / "calls.parquet", wrong)
    # Gaps lie in the order of their rows.
    ends = np.searchsorted(gaps["row"], np.arange(n + 1, dtype=np.uint32))
    if any(map(np.ma.is_masked, gaps.values())) or (np.diff(ends) < 0).any():
        raise unreadable(folder / "gaps.parquet", "its gaps are out of order")
    pairs = {name: gaps[name][ends[0] : ends[-1]] for name in GAP.names or ()}
    records.hold(fields, pairs, np.diff(ends))


def _those_of(path: Path, kinds: dict[str, str], *needed: str) -> dict[str, Any]:
    """Those of some columns that a file has, some of which it needs to have."""
    there = columns(path)
    if missing := [name for name in needed if name not in there]:
        raise unreadable(path, f"it has no column {missing[0]}")
    return table(path, {name: kind for name, kind in kinds.items() if name in there})


def _field(name: str, column: Any, n: int) -> npt.NDArray[Any]:
    """A column, shape (n,); of an earlier version's run it may be missing.

    What was not measured is NULL in Parquet and NaN in memory.
    """
    kind, missing = DTYPE[name], blank(1)[name][0]
    if column is None:
        return np.full(n, missing, kind)
    return np.asarray(np.ma.filled(column, missing)).astype(kind, copy=False)


def count(folder: Path) -> int:
    """How many calls a run's files hold; reads no row. Raises RunError if they can't be read."""
    with _opened(folder / "calls.parquet") as (connection, source):
        counted = connection.execute(f"SELECT count(*) FROM {source}").fetchone()
    return int(counted[0])


def columns(path: Path) -> dict[str, str]:
    """The columns of a Parquet file, with their types. Raises RunError if it can't be read."""
    with _opened(path) as (connection, source):
        about = connection.execute(f"SELECT * FROM {source} LIMIT 0").description
        return {column[0]: str(column[1]) for column in about}


def table(path: Path, wanted: dict[str, str]) -> dict[str, Any]:
    """Columns of a Parquet file, each as SQL makes it, shapes (n,), masked where one is NULL.

    Raises RunError if it can't be read so.
    """
    listed = ", ".join(f'{sql} AS "{name}"' for name, sql in wanted.items())
    with _opened(path) as (connection, source):
        made: dict[str, Any] = connection.execute(f"SELECT {listed} FROM {source}").fetchnumpy()
    return made


def rows(path: Path, names: list[str], most: int, sample: int = 0) -> Iterator[tuple[Any, ...]]:
    """The rows of some columns of a Parquet file, at most so many, or a sample.

    Raises ConfigError where they are too large, and RunError.
    """
    import duckdb

    quoted = ['"' + name.replace('"', '""') + '"' for name in names]
    texts = " + ".join(f"coalesce(strlen({name}::VARCHAR), 0)" for name in quoted)
    some = f"LIMIT {most}"
    if sample:  # nothing else is kept in memory
        some = f"USING SAMPLE reservoir({sample} ROWS) REPEATABLE (1)"
    with _opened(path, MOST_MB) as (connection, whole):
        source = f"(SELECT {', '.join(quoted)} FROM {whole} {some})"
        try:
            counted = connection.execute(f"SELECT sum({texts}) FROM {source}").fetchone()
            size = int(counted[0] or 0)
        except duckdb.OutOfMemoryException:
            size = MOST_BYTES + 1
        if size > MOST_BYTES:
            much = f"{path} unpacks to over {MOST_BYTES >> 20} MB: take a part of it."
            raise ConfigError(much)
        result = connection.execute(f"FROM {source}")
        while rows := result.fetchmany(_ROWS):
            yield from rows


@contextlib.contextmanager
def _opened(path: Path, most_mb: int = 0) -> Iterator[tuple[Any, str]]:
    """A connection, and the name of a file for it. Raises RunError for what can't be read."""
    import duckdb

    try:
        source = _read(path)  # first: what is no plain file may hold up whoever opens it
        with _connection(most_mb) as connection:
            _require_plausible(connection, path)
            yield connection, source
    except (duckdb.Error, *NO_TEXT) as error:
        why = short(str(error).rpartition('": ')[2], 70)  # without the path, which is long
        raise unreadable(path, f"it is damaged or none of ours, copy it again ({why})") from None


def _connection(most_mb: int = 0) -> Any:
    """A connection for one use by one thread, to be closed; from the second on it costs nothing."""
    return _database(most_mb).cursor()


@cache
def _database(most_mb: int) -> Any:
    """What the connections of this process share: to open it takes 40 ms."""
    import duckdb

    _close_before_forks()
    # What it knows of files would be kept in memory, as much of it as it found.
    config: dict[str, Any] = {"enable_external_file_cache": False}
    if most_mb:  # and no file is written where there is no room in memory
        config |= {"memory_limit": f"{most_mb}MiB", "temp_directory": ""}
    return duckdb.connect(config=config)


@cache
def _close_before_forks() -> None:
    """Let no child inherit it: that would crash at its end, or hang as it opens its own."""
    if hasattr(os, "register_at_fork"):
        os.register_at_fork(before=_database.cache_clear)


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
    try:
        folder.mkdir(parents=True, exist_ok=True)
        with _connection() as connection, room(folder) as inner:
            made = inner / path.name
            connection.register("frame", frame)
            connection.execute(
                f"COPY frame TO '{_quoted(made)}' (FORMAT parquet, COMPRESSION zstd)"
            )
            made.replace(path)
    except (OSError, duckdb.Error) as error:
        raise RunError(f"calls can't be written to {folder}: {short(str(error))}") from None
    return path


def _read(path: Path) -> str:
    """The table of one file as DuckDB is told it; no folder `request=9` is a column of it."""
    return f"read_parquet({named(path)}, hive_partitioning = false)"


def named(path: Path) -> str:
    """A plain file as DuckDB is told it: no part of its name is a pattern. Raises RunError."""
    try:
        with reading(path):
            opened(path).close()
    except OSError as error:
        raise unreadable(path, error.strerror) from None
    return "'{}'".format(glob.escape(str(path)).replace("'", "''"))


def _require_plausible(connection: Any, path: Path) -> None:
    """Raise RunError for a file that says to hold what no run could have packed so small."""
    groups = connection.execute(
        "SELECT max(row_group_num_rows), sum(total_uncompressed_size), sum(num_values) "
        f"FROM parquet_metadata({named(path)}) GROUP BY row_group_id"
    ).fetchall()
    rows, unpacked, values = (
        sum(int(n or 0) for n in sizes) for sizes in zip((0, 0, 0), *groups, strict=True)
    )
    if max(rows * DTYPE.itemsize, unpacked, 8 * values) > FREE + MOST_RATIO * path.stat().st_size:
        much = f"{rows} rows and {values} values, far more than any run of its size"
        raise unreadable(path, f"it unpacks to {much}")


def _quoted(path: Path) -> str:
    return str(path).replace("'", "''")
