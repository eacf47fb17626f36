"""Whether a candidate serves the same model as the baseline: equal, different, or not shown.

*Different* is said where the words that both choose, or how often they are right, are further apart
than those of one model are in 95 of 100 comparisons: four fifths of the 5 % are for the words, one
for the right answers, and all candidates share them. *Equal* is said where no difference is shown
and one of `MARGIN` of the words would have been noticed in 95 of 100; all else is *not shown*. What
servers say of themselves (names, fingerprints, counts, stop reasons) stands beside it, and decides
only that who counts the same text otherwise is not equal.
"""

from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Final

from holymon.figures.bills import Amount
from holymon.figures.checked_answers import Calls, RightAnswers, right_answers
from holymon.figures.comparison import ALPHA
from holymon.figures.fingerprint import Choices, Fingerprints, fingerprints
from holymon.figures.roads import Road, TokenCounts, road_of_calls, token_counts
from holymon.figures.same_types import SameModel, Sameness, SelfReport, in_tokens
from holymon.figures.summary_types import TargetSummary
from holymon.formatting import count, percent, rounded
from holymon.language.said import say
from holymon.plan.checks import CHOICES, WORD, Check
from holymon.structs import Rate

MARGIN: Final = 0.25
OF_WORDS: Final = 0.8
"""Of the false alarms that are allowed, the share that tests of words may make."""

MOST_FAILED: Final = 0.1
"""Where more of the calls of a side fail, what is left need not be like the rest."""

_AROUND: Final = ".,:;!?*\"'`()[]"
_LONGEST_WORD: Final = 32
NONE_CHECKED: Final = say("no checked answers were asked for")


@dataclass(frozen=True, slots=True)
class Sides:
    """The names of baseline and candidate, their answers by question, and their figures if any."""

    names: tuple[str, str]
    calls: tuple[Calls, Calls]
    figures: tuple[TargetSummary, TargetSummary] | None = None


def same_model(
    sides: Sides, battery: Sequence[Check], *, candidates: int = 1, road: Road | None = None,
    unasked: str = "", cost_usd: float | None = None, simulated: bool = False,
) -> SameModel:  # fmt: skip
    """Judge a candidate, one of so many, by the questions of a `battery`.

    `road` is what a load shows of it, else the answers do. `unasked` says why there are none.
    """
    a, b = sides.calls
    level = ALPHA / candidates
    choices = _choices(battery, a, b)
    words = fingerprints(choices, level * OF_WORDS)
    right = right_answers(battery, a, b)
    both = [(a[n], b[n]) for n in sorted(a.keys() & b.keys())]
    prompts = token_counts(*_prompt_tokens(battery, a, b))
    way = road or road_of_calls(both)
    reports = _report(a), _report(b)
    result, why = _judged(sides.names, words, right, prompts, reports, level, unasked)
    correct = [_correct(sides.figures, side, right) for side in (0, 1)]
    notes = _notes(words, correct[0][0] is not None, level)
    return SameModel(
        *sides.names, result, (*why, *_repeated(sides.names, choices),
                               *_asides(sides.names, prompts, way, reports)), reports, way, prompts,
        words, right if right.p is not None else None,
        (correct[0][0], correct[1][0]), (correct[0][1], correct[1][1]), cost_usd, simulated, notes,
    )  # fmt: skip


def _choices(battery: Sequence[Check], a: Calls, b: Calls) -> list[tuple[list[str], list[str]]]:
    """The first words of both sides by prompt."""
    texts = dict.fromkeys(check.text for check in battery if check.kind == WORD)
    return [(_first_words(battery, text, a), _first_words(battery, text, b)) for text in texts]


def _first_words(battery: Sequence[Check], text: str, calls: Calls) -> list[str]:
    """The words that answers to a prompt begin with; one without any is none."""
    answers = [calls[n].text.split()[:1] for n, check in enumerate(battery)
               if check.text == text and n in calls and calls[n].ok]  # fmt: skip
    words = (word.strip(_AROUND)[:_LONGEST_WORD] for first in answers for word in first)
    return [word for word in words if word]


def _prompt_tokens(battery: Sequence[Check], a: Calls, b: Calls) -> tuple[list[int], list[int]]:
    """What both counted of each text once."""
    good = {battery[n].text: n for n in a.keys() & b.keys() if a[n].ok and b[n].ok}
    numbers = sorted(good.values())
    return [a[n].prompt_tokens for n in numbers], [b[n].prompt_tokens for n in numbers]


def _report(calls: Calls) -> SelfReport:
    good = [call for call in calls.values() if call.ok]
    return SelfReport(
        len(calls), dict(Counter(call.error_type for call in calls.values() if not call.ok)),
        sum(call.finish == "content_filter" for call in good),
        *(dict(Counter(filter(None, (getattr(call, name) for call in good))))
          for name in ("served", "fingerprint", "finish")),
    )  # fmt: skip


def _judged(
    names: tuple[str, str], words: Fingerprints, right: RightAnswers, prompts: TokenCounts,
    reports: tuple[SelfReport, SelfReport], level: float, unasked: str,
) -> tuple[Sameness, list[str]]:  # fmt: skip
    """The verdict and the sentences that it rests on, what decides first."""
    if not any(report.of for report in reports):
        return "not shown", [unasked or NONE_CHECKED]
    apart, alike = _compared(names, words, right, level)
    if apart:
        return "different", [*apart, *alike]
    doubts = _doubts(names, words, right, prompts, reports)
    return ("not shown" if doubts else "equal"), [*doubts, *alike]


def _compared(
    names: tuple[str, str], words: Fingerprints, right: RightAnswers, level: float
) -> tuple[list[str], list[str]]:
    """What is shown to be different, and what is not."""
    apart, alike = list[str](), list[str]()
    names_of = {"a": names[0], "b": names[1]}
    if words.p is not None:
        p, moved = rounded(words.p, 2), percent(words.moved)
        if words.p <= level * OF_WORDS:
            apart.append(say("{b} chooses other words than {a}: about {moved} of the choices "
                             "differ (p = {p})", moved=moved, p=p, **names_of))  # fmt: skip
        elif words.noticed is not None:
            alike.append(say("{b} chooses words as {a} does (p = {p}); if {noticed} of the choices "
                             "were others, it would have been noticed", p=p,
                             noticed=percent(words.noticed), **names_of))  # fmt: skip
    if right.p is not None:
        many = {"x": percent(right.a.value), "y": percent(right.b.value), "of": count(right.a.of),
                "p": rounded(right.p, 2)}  # fmt: skip
        if right.p <= level * (1 - OF_WORDS):
            apart.append(say("{b} answers {y} of {of} questions rightly, {a} {x} (p = {p})",
                             **many, **names_of))  # fmt: skip
        else:
            alike.append(say("of {of} questions {a} answers {x} rightly, and {b} {y}: no "
                             "difference shown (p = {p})", **many, **names_of))  # fmt: skip
    return apart, alike


def _doubts(
    names: tuple[str, str], words: Fingerprints, right: RightAnswers, prompts: TokenCounts,
    reports: tuple[SelfReport, SelfReport],
) -> list[str]:  # fmt: skip
    """Why it can't be said that there is no difference."""
    doubts: list[str] = [
        say("{failed} of {of} checked calls of {name} failed ({errors})", name=name,
            failed=count(report.failed), of=count(report.of), errors=", ".join(report.errors))
        for name, report in zip(names, reports, strict=True)
        if report.failed > MOST_FAILED * report.of
    ]  # fmt: skip
    if words.p is None or words.prompts < len(CHOICES):
        doubts.append(say("too few answers began with a word (models that think first have none in "
                          "one token)"))  # fmt: skip
    elif words.noticed is None or words.noticed > MARGIN:
        least = words.noticed if words.noticed is not None else 1.0
        doubts.append(say("so few choices would show only that {noticed} of them differ, and "
                          "{margin} is what counts: ask for more checks",
                          noticed=percent(least), margin=percent(MARGIN)))  # fmt: skip
    if right.p is None:
        doubts.append(say("no question was answered by both"))
    if prompts.otherwise:
        words_of = {"a": names[0], "b": names[1], "counts": in_tokens(prompts)}
        doubts.append(say("the answers are alike, but {b} counts other numbers of tokens than {a}: "
                          "{counts}", **words_of))  # fmt: skip
    return doubts


def _asides(
    names: tuple[str, str], prompts: TokenCounts, way: Road,
    reports: tuple[SelfReport, SelfReport],
) -> list[str]:  # fmt: skip
    """What else is seen of the road, whatever the model is."""
    texts = list[str]()
    about = {"a": names[0], "b": names[1]}
    if prompts.more:
        more = say("{b} counts {n} prompt tokens more than {a} in each request, whatever its text: "
                   "a hidden prompt, or another template around it", n=count(prompts.more),
                   **about)  # fmt: skip
        fewer = say("{b} counts {n} prompt tokens fewer than {a} in each request, whatever its "
                    "text: another template around it", n=count(-prompts.more),
                    **about)  # fmt: skip
        texts.append(more if prompts.more > 0 else fewer)
    if prompts.otherwise:
        texts.append(say("{b} counts other prompt tokens of the same texts, {counts}: another "
                         "tokenizer, or a bill of its own", counts=in_tokens(prompts),
                         **about))  # fmt: skip
    for name, rate in zip(names, way.one_piece, strict=True):
        if rate.value is not None and rate.value >= 0.5:
            piece = say("{share} of {name}'s streams come in one piece: who reads along sees "
                        "nothing until the end", share=percent(rate.value), name=name)  # fmt: skip
            texts.append(piece)
    served = [set(report.served) for report in reports]
    if all(served) and not served[0] & served[1]:
        texts.append(say("the two name their models differently: {x} and {y}",
                         x=min(served[0]), y=min(served[1])))  # fmt: skip
    return texts


def _repeated(names: tuple[str, str], choices: Sequence[Choices]) -> list[str]:
    """Whether one side says the same again and again, where the other one does not."""
    many = [[len(set(each[side])) for each in choices] for side in (0, 1)]
    return [
        say("{name} always chooses the same word for a prompt, as answers from a cache do",
            name=names[k])
        for k in (0, 1) if set(many[k]) == {1} and sum(n > 1 for n in many[1 - k]) > 1
    ]  # fmt: skip


def _correct(
    figures: tuple[TargetSummary, TargetSummary] | None, side: int, right: RightAnswers
) -> tuple[Amount | None, Amount | None]:
    """Of all calls the share within the limits and right, and such answers per second.

    As if what is slow were right as often; without limits on a call every success is within them.
    The ends are the products of the ends of both, which covers more than either alone.
    """
    rate = (right.a, right.b)[side]
    if figures is None or rate.value is None or rate.low is None or rate.high is None:
        return None, None
    of = figures[side]
    good, per_s, name = of.goodput, of.goodput_per_s, "goodput_per_s"
    if good.value is None:
        good, per_s, name = _succeeded(of.error_rate), of.requests_per_s, "requests_per_s"
    share, ends = None, of.throughput_ci.get(name)
    if good.value is not None and good.low is not None and good.high is not None:
        share = Amount(good.value * rate.value, good.low * rate.low, good.high * rate.high)
    if per_s is None:
        return share, None
    low, high = ends or (None, None)
    return share, Amount(per_s * rate.value, None if low is None else low * rate.low,
                         None if high is None else high * rate.high)  # fmt: skip


def _succeeded(failed: Rate) -> Rate:
    low, value, high = (None if end is None else 1 - end for end in
                        (failed.high, failed.value, failed.low))  # fmt: skip
    return Rate(value, low, high, failed.of)


def _notes(words: Fingerprints, priced: bool, level: float) -> tuple[str, ...]:
    """How to read it."""
    shares = {"level": percent(level), "margin": percent(MARGIN)}
    notes = [say("one and the same model is called different in at most {level} of such "
                 "comparisons; equal means that {margin} of the choices of words being others "
                 "would have been noticed in 95 of 100", **shares)]  # fmt: skip
    if words.p is None:
        notes.clear()
    if priced:
        notes.append(say("right and within limits: calls within the limits on a call, times right "
                         "answers, as if slow ones were right as often"))  # fmt: skip
    return tuple(notes)
