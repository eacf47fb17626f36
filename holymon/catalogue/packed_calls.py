"""Calls of many small runs in one file of a store: a day of them is read as quickly as one run.

    calls/<unique>.parquet    the columns of calls.parquet, and the place of each row's run
    calls/<unique>.json       the ids of these runs, by place; written last

They are copies: the runs keep their own files, and whoever packs twice, or is killed, loses
nothing. The calls of a run that were deleted go from there with the whole file; its other runs are
read from their own until they are packed again.
"""

import secrets
from collections.abc import Sequence
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Final, NamedTuple

import msgspec
import numpy as np

from holymon.errors import RunError
from holymon.load import store_entries
from holymon.load.entry import Entry
from holymon.records import parquet
from holymon.records.store import Store
from holymon.safety import short

PLACE: Final = "run_place"
UNDER: Final = "calls"
MOST_OF_RUN: Final = 250_000
"""Calls; a larger run is read quickly enough by itself."""
MOST_CALLS: Final = 4_000_000
ROWS: Final = 1_000_000
"""In a group: the columns of a question lie in few pieces, and each piece is a request."""
FEWEST: Final = 2
DAY_S: Final = 86400.0
_IDS: Final = msgspec.json.Decoder(list[str])


class Where(NamedTuple):
    """Where the calls of a run are: an object, and the place in it."""

    key: str
    place: int


def places(store: Store, kept: Sequence[Entry]) -> tuple[dict[str, Where], dict[str, int]]:
    """Where the calls of each run are, by its id, and the sizes of these objects in bytes."""
    there, packs = {e.run_id: e for e in kept if not e.calls_gone}, _packs(store)
    known = {
        run_id: Where(key, place) for key, (_, ids) in packs.items()
        for place, run_id in enumerate(ids) if run_id in there
    }  # fmt: skip
    sizes = {key: size for key, (size, _) in packs.items()}
    for run_id, entry in there.items():
        if run_id not in known and (size := entry.files.get("calls.parquet")):
            key = f"runs/{run_id}/calls.parquet"
            known[run_id], sizes[key] = Where(key, 0), size
    return known, sizes


def pack(store: Store, until: float) -> int:
    """Pack the calls of runs of days that ended before `until` (s since 1970); how many runs.

    Raises RunError.
    """
    entries = forget(store)
    packed = {run_id for _, ids in _packs(store).values() for run_id in ids}
    days: dict[float, list[Entry]] = {}
    for entry in entries.values():
        small = 0 < (entry.requests or 0) <= MOST_OF_RUN and "calls.parquet" in entry.files
        day = (entry.began or until) // DAY_S
        if small and not entry.calls_gone and entry.run_id not in packed and day < until // DAY_S:
            days.setdefault(day, []).append(entry)
    groups = [group for _, day in sorted(days.items()) for group in _groups(day)]
    for group in groups:
        _pack(store, group)
    return sum(map(len, groups))


def forget(store: Store) -> dict[str, Entry]:
    """Delete the files in which calls are that were deleted; all runs by id. Raises RunError."""
    entries = store_entries.known(store)
    gone = {run_id for run_id, entry in entries.items() if entry.calls_gone}
    for key, (_, ids) in _packs(store).items():
        if gone & set(ids):
            store.drop([_ids(key), key])  # so that nobody looks for a file that is not there
    return entries


def _groups(day: list[Entry]) -> list[list[Entry]]:
    """The runs of a day in groups of so many calls at most; none of a run alone."""
    groups, calls = [list[Entry]()], 0
    for entry in sorted(day, key=lambda entry: entry.run_id):
        calls += entry.requests or 0
        if calls > MOST_CALLS:
            groups.append([])
            calls = entry.requests or 0
        groups[-1].append(entry)
    return [group for group in groups if len(group) >= FEWEST]


def _pack(store: Store, group: list[Entry]) -> None:
    key = f"{UNDER}/{secrets.token_hex(12)}.parquet"
    with TemporaryDirectory(prefix="holymon-") as inner:
        files = []
        for number, entry in enumerate(group):
            files.append(Path(inner) / f"{number}.parquet")
            store.get(f"runs/{entry.run_id}/calls.parquet", files[-1])
        made = Path(inner) / "packed.parquet"
        _write(files, made)
        store.put(key, made)
    store.put(_ids(key), msgspec.json.encode([entry.run_id for entry in group]))


def _write(files: list[Path], path: Path) -> None:
    """Write the calls of many files into one, each row with the place of its file."""
    import duckdb

    listed = ", ".join(map(parquet.named, files))
    columns = ", ".join(f"{sql} AS {name}" for name, sql in parquet._CALLS.items())
    blank = ", ".join(f"NULL::{kind} AS {name}" for name, kind in parquet.KINDS.items())
    files_and_places = {"file": np.array([*map(str, files)], object),
                        PLACE: np.arange(len(files), dtype=np.uint32)}  # fmt: skip
    try:
        with parquet._connection() as connection:
            connection.register("places", files_and_places)
            connection.execute(
                f"COPY (SELECT {columns}, {PLACE} FROM (FROM read_parquet([{listed}], "
                "union_by_name = true, filename = true, hive_partitioning = false) "
                f"UNION ALL BY NAME SELECT {blank} WHERE false) JOIN places ON file = filename) "
                f"TO '{parquet._quoted(path)}' (FORMAT parquet, {parquet._PARQUET}, "
                f"ROW_GROUP_SIZE {ROWS})"
            )
    except duckdb.Error as error:
        raise RunError(f"calls of many runs can't be packed: {short(str(error))}") from None


def _packs(store: Store) -> dict[str, tuple[int, list[str]]]:
    """Each file of many runs: its size, and the ids of these."""
    below = store.names(UNDER)
    keys = [f"{UNDER}/{name}" for name in below if name.endswith(".parquet")]
    known = store.many({
        f"{UNDER}/{name}": size for name, size in below.items() if name.endswith(".json")
    })  # fmt: skip
    made = {}
    for key in keys:
        try:
            ids = _IDS.decode(known.get(_ids(key), b"[]"))
        except (msgspec.MsgspecError, UnicodeError):
            raise RunError(f"{store.url} has a damaged {_ids(key)}: delete it.") from None
        made[key] = below[key.removeprefix(f"{UNDER}/")], ids
    return made


def _ids(key: str) -> str:
    return f"{key.removesuffix('.parquet')}.json"
