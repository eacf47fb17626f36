"""SQL over the calls of all runs: one line, answered by DuckDB from their Parquet files.

sql("select target, quantile_cont(latency_s, 0.99) from calls group by target")
"""

import re
from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final, NamedTuple

from holymon.catalogue import packed_calls
from holymon.catalogue.entries import entries
from holymon.errors import NAMES, PlanError, RunError
from holymon.load.entry import Entry
from holymon.records import parquet
from holymon.records.attempt import FINISH, Flag
from holymon.records.run_folder import began, is_compacted
from holymon.records.spool import folder_of, shown, store_of
from holymon.records.store_files import SCHEME
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
    for what is no query, RunError if there is nothing to ask or a file can't be read.
    """
    import duckdb

    folder = folder_of(out)
    kept = [e for e in entries(folder) if not name or e.name == name]
    with duckdb.connect(config={"enable_external_file_cache": False}) as connection:
        connection.execute("SET enable_progress_bar = false")  # nothing beside the answer
        connection.execute("SET parquet_metadata_cache = true")  # each is bound twice
        try:
            _make_tables(connection, kept, folder)
        except duckdb.Error as error:
            raise RunError(
                f"the calls in {plain(shown(folder))} can't be read: {short(_words(error))}"
            ) from None
        try:
            answer: pd.DataFrame = connection.execute(query).df()
        except (duckdb.ParserException, duckdb.BinderException, duckdb.CatalogException) as error:
            raise PlanError(f"the query can't be answered: {short(str(error))}") from None
        except duckdb.Error as error:
            raise RunError(f"the query failed: {short(_words(error))}") from None
    return answer


def _words(error: Exception) -> str:
    """What went wrong: of an error in a store's Python its own words, without the way to it."""
    raised = _RAISED.search(str(error))
    return raised[1] if raised else str(error)


def _make_tables(connection: Any, kept: list[Entry], out: Path) -> None:
    """Make `calls` and `runs`; of what others may have named so, nothing is a pattern."""
    files = _files(connection, kept, out)
    if not any(entry.targets for entry in kept):
        raise RunError(f"there are no calls in {shown(out)}: `holymon load sim/fast` makes some.")
    import pandas as pd

    sources = {source: k for k, source in enumerate(dict.fromkeys(of.source for of in files))}
    # One number says whose a call is, by file, place and target: joined by it, a row is a look into
    # an array. What is no place or target of its file has no such number.
    read = f"read_parquet([{', '.join(sources)}], union_by_name = true, hive_partitioning = false)"
    about = connection.execute(f"FROM {read} LIMIT 0").description if files else ()
    if any(column[0].lower() == "file_index" for column in about):
        raise RunError(f"a file in {shown(out)} has a column file_index, as none of a run has.")
    each = max((len(of.entry.targets) for of in files), default=1) or 1
    places = 1 + max((of.place for of in files), default=0)
    begin = {of.entry.run_id: (sources[of.source] * places + of.place) * each for of in files}
    named = _named(kept, begin, {of.entry.run_id: of.began for of in files})
    errors = pd.DataFrame({"number": range(len(NAMES)), "text": NAMES})
    for table, frame in (("named", named), ("of_errors", errors)):
        connection.register(f"_{table}", frame)
        connection.execute(f"CREATE TEMP TABLE {table} AS FROM _{table}")
    connection.execute("CREATE TEMP TABLE of_runs AS FROM named WHERE key >= 0")
    ends = ", ".join(f"'{text}'" for text in FINISH)
    bits = ", ".join(f"(c.flags & {flag.value}) != 0 AS {flag.name.lower()}" for flag in Flag)
    counted = [column for column in parquet.KINDS if column.endswith("_tokens")]
    counts = ", ".join(f"nullif(c.{column}, -1) AS {column}" for column in counted)
    blank = ", ".join(f"NULL::{kind} AS {column}" for column, kind in parquet.KINDS.items())
    there = f"SELECT *, file_index FROM {read} UNION ALL BY NAME " * bool(files)
    connection.execute(
        "CREATE TEMP VIEW calls AS SELECT r.run_id, r.name, r.target, "
        "make_timestamp(((r.began + c.start_s) * 1e6)::BIGINT) AS sent_at, "
        "c.end_s - c.start_s AS latency_s, c.first_s - c.start_s AS ttft_s, "
        f"e.text AS error_type, [{ends}][c.finish + 1] AS finish, c.code, c.status, "
        "c.due_s, c.start_s, c.headers_s, c.chunk_s, c.first_s, c.content_s, c.last_s, c.end_s, "
        f"c.gap_max_s, c.connect_s, c.retry_after_s, c.request, c.attempt, {counts}, "
        f"c.chunks, c.events, c.bytes, {bits} "
        f"FROM ({there}SELECT {blank}, "
        f"NULL::UINTEGER AS {packed_calls.PLACE}, NULL::UBIGINT AS file_index WHERE false) c "
        f"JOIN of_runs r ON r.key = c.file_index::BIGINT * {places * each} + "
        f"coalesce(c.{packed_calls.PLACE}, 0)::BIGINT * {each} + c.target::BIGINT "
        "JOIN of_errors e ON e.number = c.error "
        f"WHERE c.target < {each} AND coalesce(c.{packed_calls.PLACE}, 0) < {places}"
    )
    connection.execute(
        "CREATE TEMP VIEW runs AS SELECT run_id, name, started_at, state, target FROM named"
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


class _File(NamedTuple):
    """Where the calls of a run are: a file as DuckDB is told it, and a place in it."""

    entry: Entry
    source: str
    place: int
    began: float | None


def _files(connection: Any, kept: list[Entry], out: Path) -> list[_File]:
    """The files of runs that have any calls: of a store, those of many runs where there are."""
    store, files = store_of(out), list[_File]()
    of_runs: dict[str, packed_calls.Where] = {}
    if store is not None:
        of_runs, sizes = packed_calls.places(store, kept)
        connection.register_filesystem(store.files(sizes))
    for entry in kept:
        folder = out / entry.run_id
        if where := of_runs.get(entry.run_id):
            files.append(_File(entry, f"'{SCHEME}{where.key}'", where.place, entry.began))
        elif is_compacted(folder) and not entry.calls_gone:
            source = parquet.named(folder / "calls.parquet")
            files.append(_File(entry, source, 0, began(folder)))
    return files
