"""The catalogue of a store: one small object for each run, many of them in one pack.

    catalogue/entries/<unique>.json    what a writer added, after all files of a run were there
    catalogue/packs/<unique>.json.z    many of these, so that ten thousand runs are one request

Writers never write the same object, so none can lose another's, and no clock says who was last:
what is known of a run only grows (`_joined`). A pack takes the place of what it was made of, which
is deleted after it was seen to be whole. Readers list the entries before the packs: what is deleted
between the two is in a pack by then. Two who pack at once can't each delete the other's, for one of
them listed first. That needs a store whose lists are true at once, as those of S3 and MinIO are; it
needs no conditional writes, in which these differ.
"""

import secrets
import zlib
from typing import Final

import msgspec

from holymon.errors import RunError
from holymon.load.entry import Entry, shown
from holymon.records.run_state import STATES, is_run_id
from holymon.records.store import Store

LOOSE: Final = 64
"""Entries beside the packs from which on they are put into one."""

ENTRIES: Final = "catalogue/entries"
PACKS: Final = "catalogue/packs"
TRIES: Final = 5
MOST_BYTES: Final = 2**29
_ENTRY: Final = msgspec.json.Decoder(Entry)
_PACK: Final = msgspec.json.Decoder(list[Entry])


def add(store: Store, entry: Entry) -> None:
    """Write down a run, all of whose files are there. Raises RunError."""
    data = msgspec.json.encode(entry)
    store.put(f"{ENTRIES}/{secrets.token_hex(12)}.json", data)


def known(store: Store) -> dict[str, Entry]:
    """Each run in a store by its id. Raises RunError."""
    return _read(store)[0]


def pack(store: Store, least: int = LOOSE) -> None:
    """Put all entries into one pack, if there are so many loose ones. Raises RunError."""
    entries, objects = _read(store)
    loose = [key for key in objects if key.startswith(ENTRIES)]
    if len(loose) < least:
        return
    add_many(store, list(entries.values()))
    store.drop(objects)


def add_many(store: Store, entries: list[Entry]) -> None:
    """Write down many runs in one pack. Raises RunError."""
    data = zlib.compress(msgspec.json.encode(entries), 1)
    store.put(f"{PACKS}/{secrets.token_hex(12)}.json.z", data)


def _read(store: Store) -> tuple[dict[str, Entry], list[str]]:
    """The entries, and the objects that they stood in."""
    for _ in range(TRIES):
        sizes = {
            f"{under}/{name}": size for under in (ENTRIES, PACKS)
            for name, size in store.names(under).items()
        }  # fmt: skip
        objects = store.many(sizes)
        if len(objects) == len(sizes):
            break
    else:
        raise RunError(f"{store.url} changes faster than it can be read: try again.")
    made: dict[str, Entry] = {}
    for key in sorted(sizes):
        for entry in _entries(key, objects[key]):
            before = made.get(entry.run_id)
            made[entry.run_id] = entry if before is None else _joined(before, entry)
    return made, [*sizes]


def _entries(key: str, data: bytes) -> list[Entry]:
    """Those in an object, as they may be shown; none of one that is no such object."""
    try:
        if key.startswith(PACKS):
            unpacked = zlib.decompressobj().decompress(data, MOST_BYTES)
            entries = _PACK.decode(unpacked)
        else:
            entries = [_ENTRY.decode(data)]
    except (msgspec.MsgspecError, zlib.error, UnicodeError, RecursionError):
        return []
    return [shown(e) for e in entries if e.state in STATES and is_run_id(e.run_id)]


def _joined(a: Entry, b: Entry) -> Entry:
    """What two entries of a run say together, whichever was written first."""
    gone = a.calls_gone or b.calls_gone
    return msgspec.structs.replace(
        a, calls_gone=gone, has_report=a.has_report or b.has_report,
        of_targets=b.of_targets if a.of_targets is None else a.of_targets,
        files={**a.files, **b.files},
    )  # fmt: skip
