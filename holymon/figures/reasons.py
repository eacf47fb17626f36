"""What speaks against a measurement: the client, how the run ended, calls late or never sent.

The limits are those of docs and practice gathered before: event loop lag (warn at 10 ms or 5 %
of the median TTFT), schedule delay (10 % of the p99 it would falsify), 98 % of the wanted rate,
90 % of a core, a core that others had for a quarter of the wanted time if that cost 1 ms each time,
six calls for the interval of a median. Delays below `UNSEEN_S` are no more than
the resolution of the loop's timer.

Of bad seconds the share of the calls that fell in them is judged, not the worst of them. With over
a tenth (`MUCH`) even p90 may be the client's own; with over a twentieth (`SOME`), or where a
percentile is a tenth off without those calls, p95 and p99 may be. Less is a note that says what
figures are without them. At a chance of one in a thousand for each second at most 2 % of runs of
any length are suspect for nothing; judged by the worst second, 97 % of hours were.
"""

from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from itertools import chain
from typing import Final, Literal

from holymon.errors import ERRORS, LOST, NOT_THE_SERVER, UNREACHABLE
from holymon.figures import hints
from holymon.figures.disturbance import Disturbance
from holymon.figures.quantiles import PERCENTILES, fewest_for_interval
from holymon.figures.summary_types import Summary, TargetSummary
from holymon.formatting import number_of, percent, rounded
from holymon.language.said import glued, say, say_n, vocabulary, without_stop
from holymon.plan.plan import Open, Plan
from holymon.records.client_health import ClientHealth
from holymon.records.first_call import FirstCall
from holymon.records.run_state import LIVE

Fitness = Literal["valid", "suspect", "invalid"]
FITNESS: Final[tuple[Fitness, ...]] = ("valid", "suspect", "invalid")
SHOWN: Final = vocabulary("valid", "suspect", "invalid")
"""How they are shown."""

LAG_S: Final = 0.010
LAG_OF_TTFT: Final = 0.05
STOOD: Final = 0.01
MUCH: Final = 0.10
SOME: Final = 0.05
DELAY_OF_P99: Final = 0.10
ACHIEVED: Final = 0.98
UNSEEN_S: Final = 0.003
FEWEST_FOR_RATE: Final = 20
FEWEST: Final = fewest_for_interval(0.5)


@dataclass(frozen=True, slots=True)
class Reason:
    """One finding on the measurement: how bad, and a sentence.

    `of_api` tells one that is the API's doing: no latency can be quoted, but the client was fit.
    `late_s`: if all that it says is that the client was late, by how many seconds, at most, each
    moment that it noted may be.
    """

    level: Fitness
    text: str
    of_api: bool = False
    late_s: float | None = None

    @property
    def line(self) -> str:
        """The sentence behind its level."""
        return glued(SHOWN[self.level], ": ", self.text)


def against(
    summary: Summary, plan: Plan, vitals: ClientHealth, state: str, trouble: str, early: str,
    refused: Mapping[str, FirstCall], touched: Disturbance | None, *, full: bool = True,
) -> tuple[Reason, ...]:  # fmt: skip
    """All that speaks against a run's figures, given how its client was doing and how it ended.

    `refused` are first calls that ended the run, by their targets; `touched` is what bad seconds
    of the client did; `full`: calls that were not sent found no room.
    """
    left = sum(target.errors.get("unfinished", 0) for target in summary.targets)
    return (
        *of_loop(vitals, (target.ttft_s.p50 for target in summary.targets)),
        *_of_seconds(vitals, touched),
        *_of_run(state, trouble, left, early),
        *chain.from_iterable(
            _of_first_call(refused[target.target], plan)
            if target.target in refused
            else _of_target(target, plan, live=state in LIVE, full=full)
            for target in summary.targets
        ),
    )


def blocked(target: TargetSummary) -> int | None:
    """The exit code for a target of which no call could succeed."""
    failed = {name for name in target.errors if name not in NOT_THE_SERVER}
    if target.ok or not failed:
        return None
    if failed <= UNREACHABLE:
        return 4
    return 2 if all(ERRORS[name].blame == "caller" for name in failed) else None


def of_loop(vitals: ClientHealth, ttfts: Iterable[float | None]) -> Iterator[Reason]:
    """What the event loop did to durations; `ttfts` are medians (s) that it must not falsify."""
    lag = vitals.lag(0.99)
    known = [LAG_OF_TTFT * ttft for ttft in ttfts if ttft is not None]
    limit = max(min([LAG_S, *known]), UNSEEN_S)
    if lag is not None and lag > limit:
        yield Reason(
            "suspect",
            say(
                "the client's event loop woke up to {lag} late (p99; limit {limit}): times may "
                "be too long by that much.",
                lag=_ms(lag),
                limit=_ms(limit),
            ),
            late_s=_latest(vitals),
        )
    elif vitals.stood > STOOD:
        yield Reason(
            "suspect",
            say(
                "the client stood still for {max}: times of that moment are its own, and so "
                "may the longest ones be.",
                max=_ms(vitals.lag_s.max()),
            ),
            late_s=_latest(vitals),
        )


def _of_seconds(vitals: ClientHealth, touched: Disturbance | None) -> Iterator[Reason]:
    """What seconds in which the client was not fit did, by the share of calls in them."""
    if touched is None:
        return
    for kind, share in touched.share.items():
        if kind == "stood" or not (share > SOME or _moved(touched)):
            continue
        seconds = touched.kinds[kind]
        here = say(
            ", in {seconds:,} of {of_seconds:,} s", seconds=seconds, of_seconds=touched.of_seconds
        ) * (share < 1)
        invalid = kind == "busy" and share > MUCH
        late_s = None if kind == "busy" else _latest(vitals)
        text = _of_kind(kind, vitals, here)
        yield Reason("invalid" if invalid else "suspect", text, late_s=late_s)


def _latest(vitals: ClientHealth) -> float:
    """How late the client may have noted a moment, at most, in seconds."""
    return float(max(vitals.lag_s.max(initial=0), vitals.pause_s.max(initial=0)))


def _of_kind(kind: str, vitals: ClientHealth, here: str) -> str:
    if kind == "busy":
        return say(
            "the client used {max} of a core{here}: it, not the API, may be the limit; "
            "lower the rate or use --workers.",
            max=percent(vitals.cpu.max()),
            here=here,
        )
    if kind == "paused":
        return say(
            "garbage collection stopped the client for {max}{here}.",
            max=_ms(vitals.pause_s.max()),
            here=here,
        )
    # A large share of next to nothing is next to nothing: what it cost is what counts.
    starved = vitals.seconds["starved"]
    late, share = vitals.late_s[starved].max(), vitals.waited[starved].max()
    return say(
        "other processes had the client's core for {share} of the time it wanted "
        "to run, so it woke {late} late on average{here}: end them, or measure from "
        "another machine.",
        share=percent(share),
        late=_ms(late),
        here=here,
    )


def _moved(touched: Disturbance) -> bool:
    """Whether a percentile is another without the calls that fell in bad seconds."""
    return any(
        abs(shift.without - shift.value) > max(DELAY_OF_P99 * shift.value, UNSEEN_S)
        for shift in touched.shifts
    )


def _of_run(state: str, trouble: str, left: int, early: str) -> Iterator[Reason]:
    if left or state == "interrupted":
        lost = say(
            ": {calls} under way then, recorded as unfinished", calls=number_of(left, "call")
        ) * (left > 0)
        yield Reason("suspect", say("the run was interrupted{lost}.", lost=lost))
    elif state == "stopped":
        yield Reason("suspect", say("the run was stopped before its end."))
    elif state == "failed":
        yield Reason("invalid", say("the run failed before its end."))
    elif early:
        yield Reason("suspect", say("not all that was planned was sent: {early}.", early=early))
    if trouble.endswith(LOST):
        yield Reason(
            "invalid", say("calls that had finished are lost: {trouble}.", trouble=trouble)
        )
    elif trouble:
        yield Reason(
            "suspect", say("writing records failed for a while: {trouble}.", trouble=trouble)
        )


def _of_first_call(call: FirstCall, plan: Plan) -> Iterator[Reason]:
    target = next(candidate for candidate in plan.targets if candidate.name == call.target)
    about = hints.clause(call.error_type, call.message, target, answered=False)
    text = say(
        "{target}: the first call failed with {kind}{about}.", target=call.target, kind=call.kind,
        about=without_stop(about),
    )  # fmt: skip
    yield Reason("invalid", text, of_api=True)


def _of_target(
    target: TargetSummary, plan: Plan, *, live: bool, full: bool = True
) -> Iterator[Reason]:
    """What speaks against a target's figures; `full`: what was not sent found no room."""
    name = target.target
    if target.requests == 0:
        yield (
            Reason("suspect", say("{name}: no call has ended yet.", name=name))
            if live
            else Reason("invalid", say("{name}: no call was made.", name=name))
        )
        return
    if target.ok == 0:
        called = next(candidate for candidate in plan.targets if candidate.name == name)
        why = hints.why(target, called) or say("so there is no latency to report")
        yield Reason(
            "invalid", say("{name}: no call succeeded, {why}.", name=name, why=why), of_api=True
        )
    elif target.ok < FEWEST:
        few = say("only {calls} succeeded", calls=number_of(target.ok, "call"))
        yield Reason(
            "suspect",
            say(
                "{name}: {few}: even a median needs {fewest} for its interval.",
                name=name,
                few=few,
                fewest=FEWEST,
            ),
        )
    if dropped := target.errors.get("client_dropped", 0):
        text = say(
            "{name}: {calls} due but not sent: what they would have met is unknown.",
            name=name, calls=number_of(dropped, "call"),
        ) if not full else say_n(
            dropped,
            "{name}: {n:,} call was due but not sent, too many were unanswered: what they "
            "would have met is unknown.",
            "{name}: {n:,} calls were due but not sent, too many were unanswered: what they "
            "would have met is unknown.",
            name=name,
        )  # fmt: skip
        yield Reason("invalid", text)
    yield from _of_delay(target)
    yield from _of_rate(target, plan)


def _of_delay(target: TargetSummary) -> Iterator[Reason]:
    """Calls that left late, by the highest percentile that the sample can carry."""
    for level in reversed(PERCENTILES):
        delay, latency = getattr(target.schedule_delay_s, level), getattr(target.latency_s, level)
        if delay is not None and latency is not None:
            limit = max(DELAY_OF_P99 * latency, UNSEEN_S)
            if delay > limit:
                text = say(
                    "calls were sent up to {delay} late ({level}; limit {limit})",
                    delay=_ms(delay),
                    level=level,
                    limit=_ms(limit),
                )
                yield Reason("invalid", glued(target.target, ": ", text, "."))
            return


def _of_rate(target: TargetSummary, plan: Plan) -> Iterator[Reason]:
    sent, wanted = target.sent_per_s, target.wanted_per_s
    if not isinstance(plan.load, Open) or sent is None or wanted is None:
        return
    if target.requests >= FEWEST_FOR_RATE and sent < ACHIEVED * wanted:
        text = say(
            "{sent} calls/s were sent, {wanted} were wanted",
            sent=rounded(sent),
            wanted=rounded(wanted),
        )
        yield Reason("invalid", glued(target.target, ": ", text, "."))


def _ms(seconds: float) -> str:
    return glued(rounded(seconds * 1e3), " ms")
