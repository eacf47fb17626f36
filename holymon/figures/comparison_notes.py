"""What to keep in mind with a comparison, and why nothing can be claimed by it, in sentences."""

from collections.abc import Iterator, Mapping, Sequence
from typing import Final

from holymon.figures.blocks import FEWEST_IN_BLOCK, FEWEST_PAIRS
from holymon.figures.pair_tests import Ratio
from holymon.figures.ratios import WIDEST
from holymon.figures.reasons import SHOWN, Fitness, Reason
from holymon.formatting import number_of
from holymon.language.said import Said, say
from holymon.safety import plain

ALIKE: Final = 0.3
"""From this autocorrelation of blocks on it is said: 0.3 halves their number."""


def not_claimed(pairs: int, *, interleaved: bool, one_run: bool) -> Iterator[str]:
    """Why so many pairs, measured like that, can't tell a difference."""
    if pairs < FEWEST_PAIRS and one_run:
        yield (
            say(
                "the run is too short to compare its targets: it takes {fewest_pairs} blocks "
                "of time with {fewest} calls of each, so at least {calls} "
                "calls of each target.", fewest_pairs=FEWEST_PAIRS, fewest=FEWEST_IN_BLOCK,
                calls=FEWEST_PAIRS * FEWEST_IN_BLOCK,
            )
        )  # fmt: skip
    elif pairs < FEWEST_PAIRS:
        yield (
            say(
                "{pairs} of measurements can't tell a difference from the hour of day: measure "
                "at least {fewest_pairs} alternately, or both targets in one run.",
                pairs=number_of(pairs, "pair"), fewest_pairs=FEWEST_PAIRS,
            )
        )  # fmt: skip
    elif not interleaved:
        yield (
            say(
                "A and B were not measured alternately, so what the hour of day did can't be told "
                "from what they did: measure A B A B, or both targets in one run."
            )
        )


def of_client(doubts: Mapping[str, Sequence[Reason]], level: Fitness) -> tuple[str, ...]:
    """What the client did to the runs, by their ids: each kind of reason once, with a count."""
    kinds: dict[object, list[tuple[str, Reason]]] = {}
    for run, reasons in doubts.items():
        for reason in reasons:
            if reason.level == level and not reason.of_api:
                kind = reason.text.template if isinstance(reason.text, Said) else ""
                kinds.setdefault(kind or reason.text, []).append((run, reason))
    sentences = []
    for those in kinds.values():
        run, reason = max(those, key=lambda each: each[1].late_s or 0.0)
        named = {"run": plain(run), "level": SHOWN[level], "text": reason.text}
        sentences.append(
            say("{run} is {level}: {text}", **named)
            if len(those) == 1
            else say("{count} of {every} runs are {level}, such as {run}: {text}",
                     count=len(those), every=len(doubts), **named)
        )  # fmt: skip
    return tuple(sentences)


def of_one_run(ratios: Sequence[Ratio]) -> tuple[str, ...]:
    """What can't be told from a difference where both were called in one stretch of time."""
    cautions = []
    most = max((ratio.autocorrelation or 0.0 for ratio in ratios), default=0.0)
    if most >= ALIKE:
        cautions.append(
            say(
                "blocks of time are like the ones before (autocorrelation {most:.2g}), so they "
                "count as fewer and the intervals are wider: a longer run tells more", most=most,
            )
        )  # fmt: skip
    if any(ratio.result in {"higher", "lower"} for ratio in ratios):
        drifts = [ratio.drift for ratio in ratios if ratio.drift]
        seen = drifts[0] if drifts else say("this is one stretch of time")
        cautions.append(
            say(
                "{seen}: a slow drift, or a slow hour, of one of the two alone looks like a "
                "difference between them; measure again at another hour", seen=seen,
            )
        )  # fmt: skip
    return tuple(cautions)


def too_few(ratios: Sequence[Ratio]) -> tuple[str, ...]:
    """Why some of the ratios of one run have no interval."""
    bare = [ratio for ratio in ratios if ratio.result == "too few blocks"]
    if not bare:
        return ()
    return (
        say(
            "too few blocks of time ({pairs}) for an interval of some ratios: it would "
            "reach over a factor of {widest:g}; a longer run tells more", pairs=bare[0].pairs,
            widest=WIDEST,
        ),
    )  # fmt: skip
