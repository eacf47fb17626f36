"""A run as text for a terminal, and as the sections of a report; nothing is computed here."""

import textwrap
from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from itertools import groupby
from typing import Any, Final

import numpy as np

from holymon.errors import ERRORS, NAMES
from holymon.figures import calls, hints
from holymon.figures.all_calls import OF_SUCCESSES
from holymon.figures.definition import Definitions
from holymon.figures.summary_types import ALL_TITLE, BOTH, TargetSummary
from holymon.figures.tool_definitions import PERCENTILES, definitions
from holymon.figures.verdict import ObjectiveCheck, Verdict
from holymon.formatting import (
    Html,
    Table,
    Tables,
    bullets,
    count,
    element,
    ends,
    failed_of,
    join,
    ms,
    number_of,
    percent,
    rounded,
    stacked,
)
from holymon.language.said import glued, heads, listed, say, shown, vocabulary
from holymon.load.run import Run
from holymon.plan.plan import Closed
from holymon.records.first_call import outcome
from holymon.report import side_by_side
from holymon.report.method import how_measured
from holymon.safety import plain, short

WIDE: Final = 100
_MEASUREMENT: Final = {
    "valid": say("The measurement is valid"), "suspect": say("The measurement is suspect"),
    "invalid": say("The measurement is invalid"),
}  # fmt: skip
_STATES: Final = {
    "finished": say("run to its end"),
    **vocabulary("stopped", "failed", "interrupted"),
}
_BLAME: Final = vocabulary("client", "caller", "network", "server")
SHOWN: Final = (("latency_s", "p50"), ("latency_s", "p95"), ("ttft_s", "p50"), ("ttft_s", "p95"))


@dataclass(frozen=True, slots=True)
class Section:
    """A piece of a report: its HTML, and a plain form for where only text is shown.

    `beside` is no part of the page: by its kind, what goes with it to whoever makes the page.
    """

    html: Html
    text: str
    beside: Mapping[str, Any] = field(default_factory=dict)

    def _repr_mimebundle_(self, **_: object) -> Mapping[str, Any]:
        return self.beside

    def _repr_html_(self) -> str:
        return self.html

    def __repr__(self) -> str:
        return plain(shown(self.text))


def of_table(table: Table | Tables, kind: str = "figures") -> Section:
    """A table as a section; `kind` is its class."""
    return Section(table.html(kind), table.text())


def run_text(run: Run) -> str:
    """A run for a terminal, at most `WIDE` columns wide."""
    summary, judged = run.summary(), run.verdict()
    label = say("   SIMULATED") if summary.simulated else ""
    blocks = [f"{run.id}   {outcome(run.status)}, {number_of(len(run.records), 'call')}{label}\n"
              + replace(judged.table, notes=()).text()]  # fmt: skip
    both = zip(summary.targets, run.plan.targets, strict=True)
    for target, called in both if len(run.records) else ():
        calls, *facts = target.facts
        errors = [textwrap.fill(line, WIDE, initial_indent=" " * 4, subsequent_indent=" " * 8)
                  for line in hints.failures(target, called)]  # fmt: skip
        blocks.append("\n".join([target.target, f"  {calls}", *errors, target.table.text(),
                                 *(f"  {fact}" for fact in facts)]))  # fmt: skip
    held = run.turns().table
    blocks += [replace(held, lead=()).text()] * bool(held.rows)
    notes = "\n".join(f"note: {note}" for note in judged.notes) if len(run.records) else ""
    return plain("\n\n".join(filter(None, [*blocks, notes])))


def sweep_table(runs: list[Run]) -> Table:
    """Runs of one sweep: a row for each level and target, times in ms."""
    names = heads("load", "target", "answers/s", "latency p50", "p95", "TTFT p50", "p95",
                  "failed", "measurement")  # fmt: skip
    rows, notes = [], []
    for run in runs:
        load, judged = run.plan.load, run.verdict()
        level = f"{number_of(load.users, 'user')}" if isinstance(load, Closed) else load.shape.words
        for target in run.summary().targets:
            times = [ms(getattr(getattr(target, metric), stat)) for metric, stat in SHOWN]
            rows.append((
                level[:28], ends(target.target, 20), rounded(target.requests_per_s), *times,
                percent(target.error_rate.value), judged.measurement,
            ))  # fmt: skip
            if target.of_all.many:
                every = [getattr(target.of_all, metric).words(stat) for metric, stat in SHOWN]
                rows.append(("", ALL_TITLE, "", *every, "", ""))
        notes += [glued(level, ": ", reason.line) for reason in judged.reasons]
        notes += [
            glued(level, ": ", target.target, ": ", line)
            for target, called in zip(run.summary().targets, run.plan.targets, strict=True)
            for line in hints.failures(target, called) if target.ok
        ]  # fmt: skip
    both = any(target.of_all.many for run in runs for target in run.summary().targets)
    label = "times in ms" + f"; {BOTH}" * both
    label += "   SIMULATED" * any(run.plan.simulated for run in runs)
    return Table(names, rows, "llr", notes=(*notes, label, *(f"  {run.id}" for run in runs)))


def verdict(run: Run, first: Html | None = None) -> Section:
    """The verdict on the measurement, objectives, the figures that matter most; `first` leads."""
    summary, judged = run.summary(), run.verdict()
    several, missed = len(summary.targets) > 1, " missed" * judged.missed
    fine = say("The client was fit to measure: what is shown is the API.")
    simulated = element("p", say("SIMULATED: the API is the built-in simulator"), kind="simulated")
    objectives = Html()
    if judged.checks:
        line = element("p", _objectives(judged), kind=f"verdict{missed}")
        goals = replace(judged.table, rows=list(map(_goal, judged.checks)), lead=(), notes=())
        grid = side_by_side.objectives(judged) if several else goals.html("checks")
        objectives = join(line, grid)
    card = element(
        "div",
        simulated if summary.simulated else "",
        element("p", _MEASUREMENT[judged.measurement], kind="verdict"),
        bullets(reason.text for reason in judged.reasons) or element("p", fine),
        objectives,
        *([side_by_side.key_figures(summary, judged)] if several else map(_tiles, summary.targets)),
        kind=f"card {judged.measurement}{missed}",
    )
    names = [target.name for target in run.plan.targets]
    whose = ", ".join(names) if len(names) < 4 else say("{n} targets", n=len(names))
    title = element("h1", say("Health of {targets}", targets=whose))
    when = element("p", _when(run), kind="when")
    return Section(join(title, first or "", when, card), judged.table.text())


def _goal(check: ObjectiveCheck) -> tuple[str, ...]:
    *cells, outcome = check.cells
    return *cells, element("span", outcome, kind="missed") if check.met is False else outcome


def _objectives(judged: Verdict) -> str:
    missed, open_ = (sum(check.met is met for check in judged.checks) for met in (False, None))
    if not missed + open_:
        return say("All objectives met")
    if len(judged.checks) == 1:
        return say("The objective is missed") if missed else say("The objective has no figure")
    parts = [say("{n} missed", n=missed)] * bool(missed) + [
        say("{n} without a figure", n=open_)
    ] * bool(open_)
    return say("Of {n} objectives {parts}", n=len(judged.checks), parts=listed(", ", parts))


def _when(run: Run) -> str:
    started = str(run.status.get("started_at", ""))[:19].replace("T", " ")
    state = outcome(run.status)
    state = _STATES.get(state, state)
    return say("{id} · measured {started} UTC · {state}", id=run.id, started=started, state=state)


def _tiles(target: TargetSummary) -> Html:
    names = heads("latency p50", "latency p95", "TTFT p50", "TTFT p95")
    tiles = [
        (what, ms(getattr(getattr(target, metric), stat)), "ms",
         say("{of_successes}; of all: {duration}", of_successes=OF_SUCCESSES,
             duration=getattr(target.of_all, metric).words(stat))
         * target.of_all.many)
        for what, (metric, stat) in zip(names, SHOWN, strict=True)
    ]  # fmt: skip
    failed = percent(target.error_rate.value), say("of {of:,}", of=target.error_rate.of)
    cells = [
        element("td", stacked(element("span", what, kind="what"),
                              join(element("b", value), " ", unit),
                              *[element("small", beside)] * bool(beside)))
        for what, value, unit, beside in (*tiles, (say("failed"), *failed, ""))
    ]  # fmt: skip
    return element(
        "table", element("tr", element("th", target.target, scope="row"), *cells), kind="tiles"
    )


def figures(run: Run) -> Section:
    """All figures of all targets, with intervals; of several each is folded."""
    targets = run.summary().targets
    inner = [join(bullets(t.facts), t.table.html("figures")) for t in targets]
    pieces = [
        element(
            "details", element("summary", say("{target}: all its figures", target=t.target)), piece
        )
        if len(targets) > 1
        else join(element("h3", t.target), piece)
        for t, piece in zip(targets, inner, strict=True)
    ]
    held = run.turns().table
    by_turn = join(element("h3", say("By turn")), held.html("figures")) if held.rows else ""
    notes = bullets(run.verdict().notes, "notes")
    return Section(join(*pieces, by_turn, notes), run_text(run))


def sizes(run: Run) -> Section:
    """What a token in and out costs in time, and the figures by size of the prompts."""
    return of_table(run.sizes().table)


def errors(run: Run) -> Section:
    """Each error type: how often, whose fault, what it means, and what was said, with an id."""
    summary = run.summary()
    names = heads("target", "error type", "calls", "share", "whose", "meaning", "what was said",
                  "what may mend it")  # fmt: skip
    rows: list[tuple[str, ...]] = []
    for index, target in enumerate(summary.targets):
        words = _words_of_failures(run, index)
        called = run.plan.targets[index]
        for name, n in target.errors.items():
            mend = hints.hint(name, target.messages.get(name, ""), called)
            rows.append((
                target.target, name, count(n), percent(n / target.requests),
                _BLAME[ERRORS[name].blame], ERRORS[name].meaning,
                bullets(words.get(name, ())), mend,
            ))  # fmt: skip
    if not rows:
        rates = listed("; ", (
            glued(target.target, ": ", failed_of(target.error_rate)) for target in summary.targets
        ))  # fmt: skip
        made = any(target.requests for target in summary.targets)
        line = say("No call failed. {rates}.", rates=rates) if made else say("No call was made.")
        return Section(element("p", line), line)
    text = Table(names[:4], [row[:4] for row in rows], "llr").text()
    return Section(Table(names, rows, "llrrl").html("errors"), text)


def _words_of_failures(run: Run, index: int) -> dict[str, list[str]]:
    """By error type, up to three messages, and an id by which the server knows such a request."""
    words: dict[str, list[str]] = {}
    for note in run.notes:
        text, kind = short(str(note.get("message", "")), 160), str(note.get("error_type"))
        known = words.setdefault(kind, [])
        if note.get("target") == index and text not in known and len(known) < 3:
            known.append(text)
    ids, records = run.request_ids, run.records
    mine = (records["target"] == index) & np.isin(records["request"], [*ids])
    rows = records.at(np.flatnonzero(mine))
    for kind in np.unique(rows["error"]).tolist():
        number = int(rows["request"][rows["error"] == kind][0])
        words.setdefault(NAMES[kind], []).append(
            say("request id of one: {request_id}", request_id=short(ids[number], 160))
        )
    return words


def slowest(run: Run) -> Section:
    """The slowest calls, and some of each kind that failed, to be asked about one by one."""
    return of_table(calls.slowest(run).table, "calls")


def method(run: Run) -> Section:
    """The plan in words, the state of the client, and, folded, the definitions of the figures."""
    table = Table(rows=how_measured(run), align="l")
    formulas = definitions(run, summary=run.summary())
    return Section(join(table.html("plan"), *_folded(formulas)), table.text())


def _folded(formulas: Definitions) -> list[Html]:
    """A foldout for each target: every figure's formula here and elsewhere, with its value."""
    return [
        element(
            "details",
            element(
                "summary",
                say(
                    "What the figures mean, and what other tools would print for {target}",
                    target=target,
                ),
            ),
            Definitions(of_target).table.html("terms"),
            element("p", say("Here, {percentiles}.", percentiles=PERCENTILES)),
        )
        for target, of_target in groupby(formulas, key=lambda definition: definition.target)
    ]
