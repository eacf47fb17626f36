"""SQL over the calls of all runs: one line, answered by DuckDB from their Parquet files.

sql("select target, quantile_cont(latency_s, 0.99) from calls group by target")
"""

import re
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final

from holymon.catalogue import asked_files, packed_calls
from holymon.catalogue.asked_files import File
from holymon.catalogue.entries import entries
from holymon.errors import NAMES, PlanError, RunError
from holymon.load.entry import Entry
from holymon.records import parquet
from holymon.records.attempt import FINISH, Flag
from holymon.records.spool import folder_of, shown
from holymon.safety import plain, short

if TYPE_CHECKING:
    import pandas as pd

_RAISED: Final = re.compile(r"Traceback \(most recent call last\):\n(?:[ \t].*\n)*[\w.]+: (.*)")


def sql(query: str, *, out: Path | str = "reports", name: str = "") -> "pd.DataFrame":
    """The answer to a query over two tables, as a DataFrame.

    `calls`: a row for each attempt, with columns as in `Records.to_frame`, `sent_at` (in UTC) for
    its `at`, which is a word of SQL, and `run_id` and `name` of its run; runs that still go on, or
    were killed and never opened since, are not in it, nor are those whose calls were deleted.
    `runs`: a row for each target of each run, whether its calls are there or not: run_id, name,
    started_at (in UTC), state, target. With `name`, only the runs of that name. Raises PlanError
    for what is no query, RunError if there is nothing to ask or no file can be read; the log says
    which runs were left out of `calls` because theirs can't be.
    """
    import duckdb

    folder = folder_of(out)
    kept = [e for e in entries(folder) if not name or e.name == name]
    with duckdb.connect(config={"enable_external_file_cache": False}) as connection:
        connection.execute("SET enable_progress_bar = false")  # nothing beside the answer
        connection.execute("SET parquet_metadata_cache = true")  # each is bound twice
        try:
            files = asked_files.files_of(connection, kept, folder)
            _make_tables(connection, kept, folder, files)
            try:
                return _answer(connection, query)
            except _DamagedError as error:
                left = asked_files.sound(connection, files, asked_files.damage)
                if len(left) == len(files):
                    raise RunError(str(error)) from None
            _make_tables(connection, kept, folder, left)
            return _answer(connection, query)
        except duckdb.Error as error:
            raise RunError(
                f"the calls in {plain(shown(folder))} can't be read: {short(_words(error))}"
            ) from None


class _DamagedError(RunError):
    """A query failed as one over a damaged file does, and not by its own words."""


def _answer(connection: Any, query: str) -> "pd.DataFrame":
    """What DuckDB answers. Raises PlanError, RunError."""
    import duckdb

    try:
        answer: pd.DataFrame = connection.execute(query).df()
    except (duckdb.ParserException, duckdb.BinderException, duckdb.CatalogException) as error:
        raise PlanError(f"the query can't be answered: {short(str(error))}") from None
    except (duckdb.DataError, duckdb.OutOfMemoryException, duckdb.InterruptException) as error:
        raise RunError(f"the query failed: {short(_words(error))}") from None
    except (duckdb.Error, *parquet.NO_TEXT) as error:
        raise _DamagedError(f"the query failed: {short(_words(error))}") from None
    return answer


def _words(error: Exception) -> str:
    """What went wrong: of an error in a store's Python its own words, without the way to it."""
    raised = _RAISED.search(str(error))
    return raised[1] if raised else str(error)


def _make_tables(connection: Any, kept: list[Entry], out: Path, files: Sequence[File]) -> None:
    """Make `calls` and `runs`; of what others may have named so, nothing is a pattern."""
    if not any(entry.targets for entry in kept):
        raise RunError(f"there are no calls in {shown(out)}: `holymon load sim/fast` makes some.")
    import pandas as pd

    sources = {source: k for k, source in enumerate(dict.fromkeys(of.source for of in files))}
    # One number says whose a call is, by file, place and target: joined by it, a row is a look into
    # an array. What is no place or target of its file has no such number.
    read = asked_files.together([*sources])
    each = max((len(of.entry.targets) for of in files), default=1) or 1
    places = 1 + max((of.place for of in files), default=0)
    begin = {of.entry.run_id: (sources[of.source] * places + of.place) * each for of in files}
    named = _named(kept, begin, {of.entry.run_id: of.began for of in files})
    # Those of a later version are failures, too, and what does not tell is no success.
    errors = pd.DataFrame({"number": range(256), "text": [*NAMES, *["_OTHER"] * 256][:256]})
    for table, frame in (("named", named), ("of_errors", errors)):
        connection.register(f"_{table}", frame)
        connection.execute(f"CREATE OR REPLACE TEMP TABLE {table} AS FROM _{table}")
    connection.execute("CREATE OR REPLACE TEMP TABLE of_runs AS FROM named WHERE key >= 0")
    ends = ", ".join(f"'{text}'" for text in FINISH)
    bits = ", ".join(f"(c.flags & {flag.value}) != 0 AS {flag.name.lower()}" for flag in Flag)
    counted = [column for column in parquet.KINDS if column.endswith("_tokens")]
    counts = ", ".join(f"nullif(c.{column}, -1) AS {column}" for column in counted)
    there = f"SELECT *, file_index FROM {read} UNION ALL BY NAME " * bool(files)
    connection.execute(
        "CREATE OR REPLACE TEMP VIEW calls AS SELECT r.run_id, r.name, r.target, "
        "make_timestamp(TRY_CAST((r.began + c.start_s) * 1e6 AS BIGINT)) AS sent_at, "
        "c.end_s - c.start_s AS latency_s, c.first_s - c.start_s AS ttft_s, "
        f"e.text AS error_type, [{ends}][c.finish::USMALLINT + 1] AS finish, c.code, c.status, "
        "c.due_s, c.start_s, c.headers_s, c.chunk_s, c.first_s, c.content_s, c.last_s, c.end_s, "
        f"c.gap_max_s, c.connect_s, c.retry_after_s, c.request, c.attempt, {counts}, "
        f"c.chunks, c.events, c.bytes, {bits} "
        f"FROM ({there}SELECT {asked_files.BLANK}, NULL::UBIGINT AS file_index WHERE false) c "
        f"JOIN of_runs r ON r.key = c.file_index::BIGINT * {places * each} + "
        f"coalesce(c.{packed_calls.PLACE}, 0)::BIGINT * {each} + coalesce(c.target, 0)::BIGINT "
        "JOIN of_errors e ON e.number = coalesce(c.error, 255) "
        f"WHERE coalesce(c.target, 0) < {each} AND coalesce(c.{packed_calls.PLACE}, 0) < {places}"
    )
    connection.execute(
        "CREATE OR REPLACE TEMP VIEW runs AS "
        "SELECT run_id, name, started_at, state, target FROM named"
    )


def _named(
    kept: list[Entry], begin: Mapping[str, int], began: Mapping[str, float | None]
) -> "pd.DataFrame":
    """A row for each target of each run; its key counts from `begin`, and is -1 without calls."""
    import pandas as pd

    rows = [
        (begin[e.run_id] + k if e.run_id in begin else -1, plain(e.run_id), plain(e.name),
         began.get(e.run_id), e.started_at, e.state, target)
        for e in kept for k, target in enumerate(e.targets)
    ]  # fmt: skip
    columns = ["key", "run_id", "name", "began", "started_at", "state", "target"]
    named = pd.DataFrame(rows, columns=columns).astype({"began": float})
    moments = pd.to_datetime(named["started_at"], utc=True, format="ISO8601")
    named["started_at"] = moments.dt.tz_localize(None)
    return named
