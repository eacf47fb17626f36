"""A run whose shares have no folder in common: each sends what it writes to a store, in pieces.

    arriving/NAME/UTC/job.json, plan.json, requests.jsonl    as in the folder of a run
    arriving/NAME/UTC/state.json             what the first calls found out
    arriving/NAME/UTC/begun/K/UNIQUE         share K was begun, and never will be again
    arriving/NAME/UTC/stop/K                 share K wants all of them to end
    arriving/NAME/UTC/pieces/K/NUMBER        what share K has written since the piece before

An object is whole or not there, so whoever is killed, what it has sent is kept. Nobody writes what
another does, save the same. When all shares are over, whoever looks makes a run of them
(`gathered`), which goes to the store like any other; only then are the pieces deleted.
"""

import re
import secrets
import shutil
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from itertools import islice
from pathlib import Path
from typing import Final

import msgspec

from holymon.errors import RunError
from holymon.load.gathered import Shares, gather
from holymon.load.pieces import MOST, Replica, pull
from holymon.records import request_store, run_folder
from holymon.records.own_files import PRIVATE, room, write_aside
from holymon.records.run_state import LIVE, is_run_id
from holymon.records.store import Store
from holymon.safety import plain

ROOT: Final = "arriving"
AT_ONCE: Final = 64
"""So many pieces are fetched at once, each of a few hundred kB at most."""

FILES: Final = (run_folder.JOB, "plan.json", request_store.NAME, "state.json")
_NUMBER: Final = re.compile(r"\d{8}")


class Parcel(msgspec.Struct, frozen=True):
    """What a share has written since the one before: an answer of `pull`, without the rest."""

    over: bool
    word: bytes
    grown: dict[str, tuple[int, bytes]]
    underway: bytes


_PARCEL: Final = msgspec.msgpack.Decoder(Parcel)


class Sender:
    """One share of a run in `folder`, on its way to a store. All of it raises RunError."""

    def __init__(self, store: Store, folder: Path, part: int) -> None:
        """Nothing is sent yet."""
        self._store, self._folder, self._part = store, folder, part
        self._key = f"{ROOT}/{run_folder.run_id(folder)}"
        self._have: dict[str, int] = {}
        self._number, self._word, self._told = 0, b"", False
        self._put: set[str] = set()

    def begin(self) -> None:
        """Note that the share is begun. Raises RunError, too, if it was before."""
        mine = secrets.token_hex(12)
        under = f"{self._key}/begun/{self._part}"
        self._store.put(f"{under}/{mine}", b"begun")
        # Of two at once each sees the other, and neither calls anybody.
        if [*self._store.names(under)] != [mine]:
            raise RunError(
                f"share {self._part} of {plain(run_folder.run_id(self._folder))} was begun before: "
                "what it called is not called again."
            )

    def put(self, *names: str) -> None:
        """Send files of the run that are there, each once."""
        for name in names:
            if name not in self._put and (self._folder / name).exists():
                self._store.put(f"{self._key}/{name}", self._folder / name)
                self._put.add(name)

    def look(self, name: str) -> bool:
        """Take in a file that another share sends; whether it is here by now."""
        sizes = self._store.names(self._key) if not (self._folder / name).exists() else {}
        if name in sizes:
            self._store.get(f"{self._key}/{name}", self._folder / name)
        return (self._folder / name).exists()

    def heed(self) -> None:
        """Have the others end if this share wants it, and this one if another does."""
        stop, under = self._folder / "stop", f"{self._key}/stop"
        if stop.exists():
            if not self._told:
                self._store.put(f"{under}/{self._part}", stop)
                self._told = True
        elif others := self._store.names(under):
            self._told = True
            words = self._store.many({f"{under}/{name}": size for name, size in others.items()})
            write_aside(stop, next(iter(words.values()), b""))

    def send(self, *, last: bool = False) -> None:
        """Send what is new; all of it, if it is the `last` time: the share has ended."""
        more = True
        while more:
            answer = pull(str(self._folder), self._part, self._have, MOST, True)
            more = answer["more"]
            grown, word = answer["grown"], answer["word"]
            if not (grown or last or word != self._word):
                return
            piece = Parcel(last and not more, word, grown, answer["underway"])
            key = f"{self._key}/pieces/{self._part}/{self._number:08}"
            self._store.put(key, msgspec.msgpack.encode(piece))
            self._number, self._word = self._number + 1, word
            self._have = answer["ends"]


def is_copy(folder: Path) -> bool:
    """Whether a folder has what shares had sent by some moment, and is no run yet."""
    known = run_folder.made_elsewhere(folder)
    return known is not None and run_folder.read_raw_state(folder)["state"] in LIVE


def ids(store: Store) -> list[str]:
    """The runs of which pieces are in a store. Raises RunError."""
    job = f"/{run_folder.JOB}"
    known = (name.removesuffix(job) for name in store.names(ROOT) if name.endswith(job))
    return sorted(filter(is_run_id, known))


def fetched(store: Store, out: Path, run_id: str) -> Path | None:
    """The folder of a run of which pieces are in a store; None if there are none.

    As one run, if all its shares are over; else what has come of it by now. Raises RunError.
    """
    names = store.names(f"{ROOT}/{run_id}")
    if run_folder.JOB not in names or "plan.json" not in names:
        return None
    folder = out / run_id
    folder.parent.mkdir(mode=0o700, exist_ok=True)
    with room(out) as inner:
        made = inner / folder.parent.name / folder.name
        made.mkdir(mode=0o700, parents=True)
        for name in FILES:
            if name in names:
                store.get(f"{ROOT}/{run_id}/{name}", made / name)
        _take(store, run_id, names, made)
        shutil.rmtree(folder, ignore_errors=True)
        made.replace(folder)
    return folder


def _take(store: Store, run_id: str, names: dict[str, int], made: Path) -> None:
    """Take in all that the shares of a run have sent, and make one run of it if they are over."""
    known = run_folder.made_elsewhere(made)
    if known is None:
        raise RunError(f"{run_id} in {plain(store.url)} has a damaged {run_folder.JOB}.")
    if any(name.startswith("stop/") for name in names):
        (made / "stop").touch()
    parts = range(known[0])
    open_ones = {p for p in parts if not _taken(store, run_id, names, made, p)}
    begun = {p for p in parts if any(name.startswith(f"begun/{p}/") for name in names)}
    if run_folder.read_raw_state(made)["state"] in LIVE:
        gather(made, Shares(*known), over=not open_ones, unseen=open_ones & begun)


def _taken(store: Store, run_id: str, names: dict[str, int], made: Path, part: int) -> bool:
    """Take in all pieces of a share; whether the last of them is there."""
    replica, last = Replica(made, part), None
    try:
        for last in _pieces(store, f"{ROOT}/{run_id}", names, part):
            replica.take({"grown": last.grown, "underway": last.underway})
    finally:
        replica.close()
    if last is not None and last.word:
        write_aside(made / f"share.{part}.json", last.word, mode=PRIVATE)
    return last is not None and last.over


def _pieces(store: Store, key: str, names: dict[str, int], part: int) -> Iterator[Parcel]:
    under = f"pieces/{part}/"
    mine = [n for n in sorted(names) if n.startswith(under) and _NUMBER.fullmatch(n[len(under) :])]
    left = iter(mine)
    while some := [*islice(left, AT_ONCE)]:
        objects = store.many({f"{key}/{name}": names[name] for name in some})
        for name in some:
            try:
                yield _PARCEL.decode(objects[f"{key}/{name}"])
            except (KeyError, msgspec.MsgspecError):
                what = f"{plain(store.url)} has no {key}/{name} any more, or it is damaged"
                raise RunError(f"{what}: try again.") from None


def drop(store: Store, run_id: str) -> None:
    """Delete the pieces of a run, which is in the catalogue by now. Raises RunError."""
    keys = [f"{ROOT}/{run_id}/{name}" for name in store.names(f"{ROOT}/{run_id}")]
    with ThreadPoolExecutor(16) as pool:
        for _ in pool.map(lambda key: store.drop([key]), keys):
            pass
