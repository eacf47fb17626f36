"""Attempts that have begun and are not over, so that a service is noticed that never answers."""

from weakref import ref

from holymon.records.attempt import Marks


class OpenCalls:
    """Those of one ledger, from any thread.

    An attempt that nobody holds any more is none of them: its end would never be seen.
    """

    def __init__(self) -> None:
        """Begin with none."""
        self._open: dict[int, tuple[ref[Marks], int]] = {}

    def begin(self, marks: Marks, target: int) -> None:
        """Take note of an attempt that is sent to the target of that position."""
        self._open[id(marks)] = (ref(marks), target)

    def end(self, marks: Marks) -> None:
        """Take note that it is over."""
        self._open.pop(id(marks), None)

    def begun(self) -> list[tuple[int, float]]:
        """Of each the position of its target, and when it was due."""
        calls = []
        for key, (known, target) in list(self._open.items()):
            marks = known()
            if marks is None:
                self._open.pop(key, None)
            else:
                calls.append((target, marks.due))
        return calls
