"""The figures of targets and of a run, as `summary` computes them, and how they are shown."""

from dataclasses import asdict, dataclass, field
from typing import Any, Final

from holymon.figures.all_calls import OF_SUCCESSES, AllCalls, OfAll, live_cell
from holymon.figures.cost import Cost
from holymon.figures.oddities import sentences
from holymon.figures.outputs import NOTHING_HELD, Outputs
from holymon.figures.quantiles import Figure
from holymon.figures.slo_events import Events
from holymon.figures.token_sums import Tokens
from holymon.formatting import (
    DASH,
    Cell,
    Table,
    count,
    failed_of,
    number_of,
    percent,
    rate_cell,
    rounded,
)
from holymon.language.said import heads, listed, say
from holymon.plan import slo
from holymon.records.headroom import Known, in_a_line
from holymon.structs import Interval, Rate, shows_table

SHOWN: Final = (
    (say("latency p50, ms"), "latency_s", "p50"), ("p95", "latency_s", "p95"),
    ("p99", "latency_s", "p99"), ("TTFT p50", "ttft_s", "p50"), ("p95", "ttft_s", "p95"),
    ("ITL p50", "itl_s", "p50"),
)  # fmt: skip
DURATIONS: Final = (
    (say("latency"), "latency_s"), ("TTFT", "ttft_s"), ("TTFO", "ttfo_s"),
    (say("first tool call"), "tool_call_s"), ("TPOT", "tpot_s"), ("ITL", "itl_s"),
    (say("response"), "response_s"), (say("schedule delay"), "schedule_delay_s"),
)  # fmt: skip
STATS: Final = ("p50", "p90", "p95", "p99", "max")
ALL_TITLE: Final = say("  of all calls")
BOTH: Final = say(
    "times are {of_successes}, and below them of all calls, a failed one taking for ever",
    of_successes=OF_SUCCESSES,
)
HEADS: Final = (
    *heads("target", "calls", "failed"), *(head for head, _, _ in SHOWN),
    *heads("answers/s", "tokens/s", "USD"),
)  # fmt: skip


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
    of_all: AllCalls
    requests_per_s: float | None
    output_tokens_per_s: float | None
    goodput_per_s: float | None
    goodput: Rate
    tokens: Tokens
    cost: Cost
    wanted_per_s: float | None
    sent_per_s: float | None
    warmup: int
    finish: dict[str, int]
    oddities: dict[str, int]
    empty: Rate
    empty_after_reasoning: Rate
    new_connections: int
    notes: tuple[str, ...]
    messages: dict[str, str] = field(default_factory=dict)
    """The first words of each error type, as far as any came: data, without keys."""
    throughput_ci: dict[str, Interval | None] = field(default_factory=dict)
    """95 % intervals of `requests_per_s`, `output_tokens_per_s` and `goodput_per_s`."""
    prompt_tokens_per_s: float | None = None
    items_per_s: float | None = None
    """Vectors of embeddings."""
    held: Outputs = NOTHING_HELD
    limits: Known = field(default_factory=dict)
    """What answers told of its API's limits, and what remained of them: `requests`, `tokens`."""
    slo_events: dict[str, Events] = field(default_factory=dict)
    """By each objective that has an error budget, how many calls missed it."""

    @property
    def ttfo_s(self) -> Figure:
        """How long the first token of content took: what comes before is reasoning, or a tool."""
        return self.held.ttfo_s

    @property
    def tool_call_s(self) -> Figure:
        """How long the first token of a call of a tool took, where there was any."""
        return self.held.tool_call_s

    @property
    def cost_usd(self) -> float | None:
        """What its calls cost as a whole."""
        return self.cost.usd

    def value(self, objective: slo.Slo) -> tuple[float | None, Interval | None]:
        """The figure that an objective speaks of, and its interval.

        A duration is that of all calls (inf where a failed one has its rank), unless the objective
        is on successes only, or on the client's own delay.
        """
        if objective.stat:
            figure = self.duration(objective).figure
            return getattr(figure, objective.stat), figure.ci.get(objective.stat)
        value = getattr(self, objective.metric)
        if not isinstance(value, Rate):
            return value, self.throughput_ci.get(objective.metric)
        if value.low is None or value.high is None:
            return value.value, None
        return value.value, (value.low, value.high)

    @property
    def cells_of_all(self) -> tuple[Cell, ...]:
        """The row below it where many calls failed: the same percentiles of all calls."""
        cells = (getattr(self.of_all, name).cell(stat) for _, name, stat in SHOWN)
        return (ALL_TITLE, "", "", *cells, *[""] * 3)

    @property
    def live_cells(self) -> tuple[Cell, ...]:
        """Both rows in one, for a table that must not grow while it is looked at."""
        many = self.of_all.many
        shown = [
            live_cell(getattr(self, name), getattr(self.of_all, name), stat, many=many)
            for _, name, stat in SHOWN
        ]
        _, calls, failed, *rest = self.cells
        return (self.target, OF_SUCCESSES * many), calls, failed, *shown, *rest[len(SHOWN) :]

    def duration(self, objective: slo.Slo) -> OfAll:
        """The duration that an objective is on."""
        name = f"{objective.metric}_s"
        own = objective.of_successes or not hasattr(self.of_all, name)
        return OfAll(getattr(self, name)) if own else getattr(self.of_all, name)

    @property
    def cells(self) -> tuple[Cell, ...]:
        """Its row in the table of a summary, under `HEADS`."""
        return (
            self.target, count(self.requests), rate_cell(self.error_rate),
            *(getattr(self, name).cell(stat) for _, name, stat in SHOWN),
            rounded(self.requests_per_s), rounded(self.output_tokens_per_s),
            self.cost.cell,
        )  # fmt: skip

    @property
    def table(self) -> Table:
        """Its durations in milliseconds: a row each, with percentiles and their intervals.

        Where many calls failed, those of all calls stand below those of the successful ones.
        """
        rows: list[tuple[Cell, ...]] = []
        for title, name in DURATIONS:
            figure: Figure = getattr(self, name)
            if name in {"ttfo_s", "tool_call_s"} and not self.held.is_news(figure, self.ttft_s):
                continue
            rows.append((title, count(figure.n), *(figure.cell(stat) for stat in STATS)))
            every: OfAll | None = getattr(self.of_all, name, None)
            if self.of_all.many and every is not None and every.figure.n:
                cells = (every.cell(stat) for stat in STATS)
                rows.append((ALL_TITLE, count(every.figure.n), *cells))
        return Table(("ms", "n", *STATS), rows, lead=(BOTH,) * self.of_all.many)

    @property
    def facts(self) -> tuple[str, ...]:
        """Its calls, rates, tokens with who counted them, their cost, what parses, its limits."""
        warm = (
            say(" (and {warmup:,} before, to warm up)", warmup=self.warmup) if self.warmup else ""
        )
        rates = [say("{rate} answers/s", rate=self._rate("requests_per_s"))]
        if self.wanted_per_s is not None:
            rates.append(say("{pace} calls/s sent", pace=self.pace))
        if self.items_per_s is None:
            rates.append(say("{rate} output tokens/s", rate=self._rate("output_tokens_per_s")))
        else:
            rates.append(say("{rate} vectors/s", rate=self._rate("items_per_s")))
            rates.append(say("{rate} prompt tokens/s", rate=self._rate("prompt_tokens_per_s")))
        if self.goodput_per_s is not None:
            rates.append(
                say(
                    "goodput {rate}/s, {share} of calls", rate=self._rate("goodput_per_s"),
                    share=percent(self.goodput.value),
                )
            )  # fmt: skip
        calls = number_of(self.requests, "call")
        return (
            say(
                "{calls}{warm}, {ok:,} ok, {error_rate}", calls=calls, warm=warm, ok=self.ok,
                error_rate=failed_of(self.error_rate),
            ),
            listed(", ", rates),
            self.tokens.words,
            self.cost.words,
            *self.held.facts,
            *self.headroom,
        )  # fmt: skip

    @property
    def headroom(self) -> tuple[str, ...]:
        """What remained of its API's limits, in a line, if any answer told."""
        known = say("limits: {limits}", limits=in_a_line(self.limits))
        return (known,) if self.limits else ()

    def _rate(self, name: str) -> str:
        """A rate, with its interval if that is wider than what is shown of it."""
        value, ends = rounded(getattr(self, name)), self.throughput_ci.get(name)
        low, high = (rounded(end) for end in ends) if ends else (value, value)
        if low == high:
            return value
        return say("{value} ({low} to {high})", value=value, low=low, high=high)

    @property
    def pace(self) -> str:
        """Calls per second that were sent, of those that were wanted; a dash without a schedule.

        A first call that left late makes the others look quicker than they were due: of what was
        wanted no more than all was sent.
        """
        if self.sent_per_s is None or self.wanted_per_s is None:
            return DASH
        wanted = self.wanted_per_s
        sent = rounded(min(self.sent_per_s, wanted))
        return say("{sent} of {wanted}", sent=sent, wanted=rounded(wanted))

    @property
    def odd(self) -> list[str]:
        """What was odd in the answers that succeeded, a sentence each."""
        return sentences(self.oddities, self.ok)

    def to_dict(self) -> dict[str, Any]:
        """The JSON form that the contract names."""
        flat = asdict(self)
        flat |= flat.pop("held")
        for name in ("requests_per_s", "output_tokens_per_s", "goodput_per_s", "wanted_per_s",
                     "sent_per_s", "prompt_tokens_per_s", "items_per_s"):  # fmt: skip
            flat.setdefault("throughput", {})[name] = flat.pop(name)
        # Of durations whose calls are alike: how many independent ones they are worth.
        worth = {name: flat[name].pop("counts_as") for _, name in DURATIONS}
        flat["counts_as"] = {name: sizes for name, sizes in worth.items() if sizes}
        flat["cost_usd"] = flat["cost"].pop("usd")
        flat["notes"] = list(self.notes)
        flat["of_all"] = self.of_all.to_dict()
        flat["times_of"] = OF_SUCCESSES.removeprefix("of ")
        return flat


@shows_table
@dataclass(frozen=True, slots=True)
class Summary:
    """The figures of a run, target by target; shows itself as a table, times in ms."""

    targets: tuple[TargetSummary, ...]
    simulated: bool
    duration_s: float
    cost_usd: float | None

    @property
    def table(self) -> Table:
        """A row for each target, times in ms."""
        rows = [
            row
            for target in self.targets
            for row in (target.cells, target.cells_of_all)[: 1 + target.of_all.many]
        ]
        both = any(target.of_all.many for target in self.targets)
        return Table(HEADS, rows, notes=(BOTH,) * both + ("SIMULATED",) * self.simulated)
