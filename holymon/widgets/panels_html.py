"""What the dashboard says in words and figures, as HTML of fixed height; nothing is computed here.

Each place is always filled, with a dash where there is no figure yet, so that nothing jumps.
"""

from collections.abc import Iterable
from dataclasses import replace
from time import localtime, strftime
from typing import Any, Final

from holymon.errors import NOT_THE_SERVER
from holymon.figures import hints
from holymon.figures.reasons import FITNESS
from holymon.figures.request_stats import RequestStats
from holymon.figures.summary_types import Summary, TargetSummary
from holymon.figures.verdict import ObjectiveCheck, Verdict
from holymon.formatting import (
    DASH,
    Html,
    Tables,
    bullets,
    count,
    element,
    join,
    ms,
    percent,
    rounded,
)
from holymon.monitor.move import LiveMove
from holymon.monitor.route_table import headline, share_change
from holymon.plan.plan import Closed, Plan
from holymon.prometheus.backtest import Backtest, Firing
from holymon.records.client_health import ClientHealth

HEADS: Final = {
    "valid": "✓ The client keeps up", "suspect": "! Read with care",
    "invalid": "✗ Do not quote these figures", "early": "… Too early to judge",
}  # fmt: skip
ALARMS: Final = {
    "early": "… No call has ended yet", "valid": "✓ No alert is firing",
}  # fmt: skip
MOVES: Final = {
    "valid": "✓ The move goes on", "suspect": "! The move is paused",
    "invalid": "✗ All calls go to the baseline",
}  # fmt: skip
MOST_ENDED: Final = 20
DAY_S: Final = 12 * 3600.0
"""After so long a time of day alone would be in doubt."""


def top(about: dict[str, Any]) -> Html:
    """A line on what is shown: `name, state, words, simulated`."""
    return element(
        "div",
        element("span", about["state"], kind=f"hm-state {about['state']}"),
        element("span", "simulated", kind="hm-badge") if about["simulated"] else "",
        element("span", about["words"], kind="hm-words"),
        element("span", about["name"], kind="hm-id"),
        kind="hm-line",
    )


def progress(about: dict[str, Any]) -> Html:
    """A line on how far a run is, with a bar: as `top`, and its `share`."""
    share = min(max(about["share"], 0.0), 1.0)
    bar = element("div", element("div", style=f"width:{share * 100:.1f}%"), kind="hm-bar")
    return join(top(about), bar)


def clock(seconds: float) -> str:
    """A time on the clock: `7 s`, `3:05`, `2:03:05`."""
    minutes, rest = divmod(round(max(seconds, 0)), 60)
    if not minutes:
        return f"{rest} s"
    hours, minutes = divmod(minutes, 60)
    return f"{hours}:{minutes:02}:{rest:02}" if hours else f"{minutes}:{rest:02}"


def trust(summary: Summary, judged: Verdict, vitals: ClientHealth, plan: Plan) -> Html:
    """Whether the client is fit to measure, why not, and the figures that say so."""
    level = "early" if judged.early else judged.measurement
    order = sorted(judged.reasons, key=lambda reason: -FITNESS.index(reason.level))
    why = [] if judged.early else [reason.text for reason in order]
    why += [*judged.about_client, *judged.proxies]
    for target, called in zip(summary.targets, plan.targets, strict=True):
        if target.ok:  # else it is a reason
            why += [f"{target.target}: {line}" for line in hints.failures(target, called)]
    return _panel(level, HEADS[level], _tiles(summary, vitals, plan), why)


def _panel(
    level: str, head: str, tiles: Iterable[tuple[str, str]], why: Iterable[str]
) -> Html:  # fmt: skip
    shown = [
        element("div", element("span", what), element("b", value), kind="hm-tile")
        for what, value in tiles
    ]
    return element(
        "div",
        element("div", head, kind="hm-verdict"),
        element("div", *shown, kind="hm-tiles"),
        element("ul", *(element("li", sentence) for sentence in why), kind="hm-why"),
        kind=f"hm-trust {level}",
    )


def _tiles(summary: Summary, vitals: ClientHealth, plan: Plan) -> list[tuple[str, str]]:
    targets = summary.targets
    latest = [target.schedule_delay_s.max for target in targets]
    delays = [delay for delay in latest if delay is not None]
    closed = isinstance(plan.load, Closed)
    sources = {str(target.tokens.source) for target in targets if target.tokens.source}
    counted = {"server": "by the server", "chunks": "estimated", "mixed": "partly estimated"}
    source = counted[sources.pop()] if len(sources) == 1 else "differs" if sources else DASH
    return [
        ("calls", count(sum(target.requests for target in targets))),
        ("failed", count(sum(_failed(target) for target in targets))),
        ("sent late, at most", "no schedule" if closed else _ms(max(delays, default=None))),
        ("loop lag p99", _ms(vitals.lag(0.99))),
        ("sent of wanted, per s", "no schedule" if closed else _pace(targets)),
        ("tokens counted", source),
    ]


def _failed(target: TargetSummary) -> int:
    """As in its error rate: without the calls that we stopped or never sent."""
    return sum(n for name, n in target.errors.items() if name not in NOT_THE_SERVER)


def _ms(seconds: float | None) -> str:
    return DASH if seconds is None else f"{ms(seconds)} ms"


def _pace(targets: tuple[TargetSummary, ...]) -> str:
    """The target that is furthest behind."""
    known = [(target.sent_per_s / target.wanted_per_s, target.pace) for target in targets
             if target.sent_per_s is not None and target.wanted_per_s]  # fmt: skip
    return min(known, default=(0.0, DASH))[1]


def figures(summary: Summary, judged: Verdict) -> Html:
    """A row for each target, with 95 % intervals, and the objectives."""
    rows = [target.live_cells for target in summary.targets]
    table = replace(summary.table, rows=rows, notes=()).html("hm-figures")
    goals = [
        element("span", f"{check.target}: {check.text}{_figure(check)}",
                kind=f"hm-goal {_outcome(check.met)}")
        for check in judged.checks
    ]  # fmt: skip
    odd = [
        f"{target.target}: {line}"
        for target in summary.targets for line in (*target.headroom, *target.odd)
    ]  # fmt: skip
    return join(
        table,
        element("div", *goals, kind="hm-goals") if goals else "",
        bullets(odd, "hm-odd"),
    )


def _figure(check: ObjectiveCheck) -> str:
    """What was measured, unless there is none or the sentence says it."""
    figure = check.figure
    return "" if check.met is None or figure in check.text else f" (is {figure})"


def _outcome(met: bool | None) -> str:
    return {True: "met", False: "missed", None: "open"}[met]


def move(moved: LiveMove) -> Html:
    """How a move of traffic stands, and the latest changes of its share."""
    route, totals = moved.route, moved.route.totals
    gone = bool(moved.problem) or route.phase == "back"
    level = "invalid" if gone else "suspect" if route.paused else "valid"
    tiles = [
        ("at the candidate", percent(moved.share)), ("copied to both", percent(moved.shadow)),
        *((side, count(totals.get(side, 0))) for side in ("baseline", "candidate", "shadow")),
        ("fell back", count(totals.get("fallback", 0))),
    ]  # fmt: skip
    changes = [f"{change.at} {share_change(change)}: {change.reason}"
               for change in reversed(route.history[-MOST_ENDED:])]  # fmt: skip
    return _panel(level, MOVES[level], tiles, [headline(route, moved.problem), *changes])


def alarms(stats: RequestStats, rehearsed: Backtest) -> Html:
    """What fires now and since when, what has fired, and how an application's requests fared.

    The clock of what was rehearsed is the wall's.
    """
    active = [firing for firing in rehearsed.firings if firing.end_s is None]
    ended = [firing for firing in reversed(rehearsed.firings) if firing.end_s is not None]
    pages = any(firing.severity == "page" and not firing.muted for firing in active)
    level = ("invalid" if pages else "suspect") if active else (
        "valid" if stats.requests else "early"
    )  # fmt: skip
    head = f"✗ {len(active)} alert{'s are' if len(active) > 1 else ' is'} firing"
    says = {(alert.name, alert.objective): alert.says for alert in rehearsed.watch.alerts}
    lines = [
        f"{_named(firing)}, since {_at(rehearsed, firing.start_s)}: "
        f"{says[firing.alert, firing.objective]}"
        for firing in active
    ]
    lines += [
        f"ended: {_named(firing)}, {_at(rehearsed, firing.start_s)} to "
        f"{_at(rehearsed, firing.end_s or 0)}"
        for firing in ended[:MOST_ENDED]
    ]
    lines = lines or [f"nothing has fired; watched: {', '.join(rehearsed.watch.objectives)}"]
    return _panel(level, ALARMS.get(level, head), _fared(stats), lines)


def _named(firing: Firing) -> str:
    return f"{firing.alert} ({firing.severity}{', muted' * firing.muted}) on {firing.target}"


def _at(rehearsed: Backtest, seconds: float) -> str:
    today = rehearsed.seconds - seconds < DAY_S
    return strftime("%H:%M:%S" if today else "%d %b %H:%M", localtime(rehearsed.began_s + seconds))


def _fared(stats: RequestStats) -> list[tuple[str, str]]:
    return [
        ("requests", count(stats.requests)), ("succeeded in the end", percent(stats.success.value)),
        ("succeeded at once", percent(stats.first_attempts.value)),
        ("attempts per request", rounded(stats.amplification)),
        ("USD", stats.money[0]), ("USD on failures", stats.money[1]),
    ]  # fmt: skip


def calls(stats: RequestStats, doubts: Iterable[str] = ()) -> Html:
    """Requests and attempts in a table each, with 95 % intervals; errors by type of both.

    `doubts` are what may have falsified the durations; they come first.
    """
    tables = (replace(table, lead=(), notes=()) for table in stats.live_table)
    lines = (element("div", line) for line in (*doubts, *stats.lines))
    return join(Tables(tables).html("hm-figures"), element("div", *lines, kind="hm-lines"))
