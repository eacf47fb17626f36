"""What is to be said of the machines that a run was shared out to: those that were lost, clocks."""

from collections.abc import Iterator, Sequence

from holymon.figures.reasons import Reason
from holymon.formatting import number_of, rounded
from holymon.language.said import say
from holymon.plan.plan import Open, Plan
from holymon.records.shares import MachineShare, together


def losses(
    shares: Sequence[MachineShare], plan: Plan, made: int | None, *, unled: bool
) -> Iterator[Reason]:
    """What speaks against a run's figures of machines that were lost, or that nobody led any more.

    `made` is how many calls have a record, if that is known.
    """
    waiting = any(share.folder for share in shares)
    if unled and waiting and made is not None and isinstance(plan.load, Open):
        absent = len(plan.schedule()[1]) * plan.prompts.turns - made
        if absent > 0:
            yield Reason("invalid", say(
                "{calls} of the plan have no record here: the process that led the run was killed.",
                calls=number_of(absent, "call"),
            ))  # fmt: skip
    for share in shares:
        if share.loss:
            yield Reason("invalid" if share.unsent else "suspect", share.loss)
        if kept := share.kept(unled=unled):
            yield Reason("suspect", kept)


def notes_on(shares: Sequence[MachineShare], step_s: float = 0.0) -> tuple[str, ...]:
    """How well the machines agreed, and whose clock was corrected; of one, if its clock was set."""
    notes = [together(shares), *(share.clock_note for share in shares), _on_step(step_s)]
    return tuple(filter(None, notes))


def _on_step(step_s: float) -> str:
    s = rounded(abs(step_s))
    if step_s > 0:
        return say(
            "the clock of this machine was set forward by {s} s meanwhile, or the machine slept: "
            "durations are by another clock, moments by this one as it was at the start.", s=s,
        )  # fmt: skip
    if step_s < 0:
        return say(
            "the clock of this machine was set back by {s} s meanwhile: durations are by another "
            "clock, moments by this one as it was at the start.", s=s,
        )  # fmt: skip
    return ""
