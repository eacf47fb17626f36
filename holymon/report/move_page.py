"""The sections of the report of a move: its verdict, whom it harmed, its bill, how it is known."""

from typing import Final

from holymon.figures.bills import Amount
from holymon.formatting import (
    CLOSE,
    DASH,
    Headline,
    bullets,
    count,
    element,
    join,
    percent,
    rounded,
)
from holymon.language.said import glued, say
from holymon.monitor.route_table import moment
from holymon.report.move_tables import bill_table, named, usd
from holymon.report.move_words import needs, reason
from holymon.report.moved import Moved, when
from holymon.report.sections import Section

STATES: Final = {"shadow": "healthy", "canary": "healthy", "done": "healthy", "back": "unhealthy"}


def headline(move: Moved) -> Headline:
    """How the move stands, and what to do next, in a line."""
    route, at = move.route, say("{at} UTC", at=moment(move.now.began.at))
    lacking = needs(route, move.as_of)
    if route.phase == "back":
        line = say("Taken back at {at}: {why}", at=at, why=_why_back(move))
    elif route.phase == "done":
        line = say("Done since {at}: {saving}", at=at, saving=_saves(move))
    elif route.paused:
        line = say("Paused at {share} since {at}; {needs}", share=percent(route.share), at=at,
                   needs=lacking)  # fmt: skip
    elif route.phase == "shadow":
        line = say("In shadow since {at}, {share} of the calls go to both; {needs}", at=at,
                   share=percent(route.shadow), needs=lacking)  # fmt: skip
    else:
        line = say("At {share} since {at}; {needs}", share=percent(route.share), at=at,
                   needs=lacking)  # fmt: skip
    state = "not judged" if route.paused else STATES[route.phase]
    return Headline(glued(line, say(" (simulated)") * move.simulated), state)


def _why_back(move: Moved) -> str:
    """Why it was taken back; by a burst with what the step had measured of errors."""
    before = move.steps[-2] if len(move.steps) > 1 else None
    words = reason(move.now.began)
    if before is None or not (before.baseline.calls and before.candidate.calls):
        return words
    ours, theirs = (percent(side.failed.value) for side in (before.baseline, before.candidate))
    return say("{why}; errors {baseline} → {candidate}", why=words, baseline=ours, candidate=theirs)


def _saves(move: Moved) -> str:
    if move.per_month is not None:
        if move.per_month.value < 0:
            return say("costs USD {usd} more a month", usd=rounded(-move.per_month.value))
        return say("saves USD {usd} a month", usd=usd(move.per_month))
    if move.per_call is not None:
        return say(
            "saves USD {usd} for 1,000 calls that succeed", usd=usd(move.per_call.times(1000))
        )
    return say("what it saves is not known, as {why}", why=move.no_saving)


def verdict(move: Moved) -> Section:
    """What a team acts on: how it stands, and below it the facts in short."""
    baseline, candidate = named(move)
    line = headline(move)
    title = element("h1", say("The move from {baseline} to {candidate}", baseline=baseline,
                              candidate=candidate))  # fmt: skip
    state = say("as of {at} UTC, by {file}", at=moment(when(move.as_of) or "") or DASH,
                file=move.file.name)  # fmt: skip
    text = "\n".join([repr(line), *map(str, _points(move))])
    return Section(join(title, element("p", state, kind="when"), line._repr_html_(),
                        bullets(_points(move))), text)  # fmt: skip


def _points(move: Moved) -> list[str]:
    totals = move.route.totals
    points: list[str] = [
        say("{baseline} calls answered at the baseline, {candidate} at the candidate; {shadow} "
            "copied to it",
            baseline=count(totals.get("baseline", 0) + totals.get("fallback", 0)),
            candidate=count(max(totals.get("candidate", 0) - totals.get("fallback", 0), 0)),
            shadow=count(totals.get("shadow", 0))),
        _reached(move),
    ]  # fmt: skip
    if move.bill is not None:
        points.append(say("saved so far: USD {usd}", usd=usd(move.bill.saved)))
    return points


def _reached(move: Moved) -> str:
    harm = move.harm
    if not any(step.calls("candidate") for step in move.steps):
        return say("no caller has had the candidate's answer, so nobody was harmed")
    return say("{reached:,} failures of the candidate reached callers", reached=harm.reached)


def harm(move: Moved) -> Section:
    """Calls that failed at the candidate, and what became of them."""
    known = move.harm
    lines: list[str] = [
        say("{n:,} of the candidate's calls failed, copies not counted", n=known.failed),
        say("{n:,} of them were asked again at the baseline, where {failed:,} failed",
            n=known.again, failed=known.again_failed),
        _reached(move),
        say("as many calls would have failed {n} times at the baseline, as it was then",
            n=rounded(known.expected))
        if known.expected is not None
        else say("how many would have failed at the baseline is not known: it had no calls"),
    ]  # fmt: skip
    lines += [
        say("{n:,} calls are in no figure: callers called them off, or they were made before "
            "figures were kept", n=move.uncounted)
    ] * bool(move.uncounted)  # fmt: skip
    return Section(bullets(lines), "\n".join(map(str, lines)))


def bill(move: Moved) -> Section:
    """Both bills, what was saved, and what a month saves."""
    table = bill_table(move)
    lines: list[str] = []
    if move.per_call is not None:
        size = usd(_size(move.per_call.times(1000)))
        lines.append(
            say("1,000 calls that succeed cost USD {usd} less at the candidate than at the "
                "baseline", usd=size)
            if move.per_call.value >= 0
            else say("1,000 calls that succeed cost USD {usd} more at the candidate than at the "
                     "baseline", usd=size)
        )  # fmt: skip
    if move.per_month is not None:
        n, size = rounded(move.calls_per_month, CLOSE), usd(_size(move.per_month))
        lines.append(
            say("that is USD {usd} a month, of {n} calls", usd=size, n=n)
            if move.route.phase == "done"
            else say("of {n} calls a month, all at the candidate, that would be USD {usd}", n=n,
                     usd=size)
        )  # fmt: skip
    else:
        lines.append(say("no saving a month is given: {why}", why=move.no_month))
    return Section(join(table.html("figures"), bullets(lines)),
                   "\n".join([table.text(), *map(str, lines)]))  # fmt: skip


def _size(amount: Amount) -> Amount:
    """How much it is either way, with its interval: a sentence says which."""
    if amount.value >= 0:
        return amount
    low, high = (None if end is None else -end for end in (amount.high, amount.low))
    return Amount(-amount.value, low, high)


def method() -> Section:
    """What the figures are, and what they are not."""
    lines = (
        say("All of it is what the processes of the router wrote into its file: each call counts "
            "in the step in which it came to its end."),
        say("Times are of calls that succeeded, from when they were due, counted in bins of 5 %; a "
            "copy counts for the candidate, and nobody waited for it."),
        say("Intervals hold 95 %; where calls of one moment are alike they are that much wider. A "
            "step that ended as soon as it could is no sample of its own: what its gate shows "
            "holds, its figures lean a little to what ended it."),
        say("What is saved is what the candidate's calls would have cost by the baseline's average "
            "of the same step, or of the last one that had enough of its calls, less what all "
            "calls cost: copies and what was asked twice count against it."),
    )  # fmt: skip
    return Section(bullets(lines), "\n".join(map(str, lines)))
