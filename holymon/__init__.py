"""holymon: measure and monitor OpenAI-compatible AI APIs, with numbers that can be trusted.

    Plan (JSON) --> worker process: engine: due[i] --> caller.send(i, due[i], request)
                      bytes --> transport --> protocols.Reading --> Marks --> one row per attempt
    rows --> the run's journal --> Run follows it --> Records (columns)
    Records --> figures.summarize --> Summary --> widgets | report | plots | prometheus | cli
    an application's own calls --> monitor --> the same rows, the same figures

The names here are the whole public interface: what goes in, and verbs. What comes out (a run, its
records, summaries, comparisons) is reached by its verb. Each is imported when it is first used, so
that `import holymon` stays quick.
"""

from importlib import import_module
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from holymon.catalogue.history import history
    from holymon.catalogue.listing import runs
    from holymon.catalogue.reconcile import reconcile
    from holymon.catalogue.sql import sql
    from holymon.cluster.executors import measure, start
    from holymon.errors import CallError, ConfigError, HolymonError, PlanError, RunError
    from holymon.experiments.alternate import alternate, compare
    from holymon.experiments.calibrator import calibrate
    from holymon.experiments.capacity_search import capacity
    from holymon.experiments.matrix import matrix
    from holymon.experiments.migrate import migrate
    from holymon.figures.calls import slowest
    from holymon.figures.summary import summarize
    from holymon.figures.tool_definitions import definitions
    from holymon.load.opened import open  # noqa: A004 - read as hm.open
    from holymon.load.run import attach
    from holymon.load.trust import trust
    from holymon.monitor.clients import monitored
    from holymon.monitor.middleware import MonitorASGI, MonitorWSGI
    from holymon.monitor.monitor import HolySheepMonitor, Monitor
    from holymon.monitor.retry import Policy
    from holymon.monitor.routed import routed
    from holymon.monitor.router import Router
    from holymon.plan.plan import Closed, Open, Plan
    from holymon.plan.price import Price
    from holymon.plan.prompts import Prompts
    from holymon.plan.replay_file import replay
    from holymon.plan.requests import Request
    from holymon.plan.shapes import constant, poisson, ramp, sine, spike, steps
    from holymon.plan.target import Target
    from holymon.plan.targets import target
    from holymon.plots.call_plots import plot_errors, plot_latency, plot_schedule_delay, plot_ttft
    from holymon.plots.ecdf_plot import plot_ecdf
    from holymon.plots.places_plot import plot_places
    from holymon.plots.result_plots import plot_calibration, plot_capacity, plot_comparison
    from holymon.plots.schedule_plot import plot_arrivals
    from holymon.plots.size_plot import plot_sizes
    from holymon.plots.trend_plot import plot_trend
    from holymon.prometheus.alerts import Limits
    from holymon.prometheus.backtest_sources import rehearse
    from holymon.prometheus.exporter import Collector, expose, write_textfile
    from holymon.prometheus.metric_names import bucket_edges
    from holymon.records.datasets import dataset
    from holymon.records.export import write_csv
    from holymon.report.bundle import write_bundle
    from holymon.report.fan_out import write_report
    from holymon.report.prose import speak
    from holymon.report.subject import subject
    from holymon.sim.process import simulator
    from holymon.widgets.dashboard import explore
    from holymon.widgets.monitor_view import watch

__version__ = "0.1.0"

_NAMES = {
    # What is to be measured.
    "plan.plan": "Closed Open Plan Target",
    "plan.prompts": "Prompts",
    "plan.requests": "Request",
    "plan.price": "Price",
    "plan.targets": "target",
    "plan.shapes": "constant poisson ramp sine spike steps",
    "plan.replay_file": "replay",
    # A run, and all of them.
    "cluster.executors": "measure start",
    "load.run": "attach",
    "load.opened": "open",
    "load.trust": "trust",
    "catalogue.listing": "runs",
    "catalogue.history": "history",
    "catalogue.sql": "sql",
    "catalogue.reconcile": "reconcile",
    "records.datasets": "dataset",
    "records.export": "write_csv",
    "widgets.dashboard": "explore",
    # Figures, and what several runs show.
    "figures.calls": "slowest",
    "figures.summary": "summarize",
    "figures.tool_definitions": "definitions",
    "experiments.alternate": "alternate compare",
    "experiments.calibrator": "calibrate",
    "experiments.capacity_search": "capacity",
    "experiments.matrix": "matrix",
    "experiments.migrate": "migrate",
    # Pictures and pages.
    "plots.call_plots": "plot_errors plot_latency plot_schedule_delay plot_ttft",
    "plots.ecdf_plot": "plot_ecdf",
    "plots.places_plot": "plot_places",
    "plots.result_plots": "plot_calibration plot_capacity plot_comparison",
    "plots.schedule_plot": "plot_arrivals",
    "plots.size_plot": "plot_sizes",
    "plots.trend_plot": "plot_trend",
    "report.bundle": "write_bundle",
    "report.fan_out": "write_report",
    "report.prose": "speak",
    "report.subject": "subject",
    # An application's own calls.
    "monitor.monitor": "HolySheepMonitor Monitor",
    "monitor.clients": "monitored",
    "monitor.middleware": "MonitorASGI MonitorWSGI",
    "monitor.retry": "Policy",
    "monitor.router": "Router",
    "monitor.routed": "routed",
    "widgets.monitor_view": "watch",
    # Prometheus and alerts.
    "prometheus.alerts": "Limits",
    "prometheus.backtest_sources": "rehearse",
    "prometheus.exporter": "Collector expose write_textfile",
    "prometheus.metric_names": "bucket_edges",
    # What can go wrong, and an API to try it all on.
    "errors": "CallError ConfigError HolymonError PlanError RunError",
    "sim.process": "simulator",
}
_HOME = {name: module for module, names in _NAMES.items() for name in names.split()}

# In full, since type checkers run nothing; a test holds it against the names above.
__all__ = [
    "CallError", "Closed", "Collector", "ConfigError", "HolySheepMonitor", "HolymonError",
    "Limits", "Monitor", "MonitorASGI", "MonitorWSGI", "Open", "Plan", "PlanError", "Policy",
    "Price", "Prompts", "Request", "Router", "RunError", "Target", "__version__", "alternate", "attach",
    "bucket_edges", "calibrate", "capacity", "compare", "constant", "dataset", "definitions",
    "explore", "expose", "history", "matrix", "measure", "migrate",
    "monitored", "open", "plot_arrivals", "plot_calibration", "plot_capacity", "plot_comparison",
    "plot_ecdf", "plot_errors", "plot_latency", "plot_places", "plot_schedule_delay", "plot_sizes", "plot_trend", "plot_ttft",
    "poisson", "ramp", "reconcile", "rehearse", "replay", "routed", "runs", "simulator", "sine", "slowest", "speak", "spike", "sql", "start",
    "steps",
    "subject", "summarize", "target", "trust", "watch", "write_bundle", "write_csv", "write_report", "write_textfile",
]  # fmt: skip


def __getattr__(name: str) -> Any:
    if name not in _HOME:
        raise AttributeError(f"module 'holymon' has no attribute {name!r}")
    value = getattr(import_module(f"holymon.{_HOME[name]}"), name)
    globals()[name] = value
    return value


def __dir__() -> list[str]:
    return __all__
