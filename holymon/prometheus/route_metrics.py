"""A move of traffic to another provider, for Prometheus: its share, what changed it, and alerts."""

from collections.abc import Iterator
from typing import Any

from prometheus_client.core import CounterMetricFamily, GaugeMetricFamily, Metric

from holymon.monitor.move import LiveMove
from holymon.prometheus.metric_names import ROLLBACKS, ROUTE_PROBLEM, ROUTE_PROMOTIONS, ROUTE_SHARE
from holymon.safety import short

_SIDES = ("baseline", "candidate")
_LONGEST = 100


def route_families(move: LiveMove) -> Iterator[Metric]:
    """The families of a move; counters are of what this process itself changed."""
    names = [short(getattr(move.route, side), _LONGEST) for side in _SIDES]
    values: tuple[tuple[Any, str, str, float], ...] = (
        (GaugeMetricFamily, ROUTE_SHARE, "Share of calls that go to the candidate.", move.share),
        (GaugeMetricFamily, ROUTE_PROBLEM, "1: the state of the move can't be used, and only the "
         "baseline is called.", float(bool(move.problem))),
        (CounterMetricFamily, ROUTE_PROMOTIONS, "Steps that this process let a move go on by.",
         move.keeper.moved["promotions"]),
        (CounterMetricFamily, ROLLBACKS, "Moves that this process took back.",
         move.keeper.moved["rollbacks"]),
    )  # fmt: skip
    for kind, name, about, value in values:
        family: Metric = kind(name.removesuffix("_total"), about, labels=_SIDES)
        family.add_metric(names, value)  # type: ignore[attr-defined]
        yield family


def route_rules(job: str) -> Iterator[dict[str, Any]]:
    """Alerts on moves, beside those on objectives."""
    by, whose = "by (baseline, candidate)", "{{ $labels.baseline }} to {{ $labels.candidate }}"
    new = f"sum {by} ({ROLLBACKS}) > 0 unless sum {by} ({ROLLBACKS} offset 10m)"
    yield {
        "alert": "RouteTakenBack",
        "expr": f"sum {by} (increase({ROLLBACKS}[10m])) > 0\n"
        f"or ({new})",
        "labels": {"severity": "ticket", "job": job},
        "annotations": {"summary": f"the move from {whose} took itself back: `holymon route "
                        "status` says why"},
    }  # fmt: skip
    yield {
        "alert": "RouteStateUnusable",
        "expr": f"max {by} ({ROUTE_PROBLEM}) > 0",
        "for": "1m",
        "labels": {"severity": "ticket", "job": job},
        "annotations": {"summary": f"the state of the move from {whose} can't be used: only the "
                        "baseline is called"},
    }  # fmt: skip
