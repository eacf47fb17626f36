"""What a move measured, span of time by span: values that add up, in bounded number.

    recorded(spans, outcomes, step, ...) -> spans

A span is as long as a block at first. When a step has `MOST_OF_STEP` of them, each two become a
longer one; of the oldest steps only one each is kept, and after `MOST` they go.
"""

import math
from collections.abc import Iterable, Sequence
from itertools import groupby
from typing import Annotated, Final

import msgspec

from holymon.figures.log_counts import counts_of, text_of, with_more
from holymon.figures.move_figures import SideSums
from holymon.monitor.course import MoveSteps, Outcome, missed

SIDES: Final = ("baseline", "candidate", "shadow", "fallback")
MOST_OF_STEP: Final = 24
MOST: Final = 240

Moment = Annotated[float, msgspec.Meta(ge=0, le=1e11)]
"""In s since 1970: one that a calendar has."""


class MoveSpan(msgspec.Struct, frozen=True, omit_defaults=True):
    """What came to its end from `begin` to `end` (s since 1970), by side, in one step of a move.

    `step` is when that began; `blocks` is how many blocks of time this one takes.
    """

    step: Moment
    begin: Moment
    end: Moment
    sides: dict[str, SideSums] = {}
    blocks: int = 1


def recorded(
    spans: Sequence[MoveSpan], outcomes: Iterable[Outcome], step: float, now: float,
    course: MoveSteps,
) -> tuple[MoveSpan, ...]:  # fmt: skip
    """The spans with some outcomes more, all of them of the step that began at `step`."""
    fresh = _sides(outcomes, course)
    if not fresh:
        return tuple(spans)
    kept, same = [*spans], [each for each in spans if each.step == step]
    length = course.block_s * (same[0].blocks if same else 1)
    last = same[-1] if same and same[-1] is kept[-1] else None
    if last is not None and now - last.begin < length:
        kept[-1] = _sum(
            last, MoveSpan(step, last.begin, max(now, last.end), fresh), blocks=last.blocks
        )
        return tuple(kept)
    if len(same) >= MOST_OF_STEP:
        others = [each for each in kept if each.step != step]
        pairs = zip(same[::2], [*same[1::2], None], strict=False)
        kept = others + [a if b is None else _sum(a, b) for a, b in pairs]
    blocks = next((each.blocks for each in kept if each.step == step), 1)
    begin = max(step, now - max(course.block_s, 1.0), last.end if last else 0.0)
    return _bounded([*kept, MoveSpan(step, min(begin, now), now, fresh, blocks)])


def _bounded(kept: list[MoveSpan]) -> tuple[MoveSpan, ...]:
    if len(kept) <= MOST:
        return tuple(kept)
    steps = [[*of_step] for _, of_step in groupby(kept, key=lambda each: each.step)]
    oldest = next((k for k, of_step in enumerate(steps[:-1]) if len(of_step) > 1), None)
    if oldest is None:
        return tuple(kept[1:])
    whole, *more = steps[oldest]
    for each in more:
        whole = _sum(whole, each)
    steps[oldest] = [whole]
    return tuple(each for of_step in steps for each in of_step)


def _sum(a: MoveSpan, b: MoveSpan, blocks: int = 0) -> MoveSpan:
    sides = dict(a.sides)
    for name, sums in b.sides.items():
        sides[name] = together((sides[name], sums)) if name in sides else sums
    return MoveSpan(a.step, a.begin, b.end, sides, blocks or a.blocks + b.blocks)


def together(sums: Sequence[SideSums]) -> SideSums:
    """The sums of several sides or spans as one."""
    slo: dict[str, tuple[int, int]] = {}
    for each in sums:
        for text, (asked_of, lost) in each.slo.items():
            n, many = slo.get(text, (0, 0))
            slo[text] = n + asked_of, many + lost
    return SideSums(
        sum(each.calls for each in sums), sum(each.failed for each in sums),
        sum(each.priced for each in sums), sum(each.cost for each in sums),
        sum(each.squares for each in sums),
        text_of(counts_of(*(each.latency for each in sums))),
        text_of(counts_of(*(each.ttft for each in sums))), slo,
    )  # fmt: skip


def _sides(outcomes: Iterable[Outcome], course: MoveSteps) -> dict[str, SideSums]:
    by_side: dict[str, list[Outcome]] = {}
    for outcome in outcomes:
        if outcome.of in SIDES:
            by_side.setdefault(outcome.of, []).append(outcome)
    return {name: _sums(ended, course) for name, ended in by_side.items()}


def _sums(outcomes: list[Outcome], course: MoveSteps) -> SideSums:
    costs = [each.cost for each in outcomes if not math.isnan(each.cost)]
    well = [each for each in outcomes if not each.failed]
    slo: dict[str, tuple[int, int]] = {}
    for objective in course.objectives:
        held = [lost for each in outcomes if (lost := missed(each, objective)) is not None]
        slo[objective.text] = len(held), sum(held)
    return SideSums(
        len(outcomes), len(outcomes) - len(well), len(costs), sum(costs),
        sum(cost * cost for cost in costs), with_more("", (each.latency_s for each in well)),
        with_more("", (each.ttft_s for each in well)), slo,
    )  # fmt: skip
