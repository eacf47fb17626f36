"""What is to be said of the machines that a run was shared out to: those that were lost, clocks."""

from collections.abc import Iterator, Sequence

from holymon.figures.reasons import Reason
from holymon.records.shares import MachineShare, together


def losses(shares: Sequence[MachineShare]) -> Iterator[Reason]:
    """What speaks against a run's figures of machines that were lost."""
    for share in shares:
        if share.loss:
            yield Reason("invalid" if share.unsent else "suspect", share.loss)


def notes_on(shares: Sequence[MachineShare]) -> tuple[str, ...]:
    """How well the machines agreed, and whose clock was corrected; nothing of one machine."""
    return tuple(filter(None, [together(shares), *(share.clock_note for share in shares)]))
