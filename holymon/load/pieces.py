"""What a share writes, taken piece by piece from where it is made into its run's folder.

pull (beside the worker) --> an answer, by Dask or through an object store --> Replica.take
"""

import contextlib
import json
import zlib
from pathlib import Path
from typing import Any, Final

from holymon.errors import HolymonError, RunError
from holymon.records.appender import Appender
from holymon.records.frames import Frames
from holymon.records.own_files import (
    PRIVATE,
    aside,
    content,
    last_line,
    lock_file,
    opened,
    try_lock,
)  # fmt: skip

GROWING: Final = ("calls.{}.journal", "vitals.{}.jsonl", "notes.{}.jsonl", "limits.{}.jsonl")
MOST_OF_A_FILE: Final = 2**23
"""Bytes of a file that is fetched whole."""

MOST: Final = 2**20
"""Bytes of a file that are fetched at once, at most."""


def pull(path: str, part: int, have: dict[str, int], most: int, whole: bool) -> dict[str, Any]:
    """What the files of a share have more than `have` says, up to `most` bytes of each, packed.

    `word` is what it says of itself, `over` whether it has ended; with `whole` the calls that are
    under way come, too; `ends` is what to have next. What was not taken in comes again: nothing is
    lost here.
    """
    folder = Path(path)
    with contextlib.suppress(OSError), aside(folder / "heard", PRIVATE, lasting=False) as file:
        file.write(json.dumps(have).encode())
    # First, so that whatever was written by then is fetched once it is over.
    word = read(folder / f"share.{part}.json")
    ended = bool(word) and over(folder, part)
    word = read(folder / f"share.{part}.json")
    stopped = read(folder / "stop") if (folder / "stop").exists() else None
    # Before the rows: a call that ends between the two is in both, and known.
    underway = read(folder / f"calls.{part}.underway") if whole or ended else b""
    grown, ends, more = {}, dict(have), False
    for form in GROWING:
        name = form.format(part)
        piece, left = _after(folder / name, have.get(name, 0), most)
        more = more or left
        if piece:
            at = have.get(name, 0)
            grown[name], ends[name] = (at, zlib.compress(piece, 1)), at + len(piece)
    log = ""
    if ended:
        with contextlib.suppress(OSError, HolymonError):
            log = last_line(folder / "worker.log")
    return {
        "over": ended, "word": word, "stop": stopped, "grown": grown, "more": more, "log": log,
        "underway": zlib.compress(underway, 1) if underway else b"", "ends": ends,
    }  # fmt: skip


def over(folder: Path, part: int) -> bool:
    """Whether a share that had begun has ended, however it did."""
    with lock_file(folder / f"share.{part}.lock") as file:
        return try_lock(file, shared=True)


def read(path: Path) -> bytes:
    """All of a small file; nothing of one that is not there."""
    with contextlib.suppress(OSError, HolymonError):
        return content(path, MOST_OF_A_FILE)
    return b""


def _after(path: Path, at: int, most: int) -> tuple[bytes, bool]:
    """Up to `most` bytes of a file from `at` on, and whether there are more."""
    with contextlib.suppress(OSError, HolymonError), opened(path) as file:
        file.seek(at)
        piece = file.read(most)
        return piece, len(piece) == most
    return b"", False


class Replica:
    """What came of one share. What comes twice is taken in once; `have` is where to go on."""

    def __init__(self, folder: Path, part: int) -> None:
        """Write into the folder of a run."""
        self._folder, self._part = folder, part
        self._files: dict[str, Appender] = {}
        self._frames = Frames()
        self.have: dict[str, int] = {}
        self.records = self.wire_bytes = 0

    def take(self, answer: dict[str, Any]) -> None:
        """Take in an answer of `pull`. Raises RunError for what can't be one."""
        for form in GROWING:
            name = form.format(self._part)
            if name in answer["grown"]:
                at, packed = answer["grown"][name]
                self._grow(name, at, packed)
        if answer["underway"]:
            self.wire_bytes += len(answer["underway"])
            path = self._folder / f"calls.{self._part}.underway"
            with aside(path, PRIVATE, lasting=False) as file:
                file.write(_unpacked(answer["underway"], MOST_OF_A_FILE))

    def _grow(self, name: str, at: int, packed: bytes) -> None:
        self.wire_bytes += len(packed)
        have, piece = self.have.get(name, 0), _unpacked(packed, MOST)
        if at > have:
            raise RunError(f"a worker left out a part of {name}.")
        new = piece[have - at :]
        if name not in self._files:
            self._files[name] = Appender(self._folder / name)
        self._files[name].write(new)
        self.have[name] = have + len(new)
        if name == GROWING[0].format(self._part):
            self.records += len(self._frames.feed(new)[2])

    @property
    def trouble(self) -> str:
        """What went wrong with writing, if anything."""
        return next((file.trouble for file in self._files.values() if file.trouble), "")

    def close(self) -> None:
        """Close all files."""
        for file in self._files.values():
            file.close()
        self._files.clear()


def _unpacked(packed: bytes, most: int) -> bytes:
    """What a worker packed, of `most` bytes at most. Raises RunError."""
    try:
        return zlib.decompressobj().decompress(packed, most)
    except zlib.error as error:
        raise RunError(f"a worker sent what can't be read: {error}.") from None
