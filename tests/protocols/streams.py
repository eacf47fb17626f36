"""Readings of streams, as a load makes them."""

from holymon.protocols.dialect import Dialect
from holymon.protocols.reading import Reading
from holymon.records.attempt import Marks

HEADERS = {"content-type": "text/event-stream"}


def begun(dialect: Dialect, *, keep: bool = False) -> Reading:
    """The reading of a stream whose head has come."""
    reading = Reading(Marks(0, 0, 0.0), dialect, stream=True, keep=keep)
    reading.head(0.0, 200, lambda name: HEADERS.get(name, ""))
    return reading


def read(dialect: Dialect, *pieces: bytes) -> tuple[str, Reading]:
    """The error type and the reading of a stream of which a piece came every second."""
    reading = begun(dialect)
    for at, piece in enumerate(pieces):
        if reading.piece(float(at), piece):
            break
    return reading.end(float(len(pieces))), reading
