"""What the list of reports shows of one: its state, its words and figures, from its run.json."""

import math
from collections.abc import Callable
from functools import partial
from typing import Any, Final, NamedTuple

from holymon.errors import RunError
from holymon.figures.all_calls import MANY, OF_SUCCESSES, duration
from holymon.formatting import DASH, Cell, Html, element, join, ms, percent, stacked
from holymon.language.said import Said, heads, language, listed, say, vocabulary
from holymon.records.own_files import MOST_OF_JSON
from holymon.report import health
from holymon.safety import short
from holymon.structs import fields_in

FIELDS: Final = ("targets", "verdict", "report", "simulated", "health", "changes")
STATES: Final = ("unfinished", "unhealthy", "worse", "not judged", "healthy")
"""What may be the matter with a report, the worst first."""
WORDS: Final = vocabulary("unfinished", "unhealthy", "worse", "not judged", "healthy", "reported",
                          "unknown", "failed", "timeout", "killed")  # fmt: skip
"""How that is shown, and how a report ended."""
HEADS: Final = heads("when (UTC)", "state", "failed", "latency p50, ms", "p95")
DOUBTS: Final = {"suspect": say("measurement suspect"), "invalid": say("measurement invalid")}
BAD_FILE: Final = say("run.json can't be read")
_FAULTS: Final = (RunError, OSError, ValueError, ArithmeticError, RecursionError, AttributeError,
                  TypeError)  # fmt: skip
"""What a run.json that somebody else wrote may raise."""


class Reported(NamedTuple):
    """One report: when, its state, a line on it, more words, and for each target its figures.

    `state` is one of STATES, `word` what is shown of it; `is_news` says whether its line is more
    than that all is well and as ever. `rows` are (target, failed, p50, p95, why calls failed).
    """

    when: str
    state: str
    word: str
    line: str
    more: str
    is_news: bool
    rows: tuple[tuple[Html, ...], ...]

    @property
    def badge(self) -> Html:
        """The state as a word, coloured."""
        return element("span", WORDS.get(self.word, self.word), kind=f"state {self.state}")

    def cells(self, link: Html) -> list[tuple[Cell, ...]]:
        """Its rows in a table under HEADS, one for each target."""
        words = (self.line * self.is_news, self.more)
        first = [self.badge, *(element("small", text) for text in words if text)]
        rows: list[tuple[Cell, ...]] = []
        for k, (name, *figures, _) in enumerate(self.rows):
            target = [name] * (len(self.rows) > 1)
            rows.append(("" if k else link, stacked(*first[: 0 if k else None], *target), *figures))
        return rows or [(link, stacked(*first), DASH, DASH, DASH)]


def reported(read: Callable[[], bytes]) -> Reported:
    """A report from the bytes of its run.json, whatever is in there."""
    try:
        return _reported(fields_in(read(), MOST_OF_JSON, *FIELDS))
    except _FAULTS:
        return Reported("", "not judged", "unknown", BAD_FILE, "", True, ())


def _reported(about: dict[str, Any]) -> Reported:
    targets: list[dict[str, Any]] = about.get("targets") or []
    verdict = about.get("verdict") or {}
    report = about.get("report") or {}
    measurement = short(str(verdict.get("measurement") or ""), 20)
    status = short(str(report.get("status") or "unknown"), 20)
    first = about.get("health")
    known = first.get("state") if isinstance(first, dict) else None
    state = "not judged" if known not in STATES else str(known)
    word = state if known in STATES else "reported"
    if status != "ok":
        state, word = "unfinished", status
    more = [DOUBTS.get(measurement, measurement)] * bool(measurement and measurement != "valid")
    more += heads("simulated") * bool(about.get("simulated"))
    line = (
        in_language(report, health.shown(about))
        if status == "ok"
        else short(str(report.get("error") or ""), 300)
    )
    return Reported(
        str(report.get("started_at", ""))[:16].replace("T", " "), state, word, line,
        listed(", ", [*objectives([check.get("met") for check in verdict.get("slo", ())]), *more]),
        state != "healthy" or bool(about.get("changes")), tuple(map(_row, targets)),
    )  # fmt: skip


def in_language(report: dict[str, Any], sentence: str, most: int = 500) -> str:
    """A sentence of a run.json, to be shown in the language that its report was written in."""
    known = report.get("shown") if report.get("lang") == language() else None
    text = known.get(sentence) if isinstance(known, dict) else None
    cut = short(sentence, most)
    return Said(cut, "", (short(text, most),)) if isinstance(text, str) else cut


def objectives(met: list[bool | None]) -> list[str]:
    """How many objectives were missed, or could not be judged; or that they were met."""
    missed, unknown = met.count(False), met.count(None)
    bad: list[str] = [say("{n} missed", n=missed)] * bool(missed)
    bad += [say("{n} not judged", n=unknown)] * bool(unknown)
    return (
        [say("objectives: {parts}", parts=listed(", ", bad))]
        if bad
        else [say("objectives met")] * bool(met)
    )


def _row(target: dict[str, Any]) -> tuple[Html, ...]:
    figures: list[Callable[[dict[str, Any]], Html]] = [
        _failed, partial(_latency, stat="p50"), partial(_latency, stat="p95"), _reason,
    ]  # fmt: skip
    return join(str(target.get("target", DASH))), *(_figure(target, figure) for figure in figures)


def _figure(target: dict[str, Any], figure: Callable[[dict[str, Any]], Html]) -> Html:
    try:
        return figure(target)
    except (KeyError, TypeError, ValueError):
        return Html(DASH)


def _latency(target: dict[str, Any], stat: str) -> Html:
    """Of the calls that succeeded; where many failed, with that of all calls beside it.

    Reports of before have none of all: there it is only said what it is of.
    """
    value = ms(target["latency_s"][stat])
    if not (target["error_rate"]["value"] or 0) > MANY:
        return join(value)
    every = (target.get("of_all") or {}).get("latency_s")
    beside: str = OF_SUCCESSES
    if every:
        inf = stat in every["over"]
        over = duration(math.inf if inf else every[stat], every["over"].get(stat))
        beside = say("{of_successes}; of all: {duration}", of_successes=OF_SUCCESSES, duration=over)
    return join(value, " ", element("small", beside))


def _failed(target: dict[str, Any]) -> Html:
    return join(percent(target["error_rate"]["value"]))


def _reason(target: dict[str, Any]) -> Html:
    """What failed most often, with the first words of it; nothing if no call failed."""
    error = next(iter(target.get("errors") or {}), "")
    words = (target.get("messages") or {}).get(error, "")
    return join(f"{error}: {short(str(words), 100)}" if words else str(error))
