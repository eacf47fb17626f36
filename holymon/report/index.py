"""`index.html`: the list of all runs and reports, newest first, as one static page."""

import json
from importlib.resources import files
from pathlib import Path
from typing import Any, Final

from holymon.formatting import DASH, ms, percent
from holymon.records import run_folder
from holymon.safety import escape

MOST: Final = 500


def write_index(out: Path) -> None:
    """Write `index.html` from the run.json files below `out`."""
    rows = "".join(_row(folder, out) for folder in reversed(_reported(out)[-MOST:]))
    style = files("holymon").joinpath("report/templates/holymon/style.css").read_text("utf-8")
    run_folder.write_aside(
        out / "index.html",
        '<!DOCTYPE html>\n<html lang="en"><head><meta charset="utf-8">'
        '<meta http-equiv="Content-Security-Policy" content="default-src \'none\'; style-src '
        "'unsafe-inline'\"><title>holymon: reports</title>"
        f"<style>\n{style}</style></head><body><main class='wide'><h1>Reports</h1>"
        '<table class="runs"><thead><tr><th>when (UTC)</th><th>run</th><th>targets</th>'
        "<th>measurement</th><th>objectives</th><th>calls</th><th>failed</th>"
        "<th>latency p50, ms</th><th>latency p95, ms</th><th>TTFT p50, ms</th></tr></thead>"
        f"<tbody>{rows}</tbody></table></main></body></html>\n",
    )


def _reported(out: Path) -> list[Path]:
    found = [path.parent for path in out.glob("*/*/run.json")]
    return sorted(found, key=lambda folder: (folder.name, folder.parent.name))


def _row(folder: Path, out: Path) -> str:
    try:
        return _told(json.loads((folder / "run.json").read_bytes()), folder, out)
    except (OSError, ValueError, RecursionError, AttributeError, TypeError):
        dashes = f"<td>{DASH}</td>" * 7
        return (f"<tr><td></td><td>{_link(folder, out)}</td><td>run.json can't be read</td>"
                f"{dashes}</tr>")  # fmt: skip


def _link(folder: Path, out: Path) -> str:
    link = (folder / "report.html").relative_to(out).as_posix()
    return f'<a href="{escape(link)}">{escape(run_folder.run_id(folder))}</a>'


def _told(about: dict[str, Any], folder: Path, out: Path) -> str:
    targets: list[dict[str, Any]] = about.get("targets") or []
    verdict = about.get("verdict") or {}
    report = about.get("report") or {}
    checks = [check.get("met") for check in verdict.get("slo", ())]
    missed, unknown = checks.count(False), checks.count(None)
    bad = [f"{missed} missed"] * bool(missed) + [f"{unknown} not judged"] * bool(unknown)
    said = ", ".join(bad) or ("met" if checks else DASH)
    whole = report.get("status") == "ok"
    state = verdict.get("measurement", DASH) if whole else report.get("status")
    cells = [
        escape(str(report.get("started_at", ""))[:16].replace("T", " ")),
        _link(folder, out),
        escape(", ".join(str(one.get("target")) for one in targets) or DASH)
        + (" (simulated)" if about.get("simulated") else ""),
        escape(str(state)),
        said,
        escape(str(sum(one.get("requests", 0) for one in targets)) if targets else DASH),
        _each(targets, lambda one: percent(one["error_rate"]["value"])),
        _each(targets, lambda one: ms(one["latency_s"]["p50"])),
        _each(targets, lambda one: ms(one["latency_s"]["p95"])),
        _each(targets, lambda one: ms(one["ttft_s"]["p50"])),
    ]
    return "<tr>" + "".join(f"<td>{cell}</td>" for cell in cells) + "</tr>"


def _each(targets: list[dict[str, Any]], figure: Any) -> str:
    said = []
    for one in targets:
        try:
            said.append(escape(figure(one)))
        except (KeyError, TypeError, ValueError):
            said.append(DASH)
    return "<br>".join(said) or DASH
