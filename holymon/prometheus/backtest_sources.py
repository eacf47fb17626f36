"""Alerts tried on what is already there: a monitor, records, runs of an hour or of weeks."""

from collections.abc import Iterable, Sequence
from pathlib import Path
from typing import Any

from holymon.errors import PlanError
from holymon.experiments.alternate import named
from holymon.prometheus.alerts import OBJECTIVES, Limits, Watch
from holymon.prometheus.backtest import Backtest, backtest
from holymon.prometheus.sources import monitor_of
from holymon.records.records import Records


def rehearse(
    of: Any,
    *,
    slo: Iterable[str] = OBJECTIVES,
    limits: Limits | None = None,
    every_s: float = 15.0,
    out: Path | str = "reports",
) -> Backtest:
    """Where the alerts for `slo` would have fired on a monitor, records, a run or several runs.

    A name stands for all runs of that name in the folder `out`. The thresholds are those of the
    rule file that `holymon init` writes; `limits` tries others. Times are seconds from the first
    call. Raises PlanError for what has no records, RunError for a name that no run has.
    """
    watch = Watch(tuple(slo), Limits() if limits is None else limits)
    source = named(of, out=out) if isinstance(of, str) else of
    several = source if isinstance(source, Sequence) else [source]
    return backtest([_records(source) for source in several], watch, every_s=every_s)


def _records(of: Any) -> Records:
    of = monitor_of(of)
    records = of if isinstance(of, Records) else getattr(of, "records", None)
    if not isinstance(records, Records):
        raise PlanError(
            f"a {type(of).__name__} can't be rehearsed: give a monitor, run, runs or records."
        )
    return records
