"""Several targets of a run side by side: their key figures in one table, objectives as a grid."""

from typing import Final

from holymon.figures.all_calls import OF_SUCCESSES
from holymon.figures.standing import KEY, PLACES, Place, of_failures, of_percentile
from holymon.figures.summary_types import Summary
from holymon.figures.verdict import ObjectiveCheck, Verdict
from holymon.formatting import Cell, Html, Table, count, element, join, rate_cell, rounded, stacked
from holymon.language.said import heads, say

HEADS: Final = heads("target", "calls", "failed", "latency p50, ms", "p95", "TTFT p50, ms",
                     "p95", "answers/s", "USD")  # fmt: skip
MARKED: Final = say(
    "best and worst are marked where the 95 % interval of one lies apart from all others; of "
    "percentiles those of all calls, a failed one taking for ever"
)
ALL_ALIKE: Final = say("at no figure one target is shown to be better or worse than all others")


def key_figures(summary: Summary, judged: Verdict) -> Html:
    """A row for each target: calls, failures, the percentiles that matter most, pace and cost.

    Of an invalid measurement nothing is marked.
    """
    targets = summary.targets
    places = [of_failures(targets), *(of_percentile(targets, *key) for key in KEY)]
    note: str = MARKED if any(map(any, places)) else ALL_ALIKE
    note = "" if judged.measurement == "invalid" else note
    rows = []
    for k, target in enumerate(targets):
        cells = [rate_cell(target.error_rate),
                 *(getattr(target, metric).cell(stat) for metric, stat in KEY)]  # fmt: skip
        marked = [
            _marked(cell, place[k] if note else "")
            for cell, place in zip(cells, places, strict=True)
        ]
        rows.append((target.target, count(target.requests), *marked,
                     rounded(target.requests_per_s), target.cost.cell))  # fmt: skip
        if target.of_all.many:
            every = [getattr(target.of_all, metric).cell(stat) for metric, stat in KEY]
            rows.append((element("small", say("of all calls")), "", "", *every, "", ""))
    many = any(target.of_all.many for target in targets)
    notes = (say("times are {of_successes}", of_successes=OF_SUCCESSES),) * many + (note,) * bool(
        note
    )
    return _scrolling(Table(HEADS, rows, notes=notes).html("beside"))


def _marked(cell: Cell, place: Place) -> Cell:
    """A cell with its place in words: colour alone tells nothing to some."""
    if not place:
        return cell
    value, interval = cell if isinstance(cell, tuple) else (cell, "")
    return join(value, " ", element("span", PLACES[place], kind=place)), interval


def objectives(judged: Verdict) -> Html:
    """A row for each target, a column for each objective."""
    goals = list(dict.fromkeys(check.slo for check in judged.checks))
    targets = list(dict.fromkeys(check.target for check in judged.checks))
    known = {(check.target, check.slo): check for check in judged.checks}
    rows = [(target, *(_outcome(known[target, goal]) for goal in goals)) for target in targets]
    return _scrolling(Table((*heads("target"), *goals), rows).html("checks"))


def _scrolling(table: Html) -> Html:
    """A table that scrolls by itself where the page is narrow, also by keyboard."""
    return element("div", table, kind="wide", tabindex="0")


def _outcome(check: ObjectiveCheck) -> Html:
    """What became of one, above its figure."""
    outcome = check.outcome
    if check.met is False:
        outcome = element("span", outcome, kind="missed")
    doubt = say(", not certain") * (check.met is not None and not check.sure)
    return stacked(join(outcome, doubt), element("small", check.figure))
