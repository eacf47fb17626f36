"""What each figure means, and what other tools would print under its name from the same records.

Read in the sources of vLLM bench (02cfb53), GuideLLM (ee7a774) and AIPerf (2025-10, docs of 2026),
and in OpenRouter's documentation. All three tools count a stream that was cut short as a success
(vLLM bench and GuideLLM also one that ended in an error event); so do the figures made for them.
"""

import math
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from typing import Any, Final

import numpy as np
import numpy.typing as npt

from holymon.errors import CODES
from holymon.figures.definition import OURS, Definition, Definitions
from holymon.figures.quantiles import Floats
from holymon.figures.summary import summarize
from holymon.figures.summary_types import Summary, TargetSummary
from holymon.language.said import say
from holymon.records.attempt import Flag, gap_value
from holymon.records.chosen import Chosen
from holymon.records.gaps import histogram
from holymon.records.records import Recorded, Records, records_of

Mask = npt.NDArray[np.bool_]

_VLLM, _GUIDE, _AIPERF, _ROUTER = "vLLM bench", "GuideLLM", "AIPerf", "OpenRouter"
_TAKEN: Final = {
    _VLLM: ("", "stream_truncated", "stream_error_event"),
    _GUIDE: ("", "stream_truncated", "stream_error_event"),
    _AIPERF: ("", "stream_truncated"),
    _ROUTER: ("",),
}
"""How a call may have ended that a tool takes for a success."""


@dataclass(frozen=True, slots=True)
class _Part:
    """One target: its summary, which rows are its own, and which of them one tool takes."""

    summary: TargetSummary
    records: Records
    own: Mask
    taken: Mask
    rows: Chosen

    def of(self, name: str) -> npt.NDArray[Any]:
        return self.rows[name]

    @property
    def tokens(self) -> Floats:
        counts = self.rows["output_tokens"]
        return np.where(counts > 0, counts, np.nan)


_Quantiles = tuple[float | None, float | None]


def _plain(values: Floats) -> _Quantiles:
    """Percentiles by numpy's default (R-7), as vLLM bench and AIPerf take them."""
    known = values[~np.isnan(values)]
    if not len(known):
        return None, None
    quantiles = np.quantile(known, [0.5, 0.95])
    return float(quantiles[0]), float(quantiles[1])


def _weighted(values: Floats, weights: Floats | None) -> _Quantiles:
    """Percentiles of the weighted distribution function, as GuideLLM takes them."""
    known = ~np.isnan(values)
    if weights is not None:
        known &= weights > 0
    if not known.any():
        return None, None
    if weights is None:  # no order of all values is needed where each counts once
        n = int(known.sum())
        at = [math.ceil(n / 2) - 1, math.ceil(19 * n / 20) - 1]
        p50, p95 = np.partition(values[known], at)[at].tolist()
        return p50, p95
    quantiles = np.quantile(
        values[known], [0.5, 0.95], weights=weights[known], method="inverted_cdf"
    )  # fmt: skip
    return float(quantiles[0]), float(quantiles[1])


def _gaps(part: _Part, more: Floats, zeros: int) -> _Quantiles:
    """Percentiles (R-7) of all gaps, of `more` values beside them, and of so many zeros."""
    counted = histogram(part.records.gaps(part.taken))
    used = np.nonzero(counted)[0]
    more = np.sort(more[~np.isnan(more)])
    values = np.concatenate([gap_value(used), more, [0.0]])
    upto = np.concatenate([counted[used], np.ones(len(more), np.int64), [zeros]])
    order = np.argsort(values, kind="stable")
    values, upto = values[order], upto[order].cumsum()
    if not upto[-1]:
        return None, None

    def at(q: float) -> float:
        below, part = divmod(q * (upto[-1] - 1), 1)
        ends = values[
            np.searchsorted(upto, [below, below + 1], side="right").clip(max=len(upto) - 1)
        ]
        return float(np.quantile(ends, part))

    return at(0.5), at(0.95)


def _vllm_gaps(part: _Part) -> _Quantiles:
    together = part.of("events").astype(int) - part.of("chunks")
    ends = (part.of("first_s") - part.of("chunk_s"), part.of("end_s") - part.of("last_s"))
    return _gaps(part, np.concatenate(ends), int(together.sum()))


def _pooled(part: _Part) -> _Quantiles:
    return _gaps(part, np.empty(0), 0)


def _more(part: _Part) -> Floats:
    return np.where(part.tokens > 1, part.tokens - 1, np.nan)


def _whole_rate(part: _Part) -> float | None:
    ends, starts = part.of("end_s"), part.records["start_s"][part.own]
    if not len(ends) or not np.nanmax(ends) > np.nanmin(starts):
        return None
    return float(len(ends) / (np.nanmax(ends) - np.nanmin(starts)))


def _failed(part: _Part) -> float | None:
    judged = part.own & part.records.judged
    return float(1 - part.taken[judged].mean()) if judged.any() else None


def _uptime(part: _Part) -> float | None:
    refused = part.records["error"] == CODES["rate_limited"]
    counts = part.own & part.records.judged & ~refused
    return float(part.taken[counts].mean()) if counts.any() else None


def _ours(name: str) -> Callable[[_Part], _Quantiles]:
    def of(part: _Part) -> _Quantiles:
        figure = getattr(part.summary, name)
        return figure.p50, figure.p95

    return of


_Row = tuple[str, str, str, str, str, Callable[[_Part], Any]]
_ROWS: Final[tuple[_Row, ...]] = (
    ("TTFT", OURS, "TTFT", say("first token (content, reasoning or tool call) - start"), "s",
     _ours("ttft_s")),
    ("TTFT", _VLLM, "TTFT",
     say("first event with choices, though it may bring no token, - start"), "s",
     lambda part: _plain(part.of("chunk_s") - part.of("start_s"))),
    ("TTFT", _GUIDE, "TTFT", say("first token - start, by the wall clock"), "s",
     lambda part: _weighted(part.of("first_s") - part.of("start_s"), None)),
    ("TTFT", _AIPERF, "TTFT", say("first event with a token - start"), "s",
     lambda part: _plain(part.of("first_s") - part.of("start_s"))),
    ("TTFT", _ROUTER, "latency",
     say("first token - start; seen from its gateway, not from here"), "s",
     lambda part: _plain(part.of("first_s") - part.of("start_s"))),
    ("latency", OURS, "latency", say("end of the answer - start"), "s", _ours("latency_s")),
    ("latency", _VLLM, "E2EL",
     say("last event with choices - start (here: the end of the answer)"), "s",
     lambda part: _plain(part.of("end_s") - part.of("start_s"))),
    ("latency", _GUIDE, "request latency", say("end of the answer - start, by the wall clock"), "s",
     lambda part: _weighted(part.of("end_s") - part.of("start_s"), None)),
    ("latency", _AIPERF, "request latency", say("last token - start"), "s",
     lambda part: _plain(part.of("last_s") - part.of("start_s"))),
    ("ITL", OURS, "ITL", say("gaps between received pieces with tokens, all calls together"), "s",
     _ours("itl_s")),
    ("ITL", _VLLM, "ITL",
     say("gaps between events with choices, all calls together: also from a first one without "
         "a token, to the one that says why it ended, and 0 within a piece"), "s", _vllm_gaps),
    ("ITL", _GUIDE, "ITL",
     say("(last token - first token) / (tokens - 1), one value for each call, weighted by "
         "tokens - 1"), "s",
     lambda part: _weighted((part.of("last_s") - part.of("first_s")) / _more(part), _more(part))),
    ("ITL", _AIPERF, "ITL",
     say("(last token - first token) / (tokens - 1), one value for each call"), "s",
     lambda part: _plain((part.of("last_s") - part.of("first_s")) / _more(part))),
    ("ITL", _AIPERF, "ICL", say("gaps between events with tokens, all calls together"), "s",
     _pooled),
    ("TPOT", OURS, "TPOT",
     say("(last token - first token) / (output tokens - 1), one value for each call; without "
         "reasoning that was not streamed"), "s", _ours("tpot_s")),
    ("TPOT", _VLLM, "TPOT", say("(its E2EL - its TTFT) / (tokens - 1)"), "s",
     lambda part: _plain((part.of("end_s") - part.of("chunk_s")) / _more(part))),
    ("TPOT", _GUIDE, "TPOT",
     say("(last token - start) / tokens, so with the first one in it, weighted by tokens"), "s",
     lambda part: _weighted((part.of("last_s") - part.of("start_s")) / part.tokens, part.tokens)),
    ("response", OURS, "response",
     say("end of the answer - the moment the schedule wanted the call"), "s", _ours("response_s")),
    ("schedule delay", OURS, "schedule delay",
     say("start - that moment: lateness of the client"), "s", _ours("schedule_delay_s")),
    ("throughput", OURS, "answers/s",
     say("successful answers per second between the first and the last answer that came while "
         "calls were still being sent"), "1/s", lambda part: part.summary.requests_per_s),
    ("throughput", _VLLM, "request throughput",
     say("successes / (last end - first start), with the tail in which nothing is sent any "
         "more"), "1/s", _whole_rate),
    ("throughput", _AIPERF, "request throughput",
     say("successes / (last end - first start)"), "1/s", _whole_rate),
    ("error rate", OURS, "error rate",
     say("failed calls / calls that were sent and not stopped by us; with Wilson's interval"),
     "share", lambda part: part.summary.error_rate.value),
    ("error rate", _VLLM, "failed",
     say("calls without an event with choices, or with an exception; a stream that is cut "
         "short or ends in an error event is a success"), "share", _failed),
    ("error rate", _GUIDE, "errored",
     say("calls with an exception; a stream that is cut short or ends in an error event is a "
         "success"), "share", _failed),
    ("error rate", _AIPERF, "error requests",
     say("calls with an exception or a named error event; a stream that is cut short is a "
         "success"), "share", _failed),
    ("error rate", _ROUTER, "uptime",
     say("successes / (successes + errors), without refusals for exceeding a rate (429)"), "share",
     _uptime),
)  # fmt: skip
PERCENTILES: Final = say(
    "percentiles are taken from raw records (R-8, median-unbiased) with 95 % intervals by order "
    "statistics, and not below the number of calls they need; ITL has bins of 1 %, and intervals "
    "that keep each call's gaps together"
)


def definitions(
    of: Records | Recorded | None = None, *, summary: Summary | None = None
) -> Definitions:
    """The formula of each figure by holymon and by other tools; of a run or records, their values.

    For each target, from its successful calls as the tool would see them, without the warm-up.
    `summary` is that of the records, if it is there already.
    """
    if of is None:
        return Definitions(Definition(*row[:5]) for row in _ROWS)
    rows: list[Definition] = []
    records = records_of(of)
    taken = {tool: _taken(records, tool) for tool in (OURS, *_TAKEN)}
    for index, target in enumerate((summary or summarize(of)).targets):
        parts = dict(_parts(records, target, records.mask(index), taken))
        for figure, tool, name, formula, unit, computed in _ROWS:
            value = computed(parts[tool])
            p50, p95, single = (*value, None) if unit == "s" else (None, None, value)
            rows.append(
                Definition(figure, tool, name, formula, unit, target.target, p50, p95, single)
            )
    return Definitions(rows)


def _parts(
    records: Records, target: TargetSummary, own: Mask, taken: Mapping[str, Mask]
) -> Iterator[tuple[str, _Part]]:
    rows = records.chosen(own)
    for tool, mask in taken.items():
        yield tool, _Part(target, records, own, own & mask, rows.only(mask[own]))


def _taken(records: Records, tool: str) -> Mask:
    """Which calls a tool takes for successes; shape (n,)."""
    codes = [CODES[name] for name in _TAKEN.get(tool, ("",))]
    taken: Mask = np.isin(records["error"], codes)
    if tool == _VLLM:  # streams only: its client asks for nothing else
        taken &= ~np.isnan(records["chunk_s"]) | ((records["flags"] & Flag.STREAM) == 0)
    return taken
