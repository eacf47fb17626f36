"""holymon: measure and monitor OpenAI-compatible AI APIs, with numbers that can be trusted.

The names here are the whole public interface; each is imported when it is first used, so that
`import holymon` stays quick.
"""

from importlib import import_module
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from holymon.errors import CallError, ConfigError, HolymonError, PlanError, RunError
    from holymon.experiments.alternate import alternate, compare
    from holymon.experiments.calibration import Calibration
    from holymon.experiments.calibrator import calibrate
    from holymon.experiments.capacity import Capacity
    from holymon.experiments.capacity_search import capacity
    from holymon.figures.comparison import Comparison
    from holymon.figures.summary import summarize
    from holymon.figures.summary_types import Summary
    from holymon.figures.tool_definitions import definitions
    from holymon.load.run import Run, attach, measure, start
    from holymon.monitor.clients import monitored
    from holymon.monitor.middleware import MonitorASGI, MonitorWSGI
    from holymon.monitor.monitor import HolySheepMonitor, Monitor
    from holymon.monitor.retry import Policy
    from holymon.plan.plan import Closed, Open, Plan, Price, Prompts, Target
    from holymon.plan.replay_file import replay
    from holymon.plan.shapes import Replay, Shape, constant, poisson, ramp, sine, spike, steps
    from holymon.plan.targets import target
    from holymon.plots.call_plots import (
        plot_ecdf,
        plot_errors,
        plot_latency,
        plot_schedule_delay,
        plot_ttft,
    )
    from holymon.plots.result_plots import plot_calibration, plot_capacity, plot_comparison
    from holymon.plots.schedule_plot import plot_arrivals
    from holymon.prometheus.alerts import Limits
    from holymon.prometheus.backtest_sources import rehearse
    from holymon.prometheus.exporter import Collector, write_textfile
    from holymon.prometheus.metric_names import bucket_edges
    from holymon.prometheus.server import expose
    from holymon.records.export import write_csv
    from holymon.records.listing import runs
    from holymon.records.records import Records
    from holymon.report.report import subject, write_report
    from holymon.widgets.dashboard import explore
    from holymon.widgets.monitor_view import watch

__version__ = "0.1.0"

_HOME = {
    "Calibration": "experiments.calibration", "CallError": "errors", "Capacity": "experiments.capacity", "Closed": "plan.plan",
    "Collector": "prometheus.exporter", "Comparison": "figures.comparison", "ConfigError": "errors",
    "HolySheepMonitor": "monitor.monitor", "HolymonError": "errors", "Limits": "prometheus.alerts",
    "Monitor": "monitor.monitor", "MonitorASGI": "monitor.middleware", "MonitorWSGI": "monitor.middleware", "Open": "plan.plan",
    "Plan": "plan.plan", "PlanError": "errors", "Policy": "monitor.retry", "Price": "plan.plan", "Prompts": "plan.plan",
    "Records": "records.records", "Replay": "plan.shapes", "Run": "load.run", "RunError": "errors",
    "Shape": "plan.shapes", "Summary": "figures.summary_types", "Target": "plan.plan", "alternate": "experiments.alternate",
    "attach": "load.run", "bucket_edges": "prometheus.metric_names", "calibrate": "experiments.calibrator", "capacity": "experiments.capacity_search",
    "compare": "experiments.alternate", "constant": "plan.shapes", "definitions": "figures.tool_definitions", "explore": "widgets.dashboard",
    "expose": "prometheus.server", "measure": "load.run", "monitored": "monitor.clients", "plot_arrivals": "plots.schedule_plot",
    "plot_calibration": "plots.result_plots", "plot_capacity": "plots.result_plots", "plot_comparison": "plots.result_plots",
    "plot_ecdf": "plots.call_plots", "plot_errors": "plots.call_plots", "plot_latency": "plots.call_plots",
    "plot_schedule_delay": "plots.call_plots", "plot_ttft": "plots.call_plots", "poisson": "plan.shapes", "ramp": "plan.shapes",
    "rehearse": "prometheus.backtest_sources", "replay": "plan.replay_file", "runs": "records.listing", "sine": "plan.shapes",
    "spike": "plan.shapes", "start": "load.run", "steps": "plan.shapes", "subject": "report.report",
    "summarize": "figures.summary", "target": "plan.targets", "write_csv": "records.export", "write_report": "report.report",
    "write_textfile": "prometheus.exporter", "watch": "widgets.monitor_view",
}  # fmt: skip

__all__ = [  # noqa: PLE0604 - the same names, sorted
    *sorted([*_HOME, "__version__"]),
]


def __getattr__(name: str) -> Any:
    if name not in _HOME:
        raise AttributeError(f"module 'holymon' has no attribute {name!r}")
    value = getattr(import_module(f"holymon.{_HOME[name]}"), name)
    globals()[name] = value
    return value


def __dir__() -> list[str]:
    return __all__
