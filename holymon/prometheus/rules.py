"""The alerts as Prometheus rules: recorded ratios, and the conditions on them in PromQL."""

import json
from collections.abc import Iterator
from dataclasses import replace
from typing import Any, Final

from holymon.plan import slo
from holymon.prometheus import metric_names
from holymon.prometheus.alerts import Alert, Watch
from holymon.prometheus.conditions import (
    ATTEMPTS,
    BEFORE,
    ERRORS,
    REQUESTS,
    SUCCESSES,
    Burn,
    Count,
    Failing,
    Hanging,
    Seen,
    Share,
    Silent,
    Slower,
)
from holymon.prometheus.route_metrics import route_rules

BY: Final = "sum by (provider, model)"
WHOSE: Final = (  # an absence is nobody's: it bears no labels
    "{{ with $labels.provider }}{{ . }}/{{ $labels.model }}{{ else }}all targets{{ end }}"
)
JOB: Final = "holymon"
TIMING_OFF: Final = "MeasurementInvalid"
HALF: Final = 0.5
"""How far an increase, which Prometheus extrapolates, may be from the whole number that it was."""

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
    rules += [_exporter_down(watch.limits.down_s), *_unknown_limits(watch), *route_rules(JOB)]
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
        case Burn(long_s=window):
            return _until_well(alert, condition, _surely(condition, window))
        case Share(window_s=window):
            ratio = _ratio_name(condition, window)
            return (
                f"{_surely(condition, window)}\nor {_fires(alert)} and {ratio} > {condition.over:g}"
            )
        case Failing():
            failing = "\nor ".join(
                f"({_increase(ERRORS, window)} > {condition.fewest - HALF:g} "
                f"and {_increase(SUCCESSES, window)} == 0)"
                for window in condition.windows_s
            )
            return _until_well(alert, condition.burn, failing)
        case Hanging(window_s=window, few=few):
            return (
                f"{BY} ({metric_names.IN_FLIGHT} offset {span(window)}) > {few}\n"
                f"and {_increase(ATTEMPTS, window)} == 0"
            )
        case Seen():
            return _seen(alert.name, condition)
        case Slower():
            return _slower(condition)
        case Silent(what=what):
            silent = "\nor ".join(
                f"({_increase(what, window)} == 0 "
                f"and {_increase(what, BEFORE * window, f' offset {span(window)}')} "
                f">= {BEFORE * condition.usual:g})"
                for window in condition.windows_s
            )
            gone = f"absent_over_time({_selector(what)}[{span(condition.windows_s[0])}])"
            return f"{silent}\nor {gone}"


def _surely(condition: Burn | Share, window: float) -> str:
    """A share is over its limit by more than chance: Wilson's lower bound is."""
    over, evidence = condition.over, condition.evidence
    ratio, calls = _ratio_name(condition, window), _calls_name(condition.whole, window)
    return (
        f"{ratio} > {over:g} + {evidence.margin(over):.4g} / sqrt({calls})\n"
        f"and {ratio} * {calls} > {evidence.fewest - HALF:g}"
    )


def _fires(alert: Alert) -> str:
    """The targets on which an alert fires already."""
    which = {"alertname": alert.name, "alertstate": "firing", "objective": alert.objective}
    labels = ", ".join(f"{name}={quoted(value)}" for name, value in which.items())
    return f"{BY} (ALERTS{{{labels}}})"


def _until_well(alert: Alert, burn: Burn, met: str) -> str:
    """Met, or still over the limit where it fires already; unless well again of late."""
    over, lately = burn.over, _ratio_name(burn, burn.short_s)
    chance = f"{burn.evidence.margin(over):.4g} / sqrt({_calls_name(burn.whole, burn.short_s)})"
    still = f"{_fires(alert)} and {_ratio_name(burn, burn.long_s)} > {over:g}"
    return f"({met}\nor {still})\nunless {lately} < {over:g} - {chance}"


def _increase(count: Count, window: float, offset: str = "") -> str:
    return f"{BY} (increase({_selector(count)}[{span(window)}]{offset}))"


def _selector(count: Count) -> str:
    if count.kind == "timed":
        return f"{_histogram(count)}_count"
    types = f"{{error_type=~{quoted('|'.join(count.types))}}}" if count.types else ""
    return {
        "requests": metric_names.REQUESTS, "errors": metric_names.ERRORS,
        "dropped": metric_names.DROPPED, "retries": metric_names.RETRIES,
        "attempts": metric_names.ATTEMPTS + types,
        "ok": f'{metric_names.ATTEMPTS}{{error_type=""}}',
        "tokens": f'{metric_names.TOKENS}_sum{{gen_ai_token_type="output"}}',
        "streaming": f"{metric_names.CHUNK}_sum",
    }[count.kind]  # fmt: skip


def _histogram(count: Count) -> str:
    assert count.objective, "only an objective says which duration"
    return metric_names.HISTOGRAM_OF[count.objective.metric]


def _rate(count: Count, window: float, offset: str = "") -> str:
    return f"{BY} (rate({_selector(count)}[{span(window)}]{offset}))"


def _ratio(part: Count, whole: Count, window: float) -> str:
    counted = _rate(part, window) if part.kind != "slow" else _slow(part, window)
    return f"{counted}\n  / {_rate(whole, window)}"


def _slow(part: Count, window: float) -> str:
    """Calls that were timed and not in time, and those that failed unless it is of successes."""
    assert part.objective, "only an objective has a limit to be slow by"
    limit = quoted(repr(part.objective.limit))
    in_time = f"{BY} (rate({_histogram(part)}_bucket{{le={limit}}}[{span(window)}]))"
    slow = f"{_rate(replace(part, kind='timed'), window)}\n  - {in_time}"
    failed = "" if part.objective.of_successes else f"\n  + {_rate(ERRORS, window)}"
    return f"({slow}{failed})"


def _recorded(alert: Alert) -> Iterator[tuple[str, str]]:
    match alert.condition:
        case Burn() as share:
            windows: tuple[float, ...] = (share.long_s, share.short_s)
        case Failing(burn=share):
            windows = (share.long_s, share.short_s)
        case Share() as share:
            windows = (share.window_s,)
        case _:
            return
    for window in windows:
        yield _ratio_name(share, window), _ratio(share.part, share.whole, window)
        yield _calls_name(share.whole, window), _increase(share.whole, window)


def _ratio_name(share: Burn | Share, window: float) -> str:
    part = share.part
    what = {"errors": "api_errors", "attempts": "_".join(part.types)}.get(part.kind, part.kind)
    if part.objective is not None:
        # Two objectives may stand on one metric: the limit tells them apart.
        limit = f"{part.objective.limit:g}".translate(str.maketrans(".-+", "___"))
        what = f"{_whose(part.objective)}_over_{limit}s"
    return f"provider_model:{what}:ratio_rate{span(window)}"


def _calls_name(whole: Count, window: float) -> str:
    what = {"requests": "api_requests", "attempts": "attempts"}.get(whole.kind)
    if whole.objective is not None:
        what = f"{_whose(whole.objective)}_calls"
    return f"provider_model:{what}:increase{span(window)}"


def _whose(objective: slo.Slo) -> str:
    return objective.metric + slo.OF_SUCCESSES * objective.of_successes


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
        f"and {_increase(REQUESTS, now)} >= {condition.fewest:g}\n"
        f"and {_increase(REQUESTS, before, offset)} >= {condition.fewest:g}"
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
