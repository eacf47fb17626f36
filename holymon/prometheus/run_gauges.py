"""The exact figures of runs as gauges: name, meaning, labels and values, read from summaries."""

from collections.abc import Callable, Iterable, Iterator
from typing import Any, Final

from holymon.figures.quantiles import Figure
from holymon.prometheus import metric_names
from holymon.prometheus.sources import RunFigures
from holymon.records.client_health import ClientHealth

Name = tuple[str, str]
Rows = Iterable[tuple[tuple[str, ...], float | None]]
Gauge = tuple[str, str, tuple[str, ...], Rows]
Named = list[tuple[Name, RunFigures]]

_WHOSE: Final = ("provider", "model")
_STATS: Final = ("mean", "p50", "p90", "p95", "p99", "max")
_DURATIONS: Final = ("latency", "response", "schedule_delay", "ttft", "ttfo", "itl", "tpot")
_OF_ALL: Final = tuple(name for name in _DURATIONS if name != "schedule_delay")


def gauges(named: Named) -> Iterator[Gauge]:
    """The figures of runs, as their reports show them; a value that was not measured is None."""
    if not named:
        return
    for gauge, about, value in _SINGLE:
        yield gauge, about, _WHOSE, [(name, value(run)) for name, run in named]
    yield "holymon_run_errors", "Failed calls of the run.", (*_WHOSE, "error_type"), [
        ((*name, error), float(n))
        for name, run in named for error, n in run.summary.errors.items()
    ]  # fmt: skip
    for figure in _DURATIONS:
        rows = _stats(named, f"{figure}_s")
        name, about = f"holymon_run_{figure}_seconds", f"Exact {figure} of the run's successes."
        yield name, about, (*_WHOSE, "stat"), rows
    for figure in _OF_ALL:
        name, about = (
            f"holymon_run_{figure}_of_all_seconds",
            (f"Exact {figure} of all calls of the run: a failed one took for ever (+Inf)."),
        )
        yield name, about, (*_WHOSE, "stat"), _stats(named, f"{figure}_s", of_all=True)
    yield "holymon_run_objective_met", "1: met; 0: missed.", (*_WHOSE, "objective"), [
        ((*name, check.slo), float(check.met))
        for name, run in named for check in run.verdict.checks
        if check.target == run.summary.target and check.met is not None
    ]  # fmt: skip
    yield lags((name, run.vitals) for name, run in named)


def lags(named: Iterable[tuple[Name, ClientHealth]]) -> Gauge:
    """How late the event loops of clients woke."""
    return metric_names.LAG, "How late the client's event loop woke.", (*_WHOSE, "stat"), [
        ((*name, stat), vitals.to_dict()[f"loop_lag_{stat}_s"])
        for name, vitals in named for stat in ("p99", "max")
    ]  # fmt: skip


def _stats(
    named: Named, field: str, *, of_all: bool = False
) -> Iterator[tuple[tuple[str, ...], Any]]:
    for name, run in named:
        of = run.summary
        figure: Figure = getattr(of.of_all, field).figure if of_all else getattr(of, field)
        for stat in _STATS:
            yield (*name, stat), getattr(figure, stat)


_SINGLE: Final[tuple[tuple[str, str, Callable[[RunFigures], float | None]], ...]] = (
    (metric_names.VALID,
     "0: the measurement is invalid, don't quote its figures; 1: valid or suspect.",
     lambda run: float(run.verdict.measurement != "invalid")),
    ("holymon_run_suspect", "1: the measurement is suspect or invalid.",
     lambda run: float(run.verdict.measurement != "valid")),
    ("holymon_run_simulated", "1: the API is the built-in simulator.",
     lambda run: float(run.simulated)),
    ("holymon_run_requests", "Calls of the run.", lambda run: float(run.summary.requests)),
    ("holymon_run_ok", "Calls of the run that succeeded.", lambda run: float(run.summary.ok)),
    ("holymon_run_error_ratio", "Failed calls of those that say something of the API.",
     lambda run: run.summary.error_rate.value),
    ("holymon_run_requests_per_second", "Answers per second.",
     lambda run: run.summary.requests_per_s),
    ("holymon_run_output_tokens_per_second", "Output tokens per second, over all "
     "calls, without reasoning that was not streamed.",
     lambda run: run.summary.output_tokens_per_s),
    ("holymon_run_goodput_per_second", "Answers within the objectives per second.",
     lambda run: run.summary.goodput_per_s),
    ("holymon_run_goodput_ratio", "Calls that succeeded within the objectives, of all calls.",
     lambda run: run.summary.goodput.value),
    ("holymon_run_prompt_tokens", "Tokens asked.", lambda run: run.summary.tokens.prompt),
    ("holymon_run_output_tokens", "Tokens answered.", lambda run: run.summary.tokens.output),
    ("holymon_run_cost_usd", "Cost of the run.", lambda run: run.summary.cost_usd),
    ("holymon_run_start_timestamp_seconds", "When the run began.", lambda run: run.started),
    ("holymon_run_duration_seconds", "How long it took.", lambda run: run.duration_s),
)  # fmt: skip
