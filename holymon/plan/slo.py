"""Service level objectives as text: `ttft_p95<0.5`, `error_rate<1%`, `latency_p99<=2s`.

On a duration, a call that failed is one that took for ever: `latency_p95<3` is missed where more
than 5 % fail. `latency_p95_of_successes<3` is on the calls that succeeded, however many that are.
"""

import math
import re
from dataclasses import astuple, dataclass
from typing import Final

from holymon.errors import PlanError
from holymon.safety import plain
from holymon.structs import SECONDS_IN

DURATIONS: Final = ("latency", "response", "schedule_delay", "ttft", "ttfo", "itl", "tpot")
CALLS: Final = frozenset({"latency", "response", "ttft", "ttfo", "tpot"})
"""Durations of single calls."""
STATS: Final = ("mean", "p50", "p90", "p95", "p99", "max")
ERROR_LIMIT: Final = "error_rate<=1%"
"""What a search asks for where nobody said how many calls may fail: the share that k6's guide to
thresholds and Locust's documentation on exit codes (`fail_ratio > 0.01`) begin with."""

PLAIN: Final = (
    "error_rate", "error_rate_without_429", "requests_per_s", "output_tokens_per_s", "cost_usd",
)  # fmt: skip
OF_SUCCESSES: Final = "_of_successes"
_EXPR: Final = re.compile(r"\s*([a-z_0-9]++)\s*(<=|>=|<|>)\s*([0-9.eE+-]+)\s*(ms|s|min|m|h|%)?\s*")
_UNITS_OF: Final = {"duration": {"ms", "s", "m", "min", "h"}, "share": {"%"}, "number": set[str]()}


@dataclass(frozen=True, slots=True)
class Slo:
    """One objective: `metric`, its `stat` (`""` where there is only one), and the limit.

    Limits are in seconds, shares (0 to 1), 1/s or USD, as the metric has it. On a duration a call
    that failed counts as one that took for ever, unless it is `of_successes`.
    """

    text: str
    metric: str
    stat: str
    op: str
    limit: float
    of_successes: bool = False

    def holds(self, value: float) -> bool:
        """Whether `value` meets the objective; what took for ever (inf) meets none."""
        if math.isinf(value):
            return False
        below = value < self.limit or (self.op == "<=" and value == self.limit)
        above = value > self.limit or (self.op == ">=" and value == self.limit)
        return below if self.op[0] == "<" else above

    @property
    def allowed(self) -> float | None:
        """The share of calls that may miss it: 5 % for a limit on p95; None where there is none.

        That is the error budget as The Site Reliability Workbook has it (2018, chapter 2): all
        events but the share that the objective asks for.
        """
        if self.op[0] != "<":
            return None
        if self.metric.startswith("error_rate"):
            return self.limit
        on_calls = self.metric in CALLS and self.stat.startswith("p")
        return 1 - float(self.stat[1:]) / 100 if on_calls else None

    def is_as(self, other: "Slo") -> bool:
        """Whether both say the same, however it is written."""
        return astuple(self)[1:] == astuple(other)[1:]

    @property
    def per_request(self) -> bool:
        """Whether a single request can meet it: an upper limit on a duration."""
        return self.metric in CALLS and self.op[0] == "<"


def parse(text: str) -> Slo:
    """The objective that `text` states. Raises PlanError with the accepted names."""
    match = _EXPR.fullmatch(text)
    if not match:
        raise PlanError(
            f"slo {plain(text)!r} is not an objective: write a figure, < or >, and a limit, such "
            "as 'ttft_p95<0.5' or 'error_rate<1%'."
        )
    name, op, number, unit = match.groups()
    figure, of_successes = name.removesuffix(OF_SUCCESSES), name.endswith(OF_SUCCESSES)
    metric, stat = _split(figure, text)
    if of_successes and (not stat or metric == "schedule_delay"):
        raise PlanError(f"slo {plain(text)!r}: {figure} is not changed by calls that failed.")
    kind = "share" if metric.startswith("error_rate") else "duration" if stat else "number"
    if unit and unit not in _UNITS_OF[kind]:
        raise PlanError(f"slo {plain(text)!r}: {unit} is no unit of {name}.")
    try:
        limit = float(number) * (0.01 if unit == "%" else SECONDS_IN[unit or ""])
    except ValueError:
        limit = math.nan
    if not 0 <= limit < math.inf:
        raise PlanError(f"slo {plain(text)!r}: the limit must be a number, not below 0.")
    if kind == "share" and limit > 1:
        raise PlanError(f"slo {plain(text)!r}: a rate is at most 1; write 5% or 0.05.")
    return Slo(text.strip(), metric, stat, op, limit, of_successes)


def _split(name: str, text: str) -> tuple[str, str]:
    if name in PLAIN:
        return name, ""
    metric, _, stat = name.rpartition("_")
    metric = metric.removesuffix("_s")
    if metric in DURATIONS and stat in STATS:
        return metric, stat
    raise PlanError(
        f"slo {plain(text)!r}: {name} is not a figure; use one of {', '.join(PLAIN)}, or one of "
        f"{', '.join(DURATIONS)} followed by one of _{', _'.join(STATS)} (and {OF_SUCCESSES}, if "
        "calls that failed are not to count as ones that took for ever)."
    )


def missing_error_limit(objectives: tuple[str, ...]) -> tuple[str, ...]:
    """`ERROR_LIMIT`, to be added to `objectives`; nothing where some are on an error rate."""
    limited = any(parse(text).metric.startswith("error_rate") for text in objectives)
    return () if limited else (ERROR_LIMIT,)
