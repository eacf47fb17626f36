"""Sums and figures of one moment as Prometheus' metric families; nothing is counted here."""

from collections.abc import Callable, Collection, Iterable, Iterator, Mapping
from dataclasses import replace
from functools import cache, reduce
from importlib.metadata import version
from operator import add
from typing import Any, Final

from prometheus_client.core import (
    CounterMetricFamily,
    GaugeMetricFamily,
    HistogramMetricFamily,
    Metric,
)
from prometheus_client.utils import floatToGoString

from holymon.errors import NOT_THE_SERVER
from holymon.figures.totals import Histogram, TargetTotals
from holymon.prometheus import metric_names
from holymon.prometheus.route_metrics import route_families
from holymon.prometheus.run_gauges import Name, Rows, gauges, lags
from holymon.prometheus.sources import RunFigures, Scrape
from holymon.safety import short

MOST_TARGETS: Final = 50
LONGEST: Final = 100
OTHER: Final = ("other", "other")
_WHOSE: Final = ("provider", "model")
_GEN_AI: Final = (*_WHOSE, "gen_ai_operation_name", "gen_ai_provider_name", "gen_ai_request_model")


def families(
    scrape: Scrape, most: int = MOST_TARGETS, known: Collection[Name] = ()
) -> Iterator[Metric]:
    """All metric families of a scrape; of more than `most` targets, the rest as one.

    Those that are `known` by their labels keep them.
    """
    by_name = _guarded(scrape.totals.targets, most, known)
    yield from _requests(by_name)
    yield from _attempts(by_name)
    yield from _histograms(by_name)
    yield from _money(scrape.totals.targets, by_name)
    yield _gauge("holymon_build_info", "The version that exports.", ("version",),
                 [((_version(),), 1.0)])  # fmt: skip
    yield _in_flight(scrape, by_name)
    yield from _limits(scrape, by_name)
    named = [(label_of(run), run) for run in scrape.runs.values()]
    yield from run_families([(name, run) for name, run in named if name in by_name])
    targets = scrape.totals.targets
    loops = [(label_of(targets[name]), vitals)
             for name, vitals in scrape.loops.items() if name in targets]  # fmt: skip
    if loops:
        yield _gauge(*lags([(name, vitals) for name, vitals in loops if name in by_name]))
    if scrape.move is not None:
        yield from route_families(scrape.move)


@cache
def _version() -> str:
    """The version that exports; reading it takes longer than most scrapes."""
    return version("holymon")


def label_of(target: TargetTotals | RunFigures) -> Name:
    """The labels of a target: one line of printable text each."""
    return short(target.provider, LONGEST), short(target.model, LONGEST)


def run_families(named: list[tuple[Name, RunFigures]]) -> Iterator[Metric]:
    """The exact figures of runs as gauges."""
    for name, about, labels, rows in gauges(named):
        yield _gauge(name, about, labels, rows)


def _guarded(
    targets: Mapping[str, TargetTotals], most: int, known: Collection[Name]
) -> dict[Name, TargetTotals]:
    """Sums by label; those after the first `most`, and those whose labels meet, together."""
    groups: dict[Name, list[TargetTotals]] = {name: [] for name in known}
    for sums in targets.values():
        name = label_of(sums)
        groups.setdefault(name if name in groups or len(groups) < most else OTHER, []).append(sums)
    return {
        name: reduce(add, (replace(sums, provider=name[0], model=name[1]) for sums in group))
        for name, group in groups.items() if group
    }  # fmt: skip


def _counter(name: str, about: str, labels: tuple[str, ...], rows: Rows) -> Metric:
    return _filled(CounterMetricFamily(name.removesuffix("_total"), about, labels=labels), rows)


def _gauge(name: str, about: str, labels: tuple[str, ...], rows: Rows) -> Metric:
    """A gauge; what was not measured is not told, which is not 0."""
    return _filled(GaugeMetricFamily(name, about, labels=labels), rows)


def _filled(family: Any, rows: Rows) -> Metric:
    for labels, value in rows:
        if value is not None:
            family.add_metric(labels, value)
    metric: Metric = family
    return metric


def _each(
    by_name: Mapping[Name, TargetTotals], of: Callable[[TargetTotals], Mapping[str, float]]
) -> Iterator[tuple[tuple[str, ...], float]]:
    for name, sums in by_name.items():
        for label, value in of(sums).items():
            yield (*name, label), value


def _by(counts: Iterable[tuple[str, int]], zeros: Iterable[str] = ()) -> dict[str, float]:
    """Numbers added up by their first part."""
    summed = dict.fromkeys(zeros, 0.0)
    for key, n in counts:
        summed[key] = summed.get(key, 0.0) + n
    return summed


def _judged(sums: TargetTotals) -> Iterator[tuple[int, str, int]]:
    for (status, error), n in sums.requests.items():
        if error not in NOT_THE_SERVER:
            yield status, error, n


def _requests(by_name: Mapping[Name, TargetTotals]) -> Iterator[Metric]:
    yield _counter(
        metric_names.REQUESTS,
        "Requests that ended, by the HTTP status of their last attempt there; 0: none.",
        (*_WHOSE, "status"),
        _each(by_name, lambda sums: _by((str(status), n) for status, _, n in _judged(sums))),
    )  # fmt: skip
    yield _counter(
        metric_names.ERRORS, "Requests that failed in the end, by holymon's error types.",
        (*_WHOSE, "error_type"),
        _each(by_name, lambda sums: _by(
            ((error, n) for _, error, n in _judged(sums) if error), metric_names.WATCHED)),
    )  # fmt: skip
    yield _counter(
        metric_names.STOPPED,
        "Requests that were stopped from our side, which say nothing of the API.",
        _WHOSE,
        [(name, float(sum(n for (_, error), n in sums.requests.items()
                          if error in NOT_THE_SERVER)))
         for name, sums in by_name.items()],
    )  # fmt: skip


def _attempts(by_name: Mapping[Name, TargetTotals]) -> Iterator[Metric]:
    yield _counter(
        metric_names.ATTEMPTS, "HTTP exchanges, by error type; empty: it succeeded.",
        (*_WHOSE, "error_type"),
        _each(by_name, lambda sums: _by(
            ((error, n) for (_, error), n in sums.attempts.items()), ("", *metric_names.WATCHED))),
    )  # fmt: skip
    yield _counter(metric_names.RETRIES, "Attempts after the first of a request there.", _WHOSE,
                   [(name, sums.retries) for name, sums in by_name.items()])  # fmt: skip
    yield _counter(metric_names.DROPPED, "Calls that were due but never sent: the client was full.",
                   _WHOSE, [(name, sums.dropped) for name, sums in by_name.items()])  # fmt: skip


def _in_flight(scrape: Scrape, by_name: Mapping[Name, TargetTotals]) -> Metric:
    flying: dict[tuple[str, ...], float] = {}
    for target, many in scrape.in_flight.items():
        if target in scrape.totals.targets:
            name = label_of(scrape.totals.targets[target])
            key = name if name in by_name else OTHER
            flying[key] = flying.get(key, 0.0) + many
    return _gauge(metric_names.IN_FLIGHT, "Calls that have begun and not ended.", _WHOSE,
                  flying.items())  # fmt: skip


def _limits(scrape: Scrape, by_name: Mapping[Name, TargetTotals]) -> Iterator[Metric]:
    """What answers told of limits; nothing where none did. Targets without a name have none."""
    known = [
        ((*label_of(scrape.totals.targets[target]), kind), about)
        for target, limits in scrape.limits.items() if target in scrape.totals.targets
        for kind, about in limits.items()
    ]  # fmt: skip
    named = [(labels, about) for labels, about in known if labels[:2] in by_name]
    if named:
        for name, of, field in _OF_LIMITS:
            rows = [(labels, getattr(about, field)) for labels, about in named]
            yield _gauge(name, of, (*_WHOSE, "limit"), rows)
        hits = [(labels, about.hits) for labels, about in named]
        yield _counter("holymon_ratelimit_hits_total", "Calls that were refused for a limit.",
                       (*_WHOSE, "limit"), hits)  # fmt: skip


_OF_LIMITS: Final = (
    ("holymon_ratelimit_limit", "An API's limit, as its answers tell it.", "limit"),
    (metric_names.REMAINING, "What remained of it at the last answer that told.", "remaining"),
    ("holymon_ratelimit_reset_seconds", "When it is whole again, from then on.", "reset_s"),
)


def _histograms(by_name: Mapping[Name, TargetTotals]) -> Iterator[Metric]:
    latency = HistogramMetricFamily(
        metric_names.LATENCY, "Latency of successful attempts, from their own start.", labels=_WHOSE
    )
    duration = HistogramMetricFamily(
        metric_names.DURATION,
        "Duration of requests as their caller felt them, with all their attempts.",
        labels=(*_GEN_AI, "error_type"),
    )  # fmt: skip
    ttft = HistogramMetricFamily(
        metric_names.TTFT, "Start of a successful attempt to its first token.", labels=_GEN_AI
    )
    chunk = HistogramMetricFamily(
        metric_names.CHUNK, "Gaps between received pieces with tokens.", labels=_GEN_AI
    )
    tokens = HistogramMetricFamily(
        metric_names.TOKENS, "Tokens of an attempt as the server counted them.",
        labels=(*_GEN_AI, "gen_ai_token_type"),
    )  # fmt: skip
    for name, sums in by_name.items():
        gen_ai = (*name, "chat", *name)
        _bucketed(latency, name, sums.latency)
        for error, histogram in sums.duration.items():
            _bucketed(duration, (*gen_ai, error), histogram)
        _bucketed(ttft, gen_ai, sums.ttft)
        _bucketed(chunk, gen_ai, sums.chunk)
        _bucketed(tokens, (*gen_ai, "input"), sums.prompt_tokens)
        _bucketed(tokens, (*gen_ai, "output"), sums.output_tokens)
    yield from (latency, duration, ttft, chunk, tokens)


def _bucketed(family: HistogramMetricFamily, labels: tuple[str, ...], histogram: Histogram) -> None:
    buckets, upto = [], 0
    for edge, n in zip((*histogram.edges, float("inf")), histogram.counts, strict=True):
        upto += n
        buckets.append((_le(edge), float(upto)))
    family.add_metric(labels, buckets, histogram.sum)


def _le(edge: float) -> str:
    """A bucket's edge as a label; the rules spell limits as `repr`, which is the same below 1e6."""
    return str(floatToGoString(edge))  # type: ignore[no-untyped-call]


def _money(
    targets: Mapping[str, TargetTotals], by_name: Mapping[Name, TargetTotals]
) -> Iterator[Metric]:
    spent: dict[tuple[str, ...], float] = {}
    wasted: dict[tuple[str, ...], float] = {}
    for sums in targets.values():
        name = label_of(sums)
        key = (*(name if name in by_name else OTHER), sums.currency)
        spent[key] = spent.get(key, 0.0) + sums.cost
        wasted[key] = wasted.get(key, 0.0) + sums.cost_of_failures
    labels = (*_WHOSE, "currency")
    yield _counter("holymon_cost_total", "Money spent, where price and tokens are known.", labels,
                   spent.items())  # fmt: skip
    yield _counter("holymon_cost_of_failures_total", "The part of it spent on failed attempts.",
                   labels, wasted.items())  # fmt: skip
    yield _counter("holymon_unpriced_attempts_total", "Attempts whose cost is not known.", _WHOSE,
                   [(name, sums.unpriced) for name, sums in by_name.items()])  # fmt: skip
