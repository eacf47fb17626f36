"""`index.html`: the list of all runs and reports, newest first, as one static page."""

import math
import os
from collections.abc import Callable
from functools import partial
from importlib.resources import files
from pathlib import Path
from typing import Any, Final
from urllib.parse import quote

from holymon.errors import RunError
from holymon.figures.all_calls import MANY, OF_SUCCESSES, duration
from holymon.formatting import DASH, Html, Table, element, join, ms, percent, stacked
from holymon.records import run_folder
from holymon.records.own_files import MOST_OF_JSON, content, write_page
from holymon.report import health
from holymon.safety import short
from holymon.structs import fields_in

MOST: Final = 500
TEMPLATES: Final = Path(str(files("holymon").joinpath("report/templates")))
_SHOWN: Final = ("targets", "verdict", "report", "simulated", "health")
HEADS: Final = ("when (UTC)", "run", "targets", "measurement", "objectives", "calls", "failed",
                "latency p50, ms", "latency p95, ms", "TTFT p50, ms")  # fmt: skip


def write_index(out: Path) -> str:
    """Write `index.html` from the run.json files below `out`; a sentence if others wrote it."""
    import jinja2

    rows = [_row(folder, out) for folder in reversed(_reported(out)[-MOST:])]
    pages = jinja2.Environment(
        loader=jinja2.FileSystemLoader([TEMPLATES, TEMPLATES / "holymon"]), autoescape=True
    )
    page = pages.get_template("reports.html.j2").render(
        style=Html(style()), table=Table(HEADS, rows, "lllllr").html("runs")
    )
    return write_page(out / "index.html", page)


def style() -> str:
    """The style sheet of all pages."""
    return (TEMPLATES / "holymon" / "style.css").read_text("utf-8")


def _reported(out: Path) -> list[Path]:
    return run_folder.folders(out, "run.json")


def _row(folder: Path, out: Path) -> tuple[str, ...]:
    # A folder may have any name, also one that begins like an address of another kind.
    href = quote(os.fsencode((folder / "report.html").relative_to(out).as_posix()))
    link = element("a", run_folder.run_id(folder), href=href)
    try:
        raw = content(folder / "run.json")
        about = fields_in(raw, MOST_OF_JSON, *_SHOWN)
        when, *cells = _cells(about)
        line = health.shown(about)
        link = stacked(link, element("small", line)) if line else link
    except (
        OSError,
        RunError,
        ValueError,
        ArithmeticError,
        RecursionError,
        AttributeError,
        TypeError,
    ):
        when, *cells = "", "run.json can't be read", *[DASH] * 7
    return when, link, *cells


def _cells(about: dict[str, Any]) -> tuple[str, ...]:
    targets: list[dict[str, Any]] = about.get("targets") or []
    verdict = about.get("verdict") or {}
    report = about.get("report") or {}
    complete = report.get("status") == "ok"
    names = ", ".join(str(target.get("target")) for target in targets) or DASH
    return (
        str(report.get("started_at", ""))[:16].replace("T", " "),
        names + (" (simulated)" if about.get("simulated") else ""),
        str(verdict.get("measurement", DASH) if complete else report.get("status")),
        _objectives([check.get("met") for check in verdict.get("slo", ())]),
        str(sum(target.get("requests", 0) for target in targets)) if targets else DASH,
        _each(targets, _failed),
        *(_each(targets, partial(_percentile, metric=metric, stat=stat))
          for metric, stat in (("latency_s", "p50"), ("latency_s", "p95"), ("ttft_s", "p50"))),
    )  # fmt: skip


def _percentile(target: dict[str, Any], metric: str, stat: str) -> Html:
    """Of the calls that succeeded; where many failed, with that of all calls beside it.

    Reports of before have none of all: there it is only said what it is of.
    """
    value = ms(target[metric][stat])
    if not (target["error_rate"]["value"] or 0) > MANY:
        return join(value)
    every = (target.get("of_all") or {}).get(metric)
    beside = OF_SUCCESSES
    if every:
        inf = stat in every["over"]
        beside += f"; of all: {duration(math.inf if inf else every[stat], every['over'].get(stat))}"
    return join(value, " ", element("small", beside))


def _failed(target: dict[str, Any]) -> Html:
    """The share of calls that failed, and the first words of what failed most often."""
    error = next(iter(target.get("errors") or {}), "")
    words = (target.get("messages") or {}).get(error, "")
    reason = f"{error}: {short(str(words), 100)}" if words else str(error)
    return join(percent(target["error_rate"]["value"]), " ", element("small", reason))


def _objectives(met: list[bool | None]) -> str:
    missed, unknown = met.count(False), met.count(None)
    bad = [f"{missed} missed"] * bool(missed) + [f"{unknown} not judged"] * bool(unknown)
    return ", ".join(bad) or ("met" if met else DASH)


def _each(targets: list[dict[str, Any]], figure: Callable[[dict[str, Any]], Html]) -> Html:
    texts: list[str] = []
    for target in targets:
        try:
            texts.append(figure(target))
        except (KeyError, TypeError, ValueError):
            texts.append(DASH)
    return stacked(*texts or [DASH])
