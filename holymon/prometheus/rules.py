"""The alerts as Prometheus rules: recorded ratios, and the conditions on them in PromQL."""

import json
from collections.abc import Iterator
from typing import Any, Final

from holymon.prometheus import metric_names
from holymon.prometheus.alerts import Alert, Burn, Count, Seen, Share, Silent, Slower, Watch

BY: Final = "sum by (provider, model)"
WHOSE: Final = (  # an absence is nobody's: it bears no labels
    "{{ with $labels.provider }}{{ . }}/{{ $labels.model }}{{ else }}all targets{{ end }}"
)
JOB: Final = "holymon"
TIMING_OFF: Final = "MeasurementInvalid"
_UNITS: Final = ((86400, "d"), (3600, "h"), (60, "m"), (1, "s"))


def quoted(text: str) -> str:
    """A text as PromQL reads it back, whose strings are Go's, of which JSON's are a part."""
    return json.dumps(text, ensure_ascii=False)


def span(seconds: float) -> str:
    """A duration as PromQL writes it: `5m`."""
    size, unit = next((size, unit) for size, unit in _UNITS if seconds % size == 0)
    return f"{int(seconds / size)}{unit}"


def rule_file(watch: Watch, *, interval_s: float = 15.0) -> dict[str, Any]:
    """Recording and alerting rules in one group, so that alerts see what was just recorded."""
    alerts = watch.alerts
    recorded = {name: expr for alert in alerts for name, expr in _recorded(alert)}
    rules = [{"record": name, "expr": expr} for name, expr in recorded.items()]
    rules += [_rule(alert) for alert in alerts]
    rules += [_exporter_down(watch.limits.down_s), *_unknown_limits(watch)]
    return {"groups": [{"name": "holymon", "interval": span(interval_s), "rules": rules}]}


def _rule(alert: Alert) -> dict[str, Any]:
    labels = {"severity": alert.severity, "job": JOB}
    if alert.objective:
        labels["objective"] = alert.objective
    if alert.timing:
        labels["timing"] = "true"
    return {
        "alert": alert.name,
        "expr": expression(alert),
        **({"for": span(alert.hold_s)} if alert.hold_s else {}),
        "labels": labels,
        "annotations": {"summary": f"{WHOSE}: {alert.says}"},
    }


def expression(alert: Alert) -> str:
    """The condition of an alert in PromQL."""
    condition = alert.condition
    match condition:
        case Burn():
            return "\nand ".join([
                *(f"{_ratio_name(condition, window)} > {condition.over:g}"
                  for window in condition.windows_s),
                _enough(condition.whole, condition.windows_s[-1], condition.fewest),
            ])  # fmt: skip
        case Share():
            window = condition.window_s
            return (
                f"{_ratio(condition.part, condition.whole, window)} > {condition.over:g}\n"
                f"and {_enough(condition.whole, window, condition.fewest)}"
            )
        case Seen():
            return _seen(alert.name, condition)
        case Slower():
            return _slower(condition)
        case Silent():
            name, silence = metric_names.REQUESTS, span(condition.window_s)
            gone = f"absent_over_time({name}[{silence}])"
            return f"{BY} (increase({name}[{silence}])) == 0\nor {gone}"


def _enough(count: Count, window: float, fewest: float) -> str:
    return f"{BY} (increase({_selector(count)}[{span(window)}])) >= {fewest:g}"


def _selector(count: Count) -> str:
    """The counter of a count; for `timed` and `slow` it is that of all calls with a duration."""
    types = f"{{error_type=~{quoted('|'.join(count.types))}}}" if count.types else ""
    match count.kind:
        case "timed" | "slow":
            assert count.objective, "only an objective has a limit to be slow by"
            return f"{metric_names.HISTOGRAM_OF[count.objective.metric]}_count"
        case "tokens":
            return f'{metric_names.TOKENS}_sum{{gen_ai_token_type="output"}}'
        case "streaming":
            return f"{metric_names.CHUNK}_sum"
        case other:
            return {
                "requests": metric_names.REQUESTS, "errors": metric_names.ERRORS,
                "dropped": metric_names.DROPPED,
                "retries": metric_names.RETRIES, "attempts": metric_names.ATTEMPTS + types,
            }[other]  # fmt: skip


def _rate(count: Count, window: float, offset: str = "") -> str:
    return f"{BY} (rate({_selector(count)}[{span(window)}]{offset}))"


def _ratio(part: Count, whole: Count, window: float) -> str:
    if part.kind != "slow":
        return f"{_rate(part, window)}\n  / {_rate(whole, window)}"
    assert part.objective, "only an objective has a limit to be slow by"
    name = metric_names.HISTOGRAM_OF[part.objective.metric]
    quick = f"{BY} (rate({name}_bucket{{le={quoted(repr(part.objective.limit))}}}[{span(window)}]))"
    return f"1 - {quick}\n  / {_rate(whole, window)}"


def _recorded(alert: Alert) -> Iterator[tuple[str, str]]:
    if isinstance(alert.condition, Burn):
        for window in alert.condition.windows_s:
            ratio = _ratio(alert.condition.part, alert.condition.whole, window)
            yield _ratio_name(alert.condition, window), ratio


def _ratio_name(burn: Burn, window: float) -> str:
    if burn.part.objective is None:
        return f"provider_model:api_errors:ratio_rate{span(window)}"
    # Two objectives may stand on one metric: the limit tells them apart.
    limit = f"{burn.part.objective.limit:g}".translate(str.maketrans(".-+", "___"))
    return f"provider_model:{burn.part.objective.metric}_over_{limit}s:ratio_rate{span(window)}"


def _seen(name: str, condition: Seen) -> str:
    """A rise, or a counter that is new and not 0: its first rise was before the first scrape."""
    what, window = _selector(condition.what), span(condition.window_s)
    expr = (
        f"{BY} (increase({what}[{window}])) > 0\n"
        f"or ({BY} ({what}) > 0 unless {BY} ({what} offset {window}))"
    )
    if name == TIMING_OFF:
        expr += f"\nor min by (provider, model) ({metric_names.VALID}) == 0"
    return expr


def _slower(condition: Slower) -> str:
    now, window = condition.window_s, span(condition.window_s)
    offset = f" offset {window}"
    before = condition.before_s
    return (
        f"{_ratio(condition.part, condition.whole, now)}\n"
        f"< {condition.under:g} * {_rate(condition.part, before, offset)}\n"
        f"  / {_rate(condition.whole, before, offset)}\n"
        f"and {_enough(Count('requests'), now, condition.fewest)}\n"
        f"and {BY} (increase({metric_names.REQUESTS}[{span(before)}]{offset}))"
        f" >= {condition.fewest:g}"
    )


def _exporter_down(down_s: float) -> dict[str, Any]:
    return {
        "alert": "ExporterDown",
        "expr": f"up{{job={quoted(JOB)}}} == 0\nor absent(up{{job={quoted(JOB)}}})",
        "for": span(down_s),
        "labels": {"severity": "page", "job": JOB},
        "annotations": {"summary": "holymon's exporter can't be scraped: nothing is watched"},
    }


def _unknown_limits(watch: Watch) -> Iterator[dict[str, Any]]:
    """A limit that the exporter has no bucket for would leave its alert silent for ever."""
    for objective in watch.parsed:
        if objective.metric in metric_names.HISTOGRAM_OF:
            name = metric_names.HISTOGRAM_OF[objective.metric]
            yield {
                "alert": "ObjectiveNotExported",
                "expr": f"{BY} ({name}_count)\nunless "
                f"{BY} ({name}_bucket{{le={quoted(repr(objective.limit))}}})",
                "for": span(watch.limits.hold_s),
                "labels": {"severity": "ticket", "job": JOB, "objective": objective.text},
                "annotations": {
                    "summary": f"the exporter has no bucket for {objective.text}: start it with "
                    "that --slo, else no alert on it can fire"
                },
            }
