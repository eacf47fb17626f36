"""The files a run writes while it goes on, so that whoever is killed, what has ended is kept.

calls.K.journal    rows of worker K: one write for each finished call
vitals.K.jsonl     how worker K was doing, once a second
notes.K.jsonl      texts of failures, redacted and bounded: never part of a row
"""

import json
import os
from collections import Counter
from pathlib import Path
from typing import Any, Final

from holymon.frames import Frames, header
from holymon.records import Marks, Records, measure
from holymon.vitals import Vitals, read

NOTES_OF_A_KIND: Final = 5
NOTES: Final = 200


class Appender:
    """A file that only grows: each piece is one write, straight to the operating system.

    When the disk is full the pieces stay in memory (`kept`), are tried again with the next
    one, and `trouble` says what happened.
    """

    def __init__(self, path: Path) -> None:
        """Create `path`; an existing file is never written over."""
        flags = os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_APPEND | getattr(os, "O_BINARY", 0)
        self._fd = os.open(path, flags, 0o600)
        self._size = 0
        self.kept: list[bytes] = []
        self.trouble = ""

    def write(self, piece: bytes) -> None:
        """Append one piece, whole or not at all."""
        if self.kept:
            piece, self.kept = b"".join([*self.kept, piece]), []
        try:
            written = os.write(self._fd, piece)
            while written < len(piece):
                written += os.write(self._fd, piece[written:])
            self._size += len(piece)
        except OSError as error:
            os.ftruncate(self._fd, self._size)  # half a frame would make the next unreadable
            self.kept = [piece]
            self.trouble = f"{error.strerror}: records are kept in memory until it can be written"

    def close(self) -> None:
        """Close the file; what could not be written is tried once more."""
        if self.kept:
            self.write(b"")
        os.close(self._fd)


class Journal:
    """What one worker writes."""

    def __init__(self, folder: Path, worker: int, zero: float = 0.0) -> None:
        """Create the worker's three files; `zero` is the run's start on the clock of the marks."""
        self.zero = zero
        self._calls = Appender(folder / f"calls.{worker}.journal")
        self._vitals = Appender(folder / f"vitals.{worker}.jsonl")
        self._notes = Appender(folder / f"notes.{worker}.jsonl")
        self._seen: Counter[tuple[int, str]] = Counter()
        self._calls.write(header(worker))

    def record(self, marks: Marks) -> None:
        """Write down one finished attempt."""
        self._calls.write(measure(marks, self.zero))
        if marks.message:
            self._note(marks)

    def vital(self, line: bytes) -> None:
        """Write down one second of the worker."""
        self._vitals.write(line)

    def _note(self, marks: Marks) -> None:
        kind = (marks.target, marks.error)
        if self._seen[kind] >= NOTES_OF_A_KIND or sum(self._seen.values()) >= NOTES:
            return
        self._seen[kind] += 1
        note = {
            "request": marks.request, "target": marks.target, "error_type": marks.error,
            "status": marks.status, "code": marks.code, "message": marks.message,
        }  # fmt: skip
        self._notes.write(json.dumps(note).encode() + b"\n")

    @property
    def trouble(self) -> str:
        """What went wrong with writing, if anything."""
        return self._calls.trouble

    def close(self) -> None:
        """Close all files."""
        for file in (self._calls, self._vitals, self._notes):
            file.close()


class Follower:
    """Reads the journals of a run while they grow."""

    def __init__(self, folder: Path, records: Records) -> None:
        """Read into `records`."""
        self._folder = folder
        self._records = records
        self._readers: dict[Path, tuple[Frames, int]] = {}

    def poll(self) -> int:
        """Take in what was written since the last time; how many records are new."""
        before = len(self._records)
        for path in sorted(self._folder.glob("calls.*.journal")):
            frames, at = self._readers.get(path) or (Frames(), 0)
            with path.open("rb") as file:
                file.seek(at)
                data = file.read()
            self._readers[path] = (frames, at + len(data))
            if data:
                self._records.append(*frames.feed(data))
        return len(self._records) - before

    @property
    def torn(self) -> int:
        """Bytes of unfinished records at the ends of the journals."""
        return sum(frames.torn for frames, _ in self._readers.values())


def vitals(folder: Path) -> Vitals:
    """How the workers of a run were doing."""
    paths = sorted(folder.glob("vitals.*.jsonl"))
    return read(line for path in paths for line in path.read_bytes().splitlines())


def notes(folder: Path) -> list[dict[str, Any]]:
    """Texts of failures, as data: escape them wherever they are shown."""
    found = []
    for path in sorted(folder.glob("notes.*.jsonl")):
        for line in path.read_bytes().splitlines():
            try:
                found.append(json.loads(line))
            except ValueError:  # a torn last line
                continue
    return found
