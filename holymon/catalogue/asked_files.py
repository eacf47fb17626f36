"""The files of calls that SQL asks together: one that is damaged, or hostile, hides no other.

What all of them are is looked at once. Only where that is not what runs write, or can't be read, is
it looked for which ones it is, by halves; they are left out, and the log says which and why.
"""

import logging
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any, Final, NamedTuple

from holymon.catalogue import packed_calls
from holymon.catalogue.entries import UNREADABLE
from holymon.errors import RunError
from holymon.load.entry import Entry
from holymon.records import parquet
from holymon.records.appender import unreadable
from holymon.records.run_folder import began, is_compacted
from holymon.records.spool import store_of
from holymon.records.store_files import SCHEME
from holymon.safety import plain, short

MOST_SAID: Final = 10
"""Files that are left out, each in a line of the log; of the others there is only their number."""

KINDS: Final = {**parquet.KINDS, packed_calls.PLACE: "UINTEGER"}
BLANK: Final = ", ".join(f"NULL::{kind} AS {column}" for column, kind in KINDS.items())
_LOG: Final = logging.getLogger("holymon")


class File(NamedTuple):
    """Where the calls of a run are: a file as DuckDB is told it, and a place in it."""

    entry: Entry
    source: str
    place: int
    began: float | None
    path: Path | None = None


Why = Callable[[Any, Sequence[str]], str]
"""Why some files can't be read together, empty if they can. Raises duckdb.Error."""


def files_of(connection: Any, kept: Sequence[Entry], out: Path) -> list[File]:
    """The files of runs that have any calls: of a store, those of many runs where there are.

    Raises RunError if there are some, and none can be read; duckdb.Error if a store can't.
    """
    store, files, wrong = store_of(out), list[File](), list[str]()
    of_runs: dict[str, packed_calls.Where] = {}
    if store is not None:
        of_runs, sizes = packed_calls.places(store, kept)
        connection.register_filesystem(store.files(sizes))
    for entry in kept:
        folder = out / entry.run_id
        if entry.state == UNREADABLE:
            wrong.append(entry.detail)
        elif where := of_runs.get(entry.run_id):
            files.append(File(entry, f"'{SCHEME}{where.key}'", where.place, entry.began))
        elif is_compacted(folder) and not entry.calls_gone:
            path = folder / "calls.parquet"
            try:
                files.append(File(entry, parquet.named(path), 0, began(folder), path))
            except RunError as error:
                wrong.append(str(error))
    return sound(connection, files, misfit, wrong)


def sound(
    connection: Any, files: Sequence[File], why: Why, wrong: Sequence[str] = ()
) -> list[File]:
    """Those that can be read together; of the others the log says why, as of those in `wrong`.

    Raises RunError where others are all there is.
    """
    of_sources = {of.source: of for of in files}
    bad = _bad(connection, list(of_sources.values()), why) if files else {}
    sentences = [*wrong, *bad.values()]
    left = [of for of in files if of.source not in bad]
    if sentences and not left:
        raise RunError(sentences[0])
    for line in sentences[:MOST_SAID]:
        _LOG.warning("%s Its calls are left out.", plain(line))
    if len(sentences) > MOST_SAID:
        _LOG.warning("The calls of %d more are left out as well.", len(sentences) - MOST_SAID)
    return left


def _bad(connection: Any, files: Sequence[File], why: Why) -> dict[str, str]:
    """The sources that can't be read with others, and a sentence for each."""
    import duckdb

    try:
        words = why(connection, [of.source for of in files])
    except (duckdb.Error, *parquet.NO_TEXT) as error:
        if any(of.path is None for of in files):  # a store that does not answer damages nothing
            raise
        words = f"it is damaged or none of ours, copy it again ({_words(error, files[0].path)})"
    if not words:
        return {}
    if len(files) > 1:
        half = len(files) // 2
        return _bad(connection, files[:half], why) | _bad(connection, files[half:], why)
    (of,) = files
    return {of.source: str(unreadable(of.path or Path(of.source.strip("'")), words))}


def _words(error: Exception, path: Path | None) -> str:
    """What DuckDB says, without the path, which is long, and without the query."""
    line = str(error).rpartition('": ')[2].partition("\n")[0]
    return short(line.replace(f"{path}", "calls.parquet"), 70)


def together(sources: Sequence[str]) -> str:
    """The table of all of them, as DuckDB is told it."""
    listed = ", ".join(sources)
    return f"read_parquet([{listed}], union_by_name = true, hive_partitioning = false)"


def misfit(connection: Any, sources: Sequence[str]) -> str:
    """What the columns of files are that those of no run are."""
    read = f"SELECT * FROM {together(sources)} UNION ALL BY NAME SELECT {BLANK} WHERE false"
    about = connection.execute(f"FROM ({read}) LIMIT 0").description
    columns = {column[0].lower(): str(column[1]) for column in about}
    if "file_index" in columns:
        return "it has a column file_index, as none of a run has: copy it again"
    wrong = [name for name, kind in KINDS.items() if columns[name] != kind]
    if not wrong:
        return ""
    (first, *_) = wrong
    return f"its column {first} is {short(columns[first], 30)}, not {KINDS[first]}: copy it again"


def damage(connection: Any, sources: Sequence[str]) -> str:
    """Nothing: it reads all values of files, and raises what that raises."""
    connection.execute(f"SELECT bit_xor(hash(COLUMNS(*))) FROM {together(sources)}").fetchall()
    return ""
