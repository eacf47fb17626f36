"""What probes of a bill show: what stopped streams may cost, and how long a prompt cache lives.

A prefix that is read at last `pause` after it was written tells on which side of its lifetime that
is. Each pause has prefixes of its own, so no reading prolongs the life of another one.
"""

from dataclasses import dataclass, field
from typing import Any, Final

from holymon.formatting import CLOSE, DASH, Table, count, number_of, percent, rounded
from holymon.plan.price import PER, Price
from holymon.safety import plain

MOST_IDS: Final = 20


@dataclass(frozen=True, slots=True)
class StoppedStreams:
    """Streams that were stopped on purpose, after a whole one to count the prompt.

    `came` tokens came in each stopped one, of at most `max_tokens`; `whole` are the prompt and the
    output of the one that was not stopped, None where the server counted none. `ids` are the
    server's own, `folder` is where all of it is kept; `began` is in UTC.
    """

    target: str
    price: Price
    came: tuple[int, ...]
    whole: tuple[int, int] | None
    max_tokens: int
    counted: int
    ids: tuple[str, ...] = ()
    began: str = ""
    folder: str = ""

    @property
    def ways(self) -> list[tuple[str, int, int]]:
        """Each way in which they may be billed: what, prompt tokens, most output tokens."""
        prompts = (self.whole[0] if self.whole else 0) * len(self.came)
        came, most = sum(self.came), self.max_tokens * len(self.came)
        return [("nothing", 0, 0), ("the prompts alone", prompts, 0),
                ("what came", prompts, came), ("whole answers", prompts, most)]  # fmt: skip

    @property
    def table(self) -> Table:
        """What to look for in the bill."""
        n = number_of(len(self.came), "stream")
        label = " (simulated)" * self.target.startswith("sim/")
        lead = [
            f"{n} of {self.target}{label} stopped after {', '.join(map(str, self.came))} tokens."
        ]
        if self.whole is None:
            lead.append("The server counted no tokens of the call that was not stopped.")
        else:
            lead.append(f"One that was not stopped, billed as any: {self.whole[0]:,} tokens in, "
                        f"{self.whole[1]:,} out.")  # fmt: skip
        lead.append(f"{self.counted} of the stopped ones told a count before they ended.")
        rows = [
            (what, count(prompt) if self.whole else DASH,
             ("up to " if what == "whole answers" else "") + count(output),
             rounded(self.cost(prompt, output), CLOSE) if self.whole else DASH)
            for what, prompt, output in self.ways
        ]  # fmt: skip
        notes = [
            f"Look in the bill of {self.began[:10]} (UTC), best where this key made no other calls."
            f" With its export: holymon reconcile EXPORT --runs {plain(self.folder)}",
            *([f"The server's ids: {', '.join(self.ids)}"] if self.ids else ()),
        ]
        heads = ("if they bill of those stopped", "tokens in", "tokens out", "USD")
        return Table(heads, rows, "lr", lead, notes)

    def cost(self, prompt: int, output: int) -> float:
        """USD of so many tokens of such calls."""
        each = self.price.at(prompt / max(1, len(self.came)))
        return (prompt * (each.input or 0.0) + output * (each.output or 0.0)) / PER

    @property
    def exit_code(self) -> int:
        """3 where no server counted what the streams may be held against."""
        return 0 if self.whole else 3

    def to_dict(self) -> dict[str, Any]:
        """All of it as plain data."""
        return {
            "probe": "cancelled", "target": self.target, "began": self.began,
            "folder": self.folder, "came": list(self.came), "max_tokens": self.max_tokens,
            "whole": None if self.whole is None else
            {"prompt_tokens": self.whole[0], "output_tokens": self.whole[1]},
            "counted": self.counted, "ids": list(self.ids),
            "ways": [
                {"billed": what, "prompt_tokens": prompt, "output_tokens": output,
                 "cost_usd": self.cost(prompt, output) if self.whole else None}
                for what, prompt, output in self.ways
            ],
        }  # fmt: skip

    def __repr__(self) -> str:
        return self.table.text()


@dataclass(frozen=True, slots=True)
class PrefixReading:
    """One prefix read again: at least `low_s` and at most `high_s` after it was written.

    `cached` tokens of its `prompt` came from the cache; -1 where the server does not say.
    """

    pause_s: float
    low_s: float
    high_s: float
    prompt: int
    cached: int

    @property
    def hit(self) -> bool:
        """Whether anything of it was still there."""
        return self.cached > 0


@dataclass(frozen=True, slots=True)
class CacheLife:
    """How long a prompt cache keeps what is not used, and what it is worth."""

    target: str
    price: Price
    readings: tuple[PrefixReading, ...]
    written: int = 0
    prompt: int = 0
    began: str = ""
    folder: str = ""
    limits: tuple[float | None, float | None] = field(init=False)

    def __post_init__(self) -> None:
        hits = [reading.low_s for reading in self.readings if reading.hit]
        last = max(hits, default=None)
        misses = [r.high_s for r in self.readings if not r.hit and r.cached >= 0
                  and (last is None or r.high_s > last)]  # fmt: skip
        object.__setattr__(self, "limits", (last, min(misses, default=None)))

    @property
    def share(self) -> float | None:
        """Of the prompts that were there, how much came from the cache."""
        hits = [reading for reading in self.readings if reading.hit]
        whole = sum(reading.prompt for reading in hits)
        return sum(reading.cached for reading in hits) / whole if whole else None

    @property
    def saved(self) -> float | None:
        """Of what the prompt of a hit would cost, the share that it does not, by our prices."""
        each = self.price.at(self.prompt)
        if self.share is None or not each.input or each.cached_input is None:
            return None
        return self.share * (1 - each.cached_input / each.input)

    @property
    def premium(self) -> float | None:
        """What a call that writes to the cache costs more, as a share of its prompt's cost."""
        each = self.price.at(self.prompt)
        if not each.input or not self.prompt or not self.written:
            return None
        dearer = (each.cache_write if each.cache_write is not None else each.input) / each.input - 1
        return dearer * self.written / self.prompt

    @property
    def sentence(self) -> str:
        """How long it lives."""
        low, high = self.limits
        if all(reading.cached < 0 for reading in self.readings):
            return "Not shown: the server does not say what came from a cache."
        if low is None:
            return "No cache seen: nothing was there after the shortest pause."
        if high is None:
            return f"The cache lives longer than {_long(low)}, the longest pause."
        return f"The cache lives between {_long(low)} and {_long(high)} without use."

    @property
    def exit_code(self) -> int:
        """3 where the lifetime has no bound from below."""
        return 0 if self.limits[0] is not None else 3

    @property
    def table(self) -> Table:
        """A row for each pause."""
        lead = [f"{_labelled(self.target)}: {self.sentence}"]
        if self.share is not None:
            worth = f", which saves {percent(self.saved)} of its cost by the price book"
            worth *= self.saved is not None
            lead.append(f"{percent(self.share)} of a prompt that is there comes from it{worth}.")
        if self.premium:
            lead.append(f"To write it costs {percent(self.premium)} more than the prompt alone.")
        notes = []
        early = [r for r in self.readings if r.cached == 0 and r.high_s <= (self.limits[0] or 0)]
        if early:
            notes.append(f"{number_of(len(early), 'reading')} before that had nothing of it: calls "
                         "may reach machines that do not share a cache.")  # fmt: skip
        if self.limits[0] is None:
            notes.append("Many caches begin at 1,024 tokens (--prompt-tokens), and some must be "
                         "asked for.")  # fmt: skip
        rows = []
        for pause in sorted({reading.pause_s for reading in self.readings}):
            these = [reading for reading in self.readings if reading.pause_s == pause]
            hits = sum(reading.hit for reading in these)
            rows.append((_long(pause), f"{hits} of {len(these)}",
                         count(max(reading.cached for reading in these) if hits else 0),
                         count(max(reading.prompt for reading in these))))  # fmt: skip
        return Table(("pause", "there", "cached tokens", "of"), rows, "r", lead, notes)

    def to_dict(self) -> dict[str, Any]:
        """All of it as plain data."""
        return {
            "probe": "cache", "target": self.target, "began": self.began, "folder": self.folder,
            "life_s": {"low": self.limits[0], "high": self.limits[1]}, "share": self.share,
            "saved": self.saved, "premium": self.premium,
            "readings": [
                {"pause_s": r.pause_s, "low_s": r.low_s, "high_s": r.high_s,
                 "prompt_tokens": r.prompt, "cached_tokens": None if r.cached < 0 else r.cached}
                for r in self.readings
            ],
        }  # fmt: skip

    def __repr__(self) -> str:
        return self.table.text()


def _labelled(target: str) -> str:
    return plain(target) + " (simulated)" * target.startswith("sim/")


def _long(seconds: float) -> str:
    return f"{rounded(seconds)} s" if seconds < 120 else f"{rounded(seconds / 60)} min"
