"""What changed: a run beside earlier ones of the same kind, so that noise is no news.

Of the same kind are runs of the same name and target, with the same load and length, prompts and
body; not those without figures, or whose measurement was invalid.
"""

import re
from collections import Counter
from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final, NamedTuple

from holymon.catalogue.change_table import CHANGE_HEADS, change_cells
from holymon.catalogue.entries import entries
from holymon.catalogue.history import Measured, lines_of
from holymon.errors import PlanError, RunError
from holymon.figures.change import SHARE, Change, Least
from holymon.figures.changes import Findings, Line, beside, since
from holymon.formatting import Table, number_of
from holymon.language.said import Digits, glued, listed, say
from holymon.load.entry import Entry
from holymon.load.publish import entry_of
from holymon.load.run import Run
from holymon.records.run_folder import find, folders, out_of, run_id
from holymon.records.run_state import LIVE
from holymon.records.spool import folder_of
from holymon.safety import plain
from holymon.structs import seconds_of, shows_table

BASELINE: Final = "7d"
LEARNED_S: Final = 28 * 86400.0
"""The spread between runs is that of the last four weeks, and of MOST runs at most."""
MOST: Final = 400
INVALID: Final = say("the measurement is invalid")
_SPAN: Final = re.compile(r"\d+(\.\d+)?[smhd]")


@shows_table
@dataclass(frozen=True, slots=True)
class News:
    """What is different at a run, and the least that would have been found of the rest.

    `against` says what it was compared with; it is empty, and `notes` say why, where there was
    nothing.
    """

    run_id: str
    baseline: str
    against: str
    changes: tuple[Change, ...] = ()
    least: tuple[Least, ...] = ()
    notes: tuple[str, ...] = ()

    @property
    def worse(self) -> bool:
        """Whether any change is a regression."""
        return any(change.worse for change in self.changes)

    @property
    def line(self) -> str:
        """All of it in one line, such as the first of a report."""
        if self.changes:
            several = len({change.target for change in self.changes}) > 1
            parts = [
                glued(c.target, ": ") * several
                + say("{brief} since {since_run}", brief=c.brief, since_run=c.since_run)
                for c in sorted(self.changes, key=lambda c: not c.worse)
            ]
            return say("changed: {parts}", parts=listed("; ", parts))
        if not self.against:
            return (
                say("not compared: {why}", why=self.notes[0]) if self.notes else say("not compared")
            )
        return say("no change shown{detectable}", detectable=self._detectable)

    @property
    def _detectable(self) -> str:
        """What would have been found: of the times the one seen best, and of the failures."""
        times = min((least for least in self.least if least.figure != SHARE
                     and least.figure.startswith(("latency", "ttft"))),
                    key=lambda least: least.size, default=None)  # fmt: skip
        failed = min((each for each in self.least if each.figure == SHARE),
                     key=lambda least: least.size, default=None)  # fmt: skip
        parts = [say("one of {brief}", brief=least.brief) for least in (times, failed) if least]
        known = say(" ({least} would have been found)", least=listed(say(" or "), parts))
        return known if parts else ""

    @property
    def table(self) -> Table:
        """A row for each change."""
        rows = [change_cells(change) for change in self.changes]
        lead = (say("compared with {against}", against=self.against),) if self.against else ()
        return Table(CHANGE_HEADS if rows else (), rows, "llrrrl", lead=(self.line, *lead),
                     notes=self.notes)  # fmt: skip

    def to_dict(self) -> dict[str, Any]:
        """As JSON has it: `baseline`, `changes`, and as `detectable` what would be found."""
        return {
            "baseline": {"asked": self.baseline, "against": self.against, "line": self.line,
                         "notes": list(self.notes)},
            "changes": [change.to_dict() for change in self.changes],
            "detectable": [least._asdict() for least in self.least],
        }  # fmt: skip


class _Sought(NamedTuple):
    """A baseline as it was asked for: seconds back, or a run by its id; both None for the last."""

    seconds: float | None = None
    run_id: str | None = None


def check_baseline(baseline: str, out: Path | str = "reports") -> None:
    """Raise PlanError or RunError for a baseline that can't be one."""
    if baseline and baseline != "none":
        _sought(baseline, folder_of(out))


def news(run: Run, baseline: str = BASELINE) -> News:
    """What changed at a run since the earlier ones of its kind in the folder it lies in.

    `baseline` is `last` (the run before), a run's id or name, a time back such as `7d`, or `none`.
    Raises PlanError, RunError for one that can't be.
    """
    if not baseline or baseline == "none":
        return News(run.id, "none", "", notes=(say("no baseline was asked for"),))
    out = out_of(run.folder)
    sought = _sought(baseline, out, run.id)
    if run.verdict().measurement == "invalid":
        return News(run.id, baseline, "", notes=(INVALID,))
    mine = entry_of(run)
    if mine.began is None:
        return News(run.id, baseline, "", notes=(say("it is not known when it was measured"),))
    try:
        earlier = _earlier(mine, out, sought)
    except RunError:
        return News(run.id, baseline, "", notes=(say("the store of runs can't be asked"),))
    fit = (entry for entry in earlier if _unfit(entry, mine) is None)
    kept = sorted(fit, key=lambda entry: entry.began or 0.0)
    return _compared(mine, kept, _left_out(earlier, mine), baseline, sought)


def _sought(baseline: str, out: Path, mine: str = "") -> _Sought:
    """What is meant; a name is that of its latest run, or of the latest before `mine`."""
    if baseline == "last":
        return _Sought()
    if _SPAN.fullmatch(baseline):
        seconds = seconds_of(baseline)
        if seconds <= 0:
            raise PlanError(f"baseline {baseline} is no time back: say such as 7d.")
        return _Sought(seconds)
    stamp = mine.rpartition("/")[2]
    named = [folder for folder in folders(out) if folder.parent.name == baseline]
    before = [folder for folder in named if folder.name < stamp]
    try:
        return _Sought(run_id=run_id(before[-1] if before else find(out, baseline)))
    except RunError as error:
        raise RunError(f"baseline {plain(baseline)!r} is none: {error} Or say last, such as 7d, "
                       "or none.") from None  # fmt: skip


def _earlier(mine: Entry, out: Path, sought: _Sought) -> list[Entry]:
    """The runs before it of its name, and the one that was asked for, oldest first."""
    now = mine.began or 0.0

    def wanted(entry: Entry) -> bool:
        named = entry.name == mine.name or entry.run_id == sought.run_id
        lately = entry.run_id == sought.run_id or now - (entry.began or 0.0) <= LEARNED_S
        before = entry.began is not None and entry.began < now and entry.run_id != mine.run_id
        return named and before and lately and entry.state not in LIVE

    known = [entry for entry in entries(out, figures=wanted) if wanted(entry)]
    last = known[-MOST:]
    return [entry for entry in known if entry.run_id == sought.run_id and entry not in last] + last


def _unfit(entry: Entry, mine: Entry) -> str | None:
    """Why a run is no match for this one; None if it is, for one of its targets at least."""
    if not entry.of_targets:
        return say("without figures")
    if entry.measurement == "invalid":
        return say("not valid")
    if not set(entry.targets) & set(mine.targets):
        return say("of other targets")
    if entry.place != mine.place:
        return say("from another place")
    shared = entry.shape_of.items() & mine.shape_of.items()
    return None if shared else say("with another load or length, other prompts or another body")


def _left_out(earlier: list[Entry], mine: Entry) -> tuple[str, ...]:
    reasons = Counter(filter(None, (_unfit(entry, mine) for entry in earlier)))
    if not reasons:
        return ()
    parts = [glued(Digits(n), " ", reason) for reason, n in reasons.most_common()]
    return (
        say(
            "left out of the comparison: {runs}, {parts}",
            runs=number_of(reasons.total(), "earlier run"),
            parts=listed(", ", parts),
        ),
    )


def _back(span: str) -> str:
    """A time back such as `7d`, in words."""
    n, unit = Digits(span[:-1]), span[-1]
    if unit == "d":
        return number_of(int(n), "day") if n.isdecimal() else say("{n} days", n=n)
    return {"h": say("{n} h", n=n), "m": say("{n} min", n=n), "s": say("{n} s", n=n)}[unit]


def _compared(
    mine: Entry, kept: list[Entry], notes: tuple[str, ...], baseline: str, sought: _Sought
) -> News:  # fmt: skip
    now, findings = mine.began or 0.0, []
    since_s = now - (sought.seconds or 0.0)
    if sought.seconds is not None:
        known = [entry for entry in kept if (entry.began or 0.0) >= since_s]
        against = say(
            "{runs} of the last {baseline}",
            runs=number_of(len(known), "earlier run"),
            baseline=_back(baseline),
        )
        missing = say("no earlier run of its kind in the last {baseline}", baseline=_back(baseline))
    else:
        wanted = sought.run_id or (kept[-1].run_id if kept else "")
        known = [entry for entry in kept if entry.run_id == wanted]
        against = say("run {wanted}", wanted=wanted)
        missing = say("run {wanted} is no match", wanted=wanted)
        if not wanted:
            missing = say("no earlier run is a match")
    if not known:
        return News(mine.run_id, baseline, "", notes=(missing, *notes))
    for target in mine.targets:
        lines = _lines(target, [*kept, mine], mine.shape_of[target])
        if sought.seconds is not None:
            findings.append(since(lines, mine.run_id, since_s))
        else:
            findings.append(beside(lines, mine.run_id, known[-1].run_id))
    changes, least = _joined(findings)
    return News(mine.run_id, baseline, against, changes, least, notes)


def _joined(findings: list[Findings]) -> tuple[tuple[Change, ...], tuple[Least, ...]]:
    return (tuple(c for each in findings for c in each.changes),
            tuple(x for each in findings for x in each.least))  # fmt: skip


def _lines(target: str, known: Iterable[Entry], shape: str) -> list[Line]:
    """The figures of a target over the runs in which it was asked the same."""
    rows = [
        Measured(entry, of) for entry in known if entry.shape_of.get(target) == shape
        for of in entry.of_targets or () if of.target == target
    ]  # fmt: skip
    return lines_of(target, rows)
