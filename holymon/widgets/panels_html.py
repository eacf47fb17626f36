"""What the dashboard says in words and figures, as HTML of fixed height; nothing is computed here.

Each place is always filled, with a dash where there is no figure yet, so that nothing jumps.
"""

from collections.abc import Iterable
from time import localtime, strftime
from typing import Any, Final

from holymon.errors import NOT_THE_SERVER
from holymon.figures.quantiles import Figure
from holymon.figures.reasons import LEVELS
from holymon.figures.request_stats import ATTEMPTS, REQUESTS, Cell, Stats
from holymon.figures.summary_types import Summary, TargetSummary
from holymon.figures.verdict import Verdict
from holymon.formatting import DASH, count, ms, ms_interval, percent, rounded
from holymon.plan.plan import Closed, Plan
from holymon.prometheus.backtest import Backtest, Firing
from holymon.records.client_health import Vitals
from holymon.report.text import checked
from holymon.safety import escape
from holymon.structs import Interval

HEADS: Final = {
    "valid": "✓ The client keeps up", "suspect": "! Read with care",
    "invalid": "✗ Do not quote these figures", "early": "… Too early to judge",
}  # fmt: skip
ALARMS: Final = {
    "early": "… No call has ended yet", "valid": "✓ No alert is firing",
}  # fmt: skip
MOST_ENDED: Final = 20
DAY_S: Final = 12 * 3600.0
"""After so long a time of day alone would be in doubt."""

COLUMNS: Final = (
    ("latency p50", "latency_s", "p50"), ("p95", "latency_s", "p95"), ("p99", "latency_s", "p99"),
    ("TTFT p50", "ttft_s", "p50"), ("p95", "ttft_s", "p95"), ("ITL p50", "itl_s", "p50"),
)  # fmt: skip


def top(about: dict[str, Any]) -> str:
    """A line on what is shown: `name, state, words, simulated`."""
    badge = "<span class='hm-badge'>simulated</span>" if about["simulated"] else ""
    return (
        f"<div class='hm-line'><span class='hm-state {escape(about['state'])}'>"
        f"{escape(about['state'])}</span>{badge}<span class='hm-words'>{escape(about['words'])}"
        f"</span><span class='hm-id'>{escape(about['name'])}</span></div>"
    )


def progress(about: dict[str, Any]) -> str:
    """A line on how far a run is, with a bar: as `top`, and its `share`."""
    share = min(max(about["share"], 0.0), 1.0)
    return top(about) + f"<div class='hm-bar'><div style='width:{share * 100:.1f}%'></div></div>"


def clock(seconds: float) -> str:
    """A time on the clock: `7 s`, `3:05`, `2:03:05`."""
    minutes, rest = divmod(round(max(seconds, 0)), 60)
    if not minutes:
        return f"{rest} s"
    hours, minutes = divmod(minutes, 60)
    return f"{hours}:{minutes:02}:{rest:02}" if hours else f"{minutes}:{rest:02}"


def trust(summary: Summary, judged: Verdict, vitals: Vitals, plan: Plan) -> str:
    """Whether the client is fit to measure, why not, and the figures that say so."""
    level = "early" if judged.early else judged.measurement
    order = sorted(judged.reasons, key=lambda reason: -LEVELS.index(reason.level))
    why = "".join(f"<li>{escape(reason.text)}</li>" for reason in order) if not judged.early else ""
    return _panel(level, HEADS[level], _tiles(summary, vitals, plan), why)


def _panel(level: str, head: str, tiles: Iterable[tuple[str, str]], why: str) -> str:
    shown = "".join(
        f"<div class='hm-tile'><span>{escape(what)}</span><b>{escape(value)}</b></div>"
        for what, value in tiles
    )
    return (
        f"<div class='hm-trust {level}'><div class='hm-verdict'>{escape(head)}</div>"
        f"<div class='hm-tiles'>{shown}</div><ul class='hm-why'>{why}</ul></div>"
    )


def _tiles(summary: Summary, vitals: Vitals, plan: Plan) -> list[tuple[str, str]]:
    targets = summary.targets
    delays = [delay for one in targets if (delay := _highest(one.schedule_delay_s)) is not None]
    closed = isinstance(plan.load, Closed)
    sources = {str(one.tokens.source) for one in targets if one.tokens.source}
    counted = {"server": "by the server", "chunks": "estimated", "mixed": "partly estimated"}
    said = counted[sources.pop()] if len(sources) == 1 else "differs" if sources else DASH
    return [
        ("calls", count(sum(one.requests for one in targets))),
        ("failed", count(sum(_failed(one) for one in targets))),
        ("sent late, at most", "no schedule" if closed else _ms(max(delays, default=None))),
        ("loop lag p99", _ms(vitals.lag(0.99))),
        ("sent of wanted, per s", "no schedule" if closed else _pace(targets)),
        ("tokens counted", said),
    ]


def _failed(target: TargetSummary) -> int:
    """As in its error rate: without the calls that we stopped or never sent."""
    return sum(n for name, n in target.errors.items() if name not in NOT_THE_SERVER)


def _highest(figure: Figure) -> float | None:
    return figure.max


def _ms(seconds: float | None) -> str:
    return DASH if seconds is None else f"{ms(seconds)} ms"


def _pace(targets: tuple[TargetSummary, ...]) -> str:
    """The target that is furthest behind."""
    known = [(one.sent_per_s, one.wanted_per_s) for one in targets
             if one.sent_per_s is not None and one.wanted_per_s]  # fmt: skip
    if not known:
        return DASH
    sent, wanted = min(known, key=lambda pair: pair[0] / pair[1])
    return f"{rounded(sent)} of {rounded(wanted)}"


def figures(summary: Summary, judged: Verdict) -> str:
    """A row for each target, with 95 % intervals, and the objectives."""
    heads = ("target, times in ms", "calls", "failed", *(head for head, _, _ in COLUMNS),
             "answers/s", "tokens/s")  # fmt: skip
    table = _table(heads, map(_row, summary.targets))
    goals = "".join(
        f"<span class='hm-goal {_outcome(check.met)}'>{escape(check.target)}: {escape(check.text)} "
        f"(is {escape(checked(check))})</span>"
        for check in judged.checks
    )
    return table + (f"<div class='hm-goals'>{goals}</div>" if goals else "")


def _outcome(met: bool | None) -> str:
    return {True: "met", False: "missed", None: "open"}[met]


def _table(heads: Iterable[str], rows: Iterable[list[Cell]]) -> str:
    head = "".join(f"<th>{escape(name)}</th>" for name in heads)
    body = "".join(f"<tr>{''.join(_cells(row))}</tr>" for row in rows)
    return f"<table class='hm-figures'><thead><tr>{head}</tr></thead><tbody>{body}</tbody></table>"


def _row(target: TargetSummary) -> list[Cell]:
    rate = target.error_rate
    failed = DASH if rate.value is None else percent(rate.value)
    ends = "" if rate.low is None or rate.high is None else (
        f"{percent(rate.low)}–{percent(rate.high)}"
    )  # fmt: skip
    cells = [(target.target, ""), (count(target.requests), ""), (failed, ends)]
    for _, name, stat in COLUMNS:
        figure: Figure = getattr(target, name)
        cells.append((ms(getattr(figure, stat)), _interval(figure.ci.get(stat))))
    return [*cells, (rounded(target.requests_per_s), ""), (rounded(target.output_tokens_per_s), "")]


def _interval(found: Interval | None) -> str:
    return "" if found is None else ms_interval(found)


def _cells(cells: Iterable[Cell]) -> Iterable[str]:
    for k, (value, small) in enumerate(cells):
        # An empty interval holds its place: the row is as high as it will be.
        yield (
            f"<td>{escape(value)}<small>{escape(small) or '&nbsp;'}</small></td>"
            if k
            else (f"<td>{escape(value)}</td>")
        )


def alarms(found: Stats, rehearsed: Backtest) -> str:
    """What fires now and since when, what has fired, and how an application's requests fared.

    The clock of what was rehearsed is the wall's.
    """
    firing = [one for one in rehearsed.firings if one.end_s is None]
    ended = [one for one in reversed(rehearsed.firings) if one.end_s is not None]
    pages = any(one.severity == "page" and not one.muted for one in firing)
    level = ("invalid" if pages else "suspect") if firing else (
        "valid" if found.requests else "early"
    )  # fmt: skip
    head = f"✗ {len(firing)} alert{'s are' if len(firing) > 1 else ' is'} firing"
    says = {(one.name, one.objective): one.says for one in rehearsed.watch.alerts}
    lines = [
        f"{_named(one)}, since {_at(rehearsed, one.start_s)}: {says[one.alert, one.objective]}"
        for one in firing
    ]
    lines += [
        f"ended: {_named(one)}, {_at(rehearsed, one.start_s)} to {_at(rehearsed, one.end_s or 0)}"
        for one in ended[:MOST_ENDED]
    ]
    lines = lines or [f"nothing has fired; watched: {', '.join(rehearsed.watch.objectives)}"]
    return _panel(
        level,
        ALARMS.get(level, head),
        _fared(found),
        "".join(f"<li>{escape(one)}</li>" for one in lines),
    )


def _named(one: Firing) -> str:
    return f"{one.alert} ({one.severity}{', muted' * one.muted}) on {one.target}"


def _at(rehearsed: Backtest, seconds: float) -> str:
    today = rehearsed.seconds - seconds < DAY_S
    return strftime("%H:%M:%S" if today else "%d %b %H:%M", localtime(rehearsed.began_s + seconds))


def _fared(found: Stats) -> list[tuple[str, str]]:
    shares = [DASH if one.value is None else percent(one.value)
              for one in (found.success, found.first_attempts)]  # fmt: skip
    return [
        ("requests", count(found.requests)), ("succeeded in the end", shares[0]),
        ("succeeded at once", shares[1]), ("attempts per request", rounded(found.amplification)),
        ("USD", found.money[0]), ("USD on failures", found.money[1]),
    ]  # fmt: skip


def calls(found: Stats, doubts: Iterable[str] = ()) -> str:
    """Requests and attempts in a table each, with 95 % intervals; errors by type of both.

    `doubts` are what may have falsified the durations; they come first.
    """
    tables = _table(REQUESTS, (one.felt for one in found.rows)) + _table(
        ATTEMPTS, (one.sent for one in found.rows)
    )
    lines = "".join(f"<div>{escape(line)}</div>" for line in (*doubts, *found.lines))
    return f"{tables}<div class='hm-lines'>{lines}</div>"
