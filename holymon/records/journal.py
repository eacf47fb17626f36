"""The files a run writes while it goes on, so that whoever is killed, what has ended is kept.

calls.K.journal    rows of worker K: one write for each finished call
calls.K.underway   calls that were sent and have not ended: a slot for each, freed at its end
vitals.K.jsonl     how worker K was doing, once a second
notes.K.jsonl      what servers said and the ids they gave: redacted, bounded, never part of a row
limits.K.jsonl     how much of the APIs' limits was left, where answers tell it: bounded
"""

import contextlib
import mmap
import os
import struct
import tempfile
from collections.abc import Callable, Iterator
from io import BytesIO
from itertools import chain, islice
from operator import attrgetter
from pathlib import Path
from time import perf_counter
from typing import Any, Final

import numpy as np

from holymon.errors import LOST
from holymon.plan.plan import Plan
from holymon.records.appender import Appender, reading, unreadable
from holymon.records.attempt import DTYPE, Flag, Marks, frame
from holymon.records.client_health import MOST_SECONDS, ClientHealth, Floats, read
from holymon.records.frames import LONGEST_S, Frames, header, implausible
from holymon.records.headroom import HeadroomFile, Tally
from holymon.records.notes import Notes
from holymon.records.own_files import content, opened
from holymon.records.records import Records, from_marks
from holymon.safety import redact

FEWEST_SLOTS: Final = 256
AT_ONCE: Final = 1 << 20
_SLOT: Final = struct.Struct("<IB3xdd")
_NUMBER: Final = struct.Struct("<I")
_ABOUT: Final = struct.Struct("<B3xdd")
_MOST_SLOTS: Final = 2**18


class Underway:
    """Which calls were sent and have not ended, in a file that outlives a killed worker.

    It has as many slots as calls were ever under way at once, and is written as memory: it changes
    twice for each call, and only the death of the machine could lose that. What there is no room
    for is left out: the calls themselves go on.
    """

    def __init__(self, path: Path) -> None:
        """Create `path`."""
        flags = os.O_RDWR | os.O_CREAT | os.O_EXCL | getattr(os, "O_BINARY", 0)
        self._fd = os.open(path, flags, 0o600)
        self._map: mmap.mmap | bytearray = bytearray()
        self._room = 0
        self._slots: dict[int, int] = {}
        self._free: list[int] = []
        self._used = 0

    def begin(self, number: int, target: int, due: float, start: float) -> None:
        """Call `number` is about to be sent."""
        if self._free:
            slot = self._free.pop()
        else:
            slot, self._used = self._used, self._used + 1
        self._slots[number] = slot
        while slot >= self._room:
            if not self._grow():
                return
        # The number last: it makes the slot a taken one.
        _ABOUT.pack_into(self._map, slot * _SLOT.size + _NUMBER.size, target, due, start)
        _NUMBER.pack_into(self._map, slot * _SLOT.size, number + 1)

    def end(self, number: int) -> None:
        """Call `number` has ended, and is a record."""
        slot = self._slots.pop(number, None)
        if slot is not None:
            self._free.append(slot)
            if slot < self._room:
                _NUMBER.pack_into(self._map, slot * _SLOT.size, 0)

    def _grow(self) -> bool:
        """Make room for twice as many; False if there is none."""
        more = bytes(max(self._room, FEWEST_SLOTS) * _SLOT.size)
        size = self._room * _SLOT.size
        try:
            os.lseek(self._fd, size, os.SEEK_SET)
            # Written, not left as a hole: a hole that a full disk can't fill is a fatal signal.
            if os.write(self._fd, more) < len(more):
                return False
            self._unmap()
            self._map = mmap.mmap(self._fd, size + len(more))
        except (OSError, ValueError):
            return False
        self._room = len(self._map) // _SLOT.size
        return True

    def _unmap(self) -> None:
        if isinstance(self._map, mmap.mmap):
            self._map.close()
        self._map, self._room = bytearray(), 0

    def close(self) -> None:
        """Close the file."""
        self._unmap()
        os.close(self._fd)


class Journal:
    """What one worker writes."""

    def __init__(
        self, folder: Path, worker: int, zero: float = 0.0, masked: Callable[[str], str] = redact,
        words: Callable[[Marks], str] = attrgetter("message"), limits: Tally | None = None,
    ) -> None:  # fmt: skip
        """Create the worker's files; `zero` is the run's start on the clock of the marks.

        `masked` takes the keys of the run out of what a server sent, `words` gives those of a call,
        `limits` is what the caller knows of the APIs' limits.
        """
        self.zero = zero
        self._rescue = (
            f"holymon-{folder.parent.name[:80]}-{folder.name}-",
            f"-calls.{worker}-rest.journal",
        )
        self._header = header(worker)
        self._underway = Underway(folder / f"calls.{worker}.underway")
        self._calls = Appender(folder / f"calls.{worker}.journal")
        self._vitals = Appender(folder / f"vitals.{worker}.jsonl")
        self._notes = Notes(folder, worker, masked, words)
        self._limits = HeadroomFile(folder, worker, Tally() if limits is None else limits)
        self._calls.write(self._header)

    def begin(self, number: int, target: int, due: float) -> None:
        """Write down that a call is about to be sent."""
        zero = self.zero
        self._underway.begin(number, target, due - zero, perf_counter() - zero)

    def record(self, marks: Marks) -> None:
        """Write down one finished attempt."""
        self._calls.write(frame(marks, self.zero))
        self._underway.end(marks.request)
        if marks.error or marks.message or marks.end - marks.start > self._notes.slow_s:
            self._notes.take(marks)

    def vital(self, line: bytes) -> None:
        """Write down one second of the worker."""
        self._vitals.write(line)
        self._limits.write(perf_counter() - self.zero)

    @property
    def trouble(self) -> str:
        """What went wrong with writing, if anything."""
        return self._calls.trouble

    def close(self) -> None:
        """Close all files; what still can't be written goes to the system's temporary folder."""
        self._limits.close(perf_counter() - self.zero)
        for file in (self._calls, self._vitals, self._notes, self._underway):
            file.close()
        if self._calls.kept:
            self._save(b"".join(self._calls.kept))

    def _save(self, rest: bytes) -> None:
        # The header is in the kept part if not even that could be written.
        head = b"" if rest.startswith(self._header) else self._header
        before, after = self._rescue
        try:
            fd, path = tempfile.mkstemp(after, before)
            with os.fdopen(fd, "wb") as file:
                file.write(head + rest)
        except OSError as error:
            self._calls.trouble = f"{error.strerror}: {LOST}"
        else:
            self._calls.trouble = (
                f"the disk stayed full: the last records are in {path}, and count once that file "
                "lies in the run's folder under its name from 'calls' on"
            )


class Follower:
    """Reads the journals of a run while they grow."""

    def __init__(self, folder: Path, records: Records) -> None:
        """Read into `records`."""
        self._folder = folder
        self._records = records
        self._readers: dict[Path, tuple[Frames, int]] = {}

    def unfinished(self, plan: Plan) -> int:
        """Take in, as records, the calls that a killed worker left under way; how many they are.

        Only for a run that has ended, and once; `plan` is the run's.
        """
        records = self._records
        taken = [
            (number - 1, target, due, start)
            for path in sorted(self._folder.glob("calls.*.underway"))
            for number, target, due, start in _slots(path)
            if number and target < len(plan.targets) and abs(due) <= LONGEST_S >= abs(start)
        ]
        known = set(records["request"].tolist() if taken else ())
        left = [_left(*slot, plan) for slot in taken if slot[0] not in known]
        made = from_marks(records.targets, left)
        records.extend(made.rows, made.gap_pairs, made.gap_counts)
        return len(left)

    def poll(self) -> int:
        """Take in what was written since the last time; how many records are new."""
        before = len(self._records)
        for path in sorted(self._folder.glob("calls.*.journal")):
            frames, at = self._readers.get(path) or (Frames(), 0)
            with reading(path), contextlib.suppress(FileNotFoundError), opened(path) as file:
                # Or else compacted by another process: all is in Parquet.
                file.seek(at)
                while not frames.damaged and (data := file.read(AT_ONCE)):
                    at += len(data)
                    self._take(path, *frames.feed(data))
            self._readers[path] = (frames, at)
        return len(self._records) - before

    def _take(self, path: Path, rows: bytes, gaps: bytes, counts: list[int]) -> None:
        if wrong := implausible(np.frombuffer(rows, DTYPE), len(self._records.targets)):
            raise unreadable(path, wrong)
        self._records.append(rows, gaps, counts)

    @property
    def torn(self) -> int:
        """Bytes of unfinished records at the ends of the journals."""
        return sum(frames.torn for frames, _ in self._readers.values())


def _slots(path: Path) -> Iterator[tuple[Any, ...]]:
    data = b""
    with reading(path), contextlib.suppress(FileNotFoundError):  # as before
        data = content(path, _MOST_SLOTS * _SLOT.size)
    return _SLOT.iter_unpack(data[: len(data) - len(data) % _SLOT.size])


def _left(number: int, target: int, due: float, start: float, plan: Plan) -> Marks:
    marks = without_end(plan, number, target, due)
    marks.start, marks.error = start, "unfinished"
    return marks


def without_end(plan: Plan, number: int, target: int, due: float) -> Marks:
    """What is known by the plan alone of a call that nobody saw the end of."""
    marks = Marks(number, target, due)
    if plan.targets[target].streams(plan.prompts.stream):
        marks.flags |= Flag.STREAM
    if due < plan.warmup_s:
        marks.flags |= Flag.WARMUP
    return marks


def vitals(folder: Path) -> ClientHealth:
    """How the workers of a run were doing. Raises RunError if their files can't be read."""
    files = []
    for path in sorted(folder.glob("vitals.*.jsonl")):
        with reading(path):
            files.append(islice(BytesIO(content(path)), MOST_SECONDS))
    return read(chain.from_iterable(files))


def unfit(folder: Path) -> Floats:
    """From when to when a client was not fit to measure, shape (k, 2), in s."""
    return vitals(folder).unfit
