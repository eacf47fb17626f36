r"""At which side of a router a call is made, for whatever records it, through all layers between.

at("candidate") as there --> its attempt fails, and is held open --> at("fallback", there)
                                                                \-> there.ends()
"""

from collections.abc import Iterator
from contextlib import contextmanager
from contextvars import ContextVar
from typing import Final, Literal

from holymon.monitor.ledger import Ledger
from holymon.records.attempt import Marks

Side = Literal["baseline", "candidate", "shadow", "fallback"]
"""`shadow` is the candidate's copy of a call, `fallback` the baseline's of a call failed there."""

SOON_S: Final = 10.0
"""So soon after a failure a call is made at the other side, however busy a loop may be."""


class Place:
    """Where a call is made, and the attempt that failed there while it may go on elsewhere."""

    __slots__ = ("_before", "_held", "_open", "side")

    def __init__(self, side: Side | Literal[""] = "", before: "Place | None" = None) -> None:
        """A side, and the place where the same call failed `before`."""
        self.side, self._before, self._open = side, before, side == "candidate"
        self._held: tuple[Ledger, Marks, bool] | None = None

    def may_leave(self, marks: Marks) -> bool:
        """Whether a call whose attempt ended so may yet be made at the other side."""
        return self._open and marks.error not in {"", "cancelled"}

    def hold(self, ledger: Ledger, marks: Marks, until: float | None = None) -> None:
        """Hold an attempt open that may be followed there; `until` then also by its client."""
        ledger.hold(marks, marks.end + SOON_S if until is None else until)
        self._held = ledger, marks, until is not None

    def ends(self) -> None:
        """The call is made nowhere else."""
        held, self._held = self._held, None
        if held is not None and not held[2]:
            held[0].settle(held[1].request, retried=False)

    def close(self) -> None:
        """What fails from now on is not made elsewhere."""
        self._open = False

    def goes_on(self, ledger: Ledger) -> Marks | None:
        """The attempt at the other side that the one here follows on, if there is one."""
        held = None if self._before is None else self._before._held
        if held is None or held[0] is not ledger or held[1].start < ledger.zero:  # a parent's
            return None
        assert self._before is not None
        self._before._held = None
        ledger.settle(held[1].request, retried=True, elsewhere=True)
        return held[1]


PLACE: Final[ContextVar[Place]] = ContextVar("where a call is made", default=Place())  # noqa: B039


@contextmanager
def at(side: Side, before: Place | None = None) -> Iterator[Place]:
    """Calls that begin in this block are made at that side, after they failed `before`."""
    here = Place(side, before)
    token = PLACE.set(here)
    try:
        yield here
    finally:
        PLACE.reset(token)
        here.close()
