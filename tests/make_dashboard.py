"""Make `holymon/cli/start/grafana/dashboards/holymon.json` again: the dashboard, by Grafana's own builders."""

import json
from pathlib import Path

from grafana_foundation_sdk.builders import common, dashboard, prometheus, stat, timeseries
from grafana_foundation_sdk.cog.encoder import JSONEncoder
from grafana_foundation_sdk.models.dashboard import (
    DataSourceRef,
    VariableRefresh,
)

from holymon.prometheus import metric_names as s

PATH = (
    Path(__file__).parent.parent
    / "holymon"
    / "cli"
    / "start"
    / "grafana"
    / "dashboards"
    / "holymon.json"
)
SOURCE = DataSourceRef(type_val="prometheus", uid="${datasource}")
OUTPUT, USD = ', gen_ai_token_type="output"', ', currency="USD"'
CHOSEN = 'provider=~"$provider", model=~"$model"'
BY = "sum by (provider, model)"
NAME = "{{provider}}/{{model}}"


def rate(name: str, by: str = BY, more: str = "") -> str:
    """The rate of a counter of the chosen targets."""
    return f"{by} (rate({name}{{{CHOSEN}{more}}}[$__rate_interval]))"


def quantiles(name: str) -> list[tuple[str, str]]:
    """Three percentiles of a histogram."""
    return [
        (f"histogram_quantile({q}, {rate(f'{name}_bucket', 'sum by (provider, model, le)')})",
         f"{NAME} p{round(100 * q)}")
        for q in (0.5, 0.95, 0.99)
    ]  # fmt: skip


def gauge(name: str, more: str = "") -> str:
    """A gauge of the chosen targets."""
    return f"max by (provider, model) ({name}{{{CHOSEN}{more}}})"


OFF = (
    "From buckets 19 % wide, so it is off by 19 % at most (with --coarse by a factor of two, and "
    "under 0.1 s by anything): exact are the holymon_run_* figures, from raw records."
)
ERROR_RATIO = f"{rate(s.ERRORS)} / {rate(s.REQUESTS)}"
P95 = f"histogram_quantile(0.95, {rate(f'{s.TTFT}_bucket', 'sum by (le)')})"
# Title, unit, what it means, queries with their legends.
NOW = (
    ("Requests", "reqps", "Requests that ended, per second.",
     rate(s.REQUESTS, "sum")),
    ("Failed", "percentunit", "Failed requests of those that say something of the API.",
     f"{rate(s.ERRORS, 'sum')} / {rate(s.REQUESTS, 'sum')}"),
    ("TTFT p95", "s", f"Of calls that succeeded. {OFF}", P95),
    ("Cost per hour", "currencyUSD", "At the rate of now, where prices are known.",
     f"3600 * {rate('holymon_cost_total', 'sum', USD)}"),
    ("Measurement", "bool", "0: the client, not the API, was the limit: trust no duration.",
     f"min({s.VALID}{{{CHOSEN}}})"),
    ("Alerts", "none", "Alerts of holymon that fire.",
     'count(ALERTS{job="holymon", alertstate="firing"}) or vector(0)'),
)  # fmt: skip
ROWS = (
    ("Requests and failures", (
        ("Requests per second", "reqps", "By target.", [(rate(s.REQUESTS), NAME)]),
        ("Error ratio", "percentunit", "Failed requests of those that ended.",
         [(ERROR_RATIO, NAME)]),
        ("Failures by type", "reqps", "Requests that failed in the end.",
         [(f"{rate(s.ERRORS, 'sum by (model, error_type)')} > 0", "{{model}} {{error_type}}")]),
        ("Calls in flight", "none", "Begun and not ended; CallsHang fires if none ends.",
         [(f"{BY} ({s.IN_FLIGHT}{{{CHOSEN}}})", NAME)]),
        ("Attempts by type", "reqps", "HTTP exchanges, retried ones too.",
         [(rate(s.ATTEMPTS, "sum by (model, error_type)"), "{{model}} {{error_type}}")]),
    )),
    ("Durations", (
        ("TTFT", "s", f"Start of a successful attempt to its first token. {OFF}",
         quantiles(s.TTFT)),
        ("Latency", "s", f"Successful attempts, from their own start. {OFF}",
         quantiles(s.LATENCY)),
        ("Time per output chunk", "s", f"Gaps between pieces of a stream. {OFF}",
         quantiles(s.CHUNK)),
        ("Duration of requests", "s",
         "As a caller feels it: all attempts and waits, failures too. From buckets 41 % wide.",
         quantiles(s.DURATION)),
    )),
    ("Tokens and money", (
        ("Tokens per second", "none", "As the server counts them.",
         [(rate(f"{s.TOKENS}_sum", "sum by (model, gen_ai_token_type)"),
           "{{model}} {{gen_ai_token_type}}")]),
        ("Tokens per second of streaming", "none", "How fast a stream writes.",
         [(f"{rate(f'{s.TOKENS}_sum', BY, OUTPUT)}"
           f" / {rate(f'{s.CHUNK}_sum')}", NAME)]),
        ("Cost per hour by model", "none", "In the currency of the price.",
         [(f"3600 * {rate('holymon_cost_total', 'sum by (model, currency)')}",
           "{{model}} {{currency}}")]),
        ("Retries per request", "percentunit", "Attempts after the first.",
         [(f"{rate(s.RETRIES)} / {rate(s.REQUESTS)}", NAME)]),
    )),
    ("Was the client fit to measure", (
        ("Calls never sent", "reqps", "Due by the schedule; the client was full.",
         [(rate(s.DROPPED), NAME)]),
        ("Event loop lag p99", "s", "How late the client woke.",
         [(gauge(s.LAG, ', stat="p99"'), NAME)]),
        ("Valid", "bool", "0: don't quote the figures of the latest run.",
         [(f"min by (provider, model) ({s.VALID}{{{CHOSEN}}})", NAME)]),
        ("Exact p50 of the latest run", "s", "From raw records, not from buckets.",
         [(gauge("holymon_run_latency_seconds", ', stat="p50"'), f"{NAME} latency"),
          (gauge("holymon_run_ttft_seconds", ', stat="p50"'), f"{NAME} TTFT")]),
    )),
)  # fmt: skip


def query(expr: str, legend: str, k: int) -> prometheus.Dataquery:
    """A query of a panel."""
    found = prometheus.Dataquery().expr(expr).legend_format(legend).ref_id(chr(ord("A") + k))
    return found.datasource(SOURCE)


def now(title: str, unit: str, about: str, expr: str) -> stat.Panel:
    """A number at the top."""
    last = common.ReduceDataOptions().calcs(["lastNotNull"])
    panel = stat.Panel().title(title).unit(unit).description(about).datasource(SOURCE)
    return panel.height(4).span(4).reduce_options(last).with_target(query(expr, title, 0))


def chart(title: str, unit: str, about: str, queries: list[tuple[str, str]]) -> timeseries.Panel:
    """A chart over time."""
    panel = timeseries.Panel().title(title).unit(unit).description(about).datasource(SOURCE)
    panel = panel.height(8).span(12).min(0).line_width(1)
    for k, (expr, legend) in enumerate(queries):
        panel = panel.with_target(query(expr, legend, k))
    return panel


def chosen(name: str, expr: str) -> dashboard.QueryVariable:
    """A choice among the values of a label; at first all of them."""
    found = dashboard.QueryVariable(name).query(expr).datasource(SOURCE).multi(True)
    return found.include_all(True).all_value(".*").refresh(VariableRefresh.ON_TIME_RANGE_CHANGED)


def make() -> str:
    """The dashboard as JSON text."""
    built = (
        dashboard.Dashboard("holymon").uid("holymon").tags(["holymon"]).refresh("30s").editable()
        .time("now-3h", "now").timezone("browser")
        .with_variable(dashboard.DatasourceVariable("datasource").type("prometheus"))
        .with_variable(chosen("provider", f"label_values({s.REQUESTS}, provider)"))
        .with_variable(chosen("model", f'label_values({s.REQUESTS}{{provider=~"$provider"}}, model)'))
    )  # fmt: skip
    for one in NOW:
        built = built.with_panel(now(*one))
    for title, panels in ROWS:
        built = built.with_row(dashboard.Row(title))
        for panel in panels:
            built = built.with_panel(chart(*panel))
    return (
        json.dumps(
            json.loads(JSONEncoder(sort_keys=True, indent=1).encode(built.build())), indent=1
        )
        + "\n"
    )


if __name__ == "__main__":
    PATH.parent.mkdir(parents=True, exist_ok=True)
    PATH.write_text(make())
