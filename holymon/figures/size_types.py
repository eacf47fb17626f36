"""The effects of sizes, as `sizes` computes them, and how they are shown."""

from dataclasses import asdict, dataclass
from typing import Any

from holymon.figures.quantiles import Figure
from holymon.formatting import DASH, Cell, Table, Tables, count, ms, rounded, tokens
from holymon.language.said import glued, heads, say
from holymon.structs import Interval, shows_table


@dataclass(frozen=True, slots=True)
class Fitted:
    """A coefficient in seconds, and its 95 % interval where there are calls enough."""

    value: float | None = None
    ci: Interval | None = None

    def words(self, unit: str) -> str:
        """It in milliseconds, with its interval."""
        if self.value is None:
            return DASH
        if self.ci is None:
            return glued(_ms(self.value), " ", unit)
        low, high = map(_ms, self.ci)
        return say("{value} ({low} to {high}) {unit}", value=_ms(self.value), low=low, high=high,
                   unit=unit)  # fmt: skip


@dataclass(frozen=True, slots=True)
class SizeClass:
    """The successful calls of one target whose prompts have `low` to `high` tokens."""

    low: int
    high: int | None
    calls: int
    output_tokens: float | None
    ttft_s: Figure
    latency_s: Figure

    @property
    def name(self) -> str:
        """Its limits in words."""
        return (
            say("{low:,} and more", low=self.low)
            if self.high is None
            else say("{low:,} to {high:,}", low=self.low, high=self.high)
        )


@dataclass(frozen=True, slots=True)
class SizeEffect:
    """How the durations of one target's calls grow with their sizes; times in seconds.

    `at_reference_s` is the latency at the sizes that all targets are held against. What can't be
    given is None, and `notes` says why.
    """

    target: str
    n: int
    of: str
    prompt_tokens: float | None
    output_tokens: float | None
    base_s: Fitted
    per_prompt_token_s: Fitted
    per_output_token_s: Fitted
    at_reference_s: Fitted
    classes: tuple[SizeClass, ...]
    notes: tuple[str, ...]

    @property
    def cells(self) -> tuple[Cell, ...]:
        """Its row in the table of sizes."""
        return (
            self.target, count(self.n), tokens(self.prompt_tokens), tokens(self.output_tokens),
            _cell(self.base_s), _cell(self.per_prompt_token_s), _cell(self.per_output_token_s),
            _cell(self.at_reference_s),
        )  # fmt: skip

    def to_dict(self) -> dict[str, Any]:
        """As JSON has it."""
        flat = asdict(self)
        for one_class in flat["classes"]:
            for name in ("ttft_s", "latency_s"):
                one_class[name].pop("counts_as")
        return {**flat, "notes": list(self.notes)}


@shows_table
@dataclass(frozen=True, slots=True)
class SizeEffects:
    """The effects of sizes on all targets; `reference` is a prompt and an answer, in tokens."""

    targets: tuple[SizeEffect, ...]
    reference: tuple[int, int] | None
    simulated: bool

    @property
    def table(self) -> Tables:
        """What a token costs in time, and each class of prompts."""
        last = say("latency, ms")
        if self.reference is not None:
            size, answer = self.reference
            last = say("latency at {size:,} in, {answer:,} out, ms", size=size, answer=answer)
        names = (
            *heads("target", "calls", "tokens in", "out", "TTFT of no prompt, ms",
                   "each token in, ms", "each token out, ms"), last,
        )  # fmt: skip
        notes = [
            glued(effect.target, ": ", note) for effect in self.targets for note in effect.notes
        ]
        effects = Table(names, [effect.cells for effect in self.targets], notes=tuple(notes),
                        lead=(say("SIMULATED"),) * self.simulated)  # fmt: skip
        rows: list[tuple[Cell, ...]] = [
            (effect.target, size.name, count(size.calls), tokens(size.output_tokens),
             *(getattr(size, field).cell(stat) for field in ("ttft_s", "latency_s")
               for stat in ("p50", "p95")))
            for effect in self.targets for size in effect.classes
        ]  # fmt: skip
        classes = Table(heads("target", "tokens in", "calls", "tokens out", "TTFT p50, ms",
                              "p95", "latency p50", "p95"), rows, "llr")  # fmt: skip
        return Tables([effects, classes] if rows else [effects])

    @property
    def varied(self) -> bool:
        """Whether prompts of any target are of so many lengths that a picture tells something."""
        return any(effect.per_prompt_token_s.value is not None for effect in self.targets)


def _ms(seconds: float) -> str:
    """Milliseconds with three digits, as a token may take a few microseconds."""
    return ms(seconds) if abs(seconds) >= 1e-2 else rounded(seconds * 1e3)


def _cell(fitted: Fitted) -> Cell:
    if fitted.value is None or fitted.ci is None:
        return DASH if fitted.value is None else _ms(fitted.value)
    return _ms(fitted.value), glued(_ms(fitted.ci[0]), DASH, _ms(fitted.ci[1]))
