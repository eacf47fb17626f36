"""`index.html`: all reports by name, what is the matter with each first, as one static page.

For each name: the state of its last report, its line, the key figure over the last runs, and the
runs that are missing; folded below, its last reports. However many runs there are, the page lists
MOST_NAMES names and MOST_ROWS reports at most, and says so.
"""

import contextlib
import os
from collections.abc import Iterator
from functools import partial
from importlib.resources import files
from itertools import islice
from pathlib import Path
from typing import Final, NamedTuple
from urllib.parse import quote

from holymon.catalogue.entries import entries_here
from holymon.catalogue.rhythm import Gap, gaps
from holymon.formatting import Html, Table, element, join, ms, number_of, stacked
from holymon.language.said import Digits, glued, language, listed, say, tell
from holymon.load.entry import Entry, OfTarget
from holymon.records import run_folder
from holymon.records.own_files import content, write_page
from holymon.report.reported import HEADS, STATES, WORDS, Reported, reported
from holymon.report.sparkline import sparkline

MOST_NAMES: Final = 100
MOST_ROWS: Final = 500
OF_A_NAME: Final = 20
"""Reports that are listed of each name."""
RUNS: Final = 48
"""Runs that a line is drawn of: two days of hourly ones."""
TARGETS: Final = 6
KEY: Final = ("latency_p50", say("latency p50"))
TEMPLATES: Final = Path(str(files("holymon").joinpath("report/templates")))


class _Group(NamedTuple):
    """All of one name: its last reports, newest first; its runs; where some are missing."""

    name: str
    folders: list[Path]
    shown: list[Reported]
    runs: list[Entry]
    missing: list[Gap]


def write_index(out: Path) -> str:
    """Write `index.html` from the reports below `out`; a sentence if others wrote it."""
    groups, more = _groups(out)
    page = render(
        "reports.html.j2", counted=join(_counted(groups, more)),
        groups=[_html(group, out) for group in groups],
    )  # fmt: skip
    return write_page(out / "index.html", page)


def render(template: str, **values: object) -> str:
    """A page of ours that is no notebook's."""
    import jinja2

    from holymon import __version__

    pages = jinja2.Environment(
        loader=jinja2.FileSystemLoader([TEMPLATES, TEMPLATES / "holymon"]), autoescape=True
    )
    pages.filters["tell"] = tell
    page = pages.get_template(template)
    return page.render(style=Html(style()), version=__version__, language=language(), **values)


def style() -> str:
    """The style sheet of all pages."""
    return (TEMPLATES / "holymon" / "style.css").read_text("utf-8")


def _groups(out: Path) -> tuple[list[_Group], int]:
    """The names that were reported on last, the worst state first; and how many more there are."""
    stamps = dict(_stamps(out))
    names = sorted(stamps, key=lambda name: (stamps[name][0], name), reverse=True)
    drawn = {f"{name}/{stamp}" for name in names[: 2 * MOST_NAMES] for stamp in stamps[name][:RUNS]}
    known = entries_here(out, figures=lambda entry: entry.run_id in drawn)
    runs: dict[str, list[Entry]] = {}
    for entry in known:
        runs.setdefault(entry.name, []).append(entry)
    missing: dict[str, list[Gap]] = {}
    for gap in gaps((e.name, e.run_id, began) for e in known if (began := e.began) is not None):
        missing.setdefault(gap.name, []).append(gap)
    made: list[_Group] = []
    left, more = MOST_ROWS, 0
    for name in names:
        reports = (out / name / stamp for stamp in stamps[name] if _is_report(out, name, stamp))
        if len(made) == MOST_NAMES:
            more += next(reports, None) is not None
            continue
        folders = list(islice(reports, max(1, min(OF_A_NAME, left))))
        if folders:
            shown = [reported(partial(content, folder / "run.json")) for folder in folders]
            made.append(_Group(name, folders, shown, runs.get(name, []), missing.get(name, [])))
            left -= len(folders)
    return sorted(made, key=lambda group: STATES.index(group.shown[0].state)), more


def _stamps(out: Path) -> Iterator[tuple[str, list[str]]]:
    """Each name in a folder, and the folders in it, newest first; none is looked into."""
    with os.scandir(out) as names:
        inner = [name for name in names if name.is_dir()]
    for name in inner:
        with contextlib.suppress(OSError), os.scandir(name) as runs:  # it may be gone by now
            if stamps := sorted((run.name for run in runs if run.is_dir()), reverse=True):
                yield name.name, stamps


def _is_report(out: Path, name: str, stamp: str) -> bool:
    folder = out / name / stamp
    return (folder / "run.json").exists() and run_folder.lies_in(folder, out)


def _counted(groups: list[_Group], more: int) -> str:
    """How many there are of each state, the worst first."""
    states = [group.shown[0].state for group in groups]
    parts = [glued(Digits(states.count(state)), " ", WORDS[state]) for state in STATES
             if state in states]  # fmt: skip
    others = say("; {names} without a newer report", names=number_of(more, "other name")) * bool(
        more
    )
    return (
        glued(number_of(len(groups), "name"), ": ", listed(", ", parts), others, ".")
        if groups
        else ""
    )


def _html(group: _Group, out: Path) -> Html:
    """One name: its last report, its key figure, what is missing, and, folded, its reports."""
    last, link = group.shown[0], _link(group.folders[0], group.name, out)
    gap = sum(gap.missing for gap in group.missing)
    facts = [last.when and say("{when} UTC", when=last.when), last.more,
             number_of(len(group.runs), "run") * bool(group.runs),
             say("{runs} missing", runs=number_of(gap, "run")) * bool(gap)]  # fmt: skip
    rows = [row for folder, each in zip(group.folders, group.shown, strict=True)
            for row in each.cells(_link(folder, each.when or folder.name, out))]  # fmt: skip
    table = Table(HEADS, rows, "llr", notes=_notes(group))
    return element(
        "section",
        element("h2", link, " ", last.badge),
        element("p", last.line) if last.line else "",
        element("p", listed(" · ", filter(None, facts)), kind="when"),
        *_lines(group),
        element("details", element("summary", number_of(len(group.folders), "report")),
                table.html("runs")),
        kind=f"group {last.state}",
    )  # fmt: skip


def _link(folder: Path, text: str, out: Path) -> Html:
    # A folder may have any name, also one that begins like an address of another kind.
    href = quote(os.fsencode((folder / "report.html").relative_to(out).as_posix()))
    return element("a", text, href=href)


def _notes(group: _Group) -> tuple[str, ...]:
    """The gaps, the last ones first, and what is not listed."""
    last = [glued(gap.text, ".") for gap in group.missing[::-1][:OF_A_NAME]]
    earlier = len(group.runs) - len(group.folders)
    more = say(
        "Listed are the last; {runs}: holymon runs --name NAME.",
        runs=number_of(earlier, "earlier run"),
    )
    return (*last, *[more] * (earlier > 0))


def _lines(group: _Group) -> list[Html]:
    """The key figure of each target over the last runs, with the value of the last one."""
    runs = group.runs[-RUNS:]
    broken = {gap.before for gap in group.missing}
    at = [k for k, entry in enumerate(runs) if entry.run_id in broken and k]
    of_each: dict[str, list[float | None]] = {}
    for k, entry in enumerate(runs):
        for of in entry.of_targets or ():
            of_each.setdefault(of.target, [None] * len(runs))[k] = _key(entry, of)
    now = {str(row[0]): row for row in group.shown[0].rows}
    unknown: list[float | None] = [None] * len(runs)
    targets = dict.fromkeys([*map(join, of_each), *now])
    values = {join(target): known for target, known in of_each.items()}
    made = [_line(Html(target), values.get(Html(target), unknown), at, now.get(target))
            for target in islice(targets, TARGETS)]  # fmt: skip
    more = len(targets) - len(made)
    return [
        *made,
        *[element("p", say("and {targets}", targets=number_of(more, "more target")))] * bool(more),
    ]


def _line(
    target: Html, values: list[float | None], gaps_at: list[int], now: tuple[Html, ...] | None
) -> Html:
    known = [value for value in values if value is not None]
    span = (
        say(" of {low} to {high} ms", low=ms(min(known)), high=ms(max(known)))
        if known
        else say(", never known")
    )
    words = say("{figure} of {target} in the last {runs}{span}", figure=KEY[1], target=target,
                runs=number_of(len(values), "run"), span=span)  # fmt: skip
    facts: list[Html] = []
    if now is not None:
        _, failed, p50, p95, why = now
        facts = [join(KEY[1], ", ms: ", element("b", p50), ", p95: ", p95),
                 join(say("failed"), " ", failed, " ", element("small", why))]  # fmt: skip
    drawn = [sparkline(values, gaps_at, words)] * bool(known)
    return element("figure", *drawn, element("figcaption", stacked(target, *facts)))


def _key(entry: Entry, of: OfTarget) -> float | None:
    """The key figure of a run that can be trusted."""
    known = of.figures.get(KEY[0])
    return None if known is None or entry.measurement == "invalid" else known.value
