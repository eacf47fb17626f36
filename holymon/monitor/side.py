"""At which side of a router a call is made, for whatever records it, through all layers between."""

from collections.abc import Iterator
from contextlib import contextmanager
from contextvars import ContextVar
from typing import Final, Literal

Side = Literal["baseline", "candidate", "shadow", "fallback"]
"""`shadow` is the candidate's copy of a call, `fallback` the baseline's of a call failed there."""

SIDE: Final[ContextVar[str]] = ContextVar("the side of a router that a call is made at", default="")


@contextmanager
def at(side: Side) -> Iterator[None]:
    """Calls that begin in this block are made at that side."""
    token = SIDE.set(side)
    try:
        yield
    finally:
        SIDE.reset(token)
