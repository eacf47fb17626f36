"""The tables of a move: its steps, its gates, its changes, its bill, its objectives."""

from typing import Final

from holymon.figures.bills import Amount
from holymon.figures.move_figures import SideFigures
from holymon.formatting import (
    CLOSE,
    DASH,
    FIGURES,
    Cell,
    Table,
    count,
    ends,
    percent,
    rate_cell,
    rounded,
)
from holymon.language.said import glued, heads, listed, say
from holymon.monitor.measured import SIDES
from holymon.monitor.route_table import moment
from holymon.plan.slo import parse
from holymon.report.move_words import BY, PHASES, STANDS, figure_name, reason
from holymon.report.moved import Moved, MoveStep
from holymon.safety import short
from holymon.structs import Rate

THOUSAND: Final = 1000
STEP_HEADS: Final = heads("step", "side", "calls", "failed", "latency p50, ms", "p95",
                          "TTFT p50, ms", "p95", "USD for 1,000 calls that succeed")  # fmt: skip
GATE_HEADS: Final = heads("step", "candidate's calls", "lasted", "no worse by", "worse by",
                          "not shown", "not known", "what came of it")  # fmt: skip
CHANGE_HEADS: Final = heads("when (UTC)", "share", "by", "who", "why")
BILL_HEADS: Final = heads("calls", "number", "USD")
SLO_HEADS: Final = heads("step", "objective", "baseline missed", "candidate missed", "allowed",
                         "the candidate")  # fmt: skip
GATED: Final = ("shadow", "canary")
"""The phases that have a gate; one that is done is still taken back by a burst."""

ROWS_OF_BILL: Final = {
    "baseline": say("answered by the baseline"), "candidate": say("taken over by the candidate"),
    "shadow": say("copied to the candidate"),
    "fallback": say("asked again at the baseline after the candidate failed"),
}  # fmt: skip


def span_words(seconds: float | None) -> str:
    """How long something took, in the unit that suits it."""
    if seconds is None:
        return DASH
    for unit, size in ((say("{n} days"), 86400.0), (say("{n} h"), 3600.0), (say("{n} min"), 60.0)):
        if seconds >= 2 * size:
            return say(str(unit.template), n=rounded(seconds / size))
    return say("{n} s", n=rounded(seconds))


def step_name(step: MoveStep) -> str:
    """A step by its share, or by what it is."""
    change = step.began
    if change.phase == "canary":
        return percent(change.after)
    return PHASES[change.phase]


def steps_table(move: Moved) -> Table:
    """What was measured of both sides in each step."""
    rows: list[tuple[Cell, ...]] = []
    for step in move.steps:
        named: tuple[Cell, ...] = ((step_name(step), moment(step.began.at)), ("", ""))
        for name, side, label in zip(
            named, (step.baseline, step.candidate), heads("baseline", "candidate"), strict=True
        ):
            rows.append((name, label, *_figures(side)))
    missing = [say("{step}: {why}", step=step_name(step), why=step.missing)
               for step in move.steps if step.missing]  # fmt: skip
    return Table(STEP_HEADS, rows, "llr", notes=tuple(dict.fromkeys(missing)))


def _figures(side: SideFigures) -> tuple[Cell, ...]:
    cost = side.per_call
    return (
        count(side.calls) if side.calls else DASH, rate_cell(side.failed),
        side.latency.cell("p50"), side.latency.cell("p95"), side.ttft.cell("p50"),
        side.ttft.cell("p95"), cost.amount.times(THOUSAND).cells(FIGURES) if cost else DASH,
    )  # fmt: skip


def gates_table(move: Moved) -> Table:
    """What the gate of each step had by its end, and what came of it."""
    course = move.route.course
    rows: list[tuple[Cell, ...]] = []
    for step in move.steps:
        if step.began.phase not in GATED:
            continue
        ended = step.ended
        stands = ended.figures if ended else move.route.stands()
        calls = ended.calls if ended else int(move.route.gate.step[1][0])
        least = (count(course.min_calls), span_words(course.min_s)) if course else (DASH, DASH)
        rows.append((
            step_name(step),
            (count(calls) if calls >= 0 else DASH, say("of {least}", least=least[0])),
            (span_words(step.seconds), say("of {least}", least=least[1])),
            *(_named(stands, how) for how in STANDS),
            _outcome(move, step),
        ))  # fmt: skip
    return Table(GATE_HEADS, rows, "lrrlllll", notes=_about_gates(move))


def _about_gates(move: Moved) -> tuple[str, ...]:
    course, notes = move.route.course, []
    if course is None:
        notes.append(say("what the gates wanted is not in the file: an earlier version wrote it"))
    else:
        allowed = course.margins
        notes.append(say(
            "allowed: {errors} more failures, a p90 {slower} longer, {dearer} dearer calls, a "
            "share of {drift} of answers that are longer, shorter or end otherwise; the least "
            "calls and time are those the routers state now",
            errors=percent(allowed.errors), slower=percent(allowed.slower),
            dearer=percent(allowed.dearer), drift=percent(allowed.drift),
        ))  # fmt: skip
    if any(step.ended and not step.ended.figures for step in move.steps):
        notes.append(say("where nothing stands, an earlier version kept no state of the gate"))
    return tuple(notes)


def _named(stands: dict[str, str], how: str) -> str:
    named = [figure_name(name) for name, what in stands.items() if what == how]
    if len(named) == len(stands) > 1:
        return say("all {n} figures", n=len(named))
    return listed(", ", named) or DASH


def _outcome(move: Moved, step: MoveStep) -> str:
    if step.ended is None:
        return say("paused") if move.route.paused else say("goes on")
    return glued(BY.get(step.ended.by, BY[""]), ": ", percent(step.ended.after))


def changes_table(move: Moved) -> Table:
    """Every change of the share, the first one first."""
    rows = []
    for change in move.route.history:
        share = glued(percent(change.before), " → ", percent(change.after))
        what = say("paused") if change.paused else share
        rows.append((moment(change.at), what, BY.get(change.by, BY[""]),
                     short(change.who, 80) or DASH, reason(change)))  # fmt: skip
    return Table(CHANGE_HEADS, rows, "l")


def bill_table(move: Moved) -> Table:
    """What the calls of each side cost, and what was saved."""
    known = move.bill
    if known is None:
        return Table(notes=(say("There is no bill: {why}.", why=move.no_bill or move.no_saving),))
    rows: list[tuple[Cell, ...]] = [
        (
            words,
            count(sum(step.calls(name) for step in move.steps)),
            rounded(known.paid[name], CLOSE),
        )
        for name, words in ROWS_OF_BILL.items()
    ]
    rows += [
        (say("all of them"), "", rounded(sum(known.paid.values()), CLOSE)),
        (say("what callers asked, all at the baseline"), "", known.without.cells()),
        (say("saved so far"), "", known.saved.cells()),
    ]
    unpriced = sum(each.calls - each.priced for step in move.steps for each in step.sums(*SIDES))
    notes = [say("{n:,} calls have no known cost, as most that fail; they count as nothing",
                 n=unpriced)] * bool(unpriced)  # fmt: skip
    return Table(BILL_HEADS, rows, "lrr", notes=tuple(notes))


def objectives_table(move: Moved) -> Table:
    """How many calls of each step missed each objective."""
    rows = []
    for step in move.steps:
        for text, theirs in step.candidate.slo.items():
            allowed = parse(text).allowed
            ours = step.baseline.slo.get(text, Rate(None, None, None, 0))
            rows.append((step_name(step), short(text, 80), rate_cell(ours), rate_cell(theirs),
                         percent(allowed), _judged(theirs, allowed)))  # fmt: skip
    if rows:
        return Table(SLO_HEADS, rows, "llrrrl")
    stated = move.route.course and move.route.course.slo
    none = say("No objective was stated: hm.Router takes them as slo.")
    return Table(notes=(say("No call was held to an objective yet.") if stated else none,))


def _judged(missed: Rate, allowed: float | None) -> str:
    if missed.low is None or missed.high is None or allowed is None:
        return DASH
    if missed.high <= allowed:
        return say("meets it")
    return say("misses it") if missed.low > allowed else say("not shown")


def usd(amount: Amount, figures: int = FIGURES) -> str:
    """An amount of USD with its interval, in a line."""
    value, between = amount.cells(figures)
    low, high = (rounded(end, figures) for end in (amount.low, amount.high))
    return glued(value, " (", between, ")") if between and low != high else value


def named(move: Moved) -> tuple[str, str]:
    """The names of both sides, as a line has room for."""
    return ends(move.route.baseline, 60), ends(move.route.candidate, 60)
