"""The verdict on a run: was the client fit to measure, are the objectives met.

`invalid` means: do not quote these figures, the client (not the API) may have made them.
`suspect` means: quote them with the reason beside them. Failures of the API do not make a
measurement invalid; calls that were never sent, or sent late, do.
"""

import math
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from types import MappingProxyType
from typing import Any, Final

from holymon.figures.all_calls import OF_SUCCESSES, duration
from holymon.figures.disturbance import Disturbance, disturbance
from holymon.figures.machines import losses, notes_on
from holymon.figures.quantiles import PERCENTILES
from holymon.figures.reasons import FITNESS, Fitness, Reason, against, blocked
from holymon.figures.summary_types import Summary, TargetSummary
from holymon.formatting import Table, percent, rounded
from holymon.language.said import glued, heads, say
from holymon.plan import slo
from holymon.plan.plan import Plan
from holymon.records.client_health import ClientHealth
from holymon.records.first_call import FirstCall
from holymon.records.records import Records
from holymon.records.shares import MachineShare
from holymon.structs import Interval, shows_table

_MEASUREMENT: Final = {
    "valid": say("measurement: VALID"), "suspect": say("measurement: SUSPECT"),
    "invalid": say("measurement: INVALID"),
}  # fmt: skip

MANY: Final = 4
"""So many targets are not named one by one where a sentence is of all of them."""


@dataclass(frozen=True, slots=True)
class ObjectiveCheck:
    """One objective on one target; `met` is None where there is no figure to judge by.

    `sure` says whether the whole 95 % interval is on the same side of the limit; a percentile
    without an interval is never sure.
    """

    slo: str
    target: str
    value: float | None
    interval: Interval | None
    met: bool | None
    sure: bool
    text: str

    over: float | None = None
    """Where `value` is inf, since that many calls failed: what it is more than, as far as known."""

    of: str = ""
    """Which calls a duration is of; empty for other figures."""

    @property
    def figure(self) -> str:
        """The figure in the unit of its kind; a duration that no number bounds is `never`."""
        objective = slo.parse(self.slo)
        if not objective.stat:
            return percent(self.value) if "rate" in objective.metric else rounded(self.value)
        return duration(self.value, self.over, " ms")

    @property
    def outcome(self) -> str:
        """What became of it, in a word or two."""
        known = {True: say("met"), False: say("MISSED")}
        return known[self.met] if self.met is not None else say("no figure to judge by")

    @property
    def cells(self) -> tuple[str, ...]:
        """Its row in a table: objective, target, the figure in the unit of its kind, outcome."""
        unsure = self.met is not None and not self.sure
        doubt = say(" (not certain: it takes more calls)") * unsure
        return self.slo, self.target, self.figure, self.outcome + doubt

    def to_dict(self) -> dict[str, Any]:
        """The objective as JSON has it, under `slo`."""
        return {
            "slo": self.slo, "target": self.target, "value": self.value,
            "ci": list(self.interval) if self.interval else None,
            "met": self.met, "sure": self.sure, "text": self.text, "over": self.over, "of": self.of,
        }  # fmt: skip


@shows_table
@dataclass(frozen=True, slots=True)
class Verdict:
    """Whether the figures can be trusted, why not, and what became of the objectives."""

    measurement: Fitness
    reasons: tuple[Reason, ...]
    checks: tuple[ObjectiveCheck, ...]
    notes: tuple[str, ...]
    proxies: tuple[str, ...] = ()
    """Of `notes`, those on the proxies that calls went through."""

    blocked: int | None = None
    touched: Disturbance | None = None
    """What seconds in which the client was not fit did to the figures; None if there were none."""

    early: bool = False
    """Whether no call has ended yet, so that there is nothing to judge."""

    @property
    def missed(self) -> bool:
        """Whether any objective is shown to be missed."""
        return any(check.met is False for check in self.checks)

    @property
    def met(self) -> bool:
        """Whether every objective is shown to be met; one without a figure is not."""
        return all(check.met for check in self.checks)

    @property
    def client(self) -> Fitness:
        """How fit the client was: `measurement`, without what the API did."""
        return _worst(reason for reason in self.reasons if not reason.of_api)

    @property
    def late_s(self) -> float | None:
        """By how much durations may be too long, in seconds, if the client was late and no more.

        None for a client that was not fit in another way, too.
        """
        late = [reason.late_s for reason in self.reasons if not reason.of_api]
        # A duration has two ends, and both may have been noted late.
        return None if None in late else 2 * max((s for s in late if s is not None), default=0.0)

    @property
    def about_client(self) -> tuple[str, ...]:
        """Of `notes`, the one on calls that fell in bad seconds of the client, if any did."""
        return about_client(self.touched)

    @property
    def exit_code(self) -> int:
        """3 for an invalid measurement, 1 for a missed objective, else 0.

        2 if a target refused every call for the caller's reasons (key, model, request), 4 if none
        of them ever had a connection.
        """
        if self.blocked is not None:
            return self.blocked
        if self.measurement == "invalid":
            return 3
        return 0 if self.met else 1

    @property
    def table(self) -> Table:
        """The verdict with its reasons, a row for each objective, and why figures are missing."""
        reasons = (reason.line for reason in self.reasons)
        return Table(
            heads("objective", "target", "is", "") if self.checks else (),
            [check.cells for check in self.checks],
            "llrl",
            lead=(_MEASUREMENT[self.measurement], *reasons),
            notes=self.notes,
        )

    def to_dict(self) -> dict[str, Any]:
        """The JSON form that the contract names; `reasons` are sentences behind their level."""
        return {
            "measurement": self.measurement,
            "reasons": [reason.line for reason in self.reasons] + list(self.notes),
            "slo": [check.to_dict() for check in self.checks],
        }


def judge(
    summary: Summary, plan: Plan, vitals: ClientHealth, state: str = "finished", trouble: str = "",
    early: str = "", first_calls: tuple[FirstCall, ...] = (),
    proxies: Mapping[str, str] = MappingProxyType({}), shares: Sequence[MachineShare] = (),
    step_s: float = 0.0, records: Records | None = None,
) -> Verdict:  # fmt: skip
    """The verdict on a run from its figures, its client, its first calls, and how it ended.

    `proxies` are those that targets were called through, by their names, `shares` the machines that
    made the calls, if that was not one alone, `step_s` how far its clock was set if it was.
    `records` tell which calls fell in bad seconds of the client; without them, only the seconds are
    judged.
    """
    touched = disturbance(vitals, records)
    refused = {call.target: call for call in first_calls if call.ended}
    against_it = against(summary, plan, vitals, state, trouble, "" if refused else early, refused,
                         touched, full=not any(share.unsent for share in shares))  # fmt: skip
    made = None if records is None else len(records)
    lost = losses(shares, plan, made, unled=state == "interrupted")
    reasons = (*lost, *against_it)
    measurement = _worst(reasons)
    through = tuple(
        say(
            "{target}: called through the proxy {proxy}: all times are with it.",
            target=target,
            proxy=proxy,
        )
        for target, proxy in proxies.items()
    )
    begun = any(target.requests for target in summary.targets)
    return Verdict(
        measurement=measurement,
        reasons=reasons,
        checks=tuple(
            check_objective(slo.parse(text), target)
            for text in plan.slo
            for target in summary.targets
        ),
        notes=_by_target(summary.targets)
        + tuple(call.note for call in first_calls if call.note)
        + about_client(touched)
        + through
        + notes_on(shares, step_s),
        proxies=through,
        blocked=min(
            filter(
                None,
                [*map(blocked, summary.targets), *(call.exit_code for call in refused.values())],
            ),
            default=None,
        ),
        touched=touched,
        early=not begun and measurement != "invalid",
    )


def _by_target(targets: Sequence[TargetSummary]) -> tuple[str, ...]:
    """What is to be known of figures, each sentence once, behind the targets that it is of."""
    whose: dict[str, list[str]] = {}
    for target in targets:
        for note in target.notes:
            whose.setdefault(note, []).append(target.target)
    everyone = say("all {n} targets", n=len(targets))
    return tuple(
        glued(everyone if len(names) == len(targets) >= MANY else ", ".join(names), ": ", note)
        for note, names in whose.items()
    )


def about_client(touched: Disturbance | None) -> tuple[str, ...]:
    """What is to be known of calls that fell in bad seconds of the client, if any did."""
    return (touched.text,) if touched and touched.calls else ()


def _worst(reasons: Iterable[Reason]) -> Fitness:
    return FITNESS[max((FITNESS.index(reason.level) for reason in reasons), default=0)]


def check_objective(objective: slo.Slo, target: TargetSummary) -> ObjectiveCheck:
    """One objective held against one target's figures."""
    value, interval = target.value(objective)
    if value is None:
        text = say("{text}: can't be judged, there is no such figure", text=objective.text)
        return ObjectiveCheck(
            objective.text, target.target, None, None, None, sure=False, text=text
        )
    met = objective.holds(value)
    if interval is None:
        # Sums and means are what was measured; only a percentile should have had an interval.
        sure, doubt = objective.stat not in PERCENTILES, say(", but there is no interval to go by")
    else:
        sure = all(objective.holds(end) == met for end in interval)
        doubt = say(", but the sample can't rule out the opposite")
    over, of, why = _failures(objective, target)
    what = say("met") if met else say("MISSED")
    text = glued(objective.text, ": ", what, "" if sure else doubt, why)
    return ObjectiveCheck(
        objective.text, target.target, value, interval, met, sure, text, over=over, of=of
    )


def _failures(objective: slo.Slo, target: TargetSummary) -> tuple[float | None, str, str]:
    """What an infinite figure is over, which calls it is of, and a clause on those that failed."""
    if not objective.stat or objective.metric == "schedule_delay":
        return None, "", ""
    if objective.of_successes:
        out: str = glued(" (", OF_SUCCESSES, ": ", target.of_all.share, ")")
        out *= target.of_all.failed > 0
        return None, OF_SUCCESSES, out
    of_all, alone = target.duration(objective), getattr(target, f"{objective.metric}_s")
    matters = target.of_all.many or math.isinf(getattr(of_all.figure, objective.stat))
    there = duration(getattr(alone, objective.stat), None, " ms")
    why = say(
        " (of all calls: {all}, {of_successes}: {there}; {share})",
        all=of_all.words(objective.stat, " ms"), of_successes=OF_SUCCESSES, there=there,
        share=target.of_all.share,
    )  # fmt: skip
    return of_all.over.get(objective.stat), say("all calls"), why * matters
