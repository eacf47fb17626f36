"""The figures of targets and of a run, as `summary` computes them, and how they are shown."""

from dataclasses import asdict, dataclass
from typing import Any, Final

from holymon.figures.quantiles import Figure
from holymon.formatting import DASH, columns, count, ms, ms_interval, percent, rounded, table
from holymon.plan import slo
from holymon.safety import escape
from holymon.structs import Interval, Rate

SHOWN: Final = (
    ("latency p50, ms", "latency_s", "p50"), ("p95", "latency_s", "p95"),
    ("p99", "latency_s", "p99"), ("TTFT p50", "ttft_s", "p50"), ("p95", "ttft_s", "p95"),
    ("ITL p50", "itl_s", "p50"),
)  # fmt: skip
HEADS: Final = ("target", "calls", "failed", *(head for head, _, _ in SHOWN), "answers/s",
                "tokens/s", "USD")  # fmt: skip


@dataclass(frozen=True, slots=True)
class Tokens:
    """Sums over successful calls, and who counted: `server`, `chunks`, `mixed`, or None."""

    prompt: int | None
    output: int | None
    source: str | None


@dataclass(frozen=True, slots=True)
class TargetSummary:
    """All figures of one target."""

    target: str
    requests: int
    ok: int
    errors: dict[str, int]
    error_rate: Rate
    error_rate_without_429: Rate
    latency_s: Figure
    response_s: Figure
    schedule_delay_s: Figure
    ttft_s: Figure
    itl_s: Figure
    tpot_s: Figure
    requests_per_s: float | None
    output_tokens_per_s: float | None
    goodput_per_s: float | None
    tokens: Tokens
    cost_usd: float | None
    wanted_per_s: float | None
    sent_per_s: float | None
    warmup: int
    finish: dict[str, int]
    new_connections: int
    notes: tuple[str, ...]

    def value(self, objective: slo.Slo) -> tuple[float | None, Interval | None]:
        """The figure that an objective speaks of, and its interval."""
        if objective.stat:
            figure: Figure = getattr(self, f"{objective.metric}_s")
            return getattr(figure, objective.stat), figure.ci.get(objective.stat)
        found = getattr(self, objective.metric)
        if not isinstance(found, Rate):
            return found, None
        if found.low is None or found.high is None:
            return found.value, None
        return found.value, (found.low, found.high)

    @property
    def cells(self) -> list[tuple[str, str]]:
        """One row of a table under `HEADS`: each figure as text, and its 95 % interval."""
        rate = self.error_rate
        known = rate.value is not None and rate.low is not None and rate.high is not None
        ends = f"{percent(rate.low or 0)}–{percent(rate.high or 0)}" if known else ""
        cells = [(self.target, ""), (count(self.requests), ""),
                 (DASH if rate.value is None else percent(rate.value), ends)]  # fmt: skip
        for _, name, stat in SHOWN:
            figure: Figure = getattr(self, name)
            found = figure.ci.get(stat)
            cells.append((ms(getattr(figure, stat)), ms_interval(found) if found else ""))
        money = rounded(self.cost_usd)
        return [*cells, (rounded(self.requests_per_s), ""),
                (rounded(self.output_tokens_per_s), ""), (money, "")]  # fmt: skip

    def to_dict(self) -> dict[str, Any]:
        """The JSON form that the contract names."""
        flat = asdict(self)
        for name in ("requests_per_s", "output_tokens_per_s", "goodput_per_s", "wanted_per_s",
                     "sent_per_s"):  # fmt: skip
            flat.setdefault("throughput", {})[name] = flat.pop(name)
        flat["notes"] = list(self.notes)
        return flat


@dataclass(frozen=True, slots=True)
class Summary:
    """The figures of a run, target by target; shows itself as a table, times in ms."""

    targets: tuple[TargetSummary, ...]
    simulated: bool
    duration_s: float
    cost_usd: float | None

    def __str__(self) -> str:
        label = "  SIMULATED" * self.simulated
        return columns(HEADS, [[value for value, _ in one.cells] for one in self.targets]) + label

    __repr__ = __str__

    def _repr_html_(self) -> str:
        rows = [
            [escape(value) + f"<br><small>{escape(ends)}</small>" * bool(ends)
             for value, ends in one.cells]
            for one in self.targets
        ]  # fmt: skip
        return "<p><b>simulated</b></p>" * self.simulated + table(HEADS, rows)
