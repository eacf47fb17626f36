"""The figures by turn, as `turns` computes them, and how they are shown."""

from dataclasses import asdict, dataclass, field
from typing import Any

from holymon.figures.quantiles import Figure
from holymon.figures.size_types import Fitted
from holymon.formatting import Cell, Table, count, number_of, percent, tokens
from holymon.language.said import Digits, glued, heads, listed, say
from holymon.structs import shows_table


@dataclass(frozen=True, slots=True)
class TurnFigures:
    """The calls of turns `first` to `last`, counted from 1; times in seconds, of successes.

    Tokens are medians of prompts, and of what of them was in a cache; `cache_hit_rate` is the share
    of all these prompts' tokens that was (0 to 1), of answers that tell both. None if nobody told.
    """

    first: int
    last: int
    calls: int
    failed: int
    prompt_tokens: float | None
    cached_tokens: float | None
    cache_hit_rate: float | None
    ttft_s: Figure
    latency_s: Figure

    @property
    def name(self) -> str:
        """Which turns, in words."""
        return (
            str(self.first)
            if self.first == self.last
            else say("{first} to {last}", first=self.first, last=self.last)
        )


@dataclass(frozen=True, slots=True)
class ConversationFigures:
    """The conversations with one target; times in seconds.

    Of `conversations` so many were held `whole`, ended `early`, for the `reasons` by their number,
    or were `cut` by the end of the run. `later_s` is what later turns wait for their first token
    more than first ones do, `per_fresh_token_s` what each token adds that was in no cache, and
    `saved_s` what the cache saves a later turn. What can't be given is None, and `notes` says why.
    """

    target: str
    conversations: int
    whole: int
    early: int
    cut: int
    turns: tuple[TurnFigures, ...]
    later_s: Fitted
    per_fresh_token_s: Fitted
    saved_s: Fitted
    reasons: dict[str, int] = field(default_factory=dict)
    notes: tuple[str, ...] = ()

    @property
    def facts(self) -> list[str]:
        """What became of them, and what later turns gain, in sentences."""
        why = listed(
            ", ", (glued(Digits(f"{n:,}"), " ", reason) for reason, n in self.reasons.items())
        )
        early = say(
            "{early:,} of {conversations} ended early",
            early=self.early,
            conversations=number_of(self.conversations, "conversation"),
        )
        facts = [early + glued(": ", why) * bool(why)]
        if self.cut:
            facts[0] += say("; {cut:,} cut by the end of the run", cut=self.cut)
        if self.later_s.value is not None:
            facts.append(
                say(
                    "TTFT of later turns less that of first ones: {more}",
                    more=self.later_s.words("ms"),
                )
            )
        if self.saved_s.value is not None:
            each = self.per_fresh_token_s.words("ms")
            facts.append(
                say(
                    "the cache saves a later turn {more}; a token that is in none takes {each}",
                    more=self.saved_s.words("ms"),
                    each=each,
                )
            )
        return [*facts, *self.notes]

    def to_dict(self) -> dict[str, Any]:
        """As JSON has it."""
        flat = asdict(self)
        for turn in flat["turns"]:
            for name in ("ttft_s", "latency_s"):
                turn[name].pop("counts_as")
        return flat


@shows_table
@dataclass(frozen=True, slots=True)
class Turns:
    """The figures by turn of all targets; of none where no conversations were held."""

    targets: tuple[ConversationFigures, ...]
    simulated: bool

    @property
    def table(self) -> Table:
        """The turns of each target, and what became of its conversations."""
        names = heads("target", "turn", "calls", "failed", "tokens in", "from cache",
                      "TTFT p50, ms", "p95", "latency p50", "p95")  # fmt: skip
        rows: list[tuple[Cell, ...]] = [
            (held.target, turn.name, count(turn.calls), count(turn.failed),
             tokens(turn.prompt_tokens), percent(turn.cache_hit_rate),
             *(getattr(turn, name).cell(stat) for name in ("ttft_s", "latency_s")
               for stat in ("p50", "p95")))
            for held in self.targets for turn in held.turns
        ]  # fmt: skip
        notes = tuple(
            glued(held.target, ": ", fact) for held in self.targets for fact in held.facts
        )
        if not self.targets:
            notes = (say("no conversations were held"),)
        return Table(names if rows else (), rows, "llr", notes=notes,
                     lead=(say("SIMULATED"),) * self.simulated)  # fmt: skip
