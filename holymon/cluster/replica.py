"""The files of a share as they come in: in the run's folder, as they stand on its worker's disk."""

import zlib
from pathlib import Path
from typing import Any, Final

from holymon.cluster.remote import GROWING, MOST_OF_A_FILE
from holymon.errors import RunError
from holymon.records.appender import Appender
from holymon.records.frames import Frames
from holymon.records.own_files import PRIVATE, aside

MOST: Final = 2**20
"""Bytes of a file that are fetched at once, at most."""


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
        """Take in an answer of `remote.pull`. Raises RunError for what can't be one."""
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
