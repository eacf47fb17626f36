"""A report in a few lines, for chat and mail: what is the matter, what changed, the key figures.

digest(run.json, id, page) -> JSON, of which text, Markdown, HTML and webhooks' bodies are made
"""

from typing import Any, Final

from holymon.formatting import (
    Html,
    Table,
    bullets,
    count,
    element,
    join,
    markdown,
    ms_cell,
    rate_cell,
    rounded,
)
from holymon.language.catalogue import ENGLISH
from holymon.language.said import glued, heads, language, say, shown, tell
from holymon.load.run import Run
from holymon.report.health import Health
from holymon.report.reported import WORDS, in_language
from holymon.safety import plain, short
from holymon.structs import Interval, Rate

HEADS: Final = heads(
    "target", "calls", "failed", "latency p50, ms", "p95", "TTFT p50, ms", "p95", "USD"
)
KEY: Final = (("latency", "p50"), ("latency", "p95"), ("ttft", "p50"), ("ttft", "p95"))
STATES: Final = frozenset({"healthy", "worse", "unhealthy", "not judged"})
MOST: Final = 20
"""Targets, changes and missed objectives that are named."""


def digest(about: dict[str, Any], run_id: str, page: str) -> dict[str, Any]:
    """The summary of a report as JSON: see the keys below. Durations are in seconds.

    `about` is what its run.json holds; `page` is its address or path. `state` is that of health, or
    `unfinished` where the report or the run could not be made, or `reported` where a report is on
    no run.
    """
    report, verdict = about.get("report") or {}, about.get("verdict") or {}
    first, status = about.get("health") or {}, report.get("status")
    error = short(str(report.get("error") or ""), 500)
    state = str(first.get("state")) if first.get("state") in STATES else "reported"
    line = in_language(report, str(first.get("line") or "")) or say("A report was made")
    changes = [change for change in about.get("changes") or () if isinstance(change, dict)]
    missed = [
        glued(
            short(str(check.get("target")), 120),
            ": ",
            in_language(report, str(check.get("text")), 300),
        )
        for check in verdict.get("slo") or ()
        if check.get("met") is False
    ]
    reasons = [str(reason) for reason in verdict.get("reasons") or ()]
    return {
        "format": 1,
        "name": short(run_id.partition("/")[0], 120),
        "run_id": short(run_id, 240),
        "report": plain(page).replace("\n", " "),
        "state": state if status == "ok" else "unfinished",
        "line": line if status == "ok" else say(
            "The report is not complete, {status}: {error}", error=error,
            status=WORDS.get(str(status), str(status)),
        ),
        "started_at": report.get("started_at"),
        "simulated": bool(about.get("simulated")),
        "measurement": verdict.get("measurement"),
        "changes": [in_language(report, str(change.get("text"))) for change in changes[:MOST]],
        "missed": missed[:MOST],
        "reasons": [in_language(report, text, 300) for text in reasons[:MOST]],
        "targets": [_target(target) for target in (about.get("targets") or ())[:MOST]],
        "cost_usd": about.get("cost_usd"),
    }  # fmt: skip


def _target(about: dict[str, Any]) -> dict[str, Any]:
    figures: dict[str, Any] = {}
    for metric, stat in KEY:
        of = about.get(f"{metric}_s") or {}
        low, high = (of.get("ci") or {}).get(stat) or (None, None)
        figures[f"{metric}_{stat}_s"] = {
            "value": of.get(stat), "low": low, "high": high, "n": of.get("n"),
        }  # fmt: skip
    return {
        "target": short(str(about.get("target")), 120), "requests": about.get("requests"),
        "error_rate": about.get("error_rate"), **figures, "cost_usd": about.get("cost_usd"),
    }  # fmt: skip


def translated(
    run: Run | None, first: Health | None, words: dict[str, Any] | None = None
) -> dict[str, Any]:  # fmt: skip
    """For run.json: a report's language, and its sentences in it; nothing of an English one.

    `words` are sentences that the kernel of a notebook handed on in it.
    """
    if language() == ENGLISH:
        return {}
    each: list[str] = [first.line, *(change.text for change in first.news.changes)] if first else []
    if run is not None and first is not None:
        judged = run.verdict()
        each += [check.text for check in judged.checks]
        each += [reason.line for reason in judged.reasons]
    return {
        "lang": language(),
        "shown": {**(words or {}), **{str(text): shown(text) for text in each}},
    }


def heading(summary: dict[str, Any]) -> str:
    """What it is about and how that is, in a few words."""
    state = summary["state"]
    return f"{summary['name']}: {shown(WORDS.get(state, state))}"


def sentences(summary: dict[str, Any]) -> list[str]:
    """What is the matter and what changed, the first one being the answer."""
    label = [say("SIMULATED: the API is the built-in simulator.")] * summary["simulated"]
    unfit = [reason for reason in summary["reasons"] if reason.startswith("invalid")]
    every = [summary["line"], *summary["changes"], *summary["missed"], *unfit, *label]
    return list(map(shown, every))


def table(summary: dict[str, Any]) -> Table:
    """The key figures of each target with their 95 % intervals."""
    rows = []
    for target in summary["targets"]:
        rate = target["error_rate"] or {}
        known = Rate(rate.get("value"), rate.get("low"), rate.get("high"), rate.get("of") or 0)
        times = [ms_cell(figure["value"], _interval(figure)) for metric, stat in KEY
                 for figure in [target[f"{metric}_{stat}_s"]]]  # fmt: skip
        rows.append((target["target"], count(target["requests"]), rate_cell(known), *times,
                     rounded(target["cost_usd"])))  # fmt: skip
    return Table(HEADS, rows) if rows else Table()


def _interval(figure: dict[str, Any]) -> Interval | None:
    low, high = figure["low"], figure["high"]
    return None if low is None or high is None else (low, high)


def figure_lines(summary: dict[str, Any]) -> list[str]:
    """The key figures as a line for each target, for where a table can't be."""
    lines = []
    for row in table(summary).rows:
        cells = [shown(cell) if isinstance(cell, str)
                 else shown(cell[0]) + f" ({shown(cell[1])})" * bool(cell[1])
                 for cell in row]  # fmt: skip
        name, calls, failed, p50, p95, ttft50, ttft95, cost = cells
        lines.append(tell(
            "{name}: {calls} calls, failed {failed}, latency p50 {p50} ms, p95 {p95} ms, "
            "TTFT p50 {ttft50} ms, p95 {ttft95} ms, USD {cost}", name=name, calls=calls,
            failed=failed, p50=p50, p95=p95, ttft50=ttft50, ttft95=ttft95, cost=cost,
        ))  # fmt: skip
    return lines


def is_address(page: str) -> bool:
    """Whether a page can be reached from elsewhere, so that a link to it is one."""
    return page.startswith(("https://", "http://"))


def as_markdown(summary: dict[str, Any]) -> str:
    """The summary as Markdown, in which nothing that a server says is markup."""
    first, *more = map(markdown, sentences(summary))
    page = summary["report"]
    named = tell("The report")
    link = f"[{named}](<{page}>)" if is_address(page) else f"{named}: {markdown(page)}"
    parts = [f"**{markdown(heading(summary))}**", first, "\n".join(f"- {each}" for each in more),
             table(summary).markdown(), link]  # fmt: skip
    return "\n\n".join(filter(None, parts)) + "\n"


def as_text(summary: dict[str, Any]) -> str:
    """The summary as plain text."""
    return "\n".join([*sentences(summary), "", *figure_lines(summary), "", summary["report"], ""])


def as_html(summary: dict[str, Any]) -> Html:
    """The summary as HTML, for mail."""
    first, *more = sentences(summary)
    page = summary["report"]
    link = element("a", say("The report"), href=page) if is_address(page) else join(page)
    shown = table(summary).html() if summary["targets"] else ""
    return join(element("h1", heading(summary)), element("p", first), bullets(more), shown,
                element("p", link))  # fmt: skip
